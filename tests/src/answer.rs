//! An HTTP answer as tests look at it.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

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
        let response = request.send().await.expect("the server answers");
        let (status, headers): (StatusCode, HeaderMap) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("the answer is whole");
        Self { status: status.as_u16(), headers, body: String::from_utf8(body.to_vec()).expect("answers are UTF-8") }
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
