//! Connected apps: what somebody let do what, and how to end it; and their password.

use poem::{
    Response,
    http::{Method, StatusCode},
};
use vitals_store::authorization::{Approval, Refresh, SignedIn};

use super::{
    Asked, OauthError,
    form::Form,
    page::{
        self, Connected, Site,
        sentences::{self, Reach, Reader},
    },
    pending::Onward,
    sign_in,
    visitor::Visitor,
};
use crate::authorization::{Patients, accounts, approvals};

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
    let visitor = Visitor::of(&mut asked).await?;
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
        None => Said::Nothing,
        Some(form) => match form.get("disconnect") {
            Some(id) => disconnect(&mut asked, signed_in, id).await?,
            None => change_password(&mut asked, signed_in, form).await?,
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

async fn change_password(asked: &mut Asked<'_>, signed_in: &SignedIn, form: &Form) -> Result<Said, OauthError> {
    let typed = |name: &str| form.get(name).unwrap_or_default();
    let (account, new) = (&signed_in.account, typed("new"));
    if new != typed("again") {
        return Ok(Said::Refused("The two new passwords differ.".to_owned()));
    }
    let (desk, address) = (&asked.app.desk, asked.incoming.address);
    match accounts::attempt(desk, asked.tenant, &account.username, typed("current"), address).await? {
        accounts::Attempt::Success(_) => {}
        accounts::Attempt::Failure(_) | accounts::Attempt::Wait(_) => {
            asked.refuse("wrong password");
            let wrong = "The current password is wrong, or was typed wrong too often: then wait a while.";
            return Ok(Said::Refused(wrong.to_owned()));
        }
    }
    match accounts::set_password(desk, asked.tenant, &account.id, new).await {
        Ok(()) => Ok(Said::Done("Your password is changed.".to_owned())),
        Err(accounts::AccountError::Password(refused)) => {
            let text = refused.to_string();
            Ok(Said::Refused(format!("The new one is not taken: {text}.")))
        }
        Err(accounts::AccountError::Store(error)) => Err(error.into()),
        Err(_) => Err(OauthError::internal()),
    }
}

async fn show(asked: &Asked<'_>, visitor: &Visitor, signed_in: &SignedIn, said: Said) -> Result<Response, OauthError> {
    let account = &signed_in.account;
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let approvals = tx.approvals_of(&account.id, asked.app.clock.now()).await?;
    let mut apps = Vec::with_capacity(approvals.len());
    for approval in approvals {
        let client = tx.client(&approval.client).await?;
        let name = client.map_or_else(|| approval.client.clone(), |client| client.name);
        apps.push(connected(asked, signed_in, &approval, name));
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

fn connected(asked: &Asked<'_>, signed_in: &SignedIn, approval: &Approval, name: String) -> Connected {
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
    let since = approval.created.format("%-d %B %Y, %H:%M UTC").to_string();
    Connected { id: approval.id.clone(), name, sentences, since, ends }
}
