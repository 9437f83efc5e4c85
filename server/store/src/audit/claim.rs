//! The claim of a living writer, and its list of tenants that may hold records it has not moved on yet.
//!
//! The claim is an advisory lock on the writer's number, held by a session in the control database for as long as the
//! process lives. It is taken shared: a writer whose connection broke claims again at once, while the database may
//! not have noticed the end of the first session yet. Nobody takes it otherwise; others look at `pg_locks`.

use std::{str::FromStr as _, time::Duration};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use vitals_access::tenant::TenantRole;

use super::{AuditError, read::answer};
use crate::urls;

/// Long enough to see a broken connection within a few seconds, and no wait here is longer than that anyway.
const SETTINGS: &str = "SET statement_timeout TO '3s'; SET lock_timeout TO '2s'";

const MARK: &str = "\
    INSERT INTO control.unsettled (writer, tenant) SELECT $1, tenant FROM UNNEST($2::text[]) AS marked (tenant) \
    ON CONFLICT DO NOTHING";

const UNMARK: &str = "DELETE FROM control.unsettled WHERE writer = $1 AND tenant = $2";

/// The lists of writers whose claim nobody holds. The lock of a 64-bit key shows as two halves; `objsubid` 1 tells it
/// from a pair of 32-bit keys.
const LIST: &str = "\
    SELECT listed.writer, listed.tenant FROM control.unsettled AS listed \
    WHERE listed.writer <> $1 AND NOT EXISTS (\
        SELECT FROM pg_catalog.pg_locks AS held \
        WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1 \
            AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
            AND held.classid = (listed.writer >> 32)::oid AND held.objid = (listed.writer & 4294967295)::oid) \
    ORDER BY listed.writer, listed.tenant";

/// A tenant that may hold records of a writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unsettled {
    /// The writer.
    pub writer: i64,
    /// The tenant.
    pub tenant: TenantRole,
}

/// The session that holds a writer's claim. After an error it must be dropped and another one opened.
pub struct Claim {
    connection: PgConnection,
    writer: i64,
}

impl Claim {
    /// How often to call [`Claim::ping`]: with the time an answer may take, a living writer knows of a broken session
    /// well before others believe it dead.
    pub const PING_EVERY: Duration = Duration::from_secs(1);
    /// How long a claim must be missing before the writer's list may be taken away. Its records may be moved on
    /// before: that is safe even while it lives.
    pub const BELIEVED_DEAD: Duration = Duration::from_secs(8);

    /// Opens a session that looks at claims without holding one.
    pub async fn look(app_url: &str) -> Result<Self, AuditError> {
        let mut connection = urls::connect(app_url).await?;
        answer("claim.settings", connection.execute(SETTINGS)).await?;
        Ok(Self { connection, writer: 0 })
    }

    /// Claims a writer number.
    pub async fn hold(app_url: &str, writer: i64) -> Result<Self, AuditError> {
        let mut claim = Self::look(app_url).await?;
        let query = sqlx::query("SELECT pg_catalog.pg_advisory_lock_shared($1)").bind(writer);
        answer("claim.hold", query.execute(&mut claim.connection)).await?;
        claim.writer = writer;
        Ok(claim)
    }

    /// Asks for a sign of life.
    pub async fn ping(&mut self) -> Result<(), AuditError> {
        answer("claim.ping", self.connection.ping()).await
    }

    /// Notes that these tenants may hold records of this writer. Committed when it returns.
    pub async fn mark(&mut self, tenants: &[TenantRole]) -> Result<(), AuditError> {
        let roles: Vec<&str> = tenants.iter().map(TenantRole::as_str).collect();
        let query = sqlx::query(MARK).bind(self.writer).bind(roles);
        answer("unsettled.mark", query.execute(&mut self.connection)).await.map(drop)
    }

    /// Takes a tenant off a writer's list.
    pub async fn unmark(&mut self, unsettled: &Unsettled) -> Result<(), AuditError> {
        let query = sqlx::query(UNMARK).bind(unsettled.writer).bind(unsettled.tenant.as_str());
        answer("unsettled.unmark", query.execute(&mut self.connection)).await.map(drop)
    }

    /// The lists of all other writers that hold no claim.
    pub async fn of_dead(&mut self) -> Result<Vec<Unsettled>, AuditError> {
        let rows =
            answer("unsettled.list", sqlx::query(LIST).bind(self.writer).fetch_all(&mut self.connection)).await?;
        rows.iter()
            .map(|row| {
                let tenant: &str = row.try_get("tenant").map_err(|_| AuditError::Inconsistent("tenant"))?;
                Ok(Unsettled {
                    writer: row.try_get("writer").map_err(|_| AuditError::Inconsistent("writer"))?,
                    tenant: TenantRole::from_str(tenant).map_err(|_| AuditError::Inconsistent("tenant"))?,
                })
            })
            .collect()
    }
}
