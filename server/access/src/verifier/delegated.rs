//! A caller at the FHIR base of another tenant (contract, section 6). All of these must hold, as the directory and the
//! clock have them now: a grant of that tenant's stands, the token says `org:delegated`, it has an entry for that tenant
//! in `delegated_access` that has not ended, and some scope stands in both. The grant counts as the directory has it; the
//! token can only narrow it.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    access::{Access, Under},
    claims::Delegation,
    directory::Directory,
    grant::{Granted, reach_elsewhere},
    refusal::{Caller, NotDelegated, Refusal},
    scope::{Reach, ScopeSet},
    tenant::{Tenant, TenantName, TenantStatus},
};

/// The word a token must say.
const SCOPE: &str = "org:delegated";
/// Grants between two tenants that are looked at, the newest: each costs time with every request.
const MOST: usize = 16;

/// Who is told nothing else: whether the other tenant exists is not to be seen from it.
const NONE: &str = "no grant stands";

/// An entry of `delegated_access` with what its scopes reach.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) delegation: Delegation,
    scopes: ScopeSet,
    reach: Reach,
}

impl Entry {
    pub(crate) fn of(delegation: Delegation) -> Self {
        let scopes = ScopeSet::of(delegation.scopes.clone());
        let reach = reach_elsewhere(&scopes);
        Self { delegation, scopes, reach }
    }

    /// Whether it counts for a tenant now. No leeway: beside the grant's own end it is the end of a delegation.
    fn is_for(&self, tenant: &Tenant, now: DateTime<Utc>) -> bool {
        self.delegation.tenant == tenant.name.as_str() && now.timestamp_millis() < self.delegation.expires
    }
}

/// A caller and the tenants that let it read their data now, for requests to all of them at once.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// The caller in its own tenant.
    pub own: Access,
    /// The caller in each tenant whose grant it may use, by their names.
    pub grantors: Vec<Access>,
    /// Tenants that its token has an entry for and that do not let it in.
    pub withheld: Vec<Withheld>,
}

/// A tenant that a token has an entry for and that does not let its holder in. Only audit records hold what of this was
/// the matter: to the caller all of it looks the same.
#[derive(Clone, Debug)]
pub struct Withheld {
    /// The tenant's name, as the token has it.
    pub asked: TenantName,
    /// The tenant, if there is one of this name.
    pub tenant: Option<Arc<Tenant>>,
    /// The grant that stands, or the last that did.
    pub grant: Option<String>,
    /// Why that did not do.
    pub reason: &'static str,
}

impl Withheld {
    /// A tenant whose grant could be used, but for what it asks every caller to prove.
    pub(super) fn unproven(access: &Access, reason: &'static str) -> Self {
        let tenant = access.tenant();
        let grant = access.grant().map(|grant| grant.id.clone());
        Self { asked: tenant.name.clone(), tenant: Some(Arc::clone(tenant)), grant, reason }
    }
}

/// The caller in the tenant of this name, if that tenant lets it in.
pub(super) fn admit(
    directory: &Directory,
    own: Access,
    asked: &TenantName,
    now: DateTime<Utc>,
) -> Result<Access, Refusal> {
    let decided = match directory.tenant(asked) {
        Some(grantor) => decide(directory, &own, grantor, now),
        None => Err((NONE, None)),
    };
    decided.map_err(|(reason, grant)| refusal(own, asked.clone(), grant, reason))
}

/// A refusal of a caller who asked for another tenant's data.
pub(super) fn refusal(caller: Access, asked: TenantName, grant: Option<String>, reason: &'static str) -> Refusal {
    Refusal::NotDelegated(Box::new(NotDelegated { caller: Caller::new(caller), asked, grant, reason }))
}

/// The caller in every tenant that lets it in, by name.
pub(super) fn all(directory: &Directory, own: &Access, now: DateTime<Utc>) -> Vec<Access> {
    let grantors = directory.grants().grantors(&own.tenant().role);
    let mut all: Vec<Access> =
        grantors.filter_map(|role| decide(directory, own, directory.tenant_of_role(role)?, now).ok()).collect();
    all.sort_by(|one, two| one.tenant().name.cmp(&two.tenant().name));
    all
}

/// The tenants that the token has an entry for and that do not let its holder in, by name.
pub(super) fn withheld(directory: &Directory, own: &Access, now: DateTime<Utc>) -> Vec<Withheld> {
    let names = own.entries().iter().filter_map(|entry| entry.delegation.tenant.parse().ok());
    let names: BTreeSet<TenantName> = names.filter(|name| *name != own.tenant().name).collect();
    let refused = names.into_iter().filter_map(|asked| {
        let tenant = directory.tenant(&asked).cloned();
        let decided = tenant.as_ref().map_or(Err((NONE, None)), |tenant| decide(directory, own, tenant, now));
        let (reason, grant) = decided.err()?;
        Some(Withheld { asked, tenant, grant, reason })
    });
    refused.collect()
}

/// Whether a token says what it must for any delegated request.
pub(super) fn says_so(own: &Access) -> Result<(), &'static str> {
    if own.has(SCOPE) { Ok(()) } else { Err("the token does not say org:delegated") }
}

/// The caller in a tenant, or why not and under which grant.
fn decide(
    directory: &Directory,
    own: &Access,
    grantor: &Arc<Tenant>,
    now: DateTime<Utc>,
) -> Result<Access, (&'static str, Option<String>)> {
    let between = directory.grants().between(&grantor.role, &own.tenant().role);
    let newest = between.first().ok_or((NONE, None))?;
    let standing: Vec<&Granted> = between.iter().filter(|granted| granted.grant.stands_at(now)).take(MOST).collect();
    let Some(first) = standing.first() else {
        let reason = if newest.grant.is_over(now) { "the grant has ended" } else { "the grant has not begun" };
        return Err((reason, Some(newest.grant.id.clone())));
    };
    let refused = |reason| Err((reason, Some(first.grant.id.clone())));
    if grantor.status == TenantStatus::Suspended {
        return refused("the tenant that granted is suspended");
    }
    if own.tenant().status == TenantStatus::Suspended {
        return refused("the caller's tenant is suspended");
    }
    if let Err(reason) = says_so(own) {
        return refused(reason);
    }
    if own.patient().is_some() {
        return refused("a token for one patient reaches no other tenant");
    }
    let entries: Vec<&Entry> = own.entries().iter().filter(|entry| entry.is_for(grantor, now)).collect();
    if entries.is_empty() {
        return refused("the token has no delegated_access entry for the tenant that has not ended");
    }
    let parts: Vec<(&ScopeSet, &Reach)> = entries.iter().map(|entry| (&entry.scopes, &entry.reach)).collect();
    let granted: Vec<_> = standing
        .iter()
        .filter_map(|granted| {
            let reach = Reach::read_in_common(&parts, &granted.reach);
            reach.reaches_anything().then(|| (Arc::clone(&granted.grant), reach))
        })
        .collect();
    if granted.is_empty() {
        return refused("the token and the grant have no scope in common");
    }
    let texts = parts.iter().flat_map(|(scopes, _)| scopes.texts().iter().cloned()).collect();
    Ok(own.in_tenant(Arc::clone(grantor), Under { acting: Arc::clone(own.tenant()), texts, granted }))
}
