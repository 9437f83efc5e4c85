//! This process's claim on its writer number, and the tenants it is listed for.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval, timeout},
};
use vitals_access::tenant::TenantRole;
use vitals_store::audit::{AuditError, Claim, Unsettled};

/// How long a write waits to be listed, which it does once per tenant and process.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

pub(super) struct Claimed {
    app_url: String,
    writer: i64,
    /// The tenants that the list holds for certain. Empty while the claim is lost: somebody may be taking the list
    /// away.
    listed: RwLock<HashSet<TenantRole>>,
    session: Mutex<Session>,
}

struct Session {
    claim: Option<Claim>,
    /// All tenants that were ever listed.
    wanted: HashSet<TenantRole>,
}

/// Why a tenant could not be listed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotListed {
    #[error("the control database did not list the tenant in time")]
    TooSlow,
    #[error("the control database did not list the tenant")]
    Failed(#[from] AuditError),
}

impl Claimed {
    pub(super) async fn hold(app_url: &str, writer: i64) -> Result<Self, AuditError> {
        let claim = Claim::hold(app_url, writer).await?;
        Ok(Self {
            app_url: app_url.to_owned(),
            writer,
            listed: RwLock::default(),
            session: Mutex::new(Session { claim: Some(claim), wanted: HashSet::new() }),
        })
    }

    /// Makes sure that a tenant is listed, and committed so.
    pub(super) async fn ensure(&self, tenant: &TenantRole) -> Result<(), NotListed> {
        if self.is_listed(tenant) {
            return Ok(());
        }
        let mut session = timeout(LISTED_WITHIN, self.session.lock()).await.map_err(|_| NotListed::TooSlow)?;
        if self.is_listed(tenant) {
            return Ok(());
        }
        session.wanted.insert(tenant.clone());
        // A claim taken again lists everything that is wanted, this tenant with it.
        let answer = self.claim(&mut session).await?.mark(std::slice::from_ref(tenant)).await;
        self.noting(&mut session, answer)?;
        self.listed().insert(tenant.clone());
        Ok(())
    }

    /// Watches over the session, and claims again when it broke.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut ping = interval(Claim::PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lost = false;
        loop {
            ping.tick().await;
            let answer = self.ping().await;
            if let (Err(error), false) = (&answer, lost) {
                tracing::warn!(error = error as &dyn std::error::Error, "the claim on the audit writer number is lost");
            }
            lost = answer.is_err();
        }
    }

    async fn ping(&self) -> Result<(), AuditError> {
        let mut session = self.session.lock().await;
        let answer = self.claim(&mut session).await?.ping().await;
        self.noting(&mut session, answer)
    }

    /// The lists of dead writers.
    pub(super) async fn of_dead(&self) -> Result<Vec<Unsettled>, AuditError> {
        let mut session = self.session.lock().await;
        let answer = self.claim(&mut session).await?.of_dead().await;
        self.noting(&mut session, answer)
    }

    /// Takes a tenant off a writer's list.
    pub(super) async fn unmark(&self, unsettled: &Unsettled) -> Result<(), AuditError> {
        let mut session = self.session.lock().await;
        let answer = self.claim(&mut session).await?.unmark(unsettled).await;
        self.noting(&mut session, answer)
    }

    /// All tenants that this process is or was listed for.
    pub(super) async fn wanted(&self) -> Vec<TenantRole> {
        self.session.lock().await.wanted.iter().cloned().collect()
    }

    /// Gives the claim up.
    pub(super) async fn release(&self) {
        self.session.lock().await.claim = None;
    }

    fn is_listed(&self, tenant: &TenantRole) -> bool {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).contains(tenant)
    }

    fn listed(&self) -> RwLockWriteGuard<'_, HashSet<TenantRole>> {
        self.listed.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that holds the claim; claims and lists again after it was lost.
    async fn claim<'s>(&self, session: &'s mut Session) -> Result<&'s mut Claim, AuditError> {
        let Session { claim, wanted } = session;
        let held = if let Some(held) = claim.take() {
            held
        } else {
            let mut held = Claim::hold(&self.app_url, self.writer).await?;
            let tenants: Vec<TenantRole> = wanted.iter().cloned().collect();
            held.mark(&tenants).await?;
            self.listed().clone_from(wanted);
            held
        };
        Ok(claim.insert(held))
    }

    /// Gives the session up after an error that it does not survive, and with it the certainty of being listed.
    fn noting<T>(&self, session: &mut Session, answer: Result<T, AuditError>) -> Result<T, AuditError> {
        if answer.as_ref().is_err_and(|error| !error.leaves_session_usable()) {
            session.claim = None;
            self.listed().clear();
        }
        answer
    }
}
