//! Ending what somebody let an app do.

use std::sync::Arc;

use vitals_access::tenant::Tenant;
use vitals_store::control::revocations::RevocationKind;

use super::{
    Desk,
    revoke::{RevokeError, revoke},
};

/// Ends an approval, if it is this account's: the app's tokens are refused from now on. False if there is none.
pub async fn end(desk: &Desk, tenant: &Arc<Tenant>, id: &str, account: &str) -> Result<bool, RevokeError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let found = tx.approval(id).await?.filter(|approval| approval.account == account);
    if found.is_none() || !tx.end_approval(id, desk.clock.now()).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await?;
    revoke(desk, tenant, RevocationKind::Approval, id).await?;
    Ok(true)
}
