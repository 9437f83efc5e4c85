//! The browser behind a request to the pages: who is signed in at it, and whether a form is one we gave it.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{HeaderMap, StatusCode, header},
};
use vitals_access::tenant::Tenant;
use vitals_store::authorization::{Account, SignedIn};

use super::{
    Asked, OauthError,
    cookie::{self, Cookie},
    form::Form,
};
use crate::{
    authorization::{
        secrets,
        sessions::{self, Look},
    },
    state::App,
};

/// The purpose of the key that forms are known by.
const PURPOSE: &str = "page-form";
/// Characters of a secret of ours.
const SECRET: usize = 43;

/// A browser.
pub(super) struct Visitor {
    /// Who is signed in.
    pub(super) signed_in: Option<SignedIn>,
    session: Option<String>,
    visit: Option<String>,
    is_new: bool,
}

impl Visitor {
    /// Looks who it is, and notes it in the record. That counts as doing something.
    pub(super) async fn of(asked: &mut Asked<'_>) -> Result<Self, OauthError> {
        Self::looked(asked, Look::Acts).await
    }

    /// The same for a page that its browser loads by itself when time is up.
    pub(super) async fn waiting(asked: &mut Asked<'_>) -> Result<Self, OauthError> {
        Self::looked(asked, Look::Waits).await
    }

    async fn looked(asked: &mut Asked<'_>, look: Look) -> Result<Self, OauthError> {
        let (app, tenant, headers) = (asked.app, asked.tenant, &asked.incoming.headers);
        let session = Cookie::Session.read(app, tenant, headers);
        let signed_in = match &session {
            Some(secret) => sessions::find(&app.desk, tenant, secret, look).await?,
            None => None,
        };
        let visit = Cookie::Visit.read(app, tenant, headers).filter(|visit| visit.len() == SECRET);
        if let Some(signed_in) = &signed_in {
            note(asked, &signed_in.account);
        }
        let is_new = visit.is_none() && signed_in.is_none();
        Ok(Self { signed_in, session, visit: if is_new { Some(secrets::random()) } else { visit }, is_new })
    }

    /// Who is signed in, as pages address them.
    pub(super) fn person(&self) -> Option<&str> {
        self.signed_in.as_ref().map(|signed_in| signed_in.account.name.as_str())
    }

    /// What each form of a page for this browser carries.
    pub(super) fn form_token(&self, app: &App, tenant: &Tenant) -> String {
        let secret = if self.signed_in.is_some() { &self.session } else { &self.visit };
        URL_SAFE_NO_PAD.encode(token(app, tenant, secret.as_deref().unwrap_or_default()))
    }

    /// Refuses a form that is not from a page of ours at this browser (U02).
    pub(super) fn check(&self, asked: &Asked<'_>, form: &Form) -> Result<(), OauthError> {
        let sent = form.get("form").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
        let ours = |secret: &String| hmac::verify(&key(asked.app), &message(asked.tenant, secret), &sent).is_ok();
        let known = self.session.iter().chain(&self.visit).any(ours);
        if known && is_from_here(asked.app, &asked.incoming.headers) {
            return Ok(());
        }
        Err(OauthError::named(
            StatusCode::FORBIDDEN,
            "invalid_request",
            "This form does not come from a page of this site at this browser. Cookies may be off, or the page is old.",
        ))
    }

    /// Sets the cookie that a page's forms need.
    pub(super) fn remember(&self, asked: &Asked<'_>, response: &mut Response) {
        let set = self.visit.as_ref().filter(|_| self.is_new);
        if let Some(line) = set.and_then(|visit| Cookie::Visit.set(asked.app, asked.tenant, visit)) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
}

/// Notes in the record who somebody is that is known here.
pub(super) fn note(asked: &mut Asked<'_>, account: &Account) {
    asked.record.issuer = Some(asked.app.desk.issuer(asked.tenant));
    asked.record.subject = Some(account.id.clone());
    asked.record.acting_tenant = Some(asked.tenant.name.to_string());
}

/// Signs somebody in at this browser, whoever was before: the answer carries their cookie.
pub(super) async fn sign_in(
    asked: &mut Asked<'_>,
    account: &Account,
    response: &mut Response,
) -> Result<(), OauthError> {
    let (app, tenant) = (asked.app, Arc::clone(asked.tenant));
    note(asked, account);
    let secret = sessions::begin(&app.desk, &tenant, account, asked.incoming.address).await?;
    let lines = [Cookie::Session.set(app, &tenant, &secret), Cookie::Visit.clear(app, &tenant)];
    for line in lines.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(())
}

fn key(app: &App) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &app.master_key.derive(PURPOSE))
}

fn message(tenant: &Tenant, secret: &str) -> Vec<u8> {
    format!("{} {secret}", tenant.role).into_bytes()
}

fn token(app: &App, tenant: &Tenant, secret: &str) -> Vec<u8> {
    hmac::sign(&key(app), &message(tenant, secret)).as_ref().to_vec()
}

/// Whether a browser says that a page of ours sent this; one that says nothing is old, and has the form's token.
fn is_from_here(app: &App, headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    says("origin").is_none_or(|origin| origin == cookie::origin(app))
        && says("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}
