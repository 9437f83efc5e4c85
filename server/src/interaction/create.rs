//! create (<https://hl7.org/fhir/R4/http.html#create>).

use vitals_fhir::{
    body::Body,
    interaction::Create,
    resource::{Id, Version},
};
use vitals_store::rows::{Table, Versioned};

use super::{Answer, Exchange, Stopped};
use crate::failure::Failure;

/// Status of a create in the trail.
const CREATED: u16 = 201;

/// Creates the resource with a server-made id.
pub async fn create<R: Table>(cx: &mut Exchange<'_>, body: &Body<R>) -> Answer<Versioned<R>> {
    let id = Id::generate();
    let now = cx.now();
    cx.prepare_write().await?;
    let patient = R::compartment(&id, body.index()).map(str::to_owned);
    let mut tenant = cx.pool.read(cx.access).await?;
    let mut rows = tenant.allow::<R, Create>()?;
    if !rows.admits(&id, body.index()) {
        return Err(Failure::not_admitted());
    }
    let outbox = cx.outbox(id.as_str(), Version::FIRST, patient.as_deref(), CREATED);
    let text = body.stamped(&id, Version::FIRST, now);
    let written = rows.insert(&id, body.index(), now, text, &outbox).await.map_err(Stopped::from);
    drop(tenant);
    cx.settle(written)?.map_err(|refused| Failure::of_refused(refused, &id))
}
