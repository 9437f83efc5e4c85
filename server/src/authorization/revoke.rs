//! Taking tokens back: written where every server looks four times a second.

use vitals_access::tenant::Tenant;
use vitals_store::{
    StoreError,
    control::{
        ControlError,
        poll::Stale,
        revocations::{self, RevocationKind},
    },
    urls::{ConnectError, connect},
};

use super::Desk;

/// Why something could not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// No connection to the control database.
    #[error("cannot reach the control database")]
    Connect(#[from] ConnectError),
    /// It could not be written down.
    #[error("cannot write down what is taken back")]
    Control(#[from] ControlError),
    /// The tenant's own tables could not be written.
    #[error("cannot write the tenant's tables")]
    Store(#[from] StoreError),
    /// It is written down; this server could not read it yet.
    #[error("cannot read the control schema")]
    Stale(#[from] Stale),
}

/// Takes something back. When this returns, this server refuses it; the others do within a moment.
pub async fn revoke(desk: &Desk, tenant: &Tenant, kind: RevocationKind, subject: &str) -> Result<(), RevokeError> {
    let mut conn = connect(&desk.urls.app).await?;
    revocations::revoke(&mut conn, &tenant.role, kind, subject, desk.clock.now()).await?;
    desk.feed.refresh().await?;
    Ok(())
}
