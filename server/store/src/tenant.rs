//! A tenant opened for one unit of work. Only a verified [`Access`] opens one; only `allow` hands out rows.

use std::{marker::PhantomData, time::Duration};

use vitals_access::{access::Access, predicate::Visible};
use vitals_fhir::{
    interaction::{Interaction, Letter},
    resource::{Resource, ResourceType},
};

use crate::{
    StoreError,
    error::Commits,
    imports::Imports,
    pool::{Lease, SearchTurn},
    rows::{Outbox, Rows},
    sql::{Plain, Sql},
};

/// Time a read may take.
pub(crate) const READ: Duration = Duration::from_secs(2);
/// Time a search, a history or a write may take.
pub(crate) const WORK: Duration = Duration::from_secs(10);
/// Time a statement over many rows may take.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// No scope of the caller covers the interaction on the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scope covers {resource} here")]
pub struct Denied {
    /// The type.
    pub resource: ResourceType,
    /// The letter a scope would need.
    pub letter: Letter,
}

fn visible<R: Resource, I: Interaction>(access: &Access) -> Result<Visible, Denied> {
    match access.visible(R::TYPE, I::LETTER) {
        Visible::Nothing => Err(Denied { resource: R::TYPE, letter: I::LETTER }),
        some => Ok(some),
    }
}

/// A tenant opened for reads, each of which commits by itself.
pub struct TenantRead<'a> {
    lease: Lease,
    access: &'a Access,
}

impl<'a> TenantRead<'a> {
    pub(crate) fn new(lease: Lease, access: &'a Access) -> Self {
        Self { lease, access }
    }

    /// The rows of type `R` that the caller may reach by `I`.
    pub fn allow<R: Resource, I: Interaction>(&mut self) -> Result<Rows<'_, R, I>, Denied> {
        let visible = visible::<R, I>(self.access)?;
        Ok(Rows { lease: &mut self.lease, access: self.access, visible, of: PhantomData })
    }

    /// Gives the connection back. A search has its turn until its answer is made.
    pub fn rest(self) -> Option<SearchTurn> {
        self.lease.rest()
    }
}

/// A tenant opened for one writing transaction. Dropped without [`TenantTx::commit`], nothing was written.
pub struct TenantTx<'a> {
    lease: Lease,
    access: &'a Access,
}

impl<'a> TenantTx<'a> {
    pub(crate) async fn begin(mut lease: Lease, access: &'a Access) -> Result<Self, StoreError> {
        lease.begin(|role| Plain::Begin(role)).await?;
        Ok(Self { lease, access })
    }

    pub(crate) async fn begin_long(mut lease: Lease, access: &'a Access) -> Result<Self, StoreError> {
        lease.begin(|role| Plain::BeginLong(role)).await?;
        Ok(Self { lease, access })
    }

    /// The rows of type `R` that the caller may reach by `I`.
    pub fn allow<R: Resource, I: Interaction>(&mut self) -> Result<Rows<'_, R, I>, Denied> {
        let visible = visible::<R, I>(self.access)?;
        Ok(Rows { lease: &mut self.lease, access: self.access, visible, of: PhantomData })
    }

    /// How far imports have come.
    pub fn imports(&mut self) -> Imports<'_> {
        Imports { lease: &mut self.lease }
    }

    /// Adds an audit record to the transaction, for writes whose record tells what they found.
    pub async fn note(&mut self, outbox: &Outbox) -> Result<(), StoreError> {
        let mut sql = Sql::new("audit.note");
        sql.push("INSERT INTO audit_outbox (id, writer, record) VALUES (").bind(outbox.id);
        sql.push(", ").bind(outbox.writer).push(", ").bind(outbox.record.clone()).push(")");
        self.lease.rows(sql, Commits::No, WORK).await.map(drop)
    }

    /// Lets conditional requests with the same criteria through one after the other: until this transaction ends, no
    /// other one of the tenant passes here with one of these keys. To be asked once, before anything is locked.
    pub async fn serialise(&mut self, keys: &[u64]) -> Result<(), StoreError> {
        // A lock has a place in memory that all connections share, so many criteria must not take many.
        let mut places: Vec<i64> = keys.iter().map(|key| i64::from(u8::try_from(key % 251).unwrap_or(0))).collect();
        places.sort_unstable();
        places.dedup();
        let number = self.access.tenant().number;
        let keys: Vec<i64> = places.iter().map(|place| i64::from(number) << 32 | place).collect();
        let mut sql = Sql::new("criteria.lock");
        sql.push("SELECT ").bind(number).push("::int AS tenant, pg_advisory_xact_lock(k.key) FROM unnest(");
        sql.bind(keys).push("::bigint[]) WITH ORDINALITY AS k (key, place)");
        self.lease.rows(sql, Commits::No, WORK).await.map(drop)
    }

    /// Commits; the connection goes back to the pool.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.lease.commit().await
    }

    /// Gives the transaction up; the connection goes back to the pool.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        self.lease.rollback().await
    }
}
