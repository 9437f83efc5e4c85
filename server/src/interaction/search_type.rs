//! search of a type (<https://hl7.org/fhir/R4/http.html#search>).

use vitals_fhir::{
    interaction::SearchType,
    search::{Query, Shown, Total},
};
use vitals_store::{
    StoreError,
    rows::{Page, Position, Rows, Table},
};

use super::{Answer, Exchange};

/// One page of a search, and how many are found on all pages where that was asked for or is plain.
pub async fn search_type<R: Table>(
    cx: &mut Exchange<'_>,
    query: &Query<R>,
    after: Option<&Position>,
) -> Answer<(Page<R>, Option<u64>)> {
    // Of two searches of a Bundle the first is over.
    cx.turn = None;
    let mut tenant = cx.pool.search(cx.access).await?;
    let mut rows = tenant.allow::<R, SearchType>()?;
    let page = rows.search(query, after).await?;
    let total = total(&mut rows, query, after, &page).await?;
    cx.turn = tenant.rest();
    cx.note.count = Some(page.found.len() as u64);
    cx.note.patients = distinct(page.found.iter().map(|found| found.resource.patient.as_deref()));
    Ok((page, total))
}

/// How many are found on all pages.
pub(super) async fn total<R: Table>(
    rows: &mut Rows<'_, R, SearchType>,
    query: &Query<R>,
    after: Option<&Position>,
    page: &Page<R>,
) -> Result<Option<u64>, StoreError> {
    let whole = query.shown != Shown::Count && after.is_none() && page.next.is_none();
    Ok(match (query.total, &query.shown) {
        (Total::Untold, Shown::Whole | Shown::Elements(_)) => None,
        _ if whole => Some(page.found.len() as u64),
        (Total::Counted, _) | (_, Shown::Count) => Some(rows.count(query).await?),
        _ => None,
    })
}

/// The patients disclosed, each once, in order.
pub(super) fn distinct<'a>(patients: impl Iterator<Item = Option<&'a str>>) -> Vec<String> {
    let mut all: Vec<&str> = patients.flatten().collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(str::to_owned).collect()
}
