//! The OpenAPI document (3.0.3) of everything that answers, made from the catalog of FHIR interactions and one table
//! of the other endpoints.
//!
//! It is built with serde_json, not with poem-openapi's registry: that registry holds `&'static str` throughout,
//! while paths, scopes and operation ids are composed from the catalog here; it has no place for response
//! components, extension fields (`x-scopes`) or servers of a single path (the operator's listener); and the plain
//! copy is then one walk over the same value. FHIR routes could not use its macros in any case. An API described by
//! its macros can be merged in path by path, as its `spec()` is JSON of the same shape.
//!
//! Schemas of FHIR's types are made from the tables that bodies are checked with (`types`), examples are files that the
//! tests send, and what several operations share stands in the components once.

mod access;
mod audit;
mod components;
mod delegated;
mod docs;
mod endpoints;
mod examples;
mod fhir;
mod parameters;
mod schemas;
mod scopes;
#[cfg(test)]
mod tests;
mod types;

use serde_json::{Map, Value, json};

pub use docs::{DOCS_POLICY, docs_page};

/// Media types that say the same as `application/json` to a client that knows no other.
const JSON_TYPES: [&str; 2] = ["application/fhir+json", "application/problem+json"];

/// What holds for every operation.
const DESCRIPTION: &str = "A FHIR R4 (4.0.1) server for the vital signs of many tenants, read and written through SMART \
    App Launch 2.2 scopes: each operation lists in `x-scopes` those of which one is enough, and a wider one does as \
    well. Vital signs follow R4's profiles: LOINC codes and UCUM units, as the schema Observation lists. Under a FHIR \
    base every refusal is an OperationOutcome that says what is wrong and where (`issue.expression`). Answers are \
    application/fhir+json, or application/fhir+xml by `Accept` or `_format`; application/json is taken and asked for \
    as FHIR JSON. Every answer carries `X-Request-Id`.";

/// The document as pretty JSON, the same text on every call.
pub fn document() -> String {
    pretty(&build())
}

/// The document for client generators that know `application/json` only: FHIR's media types become that one, XML
/// goes with `_format` that asks for it, and so do the few operations that cannot be said in JSON (form search, the
/// page for people, metrics).
pub fn plain_document() -> String {
    let mut document = build();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        for item in paths.values_mut().filter_map(Value::as_object_mut) {
            item.retain(|_, operation| plain_operation(operation));
        }
        paths.retain(|_, item| item.as_object().is_some_and(|item| item.keys().any(|key| is_method(key))));
    }
    if let Some(Value::Object(responses)) = document.pointer_mut("/components/responses") {
        for response in responses.values_mut() {
            plain_content(response);
        }
    }
    if let Some(Value::Object(parameters)) = document.pointer_mut("/components/parameters") {
        parameters.remove("format");
    }
    pretty(&document)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}")
}

fn is_method(key: &str) -> bool {
    matches!(key, "get" | "post" | "put" | "delete")
}

/// Makes one operation plain; false when it cannot be.
fn plain_operation(operation: &mut Value) -> bool {
    let Some(operation) = operation.as_object_mut() else { return true };
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        let format = reference("parameters", "format");
        parameters.retain(|parameter| *parameter != format);
    }
    if operation.get_mut("requestBody").is_some_and(|body| !plain_content(body)) {
        return false;
    }
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    responses.is_none_or(|responses| responses.values_mut().all(plain_content))
}

/// Leaves `application/json` alone in a content object; false when nothing is left.
fn plain_content(holder: &mut Value) -> bool {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return true };
    let kept = ["application/json"].into_iter().chain(JSON_TYPES).find_map(|media| content.remove(media));
    content.clear();
    let found = kept.is_some();
    content.extend(kept.map(|schema| ("application/json".to_owned(), schema)));
    found
}

fn build() -> Value {
    let mut paths = Map::new();
    fhir::add(&mut paths);
    endpoints::add(&mut paths);
    access::add(&mut paths);
    audit::add(&mut paths);
    delegated::add(&mut paths);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Vitals",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "servers": [{ "url": "/", "description": "The public listener" }],
        "tags": [
            { "name": "Patient", "description": "https://hl7.org/fhir/R4/patient.html" },
            { "name": "Observation", "description": "https://hl7.org/fhir/R4/observation.html" },
            { "name": "AuditEvent", "description": "https://hl7.org/fhir/R4/auditevent.html" },
            { "name": "Bundle", "description": "https://hl7.org/fhir/R4/bundle.html" },
            {
                "name": "Delegated",
                "description": "Over every tenant that granted this one access; each entry names its tenant",
            },
            { "name": "Discovery", "description": "What is offered, for anyone to read" },
            { "name": "Authorization", "description": "Each tenant's own authorization server: SMART App Launch 2.2" },
            { "name": "Administration", "description": "Each tenant's own administration, with the scope admin:users" },
            { "name": "Health", "description": "For probes" },
            { "name": "Operator", "description": "Tenants and migrations, on the operator's own listener" },
        ],
        "paths": paths,
        "components": components::components(),
    })
}

/// Adds an operation to a path.
fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.insert(method.to_ascii_lowercase(), operation);
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
