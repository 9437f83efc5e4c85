//! What a server knows of tenants, issuers, keys and what was taken back at one moment. Immutable: the control poller makes a
//! new one when something changed, and a request is judged by the one it found.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::{
    api_key::{ApiKey, StoredApiKey},
    claims::ClaimMapping,
    grant::{Grant, Grants},
    keys::{AllowedAlgorithms, KeySet},
    revocations::{Revocable, Revocations},
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
    /// What its tokens may be signed by.
    pub algorithms: AllowedAlgorithms,
    /// How it names its claims.
    pub mapping: Arc<ClaimMapping>,
}

/// What a directory is made of.
#[derive(Clone, Debug, Default)]
pub struct DirectoryParts {
    /// The server's public URL.
    pub public_url: String,
    /// The tenants.
    pub tenants: Vec<Tenant>,
    /// The outside issuers.
    pub issuers: Vec<Issuer>,
    /// The tenants' own signing keys: each becomes the issuer `{public_url}/t/{name}/auth`, which no outside
    /// registration of the same URL can replace.
    pub own_keys: Vec<(TenantRole, KeySet)>,
    /// API keys that were not revoked.
    pub api_keys: Vec<StoredApiKey>,
    /// Origins of the apps that clients registered.
    pub origins: Vec<(TenantRole, String)>,
    /// Self-signed certificates that clients registered, by their thumbprints.
    pub certificates: Vec<(TenantRole, [u8; 32])>,
    /// What tenants granted to others, and what they did and ended a while ago, so that a refusal can name it.
    pub grants: Vec<Grant>,
    /// What was taken back.
    pub revocations: Arc<Revocations>,
}

/// Who there is at one moment. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    registry: Arc<Registry>,
    revocations: Arc<Revocations>,
}

/// What changes seldom.
struct Registry {
    public_url: String,
    by_name: HashMap<TenantName, Arc<Tenant>>,
    by_role: HashMap<TenantRole, Arc<Tenant>>,
    own: HashMap<String, Arc<Issuer>>,
    outside: HashMap<String, Arc<Issuer>>,
    api_keys: HashMap<[u8; 32], ApiKey>,
    origins: HashMap<TenantRole, BTreeSet<String>>,
    certificates: HashMap<[u8; 32], Vec<TenantRole>>,
    grants: Grants,
}

impl Directory {
    /// Makes a directory.
    pub fn build(parts: DirectoryParts) -> Self {
        let public_url = parts.public_url.trim_end_matches('/').to_owned();
        let by_role: HashMap<_, _> =
            parts.tenants.into_iter().map(|tenant| (tenant.role.clone(), Arc::new(tenant))).collect();
        let by_name = by_role.values().map(|tenant| (tenant.name.clone(), Arc::clone(tenant))).collect();
        let mut own = HashMap::with_capacity(parts.own_keys.len());
        for (role, keys) in parts.own_keys {
            if let Some(tenant) = by_role.get(&role) {
                let issuer = own_issuer(own_issuer_url(&public_url, &tenant.name), role, keys);
                own.insert(issuer.url.clone(), Arc::new(issuer));
            }
        }
        let mut origins: HashMap<TenantRole, BTreeSet<String>> = HashMap::new();
        for (role, origin) in parts.origins {
            origins.entry(role).or_default().insert(origin);
        }
        for tenant in by_role.values().filter(|tenant| !tenant.settings.origins.is_empty()) {
            origins.entry(tenant.role.clone()).or_default().extend(tenant.settings.origins.iter().cloned());
        }
        let mut certificates: HashMap<[u8; 32], Vec<TenantRole>> = HashMap::new();
        for (role, thumbprint) in parts.certificates {
            certificates.entry(thumbprint).or_default().push(role);
        }
        let registry = Registry {
            public_url,
            by_name,
            by_role,
            own,
            outside: parts.issuers.into_iter().map(|issuer| (issuer.url.clone(), Arc::new(issuer))).collect(),
            api_keys: parts.api_keys.into_iter().map(|key| (key.hash, ApiKey::of(key))).collect(),
            origins,
            certificates,
            grants: Grants::of(parts.grants),
        };
        Self { registry: Arc::new(registry), revocations: parts.revocations }
    }

    /// The same but for what was taken back.
    #[must_use]
    pub fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        Self { registry: Arc::clone(&self.registry), revocations }
    }

    /// The server's public URL, without a trailing slash.
    pub fn public_url(&self) -> &str {
        &self.registry.public_url
    }

    /// The tenant of this name.
    pub fn tenant(&self, name: &TenantName) -> Option<&Arc<Tenant>> {
        self.registry.by_name.get(name)
    }

    /// The tenant of this role.
    pub fn tenant_of_role(&self, role: &TenantRole) -> Option<&Arc<Tenant>> {
        self.registry.by_role.get(role)
    }

    /// Every tenant, in no order.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.registry.by_role.values()
    }

    /// The issuer of exactly this URL: a tenant's own, else one that is registered.
    pub fn issuer(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.registry.own.get(url).or_else(|| self.registry.outside.get(url))
    }

    /// Every registered outside issuer, in no order.
    pub fn outside_issuers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.registry.outside.values()
    }

    /// The URL a tenant signs its own tokens under.
    pub fn own_issuer_url(&self, name: &TenantName) -> String {
        own_issuer_url(&self.registry.public_url, name)
    }

    /// Whether this URL is a tenant's own issuer, whose keys only we hold.
    pub(crate) fn is_own_issuer(&self, url: &str) -> bool {
        self.registry.own.contains_key(url)
    }

    /// The tenants an issuer is registered for, as far as they still exist.
    pub(crate) fn tenants_of<'a>(&'a self, issuer: &'a Issuer) -> impl Iterator<Item = &'a Arc<Tenant>> {
        issuer.tenants.iter().filter_map(|role| self.registry.by_role.get(role))
    }

    /// Whether a credential was taken back by its tenant.
    pub fn is_revoked(&self, role: &TenantRole, asked: &Revocable<'_>) -> bool {
        self.revocations.hold(role, asked)
    }

    /// The API key of this hash.
    pub(crate) fn api_key(&self, hash: &[u8; 32]) -> Option<&ApiKey> {
        self.registry.api_keys.get(hash)
    }

    /// What other tenants granted to this one, in no order, unless it was ended: whether it stands is for each request to
    /// judge.
    pub fn grants_to<'a>(&'a self, grantee: &TenantRole) -> impl Iterator<Item = &'a Arc<Grant>> {
        self.registry.grants.to(grantee).filter(|grant| !grant.revoked)
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.registry.grants
    }

    /// Origins whose pages may read a tenant's answers: those of its registered apps and those it configured.
    pub fn origins(&self, tenant: &TenantRole) -> impl Iterator<Item = &str> {
        self.registry.origins.get(tenant).into_iter().flatten().map(String::as_str)
    }

    /// Whether a tenant has this origin among its own.
    pub fn has_origin(&self, tenant: &TenantRole, origin: &str) -> bool {
        self.registry.origins.get(tenant).is_some_and(|origins| origins.contains(origin))
    }

    /// The self-signed certificates that clients registered, by thumbprint: the only ones that a handshake takes
    /// without an authority.
    pub fn registered_certificates(&self) -> impl Iterator<Item = [u8; 32]> {
        self.registry.certificates.keys().copied()
    }

    /// Whether some client registered the self-signed certificate of this thumbprint.
    pub fn is_registered_certificate(&self, thumbprint: &[u8; 32]) -> bool {
        self.registry.certificates.contains_key(thumbprint)
    }

    /// Whether an `aud` member names this server, or this tenant on it: the public URL, `{public_url}/fhir` or the
    /// tenant's FHIR base, exactly.
    pub(crate) fn is_audience(&self, audience: &str, tenant: &Tenant) -> bool {
        match audience.strip_prefix(self.registry.public_url.as_str()) {
            Some("" | "/fhir") => true,
            Some(path) => below_tenant_base(path, tenant) == Some(""),
            None => false,
        }
    }

    /// What follows the tenant's FHIR base, or the common one, in an absolute URL.
    pub(crate) fn below_base<'u>(&self, url: &'u str, tenant: &Tenant) -> Option<&'u str> {
        let path = url.strip_prefix(self.registry.public_url.as_str())?;
        path.strip_prefix("/fhir").or_else(|| below_tenant_base(path, tenant))?.strip_prefix('/')
    }
}

fn below_tenant_base<'u>(path: &'u str, tenant: &Tenant) -> Option<&'u str> {
    path.strip_prefix("/t/")?.strip_prefix(tenant.name.as_str())?.strip_prefix("/fhir")
}

fn own_issuer(url: String, role: TenantRole, keys: KeySet) -> Issuer {
    Issuer {
        url,
        keys,
        tenants: vec![role],
        strict: true,
        max_lifetime: MAX_LIFETIME,
        may_set_tier: false,
        algorithms: AllowedAlgorithms::default(),
        mapping: Arc::default(),
    }
}

fn own_issuer_url(public_url: &str, name: &TenantName) -> String {
    format!("{public_url}/t/{name}/auth")
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("tenants", &self.registry.by_role.len())
            .field("issuers", &self.registry.outside.len())
            .field("revocations", &self.revocations.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
