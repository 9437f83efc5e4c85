//! The control schema and the audit database: one of each, migrated before any tenant.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::{MigrateError, Scope, ddl, ledger, partitions, step, step::Stopped};

/// Months of the audit trail that are enough for a start; half of what is made then.
const MONTHS_ENOUGH: usize = 12;
/// Attempts at a lock before the command gives up; with the pauses between, some 15 seconds.
const ATTEMPTS: u32 = 12;
/// The first pause after a lock was not to be had; it doubles up to `PAUSE_MOST`.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Brings the control schema to its newest version; makes it in a new database. The connection is an administrator's.
pub async fn control(admin: &mut PgConnection, now: DateTime<Utc>) -> Result<(), MigrateError> {
    bring(admin, &Scope::Control, now).await
}

/// Brings the audit schema to its newest version, and makes the partitions for the month before, this one and the
/// next `MONTHS_AHEAD`. The connection is an administrator's, to the audit database.
pub async fn audit(admin: &mut PgConnection, now: DateTime<Utc>) -> Result<(), MigrateError> {
    bring(admin, &Scope::Audit, now).await?;
    partitions::prepare(admin, now).await
}

/// Whether the control and audit schemas are there and at their newest versions. Connections of administrators.
pub async fn shared_are_current(control: &mut PgConnection, audit: &mut PgConnection) -> Result<bool, MigrateError> {
    Ok(is_current(control, &Scope::Control).await? && is_current(audit, &Scope::Audit).await?)
}

/// Whether the audit trail has partitions for a year at least, so that nothing has to be made now.
pub async fn trail_is_ahead(audit: &mut PgConnection, now: DateTime<Utc>) -> Result<bool, MigrateError> {
    let months = partitions::months_ahead(audit, now).await;
    Ok(months.map_err(MigrateError::database("look at the partitions of the audit trail"))? >= MONTHS_ENOUGH)
}

async fn is_current(admin: &mut PgConnection, scope: &Scope) -> Result<bool, MigrateError> {
    let failed = || MigrateError::database("read the ledger of migrations");
    if !ledger::exists(admin, scope).await.map_err(failed())? {
        return Ok(false);
    }
    let entries = read(admin, scope).await.map_err(failed())?;
    Ok(ledger::pending(scope.files()?, &entries)?.is_empty())
}

/// Whether the control schema is at this program's version, as a serving login may see it.
pub async fn control_is_current(serving: &mut PgConnection) -> Result<bool, MigrateError> {
    let entries = ledger::read(serving, &Scope::Control)
        .await
        .map_err(MigrateError::database("read the ledger of migrations"))?;
    Ok(ledger::pending(Scope::Control.files()?, &entries)?.is_empty())
}

/// The pause before the next attempt.
pub(super) fn pause(attempt: u32) -> Duration {
    PAUSE.saturating_mul(1 << attempt.min(10)).min(PAUSE_MOST)
}

/// Whether it was tried often enough.
pub(super) fn exhausted(attempt: u32) -> bool {
    attempt >= ATTEMPTS
}

async fn bring(admin: &mut PgConnection, scope: &Scope, now: DateTime<Utc>) -> Result<(), MigrateError> {
    bootstrap(admin, scope).await.map_err(MigrateError::database("make the ledger of migrations"))?;
    let entries = read(admin, scope).await.map_err(MigrateError::database("read the ledger of migrations"))?;
    for file in ledger::pending(scope.files()?, &entries)? {
        let mut attempt = 0;
        loop {
            match step::apply(admin, scope, file, now).await {
                Ok(_) => break,
                Err(Stopped::ForGood(error)) => {
                    note_failure(admin, scope, file, &error.to_string(), now).await?;
                    return Err(error);
                }
                Err(Stopped::ForNow(reason)) => {
                    attempt += 1;
                    if exhausted(attempt) {
                        return Err(MigrateError::Locked { attempts: attempt, reason });
                    }
                    tokio::time::sleep(pause(attempt)).await;
                }
            }
        }
    }
    Ok(())
}

/// Reads the ledger as its owner: an administrator need not inherit the rights of the roles it may take.
async fn read(admin: &mut PgConnection, scope: &Scope) -> Result<Vec<ledger::Entry>, sqlx::Error> {
    let mut tx = admin.begin().await?;
    ddl::become_owner(&mut tx).await?;
    let entries = ledger::read(&mut tx, scope).await?;
    tx.commit().await?;
    Ok(entries)
}

/// Writes a failure into the ledger, in a transaction of its own: the step's was rolled back.
pub(super) async fn note_failure(
    admin: &mut PgConnection,
    scope: &Scope,
    file: &super::File,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), MigrateError> {
    let failed = || MigrateError::database("write down a failed migration");
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    let note = ledger::Note { error: Some(error), duration_ms: 0, at: now };
    ledger::write(&mut tx, scope, file, &note).await.map_err(failed())?;
    tx.commit().await.map_err(failed())
}

/// Makes schema and ledger. As the owner, who alone needs rights on them; under the scope's lock, for `IF NOT EXISTS`
/// of two sessions at once fails in one of them.
async fn bootstrap(admin: &mut PgConnection, scope: &Scope) -> Result<(), sqlx::Error> {
    if ledger::exists(admin, scope).await? {
        return Ok(());
    }
    let mut tx = admin.begin().await?;
    ddl::become_owner(&mut tx).await?;
    scope.lock(&mut tx).await?;
    if !ledger::exists(&mut tx, scope).await? {
        ddl::bootstrap(&mut tx, scope).await?;
    }
    tx.commit().await
}
