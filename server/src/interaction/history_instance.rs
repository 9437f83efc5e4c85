//! history of an instance (<https://hl7.org/fhir/R4/http.html#history>).

use vitals_fhir::{
    interaction::HistoryInstance,
    resource::{Id, Version},
};
use vitals_store::rows::{History, Table};

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
    // An empty page cannot tell an unknown id from a known one: at least one version is asked for.
    let mut history = tenant.allow::<R, HistoryInstance>()?.versions(id, before, count.max(1)).await?;
    drop(tenant);
    if history.entries.is_empty() && before.is_none() {
        return Err(Failure::not_found(id));
    }
    if count == 0 {
        history.entries.clear();
        history.more = false;
    }
    cx.note.count = Some(history.entries.len() as u64);
    cx.note.patients = super::search_type::distinct(history.entries.iter().map(|entry| entry.patient.as_deref()));
    Ok(history)
}
