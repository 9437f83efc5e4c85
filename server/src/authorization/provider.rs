//! The outside OpenID provider of a tenant: the secret of the tenant's client there, sealed, and what the provider says of
//! itself.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use moka::sync::Cache;
use vitals_access::{
    settings::Upstream,
    tenant::{Tenant, TenantRole},
};
use vitals_store::seal::{MasterKey, SealError};

use crate::egress::{Discovered, DiscoveryError, Egress};

const PURPOSE: &str = "sign-in-provider-secret";
/// What a provider says of itself is asked again after this long.
const RECENT: Duration = Duration::from_mins(5);
/// Providers that are remembered: one a tenant.
const MOST: u64 = 10_000;

/// What providers said of themselves lately.
#[derive(Debug)]
pub struct Providers(Cache<String, Arc<Discovered>>);

impl Default for Providers {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(RECENT).build())
    }
}

impl Providers {
    /// What a provider says of itself.
    pub async fn discovered(&self, egress: &Egress, issuer: &str) -> Result<Arc<Discovered>, DiscoveryError> {
        if let Some(known) = self.0.get(issuer) {
            return Ok(known);
        }
        let discovered = Arc::new(egress.discover(issuer).await?);
        self.0.insert(issuer.to_owned(), Arc::clone(&discovered));
        Ok(discovered)
    }
}

/// Seals the secret of a tenant's client, as its settings hold it.
pub fn seal_secret(key: &MasterKey, role: &TenantRole, secret: &str) -> Result<String, SealError> {
    Ok(STANDARD.encode(key.seal(PURPOSE, role.as_str().as_bytes(), secret.as_bytes())?))
}

/// Opens the secret of a tenant's client, where it has one.
pub fn open_secret(key: &MasterKey, tenant: &Tenant, provider: &Upstream) -> Result<Option<String>, SealError> {
    let Some(sealed) = &provider.sealed_secret else { return Ok(None) };
    let sealed = STANDARD.decode(sealed).map_err(|_| SealError::Closed)?;
    let secret = key.open(PURPOSE, tenant.role.as_str().as_bytes(), &sealed)?;
    String::from_utf8(secret).map(Some).map_err(|_| SealError::Closed)
}
