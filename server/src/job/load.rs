//! Loading resources by the hundred: each is judged as a request's body would be; a batch is one transaction with one
//! audit record, in which what is new goes in by one statement and what stands is replaced where it differs.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use vitals_access::{
    access::Access,
    audit::{AuditEntry, AuditRecord, Decision, Origin},
    clock::Clock,
};
use vitals_fhir::{
    body::Body,
    interaction::Update,
    json::{self, Document},
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, Resource, ResourceType},
};
use vitals_fhir_profiles::validate;
use vitals_store::{
    StoreError,
    imports::Mark,
    pool::TenantPool,
    rows::{Bulk, Load, Loaded, Outbox},
    tenant::TenantTx,
};

use crate::{audit::AuditWriter, failure::Failure};

/// How often a batch that collided with another unit of work is tried again.
const TRIES: usize = 3;

/// Loads resources into one tenant.
pub struct Loader {
    /// Who loads: a job of the tenant.
    pub access: Arc<Access>,
    /// Opens the tenant.
    pub pool: TenantPool,
    /// The trail.
    pub audit: AuditWriter,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The tenant's own base URLs.
    pub bases: Vec<String>,
}

/// A resource that was read and is good.
#[derive(Debug)]
pub enum Parsed {
    /// A Patient.
    Patient(Load<Patient>),
    /// An Observation.
    Observation(Load<Observation>),
}

/// Resources that are written together, in rounds: what comes under an id that came before is written after it.
#[derive(Debug, Default)]
pub struct Batch {
    patients: Vec<Vec<Load<Patient>>>,
    observations: Vec<Vec<Load<Observation>>>,
    /// How often each resource came, by a hash of its type and id.
    seen: HashMap<u64, usize>,
    len: usize,
}

impl Batch {
    /// Adds a resource behind the others.
    pub fn push(&mut self, parsed: Parsed) {
        self.len += 1;
        match parsed {
            Parsed::Patient(load) => put(load, &mut self.patients, &mut self.seen),
            Parsed::Observation(load) => put(load, &mut self.observations, &mut self.seen),
        }
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no resource is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        !self.seen.keys().any(|key| other.seen.contains_key(key))
    }
}

fn put<R: Resource>(load: Load<R>, rounds: &mut Vec<Vec<Load<R>>>, seen: &mut HashMap<u64, usize>) {
    let mut hasher = DefaultHasher::new();
    (R::TYPE, load.id.as_str()).hash(&mut hasher);
    // Two ids of one hash, should that ever be, are taken for one, and are a round apart.
    let round = seen.entry(hasher.finish()).or_default();
    while rounds.len() <= *round {
        rounds.push(Vec::new());
    }
    rounds[*round].push(load);
    *round += 1;
}

/// Judges a document as a resource, as the body of a request is judged; what has no id gets this one. `bases` are the
/// tenant's own base URLs.
pub fn judge(document: &Document<'_>, bases: &[String], id: impl FnOnce() -> String) -> Result<Parsed, Vec<Issue>> {
    let name = document.root().get("resourceType").and_then(json::Value::string);
    match name.as_deref().and_then(ResourceType::named) {
        Some(ResourceType::Patient) => Ok(Parsed::Patient(body(document, bases, id)?)),
        Some(ResourceType::Observation) => Ok(Parsed::Observation(body(document, bases, id)?)),
        None => Err(vec![
            Issue::error(IssueCode::NotSupported, "Patient and Observation can be loaded, no other resource type.")
                .at("resourceType"),
        ]),
    }
}

fn body<R: Resource>(
    document: &Document<'_>,
    bases: &[String],
    id: impl FnOnce() -> String,
) -> Result<Load<R>, Vec<Issue>> {
    let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
    let body = Body::<R>::of(document, &bases, validate)?;
    let id = match body.id() {
        Some(id) => id.clone(),
        None => id().parse().unwrap_or_else(|_| Id::generate()),
    };
    Ok(Load { id, body })
}

impl Loader {
    /// Writes a batch, with the mark of how far an import has come. What was marked before is not written again.
    pub async fn write(&self, batch: &Batch, mark: Option<&Mark<'_>>) -> Result<(), Failure> {
        let away = |_| Failure::unavailable("audit store away");
        self.audit.ensure_unsettled(&self.access.tenant().role).await.map_err(away)?;
        let mut tries = 1;
        let record = loop {
            match self.attempt(batch, mark).await {
                Err(StoreError::Collision(_)) if tries < TRIES => tries += 1,
                other => break other?,
            }
        };
        match record {
            Some(record) => self.audit.record_settling(record, &self.access.tenant().role).await.map_err(away),
            None => Ok(()),
        }
    }

    async fn attempt(&self, batch: &Batch, mark: Option<&Mark<'_>>) -> Result<Option<AuditRecord>, StoreError> {
        let mut tx = self.pool.begin_long(&self.access).await?;
        let mut entries = Vec::with_capacity(batch.len());
        for round in &batch.patients {
            self.round(&mut tx, round, &mut entries).await?;
        }
        for round in &batch.observations {
            self.round(&mut tx, round, &mut entries).await?;
        }
        let record = (!entries.is_empty()).then(|| self.record(entries));
        let writer = self.audit.writer();
        let outbox = record.as_ref().map(|record| Outbox { id: record.id, writer, record: record.to_json() });
        let is_new = match (mark, &outbox) {
            (Some(mark), outbox) => tx.imports().note(mark, outbox.as_ref()).await?,
            (None, Some(outbox)) => tx.note(outbox).await.map(|()| true)?,
            (None, None) => false,
        };
        if !is_new {
            return tx.rollback().await.map(|()| None);
        }
        tx.commit().await?;
        Ok(record)
    }

    async fn round<R: Bulk>(
        &self,
        tx: &mut TenantTx<'_>,
        loads: &[Load<R>],
        entries: &mut Vec<AuditEntry>,
    ) -> Result<(), StoreError> {
        let denied = StoreError::Inconsistent { table: "control.job", column: "scopes" };
        let Ok(mut rows) = tx.allow::<R, Update>() else { return Err(denied) };
        let loaded = rows.load(loads, self.clock.now().timestamp_millis()).await?.ok_or(denied)?;
        let written = loads.iter().zip(loaded).filter_map(|(load, loaded)| {
            let (action, status) = match loaded {
                Loaded::Inserted => ("create", 201),
                Loaded::Replaced => ("update", 200),
                Loaded::Unchanged => return None,
            };
            Some(AuditEntry {
                resource_type: Some(R::TYPE.name().to_owned()),
                resource_id: Some(load.id.as_str().to_owned()),
                patient: R::compartment(&load.id, load.body.index()).map(str::to_owned),
                status: Some(status),
                ..AuditEntry::new(action, Decision::Allowed)
            })
        });
        entries.extend(written);
        Ok(())
    }

    fn record(&self, entries: Vec<AuditEntry>) -> AuditRecord {
        let mut record = AuditRecord::new(Origin::Job, "import", self.clock.now());
        record.by(&self.access);
        if entries.windows(2).all(|pair| pair[0].resource_type == pair[1].resource_type) {
            record.resource_type = entries.first().and_then(|entry| entry.resource_type.clone());
        }
        record.count = Some(entries.len() as u64);
        record.entries = entries;
        record.allowed(200);
        record
    }
}
