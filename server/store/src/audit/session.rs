//! The connection that adds records: one insert in flight, and a way to have all of them on disk.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;

use super::{AuditError, Durability, row::Row};
use crate::urls;

/// How long an insert may take before its connection is given up; a caller waits five seconds in all. Where it can,
/// the database gives up first (the settings below), so that no insert goes on without us.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

const PROMPT: &str = "SET synchronous_commit TO off; SET statement_timeout TO '3s'; SET lock_timeout TO '2s'";
/// No statement timeout: it would also end the wait for a synchronous standby, and call that success.
const STRICT: &str = "SET synchronous_commit TO on; SET statement_timeout TO 0; SET lock_timeout TO '2s'";

const INSERT: &str = "\
    INSERT INTO audit.record (chain, writer, sequence, id, time, record, previous, hash, keys) \
    SELECT chain, $1, sequence, id::uuid, time, record, previous, hash, keys::bigint[] \
    FROM UNNEST($2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[], $7::bytea[], $8::bytea[], $9::text[]) \
        AS batch (chain, sequence, id, time, record, previous, hash, keys)";

/// Commits a transaction that wrote to the log, and waits until that is on disk; with it everything before it is.
/// A transaction that wrote nothing would not wait, and there is nothing this role may write but records; a message
/// for logical decoders, of which there are none, is what the log takes from anybody.
const FLUSH: &str = "\
    BEGIN; SET LOCAL synchronous_commit TO on; SET LOCAL statement_timeout TO 0; \
    SELECT pg_catalog.pg_logical_emit_message(true, 'vitals', 'audit'); COMMIT";

const PROBE: &str = "\
    INSERT INTO audit.record (chain, writer, sequence, id, time, record, previous, hash) \
    VALUES ('server', 0, 0, pg_catalog.gen_random_uuid(), $1, '', pg_catalog.sha256(''), pg_catalog.sha256(''))";

/// The text of an array: UNNEST takes an array of arrays apart to its very elements.
fn array(keys: &[i64]) -> String {
    let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
    format!("{{{}}}", keys.join(","))
}

/// How an insert failed.
pub(crate) enum InsertError {
    /// One of the ids, or of the places in a chain, is taken. Nothing was written.
    Taken,
    /// One of the rows can never be stored. Nothing was written.
    Unfit(AuditError),
    /// The database said no. Nothing was written.
    Refused(AuditError),
    /// Whether the rows were written is not known. The session must be dropped.
    Unknown(AuditError),
}

/// A session as `vitals_audit_write`.
pub(crate) struct WriteSession {
    connection: PgConnection,
}

impl WriteSession {
    pub(crate) async fn open(url: &str, durability: Durability) -> Result<Self, AuditError> {
        let mut connection = urls::connect(url).await?;
        let settings = match durability {
            Durability::Prompt => PROMPT,
            Durability::Strict => STRICT,
        };
        answer("audit.settings", connection.execute(settings)).await?;
        Ok(Self { connection })
    }

    /// Inserts the rows, all or none.
    pub(crate) async fn insert(&mut self, writer: i64, rows: &[&Row]) -> Result<(), InsertError> {
        let query = sqlx::query(INSERT)
            .bind(writer)
            .bind(rows.iter().map(|row| row.chain.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.sequence).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.time).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.record.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.previous.as_slice()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.hash.as_slice()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| array(&row.keys)).collect::<Vec<_>>());
        match answer("audit.append", query.execute(&mut self.connection)).await {
            Ok(_) => Ok(()),
            Err(error) if error.refused_with(&["23505"]) => Err(InsertError::Taken),
            // Bad data, a constraint, a row too large for a page, a time without a partition.
            Err(error) if error.refused_with(&["22", "23", "54"]) => Err(InsertError::Unfit(error)),
            Err(error) if error.leaves_session_usable() => Err(InsertError::Refused(error)),
            Err(error) => Err(InsertError::Unknown(error)),
        }
    }

    /// Has everything that was committed before on disk when it returns. After an error the session must be dropped.
    pub(crate) async fn flush(&mut self) -> Result<(), AuditError> {
        answer("audit.flush", self.connection.execute(FLUSH)).await.map(drop)
    }

    /// Inserts a row and takes it back. After an error the session must be dropped.
    pub(crate) async fn probe(&mut self, now: DateTime<Utc>) -> Result<(), AuditError> {
        answer("audit.probe", self.connection.execute("BEGIN")).await?;
        answer("audit.probe", sqlx::query(PROBE).bind(now).execute(&mut self.connection)).await?;
        answer("audit.probe", self.connection.execute("ROLLBACK")).await.map(drop)
    }

    /// Asks for a sign of life. After an error the session must be dropped.
    pub(crate) async fn ping(&mut self) -> Result<(), AuditError> {
        answer("audit.ping", self.connection.ping()).await
    }
}

async fn answer<T>(
    statement: &'static str,
    waiting: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, AuditError> {
    match timeout(ANSWER_WITHIN, waiting).await {
        Ok(answer) => answer.map_err(|error| AuditError::of(statement, error)),
        Err(_) => Err(AuditError::TooSlow(statement)),
    }
}
