//! update, and create at a chosen id (<https://hl7.org/fhir/R4/http.html#update>).

use vitals_fhir::{
    body::Body,
    interaction::Update,
    resource::{Id, Version},
};
use vitals_store::rows::{Table, Updated, WriteRefused};

use super::{Answer, Exchange, Stopped, TRIES};
use crate::failure::Failure;

/// Replaces the resource, or creates it.
pub async fn update<R: Table>(
    cx: &mut Exchange<'_>,
    id: &Id<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Answer<Updated<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    cx.prepare_write().await?;
    let mut tries = 1;
    let outcome = loop {
        match attempt(cx, id, body, if_match).await {
            Err(stopped) if stopped.collided() && tries < TRIES => tries += 1,
            other => break other,
        }
    };
    cx.settle(outcome)?.map_err(|refused| Failure::of_refused(refused, id))
}

async fn attempt<R: Table>(
    cx: &mut Exchange<'_>,
    id: &Id<R>,
    body: &Body<R>,
    if_match: Option<Version>,
) -> Result<Result<Updated<R>, WriteRefused>, Stopped> {
    cx.attempt();
    let now = cx.now();
    let mut tx = cx.pool.begin(cx.access).await?;
    let mut rows = tx.allow::<R, Update>()?;
    let outcome = rows
        .put(id, body, if_match, now, |resource, created| {
            let status = if created { 201 } else { 200 };
            cx.outbox(resource.id.as_str(), resource.version, resource.patient.as_deref(), status)
        })
        .await?;
    match outcome {
        Ok(updated) => {
            tx.commit().await?;
            Ok(Ok(updated))
        }
        Err(refused) => {
            tx.rollback().await?;
            Ok(Err(refused))
        }
    }
}
