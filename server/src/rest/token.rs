//! The token endpoint of a tenant's authorization server (RFC 6749, section 3.2). No grant is supported over HTTP yet:
//! every request is told so, in the form that OAuth clients understand, and leaves its record.

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::json;
use vitals_access::tenant::TenantName;

use super::{negotiate::Format, public, request::Incoming, respond, router::FhirBase, trail};
use crate::state::App;

/// Answers a request for a token.
pub async fn answer(app: &App, incoming: &Incoming, name: TenantName) -> Response {
    if let Err(failure) = public::known(app, &name).await {
        return public::refused(app, incoming, &FhirBase::Tenant(name), failure).await;
    }
    let mut record = trail::begin(app, incoming, &FhirBase::Tenant(name));
    "token".clone_into(&mut record.action);
    let (status, error, description) = if incoming.method == Method::POST {
        (
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "This server issues no tokens over HTTP yet: its operator does, with `vitals token`.",
        )
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "Tokens are asked for by POST.")
    };
    record.denied(status.as_u16(), error);
    if let Err(failure) = trail::leave(app, record, None).await {
        return respond::failure(&failure, Format::Json);
    }
    let mut response = respond::json(status, json!({ "error": error, "error_description": description }).to_string());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}
