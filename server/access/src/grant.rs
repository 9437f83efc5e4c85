//! Grants: what one tenant (the grantor) lets another (the grantee) read (contract, section 6).
//!
//! A grant is the grantor's word and stands in the control schema. A token of the grantee's can only narrow it.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    scope::{Reach, ScopeSet, User, Who},
    tenant::TenantRole,
};

/// What a tenant granted to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id, a UUID; later ones are greater.
    pub id: String,
    /// Whose data it opens.
    pub grantor: TenantRole,
    /// To whom.
    pub grantee: TenantRole,
    /// What of them, as scopes; whatever they say, a grant lets nothing be written.
    pub scopes: Vec<String>,
    /// What for.
    pub purpose: String,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// Whether the grantor ended it before its time.
    pub revoked: bool,
}

impl Grant {
    /// Whether it stands at a moment: from its beginning on, at its end no more. No leeway: both are times of ours.
    pub fn stands_at(&self, now: DateTime<Utc>) -> bool {
        !self.is_over(now) && self.not_before <= now
    }

    /// Whether it stood, or would have, and never will again.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.revoked || self.expires <= now
    }
}

/// A grant with what its scopes reach in the grantor's data.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grant: Arc<Grant>,
    pub(crate) reach: Reach,
}

/// Grants by grantee and grantor, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Grants(HashMap<TenantRole, HashMap<TenantRole, Vec<Granted>>>);

impl Grants {
    pub(crate) fn of(grants: Vec<Grant>) -> Self {
        let mut all: HashMap<TenantRole, HashMap<TenantRole, Vec<Granted>>> = HashMap::new();
        for grant in grants {
            let between = all.entry(grant.grantee.clone()).or_default().entry(grant.grantor.clone()).or_default();
            let reach = reach_elsewhere(&ScopeSet::of(grant.scopes.clone()));
            between.push(Granted { grant: Arc::new(grant), reach });
        }
        for between in all.values_mut().flat_map(HashMap::values_mut) {
            between.sort_by(|one, two| two.grant.id.cmp(&one.grant.id));
        }
        Self(all)
    }

    /// Those between two tenants, whether they stand or not.
    pub(crate) fn between(&self, grantor: &TenantRole, grantee: &TenantRole) -> &[Granted] {
        self.0.get(grantee).and_then(|grantors| grantors.get(grantor)).map_or(&[], Vec::as_slice)
    }

    /// Who ever granted something to a tenant.
    pub(crate) fn grantors<'a>(&'a self, grantee: &TenantRole) -> impl Iterator<Item = &'a TenantRole> {
        self.0.get(grantee).into_iter().flat_map(HashMap::keys)
    }

    /// Those made to a tenant.
    pub(crate) fn to<'a>(&'a self, grantee: &TenantRole) -> impl Iterator<Item = &'a Arc<Grant>> {
        self.0.get(grantee).into_iter().flat_map(HashMap::values).flatten().map(|granted| &granted.grant)
    }
}

/// What scopes reach in another tenant's data: ids are independent between tenants, so a patient or a user in context is
/// nobody there, and `patient/` and `user/` scopes reach nothing.
pub(crate) fn reach_elsewhere(scopes: &ScopeSet) -> Reach {
    Reach::of(scopes, Who { patient: None, user: &User::Nobody })
}

#[cfg(test)]
mod tests;
