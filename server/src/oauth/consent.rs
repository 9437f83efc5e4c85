//! Consent: what an app would like to do, in sentences, each of which can be unticked; yes, or no.

use poem::{
    Response,
    http::{Method, StatusCode},
};

use super::{
    Asked, OauthError,
    authorize::{self, Ready, Step},
    form::Form,
    page::{
        self, Site,
        sentences::{self, Reach, Reader},
    },
    pending::{Onward, Pending},
    visitor::Visitor,
};
use crate::authorization::Patients;

/// Takes a decision.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let visitor = Visitor::of(&mut asked).await?;
    let form = Form::read(asked.incoming).await?;
    visitor.check(&asked, &form)?;
    let onward = Onward::open(asked.app, asked.tenant, form.require("onward")?)?;
    let Onward::Authorize(pending) = onward else { return Err(OauthError::no_such_address()) };
    asked.record.client = Some(pending.request.client_id.clone());
    match form.get("decision") {
        Some("allow") => {}
        Some("deny") => return Err(authorize::tell(&asked, &pending.request, "access_denied", "The user said no.")),
        _ => return Err(OauthError::invalid_request("The form says neither yes nor no.")),
    }
    match authorize::step(&mut asked, &visitor, &pending).await? {
        Step::Decide(ready) => {
            let ticked = form.pairs().iter().filter(|(name, _)| name.starts_with("scope"));
            let ticked: Vec<String> = ticked.flat_map(|(_, value)| value.split(' ')).map(str::to_owned).collect();
            let scopes = sentences::narrowed(&ready.scopes, &ticked);
            if scopes.iter().all(|scope| scope.starts_with("launch")) {
                return Err(authorize::tell(
                    &asked,
                    &pending.request,
                    "access_denied",
                    "The user unticked everything.",
                ));
            }
            authorize::approve(&mut asked, *ready, scopes).await
        }
        // Something changed meanwhile: the session ended, or the patient is out of reach.
        Step::SignIn | Step::Patient(_) => authorize::go_on(&mut asked, &visitor, *pending).await,
    }
}

/// The page.
pub(super) fn page(
    asked: &Asked<'_>,
    visitor: &Visitor,
    pending: Pending,
    ready: Ready,
) -> Result<Response, OauthError> {
    let account = &ready.signed_in.account;
    let is_self = |id: &str| account.fhir_user.as_deref().and_then(|user| user.strip_prefix("Patient/")) == Some(id);
    let patient = ready.context.patient.as_deref();
    let name = ready.patient.as_ref().map(|patient| patient.name.clone());
    let name = name.or_else(|| patient.map(|id| format!("Patient {id}")));
    let reader = Reader {
        patient: match patient {
            Some(id) if is_self(id) => Some("your".to_owned()),
            _ => name.as_ref().map(|name| format!("{name}’s")),
        },
        reach: if Patients::of(account) == Patients::Any { Reach::All } else { Reach::Own },
        organisation: &asked.tenant.display,
    };
    let page = page::Consent {
        site: Site::of(asked, visitor),
        app: ready.client.name,
        host: page::host(&ready.request.redirect_uri).to_owned(),
        patient: match (name, &ready.patient) {
            (Some(name), Some(seen)) => Some(format!("{name} ({})", seen.detail)),
            (name, _) => name,
        },
        groups: sentences::groups(&ready.scopes, &reader),
        onward: Onward::Authorize(Box::new(pending)).seal(asked.app, asked.tenant)?,
    };
    page::answer(StatusCode::OK, &page, Some(&ready.request.redirect_uri))
}
