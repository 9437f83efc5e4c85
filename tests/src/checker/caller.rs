//! A caller that reads and writes at random while something goes wrong, and keeps what it was told.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use super::{Asked, Checker, Outcome, Sent};
use crate::{Chance, samples, tenant::client};

const FHIR: &str = "application/fhir+json";
/// No request may hang, whatever goes wrong: the longest may take a minute and a half.
const ANSWERED_WITHIN: Duration = Duration::from_secs(100);
/// After a request without an answer.
const PAUSE: Duration = Duration::from_millis(30);
/// Most milliseconds between two requests.
const APART: u64 = 80;
/// Most entries of a transaction.
const ENTRIES: u64 = 12;

/// One of several callers of a tenant, whose ids are its own.
pub struct Caller {
    checker: Arc<Checker>,
    base: String,
    token: String,
    name: String,
    chance: Chance,
    count: usize,
    /// The patient that it wrote last, and its version as far as that is known.
    last: Option<(String, Option<i64>)>,
}

/// A head, and a body where all of it came.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Option<String>,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn version(&self) -> Option<i64> {
        self.header("etag").and_then(|tag| tag.trim_matches(['W', '/', '"']).parse().ok())
    }

    fn request(&self) -> String {
        self.header("x-request-id").unwrap_or_default().to_owned()
    }
}

impl Caller {
    /// A caller of this name, which no other has.
    pub fn new(checker: &Arc<Checker>, base: &str, token: &str, name: &str, seed: u64) -> Self {
        Self {
            checker: Arc::clone(checker),
            base: base.to_owned(),
            token: token.to_owned(),
            name: name.to_owned(),
            chance: Chance(seed),
            count: 0,
            last: None,
        }
    }

    /// Works until it is told to stop.
    pub async fn work(mut self, stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            if !self.step().await {
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(Duration::from_millis(self.chance.below(APART))).await;
        }
    }

    /// One request, chosen at random. Says whether it was answered below 500.
    pub async fn step(&mut self) -> bool {
        self.count += 1;
        match (self.chance.below(10), self.last.clone()) {
            (0 | 1, Some((id, _))) => self.read(&id).await,
            (2 | 3, Some((id, Some(version)))) => self.update(&id, version).await,
            (4, Some((id, Some(version)))) => self.delete(&id, version).await,
            (5, _) => self.transaction().await,
            (6 | 7, _) => self.create().await,
            _ => self.put().await,
        }
    }

    fn id(&self) -> String {
        format!("{}-{}", self.name, self.count)
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Option<Told> {
        let mut request = client().request(method, format!("{}/{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", FHIR).body(body);
        }
        let told = async {
            let answer = request.send().await.ok()?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            // The head is here, and with it the promise; the body may not come any more.
            Some(Told { status, headers, body: answer.text().await.ok() })
        };
        tokio::time::timeout(ANSWERED_WITHIN, told).await.expect("every request is answered or broken off in time")
    }

    /// What became of a request about one resource.
    fn outcome(told: Option<&Told>, id: Option<&str>) -> Outcome {
        let Some(told) = told else { return Outcome::Unknown };
        let located = || told.header("location").and_then(|location| location.split('/').rev().nth(2));
        match told.status {
            200..300 => Outcome::Acknowledged {
                id: id.or_else(located).expect("an id").to_owned(),
                version: told.version().expect("an acknowledged write has a version"),
                body: told.body.clone(),
                request: told.request(),
            },
            status @ ..500 => Outcome::Refused(status),
            _ => Outcome::Unknown,
        }
    }

    fn note(&self, asked: Asked, kind: &'static str, mark: String, content: Value, outcome: Outcome) -> bool {
        let answered = outcome != Outcome::Unknown;
        self.checker.note(Sent { asked, kind, mark, content, outcome });
        answered
    }

    /// A patient with this mark.
    fn patient(id: &str, mark: &str) -> Value {
        let mut patient = samples::patient(id, "Family");
        patient["identifier"] = json!([{ "system": "urn:test:marks", "value": mark }]);
        patient
    }

    async fn put(&mut self) -> bool {
        let (id, mark) = (self.id(), self.checker.mark());
        let content = Self::patient(&id, &mark);
        let told = self.send(Method::PUT, &format!("Patient/{id}"), &[], Some(content.to_string())).await;
        self.follow(&id, told.as_ref());
        self.note(Asked::Write, "Patient", mark, content, Self::outcome(told.as_ref(), Some(&id)))
    }

    async fn update(&mut self, id: &str, version: i64) -> bool {
        let mark = self.checker.mark();
        let content = Self::patient(id, &mark);
        let expected = format!("W/\"{version}\"");
        let path = format!("Patient/{id}");
        let told = self.send(Method::PUT, &path, &[("if-match", &expected)], Some(content.to_string())).await;
        self.follow(id, told.as_ref());
        self.note(Asked::Write, "Patient", mark, content, Self::outcome(told.as_ref(), Some(id)))
    }

    /// What is known of the last patient after a write of it.
    fn follow(&mut self, id: &str, told: Option<&Told>) {
        self.last = Some((id.to_owned(), told.filter(|told| told.status < 300).and_then(Told::version)));
    }

    async fn delete(&mut self, id: &str, version: i64) -> bool {
        let expected = format!("W/\"{version}\"");
        let told = self.send(Method::DELETE, &format!("Patient/{id}"), &[("if-match", &expected)], None).await;
        self.last = None;
        let outcome = Self::outcome(told.as_ref(), Some(id));
        self.note(Asked::Delete, "Patient", String::new(), Value::Null, outcome)
    }

    async fn read(&mut self, id: &str) -> bool {
        let told = self.send(Method::GET, &format!("Patient/{id}"), &[], None).await;
        let outcome = Self::outcome(told.as_ref(), Some(id));
        self.note(Asked::Read, "Patient", String::new(), Value::Null, outcome)
    }

    /// Creates under a condition, so that it may be tried again: what a try that nobody knows of wrote is found by the
    /// next.
    async fn create(&mut self) -> bool {
        let mark = self.checker.mark();
        let mut content = samples::heart_rate("any", "p1");
        content.as_object_mut().expect("an object").shift_remove("id");
        content["identifier"] = json!([{ "system": "urn:test:marks", "value": mark }]);
        let once = format!("identifier=urn:test:marks|{mark}");
        let send = async || {
            self.send(Method::POST, "Observation", &[("if-none-exist", &once)], Some(content.to_string())).await
        };
        let mut told = send().await;
        if told.as_ref().is_none_or(|told| told.status >= 500) {
            tokio::time::sleep(PAUSE).await;
            told = send().await;
        }
        let outcome = Self::outcome(told.as_ref(), None);
        self.note(Asked::Write, "Observation", mark, content, outcome)
    }

    async fn transaction(&mut self) -> bool {
        let count = 2 + self.chance.below(ENTRIES - 1);
        self.transaction_of(count).await
    }

    /// A transaction of so many entries. Says whether it was answered below 500.
    pub async fn transaction_of(&mut self, count: u64) -> bool {
        self.count += 1;
        let number = self.checker.transaction();
        let entries: Vec<(String, String, Value)> = (0..count)
            .map(|place| {
                let (id, mark) = (format!("{}-{place}", self.id()), self.checker.mark());
                let content = Self::patient(&id, &mark);
                (id, mark, content)
            })
            .collect();
        let listed: Vec<Value> = entries
            .iter()
            .map(|(id, _, content)| {
                json!({ "resource": content, "request": { "method": "PUT", "url": format!("Patient/{id}") } })
            })
            .collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": listed }).to_string();
        let told = self.send(Method::POST, "", &[], Some(bundle)).await;
        for (id, mark, content) in entries {
            let outcome = match &told {
                Some(told) if told.status < 300 => {
                    Outcome::Acknowledged { id, version: 1, body: None, request: told.request() }
                }
                Some(told) if told.status < 500 => Outcome::Refused(told.status),
                _ => Outcome::Unknown,
            };
            self.note(Asked::Entry(number), "Patient", mark, content, outcome);
        }
        told.is_some_and(|told| told.status < 500)
    }
}
