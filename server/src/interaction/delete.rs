//! delete (<https://hl7.org/fhir/R4/http.html#delete>).

use vitals_fhir::{
    interaction::Delete,
    resource::{Id, Version},
};
use vitals_store::rows::{Deleted, Table, WriteRefused};

use super::{Answer, Exchange, Stopped, TRIES};
use crate::failure::Failure;

/// Status of a delete in the trail.
pub(super) const NO_CONTENT: u16 = 204;

/// Deletes the resource; deleting it again is no failure.
pub async fn delete<R: Table>(cx: &mut Exchange<'_>, id: &Id<R>, if_match: Option<Version>) -> Answer<Deleted<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    cx.prepare_write().await?;
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, id, if_match).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    cx.settle(outcome)?.map_err(|refused| Failure::of_refused(refused, id))
}

async fn attempt<R: Table>(
    cx: &mut Exchange<'_>,
    id: &Id<R>,
    if_match: Option<Version>,
) -> Result<Result<Deleted<R>, WriteRefused>, Stopped> {
    cx.attempt();
    let now = cx.now();
    let mut tx = cx.pool.begin(cx.access).await?;
    let mut rows = tx.allow::<R, Delete>()?;
    let outcome =
        rows.remove(id, if_match, now, |version, patient| cx.outbox(id.as_str(), version, patient, NO_CONTENT)).await?;
    match &outcome {
        Ok(Deleted::Now { .. }) => tx.commit().await?,
        _ => tx.rollback().await?,
    }
    Ok(outcome)
}
