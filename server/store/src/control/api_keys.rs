//! API keys of tenants: only their hashes stand here. Over a serving login's connection, which may add keys, end them
//! and note their use, and nothing else.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};
use vitals_access::{tenant::TenantRole, verifier::UsedKey};

use super::{
    ControlError,
    change::{self, Kind},
};

/// A key to be.
#[derive(Clone)]
pub struct NewRow {
    /// Its id, which is no secret.
    pub id: String,
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// Its name for people.
    pub name: String,
    /// What it may reach: scopes, separated by spaces.
    pub scopes: String,
    /// The patient it is confined to.
    pub patient: Option<String>,
    /// Who makes it.
    pub created_by: String,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// A key, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it may reach.
    pub scope: String,
    /// The patient it is confined to.
    pub patient: Option<String>,
    /// When it was made.
    pub created: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires: String,
    /// When it was used last, to the minute.
    pub last_used: Option<String>,
    /// When it was ended.
    pub revoked: Option<String>,
}

/// Writes a key down.
pub async fn create(
    conn: &mut PgConnection,
    role: &TenantRole,
    new: &NewRow,
    now: DateTime<Utc>,
) -> Result<ApiKeyRow, ControlError> {
    let failed = || ControlError::database("make an API key");
    let mut tx = conn.begin().await.map_err(failed())?;
    let row = sqlx::query(
        "INSERT INTO control.api_key (tenant, id, hash, name, scopes, patient, created, created_by, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING id, name, scopes, patient, created, created_by, expires, last_used, revoked",
    )
    .bind(role.as_str())
    .bind(&new.id)
    .bind(new.hash.as_slice())
    .bind(&new.name)
    .bind(&new.scopes)
    .bind(&new.patient)
    .bind(now)
    .bind(&new.created_by)
    .bind(new.expires)
    .fetch_one(&mut *tx)
    .await
    .map_err(failed())?;
    change::append(&mut tx, role.as_str(), Kind::ApiKey, &new.id, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    self::row(&row).map_err(failed())
}

/// The keys of a tenant, the newest first, those that ended among them.
pub async fn list(conn: &mut PgConnection, role: &TenantRole) -> Result<Vec<ApiKeyRow>, ControlError> {
    let failed = || ControlError::database("list API keys");
    let rows = sqlx::query(
        "SELECT id, name, scopes, patient, created, created_by, expires, last_used, revoked
         FROM control.api_key WHERE tenant = $1 ORDER BY created DESC, id",
    )
    .bind(role.as_str())
    .fetch_all(conn)
    .await
    .map_err(failed())?;
    rows.iter().map(|row| self::row(row).map_err(failed())).collect()
}

/// Ends the key of this id, or every key of the tenant; the answer is the ids of those that ended now.
pub async fn revoke(
    conn: &mut PgConnection,
    role: &TenantRole,
    id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<String>, ControlError> {
    let failed = || ControlError::database("end an API key");
    let mut tx = conn.begin().await.map_err(failed())?;
    let ended: Vec<String> = sqlx::query_scalar(
        "UPDATE control.api_key SET revoked = $3
         WHERE tenant = $1 AND ($2::text IS NULL OR id = $2) AND revoked IS NULL RETURNING id",
    )
    .bind(role.as_str())
    .bind(id)
    .bind(now)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    if !ended.is_empty() {
        change::append(&mut tx, role.as_str(), Kind::ApiKey, id.unwrap_or("*"), now).await.map_err(failed())?;
    }
    tx.commit().await.map_err(failed())?;
    Ok(ended)
}

/// Notes when keys were used last. No change of anybody's rights, so nothing in the log of changes.
pub async fn note_use(conn: &mut PgConnection, used: &[UsedKey]) -> Result<(), ControlError> {
    let tenants: Vec<&str> = used.iter().map(|key| key.tenant.as_str()).collect();
    let ids: Vec<&str> = used.iter().map(|key| key.id.as_str()).collect();
    let times: Vec<DateTime<Utc>> = used.iter().map(|key| key.at).collect();
    sqlx::query(
        "UPDATE control.api_key AS k SET last_used = greatest(k.last_used, u.at)
         FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u (tenant, id, at)
         WHERE k.tenant = u.tenant AND k.id = u.id",
    )
    .bind(tenants)
    .bind(ids)
    .bind(times)
    .execute(conn)
    .await
    .map(drop)
    .map_err(ControlError::database("note the use of API keys"))
}

fn row(row: &PgRow) -> Result<ApiKeyRow, sqlx::Error> {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    Ok(ApiKeyRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        scope: row.try_get("scopes")?,
        patient: row.try_get("patient")?,
        created: text(row.try_get("created")?),
        created_by: row.try_get("created_by")?,
        expires: text(row.try_get("expires")?),
        last_used: row.try_get::<Option<_>, _>("last_used")?.map(text),
        revoked: row.try_get::<Option<_>, _>("revoked")?.map(text),
    })
}
