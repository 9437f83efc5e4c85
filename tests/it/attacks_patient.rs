//! Attacks on the patient compartment, by their numbers: who holds a token of one patient asks for another's. Here the
//! world and the oracle; what reads is in `reading`, what writes in `writing`, what comes in Bundles in `bundles`.
//! P09 to P13 and P17 to P20 are in `search_attacks.rs`, P23, P24, P26 and P40 in `scope_limits.rs` too, P27 in
//! `bundle_conditional.rs`, P29 in `bundle_transaction.rs`, P42 in the bench.

mod bundles;
mod reading;
mod writing;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples};

const FHIR: &str = "application/fhir+json";
/// Stands in ids of the patient who is attacked.
const FOREIGN: &str = "P2";
/// As long, and in nobody's id.
const NEVER: &str = "Q7";

/// What stands in everything of a patient's.
fn mark(tenant: &Tenant, patient: &str) -> String {
    format!("CANARY-{}-{patient}", tenant.name)
}

fn narrative(mark: &str) -> Value {
    json!({ "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{mark}</div>") })
}

/// A patient whose every text is the mark.
fn patient(tenant: &Tenant, id: &str) -> Value {
    let mark = mark(tenant, id);
    let mut patient = samples::patient(id, &mark);
    patient["text"] = narrative(&mark);
    patient["identifier"] = json!([{ "system": "urn:test:mrn", "value": mark }]);
    patient["telecom"] = json!([{ "system": "phone", "value": mark }]);
    patient["address"] = json!([{ "text": mark }]);
    patient
}

/// A heart rate of a patient's whose every text is the mark.
fn heart_rate(tenant: &Tenant, id: &str, of: &str) -> Value {
    let mark = mark(tenant, of);
    let mut observation = samples::heart_rate(id, of);
    observation["text"] = narrative(&mark);
    observation["identifier"] = json!([{ "system": "urn:test:marks", "value": mark }]);
    observation["note"] = json!([{ "text": mark }]);
    observation["subject"]["display"] = mark.as_str().into();
    observation["code"]["text"] = mark.into();
    observation["valueQuantity"] =
        json!({ "value": 72.0, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min" });
    observation
}

/// A request whose path may hold `{}` for the patient it is about.
#[derive(Clone, Debug)]
struct Row {
    /// Begins with the number.
    label: &'static str,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn row(label: &'static str, method: Method, path: &str) -> Row {
    Row { label, method, path: path.to_owned(), headers: Vec::new(), body: None }
}

fn get(label: &'static str, path: &str) -> Row {
    row(label, Method::GET, path)
}

impl Row {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn sending(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Asks about this patient.
    async fn about(&self, patient: &str, tenant: &Tenant, token: &str) -> Answer {
        let mut request = tenant.request(self.method.clone(), &self.path.replace("{}", patient), token);
        if let Some(body) = &self.body {
            if !self.headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", FHIR);
            }
            request = request.body(body.to_string().replace("{}", patient));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value.replace("{}", patient));
        }
        Answer::of(request).await.sound()
    }

    /// The answers about the attacked patient and about nobody, which must be the same; the first is handed back.
    async fn tells_nothing(&self, tenant: &Tenant, token: &str, own: &str) -> Answer {
        let answer = self.about(FOREIGN, tenant, token).await;
        let never = self.about(NEVER, tenant, token).await;
        assert_eq!(neutral(&answer, FOREIGN), neutral(&never, NEVER), "{}", self.label);
        only(self.label, &answer, own);
        answer
    }
}

/// Panics where a mark of anybody's but this one's stands in an answer; an empty mark is nobody's.
#[track_caller]
fn only(label: &str, answer: &Answer, own: &str) {
    let headers = answer.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    for text in headers.chain([answer.body.clone()]) {
        for (place, _) in text.match_indices("CANARY-") {
            let rest = &text[place..];
            let is_own = !own.is_empty()
                && rest.strip_prefix(own).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
            assert!(is_own, "{label}: {}", &rest[..rest.len().min(60)]);
        }
    }
}

/// An answer without what must differ between two requests: the patient asked for, and the id and time of what was made.
fn neutral(answer: &Answer, patient: &str) -> (u16, Vec<(String, String)>, String) {
    let (status, mut headers, mut body) = answer.anonymous(patient);
    if status == StatusCode::CREATED.as_u16()
        && let Ok(resource) = serde_json::from_str::<Value>(&answer.body)
        && let (Some(made), Some(time)) = (resource["id"].as_str(), resource["meta"]["lastUpdated"].as_str())
    {
        body = answer.body.replace(made, "<made>").replace(time, "<time>").replace(patient, "<id>");
        headers.retain(|(name, _)| name != "last-modified");
        for (name, value) in &mut headers {
            if name == "location" {
                *value = answer.header("location").replace(made, "<made>");
            }
        }
    }
    (status, headers, body)
}
