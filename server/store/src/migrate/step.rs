//! One step: one file, one scope, one transaction. Killed anywhere, it happened or it did not.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};

use super::{File, MigrateError, Scope, ddl, ledger};
use crate::{
    control::change::{self, Kind},
    setup::OWNER,
};

/// How long a statement of a migration waits for a lock: everybody who comes later queues up behind it.
const LOCK_MS: u32 = 300;
/// How long a runner waits for another one that is busy with the same tenant, before it tries again later.
const RUNNER_MS: u32 = 30_000;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ran and is committed.
    Applied { duration_ms: i64 },
    /// Another runner was faster.
    AlreadyThere,
    /// The tenant was deleted in the meantime.
    Gone,
}

/// A step that did not happen.
#[derive(Debug)]
pub(super) enum Stopped {
    /// A lock or the connection: it may go well later.
    ForNow(String),
    /// It will not go well by itself.
    ForGood(MigrateError),
}

/// Runs one file in a transaction of its own, unless the ledger already has it.
pub(super) async fn apply(
    conn: &mut PgConnection,
    scope: &Scope,
    file: &File,
    now: DateTime<Utc>,
) -> Result<Outcome, Stopped> {
    let began = Instant::now();
    let ours = |source| sort(source, |source| MigrateError::Database { attempted: "run a migration step", source });
    let mut tx = conn.begin().await.map_err(ours)?;
    ddl::become_owner(&mut tx).await.map_err(ours)?;
    ddl::bound_locks(&mut tx, RUNNER_MS).await.map_err(ours)?;
    scope.lock(&mut tx).await.map_err(ours)?;
    if is_gone(&mut tx, scope).await.map_err(ours)? {
        return Ok(Outcome::Gone);
    }
    let entries = ledger::read(&mut tx, scope).await.map_err(ours)?;
    let left = ledger::pending(scope.files().map_err(Stopped::ForGood)?, &entries).map_err(Stopped::ForGood)?;
    if left.first().is_none_or(|next| next.version > file.version) {
        return Ok(Outcome::AlreadyThere);
    }

    ddl::bound_locks(&mut tx, LOCK_MS).await.map_err(ours)?;
    ddl::enter(&mut tx, scope).await.map_err(ours)?;
    ddl::run(&mut tx, scope, file)
        .await
        .map_err(|error| sort(error, |error| MigrateError::Step { version: file.version, reason: reason(&error) }))?;
    check_left_behind(&mut tx, scope, file.version).await?;

    let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let note = ledger::Note { error: None, duration_ms, at: now + TimeDelta::milliseconds(duration_ms) };
    ledger::write(&mut tx, scope, file, &note).await.map_err(ours)?;
    if let Scope::Tenant { role, .. } = scope {
        register(&mut tx, role.as_str(), file.version, now).await.map_err(ours)?;
    }
    tx.commit().await.map_err(ours)?;
    Ok(Outcome::Applied { duration_ms })
}

/// Tells the registry, and through the change log every server, which version a tenant is at.
pub(super) async fn register(
    conn: &mut PgConnection,
    role: &str,
    version: i32,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE control.tenant SET version = $2 WHERE role = $1")
        .bind(role)
        .bind(version)
        .execute(&mut *conn)
        .await?;
    change::append(conn, role, Kind::Tenant, "version", now).await.map(drop)
}

/// Runs all files of a new tenant within the transaction that makes it.
pub(crate) async fn install(conn: &mut PgConnection, scope: &Scope) -> Result<(), MigrateError> {
    ddl::enter(conn, scope).await.map_err(MigrateError::database("enter a new schema"))?;
    for file in scope.files()? {
        ddl::run(conn, scope, file)
            .await
            .map_err(|error| MigrateError::Step { version: file.version, reason: reason(&error) })?;
    }
    let newest = scope.files()?.last().map_or(0, |file| file.version);
    check_left_behind(conn, scope, newest).await.map_err(|stopped| match stopped {
        Stopped::ForNow(reason) => MigrateError::Step { version: newest, reason },
        Stopped::ForGood(error) => error,
    })
}

async fn is_gone(conn: &mut PgConnection, scope: &Scope) -> Result<bool, sqlx::Error> {
    let Scope::Tenant { role, .. } = scope else { return Ok(false) };
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM control.tenant WHERE role = $1)")
        .bind(role.as_str())
        .fetch_one(conn)
        .await
}

/// The rules for files forbid it; this is for what the rules did not think of.
async fn check_left_behind(conn: &mut PgConnection, scope: &Scope, version: i32) -> Result<(), Stopped> {
    let same: bool = sqlx::query_scalar("SELECT current_user = $1::text AND current_setting('search_path') = $2::text")
        .bind(OWNER)
        .bind(ddl::search_path(scope))
        .fetch_one(conn)
        .await
        .map_err(|error| sort(error, MigrateError::database("look at what a migration left")))?;
    if same { Ok(()) } else { Err(Stopped::ForGood(MigrateError::LeftBehind(version))) }
}

/// Locks, collisions and lost connections pass; everything else stays.
fn sort(error: sqlx::Error, lasting: impl FnOnce(sqlx::Error) -> MigrateError) -> Stopped {
    let passes = match &error {
        sqlx::Error::Database(database) => matches!(
            database.code().unwrap_or_default().as_ref(),
            "55P03" | "40P01" | "40001" | "57P01" | "57P02" | "57P03" | "53300" | "08006" | "XX000"
        ),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    };
    if passes { Stopped::ForNow(reason(&error)) } else { Stopped::ForGood(lasting(error)) }
}

/// What PostgreSQL said, for the ledger and the operator. Class 22 (a value does not fit) quotes the value in its
/// message, which may be a patient's.
pub(super) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if code.starts_with("22") {
                format!("a stored value does not fit (SQLSTATE {code})")
            } else {
                format!("{} (SQLSTATE {code})", database.message())
            }
        }
        other => other.to_string(),
    }
}
