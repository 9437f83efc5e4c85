//! All tenants: where each stands, and bringing them to the newest version, several at a time.

use std::{
    error::Error as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use futures_util::future;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};
use vitals_access::tenant::{TenantName, TenantRole};

use super::{
    MigrateError, MigrationRow, Only, Scope, State, Up, ddl, files,
    ledger::{self, Entry},
    shared,
    step::{self, Outcome, Stopped},
};
use crate::{
    control::{privileges, roles},
    urls,
};

/// More connections than this only wait for each other's disk writes.
const JOBS_MOST: usize = 16;

/// Where every tenant stands, by name. The connection is an administrator's.
pub async fn status(admin: &mut PgConnection, only: &Only) -> Result<Vec<MigrationRow>, MigrateError> {
    Ok(read(admin, only).await?.iter().map(Standing::row).collect())
}

/// Brings the control schema and then every tenant to the newest version, and keeps the stock of roles. A tenant that
/// fails is reported and does not stop the others; `notify` hears of each as it is done.
pub async fn up(
    request: &Up<'_>,
    notify: &(dyn Fn(&MigrationRow) + Send + Sync),
) -> Result<Vec<MigrationRow>, MigrateError> {
    let mut admin = connect(request.admin_url).await?;
    shared::control(&mut admin, request.now).await?;
    privileges::renew(&mut admin).await.map_err(Box::new)?;
    // Nobody waits for these roles to go, so nothing has to stop when they do not.
    if let Err(error) = roles::drop_discarded(&mut admin).await {
        tracing::warn!(error = %error, cause = ?error.source(), "roles of deleted tenants are left for the next time");
    }
    roles::replenish(&mut admin, request.now).await.map_err(Box::new)?;

    let mut rows = Vec::new();
    let mut waiting = Vec::new();
    for standing in read(&mut admin, &request.only).await? {
        match standing.left() {
            Ok(0) if standing.registered == standing.version() => rows.push(standing.row()),
            Ok(_) => waiting.push(Task { standing, attempt: 0, ready: Instant::now(), spent_ms: 0 }),
            Err(_) => {
                let row = standing.row();
                notify(&row);
                rows.push(row);
            }
        }
    }
    let jobs = request.jobs.clamp(1, JOBS_MOST).min(waiting.len());
    let queue = Mutex::new(waiting);
    let done = future::try_join_all((0..jobs).map(|_| work(request, &queue, notify))).await?;
    rows.extend(done.into_iter().flatten());
    rows.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    Ok(rows)
}

/// One tenant, with its part of the ledger.
struct Standing {
    name: TenantName,
    role: TenantRole,
    number: i32,
    registered: i32,
    entries: Vec<Entry>,
}

impl Standing {
    fn scope(&self) -> Scope {
        Scope::Tenant { role: self.role.clone(), number: self.number }
    }

    fn version(&self) -> i32 {
        self.entries.iter().filter(|entry| entry.applied).map(|entry| entry.version).max().unwrap_or(0)
    }

    fn left(&self) -> Result<usize, MigrateError> {
        ledger::pending(files::tenant()?, &self.entries).map(<[_]>::len)
    }

    fn row(&self) -> MigrationRow {
        let failure = self.entries.iter().find(|entry| !entry.applied).and_then(|entry| entry.error.clone());
        let (state, error) = match self.left() {
            Err(fault) => (State::Failed, Some(fault.to_string())),
            Ok(0) if self.registered == self.version() => (State::Current, None),
            Ok(_) if failure.is_some() => (State::Failed, failure),
            Ok(_) => (State::Pending, None),
        };
        let duration_ms = self.entries.last().map(|entry| entry.duration_ms);
        self.report(self.version(), state, error, duration_ms)
    }

    fn report(&self, version: i32, state: State, error: Option<String>, duration_ms: Option<i64>) -> MigrationRow {
        let tenant = self.name.to_string();
        MigrationRow { tenant, version, target: files::newest_tenant(), state, error, duration_ms }
    }
}

/// Everything in two statements, however many tenants there are.
async fn read(admin: &mut PgConnection, only: &Only) -> Result<Vec<Standing>, MigrateError> {
    let failed = || MigrateError::database("read where the tenants stand");
    if !ledger::exists(admin, &Scope::Control).await.map_err(failed())? {
        return Err(MigrateError::NotSetUp);
    }
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    let rows = sqlx::query(
        "SELECT t.name, t.role, t.number, t.version AS registered,
                m.version, m.checksum, m.state, m.error, m.duration_ms
         FROM control.tenant AS t
         LEFT JOIN control.migration AS m ON m.scope = 'tenant' AND m.tenant = t.role
         ORDER BY t.name, m.version",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;

    let mut standings: Vec<Standing> = Vec::new();
    for row in &rows {
        gather(&mut standings, row).map_err(failed())?;
    }
    standings.retain(|standing| only.includes(&standing.name));
    match only {
        Only::Tenant(name) if standings.is_empty() => Err(MigrateError::UnknownTenant(name.clone())),
        _ => Ok(standings),
    }
}

fn gather(standings: &mut Vec<Standing>, row: &PgRow) -> Result<(), sqlx::Error> {
    let parse = |column: &str, error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error,
    };
    let name: &str = row.try_get("name")?;
    if standings.last().is_none_or(|last| last.name.as_str() != name) {
        standings.push(Standing {
            name: name.parse().map_err(|error| parse("name", Box::new(error)))?,
            role: row.try_get::<&str, _>("role")?.parse().map_err(|error| parse("role", Box::new(error)))?,
            number: row.try_get("number")?,
            registered: row.try_get("registered")?,
            entries: Vec::new(),
        });
    }
    if let (Some(last), Some(_)) = (standings.last_mut(), row.try_get::<Option<i32>, _>("version")?) {
        last.entries.push(Entry::read(row)?);
    }
    Ok(())
}

/// A tenant that waits for its steps.
struct Task {
    standing: Standing,
    attempt: u32,
    ready: Instant,
    spent_ms: i64,
}

/// One job: takes the tenant that is ready first, until none is left. A tenant whose lock is not to be had goes back
/// into the queue, so that the others do not wait for it.
async fn work(
    request: &Up<'_>,
    queue: &Mutex<Vec<Task>>,
    notify: &(dyn Fn(&MigrationRow) + Send + Sync),
) -> Result<Vec<MigrationRow>, MigrateError> {
    let mut admin = connect(request.admin_url).await?;
    let mut rows = Vec::new();
    while let Some(mut task) = next(queue) {
        tokio::time::sleep_until(task.ready.into()).await;
        let row = match bring(&mut admin, &mut task, request).await {
            Ok(Some(row)) => row,
            Ok(None) => continue,
            Err(Stopped::ForGood(error)) => {
                let version = task.standing.version();
                task.standing.report(version, State::Failed, Some(error.to_string()), Some(task.spent_ms))
            }
            Err(Stopped::ForNow(reason)) => {
                task.attempt += 1;
                if admin.ping().await.is_err() {
                    admin = reconnect(request.admin_url).await?;
                }
                if !shared::exhausted(task.attempt) {
                    task.ready = Instant::now() + shared::pause(task.attempt);
                    queue.lock().unwrap_or_else(PoisonError::into_inner).push(task);
                    continue;
                }
                let error = MigrateError::Locked { attempts: task.attempt, reason }.to_string();
                note(&mut admin, &task, &error, request).await?;
                task.standing.report(task.standing.version(), State::Failed, Some(error), Some(task.spent_ms))
            }
        };
        notify(&row);
        rows.push(row);
    }
    Ok(rows)
}

fn next(queue: &Mutex<Vec<Task>>) -> Option<Task> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let first = (0..queue.len()).min_by_key(|&at| queue[at].ready)?;
    Some(queue.swap_remove(first))
}

/// All steps that one tenant lacks; nothing when it is gone.
async fn bring(admin: &mut PgConnection, task: &mut Task, request: &Up<'_>) -> Result<Option<MigrationRow>, Stopped> {
    let scope = task.standing.scope();
    let files = files::tenant().map_err(Stopped::ForGood)?;
    for file in &files[usize::try_from(task.standing.version()).unwrap_or(0).min(files.len())..] {
        let spent_ms = match step::apply(admin, &scope, file, request.now).await {
            Ok(Outcome::Applied { duration_ms }) => duration_ms,
            Ok(Outcome::AlreadyThere) => 0,
            Ok(Outcome::Gone) => return Ok(None),
            Err(Stopped::ForGood(error)) => {
                note(admin, task, &error.to_string(), request).await.map_err(Stopped::ForGood)?;
                return Err(Stopped::ForGood(error));
            }
            Err(stopped) => return Err(stopped),
        };
        task.spent_ms += spent_ms;
        task.standing.entries.retain(|entry| entry.version != file.version);
        let (version, checksum) = (file.version, file.checksum.to_vec());
        task.standing.entries.push(Entry { version, checksum, applied: true, error: None, duration_ms: spent_ms });
        task.standing.registered = version;
    }
    if task.standing.registered != task.standing.version() {
        set_registry_right(admin, &task.standing, request).await.map_err(Stopped::ForGood)?;
    }
    let version = task.standing.version();
    Ok(Some(task.standing.report(version, State::Current, None, Some(task.spent_ms))))
}

/// The ledger was written with the steps; the registry only repeats it.
async fn set_registry_right(
    admin: &mut PgConnection,
    standing: &Standing,
    request: &Up<'_>,
) -> Result<(), MigrateError> {
    let failed = || MigrateError::database("set the registry right");
    let mut tx = admin.begin().await.map_err(failed())?;
    ddl::become_owner(&mut tx).await.map_err(failed())?;
    step::register(&mut tx, standing.role.as_str(), standing.version(), request.now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())
}

async fn note(admin: &mut PgConnection, task: &Task, error: &str, request: &Up<'_>) -> Result<(), MigrateError> {
    let files = files::tenant()?;
    let at = usize::try_from(task.standing.version()).unwrap_or(0);
    match files.get(at) {
        Some(file) => shared::note_failure(admin, &task.standing.scope(), file, error, request.now).await,
        None => Ok(()),
    }
}

async fn connect(url: &str) -> Result<PgConnection, MigrateError> {
    urls::connect(url).await.map_err(|error| MigrateError::Connect(Box::new(error)))
}

/// After a restart of the database: it is back within seconds, or the run ends.
async fn reconnect(url: &str) -> Result<PgConnection, MigrateError> {
    let mut attempt = 0;
    loop {
        match connect(url).await {
            Err(_) if !shared::exhausted(attempt) => {
                attempt += 1;
                tokio::time::sleep(shared::pause(attempt)).await;
            }
            outcome => return outcome,
        }
    }
}
