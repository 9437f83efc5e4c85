//! Connected apps: what somebody let do what, and how to end it; and their password.

use chrono::{DateTime, Utc};
use poem::{
    Response,
    http::{Method, StatusCode},
};
use vitals_store::authorization::{Approval, Refresh, SignedIn};

use super::{
    Asked, OauthError,
    authorize::see_other,
    form::Form,
    page::{
        self, Connected, Site,
        sentences::{self, Reach, Reader},
    },
    pending::Onward,
    sign_in,
    visitor::{self, Visitor},
};
use crate::authorization::{Patients, accounts, approvals, sessions};

/// The query of a page that its browser loads by itself when time is up.
const IDLE: &str = "idle";
/// The query after a change of the password.
const CHANGED: &str = "changed";

/// What the page says beside its lists.
enum Said {
    Nothing,
    Done(String),
    Refused(String),
}

/// Shows the page, disconnects an app, or changes the password.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if !matches!(asked.incoming.method, Method::GET | Method::POST) {
        return Err(OauthError::not_offered("GET, POST"));
    }
    let changed = asked.incoming.query == CHANGED;
    let visitor = match asked.incoming.query.as_str() {
        IDLE => Visitor::waiting(&mut asked).await?,
        _ => Visitor::of(&mut asked).await?,
    };
    let form = match asked.incoming.method {
        Method::POST => {
            let form = Form::read(asked.incoming).await?;
            visitor.check(&asked, &form)?;
            Some(form)
        }
        _ => None,
    };
    let Some(signed_in) = &visitor.signed_in else { return sign_in::page(&asked, &visitor, &Onward::Manage, None) };
    let said = match &form {
        None if changed => Said::Done("Your password is changed.".to_owned()),
        None => Said::Nothing,
        Some(form) => match form.get("disconnect") {
            Some(id) => disconnect(&mut asked, signed_in, id).await?,
            None => match change_password(&mut asked, signed_in, form).await? {
                Some(said) => said,
                None => return start_anew(&mut asked, signed_in).await,
            },
        },
    };
    show(&asked, &visitor, signed_in, said).await
}

async fn disconnect(asked: &mut Asked<'_>, signed_in: &SignedIn, id: &str) -> Result<Said, OauthError> {
    let ended = approvals::end(&asked.app.desk, asked.tenant, id, &signed_in.account.id).await;
    if !ended.map_err(|_| OauthError::unavailable())? {
        // Somebody else's is as if it were not there (U05).
        return Err(OauthError::no_such_address());
    }
    Ok(Said::Done("It is disconnected: it gets nothing more.".to_owned()))
}

/// Changes the password; what is wrong with it where that was not done.
async fn change_password(asked: &mut Asked<'_>, signed_in: &SignedIn, form: &Form) -> Result<Option<Said>, OauthError> {
    let typed = |name: &str| form.get(name).unwrap_or_default();
    let (account, new) = (&signed_in.account, typed("new"));
    if new != typed("again") {
        return Ok(Some(Said::Refused("The two new passwords differ.".to_owned())));
    }
    let (desk, address) = (&asked.app.desk, asked.incoming.address);
    match accounts::attempt(desk, asked.tenant, &account.username, typed("current"), address).await? {
        accounts::Attempt::Success(_) => {}
        accounts::Attempt::Failure(_) | accounts::Attempt::Wait(_) => {
            asked.refuse("wrong password");
            let wrong = "The current password is wrong, or was typed wrong too often: then wait a while.";
            return Ok(Some(Said::Refused(wrong.to_owned())));
        }
    }
    match accounts::set_password(desk, asked.tenant, &account.id, new).await {
        Ok(()) => Ok(None),
        Err(accounts::AccountError::Password(refused)) => {
            let text = refused.to_string();
            Ok(Some(Said::Refused(format!("The new one is not taken: {text}."))))
        }
        Err(accounts::AccountError::Store(error)) => Err(error.into()),
        Err(_) => Err(OauthError::internal()),
    }
}

/// After a new password: whoever was signed in by the old one is not any more, but for this browser.
async fn start_anew(asked: &mut Asked<'_>, signed_in: &SignedIn) -> Result<Response, OauthError> {
    let ended = sessions::end_all(&asked.app.desk, asked.tenant, &signed_in.account.id).await;
    ended.map_err(|_| OauthError::unavailable())?;
    let mut response = see_other(&format!("{}/manage?{CHANGED}", asked.app.desk.issuer(asked.tenant)))?;
    visitor::sign_in(asked, &signed_in.account, &mut response).await?;
    Ok(response)
}

async fn show(asked: &Asked<'_>, visitor: &Visitor, signed_in: &SignedIn, said: Said) -> Result<Response, OauthError> {
    let account = &signed_in.account;
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let approvals = tx.approvals_of(&account.id, asked.app.clock.now()).await?;
    let mut apps = Vec::with_capacity(approvals.len());
    for approval in approvals {
        let client = tx.client(&approval.client).await?;
        let name = client.map_or_else(|| approval.client.clone(), |client| client.name);
        let used = tx.last_refreshed(&approval.id).await?;
        apps.push(connected(asked, signed_in, &approval, name, used));
    }
    tx.commit().await?;
    let status = if matches!(said, Said::Refused(_)) { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let (message, refused) = match said {
        Said::Nothing => (None, None),
        Said::Done(text) => (Some(text), None),
        Said::Refused(text) => (None, Some(text)),
    };
    let has_password = account.password.is_some();
    let page = page::Manage { site: Site::of(asked, visitor), apps, message, has_password, refused };
    page::answer(status, &page, None)
}

fn connected(
    asked: &Asked<'_>,
    signed_in: &SignedIn,
    approval: &Approval,
    name: String,
    used: Option<DateTime<Utc>>,
) -> Connected {
    let account = &signed_in.account;
    let context = crate::authorization::LaunchContext::stored(&approval.context).unwrap_or_default();
    let is_self = |id: &str| account.fhir_user.as_deref().and_then(|user| user.strip_prefix("Patient/")) == Some(id);
    let reader = Reader {
        patient: context.patient.map(|id| if is_self(&id) { "your".to_owned() } else { format!("patient {id}’s") }),
        reach: if Patients::of(account) == Patients::Any { Reach::All } else { Reach::Own },
        organisation: &asked.tenant.display,
    };
    let groups = sentences::groups(&approval.scopes, &reader);
    let sentences = groups.into_iter().flat_map(|group| group.items).map(|item| item.sentence).collect();
    let ends = match approval.refresh {
        Refresh::Offline => format!("It asks again on {}.", approval.expires.format("%-d %B %Y")),
        Refresh::Online => "It ends when you sign out.".to_owned(),
        Refresh::None => "It ends by itself within two hours.".to_owned(),
    };
    let since = said(approval.created);
    let used = used.map(said);
    Connected { used, id: approval.id.clone(), name, sentences, since, ends }
}

fn said(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}
