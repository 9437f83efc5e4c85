//! vread (<https://hl7.org/fhir/R4/http.html#vread>).

use vitals_fhir::{
    interaction::Vread,
    resource::{Id, Version},
};
use vitals_store::rows::{Missing, Table, Versioned};

use super::{Answer, Exchange};
use crate::failure::Failure;

/// One version of one resource.
pub async fn vread<R: Table>(cx: &mut Exchange<'_>, id: &Id<R>, version: Version) -> Answer<Versioned<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    let mut tenant = cx.pool.read(cx.access).await?;
    let found = tenant.allow::<R, Vread>()?.get(id, version).await?;
    drop(tenant);
    let found = found.map_err(|missing| match missing {
        Missing::Never => Failure::not_found(id),
        Missing::Deleted => Failure::deleted(id),
    })?;
    cx.disclosed(&found);
    Ok(found)
}
