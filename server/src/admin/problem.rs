//! Failures of administration, the operator's and the tenants', as problem details (<https://www.rfc-editor.org/rfc/rfc9457>). The one place
//! under `admin` that knows status codes.

use std::error::Error;

use poem::{
    Body, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use serde::Serialize;
use vitals_access::tenant::TenantName;
use vitals_store::{
    control::{ControlError, grants::GrantError, issuers::IssuerError, poll::Stale},
    migrate::MigrateError,
    urls::ConnectError,
};

use super::guard::Refused;
use crate::{
    audit::AuditUnavailable,
    failure::Failure,
    rest::{Format, respond},
};

/// The reason of a failure after which nobody knows whether the change was made.
const UNCERTAIN: &str = "database failed";

/// Why the operator does not get what was asked for.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The members of RFC 9457.
#[derive(Serialize)]
struct Details<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'p str,
}

impl Problem {
    fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self { status, reason, detail: detail.into(), headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// There is nothing at this address.
    pub fn no_such_address() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no such address", "There is nothing at this address.")
    }

    /// The address has other methods.
    pub fn not_offered(allow: &'static str) -> Self {
        let detail = format!("This address answers {allow}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "not offered", detail).with(header::ALLOW, allow)
    }

    /// There is no such tenant.
    pub fn no_such_tenant() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no such tenant", "There is no tenant of this name.")
    }

    /// There is nothing of this id, or nothing that could still end.
    pub fn no_such(kind: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", format!("There is no such {kind}."))
    }

    /// The token has not the scope for it.
    pub fn out_of_scope(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "insufficient scope", format!("This needs the scope {scope}."))
            .with(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")
    }

    /// It is there, and another tenant's to change.
    pub fn not_yours(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "of another tenant", detail)
    }

    /// It is there already.
    pub fn taken(detail: impl Into<String>) -> Self {
        Self::conflict("taken", detail)
    }

    /// The request cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed request", detail)
    }

    /// A deletion that does not repeat the tenant's name.
    pub fn not_confirmed(name: &TenantName) -> Self {
        let detail = format!("To delete tenant {name} with all its data, repeat its name: ?confirm={name}");
        Self::new(StatusCode::BAD_REQUEST, "not confirmed", detail)
    }

    /// The request is understood, and asks for what there cannot be.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
    }

    /// The body is of another media type than JSON.
    pub fn not_json() -> Self {
        let detail = "Send the body as JSON, with Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not JSON", detail)
    }

    /// This server was given no role that may do it; a command that may.
    pub fn not_configured(command: &str) -> Self {
        let detail = format!(
            "This server was started without --admin-database-url. With its settings and that one, run: {command}"
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, "no admin database", detail)
    }

    /// The change was made, and its record could not be completed.
    pub fn made_but_not_recorded() -> Self {
        let detail = "The change was made, but the audit store went away before its record was complete.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "audit store away", detail)
    }

    /// A mistake of ours.
    pub fn internal(reason: &'static str) -> Self {
        let detail = "The server failed to do this. The request id names the entry in its log.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason, detail)
    }

    fn unavailable(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, detail).with(header::RETRY_AFTER, "1")
    }

    fn conflict(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, reason, detail)
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A short reason for the audit trail.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whether a change may have been made nevertheless.
    pub fn is_uncertain(&self) -> bool {
        self.reason == UNCERTAIN
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let details = Details {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status(),
            detail: &self.detail,
        };
        let body = serde_json::to_string(&details).unwrap_or_else(|_| r#"{"type":"about:blank"}"#.to_owned());
        let mut response = Response::builder().status(self.status).body(Body::from_string(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Origin => Self::new(
                StatusCode::FORBIDDEN,
                "origin refused",
                "This listener serves no pages in a browser: send no Origin.",
            ),
            Refused::Host => Self::new(
                StatusCode::FORBIDDEN,
                "host refused",
                "The request is for another host: name the address of this listener.",
            ),
            Refused::NoToken => Self::new(
                StatusCode::UNAUTHORIZED,
                "no credentials",
                "This needs the operator token: send it as Authorization: Bearer.",
            )
            .with(header::WWW_AUTHENTICATE, "Bearer"),
            Refused::WrongToken => {
                Self::new(StatusCode::UNAUTHORIZED, "wrong operator token", "This is not the operator token.")
                    .with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
            }
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        // Challenges and times are those of an answer with an OperationOutcome.
        let like = respond::failure(&failure, Format::Json);
        let kept = |name: &HeaderName| *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH;
        let headers =
            like.headers().iter().filter(|(name, _)| kept(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        let detail = failure.issues.into_iter().next().map(|issue| issue.diagnostics).unwrap_or_default();
        Self { headers, ..Self::new(like.status(), failure.reason, detail) }
    }
}

impl From<AuditUnavailable> for Problem {
    fn from(_: AuditUnavailable) -> Self {
        Self::unavailable(
            "audit store away",
            "No audit record can be written now, so nothing was done: try again shortly.",
        )
    }
}

impl From<Stale> for Problem {
    fn from(_: Stale) -> Self {
        Self::unavailable("directory stale", "The database does not answer now: try again shortly.")
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        tracing::error!(error = &error as &dyn Error, "the operator's request found no database");
        Self::unavailable("database away", "The database cannot be reached as the administering role: see the log.")
    }
}

impl From<MigrateError> for Problem {
    fn from(error: MigrateError) -> Self {
        tracing::error!(error = &error as &dyn Error, "where the tenants stand cannot be read");
        Self::unavailable("database failed", "It cannot be read where the tenants stand: see the log.")
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let detail = || format!("{}.", capital(&error.to_string()));
        match &error {
            ControlError::Taken(_) => Self::conflict("name taken", detail()),
            ControlError::Unknown(_) => Self::no_such_tenant(),
            ControlError::NotConfirmed(name) => Self::not_confirmed(name),
            ControlError::Issuer(IssuerError::Unknown { .. }) => Self::no_such("issuer"),
            ControlError::Issuer(
                IssuerError::SecondSpelling { .. } | IssuerError::Differs { .. } | IssuerError::OperatorOnly(_),
            ) => Self::conflict("issuer registered otherwise", detail()),
            ControlError::Grant(GrantError::TooMany) => Self::conflict("too many grants", detail()),
            ControlError::Isolation(_) | ControlError::Issuer(_) | ControlError::Grant(_) => {
                Self::unprocessable(detail())
            }
            ControlError::Full(_) | ControlError::NotSetUp => Self::unavailable("no role left", detail()),
            ControlError::Unsettled { .. } | ControlError::InUse(_) => Self::unavailable("tenant in use", detail()),
            ControlError::Database { .. } => {
                tracing::error!(error = &error as &dyn Error, "the operator's request failed in the database");
                Self::unavailable(
                    UNCERTAIN,
                    "The database did not do this, or did not say that it did: look before you repeat it.",
                )
            }
            ControlError::Seal { .. } | ControlError::Migrate(_) | ControlError::Inconsistent { .. } => {
                tracing::error!(error = &error as &dyn Error, "the operator's request failed");
                Self::internal("control schema")
            }
        }
    }
}

/// The message of an error as the beginning of a sentence.
fn capital(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_has_the_members_of_the_standard() {
        let response = Problem::from(Refused::WrongToken).into_response();

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.header(header::CONTENT_TYPE), Some("application/problem+json"));
        assert_eq!(response.header(header::WWW_AUTHENTICATE), Some("Bearer error=\"invalid_token\""));
        let body = response.into_body().into_string().await.unwrap();
        assert_eq!(
            body,
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"This is not the operator token."}"#
        );
    }

    #[test]
    fn failures_of_the_registry_have_statuses_of_their_own() {
        let name = || "north".parse::<TenantName>().unwrap();
        let url = || "https://idp.example".to_owned();
        let cases = [
            (ControlError::Taken(name()), 409),
            (ControlError::Unknown(name()), 404),
            (ControlError::NotConfirmed(name()), 400),
            (ControlError::Isolation("database".to_owned()), 422),
            (ControlError::Issuer(IssuerError::Url { url: url(), reason: "it is too short" }), 422),
            (ControlError::Issuer(IssuerError::Differs { url: url(), what: "set of keys" }), 409),
            (ControlError::Issuer(IssuerError::OperatorOnly(url())), 409),
            (ControlError::Issuer(IssuerError::Algorithm("none".to_owned())), 422),
            (ControlError::InUse(name()), 503),
            (ControlError::Inconsistent { table: "control.tenant", column: "role" }, 500),
        ];
        for (error, status) in cases {
            let text = error.to_string();
            let problem = Problem::from(error);
            assert_eq!(problem.status(), status, "{text}");
            assert!(!problem.is_uncertain(), "{text}");
        }
        assert_eq!(Problem::from(ControlError::Taken(name())).detail, "There is a tenant north already.");
    }
}
