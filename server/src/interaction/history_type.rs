//! history of a type (<https://hl7.org/fhir/R4/http.html#history>).

use vitals_fhir::interaction::HistoryType;
use vitals_store::{
    StoreError,
    rows::{History, Position, Rows, Table},
};

use super::{Answer, Exchange, search_type::distinct};

/// At most `count` versions of all resources of a type, the last written first.
pub async fn history_type<R: Table>(cx: &mut Exchange<'_>, after: Option<&Position>, count: u32) -> Answer<History<R>> {
    cx.turn = None;
    let mut tenant = cx.pool.search(cx.access).await?;
    let mut rows = tenant.allow::<R, HistoryType>()?;
    let history = versions(&mut rows, after, count).await?;
    cx.turn = tenant.rest();
    cx.note.count = Some(history.entries.len() as u64);
    cx.note.patients = distinct(history.entries.iter().map(|entry| entry.patient.as_deref()));
    Ok(history)
}

/// The versions; nothing follows a page without entries.
pub(super) async fn versions<R: Table>(
    rows: &mut Rows<'_, R, HistoryType>,
    after: Option<&Position>,
    count: u32,
) -> Result<History<R>, StoreError> {
    let mut history = rows.versions(after, count).await?;
    history.more &= count > 0;
    Ok(history)
}
