//! What the operator says of limits: tiers, what requests cost, and how much may come from one address or run at once.

use std::collections::BTreeMap;

use vitals_access::{
    limits::{Category, Limits, Quotas},
    tenant::Tenant,
};
use vitals_store::pool::PoolLimits;

/// The tier of tenants for whom nothing else is said. It has no quotas unless the configuration gives it some.
pub const DEFAULT_TIER: &str = "default";

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Tiers by name.
    pub tiers: BTreeMap<String, Limits>,
    /// What requests cost.
    pub costs: Costs,
    /// What may come from one address without good credentials.
    pub address: AddressLimits,
    /// What may run and wait at once.
    pub concurrency: Concurrency,
}

/// Units that a request counts for in its category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// read, vread, history of one resource, `$validate`.
    pub read: u64,
    /// A search or a history of a type.
    pub search: u64,
    /// A search over more than one type: chains, `_has`, `_include`, `_revinclude`.
    pub joined: u64,
    /// create, update, delete.
    pub write: u64,
    /// A Bundle as such; each entry costs what it would cost alone.
    pub bundle: u64,
    /// `$everything`.
    pub everything: u64,
    /// `$export`.
    pub export: u64,
    /// A request to the authorization server.
    pub auth: u64,
    /// A request to the administration.
    pub admin: u64,
}

impl Default for Costs {
    fn default() -> Self {
        // In the proportion of what they take of a processor: a page of 50 costs two reads, a write with its history,
        // its outbox and its commit five.
        Self { read: 1, search: 2, joined: 4, write: 5, bundle: 1, everything: 20, export: 100, auth: 1, admin: 1 }
    }
}

/// What may come from one address without good credentials; nothing said is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// In any second.
    pub per_second: Option<u64>,
    /// In any minute.
    pub per_minute: Option<u64>,
}

impl AddressLimits {
    /// No limit.
    pub const NONE: Self = Self { per_second: None, per_minute: None };
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self { per_second: Some(100), per_minute: Some(6_000) }
    }
}

/// What may run and wait at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Searches of one tenant that run at once, if said.
    pub searches_per_tenant: Option<usize>,
    /// The same while another tenant is there.
    pub searches_beside_others: Option<usize>,
    /// Requests of one tenant that wait for a connection, if said.
    pub waiting_per_tenant: Option<usize>,
    /// Bytes of request bodies that are in memory at once.
    pub body_bytes: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            searches_per_tenant: None,
            searches_beside_others: None,
            waiting_per_tenant: None,
            // What is made of a body takes a few times its size.
            body_bytes: 256 * 1024 * 1024,
        }
    }
}

impl Concurrency {
    /// The pool's limits with what is said here.
    #[must_use]
    pub fn of_pool(&self, limits: PoolLimits) -> PoolLimits {
        PoolLimits {
            searches: self.searches_per_tenant.unwrap_or(limits.searches),
            searches_beside_others: self.searches_beside_others.unwrap_or(limits.searches_beside_others),
            waiting: self.waiting_per_tenant.unwrap_or(limits.waiting),
            ..limits
        }
    }
}

impl LimitSettings {
    /// What all of a tenant's callers together may do: what is set for the tenant, else what its tier says.
    pub fn of_tenant(&self, tenant: &Tenant, category: Category) -> Quotas {
        let own = tenant.settings.limits.tenant.get(&category);
        own.or_else(|| self.tier(&tenant.tier)?.tenant.get(&category)).copied().unwrap_or(Quotas::NONE)
    }

    /// What each of its clients may do.
    pub fn of_client(&self, tenant: &Tenant, category: Category) -> Quotas {
        let own = tenant.settings.limits.per_client.get(&category);
        own.or_else(|| self.tier(&tenant.tier)?.per_client.get(&category)).copied().unwrap_or(Quotas::NONE)
    }

    /// What the callers of a tier that a token names may do. A name that is not in the table says nothing.
    pub fn of_tier(&self, name: &str, category: Category) -> Quotas {
        self.tier(name).and_then(|tier| tier.tenant.get(&category)).copied().unwrap_or(Quotas::NONE)
    }

    fn tier(&self, name: &str) -> Option<&Limits> {
        self.tiers.get(name)
    }

    /// Whether the table has a tier; `default` is always there.
    pub fn has_tier(&self, name: &str) -> bool {
        name == DEFAULT_TIER || self.tiers.contains_key(name)
    }
}
