//! Opened signing keys, kept as long as the directory shows the same keys of the tenant.

use std::sync::Arc;

use moka::sync::Cache;
use serde_json::Value;
use vitals_access::{
    keys::{SigningAlgorithm, SigningKey},
    tenant::{Tenant, TenantRole},
};

use super::{Desk, ending::DeskError, keys};

/// Keys kept open: the tenants that sign at the same time.
const MOST: u64 = 1_000;
/// The type of an access token (RFC 9068).
const ACCESS_TOKEN: &str = "at+jwt";

/// The signing keys of tenants that were used lately.
#[derive(Clone)]
pub struct Signers(Cache<(TenantRole, &'static str), Arc<Opened>>);

struct Opened {
    key: SigningKey,
    /// The tenant's key set as it was then: when it changes, another key may sign.
    published: String,
}

impl Default for Signers {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Desk {
    /// Signs an access token of a tenant.
    pub async fn sign_access(&self, tenant: &Arc<Tenant>, claims: &Value) -> Result<String, DeskError> {
        let opened = self.opened(tenant, SigningAlgorithm::Es256).await?;
        Ok(opened.key.sign(ACCESS_TOKEN, claims))
    }

    /// Signs an id_token of a tenant.
    pub async fn sign_id_token(
        &self,
        tenant: &Arc<Tenant>,
        algorithm: SigningAlgorithm,
        claims: &Value,
    ) -> Result<String, DeskError> {
        let opened = self.opened(tenant, algorithm).await?;
        Ok(opened.key.sign("JWT", claims))
    }

    async fn opened(&self, tenant: &Arc<Tenant>, algorithm: SigningAlgorithm) -> Result<Arc<Opened>, DeskError> {
        let place = (tenant.role.clone(), algorithm.name());
        let published = self.published(tenant)?;
        if let Some(opened) = self.signers.0.get(&place).filter(|opened| opened.published == published) {
            return Ok(opened);
        }
        let key = keys::signing(self, tenant, algorithm).await?;
        // Read after the key was: a key replaced meanwhile is looked for again the next time.
        let opened = Arc::new(Opened { key, published });
        self.signers.0.insert(place, Arc::clone(&opened));
        Ok(opened)
    }

    /// The key set of a tenant as this server publishes it.
    fn published(&self, tenant: &Tenant) -> Result<String, DeskError> {
        let directory = self.feed.current()?;
        let issuer = directory.issuer(&directory.own_issuer_url(&tenant.name));
        Ok(issuer.map(|issuer| issuer.keys.text().to_owned()).unwrap_or_default())
    }
}
