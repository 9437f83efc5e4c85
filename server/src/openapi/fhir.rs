//! The FHIR operations of the document, from the catalog: each below a tenant's base and below the common one.

use serde_json::{Map, Value, json};
use vitals_fhir::{
    bundle::MOST_ENTRIES,
    catalog::{self, Code, Operation, ParameterKind},
    interaction::Letter,
    resource::ResourceType,
};

use super::{add as add_operation, reference, scopes};

/// A FHIR base: its path, what its operations' ids begin with, and what it is.
const BASES: [(&str, &str, &str); 2] = [
    ("/t/{tenant}/fhir", "", "At the base of the tenant in the path."),
    ("/fhir", "own", "At the common base; the tenant is the token's."),
];

/// Adds every operation of the catalog at every base.
pub fn add(paths: &mut Map<String, Value>) {
    for (base, prefix, place) in BASES {
        for operation in catalog::all() {
            let value = describe(operation, base, prefix, place);
            add_operation(paths, &template(base, operation), operation.method.name(), value);
        }
        add_operation(paths, base, "POST", describe_bundle(base, prefix, place));
    }
}

/// Batch and transaction: one address, and the Bundle's type says which.
fn describe_bundle(base: &str, prefix: &str, place: &str) -> Value {
    let kinds = catalog::SYSTEM.map(|row| format!("{}: {}.", row.code.code(), row.summary)).join(" ");
    let mut names = Vec::new();
    if base.contains("{tenant}") {
        names.push("tenant");
    }
    names.extend(["preferReturn", "format"]);
    let parameters: Vec<_> = names.into_iter().map(|name| reference("parameters", name)).collect();
    let mut responses = found(
        "200",
        json!({
            "description": "How each entry went, in the order they were sent; resources written are repeated under \
                `Prefer: return=representation`",
            "content": resource_content("Bundle"),
        }),
    );
    for (status, name) in [
        ("400", "BadRequest"),
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("404", "NotFound"),
        ("406", "NotAcceptable"),
        ("410", "Gone"),
        ("412", "PreconditionFailed"),
        ("413", "TooLarge"),
        ("415", "UnsupportedMediaType"),
        ("422", "Unprocessable"),
        ("503", "Unavailable"),
    ] {
        responses.insert(status.to_owned(), reference("responses", name));
    }
    json!({
        "tags": ["Bundle"],
        "operationId": if prefix.is_empty() { "postBundle".to_owned() } else { format!("{prefix}PostBundle") },
        "summary": "Do what the entries of a batch or transaction ask for",
        "description": format!("{place} {kinds} At most {} entries; each needs the scopes it would need alone.", MOST_ENTRIES),
        "security": [{ "accessToken": [] }],
        "parameters": parameters,
        "requestBody": { "required": true, "content": resource_content("Bundle") },
        "responses": responses,
    })
}

fn template(base: &str, operation: &Operation) -> String {
    format!("{base}/{}", operation.path.replace(":id", "{id}").replace(":vid", "{vid}"))
}

fn describe(operation: &Operation, base: &str, prefix: &str, place: &str) -> Value {
    let scopes = scopes::sufficient(operation.resource, operation.letter, operation.also);
    let mut value = json!({
        "tags": [operation.resource.name()],
        "operationId": operation_id(operation, prefix),
        "summary": operation.summary,
        "description": format!("{place} One of these scopes is enough: {}.", scopes.join(", ")),
        "security": [{ "accessToken": [] }],
        "x-scopes": scopes,
        "parameters": parameters(operation, base),
    });
    match operation.code {
        Code::Create | Code::Update | Code::ConditionalUpdate | Code::Validate | Code::ValidateInstance => {
            value["requestBody"] = json!({ "required": true, "content": resource_content(operation.resource.name()) });
        }
        Code::SearchTypePost => {
            let properties: Map<_, _> = catalog::parameters(operation.resource)
                .iter()
                .map(|parameter| (parameter.name.to_owned(), parameter_schema(parameter)))
                .collect();
            value["requestBody"] = json!({ "required": true, "content": {
                "application/x-www-form-urlencoded": { "schema": { "type": "object", "properties": properties } },
            } });
        }
        _ => {}
    }
    value["responses"] = responses(operation);
    value
}

fn operation_id(operation: &Operation, prefix: &str) -> String {
    let verb = match operation.code {
        Code::Read => "read",
        Code::Vread => "vread",
        Code::HistoryInstance => "historyOf",
        Code::SearchType => "search",
        Code::SearchTypePost => "searchByForm",
        Code::SearchCompartment => "searchInPatient",
        Code::HistoryType => "historyOfAll",
        Code::Create => "create",
        Code::Update => "update",
        Code::Delete => "delete",
        Code::ConditionalUpdate => "updateMatching",
        Code::ConditionalDelete => "deleteMatching",
        Code::Validate => "validate",
        Code::ValidateInstance => "validateUpdateOf",
    };
    if prefix.is_empty() {
        return format!("{verb}{}", operation.resource);
    }
    let (first, rest) = verb.split_at(1);
    format!("{prefix}{}{rest}{}", first.to_ascii_uppercase(), operation.resource)
}

fn parameters(operation: &Operation, base: &str) -> Vec<Value> {
    let mut names = Vec::new();
    if base.contains("{tenant}") {
        names.push("tenant");
    }
    if operation.path.contains(":id") {
        names.push("id");
    }
    if operation.path.contains(":vid") {
        names.push("vid");
    }
    match operation.code {
        Code::HistoryInstance | Code::HistoryType => names.extend(["count", "page"]),
        Code::SearchType | Code::SearchCompartment => names.extend(["page", "preferHandling"]),
        Code::SearchTypePost => names.push("preferHandling"),
        Code::Create => names.extend(["ifNoneExist", "preferReturn"]),
        Code::Update | Code::ConditionalUpdate => names.extend(["ifMatch", "preferReturn"]),
        Code::Delete | Code::ConditionalDelete => names.push("ifMatch"),
        Code::Read => names.extend(["ifNoneMatch", "ifModifiedSince"]),
        Code::Vread | Code::Validate | Code::ValidateInstance => {}
    }
    let mut parameters: Vec<_> = names.into_iter().map(|name| reference("parameters", name)).collect();
    let conditional = operation.also == Some(Letter::Search);
    if matches!(operation.code, Code::SearchType | Code::SearchCompartment) || conditional {
        let known = catalog::parameters(operation.resource).iter();
        let known = known.filter(|parameter| !conditional || parameter.kind != ParameterKind::Result);
        parameters.extend(known.map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "description": parameter.documentation,
                "schema": parameter_schema(parameter),
            })
        }));
    }
    parameters.push(reference("parameters", "format"));
    parameters
}

fn parameter_schema(parameter: &catalog::Parameter) -> Value {
    match (parameter.name, parameter.kind) {
        ("_count", _) => json!({ "type": "integer", "minimum": 0, "maximum": 1000, "default": 50 }),
        ("_total", _) => json!({ "type": "string", "enum": ["none", "estimate", "accurate"] }),
        ("_summary", _) => json!({ "type": "string", "enum": ["count", "false"] }),
        // Two of them make a period: `date=ge2026-01-01&date=lt2026-02-01`.
        (_, ParameterKind::Date | ParameterKind::Quantity | ParameterKind::Composite) => {
            json!({ "type": "array", "items": { "type": "string" } })
        }
        _ => json!({ "type": "string" }),
    }
}

fn resource_content(name: &str) -> Value {
    json!({
        "application/fhir+json": { "schema": reference("schemas", name) },
        "application/fhir+xml": { "schema": { "type": "string" } },
    })
}

fn responses(operation: &Operation) -> Value {
    let name = operation.resource.name();
    let one = |description: &str| {
        json!({
            "description": description,
            "headers": { "ETag": reference("headers", "ETag"), "Last-Modified": reference("headers", "Last-Modified") },
            "content": resource_content(name),
        })
    };
    let list = |description: &str| json!({ "description": description, "content": resource_content("Bundle") });
    let created = || {
        let mut created = one("Created; `Prefer: return` decides what comes back");
        created["headers"]["Location"] = reference("headers", "Location");
        created
    };
    let writes = [("413", "TooLarge"), ("415", "UnsupportedMediaType"), ("422", "Unprocessable")].as_slice();
    let (mut responses, more): (Map<_, _>, &[(&str, &str)]) = match operation.code {
        Code::Read => {
            let mut both = found("200", one("The current version"));
            both.insert("304".to_owned(), json!({ "description": "The caller has the current version already" }));
            (both, &[("404", "NotFound"), ("410", "Gone")])
        }
        Code::Vread => (found("200", one("That version")), &[("404", "NotFound"), ("410", "Gone")]),
        Code::HistoryInstance => {
            (found("200", list("The versions, newest first")), &[("400", "BadRequest"), ("404", "NotFound")])
        }
        Code::HistoryType => {
            (found("200", list("The versions, the last written first")), &[("400", "BadRequest"), ("404", "NotFound")])
        }
        Code::SearchType | Code::SearchCompartment => {
            (found("200", list("A page of what was found")), &[("400", "BadRequest"), ("404", "NotFound")])
        }
        Code::SearchTypePost => {
            (found("200", list("A page of what was found")), &[("400", "BadRequest"), ("415", "UnsupportedMediaType")])
        }
        Code::Create => {
            let mut both = found("201", created());
            both.insert("200".to_owned(), one("What met `If-None-Exist`; nothing was created"));
            (both, &[("400", "BadRequest"), ("412", "PreconditionFailed")])
        }
        Code::Update | Code::ConditionalUpdate => {
            let mut both = found("200", one("Updated; `Prefer: return` decides what comes back"));
            both.insert("201".to_owned(), created());
            (both, &[("400", "BadRequest"), ("404", "NotFound"), ("412", "PreconditionFailed")])
        }
        Code::Validate | Code::ValidateInstance => {
            let mut outcome = list("What stands against it; `informational` alone where nothing does");
            outcome["content"] = resource_content("OperationOutcome");
            let more: &[_] = if operation.code == Code::Validate {
                &[("400", "BadRequest"), ("413", "TooLarge"), ("415", "UnsupportedMediaType")]
            } else {
                &[
                    ("400", "BadRequest"),
                    ("404", "NotFound"),
                    ("410", "Gone"),
                    ("413", "TooLarge"),
                    ("415", "UnsupportedMediaType"),
                ]
            };
            (found("200", outcome), more)
        }
        Code::Delete => (
            found("204", json!({ "description": "Deleted, now or before" })),
            &[("404", "NotFound"), ("412", "PreconditionFailed")],
        ),
        Code::ConditionalDelete => (
            found("204", json!({ "description": "Nothing meets the criteria, now or before" })),
            &[("400", "BadRequest"), ("404", "NotFound"), ("412", "PreconditionFailed")],
        ),
    };
    let has_body = matches!(operation.code, Code::Create | Code::Update | Code::ConditionalUpdate);
    let always = [("401", "Unauthorized"), ("403", "Forbidden"), ("406", "NotAcceptable"), ("503", "Unavailable")];
    for (status, name) in more.iter().chain(if has_body { writes } else { &[] }).chain(&always) {
        responses.insert((*status).to_owned(), reference("responses", name));
    }
    let mut sorted: Vec<_> = responses.into_iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(sorted.into_iter().collect())
}

fn found(status: &str, response: Value) -> Map<String, Value> {
    Map::from_iter([(status.to_owned(), response)])
}

/// The types a Bundle's entries can have here.
pub fn entry_types() -> Vec<Value> {
    ResourceType::ALL
        .into_iter()
        .map(ResourceType::name)
        .chain(["OperationOutcome"])
        .map(|name| reference("schemas", name))
        .collect()
}
