//! history of an instance (<https://hl7.org/fhir/R4/http.html#history>).

use vitals_fhir::{
    interaction::HistoryInstance,
    resource::{Id, Version},
};
use vitals_store::{
    StoreError,
    rows::{History, Rows, Table},
};

use super::{Answer, Exchange};
use crate::failure::Failure;

/// At most `count` versions of one resource, older than `before`.
pub async fn history_instance<R: Table>(
    cx: &mut Exchange<'_>,
    id: &Id<R>,
    before: Option<Version>,
    count: u32,
) -> Answer<History<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    let mut tenant = cx.pool.read(cx.access).await?;
    let mut rows = tenant.allow::<R, HistoryInstance>()?;
    let history = versions(&mut rows, id, before, count).await?.ok_or_else(|| Failure::not_found(id))?;
    drop(tenant);
    cx.note.count = Some(history.entries.len() as u64);
    cx.note.patients = super::search_type::distinct(history.entries.iter().map(|entry| entry.patient.as_deref()));
    Ok(history)
}

/// The versions, or none where there is nothing to know about the id.
pub(super) async fn versions<R: Table>(
    rows: &mut Rows<'_, R, HistoryInstance>,
    id: &Id<R>,
    before: Option<Version>,
    count: u32,
) -> Result<Option<History<R>>, StoreError> {
    // An empty page cannot tell an unknown id from a known one: at least one version is asked for.
    let mut history = rows.versions(id, before, count.max(1)).await?;
    if history.entries.is_empty() && before.is_none() {
        return Ok(None);
    }
    if count == 0 {
        history.entries.clear();
        history.more = false;
    }
    Ok(Some(history))
}
