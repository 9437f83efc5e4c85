//! The endpoints that are no FHIR interactions, as one table: discovery, keys, health, documentation, operator.

use serde_json::{Map, Value, json};

use super::{add as add_operation, reference};

/// What an endpoint asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Anyone, on the public listener.
    Anyone,
    /// The operator's token, on the operator's listener.
    Operator,
    /// Anyone who reaches the operator's listener on loopback, else the operator's token.
    Scraper,
}

/// A media type and the schema of what it carries; no schema for text.
type Content = (&'static str, Option<Schema>);

/// A schema by name, one or a list of it.
#[derive(Clone, Copy, Debug)]
enum Schema {
    One(&'static str),
    List(&'static str),
}

/// One row.
struct Endpoint {
    caller: Caller,
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Option<Content>,
    status: &'static str,
    answer: Option<Content>,
    refusals: &'static [&'static str],
}

const JSON: &str = "application/json";

const fn public(
    method_and_path: (&'static str, &'static str),
    id: &'static str,
    summary: &'static str,
    answer: Option<Content>,
    refusals: &'static [&'static str],
) -> Endpoint {
    let (method, path) = method_and_path;
    Endpoint { caller: Caller::Anyone, method, path, id, summary, body: None, status: "200", answer, refusals }
}

const fn operator(
    method_and_path: (&'static str, &'static str),
    id: &'static str,
    summary: &'static str,
    (status, answer): (&'static str, Option<Content>),
    refusals: &'static [&'static str],
) -> Endpoint {
    let (method, path) = method_and_path;
    Endpoint { caller: Caller::Operator, method, path, id, summary, body: None, status, answer, refusals }
}

const TENANT: Option<Content> = Some((JSON, Some(Schema::One("Tenant"))));

const ENDPOINTS: [Endpoint; 17] = [
    public(
        ("GET", "/t/{tenant}/fhir/metadata"),
        "readCapabilities",
        "The CapabilityStatement",
        Some(("application/fhir+json", Some(Schema::One("CapabilityStatement")))),
        &["404"],
    ),
    public(
        ("GET", "/t/{tenant}/delegated/fhir/metadata"),
        "readDelegatedCapabilities",
        "The CapabilityStatement of the base over every tenant that granted this one access",
        Some(("application/fhir+json", Some(Schema::One("CapabilityStatement")))),
        &["404"],
    ),
    public(
        ("GET", "/t/{tenant}/fhir/.well-known/smart-configuration"),
        "readSmartConfiguration",
        "SMART discovery",
        Some((JSON, Some(Schema::One("SmartConfiguration")))),
        &["404"],
    ),
    public(
        ("GET", "/t/{tenant}/auth/jwks"),
        "readKeys",
        "The public keys of the tenant's own issuer",
        Some((JSON, Some(Schema::One("KeySet")))),
        &["404"],
    ),
    public(
        ("GET", "/fhir/metadata"),
        "ownReadCapabilities",
        "The CapabilityStatement of the common base",
        Some(("application/fhir+json", Some(Schema::One("CapabilityStatement")))),
        &[],
    ),
    public(("GET", "/openapi.json"), "readOpenApi", "This document", Some((JSON, None)), &[]),
    public(
        ("GET", "/openapi.plain.json"),
        "readPlainOpenApi",
        "This document with application/json alone",
        Some((JSON, None)),
        &[],
    ),
    public(("GET", "/docs"), "readDocs", "This document as a page", Some(("text/html", None)), &[]),
    public(("GET", "/healthz"), "isAlive", "Whether the process lives", Some((JSON, None)), &[]),
    public(
        ("GET", "/readyz"),
        "isReady",
        "Whether database, migrations and audit are ready",
        Some((JSON, None)),
        &["503"],
    ),
    operator(
        ("GET", "/operator/tenants"),
        "listTenants",
        "Every tenant",
        ("200", Some((JSON, Some(Schema::List("Tenant"))))),
        &["401"],
    ),
    Endpoint {
        body: Some((JSON, Some(Schema::One("NewTenant")))),
        ..operator(
            ("POST", "/operator/tenants"),
            "createTenant",
            "Create a tenant, with its issuer if it has one",
            ("201", TENANT),
            &["401", "409", "422", "501"],
        )
    },
    operator(
        ("POST", "/operator/tenants/{tenant}/suspend"),
        "suspendTenant",
        "Refuse every request to a tenant from now on",
        ("200", TENANT),
        &["401", "404", "501"],
    ),
    operator(
        ("POST", "/operator/tenants/{tenant}/resume"),
        "resumeTenant",
        "Serve a suspended tenant again",
        ("200", TENANT),
        &["401", "404", "501"],
    ),
    operator(
        ("DELETE", "/operator/tenants/{tenant}"),
        "deleteTenant",
        "Delete a tenant with all its data; `confirm` repeats its name",
        ("204", None),
        &["400", "401", "404", "501"],
    ),
    operator(
        ("GET", "/operator/migrations"),
        "listMigrations",
        "The migration state of every tenant",
        ("200", Some((JSON, Some(Schema::List("Migration"))))),
        &["401"],
    ),
    Endpoint {
        caller: Caller::Scraper,
        ..operator(
            ("GET", "/metrics"),
            "readMetrics",
            "Figures for Prometheus",
            ("200", Some(("text/plain", None))),
            &["401"],
        )
    },
];

/// Adds every endpoint of the table.
pub fn add(paths: &mut Map<String, Value>) {
    for endpoint in &ENDPOINTS {
        add_operation(paths, endpoint.path, endpoint.method, describe(endpoint));
        if endpoint.caller != Caller::Anyone
            && let Some(item) = paths.get_mut(endpoint.path)
        {
            item["servers"] = json!([{ "url": "http://127.0.0.1:8081", "description": "The operator's listener" }]);
        }
    }
}

fn describe(endpoint: &Endpoint) -> Value {
    let tag = match (endpoint.caller, endpoint.path) {
        (Caller::Anyone, "/healthz" | "/readyz") => "Health",
        (Caller::Anyone, _) => "Discovery",
        (Caller::Operator | Caller::Scraper, _) => "Operator",
    };
    let mut value = json!({
        "tags": [tag],
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "security": match endpoint.caller {
            Caller::Anyone => json!([]),
            Caller::Operator => json!([{ "operatorToken": [] }]),
            Caller::Scraper => json!([{}, { "operatorToken": [] }]),
        },
    });
    let mut parameters = Vec::new();
    if endpoint.path.contains("{tenant}") {
        parameters.push(reference("parameters", "tenant"));
    }
    if endpoint.method == "DELETE" {
        parameters.push(json!({ "name": "confirm", "in": "query", "required": true, "schema": { "type": "string" } }));
    }
    if !parameters.is_empty() {
        value["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = endpoint.body {
        value["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    let mut success = json!({ "description": "Done" });
    if let Some(answer) = endpoint.answer {
        success["content"] = content(answer);
    }
    let mut responses = Map::from_iter([(endpoint.status.to_owned(), success)]);
    for status in endpoint.refusals {
        responses.insert((*status).to_owned(), refusal(endpoint, status));
    }
    value["responses"] = Value::Object(responses);
    value
}

fn refusal(endpoint: &Endpoint, status: &str) -> Value {
    match (endpoint.caller, status) {
        (Caller::Anyone, "404") if endpoint.path.contains("/fhir/") => reference("responses", "NotFound"),
        (Caller::Anyone, "404") => json!({ "description": "No such tenant" }),
        (Caller::Anyone, _) => json!({ "description": "Not ready" }),
        _ => reference("responses", "Problem"),
    }
}

fn content((media, schema): Content) -> Value {
    let schema = match schema {
        Some(Schema::One(name)) => reference("schemas", name),
        Some(Schema::List(name)) => json!({ "type": "array", "items": reference("schemas", name) }),
        None if media == JSON => json!({ "type": "object", "additionalProperties": true }),
        None => json!({ "type": "string" }),
    };
    let mut content = json!({ media: { "schema": schema } });
    if media == "application/fhir+json" {
        content["application/fhir+xml"] = json!({ "schema": { "type": "string" } });
    }
    content
}
