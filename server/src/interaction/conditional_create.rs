//! conditional create (<https://hl7.org/fhir/R4/http.html#ccreate>): of requests with the same criteria at the same
//! time, one creates and the others find what it made.

use vitals_fhir::{
    body::Body,
    interaction::Create,
    resource::{Id, Version},
    search::Criteria,
};
use vitals_store::{
    rows::{Table, Versioned, WriteRefused},
    tenant::TenantTx,
};

use super::{Answer, Exchange, Stopped, TRIES, conclude, criteria};
use crate::failure::Failure;

/// Status of a create in the trail.
const CREATED: u16 = 201;

/// What stands after a conditional create.
pub enum Ensured<R: Table> {
    /// It was created.
    Created(Versioned<R>),
    /// It stood before.
    Found {
        /// What stood.
        resource: Versioned<R>,
        /// Whether the caller may read it.
        readable: bool,
    },
}

/// Creates the resource unless one meets the criteria.
pub async fn conditional_create<R: Table>(
    cx: &mut Exchange<'_>,
    criteria: &Criteria<R>,
    body: &Body<R>,
) -> Answer<Ensured<R>> {
    let id = Id::generate();
    cx.prepare_write().await?;
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, &id, criteria, body).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    cx.settle(outcome)?.map_err(|refused| Failure::of_refused(refused, &id))
}

async fn attempt<R: Table>(
    cx: &mut Exchange<'_>,
    id: &Id<R>,
    criteria: &Criteria<R>,
    body: &Body<R>,
) -> Result<Result<Ensured<R>, WriteRefused>, Stopped> {
    cx.boxed = false;
    let mut tx = cx.pool.begin(cx.access).await?;
    let outcome = decide(cx, &mut tx, id, criteria, body).await;
    conclude(tx, outcome, |ensured| matches!(ensured, Ensured::Created(_))).await
}

async fn decide<R: Table>(
    cx: &mut Exchange<'_>,
    tx: &mut TenantTx<'_>,
    id: &Id<R>,
    criteria: &Criteria<R>,
    body: &Body<R>,
) -> Result<Result<Ensured<R>, WriteRefused>, Stopped> {
    tx.serialise(&[criteria.key()]).await?;
    if let Some(resource) = criteria::find(tx, criteria).await? {
        let readable = criteria::readable(tx, &resource).await?;
        cx.disclosed(&resource);
        return Ok(Ok(Ensured::Found { resource, readable }));
    }
    let mut rows = tx.allow::<R, Create>()?;
    if !rows.admits(id, body.index()) {
        return Ok(Err(WriteRefused::NotAdmitted));
    }
    let now = cx.now();
    let outbox = cx.outbox(id.as_str(), Version::FIRST, R::compartment(id, body.index()), CREATED);
    let text = body.stamped(id, Version::FIRST, now);
    let written = rows.insert(id, body.index(), now, text, &outbox).await?;
    Ok(written.map(Ensured::Created))
}
