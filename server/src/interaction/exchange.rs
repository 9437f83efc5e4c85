//! What an interaction works with: the caller, the tenant pool, the time, and the audit record it fills.

use std::sync::Arc;

use vitals_access::{access::Access, audit::AuditRecord, clock::Clock};
use vitals_fhir::resource::{Resource, Version};
use vitals_store::{
    StoreError,
    pool::{SearchTurn, TenantPool},
    rows::{Outbox, Versioned, WriteRefused},
};

use super::Stopped;
use crate::{audit::AuditWriter, failure::Failure};

/// What the trail will say of the exchange beyond who asked.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// The resource's id.
    pub id: Option<String>,
    /// The version that was read or written.
    pub version: Option<Version>,
    /// The patient it is about.
    pub patient: Option<String>,
    /// Patients disclosed by a search or history.
    pub patients: Vec<String>,
    /// How many resources were disclosed.
    pub count: Option<u64>,
}

/// One verified request on its way through an interaction.
pub struct Exchange<'a> {
    /// The caller.
    pub access: &'a Access,
    /// Opens the caller's tenant.
    pub pool: &'a TenantPool,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// The trail.
    pub audit: &'a AuditWriter,
    /// The record this exchange will leave, filled with who asked for what.
    pub record: AuditRecord,
    /// What the interaction adds to the record.
    pub note: Note,
    /// The turn of the search that is being answered.
    pub turn: Option<SearchTurn>,
    /// Whether the record already travels with a committed write.
    pub settling: bool,
    /// Whether a record was given to a write.
    pub boxed: bool,
}

impl Exchange<'_> {
    /// Now, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Notes a resource that is disclosed.
    pub fn disclosed<R: Resource>(&mut self, resource: &Versioned<R>) {
        self.note.id = Some(resource.id.as_str().to_owned());
        self.note.version = Some(resource.version);
        self.note.patient.clone_from(&resource.patient);
    }

    /// Makes sure that the record of a write can find its way even if this process dies: to be called before the
    /// transaction opens. Without a working trail nothing is written.
    pub async fn prepare_write(&self) -> Result<(), Failure> {
        let away = || Failure::unavailable("audit store away");
        // What is begun in the moment before this shows is answered 503 as well, and its record follows later.
        if !self.audit.is_writable() {
            return Err(away());
        }
        self.audit.ensure_unsettled(&self.access.tenant().role).await.map_err(|_| away())
    }

    /// Begins an attempt at a write: what an earlier one noted was rolled back with it.
    pub(super) fn attempt(&mut self) {
        self.boxed = false;
        self.note.version = None;
        self.note.patient = None;
    }

    /// Sorts how a write ended: its record stands with it, or with the doubt about it, or is written without it.
    pub(super) fn settle<T>(
        &mut self,
        outcome: Result<Result<T, WriteRefused>, Stopped>,
    ) -> Result<Result<T, WriteRefused>, Failure> {
        match outcome {
            Ok(Ok(written)) => {
                self.settling = self.boxed;
                Ok(Ok(written))
            }
            Ok(Err(refused)) => Ok(Err(refused)),
            Err(Stopped::Denied(denied)) => Err(denied.into()),
            Err(Stopped::Failed(failure)) => Err(failure),
            Err(Stopped::Store(error)) => {
                self.settling = self.boxed && matches!(error, StoreError::UnknownOutcome(_));
                Err(error.into())
            }
        }
    }

    /// The record of a write that is about to commit with it.
    pub fn outbox(&mut self, id: &str, version: Version, patient: Option<&str>, status: u16) -> Outbox {
        self.boxed = true;
        self.note.id = Some(id.to_owned());
        self.note.version = Some(version);
        self.note.patient = patient.map(str::to_owned);
        outbox_of(&mut self.record, &self.note, self.audit.writer(), status)
    }

    /// The record of a Bundle whose writes are about to commit; its entries are filled in.
    pub(super) fn outbox_of_bundle(&mut self) -> Outbox {
        self.boxed = true;
        outbox_of(&mut self.record, &self.note, self.audit.writer(), OK)
    }
}

/// Status of a Bundle in the trail.
const OK: u16 = 200;

/// Fills a record with what a write did, as the text that travels with it.
fn outbox_of(record: &mut AuditRecord, note: &Note, writer: i64, status: u16) -> Outbox {
    note.fill(record);
    record.allowed(status);
    Outbox { id: record.id, writer, record: record.to_json() }
}

impl Note {
    /// Writes the note into a record.
    pub fn fill(&self, record: &mut AuditRecord) {
        if self.id.is_some() {
            record.resource_id.clone_from(&self.id);
        }
        record.version = self.version.map(Version::number);
        record.patient.clone_from(&self.patient);
        record.patients.clone_from(&self.patients);
        record.count = self.count;
    }
}
