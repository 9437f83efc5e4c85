//! conditional delete of a single match (<https://hl7.org/fhir/R4/http.html#3.1.0.7.1>).

use vitals_fhir::{interaction::Delete, resource::Version, search::Criteria};
use vitals_store::{
    rows::{Deleted, Table, WriteRefused},
    tenant::TenantTx,
};

use super::{Answer, Exchange, Stopped, TRIES, conclude, criteria, delete::NO_CONTENT};
use crate::failure::Failure;

/// Deletes the one resource that meets the criteria; that there is none is no failure.
pub async fn conditional_delete<R: Table>(
    cx: &mut Exchange<'_>,
    criteria: &Criteria<R>,
    if_match: Option<Version>,
) -> Answer<Deleted<R>> {
    cx.prepare_write().await?;
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, criteria, if_match).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    cx.settle(outcome)?.map_err(|refused| match refused {
        WriteRefused::VersionDiffers { current } => Failure::version_differs(current),
        WriteRefused::NotAdmitted | WriteRefused::NotFound => Failure::no_match(),
    })
}

async fn attempt<R: Table>(
    cx: &mut Exchange<'_>,
    criteria: &Criteria<R>,
    if_match: Option<Version>,
) -> Result<Result<Deleted<R>, WriteRefused>, Stopped> {
    cx.boxed = false;
    let mut tx = cx.pool.begin(cx.access).await?;
    let outcome = decide(cx, &mut tx, criteria, if_match).await;
    conclude(tx, outcome, |deleted| matches!(deleted, Deleted::Now { .. })).await
}

async fn decide<R: Table>(
    cx: &mut Exchange<'_>,
    tx: &mut TenantTx<'_>,
    criteria: &Criteria<R>,
    if_match: Option<Version>,
) -> Result<Result<Deleted<R>, WriteRefused>, Stopped> {
    tx.serialise(&[criteria.key()]).await?;
    let Some(found) = criteria::find(tx, criteria).await? else { return Ok(Ok(Deleted::Before)) };
    let (id, now) = (found.id, cx.now());
    cx.note.id = Some(id.as_str().to_owned());
    let mut rows = tx.allow::<R, Delete>()?;
    let note = |version, patient: Option<&str>| cx.outbox(id.as_str(), version, patient, NO_CONTENT);
    Ok(rows.remove(&id, if_match, now, note).await?)
}
