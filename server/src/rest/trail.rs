//! The audit record of a request, from the moment it comes in to the moment it is written.

use vitals_access::{
    access::Access,
    audit::{self, AuditRecord, Origin},
    refusal::Refusal,
    tenant::TenantRole,
};
use vitals_fhir::{
    catalog::{self, Operation, audit_event::AUDIT_EVENT},
    resource::{ResourceType, is_id},
};

use super::{
    request::{Incoming, Whence},
    respond,
    router::{self, Address, Fhir, FhirBase},
};
use crate::{
    failure::{Failure, Kind},
    limit::{ADDRESS_LIMIT, Network},
    state::App,
};

/// What a request is called in the trail until it is known what it asks for.
const UNKNOWN_ACTION: &str = "unknown";

/// A record of a request that came in at a base. It stands in the chain of the tenant asked for, where there is one;
/// otherwise in the server's own.
pub fn begin(app: &App, incoming: &Incoming, base: &FhirBase) -> AuditRecord {
    of(app, &incoming.whence(), base)
}

/// Leaves the record of a request that ended in a panic: nobody knows how far it came.
pub async fn panicked(app: &App, whence: &Whence) -> Result<(), Failure> {
    let mut record = of(app, whence, &base_of(&whence.path));
    record.unknown(respond::status(Kind::Internal).as_u16(), "panic");
    leave(app, record, None).await
}

/// The base that a request was about, as far as its path says.
pub fn base_of(path: &str) -> FhirBase {
    match router::address(path) {
        Address::Fhir(base, _) => base,
        Address::Delegated(name, _) => FhirBase::Delegated(name),
        Address::Jwks(name) | Address::Auth(name, _) | Address::Admin(name, _) => FhirBase::Tenant(name),
        _ => FhirBase::Global,
    }
}

fn of(app: &App, whence: &Whence, base: &FhirBase) -> AuditRecord {
    let mut record = AuditRecord::new(Origin::Http, UNKNOWN_ACTION, app.clock.now());
    record.request_id = Some(whence.request_id.clone());
    record.address = whence.address.map(|address| address.to_string());
    record.certificate.clone_from(&whence.certificate);
    if let Some(name) = base.tenant()
        && let Ok(directory) = app.directory()
        && let Some(tenant) = directory.tenant(name)
    {
        record.tenant = Some(name.to_string());
        tenant.role.as_str().clone_into(&mut record.chain);
    }
    record
}

/// Notes the type and the id in an address, whatever becomes of the request.
pub fn names(record: &mut AuditRecord, address: &Fhir<'_>) {
    let (kind, id) = match *address {
        Fhir::Instance(kind, id)
        | Fhir::InstanceHistory(kind, id)
        | Fhir::InstanceVersion(kind, id, _)
        | Fhir::InstanceValidate(kind, id) => (kind, Some(id)),
        // The id of a compartment is not that of what is asked for.
        Fhir::Type(kind)
        | Fhir::TypeSearch(kind)
        | Fhir::TypeHistory(kind)
        | Fhir::Compartment(_, kind)
        | Fhir::Validate(kind) => (kind, None),
        Fhir::Trail | Fhir::TrailSearch => {
            record.resource_type = Some(AUDIT_EVENT.to_owned());
            return;
        }
        Fhir::TrailRecord(id) => {
            record.resource_type = Some(AUDIT_EVENT.to_owned());
            record.resource_id = Some(id).filter(|id| is_id(id)).map(str::to_owned);
            return;
        }
        Fhir::System | Fhir::Metadata | Fhir::SmartConfiguration | Fhir::NotOffered | Fhir::Nothing => return,
    };
    record.resource_type = Some(kind.name().to_owned());
    // What is no id names nothing, and may hold anything.
    record.resource_id = id.filter(|id| is_id(id)).map(str::to_owned);
}

/// Notes what is asked for.
pub fn asks(record: &mut AuditRecord, operation: &Operation) {
    operation.code.fhir().clone_into(&mut record.action);
    record.resource_type = Some(operation.resource.name().to_owned());
}

/// The criteria of a search of this type, as far as the policy keeps them.
pub fn criteria(app: &App, kind: ResourceType, pairs: &[(String, String)]) -> Option<String> {
    let known = |name: &str| catalog::parameters(kind).iter().any(|parameter| parameter.name == name);
    audit::criteria(app.queries, known, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Notes the verified caller, and the scopes that cover what it asks for.
pub fn by(record: &mut AuditRecord, access: &Access, operation: Option<&Operation>) {
    record.by(access);
    if let Some(operation) = operation {
        record.used = access.used(operation.resource, operation.letter);
    }
}

/// Notes what is known of a caller that was refused.
pub fn refused(record: &mut AuditRecord, refusal: &Refusal) {
    match refusal {
        Refusal::WrongTenant(caller) | Refusal::Suspended(caller) => record.by_refused(caller),
        Refusal::NotDelegated(refused) => record.by_not_delegated(refused),
        Refusal::Invalid { claimed: Some(claimed), .. } | Refusal::Proof { claimed: Some(claimed), .. } => {
            record.by_claimed(claimed);
        }
        _ => {}
    }
}

/// Notes how the request ended.
pub fn ended(record: &mut AuditRecord, outcome: Result<u16, &Failure>) {
    match outcome {
        Ok(status) => record.allowed(status),
        Err(failure) => {
            let status = respond::status(failure.kind).as_u16();
            if failure.kind == Kind::Unavailable && failure.reason == "outcome unknown" {
                record.unknown(status, failure.reason);
            } else {
                record.denied(status, failure.reason);
            }
        }
    }
}

/// Whether a failure is one of many alike from one address.
pub fn is_flood(failure: &Failure) -> bool {
    failure.reason == ADDRESS_LIMIT
}

/// Writes the record, and its copy for the caller's own tenant where another's was asked; without both no answer leaves.
/// `settling` names the tenant whose outbox holds the record too.
///
/// Refusals by the address limit are kept back and told together, one record for each network and minute.
pub async fn leave(app: &App, mut record: AuditRecord, settling: Option<&TenantRole>) -> Result<(), Failure> {
    if record.reason.as_deref() == Some(ADDRESS_LIMIT) {
        let from = record.address.as_ref().and_then(|address| address.parse().ok());
        app.limiter.tally(record, Network::of(from));
        return Ok(());
    }
    let copy = record.take_copy();
    let written = async {
        match settling {
            None => app.audit.record(record).await,
            Some(role) => app.audit.record_settling(record, role).await,
        }
    };
    let copied = async {
        match copy {
            Some(copy) => app.audit.record(copy).await,
            None => Ok(()),
        }
    };
    let (written, copied) = futures_util::future::join(written, copied).await;
    written.and(copied).map_err(|_| Failure::unavailable("audit store away"))
}
