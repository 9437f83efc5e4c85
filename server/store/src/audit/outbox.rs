//! The outboxes of tenants, as `vitals_settle`: the role that reads and empties them and reaches nothing else.

use sqlx::{Executor as _, PgConnection, Postgres, Row as _, postgres::PgArguments, query::Query};
use uuid::Uuid;
use vitals_access::{audit::AuditRecord, tenant::TenantRole};

use super::{AuditError, read::answer};
use crate::urls;

/// The removal of rows need not be on disk: a row that comes back is found to have been moved on, and removed again.
const SETTINGS: &str = "\
    SET synchronous_commit TO off; SET statement_timeout TO '3s'; SET lock_timeout TO '2s'; SET ROLE vitals_settle";

/// Schema and table are not there: the tenant was deleted.
const GONE: [&str; 2] = ["3F000", "42P01"];

/// Which rows of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Those of one writer.
    Of(i64),
    /// Those of any writer whose id is smaller: ids begin with the time they were made at.
    Before(Uuid),
    /// All.
    Any,
}

/// What an outbox held.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Records, oldest first.
    pub records: Vec<AuditRecord>,
    /// How many rows hold something that is no record. They stay.
    pub unreadable: usize,
}

impl Leftovers {
    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.unreadable == 0
    }
}

/// A session as `vitals_settle`. After an error that does not leave it usable it must be dropped.
pub struct OutboxSession {
    connection: PgConnection,
}

impl OutboxSession {
    /// Opens a session.
    pub async fn open(app_url: &str) -> Result<Self, AuditError> {
        let mut connection = urls::connect(app_url).await?;
        answer("outbox.settings", connection.execute(SETTINGS)).await?;
        Ok(Self { connection })
    }

    /// Removes records that the audit database has on disk. A tenant that is gone has none.
    pub async fn remove(&mut self, tenant: &TenantRole, ids: &[Uuid]) -> Result<u64, AuditError> {
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let query = of_tenant(Statement::Remove, tenant).bind(ids);
        match answer("outbox.remove", query.execute(&mut self.connection)).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) if error.refused_with(&GONE) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` records that wait in a tenant's outbox.
    pub async fn leftovers(
        &mut self,
        tenant: &TenantRole,
        which: Leftover,
        limit: u32,
    ) -> Result<Leftovers, AuditError> {
        let limit = i64::from(limit);
        let query = match which {
            Leftover::Of(writer) => of_tenant(Statement::OfWriter, tenant).bind(limit).bind(writer),
            Leftover::Before(id) => of_tenant(Statement::Before, tenant).bind(limit).bind(id.to_string()),
            Leftover::Any => of_tenant(Statement::Any, tenant).bind(limit),
        };
        let rows = match answer("outbox.leftovers", query.fetch_all(&mut self.connection)).await {
            Ok(rows) => rows,
            Err(error) if error.refused_with(&GONE) => return Ok(Leftovers::default()),
            Err(error) => return Err(error),
        };
        let mut found = Leftovers::default();
        for row in &rows {
            let id: &str = row.try_get("id").map_err(|_| AuditError::Inconsistent("id"))?;
            let text: &str = row.try_get("record").map_err(|_| AuditError::Inconsistent("record"))?;
            match serde_json::from_str::<AuditRecord>(text) {
                Ok(record) if record.id.to_string() == id => found.records.push(record),
                _ => found.unreadable += 1,
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Statement {
    Remove,
    OfWriter,
    Before,
    Any,
}

/// A statement over one tenant's outbox. It is not kept prepared: there may be thousands of tenants.
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the text is static but for the schema, whose name is a TenantRole: its form needs no quoting"
)]
fn of_tenant<'q>(statement: Statement, tenant: &TenantRole) -> Query<'q, Postgres, PgArguments> {
    let (before, after) = match statement {
        Statement::Remove => ("DELETE FROM ", " WHERE id = ANY($1::text[]::uuid[])"),
        Statement::OfWriter => ("SELECT id::text AS id, record FROM ", " WHERE writer = $2 ORDER BY id LIMIT $1"),
        Statement::Before => ("SELECT id::text AS id, record FROM ", " WHERE id < $2::text::uuid ORDER BY id LIMIT $1"),
        Statement::Any => ("SELECT id::text AS id, record FROM ", " ORDER BY id LIMIT $1"),
    };
    let text = format!("{before}\"{}\".audit_outbox AS waiting{after}", tenant.as_str());
    sqlx::query(sqlx::AssertSqlSafe(text)).persistent(false)
}
