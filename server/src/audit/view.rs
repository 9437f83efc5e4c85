//! Looking at the trail: a few sessions that search it, for tenants who see their own chain and no other.
//!
//! A chain is named by a tenant's role, which nothing but a verified caller has; the server's own chain has no role and
//! cannot be asked for here. What one tenant looks for holds up no other: each has some of the sessions at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;
use vitals_access::{audit::AuditRecord, tenant::TenantRole};
use vitals_store::{
    audit::{AuditError, AuditQuery, AuditReader, Found, Position},
    urls::Urls,
};

/// Searches at a time, and of one tenant.
const SESSIONS: usize = 4;
const OF_ONE_TENANT: usize = 2;
/// How long a search waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(3);

/// The trail cannot be looked at now.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Unseen {
    /// The audit database does not answer.
    #[error("the trail cannot be read now")]
    Away,
    /// Too many look at it, or this search took too long.
    #[error("the trail is searched by too many, or for too long")]
    Busy,
}

/// Searches the trail.
pub struct AuditView {
    read_url: String,
    sessions: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantRole, Arc<Semaphore>>>,
    idle: Mutex<Vec<AuditReader>>,
}

/// The right to search for a while.
struct Turn {
    _session: OwnedSemaphorePermit,
    _tenant: OwnedSemaphorePermit,
}

impl AuditView {
    /// Opens no session yet.
    pub fn new(urls: &Urls) -> Self {
        Self {
            read_url: urls.audit_read.clone(),
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            tenants: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// A page of the records of a tenant's chain.
    pub async fn search(
        &self,
        tenant: &TenantRole,
        query: &AuditQuery,
        admits: impl Fn(&AuditRecord) -> bool,
    ) -> Result<Found, Unseen> {
        let _turn = self.turn(tenant).await?;
        let mut reader = self.reader().await?;
        let found = reader.search(tenant.as_str(), query, admits).await;
        let found = self.give_back(reader, found)?;
        if found.unreadable > 0 {
            tracing::error!(tenant.role = %tenant, rows = found.unreadable, "the audit trail holds what is no record");
        }
        Ok(found)
    }

    /// The record of this id in a tenant's chain.
    pub async fn record(&self, tenant: &TenantRole, id: &Uuid) -> Result<Option<(Position, AuditRecord)>, Unseen> {
        let _turn = self.turn(tenant).await?;
        let mut reader = self.reader().await?;
        let found = reader.record(tenant.as_str(), id).await;
        self.give_back(reader, found)
    }

    async fn turn(&self, tenant: &TenantRole) -> Result<Turn, Unseen> {
        let of_tenant =
            Arc::clone(self.tenants().entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE_TENANT))));
        let turn = async {
            let tenant = of_tenant.acquire_owned().await.ok()?;
            Some(Turn { _session: Arc::clone(&self.sessions).acquire_owned().await.ok()?, _tenant: tenant })
        };
        timeout(TURN_WITHIN, turn).await.ok().flatten().ok_or(Unseen::Busy)
    }

    async fn reader(&self) -> Result<AuditReader, Unseen> {
        let idle = self.idle().pop();
        match idle {
            Some(reader) => Ok(reader),
            None => AuditReader::open_for_searches(&self.read_url).await.map_err(|error| unseen(&error)),
        }
    }

    /// Keeps the session, unless something went wrong on it.
    fn give_back<T>(&self, reader: AuditReader, outcome: Result<T, AuditError>) -> Result<T, Unseen> {
        match outcome {
            Ok(found) => {
                self.idle().push(reader);
                Ok(found)
            }
            Err(error) => {
                // The sessions of before may be as dead as this one.
                self.idle().clear();
                Err(unseen(&error))
            }
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantRole, Arc<Semaphore>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<AuditReader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLSTATE of a statement that was ended because it took too long.
const CANCELLED: &str = "57014";

fn unseen(error: &AuditError) -> Unseen {
    tracing::warn!(error = error as &dyn std::error::Error, "the audit trail cannot be searched");
    match error {
        AuditError::TooSlow(_) => Unseen::Busy,
        AuditError::Refused { code, .. } if code == CANCELLED => Unseen::Busy,
        _ => Unseen::Away,
    }
}
