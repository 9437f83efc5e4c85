//! The answer to a batch or transaction: one entry for each that was sent, in the same order.

use poem::http::StatusCode;
use vitals_fhir::{
    outcome::{self, push_string},
    temporal,
};

use crate::{
    failure::Failure,
    interaction::{
        Exchange,
        bundle::{Bundled, Done, Listed, Listing, Outcome, Plan, Step, What, Whose},
    },
    rest::{
        fhir::{self, Request},
        list as lists,
        negotiate::Return,
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
                    Some(Listed::Patient(listing)) => Some(list(cx, request, step, listing)?),
                    Some(Listed::Observation(listing)) => Some(list(cx, request, step, listing)?),
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

fn list<R: Bundled>(
    cx: &Exchange<'_>,
    request: &Request<'_>,
    step: &Step,
    listing: &Listing<R>,
) -> Result<String, Failure> {
    let Some(list) = &step.list else { return Err(Failure::unavailable("list without an address")) };
    match (listing, &step.what) {
        (Listing::Search { query, page, total }, _) => lists::searchset(cx, request, list, query, page, *total),
        (Listing::History(history), What::History(Whose::One(_), count)) => {
            lists::versions(cx, request, list, history, lists::by_version, lists::whole(history, *count))
        }
        (Listing::History(history), What::History(Whose::Every, count)) => {
            lists::versions(cx, request, list, history, lists::by_time, lists::whole(history, *count))
        }
        (Listing::History(_), _) => Err(Failure::unavailable("list without an address")),
    }
}
