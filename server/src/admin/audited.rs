//! The audit records of the operator's changes.
//!
//! A change stands in the trail twice: as begun before anything is touched, and with its outcome before the answer
//! leaves. So nothing changes while no record can be written, and a server that dies half way leaves a trace. A record
//! stands in the chain of its tenant as long as that exists, else in the server's own.

use uuid::Uuid;
use vitals_access::{
    audit::{AuditRecord, Decision, Origin, SERVER_CHAIN},
    tenant::{Tenant, TenantName},
};

use super::{problem::Problem, route::Asked};
use crate::{rest::Incoming, state::App};

/// The operator, in the trail.
const SUBJECT: &str = "operator";
/// The reason of a record that tells of an intention.
const BEGUN: &str = "begun";

/// The record of one request of the operator's.
pub struct Audited<'a> {
    app: &'a App,
    record: AuditRecord,
    begun: bool,
}

impl<'a> Audited<'a> {
    /// A record of a request by whoever it may be.
    pub fn of(app: &'a App, incoming: &Incoming, asked: &Asked<'_>) -> Self {
        let mut record = AuditRecord::new(Origin::Http, asked.ask.action(), app.clock.now());
        record.request_id = Some(incoming.request_id.clone());
        record.address = incoming.address.map(|address| address.to_string());
        record.tenant = asked.tenant.parse::<TenantName>().ok().map(|name| name.to_string());
        Self { app, record, begun: false }
    }

    /// The caller showed the token.
    pub fn by_operator(mut self) -> Self {
        self.record.subject = Some(SUBJECT.to_owned());
        self
    }

    /// The tenant it is about is called so.
    pub fn about(&mut self, name: &TenantName) {
        self.record.tenant = Some(name.to_string());
    }

    /// The tenant it is about is there.
    pub fn in_chain_of(&mut self, tenant: &Tenant) {
        self.about(&tenant.name);
        tenant.role.as_str().clone_into(&mut self.record.chain);
    }

    /// The tenant it is about is gone.
    pub fn in_chain_of_server(&mut self) {
        SERVER_CHAIN.clone_into(&mut self.record.chain);
    }

    /// Writes down that the change begins. Without this nothing may be changed.
    pub async fn begin(&mut self) -> Result<(), Problem> {
        let mut intention = self.record.clone();
        intention.id = Uuid::now_v7();
        intention.decision = Decision::Unknown;
        intention.reason = Some(BEGUN.to_owned());
        self.app.audit.record(intention).await?;
        self.begun = true;
        Ok(())
    }

    /// Writes down how the request ended.
    pub async fn end(mut self, outcome: Result<u16, &Problem>) -> Result<(), Problem> {
        match outcome {
            Ok(status) => self.record.allowed(status),
            Err(problem) if self.begun && problem.is_uncertain() => {
                self.record.unknown(problem.status(), problem.reason());
            }
            Err(problem) => self.record.denied(problem.status(), problem.reason()),
        }
        let written = self.app.audit.record(self.record).await;
        written.map_err(|away| if outcome.is_ok() { Problem::made_but_not_recorded() } else { away.into() })
    }
}
