//! Work on a tenant's behalf without a token, such as an import from the command line. The row is the authority: who
//! may write it may act as it says, and nobody acts without one.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;
use vitals_access::{
    access::{JobTicket, StoredJob},
    tenant::Tenant,
};

use super::{ControlError, tenants};

/// A job to be.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Its id, a UUID v7.
    pub id: Uuid,
    /// The tenant it works for.
    pub tenant: &'a Tenant,
    /// What it does, such as `import`.
    pub kind: &'a str,
    /// On whose behalf.
    pub subject: &'a str,
    /// What it may reach: scopes, separated by spaces.
    pub scopes: &'a str,
}

/// Writes a job down and gives the right to act as it.
pub async fn open(conn: &mut PgConnection, job: &NewJob<'_>, now: DateTime<Utc>) -> Result<JobTicket, ControlError> {
    sqlx::query("INSERT INTO control.job (id, tenant, kind, subject, scopes, created) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(job.id)
        .bind(job.tenant.role.as_str())
        .bind(job.kind)
        .bind(job.subject)
        .bind(job.scopes)
        .bind(now)
        .execute(&mut *conn)
        .await
        .map_err(ControlError::database("write a job down"))?;
    resume(conn, job.id).await?.ok_or(ControlError::Inconsistent { table: "control.job", column: "id" })
}

/// The right to go on with a job that is written down and not finished.
pub async fn resume(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobTicket>, ControlError> {
    let row = sqlx::query(
        "SELECT j.kind, j.subject, j.scopes, j.created AS job_created,
                t.role, t.number, t.name, t.login, t.status, t.version, t.tier, t.display, t.created, t.settings
         FROM control.job AS j JOIN control.tenant AS t ON t.role = j.tenant
         WHERE j.id = $1 AND j.finished IS NULL",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
    .map_err(ControlError::database("read a job"))?;
    let Some(row) = row else { return Ok(None) };
    let broken = |column| move |_| ControlError::Inconsistent { table: "control.job", column };
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the rows which are a job's authority")]
    let ticket = JobTicket::from_stored_row(StoredJob {
        id,
        tenant: Arc::new(tenants::tenant(&row)?),
        kind: row.try_get("kind").map_err(broken("kind"))?,
        subject: row.try_get("subject").map_err(broken("subject"))?,
        scopes: row.try_get("scopes").map_err(broken("scopes"))?,
        created: row.try_get("job_created").map_err(broken("created"))?,
    });
    Ok(Some(ticket))
}

/// Writes down that a job is done; it can be resumed no more.
pub async fn finish(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), ControlError> {
    sqlx::query("UPDATE control.job SET finished = $2 WHERE id = $1 AND finished IS NULL")
        .bind(id)
        .bind(now)
        .execute(conn)
        .await
        .map(drop)
        .map_err(ControlError::database("finish a job"))
}

/// Holds a job, or what it works on, for as long as the connection lives, so that no two processes work on it; false if
/// another one does. A process that was killed lets go of it as soon as the database notices.
pub async fn hold(conn: &mut PgConnection, tenant: &Tenant, id: Uuid) -> Result<bool, ControlError> {
    // The last 32 bits of a UUID v7 are chance.
    let [.., a, b, c, d] = id.into_bytes();
    sqlx::query_scalar("SELECT pg_catalog.pg_try_advisory_lock($1, $2)")
        .bind(tenant.number)
        .bind(i32::from_be_bytes([a, b, c, d]))
        .fetch_one(conn)
        .await
        .map_err(ControlError::database("see whether somebody works on a job"))
}

/// Writes down that a tenant's jobs of a kind are done that nobody holds: their processes were killed. Whoever begins such
/// a job must hold it before it is written down.
pub async fn finish_abandoned(
    conn: &mut PgConnection,
    tenant: &Tenant,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<(), ControlError> {
    let open: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM control.job WHERE tenant = $1 AND kind = $2 AND finished IS NULL")
            .bind(tenant.role.as_str())
            .bind(kind)
            .fetch_all(&mut *conn)
            .await
            .map_err(ControlError::database("read the jobs of a tenant"))?;
    for id in open {
        if hold(conn, tenant, id).await? {
            finish(conn, id, now).await?;
        }
    }
    Ok(())
}
