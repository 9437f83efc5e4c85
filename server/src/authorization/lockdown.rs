//! Everything that opens a tenant, ended in one step: for credentials that are in wrong hands.
//!
//! What every server judges by comes first (revocation, grants, API keys, signing keys), then what tokens could be made from
//! (sessions, approvals, secrets). Broken off half way, it can be given again.

use std::sync::Arc;

use serde::Serialize;
use vitals_access::tenant::Tenant;
use vitals_store::control::{
    grants,
    revocations::{self, RevocationKind},
};

use super::{
    Desk, DeskError, api_keys,
    keys::{self, Overlap},
};

/// What was ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LockedDown {
    /// People who were signed in.
    pub sessions: usize,
    /// Approvals, with their codes and refresh tokens.
    pub approvals: usize,
    /// Clients whose secret is of no use any more.
    pub secrets: Vec<String>,
    /// API keys that are of no use any more.
    pub api_keys: Vec<String>,
    /// Grants to other tenants that stood.
    pub grants: Vec<String>,
    /// The signing keys that were made.
    pub keys: Vec<String>,
}

/// Locks a tenant down. The answer is what was ended.
pub async fn lock_down(desk: &Desk, tenant: &Arc<Tenant>) -> Result<LockedDown, DeskError> {
    let now = desk.clock.now();
    let mut conn = desk.control().await?;
    revocations::revoke(&mut conn, &tenant.role, RevocationKind::Tenant, "*", now).await?;
    // Who holds those needs no credential of this tenant's.
    let grants = grants::revoke_all(&mut conn, &tenant.role, "lockdown", now).await?;
    let api_keys = api_keys::revoke_all(&mut conn, tenant, now).await?;
    let rotated = keys::rotate(desk, tenant, Overlap::None).await?;
    let mut tx = desk.pool.authorization(tenant).await?;
    let sessions = tx.end_all_sessions().await?;
    let approvals = tx.end_all_approvals(now).await?;
    let secrets = tx.clear_client_secrets().await?;
    tx.commit().await?;
    Ok(LockedDown {
        sessions: sessions.len(),
        approvals: approvals.len(),
        secrets,
        api_keys,
        grants,
        keys: rotated.kids,
    })
}
