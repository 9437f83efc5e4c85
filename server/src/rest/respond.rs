//! The one place that knows status codes: from a [`Failure`] or an answer to an HTTP response.

use poem::{
    Body, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use vitals_fhir::outcome;

use super::negotiate::Format;
use crate::failure::{Failure, Kind};

/// The status of a kind of failure (CONTRACT section 5).
pub const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NoCredentials | Kind::BadCredentials | Kind::BadBoundCredentials | Kind::BadProof | Kind::NonceWanted => {
            StatusCode::UNAUTHORIZED
        }
        Kind::Scope | Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Deleted => StatusCode::GONE,
        Kind::Malformed | Kind::BadRequestForm => StatusCode::BAD_REQUEST,
        Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Precondition => StatusCode::PRECONDITION_FAILED,
        Kind::Ambiguous => StatusCode::CONFLICT,
        Kind::NotOffered(_) => StatusCode::METHOD_NOT_ALLOWED,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooLong => StatusCode::URI_TOO_LONG,
        Kind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Kind::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds after which a dependency is worth another try.
const RETRY_AFTER: &str = "1";

/// A challenge of RFC 9449, section 7.1.
macro_rules! challenge {
    ($error:literal) => {
        concat!("DPoP error=\"", $error, "\", algs=\"RS256 RS384 PS256 ES256 ES384 EdDSA\"")
    };
}

/// Headers that belong to a kind of failure.
fn failure_headers(kind: Kind) -> Vec<(HeaderName, &'static str)> {
    match kind {
        Kind::NoCredentials => vec![(header::WWW_AUTHENTICATE, "Bearer")],
        Kind::BadCredentials => vec![(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")],
        Kind::BadBoundCredentials => vec![(header::WWW_AUTHENTICATE, challenge!("invalid_token"))],
        Kind::BadProof => vec![(header::WWW_AUTHENTICATE, challenge!("invalid_dpop_proof"))],
        Kind::NonceWanted => vec![(header::WWW_AUTHENTICATE, challenge!("use_dpop_nonce"))],
        Kind::BadRequestForm => vec![(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_request\"")],
        Kind::Scope => vec![(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")],
        Kind::NotOffered(allow) => vec![(header::ALLOW, allow)],
        Kind::Unavailable => vec![(header::RETRY_AFTER, RETRY_AFTER)],
        Kind::TooLarge | Kind::TooSlow => vec![(header::CONNECTION, "close")],
        _ => Vec::new(),
    }
}

/// A failure as an OperationOutcome.
pub fn failure(failure: &Failure, format: Format) -> Response {
    let mut response = fhir(status(failure.kind), format, outcome::to_json(&failure.issues));
    for (name, value) in failure_headers(failure.kind) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Kind::Throttled { retry_after } = failure.kind {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    }
    response
}

/// A FHIR body in the representation asked for, or as JSON where it has no other: for what is told anyhow, such as a
/// failure or a write that is done. `json` is always JSON; XML is made from it.
pub fn fhir(status: StatusCode, format: Format, json: String) -> Response {
    match format {
        Format::Json => with_type(status, Format::Json, json),
        Format::Xml => match vitals_fhir_codec::json_to_xml(&json) {
            Ok(xml) => with_type(status, Format::Xml, xml),
            Err(_) => with_type(status, Format::Json, json),
        },
    }
}

/// The same for what is disclosed: there the caller's wish decides. JSON holds characters that XML cannot.
pub fn disclosed(format: Format, json: String) -> Result<Response, Failure> {
    match format {
        Format::Json => Ok(with_type(StatusCode::OK, Format::Json, json)),
        Format::Xml => match vitals_fhir_codec::json_to_xml(&json) {
            Ok(xml) => Ok(with_type(StatusCode::OK, Format::Xml, xml)),
            Err(_) => Err(Failure::new(
                Kind::NotAcceptable,
                outcome::IssueCode::NotSupported,
                "not expressible as XML",
                "This holds something that XML cannot express: ask for application/fhir+json.",
            )),
        },
    }
}

fn with_type(status: StatusCode, format: Format, body: String) -> Response {
    let mut response = Response::builder().status(status).body(Body::from_string(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    Response::builder().status(status).finish()
}

/// The answer to who has this version already (RFC 9110, section 15.4.5).
pub fn not_modified(version: i64, last_updated: i64) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    versioned(&mut response, version, last_updated, None);
    response
}

/// JSON that is not FHIR.
pub fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::builder().status(status).body(Body::from_string(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `ETag` of a version.
pub fn etag(response: &mut Response, version: i64) {
    if let Ok(etag) = HeaderValue::from_str(&format!("W/\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
}

/// `ETag`, `Last-Modified` and, where given, `Location` of a version.
pub fn versioned(response: &mut Response, version: i64, last_updated: i64, location: Option<&str>) {
    etag(response, version);
    let headers = response.headers_mut();
    if let Some(time) = chrono::DateTime::from_timestamp_millis(last_updated)
        && let Ok(time) = HeaderValue::from_str(&time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    {
        headers.insert(header::LAST_MODIFIED, time);
    }
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
}
