//! Tenant roles, made ahead in batches: making one, or granting it, has every connection of the server look up its
//! memberships again (3 ms with 1,000 of them), so that must not happen with each new tenant.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::TenantRole;

use super::ControlError;
use crate::migrate::ddl;

/// Roles made at a time.
const BATCH: i64 = 200;
/// A new batch is made when fewer are left.
const SPARE_LEAST: i64 = 20;
/// Memberships of one login role: the first SET ROLE after a change costs 3 ms with 1,000, 50 ms with 5,000.
pub(super) const MEMBERSHIPS_MOST: i64 = 1_000;

/// Makes a batch of roles when few are left. Several commands at once make one.
pub async fn replenish(admin: &mut PgConnection, now: DateTime<Utc>) -> Result<(), ControlError> {
    let failed = || ControlError::database("make roles for tenants");
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    sqlx::query("SELECT pg_advisory_xact_lock(7311, 2)").execute(&mut *tx).await.map_err(failed())?;
    let spare: i64 = sqlx::query_scalar("SELECT count(*) FROM control.spare_role WHERE state = 'spare'")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed())?;
    if spare >= SPARE_LEAST {
        return Ok(());
    }
    let logins = logins(&mut tx).await.map_err(failed())?;
    if logins.is_empty() {
        return Err(ControlError::NotSetUp);
    }
    let mut wanted = BATCH;
    for login in &logins {
        let count = wanted.min(login.room);
        if count > 0 {
            make(&mut tx, login, count, now).await.map_err(failed())?;
            wanted -= count;
        }
    }
    // Fewer than a batch is no failure while there is a role for the tenant that is to be made.
    if wanted == BATCH && spare == 0 {
        return Err(ControlError::Full(MEMBERSHIPS_MOST));
    }
    tx.commit().await.map_err(failed())
}

/// A login role, and how many more tenants it may have.
struct Login {
    slot: i16,
    name: String,
    room: i64,
}

async fn logins(conn: &mut PgConnection) -> Result<Vec<Login>, sqlx::Error> {
    let rows: Vec<(i16, String, i64)> = sqlx::query_as(
        "SELECT l.slot, l.name,
                $1 - (SELECT count(*) FROM control.tenant t WHERE t.login = l.slot)
                   - (SELECT count(*) FROM control.spare_role s WHERE s.login = l.slot)
         FROM control.login_role AS l
         ORDER BY l.slot",
    )
    .bind(MEMBERSHIPS_MOST)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(slot, name, room)| Login { slot, name, room }).collect())
}

async fn make(conn: &mut PgConnection, login: &Login, count: i64, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let roles: Vec<TenantRole> = (0..count).map(|_| TenantRole::generate()).collect();
    ddl::become_admin(conn).await?;
    ddl::create_roles(conn, &roles, &login.name).await?;
    ddl::become_owner(conn).await?;
    let names: Vec<&str> = roles.iter().map(TenantRole::as_str).collect();
    sqlx::query(
        "INSERT INTO control.spare_role (role, login, created) SELECT role, $2, $3 FROM unnest($1::text[]) AS role",
    )
    .bind(names)
    .bind(login.slot)
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
}

/// Drops the roles of deleted tenants, all at once. The answer is how many there were. A role that cannot be dropped
/// yet stays for the next time.
pub async fn drop_discarded(admin: &mut PgConnection) -> Result<usize, ControlError> {
    let failed = || ControlError::database("drop roles of deleted tenants");
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    let names: Vec<String> =
        sqlx::query_scalar("DELETE FROM control.spare_role WHERE state = 'discarded' RETURNING role")
            .fetch_all(&mut *tx)
            .await
            .map_err(failed())?;
    if names.is_empty() {
        return Ok(0);
    }
    let roles: Vec<TenantRole> = names
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| ControlError::Inconsistent { table: "control.spare_role", column: "role" })?;
    ddl::become_admin(&mut tx).await.map_err(failed())?;
    ddl::drop_roles(&mut tx, &roles).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(roles.len())
}
