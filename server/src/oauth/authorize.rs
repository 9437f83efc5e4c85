//! The authorization endpoint (RFC 6749, section 4.1; SMART App Launch 2.2): an app sends its user here, and the user
//! comes back to it with a code, or with word that they did not want to.
//!
//! What the user has to see on the way — sign-in, patients, consent — are pages of their own. Between them the request
//! travels sealed ([`Onward`]); each step begins here again and finds what is still missing.

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use vitals_access::scope;
use vitals_fhir::search::form_text;
use vitals_store::authorization::{Approval, Client, SignedIn};

use super::{
    Asked, OauthError, consent,
    form::Form,
    page::FoundPatient,
    patients,
    pending::{Onward, Pending},
    request::{AuthorizationRequest, Bad},
    sign_in,
    visitor::Visitor,
};
use crate::authorization::{self, ApproveError, ApprovedRequest, LaunchContext, Patients, secrets};

/// A request that its user can decide about.
pub(super) struct Ready {
    pub(super) request: AuthorizationRequest,
    pub(super) client: Client,
    pub(super) signed_in: SignedIn,
    /// What can be granted: of what is asked, what the client may have and the user holds.
    pub(super) scopes: Vec<String>,
    pub(super) context: LaunchContext,
    /// The patient in context, as far as the user may see them.
    pub(super) patient: Option<FoundPatient>,
}

/// What is missing before its user can decide about a request.
pub(super) enum Step {
    SignIn,
    Patient(Patients),
    Decide(Box<Ready>),
}

/// Answers a request, or goes on with one.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    match asked.incoming.method {
        Method::GET => {
            let form = Form::of(&asked.incoming.query)?;
            let pending = if let Some(text) = form.get("resume") {
                let Onward::Authorize(pending) = Onward::open(asked.app, asked.tenant, text)? else {
                    return Err(OauthError::no_such_address());
                };
                *pending
            } else {
                let is_pushed = form.get("request_uri").is_some();
                let pending = begin(&mut asked, form).await?;
                // A request_uri is good once; the page behind it can be loaded again (RFC 9126, section 4).
                if is_pushed {
                    return see_other(&Onward::Authorize(Box::new(pending)).address(asked.app, asked.tenant)?);
                }
                pending
            };
            let visitor = Visitor::of(&mut asked).await?;
            go_on(&mut asked, &visitor, pending).await
        }
        // The app's own form: what is found then is found by a request that carries this site's cookies.
        Method::POST => {
            let form = Form::read(asked.incoming).await?;
            let pending = begin(&mut asked, form).await?;
            let address = Onward::Authorize(Box::new(pending)).address(asked.app, asked.tenant)?;
            see_other(&address)
        }
        _ => Err(OauthError::not_offered("GET, POST")),
    }
}

async fn begin(asked: &mut Asked<'_>, form: Form) -> Result<Pending, OauthError> {
    match AuthorizationRequest::parse(asked.app, asked.tenant, form.pairs().to_vec()).await {
        Ok((request, client)) => {
            asked.record.client = Some(client.id);
            Ok(Pending::new(request, asked.app.clock.now()))
        }
        Err(Bad::Shown(error)) => Err(error),
        Err(Bad::Told(told)) => {
            let mut pairs = vec![("error", told.error), ("error_description", told.description.as_str())];
            pairs.extend(told.state.as_deref().map(|state| ("state", state)));
            Err(OauthError::told(&answered(asked, &told.redirect_uri, &pairs), told.error))
        }
    }
}

/// Shows the page of what is missing.
pub(super) async fn go_on(asked: &mut Asked<'_>, visitor: &Visitor, pending: Pending) -> Result<Response, OauthError> {
    let silent = pending.request.prompt.none;
    match step(asked, visitor, &pending).await? {
        Step::SignIn if silent => Err(tell(asked, &pending.request, "login_required", "Nobody is signed in.")),
        Step::SignIn => sign_in::page(asked, visitor, &Onward::Authorize(Box::new(pending)), None),
        Step::Patient(_) if silent => {
            Err(tell(asked, &pending.request, "interaction_required", "A patient has to be chosen."))
        }
        Step::Patient(whose) => patients::page(asked, visitor, pending, &whose).await,
        Step::Decide(ready) if silent => {
            if !was_approved(asked, &ready).await? {
                return Err(tell(asked, &ready.request, "consent_required", "The user has not approved this yet."));
            }
            let scopes = ready.scopes.clone();
            approve(asked, *ready, scopes).await
        }
        Step::Decide(ready) => consent::page(asked, visitor, pending, *ready),
    }
}

/// Finds what is missing.
pub(super) async fn step(asked: &mut Asked<'_>, visitor: &Visitor, pending: &Pending) -> Result<Step, OauthError> {
    let request = &pending.request;
    asked.record.client = Some(request.client_id.clone());
    let Some(signed_in) =
        visitor.signed_in.clone().filter(|signed_in| pending.takes_sign_in_of(signed_in.session.created))
    else {
        return Ok(Step::SignIn);
    };
    let account = &signed_in.account;
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let client = tx.client(&request.client_id).await?.filter(|client| client.revoked.is_none());
    let launch = match &request.launch {
        None => None,
        Some(handle) => {
            let found = tx.launch(&secrets::hash(handle), &request.client_id, asked.app.clock.now()).await?;
            Some(found.filter(|launch| launch.account == account.id))
        }
    };
    tx.commit().await?;
    let client = client.filter(|client| client.redirect_uris.contains(&request.redirect_uri));
    let client = client.ok_or_else(|| OauthError::invalid_client("This app is not registered here any more."))?;
    let context = match launch {
        None => LaunchContext::default(),
        Some(launch) => match launch.and_then(|launch| LaunchContext::stored(&launch.context)) {
            Some(context) => context,
            None => return Err(tell(asked, request, "access_denied", "The launch is another user's, over, or used.")),
        },
    };
    let scopes = grantable(request, &client, &signed_in);
    if scopes.iter().all(|scope| scope.starts_with("launch")) {
        let why = "Nothing of what is asked may be granted to this app by this user.";
        return Err(tell(asked, request, "invalid_scope", why));
    }
    let whose = Patients::of(account);
    let chosen = pending.chosen.as_ref().filter(|chosen| chosen.account == account.id);
    let chosen = context.patient.clone().or_else(|| chosen.map(|chosen| chosen.patient.clone()));
    let wanted = scopes.iter().any(|scope| scope == "launch/patient" || scope.starts_with("patient/"));
    let patient = match (&whose, whose.settle(chosen.as_deref())) {
        (_, Ok(None)) if wanted => return Ok(Step::Patient(whose)),
        (_, Ok(patient)) => patient,
        (Patients::Any, Err(_)) if request.launch.is_none() => return Ok(Step::Patient(whose)),
        (Patients::These(ids), Err(_)) if ids.len() > 1 && request.launch.is_none() => return Ok(Step::Patient(whose)),
        (_, Err(_)) => return Err(tell(asked, request, "access_denied", "There is no patient this user may choose.")),
    };
    let seen = match &patient {
        None => None,
        Some(id) => patients::look::one(asked, account, id, matches!(whose, Patients::These(_))).await?,
    };
    if patient.is_some() && seen.is_none() && whose == Patients::Any {
        return match request.launch {
            None => Ok(Step::Patient(whose)),
            Some(_) => Err(tell(asked, request, "access_denied", "The patient of the launch is not known here.")),
        };
    }
    let context = LaunchContext { patient, auth_time: Some(signed_in.session.created.timestamp()), ..context };
    let request = request.clone();
    Ok(Step::Decide(Box::new(Ready { request, client, signed_in, scopes, context, patient: seen })))
}

fn grantable(request: &AuthorizationRequest, client: &Client, signed_in: &SignedIn) -> Vec<String> {
    let mut scopes = scope::grantable(&request.scopes, &client.scopes, &signed_in.account.scopes);
    // There is no picker of encounters: only an EHR names one.
    scopes.retain(|scope| scope != "launch/encounter" || request.launch.is_some());
    scopes
}

/// Whether the user let this very app do all this before, about this patient, and did not disconnect it. An app that
/// cannot prove who it is could be another one (RFC 8252, section 8.6).
async fn was_approved(asked: &Asked<'_>, ready: &Ready) -> Result<bool, OauthError> {
    if !ready.client.authentication.is_confidential() {
        return Ok(false);
    }
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let approvals = tx.approvals_of(&ready.signed_in.account.id, asked.app.clock.now()).await?;
    tx.commit().await?;
    let same = |approval: &Approval| {
        let patient = LaunchContext::stored(&approval.context).and_then(|context| context.patient);
        approval.client == ready.client.id
            && patient == ready.context.patient
            && ready.scopes.iter().all(|scope| approval.scopes.contains(scope))
    };
    Ok(approvals.iter().any(same))
}

/// Writes down what the user approved, and sends them back with a code.
pub(super) async fn approve(asked: &mut Asked<'_>, ready: Ready, scopes: Vec<String>) -> Result<Response, OauthError> {
    let Ready { request, signed_in, context, .. } = ready;
    asked.record.scopes.clone_from(&scopes);
    asked.record.patient.clone_from(&context.patient);
    asked.record.encounter.clone_from(&context.encounter);
    let approved = ApprovedRequest {
        client: request.client_id.clone(),
        account: signed_in.account.id,
        session: Some(signed_in.session.id),
        scopes,
        context,
        launch: request.launch.clone(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        jkt: request.dpop_jkt.clone(),
    };
    match authorization::approve(&asked.app.desk, asked.tenant, &approved).await {
        Ok(code) => {
            let mut pairs = vec![("code", code.as_str())];
            pairs.extend(request.state.as_deref().map(|state| ("state", state)));
            see_other(&answered(asked, &request.redirect_uri, &pairs))
        }
        Err(ApproveError::Store(error)) => Err(error.into()),
        Err(error @ ApproveError::Client) => Err(OauthError::invalid_client(sentence(&error))),
        Err(error @ ApproveError::Scope) => Err(tell(asked, &request, "invalid_scope", &sentence(&error))),
        Err(error) => Err(tell(asked, &request, "access_denied", &sentence(&error))),
    }
}

fn sentence(error: &ApproveError) -> String {
    let text = error.to_string();
    let (first, rest) = text.split_at_checked(1).unwrap_or(("", &text));
    format!("{}{rest}.", first.to_uppercase())
}

/// Tells the app why it gets no code.
pub(super) fn tell(
    asked: &Asked<'_>,
    request: &AuthorizationRequest,
    error: &'static str,
    description: &str,
) -> OauthError {
    let mut pairs = vec![("error", error), ("error_description", description)];
    pairs.extend(request.state.as_deref().map(|state| ("state", state)));
    OauthError::told(&answered(asked, &request.redirect_uri, &pairs), error)
}

/// The app's address with an answer, and with who answers (RFC 9207).
fn answered(asked: &Asked<'_>, redirect_uri: &str, pairs: &[(&str, &str)]) -> String {
    let issuer = asked.app.desk.issuer(asked.tenant);
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .chain(&[("iss", issuer.as_str())])
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sign = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{sign}{}", form_text(&pairs))
}

/// Sends a browser on, whatever method it came by.
pub(super) fn see_other(address: &str) -> Result<Response, OauthError> {
    let location = HeaderValue::from_str(address).map_err(|_| OauthError::internal())?;
    let mut response = Response::builder().status(StatusCode::SEE_OTHER).finish();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
