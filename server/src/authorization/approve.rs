//! Approving: a signed-in user lets an app do something, and the app gets a code for it.

use std::sync::Arc;

use chrono::TimeDelta;
use vitals_access::{scope, tenant::Tenant};
use vitals_store::{
    StoreError,
    authorization::{Approval, Code, Refresh},
};

use super::{
    Desk,
    context::{LaunchContext, NotTheirs, Patients},
    secrets,
};

/// A code is good for so long (O16; RFC 6749 recommends at most ten minutes, ASVS 10.4.3 one for such data).
const CODE_LIFE: TimeDelta = TimeDelta::seconds(60);
/// An approval without refresh tokens is of no use once its only access token has ended.
const ONCE: TimeDelta = TimeDelta::hours(2);
/// A session ends after so long at the latest, and what lives as long as it does too.
const SESSION: TimeDelta = TimeDelta::hours(12);
/// What was approved until it is disconnected stands for a year, and longer while it is used: each renewal gives its three
/// months.
const OFFLINE: TimeDelta = TimeDelta::days(365);

/// What a user approved.
#[derive(Clone, Debug)]
pub struct ApprovedRequest {
    /// The app's `client_id`.
    pub client: String,
    /// The user's account.
    pub account: String,
    /// The id of the session it was approved in.
    pub session: Option<String>,
    /// The scopes left ticked. They are cut once more to what the client may have and the user holds.
    pub scopes: Vec<String>,
    /// What the app is launched about. With a launch handle only `auth_time` of it counts.
    pub context: LaunchContext,
    /// The handle that an EHR launched the app with.
    pub launch: Option<String>,
    /// Where the code is sent.
    pub redirect_uri: String,
    /// The PKCE challenge (S256).
    pub challenge: String,
    /// The `nonce` of the request.
    pub nonce: Option<String>,
    /// The `dpop_jkt` of the request.
    pub jkt: Option<String>,
}

/// Why nothing is approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The app was revoked meanwhile, or changed its addresses.
    #[error("the client is not registered for this any more")]
    Client,
    /// The user was revoked meanwhile.
    #[error("the account does not serve any more")]
    Account,
    /// The launch is not this app's and this user's, or is over, or was used.
    #[error("the launch is not good")]
    Launch,
    /// The patient is not one of the user's.
    #[error(transparent)]
    Patient(#[from] NotTheirs),
    /// None of the scopes may be granted.
    #[error("none of the scopes may be granted")]
    Scope,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the approval down; the answer is its code.
pub async fn approve(desk: &Desk, tenant: &Arc<Tenant>, request: &ApprovedRequest) -> Result<String, ApproveError> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    let approved = async {
        let client = tx.client(&request.client).await?.filter(|client| client.revoked.is_none());
        let client = client.filter(|client| client.redirect_uris.contains(&request.redirect_uri));
        let client = client.ok_or(ApproveError::Client)?;
        let account = tx.account(&request.account).await?.filter(|account| account.revoked.is_none());
        let account = account.ok_or(ApproveError::Account)?;
        let mut context = match &request.launch {
            None => request.context.clone(),
            Some(handle) => {
                let launch = tx.take_launch(&secrets::hash(handle), &client.id, &account.id, now).await?;
                let stored = launch.and_then(|launch| LaunchContext::stored(&launch.context));
                stored.ok_or(ApproveError::Launch)?
            }
        };
        context.auth_time = request.context.auth_time;
        context.patient = Patients::of(&account).settle(context.patient.as_deref())?;
        let mut scopes = scope::grantable(&request.scopes, &client.scopes, &account.scopes);
        // Who is no FHIR resource cannot be told as one (SMART App Launch, "Scopes for requesting identity data").
        if account.fhir_user.is_none() {
            scopes.retain(|scope| scope != "fhirUser");
        }
        if scopes.is_empty() {
            return Err(ApproveError::Scope);
        }
        let (refresh, life) = lives(&scopes);
        let approval = Approval {
            id: uuid::Uuid::new_v4().to_string(),
            client: client.id,
            account: account.id,
            session: request.session.clone(),
            scopes,
            context: context.text(),
            refresh,
            created: now,
            expires: now + life,
            ended: None,
        };
        tx.insert_approval(&approval).await?;
        let secret = secrets::random();
        let code = Code {
            hash: secrets::hash(&secret),
            approval: approval.id,
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
            jkt: request.jkt.clone(),
            expires: now + CODE_LIFE,
        };
        tx.insert_code(&code, now).await?;
        Ok(secret)
    };
    match approved.await {
        Ok(secret) => {
            tx.commit().await?;
            Ok(secret)
        }
        Err(ApproveError::Store(error)) => Err(error.into()),
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

fn lives(scopes: &[String]) -> (Refresh, TimeDelta) {
    let asked = |word: &str| scopes.iter().any(|scope| scope == word);
    if asked("offline_access") {
        (Refresh::Offline, OFFLINE)
    } else if asked("online_access") {
        (Refresh::Online, SESSION)
    } else {
        (Refresh::None, ONCE)
    }
}
