//! read (<https://hl7.org/fhir/R4/http.html#read>).

use vitals_fhir::{interaction::Read, resource::Id};
use vitals_store::rows::{Missing, Table, Versioned};

use super::{Answer, Exchange};
use crate::failure::Failure;

/// The current version of one resource.
pub async fn read<R: Table>(cx: &mut Exchange<'_>, id: &Id<R>) -> Answer<Versioned<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    let mut tenant = cx.pool.read(cx.access).await?;
    let found = tenant.allow::<R, Read>()?.get(id).await?;
    drop(tenant);
    let found = found.map_err(|missing| match missing {
        Missing::Never => Failure::not_found(id),
        Missing::Deleted => Failure::deleted(id),
    })?;
    cx.disclosed(&found);
    Ok(found)
}
