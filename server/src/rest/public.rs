//! Answers of the public listener: documents that anybody may read, and the FHIR endpoints behind the token gate.

use std::sync::Arc;

use poem::{
    Body, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use vitals_access::tenant::TenantName;
use vitals_fhir::{catalog, outcome::IssueCode, search};

use super::{
    Labelled, audit_event,
    caller::fhir_caller,
    cors, delegated,
    discovery::{self, AuthEndpoints},
    fhir, limits,
    metadata::{self, Offers},
    negotiate::{self, Format},
    reads,
    request::{Incoming, MAX_ADDRESS},
    respond,
    router::{self, Address, Fhir, FhirBase},
    system, trail,
};
use crate::{
    failure::{Failure, Kind},
    interaction::{Exchange, Note},
    listen::Malformed,
    state::App,
};

/// Answers a request.
pub async fn answer(app: Arc<App>, incoming: Incoming) -> Labelled {
    let path = incoming.path.clone();
    let (route, response) = match router::address(&path) {
        Address::Fhir(base, Fhir::Metadata) => {
            ("/t/{tenant}/fhir/metadata", document(&app, &incoming, &base, Written::Fhir(capability)).await)
        }
        Address::Fhir(base @ FhirBase::Tenant(_), Fhir::SmartConfiguration) => (
            "/t/{tenant}/fhir/.well-known/smart-configuration",
            document(&app, &incoming, &base, Written::Json(smart_configuration)).await,
        ),
        Address::Fhir(base, address) => return endpoint(&app, incoming, &base, &address).await,
        Address::Delegated(name, Fhir::Metadata) => (
            "/t/{tenant}/delegated/fhir/metadata",
            document(&app, &incoming, &FhirBase::Delegated(name), Written::Fhir(capability)).await,
        ),
        Address::Delegated(name, address) => return delegated::answer(&app, incoming, name, &address).await,
        Address::Jwks(name) => {
            ("/t/{tenant}/auth/jwks", document(&app, &incoming, &FhirBase::Tenant(name), Written::Json(jwks)).await)
        }
        Address::Healthz => ("/healthz", respond::json(StatusCode::OK, r#"{"status":"ok"}"#.to_owned())),
        Address::Readyz => ("/readyz", readiness(&app)),
        Address::OpenApi => ("/openapi.json", plain(&incoming, "application/json", &app.documents.openapi)),
        Address::OpenApiPlain => {
            ("/openapi.plain.json", plain(&incoming, "application/json", &app.documents.openapi_plain))
        }
        Address::Docs => ("/docs", docs(&app, &incoming)),
        Address::Auth(..) | Address::Admin(..) | Address::Nothing => {
            return Labelled { response: nothing(&app, &incoming).await, route: None, interaction: None };
        }
    };
    Labelled { response, route: Some(route), interaction: None }
}

/// Nothing is here; who shows a credential all the same leaves a record.
async fn nothing(app: &App, incoming: &Incoming) -> Response {
    let name = incoming.path.strip_prefix("/t/").and_then(|rest| rest.split('/').next()?.parse().ok());
    let base = name.map_or(FhirBase::Global, FhirBase::Tenant);
    refused(app, incoming, &base, Failure::no_such_address()).await
}

/// Refuses a request that is not for an origin server. It leaves a record where it would have left one otherwise.
pub async fn malformed(app: &App, incoming: &Incoming, malformed: Malformed) -> Labelled {
    let failure = match malformed {
        Malformed::Tunnel => Failure::new(
            Kind::NotOffered("GET, HEAD, POST, PUT, DELETE"),
            IssueCode::NotSupported,
            "not a proxy",
            "This is not a proxy.",
        ),
        Malformed::WholeUrl => Failure::new(
            Kind::Malformed,
            IssueCode::Invalid,
            "whole URL in the request line",
            "The request line must hold a path, not a whole URL.",
        ),
        Malformed::Host => {
            Failure::new(Kind::Malformed, IssueCode::Invalid, "not one host", "There must be one Host header.")
        }
        Malformed::Certificate => Failure::new(
            Kind::Malformed,
            IssueCode::Invalid,
            "client certificate not believed",
            "What the proxy says of the client's certificate cannot be used: it must come in one form, once and whole, \
             and the certificate must be valid now.",
        ),
        Malformed::Override => Failure::new(
            Kind::NotOffered(match cors::allowed(&incoming.path) {
                "" => "GET, HEAD, POST, PUT, DELETE",
                allow => allow,
            }),
            IssueCode::NotSupported,
            "method override",
            "A header of the request asks for another method than its first line; only that one is heard.",
        ),
        Malformed::Framing => Failure::new(
            Kind::Malformed,
            IssueCode::Invalid,
            "ambiguous end",
            "The lines of a request must end in CR LF, and its head must say once how long its body is: by one \
             Content-Length, or by Transfer-Encoding: chunked.",
        ),
    };
    let base = trail::base_of(&incoming.path);
    let private = match router::address(&incoming.path) {
        Address::Fhir(_, asked) => !matches!(asked, Fhir::Metadata | Fhir::SmartConfiguration),
        Address::Delegated(_, asked) => asked != Fhir::Metadata,
        Address::Auth(_, asked) => !asked.is_document(),
        Address::Admin(..) => true,
        _ => false,
    };
    let response =
        if private { noted(app, incoming, &base, failure).await } else { refused(app, incoming, &base, failure).await };
    Labelled { response, route: None, interaction: None }
}

/// A refusal before anybody asks who the caller is; who shows a credential leaves a record.
pub(super) async fn refused(app: &App, incoming: &Incoming, base: &FhirBase, failure: Failure) -> Response {
    if incoming.headers.contains_key(header::AUTHORIZATION) {
        return noted(app, incoming, base, failure).await;
    }
    respond::failure(&failure, Format::Json)
}

/// A refusal that leaves a record.
async fn noted(app: &App, incoming: &Incoming, base: &FhirBase, failure: Failure) -> Response {
    let mut record = trail::begin(app, incoming, base);
    trail::ended(&mut record, Err(&failure));
    let left = trail::leave(app, record, None).await;
    respond::failure(&left.err().unwrap_or(failure), Format::Json)
}

fn nowhere() -> Response {
    respond::failure(&Failure::no_such_address(), Format::Json)
}

fn not_allowed() -> Failure {
    Failure::new(
        Kind::NotOffered("GET, HEAD"),
        IssueCode::NotSupported,
        "not offered",
        "This document can only be read.",
    )
}

fn plain(incoming: &Incoming, content_type: &'static str, text: &str) -> Response {
    if !reads(&incoming.method) {
        return respond::failure(&not_allowed(), Format::Json);
    }
    let mut response = Response::builder().status(StatusCode::OK).body(Body::from_string(text.to_owned()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

fn docs(app: &App, incoming: &Incoming) -> Response {
    let mut response = plain(incoming, "text/html; charset=utf-8", &app.documents.docs);
    let policy = HeaderValue::from_static(app.documents.docs_policy);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn readiness(app: &App) -> Response {
    let report = app.readiness();
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond::json(status, report.to_json())
}

/// How a document of a base is written.
#[derive(Clone, Copy)]
enum Written {
    /// As FHIR, in the representation asked for.
    Fhir(fn(&App, &FhirBase, Format) -> Response),
    /// As JSON, whatever is asked for: these documents have no other form.
    Json(fn(&App, &FhirBase) -> Response),
}

/// A public document of a base: nobody asks who reads it, but the tenant must exist.
async fn document(app: &App, incoming: &Incoming, base: &FhirBase, written: Written) -> Response {
    let made = async {
        limits::count_address(app, incoming)?;
        if !reads(&incoming.method) {
            return Err(not_allowed());
        }
        let pairs = search::form_pairs(&incoming.query).map_err(Failure::malformed)?;
        let format = match written {
            Written::Fhir(_) => accepted(incoming, &pairs)?,
            Written::Json(_) => Format::Json,
        };
        if let Some(name) = base.tenant() {
            known(app, name).await?;
        }
        Ok(match written {
            Written::Fhir(write) => write(app, base, format),
            Written::Json(write) => write(app, base),
        })
    };
    let made = made.await;
    // Nobody asks who reads it; a request that shows a credential all the same leaves its record.
    let is_flood = made.as_ref().is_err_and(trail::is_flood);
    if is_flood || incoming.headers.contains_key(header::AUTHORIZATION) {
        let mut record = trail::begin(app, incoming, base);
        "document".clone_into(&mut record.action);
        trail::ended(&mut record, made.as_ref().map(|response| response.status().as_u16()));
        if let Err(failure) = trail::leave(app, record, None).await {
            return respond::failure(&failure, Format::Json);
        }
    }
    made.unwrap_or_else(|failure| respond::failure(&failure, Format::Json))
}

/// Whether there is a tenant of this name; a command may have made it a moment ago.
pub(super) async fn known(app: &App, name: &TenantName) -> Result<(), Failure> {
    let stale = |_| Failure::unavailable("directory stale");
    if app.directory().map_err(stale)?.tenant(name).is_some()
        || app.feed.refresh().await.map_err(stale)?.tenant(name).is_some()
    {
        return Ok(());
    }
    Err(Failure::no_such_address())
}

fn capability(app: &App, base: &FhirBase, format: Format) -> Response {
    let url = format!("{}{}", app.public_url, base.path());
    let endpoints = base.tenant().map_or_else(AuthEndpoints::default, |name| auth_endpoints(app, name));
    let offers = if matches!(base, FhirBase::Delegated(_)) { Offers::Delegated } else { Offers::Everything };
    let text = metadata::capability_statement(&url, &endpoints, offers, &app.started, env!("CARGO_PKG_VERSION"));
    respond::fhir(StatusCode::OK, format, text)
}

fn smart_configuration(app: &App, base: &FhirBase) -> Response {
    let FhirBase::Tenant(name) = base else { return nowhere() };
    respond::json(StatusCode::OK, discovery::smart_configuration(&auth_endpoints(app, name)))
}

/// What answers of a tenant's authorization server.
fn auth_endpoints(app: &App, name: &TenantName) -> AuthEndpoints {
    let tenant = app.directory().ok().and_then(|directory| directory.tenant(name).cloned());
    let base = format!("{}/t/{name}/auth", app.public_url);
    tenant.map_or_else(AuthEndpoints::default, |tenant| AuthEndpoints::of(&base, &tenant.settings))
}

fn jwks(app: &App, base: &FhirBase) -> Response {
    let FhirBase::Tenant(name) = base else { return nowhere() };
    match app.directory().ok().and_then(|directory| app.own_jwks(&directory, name)) {
        Some(jwks) => respond::json(StatusCode::OK, jwks),
        None => nowhere(),
    }
}

/// A FHIR endpoint: everything behind it needs a verified caller, and leaves an audit record.
async fn endpoint(app: &Arc<App>, mut incoming: Incoming, base: &FhirBase, address: &Fhir<'_>) -> Labelled {
    let method = incoming.method.clone();
    let is_bundle = *address == Fhir::System && method == Method::POST;
    let asked = fhir::asked(address, &method);
    let operation = asked.as_ref().ok().map(|asked| asked.operation);
    let wanted = audit_event::wanted(address, &method);
    let mut record = trail::begin(app, &incoming, base);
    trail::names(&mut record, address);
    if let Some(wanted) = &wanted {
        audit_event::asks(&mut record, wanted);
    }
    if let Some(operation) = operation {
        trail::asks(&mut record, operation);
        let span = tracing::Span::current();
        span.record("fhir.interaction", operation.code.fhir());
        span.record("fhir.resource_type", operation.resource.name());
    }
    let pairs = search::form_pairs(&incoming.query);
    let accepted = accepted(&incoming, pairs.as_deref().unwrap_or_default());
    // A failure before the caller is known is told in that representation too.
    let mut format = *accepted.as_ref().unwrap_or(&Format::Json);
    let mut settling = None;
    let mut shown = None;
    let outcome = async {
        if incoming.path.len() + incoming.query.len() > MAX_ADDRESS {
            return Err(address_too_long());
        }
        let access = fhir_caller(app, &incoming, pairs.as_deref().unwrap_or_default(), base, &mut record).await?;
        let access = match operation {
            Some(operation) if access.grant().is_some() => {
                Arc::new(access.asking(operation.resource, operation.letter))
            }
            _ => access,
        };
        tracing::Span::current().record("tenant.id", access.tenant().name.as_str());
        trail::by(&mut record, &access, operation);
        let costs = app.limiter.costs();
        let charge = match operation {
            _ if is_bundle => costs.bundle(),
            Some(operation) => costs.interaction(operation.code, pairs.as_deref().unwrap_or_default()),
            None => costs.operation(""),
        };
        limits::admit(app, &access, charge, &mut shown).await?;
        let query = pairs.map_err(Failure::malformed)?;
        accepted?;
        let asked = if is_bundle || wanted.is_some() { None } else { Some(asked?) };
        let mut request = fhir::Request { app, incoming: take(&mut incoming), base, query, format };
        let mut cx = Exchange {
            access: &access,
            pool: &app.pool,
            clock: &app.clock,
            audit: &app.audit,
            record: record.clone(),
            note: Note::default(),
            turn: None,
            settling: false,
            boxed: false,
        };
        let answered = match (wanted, asked) {
            (Some(wanted), _) => audit_event::run(&mut cx, &mut request, wanted).await,
            (None, Some(asked)) => fhir::run(&mut cx, &mut request, asked).await,
            (None, None) => system::run(&mut cx, &mut request).await,
        };
        // A form may have asked for another one.
        format = request.format;
        if answered.is_err() {
            // What was found and not told was not disclosed.
            cx.note.patients.clear();
            cx.note.count = None;
        }
        cx.note.fill(&mut cx.record);
        settling = cx.settling.then(|| access.tenant().role.clone());
        record = cx.record;
        answered
    }
    .await;
    let interaction = catalog::SYSTEM.iter().map(|row| row.code.code()).find(|code| *code == record.action);
    trail::ended(&mut record, outcome.as_ref().map(|response| response.status().as_u16()));
    let left = trail::leave(app, record, settling.as_ref()).await;
    let mut response = match (left, outcome) {
        (Ok(()), Ok(response)) => response,
        // The write stands, and its record with it: only that nobody could wait for the record to be moved on.
        (Err(_), Ok(_)) if settling.is_some() => {
            respond::failure(&Failure::outcome_unknown("audit store away"), format)
        }
        (Ok(()), Err(failure)) | (Err(failure), _) => respond::failure(&failure, format),
    };
    limits::tell(&mut response, shown.as_ref());
    if is_bundle {
        return Labelled { response, route: Some("/t/{tenant}/fhir"), interaction };
    }
    if let Some(wanted) = wanted {
        return Labelled { response, route: Some(wanted.row.route), interaction: Some(wanted.row.code.fhir()) };
    }
    Labelled {
        response,
        route: operation.map(router::route),
        interaction: operation.map(|operation| operation.code.fhir()),
    }
}

/// An address that nobody reads to its end.
pub(super) fn address_too_long() -> Failure {
    Failure::new(
        Kind::TooLong,
        IssueCode::TooLong,
        "address too long",
        "The address is longer than 16 kB: send a search as a form to _search.",
    )
}

/// The representation that the caller takes, by `_format` or `Accept`.
pub(super) fn accepted(incoming: &Incoming, pairs: &[(String, String)]) -> Result<Format, Failure> {
    let format = pairs.iter().find(|(name, _)| name == "_format").map(|(_, value)| value.as_str());
    negotiate::answer_format(&incoming.headers, format)
}

/// The parts of the request that the interaction needs; what stays behind is not used again.
fn take(incoming: &mut Incoming) -> Incoming {
    Incoming {
        method: incoming.method.clone(),
        path: std::mem::take(&mut incoming.path),
        query: std::mem::take(&mut incoming.query),
        headers: std::mem::take(&mut incoming.headers),
        body: std::mem::replace(&mut incoming.body, Body::empty()),
        address: incoming.address,
        certificate: incoming.certificate.clone(),
        request_id: incoming.request_id.clone(),
        limits: None,
        room: incoming.room.take(),
    }
}
