//! Keys for development: made, shown once, listed, ended. Whether one is taken is judged by the verifier.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use vitals_access::{api_key::NewApiKey, tenant::Tenant};
use vitals_store::{
    Connection,
    control::{
        ControlError,
        api_keys::{self, ApiKeyRow, NewRow},
        poll::Stale,
    },
    urls::{self, ConnectError},
};

use super::Desk;

/// A key to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name for people.
    pub name: String,
    /// Its scopes, separated by spaces.
    pub scope: String,
    /// The patient its `patient/` scopes are confined to.
    pub patient: Option<String>,
    /// How long it is good for.
    pub lifetime: TimeDelta,
    /// Who makes it.
    pub created_by: String,
}

/// A key that was made.
pub struct Made {
    /// What is kept of it.
    pub row: ApiKeyRow,
    /// The key itself: shown once.
    pub key: String,
}

/// Why a key is not made or ended.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// Its name is not a line.
    #[error("the name of a key is a line of 1 to 100 characters")]
    Name,
    /// The database is away.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The control schema was not changed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It is written down; this server could not read it yet.
    #[error(transparent)]
    Stale(#[from] Stale),
}

/// Makes a key.
pub async fn create(desk: &Desk, tenant: &Arc<Tenant>, new: NewKey) -> Result<Made, ApiKeyError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(ApiKeyError::Name);
    }
    let key = NewApiKey::generate();
    let now = desk.clock.now();
    let row = NewRow {
        id: uuid::Uuid::new_v4().to_string(),
        hash: key.hash,
        name: name.to_owned(),
        scopes: new.scope,
        patient: new.patient,
        created_by: new.created_by,
        expires: now.checked_add_signed(new.lifetime).unwrap_or(DateTime::<Utc>::MAX_UTC),
    };
    let mut conn = urls::connect(&desk.urls.app).await?;
    let row = api_keys::create(&mut conn, &tenant.role, &row, now).await?;
    desk.feed.catch_up().await?;
    Ok(Made { row, key: key.text })
}

/// The keys of a tenant, those that ended among them.
pub async fn list(desk: &Desk, tenant: &Arc<Tenant>) -> Result<Vec<ApiKeyRow>, ApiKeyError> {
    let mut conn = urls::connect(&desk.urls.app).await?;
    Ok(api_keys::list(&mut conn, &tenant.role).await?)
}

/// Ends a key; false where there is none that could still end.
pub async fn revoke(desk: &Desk, tenant: &Arc<Tenant>, id: &str) -> Result<bool, ApiKeyError> {
    let mut conn = urls::connect(&desk.urls.app).await?;
    let ended = api_keys::revoke(&mut conn, &tenant.role, Some(id), desk.clock.now()).await?;
    desk.feed.catch_up().await?;
    Ok(!ended.is_empty())
}

/// Ends every key of a tenant; the answer is their ids.
pub(super) async fn revoke_all(
    conn: &mut Connection,
    tenant: &Tenant,
    now: DateTime<Utc>,
) -> Result<Vec<String>, ControlError> {
    api_keys::revoke(conn, &tenant.role, None, now).await
}
