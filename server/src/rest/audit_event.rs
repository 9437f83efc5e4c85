//! AuditEvent over HTTP: the trail's own path beside the catalog of what tenants store.

use poem::{Response, http::Method};
use serde_json::{Value, json};
use vitals_access::audit::{AuditRecord, criteria};
use vitals_fhir::{
    catalog::{
        self, Code,
        audit_event::{AUDIT_EVENT, PARAMETERS, ROWS, Row},
    },
    outcome,
    resource::Version,
};

use super::{
    fhir::{self, Request},
    list, negotiate,
    page::{self, Place},
    respond,
    router::Fhir,
};
use crate::{
    failure::Failure,
    interaction::{
        Exchange,
        audit_event::{self, Asked, Sight, audit_event as resource},
    },
};

/// What is asked of the trail.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'p> {
    /// The interaction.
    pub row: &'static Row,
    id: &'p str,
}

/// What a method asks of the trail at an address, if it is the trail's and has that method.
pub fn wanted<'p>(address: &Fhir<'p>, method: &Method) -> Option<Wanted<'p>> {
    let (code, id) = match *address {
        Fhir::Trail => (Code::SearchType, ""),
        Fhir::TrailSearch => (Code::SearchTypePost, ""),
        Fhir::TrailRecord(id) => (Code::Read, id),
        _ => return None,
    };
    let row = ROWS.iter().find(|row| row.code == code)?;
    let fits = match row.method {
        catalog::Method::Get => super::reads(method),
        offered => offered.name() == method.as_str(),
    };
    fits.then_some(Wanted { row, id })
}

/// Notes what is asked for.
pub fn asks(record: &mut AuditRecord, wanted: &Wanted<'_>) {
    wanted.row.code.fhir().clone_into(&mut record.action);
}

/// Does it.
pub async fn run(cx: &mut Exchange<'_>, request: &mut Request<'_>, wanted: Wanted<'_>) -> Result<Response, Failure> {
    let (sight, used) = Sight::of(cx.access, wanted.row.letter)?;
    cx.record.used = used;
    if wanted.row.code == Code::Read {
        return read(cx, request, &sight, wanted.id).await;
    }
    let pairs =
        if wanted.row.code == Code::SearchTypePost { fhir::form(request).await? } else { request.query.clone() };
    search(cx, request, &sight, pairs).await
}

async fn read(cx: &mut Exchange<'_>, request: &Request<'_>, sight: &Sight, id: &str) -> Result<Response, Failure> {
    let (_, record) = audit_event::read(&request.app.audit_view, cx.access, sight, id).await?;
    cx.note.patient = sight.patient().cloned().or_else(|| record.patient.clone());
    let time = record.time.timestamp_millis();
    if request.incoming.seen().has(Version::FIRST, time) {
        return Ok(respond::not_modified(Version::FIRST.number(), time));
    }
    let text = resource(&record, sight, &request.app.public_url).to_string();
    let mut response = respond::disclosed(request.format, text)?;
    respond::versioned(&mut response, Version::FIRST.number(), time, None);
    Ok(response)
}

async fn search(
    cx: &mut Exchange<'_>,
    request: &Request<'_>,
    sight: &Sight,
    pairs: Vec<(String, String)>,
) -> Result<Response, Failure> {
    let (pairs, place) = list::pages(cx, request, AUDIT_EVENT, pairs)?;
    let known = |name: &str| PARAMETERS.iter().any(|parameter| parameter.name == name);
    let asked = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    cx.record.query = criteria(request.app.queries, known, asked);
    let after = match &place {
        None => None,
        Some(place) => Some(place.record().ok_or_else(Failure::page_link)?),
    };
    let strict = negotiate::prefer(&request.incoming.headers).strict;
    let bases = request.bases(cx.access);
    let asked = Asked::parse(&pairs, sight, strict, &bases.each_ref().map(String::as_str), after);
    let asked = asked.map_err(Failure::malformed)?;
    cx.note.patient = sight.patient().cloned().or_else(|| asked.patient.clone());
    let found = audit_event::search(&request.app.audit_view, cx.access, sight, &asked).await?;
    cx.note.count = Some(found.records.len() as u64);

    let base = request.base_url();
    let mut links = vec![json!({ "relation": "self", "url": list::address(&base, AUDIT_EVENT, &asked.applied) })];
    if let Some(next) = found.next {
        let place = Place::of_record(AUDIT_EVENT, pairs, next);
        let token = page::seal(&request.app.master_key, cx.access, place, cx.now())?;
        links.push(json!({ "relation": "next", "url": format!("{base}/{AUDIT_EVENT}?_page={token}{}", request.format_wish()) }));
    }
    let mut entries: Vec<Value> = found
        .records
        .iter()
        .map(|(_, record)| {
            json!({
                "fullUrl": format!("{base}/{AUDIT_EVENT}/{}", record.id),
                "resource": resource(record, sight, &request.app.public_url),
                "search": { "mode": "match" },
            })
        })
        .collect();
    if !asked.ignored.is_empty() {
        let warnings: Value = serde_json::from_str(&outcome::to_json(&asked.ignored)).unwrap_or_default();
        entries.push(json!({ "resource": warnings, "search": { "mode": "outcome" } }));
    }
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset", "link": links });
    if !entries.is_empty() {
        bundle["entry"] = Value::Array(entries);
    }
    respond::disclosed(request.format, bundle.to_string())
}
