//! What scopes would open of a tenant, for whoever is about to grant them: how much there is, never what. It is no
//! [`crate::access::Access`]: nothing that reads rows takes it.

use std::{fmt, sync::Arc};

use vitals_fhir::{interaction::Letter, resource::ResourceType};

use crate::{
    predicate::Visible,
    scope::{Reach, ScopeSet, User, Who},
    tenant::Tenant,
};

/// The reach of scopes in a tenant, to be counted.
pub struct Preview {
    tenant: Arc<Tenant>,
    reach: Reach,
}

impl Preview {
    /// What these scopes open to somebody of another tenant, who is nobody here: no patient, and no user.
    pub fn of(tenant: &Arc<Tenant>, scopes: &[String]) -> Self {
        let scopes = ScopeSet::of(scopes.to_vec());
        let reach = Reach::of(&scopes, Who { patient: None, user: &User::Nobody });
        Self { tenant: Arc::clone(tenant), reach }
    }

    /// The tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The rows of a type that a search would reach.
    pub fn visible(&self, resource: ResourceType) -> &Visible {
        self.reach.visible(resource, Letter::Search)
    }
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("tenant", &self.tenant.role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        predicate::{AllOf, Term},
        settings::Settings,
        tenant::{TenantRole, TenantStatus},
    };

    fn preview(scopes: &[&str]) -> Preview {
        let tenant = Tenant {
            role: TenantRole::generate(),
            number: 1,
            name: "mercy".parse().unwrap(),
            login: 0,
            status: TenantStatus::Active,
            version: 1,
            tier: "default".to_owned(),
            display: "Mercy".to_owned(),
            created: chrono::DateTime::UNIX_EPOCH,
            settings: Settings::default(),
        };
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Preview::of(&Arc::new(tenant), &scopes)
    }

    #[test]
    fn scopes_open_what_a_stranger_could_search() {
        let heart = preview(&["vitals.heart_rate:read"]);
        let one = Visible::AnyOf(vec![AllOf(vec![Term::VitalIn(vec!["heart_rate"])])]);
        assert_eq!(*heart.visible(ResourceType::Observation), one);
        assert_eq!(*heart.visible(ResourceType::Patient), Visible::Nothing);
        assert_eq!(*preview(&["users:read"]).visible(ResourceType::Patient), Visible::Everything);
        assert_eq!(*preview(&["system/Patient.r"]).visible(ResourceType::Patient), Visible::Nothing);
    }

    #[test]
    fn its_debug_text_names_the_tenants_role_alone() {
        let heart = preview(&["vitals.heart_rate:read"]);
        let text = format!("{heart:?}");
        assert!(text.contains(heart.tenant().role.as_str()) && !text.contains("Mercy"), "{text}");
    }

    #[test]
    fn who_is_nobody_here_has_no_compartment() {
        let nobodys = preview(&["patient/*.rs", "user/*.rs", "launch", "nonsense"]);
        for resource in ResourceType::ALL {
            assert_eq!(*nobodys.visible(resource), Visible::Nothing);
        }
    }
}
