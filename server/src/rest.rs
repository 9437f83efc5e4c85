//! The public listener: addresses, credentials, the FHIR endpoints and their answers. poem lives here.
//!
//! Every request runs in a task of its own: a client that goes away cancels nothing half way, and a panic ends one
//! request. The answer leaves when its audit record is written.

mod audit_event;
mod bundle;
mod caller;
pub(crate) mod cors;
pub(crate) mod credentials;
mod delegated;
pub mod discovery;
mod fhir;
pub(crate) mod limits;
mod list;
pub mod metadata;
mod negotiate;
mod operation;
pub(crate) mod page;
mod peer;
mod public;
pub(crate) mod request;
pub mod respond;
mod room;
pub(crate) mod router;
mod system;
pub(crate) mod trail;

use std::{sync::Arc, time::Instant};

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, header},
};
use tracing::Instrument as _;
use vitals_fhir::outcome::IssueCode;

pub(crate) use self::negotiate::Format;
use self::peer::Peer;
pub(crate) use self::request::Incoming;
use self::room::Room;
pub use self::router::route;
pub(crate) use self::trail::panicked;
pub(crate) use self::{caller::caller, public::answer, router::FhirBase};
use crate::{
    failure::{Failure, Kind},
    listen::Malformed,
    state::App,
    telemetry::{
        TraceContext,
        metrics::{Answered, method_label},
    },
};

/// The `Content-Security-Policy` of what is no page.
const NOTHING_RUNS: &str = "default-src 'none'; frame-ancestors 'none'";

/// Headers that ask for another method than the request line.
const OVERRIDES: [&str; 4] = ["x-http-method-override", "x-http-method", "x-method-override", "_method"];

/// An answer, and what its metric is labelled with.
pub(crate) struct Labelled {
    pub(crate) response: Response,
    pub(crate) route: Option<&'static str>,
    pub(crate) interaction: Option<&'static str>,
}

type Answering = std::pin::Pin<Box<dyn Future<Output = Labelled> + Send>>;

/// What both listeners do around an answer: request id, trace, its own task, metrics and common headers. A request that
/// no origin server may answer is refused here, whoever would have answered it.
pub(crate) async fn guarded(
    app: Arc<App>,
    request: Request,
    answer: impl FnOnce(Arc<App>, Incoming) -> Answering,
) -> Response {
    let began = Instant::now();
    let request_id = uuid::Uuid::new_v4().to_string();
    let (incoming, malformed) = incoming(&app, request, request_id.clone());
    let method = incoming.method.clone();
    let proves = credentials::uses_proof(&incoming.headers);
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        request.id = %request_id,
        http.request.method = method_label(method.as_str()),
        http.response.status_code = tracing::field::Empty,
        http.route = tracing::field::Empty,
        tenant.id = tracing::field::Empty,
        fhir.interaction = tracing::field::Empty,
        fhir.resource_type = tracing::field::Empty,
        duration_ms = tracing::field::Empty,
    );
    let parent = incoming.headers.get("traceparent").and_then(|value| value.to_str().ok());
    let trace = TraceContext::enter(&span, parent);
    let whence = incoming.whence();
    let in_flight = app.in_flight();
    let answering: Answering = span.in_scope(|| match malformed {
        None => answer(Arc::clone(&app), incoming),
        Some(malformed) => {
            let app = Arc::clone(&app);
            Box::pin(async move { public::malformed(&app, &incoming, malformed).await })
        }
    });
    let work = {
        let (app, span) = (Arc::clone(&app), span.clone());
        async move {
            let labelled = answering.await;
            let status = labelled.response.status().as_u16();
            let seconds = began.elapsed().as_secs_f64();
            span.record("http.response.status_code", status);
            span.record("duration_ms", seconds * 1000.0);
            if let Some(route) = labelled.route {
                span.record("http.route", route);
            }
            app.metrics.answered(&Answered {
                method: method_label(method.as_str()),
                status,
                route: labelled.route,
                interaction: labelled.interaction,
                seconds,
            });
            tracing::info!(http.response.status_code = status, duration_ms = seconds * 1000.0, "answered");
            drop(in_flight);
            labelled.response
        }
    };
    let mut response = match tokio::spawn(work.instrument(span)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(request.id = %request_id, panicked = error.is_panic(), "a request ended in a panic");
            let failure = Failure::new(
                Kind::Internal,
                IssueCode::Exception,
                "panic",
                "The server failed to do this. The request id names the entry in its log.",
            );
            let recorded = trail::panicked(&app, &whence).await;
            respond::failure(&recorded.err().unwrap_or(failure), Format::Json)
        }
    };
    if proves {
        credentials::offer_nonce(&app, &mut response);
    }
    let headers = response.headers_mut();
    for (name, value) in [("x-request-id", request_id), ("traceparent", trace.to_string())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // Whatever a browser is made to open here is data: nothing in it runs, is framed, or tells where it came from. The
    // page for people brings a policy of its own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING_RUNS));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    response
}

/// The parts of a request, and what is wrong with it.
fn incoming(app: &App, request: Request, request_id: String) -> (Incoming, Option<Malformed>) {
    let mut malformed = request.extensions().get::<Malformed>().copied();
    let direct = Peer {
        address: request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip),
        certificate: request.extensions().get().cloned(),
    };
    let (mut parts, body) = request.into_parts();
    let address = direct.address;
    let peer = peer::of(app, &mut parts.headers, direct).unwrap_or_else(|peer::Unbelievable| {
        malformed = malformed.or(Some(Malformed::Certificate));
        Peer { address, certificate: None }
    });
    if overrides(&parts.method, &parts.headers) {
        malformed = malformed.or(Some(Malformed::Override));
    }
    let incoming = Incoming {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        address: peer.address,
        certificate: peer.certificate,
        request_id,
        limits: None,
        room: Room::of(&app.bodies),
    };
    (incoming, malformed)
}

/// Whether a header asks for another method than the request line. Nothing here obeys one; whatever stands before us may
/// have let the request through for the method it saw, or for the one it read here.
fn overrides(method: &Method, headers: &HeaderMap) -> bool {
    let named = OVERRIDES.iter().flat_map(|name| headers.get_all(*name));
    named.into_iter().any(|named| !named.as_bytes().eq_ignore_ascii_case(method.as_str().as_bytes()))
}

/// Whether a method only reads.
pub(crate) fn reads(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}
