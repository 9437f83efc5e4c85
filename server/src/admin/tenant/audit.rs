//! `/admin/audit`: the tenant's own trail, newest first, as JSON, as a table (`text/csv`) or as lines of JSON
//! (`application/x-ndjson`). Who looks at it leaves a record in it, with what was looked for as far as the policy keeps
//! that.

use poem::{
    Body, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use vitals_access::audit::criteria;
use vitals_fhir::search;

use super::{Call, Problem, json as json_answer, route::What};
use crate::{
    audit::{CSV_HEAD, csv_line, shown},
    failure::{Failure, Kind},
    rest::page::{self, Place},
};

mod filters;

use self::filters::{FILTERS, Filters};

/// The list that page links go on with.
const LIST: &str = "admin/audit";

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    match what {
        What::Show => show(call, id).await,
        _ => list(call).await,
    }
}

/// One record. What is in another chain is as little there as what is nowhere.
async fn show(call: &mut Call<'_>, id: &str) -> Result<Response, Problem> {
    let none = || Problem::no_such("record");
    let id: Uuid = id.parse().map_err(|_| none())?;
    let found = call.app.audit_view.record(&call.tenant.role, &id).await?.ok_or_else(none)?;
    let (position, record) = found;
    json_answer(StatusCode::OK, &shown(position, &record))
}

async fn list(call: &mut Call<'_>) -> Result<Response, Problem> {
    let form = Form::wanted(&call.incoming.headers)?;
    let pairs = search::form_pairs(&call.incoming.query).map_err(|issue| Problem::malformed(issue.diagnostics))?;
    let (pairs, after) = match pairs.as_slice() {
        [(name, token)] if name == "_page" => {
            let now = call.app.clock.now().timestamp_millis();
            let place = page::open(&call.app.master_key, call.access, LIST, token, now)?;
            let after = place.record().ok_or_else(Failure::page_link)?;
            (place.query, Some(after))
        }
        _ => (pairs, None),
    };
    let known = |name: &str| FILTERS.contains(&name) || name == "_count";
    let asked = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    call.record.query = criteria(call.app.queries, known, asked);
    let filters = Filters::read(&pairs, after)?;
    call.record.patient.clone_from(&filters.patient);
    let found = call.app.audit_view.search(&call.tenant.role, &filters.query, |record| filters.admits(record)).await?;
    call.record.count = Some(found.records.len() as u64);

    let next = match found.next {
        None => None,
        Some(at) => {
            let place = Place::of_record(LIST, pairs, at);
            let now = call.app.clock.now().timestamp_millis();
            let token = page::seal(&call.app.master_key, call.access, place, now)?;
            Some(format!("{}/t/{}/{LIST}?_page={token}", call.app.public_url, call.tenant.name))
        }
    };
    let records = found.records.iter().map(|(position, record)| shown(*position, record)).collect();
    Ok(form.answer(records, next.as_deref()))
}

/// How the list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Lines,
}

impl Form {
    const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Lines];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// The first of those that the caller takes.
    fn wanted(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut asked = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
                asked |= !essence.is_empty();
                if parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0")) {
                    continue;
                }
                match essence.as_str() {
                    "*/*" | "application/*" => return Ok(Self::Json),
                    "text/*" => return Ok(Self::Csv),
                    "application/ndjson" => return Ok(Self::Lines),
                    _ => {}
                }
                if let Some(form) =
                    Self::ALL.into_iter().find(|form| form.media_type().split(';').next() == Some(essence.as_str()))
                {
                    return Ok(form);
                }
            }
        }
        if asked { Err(not_acceptable()) } else { Ok(Self::Json) }
    }

    fn answer(self, records: Vec<Map<String, Value>>, next: Option<&str>) -> Response {
        let text = match self {
            Self::Json => json!({ "records": records, "next": next }).to_string(),
            Self::Csv => CSV_HEAD.to_owned() + &records.iter().map(csv_line).collect::<String>(),
            Self::Lines => {
                let lines = records.into_iter().map(|record| Value::Object(record).to_string());
                lines.flat_map(|line| [line, "\n".to_owned()]).collect()
            }
        };
        let mut response = Response::builder().status(StatusCode::OK).body(Body::from_string(text));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type()));
        if self == Self::Csv {
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.csv\""));
        }
        // A table has no other place for it.
        if let Some(link) = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
            headers.insert(header::LINK, link);
        }
        response
    }
}

fn not_acceptable() -> Problem {
    Failure::new(
        Kind::NotAcceptable,
        vitals_fhir::outcome::IssueCode::NotSupported,
        "not acceptable",
        "The trail is told as application/json, text/csv or application/x-ndjson: ask for one of them in Accept.",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_asked_for() {
        let cases = [
            (None, Some(Form::Json)),
            (Some("*/*"), Some(Form::Json)),
            (Some("application/json"), Some(Form::Json)),
            (Some("text/csv"), Some(Form::Csv)),
            (Some("TEXT/CSV; charset=utf-8"), Some(Form::Csv)),
            (Some("application/x-ndjson, */*"), Some(Form::Lines)),
            (Some("text/html, text/csv;q=0.5"), Some(Form::Csv)),
            (Some("text/csv;q=0"), None),
            (Some("text/html"), None),
        ];
        for (accept, form) in cases {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Form::wanted(&headers).ok(), form, "{accept:?}");
        }
    }
}
