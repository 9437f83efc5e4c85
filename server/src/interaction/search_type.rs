//! search of a type (<https://hl7.org/fhir/R4/http.html#search>).

use vitals_fhir::{interaction::SearchType, search::Query};
use vitals_store::rows::{Page, Position, Table};

use super::{Answer, Exchange};

/// One page of a search.
pub async fn search_type<R: Table>(
    cx: &mut Exchange<'_>,
    query: &Query<R>,
    after: Option<&Position>,
) -> Answer<Page<R>> {
    let mut tenant = cx.pool.read(cx.access).await?;
    let page = tenant.allow::<R, SearchType>()?.search(query, after).await?;
    drop(tenant);
    cx.note.count = Some(page.found.len() as u64);
    cx.note.patients = distinct(page.found.iter().map(|found| found.resource.patient.as_deref()));
    Ok(page)
}

/// The patients disclosed, each once, in order.
pub(super) fn distinct<'a>(patients: impl Iterator<Item = Option<&'a str>>) -> Vec<String> {
    let mut all: Vec<&str> = patients.flatten().collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(str::to_owned).collect()
}
