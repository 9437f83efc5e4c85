//! The registry of tenants: list, show, suspend, resume. Making and deleting them stand in files of their own.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use vitals_access::tenant::{Tenant, TenantName, TenantRole, TenantStatus};

use super::{
    ControlError, begin,
    change::{self, Kind},
};
pub use super::{
    create::{Created, Isolation, NewTenant, create},
    delete::{Deleted, delete},
};
use crate::migrate::ddl;

/// A tenant as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantRow {
    /// Its name in addresses and tokens.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// `active` or `suspended`.
    pub status: String,
    /// How its data is kept apart.
    pub isolation: String,
    /// The tier its limits come from.
    pub tier: String,
    /// The version of its schema.
    pub version: i32,
    /// When it was made.
    pub created: String,
}

/// All tenants, by name.
pub async fn list(admin: &mut PgConnection) -> Result<Vec<TenantRow>, ControlError> {
    let failed = || ControlError::database("list the tenants");
    let mut tx = begin(admin).await.map_err(failed())?;
    let rows = sqlx::query(
        "SELECT name, display, status, isolation, tier, version, created FROM control.tenant ORDER BY name",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    rows.iter().map(|row| self::row(row).map_err(failed())).collect()
}

/// One tenant.
pub async fn show(admin: &mut PgConnection, name: &TenantName) -> Result<Option<TenantRow>, ControlError> {
    let failed = || ControlError::database("show a tenant");
    let mut tx = begin(admin).await.map_err(failed())?;
    let found = sqlx::query(
        "SELECT name, display, status, isolation, tier, version, created FROM control.tenant WHERE name = $1",
    )
    .bind(name.as_str())
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    found.map(|row| self::row(&row).map_err(failed())).transpose()
}

/// The tenant as the server knows it, for commands that work on its data.
pub async fn find(admin: &mut PgConnection, name: &TenantName) -> Result<Option<Tenant>, ControlError> {
    let failed = || ControlError::database("find a tenant");
    let mut tx = begin(admin).await.map_err(failed())?;
    let found = sqlx::query(
        "SELECT role, number, name, login, status, version, tier, display, created, settings
         FROM control.tenant WHERE name = $1",
    )
    .bind(name.as_str())
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    found.map(|row| tenant(&row)).transpose()
}

/// Has PostgreSQL look at what a tenant has. Before it has, as it does by itself a while after much was loaded, it reads
/// all of a table for a page of it: a search of 50 took 1.6 ms in 2,200 rows, and 0.7 ms then.
pub async fn analyze(admin: &mut PgConnection, role: &TenantRole) -> Result<(), ControlError> {
    let failed = || ControlError::database("gather statistics");
    let mut tx = begin(admin).await.map_err(failed())?;
    ddl::analyze(&mut tx, role).await.map_err(failed())?;
    tx.commit().await.map_err(failed())
}

/// Stops a tenant's tokens from being accepted. The answer is the number of the change, for
/// [`super::servers::caught_up`].
pub async fn suspend(admin: &mut PgConnection, name: &TenantName, now: DateTime<Utc>) -> Result<i64, ControlError> {
    set_status(admin, name, TenantStatus::Suspended, now).await
}

/// Lets a suspended tenant serve again.
pub async fn resume(admin: &mut PgConnection, name: &TenantName, now: DateTime<Utc>) -> Result<i64, ControlError> {
    set_status(admin, name, TenantStatus::Active, now).await
}

async fn set_status(
    admin: &mut PgConnection,
    name: &TenantName,
    status: TenantStatus,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("change the status of a tenant");
    let mut tx = begin(admin).await.map_err(failed())?;
    let role: Option<String> =
        sqlx::query_scalar("UPDATE control.tenant SET status = $2 WHERE name = $1 RETURNING role")
            .bind(name.as_str())
            .bind(status.name())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed())?;
    let role = role.ok_or_else(|| ControlError::Unknown(name.clone()))?;
    let seq = change::append(&mut tx, &role, Kind::Tenant, status.name(), now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// The role of a tenant, within a transaction that goes on to change what hangs on it.
pub(super) async fn role(conn: &mut PgConnection, name: &TenantName) -> Result<TenantRole, ControlError> {
    let role: Option<String> = sqlx::query_scalar("SELECT role FROM control.tenant WHERE name = $1 FOR KEY SHARE")
        .bind(name.as_str())
        .fetch_optional(conn)
        .await
        .map_err(ControlError::database("find a tenant"))?;
    role.ok_or_else(|| ControlError::Unknown(name.clone()))?
        .parse()
        .map_err(|_| ControlError::Inconsistent { table: "control.tenant", column: "role" })
}

fn row(row: &PgRow) -> Result<TenantRow, sqlx::Error> {
    Ok(TenantRow {
        id: row.try_get("name")?,
        name: row.try_get("display")?,
        status: row.try_get("status")?,
        isolation: row.try_get("isolation")?,
        tier: row.try_get("tier")?,
        version: row.try_get("version")?,
        created: row.try_get::<DateTime<Utc>, _>("created")?.to_rfc3339_opts(SecondsFormat::Millis, true),
    })
}

/// A row with the columns of [`Tenant`].
pub(super) fn tenant(row: &PgRow) -> Result<Tenant, ControlError> {
    let broken = |column| ControlError::Inconsistent { table: "control.tenant", column };
    let text = |column: &'static str| row.try_get::<&str, _>(column).map_err(|_| broken(column));
    Ok(Tenant {
        role: text("role")?.parse().map_err(|_| broken("role"))?,
        number: row.try_get("number").map_err(|_| broken("number"))?,
        name: text("name")?.parse().map_err(|_| broken("name"))?,
        login: row
            .try_get::<i16, _>("login")
            .ok()
            .and_then(|l| u16::try_from(l).ok())
            .ok_or_else(|| broken("login"))?,
        status: TenantStatus::named(text("status")?).ok_or_else(|| broken("status"))?,
        version: row.try_get("version").map_err(|_| broken("version"))?,
        tier: text("tier")?.to_owned(),
        display: text("display")?.to_owned(),
        created: row.try_get("created").map_err(|_| broken("created"))?,
        settings: serde_json::from_str(text("settings")?).map_err(|_| broken("settings"))?,
    })
}
