//! The trail in the document: AuditEvent at both FHIR bases, and the tenant's own list of records.

use serde_json::{Map, Value, json};
use vitals_fhir::{
    catalog::{
        Code, ParameterKind,
        audit_event::{AUDIT_EVENT, PARAMETERS, ROWS, Row},
    },
    interaction::Letter,
};

use super::{
    add as add_operation,
    components::resource_content,
    fhir::{BASES, responses},
    reference,
};

/// Filters of the list of records, and what they say.
const FILTERS: [(&str, &str); 13] = [
    ("from", "From this date or time on: 2026-11, 2026-11-26, 2026-11-26T08:00:00Z"),
    ("to", "Up to this date or time, which is still part of it"),
    ("subject", "The caller"),
    ("client", "The caller's program"),
    ("patient", "The patient it is about: disclosed, written, asked for by id, or in an entry of a Bundle"),
    ("decision", "allowed, denied or unknown"),
    ("action", "The interaction or command: read, search-type, client.create"),
    ("grant", "The grant that was used"),
    ("type", "The type of the resource it is about"),
    ("id", "The id of the resource it is about"),
    ("address", "The caller's address"),
    ("acting_tenant", "The caller's tenant"),
    ("_count", "Records on a page: 50 unless told, at most 1,000"),
];

/// Adds every operation.
pub fn add(paths: &mut Map<String, Value>) {
    for (base, prefix, place) in BASES {
        for row in &ROWS {
            let path = format!("{base}/{}", row.path.replace(":id", "{id}"));
            add_operation(paths, &path, row.method.name(), event(row, base, prefix, place));
        }
    }
    let records = json!({ "type": "object", "additionalProperties": true, "properties": {
        "records": { "type": "array", "items": { "type": "object", "additionalProperties": true } },
        "next": { "type": "string", "nullable": true, "description": "The address of the page that follows" },
    } });
    let filters = FILTERS.iter().chain([&("_page", "A place to go on from, as `next` has it; it stands alone")]);
    let filters: Vec<Value> = filters.map(|(name, description)| query(name, description)).collect();
    let mut list = administration("listAuditRecords", "The tenant's audit trail, newest first; reading it is recorded");
    list["parameters"] = Value::Array([vec![reference("parameters", "tenant")], filters].concat());
    list["responses"]["200"] = json!({ "description": "A page of records", "content": {
        "application/json": { "schema": records },
        "text/csv": { "schema": { "type": "string" } },
        "application/x-ndjson": { "schema": { "type": "string" } },
    } });
    add_operation(paths, "/t/{tenant}/admin/audit", "GET", list);
    let mut one = administration("readAuditRecord", "One record of the tenant's audit trail");
    one["parameters"] = json!([
        reference("parameters", "tenant"),
        { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
    ]);
    one["responses"]["200"] = json!({ "description": "The record", "content": {
        "application/json": { "schema": { "type": "object", "additionalProperties": true } },
    } });
    add_operation(paths, "/t/{tenant}/admin/audit/{id}", "GET", one);
}

fn administration(id: &str, summary: &str) -> Value {
    let refusals = ["400", "401", "403", "404", "429", "503"];
    let refusals = refusals.map(|status| (status.to_owned(), reference("responses", "Problem")));
    json!({
        "tags": ["Administration"],
        "operationId": id,
        "summary": summary,
        "security": [{ "accessToken": [] }],
        "x-scopes": ["audit:read", "admin:users"],
        "responses": Map::from_iter(refusals),
    })
}

fn query(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } })
}

/// An interaction with AuditEvent.
fn event(row: &Row, base: &str, prefix: &str, place: &str) -> Value {
    let verb = match row.code {
        Code::Read => "read",
        Code::SearchType => "search",
        _ => "searchByForm",
    };
    let (first, rest) = verb.split_at(1);
    let id = if prefix.is_empty() {
        format!("{verb}{AUDIT_EVENT}")
    } else {
        format!("{prefix}{}{rest}{AUDIT_EVENT}", first.to_ascii_uppercase())
    };
    let letter = if row.letter == Letter::Read { "r" } else { "s" };
    let scopes = [
        "audit:read".to_owned(),
        "admin:users".to_owned(),
        format!("system/{AUDIT_EVENT}.{letter}"),
        format!("user/{AUDIT_EVENT}.{letter}"),
        format!("patient/{AUDIT_EVENT}.{letter}"),
    ];
    let mut parameters = Vec::new();
    if base.contains("{tenant}") {
        parameters.push(reference("parameters", "tenant"));
    }
    let of_search = PARAMETERS.iter().map(|parameter| {
        let name = if parameter.name == "agent" { "agent:identifier" } else { parameter.name };
        let kind = match parameter.kind {
            ParameterKind::Result => String::new(),
            kind => format!("{}: ", kind.fhir()),
        };
        query(name, &format!("{kind}{}", parameter.documentation))
    });
    match row.code {
        Code::Read => {
            parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
        }
        Code::SearchType => {
            parameters.extend([reference("parameters", "page"), reference("parameters", "preferHandling")]);
            parameters.extend(of_search.clone());
        }
        _ => parameters.push(reference("parameters", "preferHandling")),
    }
    parameters.push(reference("parameters", "format"));
    let resource = json!({ "type": "object", "additionalProperties": true });
    let found = match row.code {
        Code::Read => json!({ "description": "The record", "content": {
            "application/fhir+json": { "schema": resource },
            "application/fhir+xml": { "schema": { "type": "string" } },
        } }),
        _ => json!({ "description": "A page of what was found", "content": resource_content::<&str>("Bundle", &[]) }),
    };
    let more: &[&str] = if row.code == Code::SearchTypePost { &["413", "415"] } else { &[] };
    let mut operation = json!({
        "tags": [AUDIT_EVENT],
        "operationId": id,
        "summary": row.summary,
        "description": format!("{place} Scopes, one of them: {}. No wildcard holds AuditEvent.", scopes.join(", ")),
        "externalDocs": { "url": "https://hl7.org/fhir/R4/auditevent.html" },
        "security": [{ "accessToken": [] }],
        "x-scopes": scopes,
        "parameters": parameters,
        "responses": responses([("200", found)], more),
    });
    if row.code == Code::SearchTypePost {
        let properties: Map<String, Value> = of_search
            .filter_map(|query| Some((query["name"].as_str()?.to_owned(), json!({ "type": "string" }))))
            .collect();
        operation["requestBody"] = json!({ "required": true, "content": {
            "application/x-www-form-urlencoded": { "schema": { "type": "object", "properties": properties } },
        } });
    }
    operation
}
