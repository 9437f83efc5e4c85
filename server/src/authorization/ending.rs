//! Ending: what was granted is taken back, here and, within a poll of the control schema, on every server.

use std::sync::Arc;

use vitals_access::tenant::Tenant;
use vitals_store::{
    StoreError,
    authorization::AuthorizationTx,
    control::{ControlError, poll::Stale, revocations, revocations::RevocationKind},
    urls::ConnectError,
};

use super::Desk;

/// A rule of the authorization server that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The tenant's tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control schema.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// No connection to the control schema.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// This server does not know who there is.
    #[error(transparent)]
    Stale(#[from] Stale),
}

impl Desk {
    /// A connection to the control schema, as the login that serves.
    pub async fn control(&self) -> Result<vitals_store::Connection, ConnectError> {
        vitals_store::urls::connect(&self.urls.app).await
    }

    /// Takes back every token of a subject that was issued until now. Once this returns, this server refuses them.
    pub async fn revoke(&self, tenant: &Tenant, kind: RevocationKind, subject: &str) -> Result<(), DeskError> {
        self.revoke_all(tenant, &[(kind, subject)]).await
    }

    async fn revoke_all(&self, tenant: &Tenant, ended: &[(RevocationKind, &str)]) -> Result<(), DeskError> {
        let mut conn = self.control().await?;
        let seq = revocations::revoke_all(&mut conn, &tenant.role, ended, self.clock.now()).await?;
        self.settled(seq).await
    }

    /// Commits what a transaction ended in the tenant's tables, and takes back what was issued for it.
    ///
    /// That is taken back first: if it fails, nothing has ended, and who asks again has all of it done. And once more
    /// behind the commit, for what was issued while it was on its way.
    pub(super) async fn conclude(
        &self,
        tenant: &Tenant,
        tx: AuthorizationTx,
        ended: &[(RevocationKind, &str)],
    ) -> Result<(), DeskError> {
        if ended.is_empty() {
            return Ok(tx.commit().await?);
        }
        self.revoke_all(tenant, ended).await?;
        tx.commit().await?;
        self.revoke_all(tenant, ended).await
    }

    /// Waits until this server knows a change.
    pub async fn settled(&self, seq: i64) -> Result<(), DeskError> {
        // A poll that began before the change was committed may miss it; the one after cannot.
        for _ in 0..3 {
            if self.feed.seq() >= seq {
                break;
            }
            self.feed.catch_up().await?;
        }
        Ok(())
    }

    /// Ends an approval: its refresh tokens and codes at once, its access tokens on every server. False if there is none,
    /// or it has ended.
    pub async fn end_approval(&self, tenant: &Arc<Tenant>, id: &str) -> Result<bool, DeskError> {
        let mut tx = self.pool.authorization(tenant).await?;
        let ended = tx.end_approval(id, self.clock.now()).await?;
        let taken_back: &[_] = if ended { &[(RevocationKind::Approval, id)] } else { &[] };
        self.conclude(tenant, tx, taken_back).await?;
        Ok(ended)
    }

    /// Ends a session by its id, and what lives as long as it does. False if there is none.
    pub async fn end_session(&self, tenant: &Arc<Tenant>, id: &str) -> Result<bool, DeskError> {
        let mut tx = self.pool.authorization(tenant).await?;
        let ended = tx.end_session_id(id).await?;
        tx.end_approvals_of_session(id, self.clock.now()).await?;
        self.conclude(tenant, tx, &[(RevocationKind::Session, id)]).await?;
        Ok(ended)
    }
}
