//! Loading resources by the hundred: parse and check each line as a request's body would be, insert what is new in one
//! statement, update the rest one by one, one audit record a batch.

use std::sync::Arc;

use vitals_access::{
    access::Access,
    audit::{AuditEntry, AuditRecord, Decision, Origin},
    clock::Clock,
};
use vitals_fhir::{
    body::Body,
    interaction::{Read, Update},
    json,
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, Resource, ResourceType},
};
use vitals_fhir_profiles::validate;
use vitals_store::{
    StoreError,
    pool::TenantPool,
    rows::{Bulk, Load, Outbox},
};

use crate::{
    audit::AuditWriter,
    failure::Failure,
    interaction::{self, Exchange, Note},
};

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

/// A line that was read and is good.
#[derive(Debug)]
pub enum Parsed {
    /// A Patient.
    Patient(Load<Patient>),
    /// An Observation.
    Observation(Load<Observation>),
}

impl Loader {
    /// Reads one resource; what has no id gets one.
    pub fn parse(&self, text: &[u8]) -> Result<Parsed, Vec<Issue>> {
        let kind = {
            let document = json::parse(text).map_err(|error| vec![Issue::from(error)])?;
            let name = document.root().get("resourceType").and_then(json::Value::string);
            name.as_deref().and_then(ResourceType::named)
        };
        match kind {
            Some(ResourceType::Patient) => Ok(Parsed::Patient(self.body(text)?)),
            Some(ResourceType::Observation) => Ok(Parsed::Observation(self.body(text)?)),
            None => Err(vec![
                Issue::error(IssueCode::NotSupported, "Patient and Observation can be loaded, no other resource type.")
                    .at("resourceType"),
            ]),
        }
    }

    fn body<R: Resource>(&self, text: &[u8]) -> Result<Load<R>, Vec<Issue>> {
        let bases: Vec<&str> = self.bases.iter().map(String::as_str).collect();
        let body = Body::<R>::parse(text, &bases, validate)?;
        let id = body.id().cloned().unwrap_or_else(Id::generate);
        Ok(Load { id, body })
    }

    /// Loads a batch of one type. An id that comes twice in it is written twice, in order.
    pub async fn load<R: Bulk>(&self, batch: Vec<Load<R>>) -> Result<(), Failure> {
        let (fresh, repeated) = apart(batch);
        let mut inserted = self.insert_new(&fresh).await?;
        inserted.sort_unstable();
        let standing = fresh.into_iter().filter(|load| inserted.binary_search(&load.id.as_str().to_owned()).is_err());
        for load in standing.chain(repeated) {
            self.replace(&load).await?;
        }
        Ok(())
    }

    async fn insert_new<R: Bulk>(&self, batch: &[Load<R>]) -> Result<Vec<String>, Failure> {
        let away = |_| Failure::unavailable("audit store away");
        self.audit.ensure_unsettled(&self.access.tenant().role).await.map_err(away)?;
        let mut tries = 1;
        let (inserted, record) = loop {
            match self.attempt(batch).await {
                Err(StoreError::Collision(_)) if tries < TRIES => tries += 1,
                other => break other?,
            }
        };
        if !inserted.is_empty() {
            self.audit.record_settling(record, &self.access.tenant().role).await.map_err(away)?;
        }
        Ok(inserted)
    }

    async fn attempt<R: Bulk>(&self, batch: &[Load<R>]) -> Result<(Vec<String>, AuditRecord), StoreError> {
        let mut record = AuditRecord::new(Origin::Job, "import", self.clock.now());
        record.by(&self.access);
        record.resource_type = Some(R::TYPE.name().to_owned());
        let mut tx = self.pool.begin_long(&self.access).await?;
        let denied = StoreError::Inconsistent { table: "control.job", column: "scopes" };
        let Ok(mut rows) = tx.allow::<R, Update>() else { return Err(denied) };
        let loaded = rows.load(batch, self.clock.now().timestamp_millis()).await?.ok_or(denied)?;
        if loaded.inserted.is_empty() {
            tx.rollback().await?;
            return Ok((loaded.inserted, record));
        }
        record.count = Some(loaded.inserted.len() as u64);
        let mut new = loaded.inserted.clone();
        new.sort_unstable();
        record.entries = batch
            .iter()
            .filter(|load| new.binary_search(&load.id.as_str().to_owned()).is_ok())
            .map(|load| AuditEntry {
                action: "create".to_owned(),
                resource_type: Some(R::TYPE.name().to_owned()),
                resource_id: Some(load.id.as_str().to_owned()),
                patient: R::compartment(&load.id, load.body.index()).map(str::to_owned),
                decision: Decision::Allowed,
                status: Some(201),
            })
            .collect();
        record.allowed(201);
        let outbox = Outbox { id: record.id, writer: self.audit.writer(), record: record.to_json() };
        tx.note(&outbox).await?;
        tx.commit().await?;
        Ok((loaded.inserted, record))
    }

    /// Updates a resource that stood before, unless it is the same already.
    async fn replace<R: Bulk>(&self, load: &Load<R>) -> Result<(), Failure> {
        let mut tenant = self.pool.read(&self.access).await?;
        let current = tenant.allow::<R, Read>()?.get(&load.id).await?;
        drop(tenant);
        if let Ok(current) = current
            && load.body.stamped(&load.id, current.version, current.last_updated) == current.body
        {
            return Ok(());
        }
        let mut record = AuditRecord::new(Origin::Job, "update", self.clock.now());
        record.by(&self.access);
        record.resource_type = Some(R::TYPE.name().to_owned());
        let mut cx = Exchange {
            access: &self.access,
            pool: &self.pool,
            clock: &self.clock,
            audit: &self.audit,
            record,
            note: Note::default(),
            settling: false,
            boxed: false,
        };
        interaction::update::update(&mut cx, &load.id, &load.body, None).await?;
        let away = |_| Failure::unavailable("audit store away");
        self.audit.record_settling(cx.record, &self.access.tenant().role).await.map_err(away)
    }
}

/// The first of each id, and what comes later under an id that came before.
fn apart<R: Resource>(batch: Vec<Load<R>>) -> (Vec<Load<R>>, Vec<Load<R>>) {
    let mut seen = std::collections::HashSet::new();
    batch.into_iter().partition(|load| seen.insert(load.id.as_str().to_owned()))
}
