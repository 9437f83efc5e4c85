//! Work done on a tenant's behalf without a token: its authority is a row that the control schema holds.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    access::{Access, Holder, Tier},
    scope::{Reach, ScopeSet, User, Who},
    tenant::Tenant,
};

/// Longest time a job may act: the longest import of the field ends within a day.
const JOB_LIFETIME: TimeDelta = TimeDelta::hours(24);

/// A job as the control schema holds it.
#[derive(Clone, Debug)]
pub struct StoredJob {
    /// Its id.
    pub id: Uuid,
    /// The tenant it works for.
    pub tenant: Arc<Tenant>,
    /// What it does, such as `import`.
    pub kind: String,
    /// On whose behalf.
    pub subject: String,
    /// What it may reach: scopes, separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// The right to act as a stored job.
#[derive(Clone, Debug)]
pub struct JobTicket {
    job: StoredJob,
}

impl JobTicket {
    /// Makes a ticket of a row. Only the store's module of jobs may call this (a lint holds it): whoever else did would
    /// write their own permission.
    pub fn from_stored_row(job: StoredJob) -> Self {
        Self { job }
    }

    /// The job's id.
    pub fn id(&self) -> Uuid {
        self.job.id
    }

    /// What the job does.
    pub fn kind(&self) -> &str {
        &self.job.kind
    }

    /// The caller this job is.
    pub fn access(&self) -> Access {
        let scopes = self.job.scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let scopes = ScopeSet::of(scopes);
        // A job has no user and no patient: `user/` and `patient/` scopes in its row reach nothing.
        let reach = Reach::of(&scopes, Who { patient: None, user: &User::Nobody });
        let issuer = format!("urn:vitals:job:{}", self.job.kind);
        let expires = self.job.created + JOB_LIFETIME;
        let holder = Holder {
            jti: Some(self.job.id.to_string()),
            ..Holder::new(issuer, self.job.subject.clone(), scopes, reach, expires)
        };
        Access::new(Arc::clone(&self.job.tenant), Arc::new(holder), Tier::Tenants)
    }
}

#[cfg(test)]
mod tests {
    use vitals_fhir::{interaction::Letter, resource::ResourceType};

    use super::*;
    use crate::{
        predicate::Visible,
        tenant::{TenantRole, TenantStatus},
    };

    #[test]
    fn a_job_reaches_what_its_row_says_and_no_compartment() {
        let tenant = Arc::new(Tenant {
            role: TenantRole::generate(),
            number: 1,
            name: "mercy".parse().unwrap(),
            login: 0,
            status: TenantStatus::Active,
            version: 1,
            tier: "default".to_owned(),
            display: "Mercy".to_owned(),
            created: chrono::DateTime::UNIX_EPOCH,
            settings: crate::settings::Settings::default(),
        });
        let job = StoredJob {
            id: Uuid::from_u128(7),
            tenant,
            kind: "import".to_owned(),
            subject: "root".to_owned(),
            scopes: "system/Observation.cu user/*.rs patient/*.rs".to_owned(),
            created: DateTime::UNIX_EPOCH,
        };
        let ticket = JobTicket { job };
        assert_eq!((ticket.id(), ticket.kind()), (Uuid::from_u128(7), "import"));
        let access = ticket.access();
        assert_eq!(access.jti(), Some("00000000-0000-0000-0000-000000000007"));
        assert_eq!((access.subject(), access.client()), ("root", None));
        assert_eq!(access.issuer(), "urn:vitals:job:import");
        assert!(access.may_create_at_chosen_id(ResourceType::Observation));
        assert_eq!(access.visible(ResourceType::Observation, Letter::Create), Visible::Everything);
        assert_eq!(access.visible(ResourceType::Patient, Letter::Read), Visible::Nothing);
        assert_eq!(access.expires().timestamp(), 24 * 60 * 60);
    }
}
