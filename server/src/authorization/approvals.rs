//! Approvals: what somebody lets an app do, and the code with which the app fetches its tokens.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use vitals_access::tenant::Tenant;
use vitals_store::{
    StoreError,
    authorization::{Approval, AuthorizationTx, Code, Refresh, SignedIn},
    control::revocations::RevocationKind,
};

use super::{
    Desk,
    revoke::{RevokeError, revoke},
    secrets,
};

/// A code is good for so long (ATTACKS O16).
const CODE: TimeDelta = TimeDelta::seconds(60);
/// Without refresh tokens nothing comes after the first access token, which lives an hour, and its code.
const ONCE: TimeDelta = TimeDelta::minutes(61);
/// What goes on while somebody is signed in goes on for a shift.
const ONLINE: TimeDelta = TimeDelta::hours(12);
/// What goes on until it is disconnected is asked about again after a year.
const OFFLINE: TimeDelta = TimeDelta::days(365);

/// The launch context of an approval (SMART App Launch 2.2, section 2.1.5): what the token endpoint answers beside a
/// token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The patient's logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The encounter's logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encounter: Option<String>,
    /// What the EHR wants the app to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Whether the app has to show who the patient is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need_patient_banner: Option<bool>,
    /// How the EHR looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smart_style_url: Option<String>,
    /// Further resources in context, as the EHR gave them.
    #[serde(rename = "fhirContext", skip_serializing_if = "Option::is_none")]
    pub fhir_context: Option<Value>,
    /// When the person signed in, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
}

/// What somebody approved, all of it checked.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The app.
    pub client: String,
    /// Where the code goes.
    pub redirect_uri: String,
    /// The PKCE challenge (S256).
    pub challenge: String,
    /// The `nonce` of the id_token.
    pub nonce: Option<String>,
    /// The DPoP key that alone may use the code.
    pub jkt: Option<String>,
    /// What is granted.
    pub scopes: Vec<String>,
    /// The launch context.
    pub context: Context,
    /// The handle of the EHR's launch, to be used up.
    pub launch: Option<String>,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum NotApproved {
    /// The launch is not this app's and this user's, or was used, or has ended.
    #[error("the launch is not known")]
    Launch,
    /// The database failed.
    #[error("cannot write the approval")]
    Store(#[from] StoreError),
}

/// Writes an approval down, uses the launch up, and gives the code.
pub async fn approve(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    by: &SignedIn,
    approved: &Approved,
) -> Result<String, NotApproved> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    if let Some(launch) = &approved.launch
        && tx.take_launch(&secrets::hash(launch), &approved.client, &by.account.id, now).await?.is_none()
    {
        tx.rollback().await?;
        return Err(NotApproved::Launch);
    }
    let code = write(&mut tx, by, approved, now).await?;
    tx.commit().await?;
    Ok(code)
}

async fn write(
    tx: &mut AuthorizationTx,
    by: &SignedIn,
    approved: &Approved,
    now: DateTime<Utc>,
) -> Result<String, StoreError> {
    let has = |scope: &str| approved.scopes.iter().any(|granted| granted == scope);
    let (refresh, life) = match (has("offline_access"), has("online_access")) {
        (true, _) => (Refresh::Offline, OFFLINE),
        (false, true) => (Refresh::Online, ONLINE),
        (false, false) => (Refresh::None, ONCE),
    };
    let context = serde_json::to_string(&approved.context)
        .map_err(|_| StoreError::Inconsistent { table: "approval", column: "context" })?;
    let approval = Approval {
        id: Uuid::new_v4().to_string(),
        client: approved.client.clone(),
        account: by.account.id.clone(),
        session: Some(by.session.id.clone()),
        scopes: approved.scopes.clone(),
        context,
        refresh,
        created: now,
        expires: now + life,
        ended: None,
    };
    tx.insert_approval(&approval).await?;
    let secret = secrets::generate();
    let code = Code {
        hash: secrets::hash(&secret),
        approval: approval.id,
        redirect_uri: approved.redirect_uri.clone(),
        challenge: approved.challenge.clone(),
        nonce: approved.nonce.clone(),
        jkt: approved.jkt.clone(),
        expires: now + CODE,
    };
    tx.insert_code(&code, now).await?;
    Ok(secret)
}

/// Ends an approval, if it is this account's: the app's tokens are refused from now on. False if there is none.
pub async fn end(desk: &Desk, tenant: &Arc<Tenant>, id: &str, account: &str) -> Result<bool, RevokeError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let found = tx.approval(id).await?.filter(|approval| approval.account == account);
    if found.is_none() || !tx.end_approval(id, desk.clock.now()).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await?;
    revoke(desk, tenant, RevocationKind::Approval, id).await?;
    Ok(true)
}
