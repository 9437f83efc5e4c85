//! The audit record: what every request leaves behind (contract, section 8), and how records are chained.
//!
//! A record's canonical text has its keys in the order of the struct and leaves absent ones out; the hash of a record
//! covers that text and the hash of the record before it, so that nothing can be changed, taken out or put in unseen.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    access::Access,
    hash::sha256,
    refusal::{Caller, Claimed, NotDelegated},
    tenant::{Tenant, TenantName},
};

mod criteria;
mod text;

pub use criteria::{Queries, criteria};

/// The chain of requests that belong to no tenant.
pub const SERVER_CHAIN: &str = "server";

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It was done.
    Allowed,
    /// It was refused, or failed.
    Denied,
    /// It may have been done: the database did not say.
    Unknown,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Over HTTP.
    Http,
    /// A command.
    Cli,
    /// A job.
    Job,
}

/// One entry of a Bundle, or one of the tenants that a request was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The interaction's code.
    pub action: String,
    /// The resource type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub resource_type: Option<String>,
    /// The resource's id.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none", default)]
    pub resource_id: Option<String>,
    /// The patient it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patient: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// The entry's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The criteria of a search, as far as the policy keeps them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// The tenant that was asked, by name, where several were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<String>,
    /// The grant that was used there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<String>,
    /// How many resources of that tenant were disclosed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// The patients of that tenant that were disclosed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub patients: Vec<String>,
}

impl AuditEntry {
    /// An entry that says no more than what was done.
    pub fn new(action: impl Into<String>, decision: Decision) -> Self {
        Self {
            action: action.into(),
            resource_type: None,
            resource_id: None,
            patient: None,
            decision,
            status: None,
            query: None,
            tenant: None,
            grant: None,
            count: None,
            patients: Vec::new(),
        }
    }
}

/// One record. Holds no health values and no token; of criteria, what the policy keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The record's own id (UUID v7), the same wherever it travels.
    #[serde(rename = "record", with = "text::uuid")]
    pub id: Uuid,
    /// The chain it belongs to: a tenant's role, or [`SERVER_CHAIN`].
    pub chain: String,
    /// Where the request came from.
    pub origin: Origin,
    /// When, to the millisecond.
    #[serde(with = "text::time")]
    pub time: DateTime<Utc>,
    /// The tenant whose data was asked for, by name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<String>,
    /// The caller's tenant, by name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acting_tenant: Option<String>,
    /// The token's issuer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<String>,
    /// The caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The caller's program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    /// Whether issuer, subject, client and tenant are only what a refused token claimed.
    #[serde(skip_serializing_if = "is_false", default)]
    pub unverified: bool,
    /// Thumbprint of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<String>,
    /// The token's scopes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scopes: Vec<String>,
    /// The scopes that covered the interaction.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub used: Vec<String>,
    /// The interaction's code, or the command.
    pub action: String,
    /// The resource type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub resource_type: Option<String>,
    /// The resource's id.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none", default)]
    pub resource_id: Option<String>,
    /// The version read or written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<i64>,
    /// The criteria of a search or a conditional request, as far as the policy keeps them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// The patient it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patient: Option<String>,
    /// The patients disclosed by a search or a history.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub patients: Vec<String>,
    /// How many resources were disclosed, or how many refusals this record stands for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// The encounter in context.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encounter: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The peer's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The grant that was used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<String>,
    /// What that grant is for: a code of HL7's PurposeOfUse.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// The entries of a Bundle.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub entries: Vec<AuditEntry>,
    /// Where a copy goes; no part of the record.
    #[serde(skip)]
    pub copy: Option<Copied>,
}

/// The chain of the caller's own tenant, and whose data was asked for, as that chain tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    chain: String,
    tenant: String,
}

impl Copied {
    fn to(own: &Tenant, asked: &TenantName) -> Self {
        Self { chain: own.role.as_str().to_owned(), tenant: asked.to_string() }
    }
}

impl AuditRecord {
    /// A record of the server's own chain that says refused until told otherwise.
    pub fn new(origin: Origin, action: impl Into<String>, time: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::now_v7(),
            chain: SERVER_CHAIN.to_owned(),
            origin,
            time: time.trunc_subsecs(3),
            tenant: None,
            acting_tenant: None,
            issuer: None,
            subject: None,
            client: None,
            unverified: false,
            certificate: None,
            scopes: Vec::new(),
            used: Vec::new(),
            action: action.into(),
            resource_type: None,
            resource_id: None,
            version: None,
            query: None,
            patient: None,
            patients: Vec::new(),
            count: None,
            encounter: None,
            decision: Decision::Denied,
            reason: None,
            status: None,
            request_id: None,
            address: None,
            grant: None,
            purpose: None,
            entries: Vec::new(),
            copy: None,
        }
    }

    /// Puts a verified caller into the record, and the record into the chain of the tenant whose data is opened. A caller
    /// of another tenant leaves a copy in the chain of its own.
    pub fn by(&mut self, access: &Access) {
        let tenant = access.tenant();
        tenant.role.as_str().clone_into(&mut self.chain);
        self.tenant = Some(tenant.name.to_string());
        self.acting_tenant = Some(access.acting().name.to_string());
        self.grant = access.grant().map(|grant| grant.id.clone());
        self.purpose = access.grant().map(|grant| grant.purpose.clone());
        self.copy = access.grant().map(|_| Copied::to(access.acting(), &tenant.name));
        self.issuer = Some(access.issuer().to_owned());
        self.subject = Some(access.subject().to_owned());
        self.client = access.client().map(str::to_owned);
        self.scopes = access.scopes().texts().to_vec();
        self.encounter = access.encounter().map(str::to_owned);
    }

    /// Puts a verified caller into the record who was refused; the chain is the one the record is in.
    pub fn by_refused(&mut self, caller: &Caller) {
        self.acting_tenant = Some(caller.tenant().name.to_string());
        self.issuer = Some(caller.issuer().to_owned());
        self.subject = Some(caller.subject().to_owned());
        self.client = caller.client().map(str::to_owned);
        self.scopes = caller.scopes().to_vec();
    }

    /// Puts a verified caller into the record who asked for another tenant's data in vain; it leaves a copy in the chain of
    /// the caller's own tenant, which is the same whether that other tenant exists or not.
    pub fn by_not_delegated(&mut self, refused: &NotDelegated) {
        self.by_refused(&refused.caller);
        self.grant.clone_from(&refused.grant);
        let own = refused.caller.tenant();
        self.copy = (refused.asked != own.name).then(|| Copied::to(own, &refused.asked));
    }

    /// The copy that belongs into another chain, as a record of its own; asked for a second time, there is none.
    pub fn take_copy(&mut self) -> Option<Self> {
        let Copied { chain, tenant } = self.copy.take()?;
        Some(Self { id: Uuid::now_v7(), chain, tenant: Some(tenant), ..self.clone() })
    }

    /// A record of its own of the same request, for the chain of another tenant that the request was about as well.
    #[must_use]
    pub fn elsewhere(&self, chain: &str) -> Self {
        Self { id: Uuid::now_v7(), chain: chain.to_owned(), copy: None, ..self.clone() }
    }

    /// Puts into the record what a refused token claimed, marked as unverified.
    pub fn by_claimed(&mut self, claimed: &Claimed) {
        self.unverified = true;
        self.issuer.clone_from(&claimed.issuer);
        self.subject.clone_from(&claimed.subject);
        self.client.clone_from(&claimed.client);
        self.acting_tenant.clone_from(&claimed.tenant);
    }

    /// The request was done and answered with this status.
    pub fn allowed(&mut self, status: u16) {
        self.decision = Decision::Allowed;
        self.status = Some(status);
        self.reason = None;
    }

    /// The request was refused with this status, for this reason.
    pub fn denied(&mut self, status: u16, reason: impl Into<String>) {
        self.decision = Decision::Denied;
        self.status = Some(status);
        self.reason = Some(reason.into());
    }

    /// Nobody knows whether the request was done.
    pub fn unknown(&mut self, status: u16, reason: impl Into<String>) {
        self.denied(status, reason);
        self.decision = Decision::Unknown;
    }

    /// The record without a place in a chain, as it travels with a write; serde reads it back.
    ///
    /// # Panics
    /// Never: every key of a record is a text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has text keys only")
    }

    /// The record at its place in a chain: the text that is stored and hashed. Serde reads the record back from it.
    pub fn canonical(&self, writer: i64, sequence: i64) -> String {
        let record = self.to_json();
        let members = record.strip_prefix('{').unwrap_or(&record);
        format!(r#"{{"writer":{writer},"sequence":{sequence},{members}"#)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The hash of a record: SHA-256 over the hash of the one before it and the canonical text.
pub fn hash(previous: &[u8; 32], canonical: &str) -> [u8; 32] {
    sha256(&[previous, canonical.as_bytes()])
}

#[cfg(test)]
mod tests;
