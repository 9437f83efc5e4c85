//! The tenant pool: connections that stay bound to a tenant's role between requests.
//!
//! A checkout prefers an idle connection already bound to the tenant (no extra round trip), then opens one, then
//! rebinds the one idle longest. A connection comes back only when its last statement ended cleanly and it is in
//! no transaction; anything else closes it, so that no borrower inherits another's session state. Each tenant may
//! hold a part of the connections only, and run fewer searches while others are there; tenants that wait are served in
//! turn, and who would wait in vain is told at once.

mod lease;
mod state;
mod turn;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnectOptions;
use vitals_access::{access::Access, tenant::Tenant};

pub(crate) use lease::Lease;
use state::{Slot, State, Turn, Work};
pub use turn::SearchTurn;

use crate::{
    StoreError,
    tenant::{TenantRead, TenantTx},
};

/// How a pool is sized.
///
/// Who writes waits for the disk most of the time, and those who wait together are served by one turn of it: on two
/// cores, 32 clients of one tenant created 2,100 Observations a second over 6 connections, 2,800 over 12, 3,400 over 16
/// and as many over 32; their reads and searches were as fast over 16 as over 6, and slower over 32. A third is left to
/// other tenants, and three servers find room in PostgreSQL's usual 100 connections.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Connections altogether.
    pub connections: usize,
    /// Connections one tenant may hold at a time.
    pub per_tenant: usize,
    /// Of these, for searches.
    pub searches: usize,
    /// The same while another tenant is there: searches take a processor of the database each, and what the others ask
    /// for would wait behind them.
    pub searches_beside_others: usize,
    /// How many times as long as it took a search that was more than a page of fifty leaves its turn unused while another
    /// tenant is there.
    pub rests_beside_others: u32,
    /// Requests of one tenant that may wait.
    pub waiting: usize,
    /// Longest wait for a connection.
    pub checkout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            connections: 24,
            per_tenant: 16,
            searches: 16,
            searches_beside_others: (processors / 2).max(1),
            // Of two processors one search has one, and what others ask for is served by two programs that would each have
            // one at once: the hundredth of their reads that waits longest took three times as long, with a rest half as
            // long again.
            rests_beside_others: if processors < 4 { 8 } else { 0 },
            waiting: 256,
            checkout: Duration::from_secs(2),
        }
    }
}

/// What a pool did so far, for metrics.
#[derive(Debug, Default)]
pub struct PoolFigures {
    /// Checkouts that found a connection already bound to the tenant.
    pub affine: AtomicU64,
    /// Checkouts that moved a connection from another tenant.
    pub rebound: AtomicU64,
    /// Connections opened.
    pub opened: AtomicU64,
    /// Connections closed because they did not come back clean.
    pub discarded: AtomicU64,
    /// Checkouts that gave up waiting.
    pub timed_out: AtomicU64,
    /// Checkouts that were sent away because they would have waited in vain.
    pub shed: AtomicU64,
    /// Rows of a tenant other than the one bound. Anything but zero is an incident.
    pub foreign_rows: AtomicU64,
}

/// Oldest and newest tenant schema version that this server serves.
#[derive(Clone, Copy, Debug)]
pub struct ServedVersions {
    /// The oldest.
    pub oldest: i32,
    /// The newest.
    pub newest: i32,
}

pub(crate) struct Inner {
    logins: Vec<PgConnectOptions>,
    limits: PoolLimits,
    versions: ServedVersions,
    pub(crate) figures: PoolFigures,
    state: Mutex<State>,
}

/// The pool of tenant connections of a server.
#[derive(Clone)]
pub struct TenantPool {
    inner: Arc<Inner>,
}

impl TenantPool {
    /// A pool over the login roles, by slot. Opens nothing yet.
    pub fn new(logins: &[String], limits: PoolLimits, versions: ServedVersions) -> Result<Self, StoreError> {
        let logins =
            logins.iter().map(|url| lease::options(url)).collect::<Result<_, _>>().map_err(StoreError::Away)?;
        Ok(Self {
            inner: Arc::new(Inner {
                logins,
                limits,
                versions,
                figures: PoolFigures::default(),
                state: Mutex::new(State::new(limits)),
            }),
        })
    }

    /// A connection for reads that commit by themselves.
    pub async fn read<'a>(&self, access: &'a Access) -> Result<TenantRead<'a>, StoreError> {
        Ok(TenantRead::new(self.lease(access.tenant()).await?, access))
    }

    /// The same for a search or a history of a type, of which fewer run at once.
    pub async fn search<'a>(&self, access: &'a Access) -> Result<TenantRead<'a>, StoreError> {
        Ok(TenantRead::new(self.lease_for(access.tenant(), Work::Search).await?, access))
    }

    /// A writing transaction.
    pub async fn begin<'a>(&self, access: &'a Access) -> Result<TenantTx<'a>, StoreError> {
        TenantTx::begin(self.lease(access.tenant()).await?, access).await
    }

    /// A writing transaction whose statements may take a minute, for bundles and imports.
    pub async fn begin_long<'a>(&self, access: &'a Access) -> Result<TenantTx<'a>, StoreError> {
        TenantTx::begin_long(self.lease(access.tenant()).await?, access).await
    }

    /// Figures for metrics.
    pub fn figures(&self) -> &PoolFigures {
        &self.inner.figures
    }

    /// Connections open and in use at this moment.
    pub fn load(&self) -> (usize, usize) {
        let state = self.inner.state();
        (state.open(), state.in_use())
    }

    /// Most connections it opens, and how many requests wait for one at this moment.
    pub fn demand(&self) -> (usize, usize) {
        (self.inner.limits.connections, self.inner.state().waiting())
    }

    /// Closes the idle connections bound to a tenant that is gone.
    pub fn forget(&self, tenant: &Tenant) {
        let closed = self.inner.state().forget(&tenant.role);
        drop(closed);
    }

    pub(crate) async fn lease(&self, tenant: &Arc<Tenant>) -> Result<Lease, StoreError> {
        self.lease_for(tenant, Work::Other).await
    }

    async fn lease_for(&self, tenant: &Arc<Tenant>, work: Work) -> Result<Lease, StoreError> {
        let versions = self.inner.versions;
        if tenant.version < versions.oldest || tenant.version > versions.newest {
            return Err(StoreError::SchemaVersion {
                found: tenant.version,
                oldest: versions.oldest,
                newest: versions.newest,
            });
        }
        let turn = self.inner.state().ask(&tenant.role, tenant.login, work, Instant::now());
        let slot = match turn {
            Turn::Now(slot) => Claim::new(&self.inner, tenant, work, slot),
            Turn::InVain => {
                self.inner.figures.shed.fetch_add(1, Ordering::Relaxed);
                return Err(StoreError::Busy);
            }
            Turn::Wait(mut waiting) => {
                match tokio::time::timeout(self.inner.limits.checkout, &mut waiting).await {
                    Ok(Ok(slot)) => Claim::new(&self.inner, tenant, work, slot),
                    Ok(Err(_)) => return Err(StoreError::Busy),
                    Err(_) => {
                        waiting.close();
                        // A slot that arrived at this very moment goes on to the next in turn.
                        if let Ok(slot) = waiting.try_recv() {
                            drop(Claim::new(&self.inner, tenant, work, slot));
                        }
                        self.inner.figures.timed_out.fetch_add(1, Ordering::Relaxed);
                        return Err(StoreError::Busy);
                    }
                }
            }
        };
        slot.open().await
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot of the pool that is taken but not yet a bound connection. Dropped, it goes back.
struct Claim {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    turn: Option<SearchTurn>,
    slot: Option<Slot>,
}

impl Claim {
    fn new(inner: &Arc<Inner>, tenant: &Arc<Tenant>, work: Work, slot: Slot) -> Self {
        let turn = (work == Work::Search).then(|| SearchTurn::new(inner, &tenant.role));
        Self { inner: Arc::clone(inner), tenant: Arc::clone(tenant), turn, slot: Some(slot) }
    }

    async fn open(mut self) -> Result<Lease, StoreError> {
        let figures = &self.inner.figures;
        let login = self
            .inner
            .logins
            .get(usize::from(self.tenant.login))
            .ok_or(StoreError::Inconsistent { table: "control.tenant", column: "login" })?;
        let connection = match self.slot.as_mut().and_then(Slot::take) {
            Some(idle) if idle.role == self.tenant.role => {
                figures.affine.fetch_add(1, Ordering::Relaxed);
                idle.connection
            }
            Some(mut idle) => {
                figures.rebound.fetch_add(1, Ordering::Relaxed);
                match lease::bind(&mut idle.connection, &self.tenant.role).await {
                    Ok(()) => idle.connection,
                    Err(_) => lease::connect(login, &self.tenant.role).await?,
                }
            }
            None => {
                figures.opened.fetch_add(1, Ordering::Relaxed);
                lease::connect(login, &self.tenant.role).await?
            }
        };
        self.slot = None;
        Ok(Lease::new(Arc::clone(&self.inner), Arc::clone(&self.tenant), self.turn.take(), connection))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let closed = self.inner.state().give_back(&self.tenant.role, slot, None);
            drop(closed);
        }
    }
}
