//! Ending what somebody let an app do, by themselves.

use std::sync::Arc;

use vitals_access::tenant::Tenant;

use super::{Desk, ending::DeskError};

/// Ends an approval, if it is this account's: the app's tokens are refused from now on. False if there is none.
pub async fn end(desk: &Desk, tenant: &Arc<Tenant>, id: &str, account: &str) -> Result<bool, DeskError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let found = tx.approval(id).await?;
    tx.commit().await?;
    match found {
        Some(approval) if approval.account == account => desk.end_approval(tenant, id).await,
        _ => Ok(false),
    }
}
