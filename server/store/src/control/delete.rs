//! Deleting a tenant: first it is suspended, so that servers stop using it, then everything of it goes in one
//! transaction. Killed between the two, it stays suspended, and the command can be given again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use vitals_access::tenant::{TenantName, TenantRole};

use super::{
    ControlError, begin,
    change::{self, Kind},
    servers, tenants,
};
use crate::migrate::{Scope, ddl};

/// How long the drop waits for a lock on one of the tenant's tables.
const LOCK_MS: u32 = 1_000;
/// Attempts at the locks, or at an outbox that a server is still emptying.
const ATTEMPTS: u32 = 20;
/// The pause between them. All in all a suspended tenant's last requests, of 60 s at most, are not waited for: the
/// command can be repeated.
const PAUSE: Duration = Duration::from_millis(150);

/// A tenant that is gone.
#[derive(Clone, Copy, Debug)]
pub struct Deleted {
    /// The number of the change, for [`super::servers::caught_up`].
    pub seq: i64,
}

/// Deletes a tenant with everything it holds. `confirm` has to repeat its name.
pub async fn delete(
    admin: &mut PgConnection,
    name: &TenantName,
    confirm: &str,
    now: DateTime<Utc>,
) -> Result<Deleted, ControlError> {
    if confirm != name.as_str() {
        return Err(ControlError::NotConfirmed(name.clone()));
    }
    let suspended = tenants::suspend(admin, name, now).await?;
    // Requests that still come in then meet a suspension, not a schema that is going. Who does not read it in time is
    // cut off, and refuses on its own. As the owner: an administrator need not have rights of its own here.
    let failed = || ControlError::database("wait for the servers that run");
    let mut tx = begin(admin).await.map_err(failed())?;
    servers::caught_up(&mut tx, suspended, now).await?;
    tx.commit().await.map_err(failed())?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match remove(admin, name, now).await {
            Err(ControlError::Unsettled { .. } | ControlError::InUse(_)) if attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn remove(admin: &mut PgConnection, name: &TenantName, now: DateTime<Utc>) -> Result<Deleted, ControlError> {
    let failed = || ControlError::database("delete a tenant");
    let in_use = |error: sqlx::Error| match ControlError::state(&error).0.as_str() {
        "55P03" | "40P01" => ControlError::InUse(name.clone()),
        _ => ControlError::database("drop the schema of a tenant")(error),
    };
    let mut tx = begin(admin).await.map_err(failed())?;
    let found: Option<(String, i32, i16)> =
        sqlx::query_as("SELECT role, number, login FROM control.tenant WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed())?;
    let (role, number, login) = found.ok_or_else(|| ControlError::Unknown(name.clone()))?;
    let role: TenantRole =
        role.parse().map_err(|_| ControlError::Inconsistent { table: "control.tenant", column: "role" })?;

    // Waits for a migration step of this tenant, and keeps the next one out.
    ddl::bound_locks(&mut tx, LOCK_MS).await.map_err(failed())?;
    Scope::Tenant { role: role.clone(), number }.lock(&mut tx).await.map_err(in_use)?;
    lock_outbox(&mut tx, &role, name, in_use).await?;
    ddl::drop_schema(&mut tx, &role).await.map_err(in_use)?;
    forget(&mut tx, &role, login, now).await.map_err(in_use)?;
    let seq = change::append(&mut tx, role.as_str(), Kind::Tenant, "deleted", now).await.map_err(in_use)?;
    tx.commit().await.map_err(failed())?;
    Ok(Deleted { seq })
}

/// Makes sure that no audit record is dropped with the schema: the writes they tell of did happen.
async fn lock_outbox(
    conn: &mut PgConnection,
    role: &TenantRole,
    name: &TenantName,
    in_use: impl Fn(sqlx::Error) -> ControlError,
) -> Result<(), ControlError> {
    if !ddl::has_outbox(conn, role).await.map_err(&in_use)? {
        return Ok(());
    }
    ddl::lock_outbox(conn, role).await.map_err(&in_use)?;
    match ddl::count_outbox(conn, role).await.map_err(in_use)? {
        0 => Ok(()),
        records => Err(ControlError::Unsettled { tenant: name.clone(), records }),
    }
}

/// Rows in the control schema. Keys, revocations and jobs go with the registry's row.
async fn forget(conn: &mut PgConnection, role: &TenantRole, login: i16, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let role = role.as_str();
    sqlx::query(
        "DELETE FROM control.issuer AS i
         WHERE EXISTS (SELECT FROM control.issuer_tenant AS a WHERE a.issuer = i.url AND a.tenant = $1)
           AND NOT EXISTS (SELECT FROM control.issuer_tenant AS b WHERE b.issuer = i.url AND b.tenant <> $1)",
    )
    .bind(role)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM control.unsettled WHERE tenant = $1").bind(role).execute(&mut *conn).await?;
    sqlx::query("DELETE FROM control.tenant WHERE role = $1").bind(role).execute(&mut *conn).await?;
    sqlx::query("DELETE FROM control.migration WHERE scope = 'tenant' AND tenant = $1")
        .bind(role)
        .execute(&mut *conn)
        .await?;
    // The role itself goes with the next batch: dropping one has every connection look up its memberships again.
    sqlx::query("INSERT INTO control.spare_role (role, login, state, created) VALUES ($1, $2, 'discarded', $3)")
        .bind(role)
        .bind(login)
        .bind(now)
        .execute(conn)
        .await
        .map(drop)
}
