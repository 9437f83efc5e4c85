//! history of a type (<https://hl7.org/fhir/R4/http.html#history>).

use vitals_fhir::interaction::HistoryType;
use vitals_store::rows::{History, Position, Table};

use super::{Answer, Exchange, search_type::distinct};

/// At most `count` versions of all resources of a type, the last written first.
pub async fn history_type<R: Table>(cx: &mut Exchange<'_>, after: Option<&Position>, count: u32) -> Answer<History<R>> {
    let mut tenant = cx.pool.read(cx.access).await?;
    let mut history = tenant.allow::<R, HistoryType>()?.versions(after, count).await?;
    drop(tenant);
    history.more &= count > 0;
    cx.note.count = Some(history.entries.len() as u64);
    cx.note.patients = distinct(history.entries.iter().map(|entry| entry.patient.as_deref()));
    Ok(history)
}
