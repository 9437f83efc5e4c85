//! conditional update (<https://hl7.org/fhir/R4/http.html#cond-update>).

use vitals_fhir::{
    body::Body,
    interaction::{Create, Update},
    outcome::{Issue, IssueCode},
    resource::{Id, Resource, Version},
    search::Criteria,
};
use vitals_store::{
    rows::{Table, Updated, WriteRefused},
    tenant::TenantTx,
};

use super::{Answer, Exchange, Stopped, TRIES, conclude, criteria};
use crate::failure::Failure;

/// Replaces the one resource that meets the criteria, or creates it.
pub async fn conditional_update<R: Table>(
    cx: &mut Exchange<'_>,
    criteria: &Criteria<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Answer<Updated<R>> {
    let made = Id::generate();
    cx.prepare_write().await?;
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, &made, criteria, body, if_match).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    let id = body.id().unwrap_or(&made);
    cx.settle(outcome)?.map_err(|refused| Failure::of_refused(refused, id))
}

async fn attempt<R: Table>(
    cx: &mut Exchange<'_>,
    made: &Id<R>,
    criteria: &Criteria<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Result<Result<Updated<R>, WriteRefused>, Stopped> {
    cx.boxed = false;
    let mut tx = cx.pool.begin(cx.access).await?;
    let outcome = decide(cx, &mut tx, made, criteria, body, if_match).await;
    conclude(tx, outcome, |_| true).await
}

async fn decide<R: Table>(
    cx: &mut Exchange<'_>,
    tx: &mut TenantTx<'_>,
    made: &Id<R>,
    criteria: &Criteria<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Result<Result<Updated<R>, WriteRefused>, Stopped> {
    tx.serialise(&[criteria.key()]).await?;
    match (criteria::find(tx, criteria).await?, body.id()) {
        (Some(found), Some(id)) if *id != found.id => Err(Stopped::Failed(other_id::<R>())),
        (Some(found), _) => put(cx, tx, &found.id, body, if_match).await,
        (None, Some(id)) => match put(cx, tx, id, body, if_match).await? {
            // Something else stands at the id: it was not meant.
            Ok(Updated { created: false, .. }) => Err(Stopped::Failed(id_taken::<R>())),
            other => Ok(other),
        },
        (None, None) if cx.access.may_create_at_chosen_id(R::TYPE) => put(cx, tx, made, body, if_match).await,
        (None, None) => create(cx, tx, made, body).await,
    }
}

async fn put<R: Table>(
    cx: &mut Exchange<'_>,
    tx: &mut TenantTx<'_>,
    id: &Id<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Result<Result<Updated<R>, WriteRefused>, Stopped> {
    let now = cx.now();
    let note = |resource: &vitals_store::rows::Versioned<R>, created| {
        let status = if created { 201 } else { 200 };
        cx.outbox(resource.id.as_str(), resource.version, resource.patient.as_deref(), status)
    };
    Ok(tx.allow::<R, Update>()?.put(id, body, if_match, now, note).await?)
}

/// Creates what no criteria matched, for a caller whose updates reach a part of the type: it takes the right to create.
async fn create<R: Table>(
    cx: &mut Exchange<'_>,
    tx: &mut TenantTx<'_>,
    id: &Id<R>,
    body: &Body<R>,
) -> Result<Result<Updated<R>, WriteRefused>, Stopped> {
    let now = cx.now();
    let mut rows = tx.allow::<R, Create>()?;
    if !rows.admits(id, body.index()) {
        return Ok(Err(WriteRefused::NotAdmitted));
    }
    let outbox = cx.outbox(id.as_str(), Version::FIRST, R::compartment(id, body.index()), 201);
    let text = body.stamped(id, Version::FIRST, now);
    let written = rows.insert(id, body.index(), now, text, &outbox).await?;
    Ok(written.map(|resource| Updated { resource, created: true }))
}

/// The resource carries another id than the one that the criteria mean.
pub(super) fn other_id<R: Resource>() -> Failure {
    let diagnostics =
        "The criteria mean a resource with another id than the one in the body: leave it out of the body.";
    Failure::malformed(Issue::error(IssueCode::Invalid, diagnostics).at(format!("{}.id", R::TYPE)))
}

/// Nothing meets the criteria, and the id in the body is that of another resource.
pub(super) fn id_taken<R: Resource>() -> Failure {
    let diagnostics = "Nothing meets the criteria, and the id in the body is taken: leave it out, or PUT to it.";
    Failure::conflict(Issue::error(IssueCode::Conflict, diagnostics).at(format!("{}.id", R::TYPE)))
}
