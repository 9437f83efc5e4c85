//! What a server knows of tenants, issuers, keys and revocations at one moment. Immutable: the control poller makes a
//! new one when something changed, and a request is judged by the one it found.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::{
    keys::KeySet,
    tenant::{Tenant, TenantName, TenantRole},
};

/// Longest life of a token unless its issuer is registered with another cap: a day.
pub const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// An issuer of tokens, with its keys and the tenants it is registered for.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` of its tokens, compared exactly.
    pub url: String,
    /// Its public keys.
    pub keys: KeySet,
    /// The tenants its tokens are good for.
    pub tenants: Vec<TenantRole>,
    /// Whether its tokens must say `typ: at+jwt`.
    pub strict: bool,
    /// Longest life of its tokens.
    pub max_lifetime: Duration,
    /// Whether its `rate_limit_tier` claim is honoured.
    pub may_set_tier: bool,
}

/// Tenants, issuers, keys and revoked tokens at one moment.
pub struct Directory {
    public_url: String,
    by_name: HashMap<TenantName, Arc<Tenant>>,
    by_role: HashMap<TenantRole, Arc<Tenant>>,
    own: HashMap<String, Arc<Issuer>>,
    outside: HashMap<String, Arc<Issuer>>,
    revoked: HashMap<TenantRole, HashSet<String>>,
}

impl Directory {
    /// Makes a directory. `own_keys` are the tenants' own signing keys: each becomes the issuer
    /// `{public_url}/t/{name}/auth`, which no outside registration of the same URL can replace.
    pub fn build(
        public_url: &str,
        tenants: Vec<Tenant>,
        issuers: Vec<Issuer>,
        own_keys: Vec<(TenantRole, KeySet)>,
        revoked: impl IntoIterator<Item = (TenantRole, String)>,
    ) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let by_role: HashMap<_, _> =
            tenants.into_iter().map(|tenant| (tenant.role.clone(), Arc::new(tenant))).collect();
        let by_name = by_role.values().map(|tenant| (tenant.name.clone(), Arc::clone(tenant))).collect();
        let mut own = HashMap::with_capacity(own_keys.len());
        for (role, keys) in own_keys {
            if let Some(tenant) = by_role.get(&role) {
                let url = own_issuer_url(&public_url, &tenant.name);
                let issuer = Issuer {
                    url: url.clone(),
                    keys,
                    tenants: vec![role],
                    strict: true,
                    max_lifetime: MAX_LIFETIME,
                    may_set_tier: false,
                };
                own.insert(url, Arc::new(issuer));
            }
        }
        let outside = issuers.into_iter().map(|issuer| (issuer.url.clone(), Arc::new(issuer))).collect();
        let mut by_tenant: HashMap<TenantRole, HashSet<String>> = HashMap::new();
        for (role, jti) in revoked {
            by_tenant.entry(role).or_default().insert(jti);
        }
        Self { public_url, by_name, by_role, own, outside, revoked: by_tenant }
    }

    /// The server's public URL, without a trailing slash.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The tenant of this name.
    pub fn tenant(&self, name: &TenantName) -> Option<&Arc<Tenant>> {
        self.by_name.get(name)
    }

    /// The tenant of this role.
    pub fn tenant_of_role(&self, role: &TenantRole) -> Option<&Arc<Tenant>> {
        self.by_role.get(role)
    }

    /// Every tenant, in no order.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.by_role.values()
    }

    /// The issuer of exactly this URL: a tenant's own, else one that is registered.
    pub fn issuer(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.own.get(url).or_else(|| self.outside.get(url))
    }

    /// Every registered outside issuer, in no order.
    pub fn outside_issuers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.outside.values()
    }

    /// The URL a tenant signs its own tokens under.
    pub fn own_issuer_url(&self, name: &TenantName) -> String {
        own_issuer_url(&self.public_url, name)
    }

    /// Whether this URL is a tenant's own issuer, whose keys only we hold.
    pub(crate) fn is_own_issuer(&self, url: &str) -> bool {
        self.own.contains_key(url)
    }

    /// The tenants an issuer is registered for, as far as they still exist.
    pub(crate) fn tenants_of<'a>(&'a self, issuer: &'a Issuer) -> impl Iterator<Item = &'a Arc<Tenant>> {
        issuer.tenants.iter().filter_map(|role| self.by_role.get(role))
    }

    /// Whether a token of this `jti` was revoked by the tenant.
    pub fn is_revoked(&self, role: &TenantRole, jti: &str) -> bool {
        self.revoked.get(role).is_some_and(|revoked| revoked.contains(jti))
    }

    /// The origins whose pages may read a tenant's answers.
    pub fn origins(&self, role: &TenantRole) -> impl Iterator<Item = &str> {
        self.by_role.get(role).into_iter().flat_map(|tenant| &tenant.settings.origins).map(String::as_str)
    }

    /// SHA-256 of the certificates that clients registered and that nobody but themselves vouches for (RFC 8705,
    /// section 2.2).
    pub fn registered_certificates(&self) -> impl Iterator<Item = [u8; 32]> {
        std::iter::empty()
    }

    /// Whether an `aud` member names this server, or this tenant on it: the public URL, `{public_url}/fhir` or the
    /// tenant's FHIR base, exactly.
    pub(crate) fn is_audience(&self, audience: &str, tenant: &Tenant) -> bool {
        match audience.strip_prefix(self.public_url.as_str()) {
            Some("" | "/fhir") => true,
            Some(path) => below_tenant_base(path, tenant) == Some(""),
            None => false,
        }
    }

    /// What follows the tenant's FHIR base, or the common one, in an absolute URL.
    pub(crate) fn below_base<'u>(&self, url: &'u str, tenant: &Tenant) -> Option<&'u str> {
        let path = url.strip_prefix(self.public_url.as_str())?;
        path.strip_prefix("/fhir").or_else(|| below_tenant_base(path, tenant))?.strip_prefix('/')
    }
}

fn below_tenant_base<'u>(path: &'u str, tenant: &Tenant) -> Option<&'u str> {
    path.strip_prefix("/t/")?.strip_prefix(tenant.name.as_str())?.strip_prefix("/fhir")
}

fn own_issuer_url(public_url: &str, name: &TenantName) -> String {
    format!("{public_url}/t/{name}/auth")
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("tenants", &self.by_role.len())
            .field("issuers", &self.outside.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
