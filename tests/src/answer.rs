//! An HTTP answer as tests look at it.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use vitals_access::tenant::TenantRole;

use crate::{ledger, oracle};

/// What no client may read in a failure: words of the database and of the program.
const INSIDE: [&str; 12] = [
    "panicked",
    "RUST_BACKTRACE",
    "/rustc/",
    ".rs:",
    "sqlx",
    "SQLSTATE",
    "syntax error at",
    "relation \"",
    "permission denied",
    "pg_catalog",
    "search_path",
    "postgres",
];

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Sends a request and reads its answer.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        // Its body is no part of what is looked at afterwards.
        let mut asked = reqwest::Request::new(request.method().clone(), request.url().clone());
        asked.headers_mut().clone_from(request.headers());
        let response = client.execute(request).await.expect("the server answers");
        let (status, headers): (StatusCode, HeaderMap) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("the answer is whole");
        let body = String::from_utf8(body.to_vec()).expect("answers are UTF-8");
        let answer = Self { status: status.as_u16(), headers, body };
        answer.tells_nothing_of_the_inside();
        ledger::note(&asked, &answer);
        if asked.url().path().ends_with("/metrics") {
            oracle::hear("a metrics page", &answer.body);
        }
        oracle::silent();
        answer
    }

    /// Panics where the answer names what only the inside knows: a tenant's role, and in a failure words of the
    /// database or the program.
    pub fn tells_nothing_of_the_inside(&self) {
        let texts = self.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        for text in texts.chain([self.body.clone()]) {
            let roles = text.match_indices("t_").filter_map(|(place, _)| text.get(place..place + 28));
            assert!(!roles.into_iter().any(|role| role.parse::<TenantRole>().is_ok()), "a role in an answer: {text}");
            if self.status >= 400 {
                let word = INSIDE.iter().find(|word| text.contains(**word));
                assert!(word.is_none(), "{word:?} in an answer: {text}");
            }
        }
    }

    /// Panics if the server failed: whatever is sent, that is never the caller's doing.
    #[track_caller]
    pub fn sound(self) -> Self {
        assert!(self.status < 500, "{}: {}", self.status, self.body);
        self
    }

    /// Whether a text stands anywhere in the answer.
    pub fn holds(&self, text: &str) -> bool {
        let in_header = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(text);
        self.body.contains(text) || self.headers.values().any(in_header)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }

    /// A header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Panics unless the status is this one, showing the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Panics unless this leads on; the answer is where to.
    #[track_caller]
    pub fn expect_redirect(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.body);
        self.header("location")
    }

    /// Panics unless this is an OperationOutcome with this status and issue code.
    #[track_caller]
    pub fn expect_outcome(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let json = answer.json();
        assert_eq!(json["resourceType"], "OperationOutcome", "{}", answer.body);
        assert_eq!(json["issue"][0]["code"], code, "{}", answer.body);
        answer
    }

    /// The logical ids of a Bundle's matches, in order.
    pub fn ids(&self) -> Vec<String> {
        let json = self.json();
        let entries = json["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["search"]["mode"] != "outcome")
            .map(|entry| entry["resource"]["id"].as_str().expect("a resource has an id").to_owned())
            .collect()
    }

    /// The link of a Bundle with this relation.
    pub fn link(&self, relation: &str) -> Option<String> {
        self.json()["link"]
            .as_array()?
            .iter()
            .find(|link| link["relation"] == relation)
            .and_then(|link| link["url"].as_str().map(str::to_owned))
    }

    /// The answer without what names the request: for comparing answers that must not differ. `id` is replaced.
    pub fn anonymous(&self, id: &str) -> (u16, Vec<(String, String)>, String) {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                !matches!(name, "date" | "x-request-id" | "traceparent") && !name.starts_with("ratelimit")
            })
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).replace(id, "<id>"))
            })
            .collect();
        headers.sort();
        (self.status, headers, self.body.replace(id, "<id>"))
    }
}
