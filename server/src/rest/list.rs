//! Answers that come in pages: searches and histories.

use poem::Response;
use vitals_fhir::{
    outcome::{Issue, IssueCode},
    resource::{Id, Patient, Resource, Version},
    search::{self, Filter, Query},
};
use vitals_store::rows::{History, HistoryEntry, Mark, Page, Table};

use super::{
    bundle,
    fhir::Request,
    negotiate,
    page::{self, Place},
    respond, trail,
};
use crate::{
    failure::Failure,
    interaction::{self, Exchange, bundle::List},
};

/// A page of a search, of the whole type or of one Patient's compartment.
pub async fn search<R: Table>(
    cx: &mut Exchange<'_>,
    request: &Request<'_>,
    pairs: Pairs,
    compartment: Option<&Id<Patient>>,
) -> Result<Response, Failure> {
    let list = compartment.map_or_else(|| R::TYPE.name().to_owned(), |id| format!("Patient/{id}/{}", R::TYPE));
    let (pairs, after) = pages(cx, request, &list, pairs)?;
    cx.record.query = trail::criteria(request.app, R::TYPE, &pairs);
    let strict = negotiate::prefer(&request.incoming.headers).strict;
    let bases = request.bases(cx.access);
    let mut query =
        Query::<R>::parse(&pairs, strict, &[bases[0].as_str(), bases[1].as_str()]).map_err(Failure::malformed)?;
    query.filters.extend(compartment.map(|id| Filter::Compartment(id.as_str().to_owned())));
    let position = after.as_ref().map(Place::position);
    let (page, total) = interaction::search_type::search_type(cx, &query, position.as_ref()).await?;
    let body = searchset(cx, request, &List { path: list, pairs }, &query, &page, total)?;
    respond::disclosed(request.format, body)
}

/// A page of the versions of one resource.
pub async fn history<R: Table>(cx: &mut Exchange<'_>, request: &Request<'_>, id: &Id<R>) -> Result<Response, Failure> {
    let list = format!("{}/{id}/_history", R::TYPE);
    let (pairs, after) = pages(cx, request, &list, request.query.clone())?;
    let count = history_count::<R>(&pairs, negotiate::prefer(&request.incoming.headers).strict)?;
    let before = match &after {
        None => None,
        Some(Place { mark: Mark::Number(number), .. }) => Some(Version::new(*number).ok_or_else(Failure::page_link)?),
        Some(_) => return Err(Failure::page_link()),
    };
    let history = interaction::history_instance::history_instance(cx, id, before, count).await?;
    let total = if after.is_none() { whole(&history, count) } else { None };
    let body = versions(cx, request, &List { path: list, pairs }, &history, by_version, total)?;
    respond::disclosed(request.format, body)
}

/// A page of the versions of all resources of a type.
pub async fn history_of_type<R: Table>(cx: &mut Exchange<'_>, request: &Request<'_>) -> Result<Response, Failure> {
    let list = format!("{}/_history", R::TYPE);
    let (pairs, after) = pages(cx, request, &list, request.query.clone())?;
    let count = history_count::<R>(&pairs, negotiate::prefer(&request.incoming.headers).strict)?;
    let position = after.as_ref().map(Place::position);
    let history = interaction::history_type::history_type::<R>(cx, position.as_ref(), count).await?;
    let total = if after.is_none() { whole(&history, count) } else { None };
    let body = versions(cx, request, &List { path: list, pairs }, &history, by_time, total)?;
    respond::disclosed(request.format, body)
}

/// The searchset of a page.
pub fn searchset<R: Resource>(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    list: &List,
    query: &Query<R>,
    page: &Page<R>,
    total: Option<u64>,
) -> Result<String, Failure> {
    let next = page.next.as_ref().map(|next| (next.mark.clone(), next.id.clone()));
    let links = links(cx, request, list, &query.applied, next)?;
    Ok(bundle::searchset(page, &request.base_url(), &links, total, query))
}

/// The history of a page; `place` tells where a version stands in its order.
pub fn versions<R: Resource>(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    list: &List,
    history: &History<R>,
    place: fn(&HistoryEntry<R>) -> (Mark, String),
    total: Option<u64>,
) -> Result<String, Failure> {
    let applied: Vec<_> = list.pairs.iter().filter(|(name, _)| name == "_count").cloned().collect();
    let next = history.entries.last().filter(|_| history.more).map(place);
    let links = links(cx, request, list, &applied, next)?;
    Ok(bundle::history(history, &request.base_url(), &links, total))
}

/// The place of a version among those of its resource.
pub fn by_version<R: Resource>(entry: &HistoryEntry<R>) -> (Mark, String) {
    (Mark::Number(entry.version.number()), String::new())
}

/// The place of a version among those of its type.
pub fn by_time<R: Resource>(entry: &HistoryEntry<R>) -> (Mark, String) {
    (Mark::Number(entry.last_updated), entry.id.as_str().to_owned())
}

/// How many versions there are, where the first page holds all of them.
pub fn whole<R: Resource>(history: &History<R>, count: u32) -> Option<u64> {
    (!history.more && count > 0).then_some(history.entries.len() as u64)
}

/// The links of a page, and behind its last entry the one that leads on.
fn links(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    list: &List,
    applied: &[(String, String)],
    ends_at: Option<(Mark, String)>,
) -> Result<bundle::Links, Failure> {
    let base = request.base_url();
    let next = match ends_at {
        None => None,
        Some((mark, id)) => {
            let place = Place { list: list.path.clone(), query: list.pairs.clone(), mark, id };
            let token = page::seal(&request.app.master_key, cx.access, place, cx.now())?;
            Some(format!("{base}/{}?_page={token}{}", list.path, request.format_wish()))
        }
    };
    Ok(bundle::Links { itself: address(&base, &list.path, applied), next })
}

/// Names and values of parameters.
type Pairs = Vec<(String, String)>;

/// The parameters of a list: those of the request, or those sealed in its page link.
pub(super) fn pages(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    list: &str,
    pairs: Vec<(String, String)>,
) -> Result<(Pairs, Option<Place>), Failure> {
    let Some(token) = page_token(&pairs)? else { return Ok((pairs, None)) };
    let place = page::open(&request.app.master_key, cx.access, list, token, cx.now())?;
    Ok((place.query.clone(), Some(place)))
}

/// The token of a page link, if the parameters are one.
pub fn page_token(pairs: &[(String, String)]) -> Result<Option<&str>, Failure> {
    let Some((_, token)) = pairs.iter().find(|(name, _)| name == "_page") else { return Ok(None) };
    // Nothing but the representation may stand beside a link: it holds the whole query.
    if pairs.iter().any(|(name, _)| !matches!(name.as_str(), "_page" | "_format" | "_pretty"))
        || pairs.iter().filter(|(name, _)| name == "_page").count() > 1
    {
        return Err(Failure::page_link());
    }
    Ok(Some(token))
}

/// The size of a history's page: the one parameter it has. Others are ignored, or refused where that is asked for.
pub fn history_count<R: Resource>(pairs: &[(String, String)], strict: bool) -> Result<u32, Failure> {
    let known = ["_count", "_format", "_pretty"];
    if let Some((name, _)) = pairs.iter().find(|(name, _)| strict && !known.contains(&name.as_str())) {
        let shown: String = name.chars().take(64).collect();
        let issue =
            Issue::error(IssueCode::NotSupported, "A history has no parameter of this name here; it has _count.");
        return Err(Failure::malformed(issue.at(shown)));
    }
    let counts: Vec<_> = pairs.iter().filter(|(name, _)| name == "_count").cloned().collect();
    Query::<R>::parse(&counts, strict, &[]).map(|query| query.count).map_err(Failure::malformed)
}

/// The address of a list with its parameters.
pub fn address(base: &str, list: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() { format!("{base}/{list}") } else { format!("{base}/{list}?{}", search::form_text(pairs)) }
}
