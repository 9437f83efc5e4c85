//! Whose pages may read what (<https://fetch.spec.whatwg.org/#http-cors-protocol>): discovery, metadata and keys are
//! anybody's; FHIR and the token endpoint are for the origins that a tenant registered. Never with credentials of the
//! browser's own: a page shows its token itself.
//!
//! `/fhir` has no origins, because a preflight does not say whose token will come.

use std::sync::Arc;

use poem::{
    Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use vitals_access::tenant::TenantName;

use super::{
    delegated, fhir, respond,
    router::{self, Address, Auth, Fhir, FhirBase},
};
use crate::{
    failure::{Failure, Kind},
    state::App,
};

/// What a page may read of an answer beside its body.
const EXPOSED: &str =
    "Location, Content-Location, ETag, Last-Modified, Retry-After, WWW-Authenticate, DPoP-Nonce, X-Request-Id";
/// What a page may send beside what every page may.
const SENT: &str = "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-Modified-Since, \
                    If-None-Exist, DPoP, traceparent, tracestate";
/// How long a browser need not ask again, in seconds: an origin that is taken off has no token much longer than that.
const REMEMBERED: &str = "600";

/// Who may read an address from a page of another origin.
enum Readers {
    Anybody,
    Origins(TenantName),
    Nobody,
}

fn readers(path: &str) -> Readers {
    match router::address(path) {
        Address::Fhir(_, Fhir::Metadata | Fhir::SmartConfiguration)
        | Address::Delegated(_, Fhir::Metadata)
        | Address::Jwks(_)
        | Address::Auth(_, Auth::Metadata) => Readers::Anybody,
        Address::Fhir(FhirBase::Tenant(name), _) | Address::Delegated(name, _) | Address::Auth(name, Auth::Token) => {
            Readers::Origins(name)
        }
        _ => Readers::Nobody,
    }
}

/// A visitor, as far as CORS looks at it.
pub struct Visitor {
    origin: Option<HeaderValue>,
    readers: Readers,
}

impl Visitor {
    /// Looks at a request.
    pub fn of(path: &str, headers: &HeaderMap) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none()).cloned();
        Self { origin, readers: readers(path) }
    }

    /// Says in an answer who may read it.
    pub fn admit(&self, app: &App, response: &mut Response) {
        let headers = response.headers_mut();
        // Where nothing is as well: what it depends on must not tell that something could be there.
        if !matches!(self.readers, Readers::Anybody) {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.may_read(app) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    /// As whom the visitor may read.
    fn may_read(&self, app: &App) -> Option<HeaderValue> {
        match &self.readers {
            Readers::Nobody => None,
            Readers::Anybody => Some(HeaderValue::from_static("*")),
            Readers::Origins(name) => self.origin.clone().filter(|origin| is_registered(app, name, origin)),
        }
    }
}

/// Compared to the byte. `null` is the origin of every sandboxed page, so it is nobody's.
fn is_registered(app: &App, name: &TenantName, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    origin != "null"
        && app.directory().is_ok_and(|directory| {
            directory.tenant(name).is_some_and(|tenant| directory.has_origin(&tenant.role, origin))
        })
}

/// The answer to a browser that asks what a page may send. It shows no credential and asks for nothing of anybody's, so
/// it leaves no record; what it may not send stands in no header.
pub fn preflight(app: &Arc<App>, path: &str, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let asks = headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if *method != Method::OPTIONS || headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let visitor = Visitor::of(path, headers);
    let sent = match &visitor.readers {
        // They were always answered to whoever asks, however.
        Readers::Anybody => "*",
        Readers::Origins(_) if asks => SENT,
        Readers::Origins(_) | Readers::Nobody => return None,
    };
    let mut response = respond::empty(StatusCode::NO_CONTENT);
    if visitor.may_read(app).is_some() {
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, allowed(path)),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, sent),
            (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Some(response)
}

/// The methods that an address has.
pub fn allowed(path: &str) -> &'static str {
    match router::address(path) {
        Address::Fhir(_, asked) => match fhir::asked(&asked, &Method::OPTIONS) {
            Err(Failure { kind: Kind::NotOffered(allow), .. }) => allow,
            _ => "",
        },
        Address::Delegated(_, asked) => match delegated::asked(&asked, &Method::OPTIONS) {
            Err(Failure { kind: Kind::NotOffered(allow), .. }) => allow,
            _ => "",
        },
        Address::Auth(_, Auth::Token) => "POST",
        Address::Jwks(_) | Address::Auth(_, Auth::Metadata) => "GET, HEAD",
        _ => "",
    }
}
