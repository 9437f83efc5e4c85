//! Signing in: with a user name and a password of this tenant's, or through its OpenID provider (`upstream`).

use chrono::TimeDelta;
use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{
    Asked, OauthError,
    authorize::see_other,
    form::Form,
    page::{self, Site},
    pending::Onward,
    upstream,
    visitor::{self, Visitor},
};
use crate::authorization::accounts::{self, Attempt};

/// The same whether the name is unknown, the password wrong or the account locked: who guesses learns nothing.
const FAILED: &str = "That did not work. Check your user name and password. After five wrong passwords in a row, signing in \
     is refused for a minute, and longer after each further one.";

/// Shows the page, or takes what was typed into it.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    match asked.incoming.method {
        Method::GET => {
            let form = Form::of(&asked.incoming.query)?;
            // The link to the provider.
            if let Some(text) = form.get("onward") {
                let onward = Onward::open(asked.app, asked.tenant, text)?;
                return upstream::begin(&mut asked, &onward).await;
            }
            let visitor = Visitor::of(&mut asked).await?;
            page(&asked, &visitor, &Onward::Manage, None)
        }
        Method::POST => typed(asked).await,
        _ => Err(OauthError::not_offered("GET, POST")),
    }
}

async fn typed(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    let visitor = Visitor::of(&mut asked).await?;
    let form = Form::read(asked.incoming).await?;
    visitor.check(&asked, &form)?;
    let onward = Onward::open(asked.app, asked.tenant, form.require("onward")?)?;
    let (username, password) = (form.get("username").unwrap_or_default(), form.get("password").unwrap_or_default());
    let address = asked.incoming.address;
    match accounts::attempt(&asked.app.desk, asked.tenant, username, password, address).await? {
        Attempt::Success(account) => {
            let mut response = see_other(&onward.address(asked.app, asked.tenant)?)?;
            visitor::sign_in(&mut asked, &account, &mut response).await?;
            Ok(response)
        }
        Attempt::Failure(account) => {
            // What was typed as a name may be a password: only a name that is known stands in the trail.
            if let Some(id) = account {
                asked.record.unverified = true;
                asked.record.subject = Some(id);
            }
            asked.refuse("wrong name or password");
            page(&asked, &visitor, &onward, Some(username))
        }
        Attempt::Wait(wait) => Err(too_often(wait)),
    }
}

fn too_often(wait: TimeDelta) -> OauthError {
    let seconds = wait.num_seconds().max(1);
    let text = format!("Too many attempts to sign in came from your address. Wait {seconds} seconds and try again.");
    let error = OauthError::named(StatusCode::TOO_MANY_REQUESTS, "access_denied", text);
    match HeaderValue::from_str(&seconds.to_string()) {
        Ok(value) => error.with(header::RETRY_AFTER, value),
        Err(_) => error,
    }
}

/// The page; `failed` is the name that was typed, where that did not work.
pub(super) fn page(
    asked: &Asked<'_>,
    visitor: &Visitor,
    onward: &Onward,
    failed: Option<&str>,
) -> Result<Response, OauthError> {
    let request = match onward {
        Onward::Authorize(pending) => Some(&pending.request),
        Onward::Manage => None,
    };
    let hint = request.and_then(|request| request.login_hint.as_deref());
    let provider = asked.tenant.settings.sign_in.as_ref();
    let page = page::SignIn {
        site: Site::of(asked, visitor),
        onward: onward.seal(asked.app, asked.tenant)?,
        app: request.map(|request| request.client_name.clone()),
        message: failed.map(|_| FAILED.to_owned()),
        username: failed.or(hint).unwrap_or_default().to_owned(),
        provider: provider.map(|provider| page::host(&provider.issuer).to_owned()),
    };
    let status = if failed.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut response = page::answer(status, &page, request.map(|request| request.redirect_uri.as_str()))?;
    visitor.remember(asked, &mut response);
    Ok(response)
}
