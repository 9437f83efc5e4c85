//! The FHIR operations of the document, from the catalog: each below a tenant's base and below the common one.

use serde_json::{Map, Value, json};
use vitals_fhir::{
    bundle::MOST_ENTRIES,
    catalog::{self, Code, Operation},
    interaction::Letter,
};

use super::{
    add as add_operation,
    components::{refusals, resource_content},
    examples, parameters, reference, scopes,
};

/// A FHIR base: its path, what its operations' ids begin with, and what it is.
pub(super) const BASES: [(&str, &str, &str); 2] = [
    ("/t/{tenant}/fhir", "", "At the base of the tenant in the path."),
    ("/fhir", "own", "At the common base; the tenant is the token's."),
];

/// What every operation may be refused with.
const ALWAYS: [&str; 7] = ["400", "401", "403", "404", "406", "429", "503"];

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

/// Adds some operations of the catalog at another base, each with what `more` says of it.
pub(super) fn add_at(
    paths: &mut Map<String, Value>,
    (base, prefix, place): (&str, &str, &str),
    offered: impl Fn(&Operation) -> bool,
    more: impl Fn(&Operation, &mut Value),
) {
    for operation in catalog::all().filter(|operation| offered(operation)) {
        let mut value = describe(operation, base, prefix, place);
        more(operation, &mut value);
        add_operation(paths, &template(base, operation), operation.method.name(), value);
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
    let done = json!({
        "description": "How each entry went, in the order they were sent; resources written are repeated under \
            `Prefer: return=representation`",
        "content": resource_content("Bundle", &["transactionResponse"]),
    });
    json!({
        "tags": ["Bundle"],
        "operationId": if prefix.is_empty() { "postBundle".to_owned() } else { format!("{prefix}PostBundle") },
        "summary": "Do what the entries of a batch or transaction ask for",
        "description": format!(
            "{place} {kinds} At most {MOST_ENTRIES} entries; each needs the scopes it would need alone, which its own \
             operation lists."
        ),
        "externalDocs": { "url": "https://hl7.org/fhir/R4/http.html#transaction" },
        "security": [{ "accessToken": [] }],
        "parameters": parameters,
        "requestBody": { "required": true, "content": resource_content("Bundle", &["transaction"]) },
        "responses": responses([("200", done)], &["410", "412", "413", "415", "422"]),
    })
}

fn template(base: &str, operation: &Operation) -> String {
    format!("{base}/{}", operation.path.replace(":id", "{id}").replace(":vid", "{vid}"))
}

fn describe(operation: &Operation, base: &str, prefix: &str, place: &str) -> Value {
    let mut value = json!({
        "tags": [operation.resource.name()],
        "operationId": operation_id(operation, prefix),
        "summary": operation.summary,
        "description": format!("{place} {} Scopes, one of them: {}.", advice(operation), scopes::in_short(operation)),
        "externalDocs": { "url": format!("https://hl7.org/fhir/R4/{}", section(operation.code)) },
        "security": [{ "accessToken": [] }],
        "x-scopes": scopes::sufficient(operation),
        "parameters": parameters(operation, base),
    });
    match operation.code {
        Code::Create | Code::Update | Code::ConditionalUpdate => {
            let examples = examples::of_body(operation);
            value["requestBody"] =
                json!({ "required": true, "content": resource_content(operation.resource.name(), examples) });
        }
        Code::Validate | Code::ValidateInstance => {
            let mut content = resource_content(operation.resource.name(), examples::of_body(operation));
            let either = [operation.resource.name(), "Parameters"].map(|name| reference("schemas", name));
            content["application/fhir+json"]["schema"] = json!({ "oneOf": either });
            // To ask for a deletion, or of the resource that stands, nothing needs to be sent.
            value["requestBody"] = json!({ "required": operation.code == Code::Validate, "content": content });
        }
        Code::SearchTypePost => {
            value["requestBody"] = json!({ "required": true, "content": {
                "application/x-www-form-urlencoded": { "schema": parameters::form(operation.resource) },
            } });
        }
        _ => {}
    }
    value["responses"] = answers(operation);
    value
}

/// What a caller should know beside the summary.
const fn advice(operation: &Operation) -> &'static str {
    match operation.code {
        Code::Read => "`ETag` names the version; a deleted resource is 410 to those who could read it.",
        Code::Vread => "A version is there for those who may read both it and the current one.",
        Code::HistoryInstance | Code::HistoryType => "Follow `link` with relation `next` to its end.",
        Code::SearchType | Code::SearchTypePost | Code::SearchCompartment => {
            "Follow `link` with relation `next` to its end; its address holds `_page` and nothing else. Modifiers are \
             part of a name (`code:not=8867-4`)."
        }
        Code::Create => {
            "The server sets `id`, `meta.versionId` and `meta.lastUpdated`; everything else comes back as it was \
             written. With `If-None-Exist` the letter `s` is needed as well."
        }
        Code::Update => {
            "`If-Match` keeps one from overwriting somebody else's change. At an id that is not there it creates, for \
             callers whose scope reaches the whole type."
        }
        Code::Delete => "Deleting once more is 204 again. Earlier versions stay.",
        Code::ConditionalUpdate | Code::ConditionalDelete => {
            "The criteria are search parameters; one that is not known is refused."
        }
        Code::Validate | Code::ValidateInstance => {
            "The body is the resource, or Parameters with `resource`, `mode` (a code) and `profile` (a URL). Whatever is \
             found is answered with 200: errors would refuse the write, warnings say what is not plausible. Nothing is \
             written."
        }
    }
}

/// The paragraph of R4 that defines it.
const fn section(code: Code) -> &'static str {
    match code {
        Code::Read => "http.html#read",
        Code::Vread => "http.html#vread",
        Code::HistoryInstance | Code::HistoryType => "http.html#history",
        Code::SearchType | Code::SearchTypePost | Code::SearchCompartment => "http.html#search",
        Code::Create => "http.html#create",
        Code::Update => "http.html#update",
        Code::Delete | Code::ConditionalDelete => "http.html#delete",
        Code::ConditionalUpdate => "http.html#cond-update",
        Code::Validate | Code::ValidateInstance => "resource-operation-validate.html",
    }
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
        names.push(if operation.path.starts_with("Patient/") { "patientId" } else { "observationId" });
    }
    if operation.path.contains(":vid") {
        names.push("vid");
    }
    match operation.code {
        Code::HistoryInstance | Code::HistoryType => names.extend(["_count", "page"]),
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
        parameters.extend(parameters::of_search(operation.resource, !conditional));
    }
    if matches!(operation.code, Code::Validate | Code::ValidateInstance) {
        parameters.extend(parameters::of_validate(operation));
    }
    parameters.push(reference("parameters", "format"));
    parameters
}

fn answers(operation: &Operation) -> Value {
    let name = operation.resource.name();
    let one = |description: &str| {
        json!({
            "description": description,
            "headers": { "ETag": reference("headers", "ETag"), "Last-Modified": reference("headers", "Last-Modified") },
            "content": resource_content(name, examples::of_resource(name)),
        })
    };
    let page = |description: &str| json!({ "description": description, "content": resource_content("Bundle", examples::of_page(name)) });
    let versions =
        |description: &str| json!({ "description": description, "content": resource_content::<&str>("Bundle", &[]) });
    let created = || {
        let mut created = one("Created; `Prefer: return` decides what comes back");
        created["headers"]["Location"] = reference("headers", "Location");
        created
    };
    match operation.code {
        Code::Read => {
            let same = json!({ "description": "The caller has the current version already" });
            responses([("200", one("The current version")), ("304", same)], &["410"])
        }
        Code::Vread => responses([("200", one("That version"))], &["410"]),
        Code::HistoryInstance => responses([("200", versions("The versions, newest first"))], &[]),
        Code::HistoryType => responses([("200", versions("The versions, the last written first"))], &[]),
        Code::SearchType | Code::SearchCompartment => responses([("200", page("A page of what was found"))], &["414"]),
        Code::SearchTypePost => responses([("200", page("A page of what was found"))], &["413", "415"]),
        Code::Create => {
            let there = one("What met `If-None-Exist`; nothing was created");
            responses([("200", there), ("201", created())], &["412", "413", "415", "422"])
        }
        Code::Update | Code::ConditionalUpdate => {
            let updated = one("Updated; `Prefer: return` decides what comes back");
            responses([("200", updated), ("201", created())], &["412", "413", "415", "422"])
        }
        Code::Validate | Code::ValidateInstance => {
            let found = json!({
                "description": "What stands against it; `informational` alone where nothing does",
                "content": resource_content("OperationOutcome", &["nothingAgainstIt", "unprocessable"]),
            });
            let gone: &[_] = if operation.code == Code::Validate { &[] } else { &["410"] };
            responses([("200", found)], &[&["413", "415"], gone].concat())
        }
        Code::Delete => responses([("204", json!({ "description": "Deleted, now or before" }))], &["412"]),
        Code::ConditionalDelete => {
            responses([("204", json!({ "description": "Nothing meets the criteria, now or before" }))], &["412"])
        }
    }
}

/// Answers by status: those of success, and the refusals that go with every operation and with this one.
pub(super) fn responses<const N: usize>(successes: [(&str, Value); N], more: &[&str]) -> Value {
    let statuses = [&ALWAYS, more].concat();
    let mut responses: Vec<_> = successes.into_iter().map(|(status, value)| (status.to_owned(), value)).collect();
    responses.extend(refusals(&statuses));
    responses.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(responses.into_iter().collect())
}
