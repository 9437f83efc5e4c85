//! What criteria mean: one resource within the caller's reach, or none.

use vitals_fhir::{
    interaction::{Read, SearchType},
    search::Criteria,
};
use vitals_store::{
    rows::{Table, Versioned},
    tenant::TenantTx,
};

use super::Stopped;
use crate::failure::Failure;

/// The one resource that meets the criteria. What the caller may not search does not exist; several are a failure.
pub(super) async fn find<R: Table>(
    tx: &mut TenantTx<'_>,
    criteria: &Criteria<R>,
) -> Result<Option<Versioned<R>>, Stopped> {
    let page = tx.allow::<R, SearchType>()?.search(criteria.query(), None).await?;
    if page.next.is_some() {
        return Err(Stopped::Failed(Failure::several_matches()));
    }
    Ok(page.found.into_iter().next().map(|found| found.resource))
}

/// Whether the caller may read what a search found.
pub(super) async fn readable<R: Table>(tx: &mut TenantTx<'_>, found: &Versioned<R>) -> Result<bool, Stopped> {
    match tx.allow::<R, Read>() {
        Ok(mut rows) => Ok(rows.get(&found.id).await?.is_ok()),
        Err(_) => Ok(false),
    }
}
