//! One connection, lent to one unit of work.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use sqlx::{
    ConnectOptions as _, Executor as _, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use vitals_access::tenant::{Tenant, TenantRole};

use super::{Inner, SearchTurn, state::Slot};
use crate::{
    StoreError,
    error::Commits,
    sql::{self, Plain, Sql},
};

/// Longest time to open a connection: a dozen at once, each with its 4,096 rounds of SCRAM, take a busy machine a while.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest time for COMMIT, ROLLBACK, BEGIN and a change of tenant.
const SHORT: Duration = Duration::from_secs(10);

/// What every tenant session starts with. `statement_timeout` is the bound the server itself keeps when we are
/// gone; reads give up sooner on our side.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options
        .application_name("vitals")
        .statement_cache_capacity(200)
        .options([
            ("search_path", "pg_catalog,\"$user\",pg_temp"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "70s"),
            ("TimeZone", "UTC"),
        ])
        .disable_statement_logging())
}

pub(super) async fn connect(options: &PgConnectOptions, role: &TenantRole) -> Result<PgConnection, StoreError> {
    let opening = async {
        let mut connection = options.connect().await?;
        sql::run(&mut connection, Plain::Bind(role)).await?;
        Ok(connection)
    };
    match tokio::time::timeout(CONNECT, opening).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(StoreError::of("connect", Commits::No, error)),
        Err(_) => Err(StoreError::Away(sqlx::Error::PoolTimedOut)),
    }
}

pub(super) async fn bind(connection: &mut PgConnection, role: &TenantRole) -> Result<(), StoreError> {
    match tokio::time::timeout(CONNECT, sql::run(connection, Plain::Bind(role))).await {
        Ok(done) => done.map_err(|error| StoreError::of("bind", Commits::No, error)),
        Err(_) => Err(StoreError::TooSlow("bind")),
    }
}

/// A bound connection. It goes back to the pool when dropped, if its last statement ended cleanly outside of a
/// transaction, and is closed otherwise: a future dropped in the middle of a statement leaves `settled` false.
pub(crate) struct Lease {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    turn: Option<SearchTurn>,
    since: Instant,
    connection: Option<PgConnection>,
    settled: bool,
    in_transaction: bool,
}

impl Lease {
    pub(super) fn new(
        inner: Arc<Inner>,
        tenant: Arc<Tenant>,
        turn: Option<SearchTurn>,
        connection: PgConnection,
    ) -> Self {
        Self {
            inner,
            tenant,
            turn,
            since: Instant::now(),
            connection: Some(connection),
            settled: true,
            in_transaction: false,
        }
    }

    /// Whether another tenant is there.
    pub(crate) fn is_beside_others(&self) -> bool {
        !self.inner.state().is_alone(&self.tenant.role)
    }

    /// Gives the connection back and keeps the turn of a search.
    pub(crate) fn rest(mut self) -> Option<SearchTurn> {
        self.turn.take()
    }

    /// Opens a transaction as the tenant.
    pub(crate) async fn begin(&mut self, plain: fn(&TenantRole) -> Plain<'_>) -> Result<(), StoreError> {
        let tenant = Arc::clone(&self.tenant);
        self.in_transaction = true;
        self.plain("begin", Commits::No, plain(&tenant.role)).await
    }

    /// Ends the transaction; afterwards the connection is clean.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.plain("commit", Commits::Yes, Plain::Commit).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Gives the transaction up; afterwards the connection is clean.
    pub(crate) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.plain("rollback", Commits::No, Plain::Rollback).await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn plain(&mut self, name: &'static str, commits: Commits, plain: Plain<'_>) -> Result<(), StoreError> {
        let connection = self.connection.as_mut().ok_or(StoreError::Busy)?;
        self.settled = false;
        match tokio::time::timeout(SHORT, sql::run(connection, plain)).await {
            Ok(Ok(())) => {
                self.settled = true;
                Ok(())
            }
            Ok(Err(error)) => Err(self.sort(name, commits, error)),
            Err(_) if commits == Commits::Yes => Err(StoreError::UnknownOutcome(name)),
            Err(_) => Err(StoreError::TooSlow(name)),
        }
    }

    /// Runs a statement and returns its rows, each of which must belong to the tenant.
    pub(crate) async fn rows(&mut self, sql: Sql, commits: Commits, limit: Duration) -> Result<Vec<PgRow>, StoreError> {
        let name = sql.name();
        let rows = self.fetch(sql, commits, limit, |_| true).await?;
        self.own(name, rows)
    }

    /// The same, but no more rows than weigh this much together, though one at least, and whether some are missing. What
    /// is too much is read and let go of at once: a page of large resources would else be gigabytes.
    pub(crate) async fn rows_within(
        &mut self,
        sql: Sql,
        limit: Duration,
        most: usize,
        weigh: fn(&PgRow) -> usize,
    ) -> Result<(Vec<PgRow>, bool), StoreError> {
        let name = sql.name();
        let (mut weight, mut kept, mut cut) = (0_usize, 0_u32, false);
        let rows = self.fetch(sql, Commits::No, limit, |row| {
            weight = weight.saturating_add(weigh(row));
            cut |= kept > 0 && weight > most;
            kept += 1;
            !cut
        });
        let rows = rows.await?;
        Ok((self.own(name, rows)?, cut))
    }

    /// The rows, each of which must belong to the tenant.
    fn own(&mut self, name: &'static str, rows: Vec<PgRow>) -> Result<Vec<PgRow>, StoreError> {
        for row in &rows {
            if sqlx::Row::try_get::<i32, _>(row, "tenant").ok() != Some(self.tenant.number) {
                self.settled = false;
                self.inner.figures.foreign_rows.fetch_add(1, Ordering::Relaxed);
                return Err(StoreError::ForeignRow(name));
            }
        }
        Ok(rows)
    }

    /// Runs an EXPLAIN and returns its lines, which belong to nobody.
    pub(crate) async fn plan(&mut self, sql: Sql, limit: Duration) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch(sql, Commits::No, limit, |_| true).await?;
        let wrong = |_| StoreError::Inconsistent { table: "plan", column: "line" };
        rows.iter().map(|row| sqlx::Row::try_get(row, 0).map_err(wrong)).collect()
    }

    /// Runs a statement to its end and returns the rows that are kept.
    async fn fetch(
        &mut self,
        sql: Sql,
        commits: Commits,
        limit: Duration,
        mut keep: impl FnMut(&PgRow) -> bool,
    ) -> Result<Vec<PgRow>, StoreError> {
        let name = sql.name();
        let query = sql.into_query().ok_or(StoreError::Database { statement: name, code: "-".to_owned() })?;
        let connection = self.connection.as_mut().ok_or(StoreError::Busy)?;
        self.settled = false;
        let kept = connection.fetch(query).try_filter(|row| std::future::ready(keep(row))).try_collect::<Vec<_>>();
        let rows = match tokio::time::timeout(limit, kept).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => return Err(self.sort(name, commits, error)),
            Err(_) if commits == Commits::Yes => return Err(StoreError::UnknownOutcome(name)),
            Err(_) => return Err(StoreError::TooSlow(name)),
        };
        self.settled = true;
        Ok(rows)
    }

    fn sort(&mut self, name: &'static str, commits: Commits, error: sqlx::Error) -> StoreError {
        let error = StoreError::of(name, commits, error);
        match &error {
            // The server answered: outside of a transaction the session is as it was. A statement whose plan no
            // longer fits (0A000) and a lost connection are not worth keeping.
            StoreError::Database { .. } | StoreError::TooSlow(_) | StoreError::Full(_) => self.settled = true,
            StoreError::Away(_) | StoreError::UnknownOutcome(_) => {
                let suspects = self.inner.state().forget_idle();
                drop(suspects);
            }
            _ => {}
        }
        error
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = self.connection.take();
        let slot = match connection {
            Some(connection) if self.settled && !self.in_transaction => {
                Slot::clean(connection, self.tenant.role.clone(), self.tenant.login)
            }
            _ => {
                self.inner.figures.discarded.fetch_add(1, Ordering::Relaxed);
                Slot::closed()
            }
        };
        let closed = self.inner.state().give_back(&self.tenant.role, slot, Some(self.since.elapsed()));
        drop(closed);
    }
}
