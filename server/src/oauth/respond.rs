//! Failures of the authorization server, as RFC 6749, section 5.2, has them. The one place under `oauth` that knows status
//! codes of failures.

use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use serde_json::json;
use vitals_store::{StoreError, control::poll::Stale};

use crate::{
    failure::{Failure, Kind},
    limit::ADDRESS_LIMIT,
    rest::respond,
};

/// Why a client or a person does not get what was asked for.
#[derive(Clone, Debug)]
pub struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the trail, where the error's name says less.
    reason: Option<&'static str>,
}

impl OauthError {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), headers: Vec::new(), reason: None }
    }

    /// The request is malformed, or lacks something, or says something twice.
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// The client is not known, or did not prove who it is. ATTACKS O19 wants 400 where no Authorization header was tried.
    pub fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_client", description)
    }

    /// The same for a client that tried HTTP authentication (RFC 6749, section 5.2).
    pub fn unauthenticated(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"client\""))
    }

    /// The code, assertion or refresh token is not good.
    pub fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    /// The client may not use this grant.
    pub fn unauthorized_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    /// There is no such grant here.
    pub fn unsupported_grant_type(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description)
    }

    /// Nothing of what was asked for may be granted.
    pub fn invalid_scope(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
    }

    /// Any other error of a specification, by its name there.
    pub fn named(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self::new(status, error, description)
    }

    /// There is nothing at this address.
    pub fn no_such_address() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
    }

    /// The tenant's operator stopped it.
    pub fn suspended() -> Self {
        Self::new(StatusCode::FORBIDDEN, "access_denied", "This organisation is suspended on this server.")
    }

    /// The address has other methods.
    pub fn not_offered(allow: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", format!("This address answers {allow}."))
            .with(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// The app is told, where its answers go (RFC 6749, section 4.1.2.1); in the trail it is a refusal like any other.
    pub fn told(location: &str, error: &'static str) -> Self {
        match HeaderValue::from_str(location) {
            Ok(location) => Self::new(StatusCode::SEE_OTHER, error, "").with(header::LOCATION, location),
            Err(_) => Self::internal(),
        }
    }

    /// Whether it leads on to somewhere.
    pub fn is_redirect(&self) -> bool {
        self.status.is_redirection()
    }

    /// A dependency is away.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "The server cannot do this right now: try again shortly.",
        )
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Too much came; the seconds until it is worth another try. RFC 6749 has no word of its own for it.
    pub fn too_often(retry_after: u64, description: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", description)
            .with(header::RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// A mistake of ours.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "The server failed to do this. The request id names the entry in its log.",
        )
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The error's name, for the audit trail.
    pub fn reason(&self) -> &'static str {
        self.reason.unwrap_or(self.error)
    }

    /// Whether it is one of many alike from one address.
    pub fn is_flood(&self) -> bool {
        self.reason == Some(ADDRESS_LIMIT)
    }

    /// What is said to people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The answer, for programs.
    pub fn into_response(self) -> Response {
        if self.is_redirect() {
            let mut response = respond::empty(self.status);
            self.add_headers(response.headers_mut());
            return response;
        }
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = respond::json(self.status, body.to_string());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.add_headers(headers);
        response
    }

    /// Adds its headers to an answer.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}

impl From<Stale> for OauthError {
    fn from(_: Stale) -> Self {
        Self::unavailable()
    }
}

impl From<StoreError> for OauthError {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for OauthError {
    fn from(failure: Failure) -> Self {
        let status = respond::status(failure.kind);
        if let Kind::Throttled { retry_after } = failure.kind {
            let description = failure.issues.into_iter().next().map(|issue| issue.diagnostics).unwrap_or_default();
            let error = Self::too_often(retry_after, description);
            return Self { reason: Some(failure.reason), ..error };
        }
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(),
            StatusCode::INTERNAL_SERVER_ERROR => Self::internal(),
            _ => {
                let description = failure.issues.into_iter().next().map(|issue| issue.diagnostics).unwrap_or_default();
                Self::new(status, "invalid_request", description)
            }
        }
    }
}
