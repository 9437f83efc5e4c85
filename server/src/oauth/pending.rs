//! What somebody was about when they had to sign in, choose or consent first. It travels with the pages, sealed, so that
//! nothing is kept for visitors who are not signed in.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use vitals_access::tenant::Tenant;

use super::{OauthError, request::AuthorizationRequest};
use crate::state::App;

const PURPOSE: &str = "authorization-request";
/// Time to find a password and to read a page of consent.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(10);
/// Longest text that is opened; a request has at most a few parameters of 2 kB each.
const LONGEST: usize = 14_000;

/// Where somebody goes on to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Onward {
    /// An app's request.
    Authorize(Box<Pending>),
    /// Their connected apps.
    Manage,
}

/// An app's request on its way through the pages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The request, checked.
    pub(super) request: AuthorizationRequest,
    /// When it came, in milliseconds since 1970.
    since: i64,
    /// The patient that was chosen for it.
    pub(super) chosen: Option<Chosen>,
}

/// A patient somebody chose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chosen {
    /// The account of who chose: nobody else's choice counts.
    pub(super) account: String,
    /// The patient's logical id.
    pub(super) patient: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    onward: Onward,
    until: i64,
}

impl Pending {
    /// A request that has just come.
    pub(super) fn new(request: AuthorizationRequest, now: DateTime<Utc>) -> Self {
        Self { request, since: now.timestamp_millis(), chosen: None }
    }

    /// Whether somebody who signed in then signed in as recently as the app asks.
    pub(super) fn takes_sign_in_of(&self, created: DateTime<Utc>) -> bool {
        let oldest = self.request.max_age.map(|age| self.since.saturating_sub(age.saturating_mul(1_000)));
        let login = self.request.prompt.login.then_some(self.since);
        oldest.max(login).is_none_or(|oldest| created.timestamp_millis() >= oldest)
    }
}

impl Onward {
    /// As a text for this tenant's pages.
    pub(super) fn seal(&self, app: &App, tenant: &Tenant) -> Result<String, OauthError> {
        let sealed = Sealed { onward: self.clone(), until: (app.clock.now() + GOOD_FOR).timestamp_millis() };
        let plain = serde_json::to_vec(&sealed).map_err(|_| OauthError::internal())?;
        let text = app.master_key.seal(PURPOSE, tenant.role.as_str().as_bytes(), &plain);
        let text = URL_SAFE_NO_PAD.encode(text.map_err(|_| OauthError::internal())?);
        if text.len() > LONGEST {
            return Err(OauthError::invalid_request("The request is too long."));
        }
        Ok(text)
    }

    /// Opens the text of a page.
    pub(super) fn open(app: &App, tenant: &Tenant, text: &str) -> Result<Self, OauthError> {
        let opened = || -> Option<Self> {
            let sealed = URL_SAFE_NO_PAD.decode(text).ok().filter(|_| text.len() <= LONGEST)?;
            let plain = app.master_key.open(PURPOSE, tenant.role.as_str().as_bytes(), &sealed).ok()?;
            let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
            (sealed.until > app.clock.now().timestamp_millis()).then_some(sealed.onward)
        };
        opened().ok_or_else(|| {
            OauthError::invalid_request("This page is too old, or was changed. Go back to the app and begin again.")
        })
    }

    /// The address where it goes on.
    pub(super) fn address(&self, app: &App, tenant: &Tenant) -> Result<String, OauthError> {
        let base = app.desk.issuer(tenant);
        match self {
            Self::Manage => Ok(format!("{base}/manage")),
            Self::Authorize(_) => Ok(format!("{base}/authorize?resume={}", self.seal(app, tenant)?)),
        }
    }
}
