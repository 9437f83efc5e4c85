//! The answer to a batch or transaction: one entry for each that was sent, in the same order.

use poem::http::StatusCode;
use vitals_fhir::{
    outcome::{self, push_string},
    resource::Resource,
    temporal,
};

use crate::{
    failure::Failure,
    interaction::{
        Exchange,
        bundle::{Bundled, Done, Listed, Listing, Outcome, Plan, Step},
    },
    rest::{
        bundle::{self, Links},
        fhir::{self, Request},
        list as lists,
        negotiate::Return,
        page::{self, Place},
        respond,
    },
};

/// The Bundle of answers.
pub fn bundle(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    plan: &Plan,
    outcomes: Vec<Outcome>,
    wanted: Option<Return>,
) -> Result<String, Failure> {
    let base = request.base_url();
    let mut out = String::with_capacity(256 + outcomes.len() * 256);
    out.push_str(r#"{"resourceType":"Bundle","type":""#);
    out.push_str(plan.bundle.kind().code());
    out.push_str(r#"-response""#);
    let mut separator = r#","entry":["#;
    for (step, outcome) in plan.steps.iter().zip(outcomes) {
        out.push_str(separator);
        separator = ",";
        match (step, outcome) {
            (Ok(step), Ok(done)) => {
                let listed = match &done.listed {
                    Some(Listed::Patient(listing)) => Some(searchset(cx, request, &base, listing)?),
                    Some(Listed::Observation(listing)) => Some(searchset(cx, request, &base, listing)?),
                    None => None,
                };
                push_done(&mut out, &base, step, &done, listed.as_deref(), wanted);
            }
            (Err(failure), _) => push_failure(&mut out, failure),
            (_, Err(failure)) => push_failure(&mut out, &failure),
        }
    }
    out.push_str(if separator == "," { "]}" } else { "}" });
    Ok(out)
}

fn push_done(out: &mut String, base: &str, step: &Step, done: &Done, listed: Option<&str>, wanted: Option<Return>) {
    let place = |id: &str| format!("{base}/{}/{id}", step.operation.resource);
    out.push('{');
    if let (Some(body), Some(id)) = (&done.body, &done.id) {
        out.push_str(r#""fullUrl":"#);
        push_string(out, &place(id));
        out.push_str(r#","resource":"#);
        out.push_str(body);
        out.push(',');
    } else if let Some(listed) = listed {
        out.push_str(r#""resource":"#);
        out.push_str(listed);
        out.push(',');
    }
    out.push_str(r#""response":{"status":""#);
    out.push_str(&done.status.to_string());
    out.push('"');
    let writes = step.operation.method != vitals_fhir::catalog::Method::Get;
    if let (Some(id), Some(version)) = (&done.id, done.version) {
        if writes && done.status != StatusCode::NO_CONTENT.as_u16() {
            out.push_str(r#","location":"#);
            push_string(out, &format!("{}/_history/{version}", place(id)));
        }
        out.push_str(r#","etag":"W/\""#);
        out.push_str(&version.to_string());
        out.push_str(r#"\"""#);
    }
    if let Some(last_updated) = done.last_updated {
        out.push_str(r#","lastModified":""#);
        out.push_str(&temporal::instant(last_updated));
        out.push('"');
    }
    if writes && wanted == Some(Return::Outcome) {
        out.push_str(r#","outcome":"#);
        out.push_str(&fhir::done(StatusCode::from_u16(done.status).unwrap_or_default(), done.doubts.clone()));
    }
    out.push_str("}}");
}

fn push_failure(out: &mut String, failure: &Failure) {
    out.push_str(r#"{"response":{"status":""#);
    out.push_str(respond::status(failure.kind).as_str());
    out.push_str(r#"","outcome":"#);
    out.push_str(&outcome::to_json(&failure.issues));
    out.push_str("}}");
}

fn searchset<R: Bundled>(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    base: &str,
    listing: &Listing<R>,
) -> Result<String, Failure> {
    let list = <R as Resource>::TYPE.name();
    let next = match &listing.page.next {
        None => None,
        Some(next) => {
            let query = listing.query.applied.clone();
            let place = Place { list: list.to_owned(), query, mark: next.mark.clone(), id: next.id.clone() };
            let token = page::seal(&request.app.master_key, cx.access, place, cx.now())?;
            Some(format!("{base}/{list}?_page={token}"))
        }
    };
    let links = Links { itself: lists::address(base, list, &listing.query.applied), next };
    Ok(bundle::searchset(&listing.page, base, &links, listing.total, &listing.query))
}
