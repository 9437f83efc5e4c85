//! Search parameters, and the other parameters that operations share.

use serde_json::{Map, Value, json};
use vitals_fhir::{
    catalog::{self, Code, Operation, Parameter, ParameterKind},
    resource::ResourceType,
};
use vitals_fhir_profiles::Nominated;

use super::{examples::STORED_ID, reference};

/// Name of a search parameter among the document's parameters.
fn component(resource: ResourceType, parameter: &Parameter) -> String {
    // The parameters that govern the result are the same for every type, but for what it can be sorted by.
    match (parameter.kind, parameter.name) {
        (ParameterKind::Result, name) if name != "_sort" => name.to_owned(),
        (_, name) => format!("{resource}.{name}"),
    }
}

/// The search parameters of a type as references; `governed` leaves in those that govern the result.
pub fn of_search(resource: ResourceType, governed: bool) -> impl Iterator<Item = Value> {
    let known = catalog::parameters(resource).iter();
    let known = known.filter(move |parameter| governed || parameter.kind != ParameterKind::Result);
    known.map(move |parameter| reference("parameters", &component(resource, parameter)))
}

/// The parameters of `$validate` that may stand in the address.
pub fn of_validate(operation: &Operation) -> [Value; 2] {
    let modes: &[&str] = match operation.code {
        Code::Validate => &["create", "update"],
        _ => &["create", "update", "delete", "profile"],
    };
    let urls = Nominated::urls(operation.resource);
    let profile = format!("Canonical URL of a profile that it is held against as well: {}", urls.join(", "));
    [
        json!({
            "name": "mode", "in": "query", "description": "What is to be tried, without doing it",
            "schema": { "type": "string", "enum": modes },
        }),
        json!({
            "name": "profile", "in": "query", "description": profile,
            "schema": { "type": "string" }, "example": urls.last(),
        }),
    ]
}

/// The properties of a search as a form.
pub fn form(resource: ResourceType) -> Value {
    let properties = catalog::parameters(resource).iter().map(|parameter| {
        let mut schema = schema(resource, parameter);
        schema["description"] = Value::String(description(parameter));
        (parameter.name.to_owned(), schema)
    });
    json!({ "type": "object", "properties": properties.collect::<Map<_, _>>() })
}

/// Every parameter that operations refer to.
pub fn components() -> Value {
    let mut parameters = shared();
    for resource in ResourceType::ALL {
        for parameter in catalog::parameters(resource) {
            parameters.insert(component(resource, parameter), describe(resource, parameter));
        }
    }
    Value::Object(parameters)
}

fn describe(resource: ResourceType, parameter: &Parameter) -> Value {
    let schema = schema(resource, parameter);
    let mut described = json!({ "name": parameter.name, "in": "query", "description": description(parameter) });
    if schema["type"] == "array" {
        described["style"] = json!("form");
        described["explode"] = json!(true);
    }
    described["schema"] = schema;
    described["example"] = example(resource, parameter.name);
    described
}

fn description(parameter: &Parameter) -> String {
    match parameter.kind {
        ParameterKind::Result => format!("{}. https://hl7.org/fhir/R4/search.html#return", parameter.documentation),
        kind => format!(
            "{} parameter: {}. https://hl7.org/fhir/R4/search.html#{}",
            kind.fhir(),
            parameter.documentation,
            kind.fhir()
        ),
    }
}

/// One value, or several that must all hold (AND); alternatives (OR) stand in one value, with commas.
fn schema(resource: ResourceType, parameter: &Parameter) -> Value {
    match (parameter.name, parameter.kind) {
        // No `default`: clients would send it beside a page link, which takes nothing beside it.
        ("_count", _) => json!({ "type": "integer", "minimum": 0, "maximum": 1000 }),
        ("_total", _) => json!({ "type": "string", "enum": ["none", "estimate", "accurate"] }),
        ("_summary", _) => json!({ "type": "string", "enum": ["count", "false"] }),
        (name, kind) if kind != ParameterKind::Result && may_repeat(resource, name) => {
            json!({ "type": "array", "items": { "type": "string" } })
        }
        _ => json!({ "type": "string" }),
    }
}

/// R4 lets every search parameter repeat. Where an element has one value that is compared whole, two of them find
/// nothing, so these take one, which is what callers of generated clients want to write.
fn may_repeat(resource: ResourceType, name: &str) -> bool {
    match resource {
        _ if name == "_id" => false,
        ResourceType::Patient => !matches!(name, "gender" | "active"),
        ResourceType::Observation => {
            !matches!(name, "patient" | "subject" | "status" | "encounter" | "device" | "value-concept")
        }
    }
}

/// A value that finds something among the examples, or would.
fn example(resource: ResourceType, name: &str) -> Value {
    match (resource, name) {
        (ResourceType::Patient, "_id") | (ResourceType::Observation, "patient") => json!("ada"),
        (ResourceType::Patient, "identifier") => json!(["urn:example:mrn|1815-1210"]),
        (ResourceType::Patient, "name" | "family") => json!(["love"]),
        (ResourceType::Patient, "given") => json!(["ada"]),
        (ResourceType::Patient, "birthdate") => json!(["ge1980", "lt1990-06"]),
        (ResourceType::Patient, "gender") => json!("female"),
        (ResourceType::Patient, "active") => json!("true"),
        (ResourceType::Patient, "_sort") => json!("family"),
        (ResourceType::Observation, "_id") => json!(STORED_ID),
        (ResourceType::Observation, "subject") => json!("Patient/ada"),
        (ResourceType::Observation, "code" | "combo-code") => {
            json!(["http://loinc.org|8867-4,http://loinc.org|9279-1"])
        }
        (ResourceType::Observation, "category") => json!(["vital-signs"]),
        (ResourceType::Observation, "status") => json!("final,amended"),
        (ResourceType::Observation, "date") => json!(["ge2026-03-01", "lt2026-04-01"]),
        (ResourceType::Observation, "identifier") => json!(["urn:example:measurement|42"]),
        (ResourceType::Observation, "encounter") => json!("Encounter/7"),
        (ResourceType::Observation, "performer") => json!(["Practitioner/17"]),
        (ResourceType::Observation, "device") => json!("Device/3"),
        (ResourceType::Observation, "value-quantity") => json!(["ge60|http://unitsofmeasure.org|/min", "lt100"]),
        (ResourceType::Observation, "value-concept") => json!("http://snomed.info/sct|10828004"),
        (ResourceType::Observation, "combo-code-value-quantity" | "component-code-value-quantity") => {
            json!(["http://loinc.org|8480-6$ge140|http://unitsofmeasure.org|mm[Hg]"])
        }
        (ResourceType::Observation, "component-code") => json!(["http://loinc.org|8480-6"]),
        (ResourceType::Observation, "component-value-quantity") => json!(["ge140|http://unitsofmeasure.org|mm[Hg]"]),
        (ResourceType::Observation, "code-value-quantity") => {
            json!(["http://loinc.org|8310-5$gt100.4|http://unitsofmeasure.org|[degF]"])
        }
        (ResourceType::Observation, "_sort") => json!("-date"),
        (_, "_lastUpdated") => json!(["ge2026-03-01T00:00:00Z"]),
        (_, "_count") => json!(50),
        (_, "_total") => json!("accurate"),
        (_, "_summary") => json!("count"),
        (_, "_elements") => json!("id,meta"),
        _ => Value::Null,
    }
}

/// Parameters of paths, pages and headers.
fn shared() -> Map<String, Value> {
    let path = |name: &str, description: &str, pattern: &str, example: &str| {
        json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": { "type": "string", "pattern": pattern }, "example": example,
        })
    };
    let other = |name: &str, place: &str, description: &str, schema: Value| json!({ "name": name, "in": place, "description": description, "schema": schema });
    let text = || json!({ "type": "string" });
    let all = [
        ("tenant", path("tenant", "Name of the tenant", "^[a-z][a-z0-9-]{1,38}[a-z0-9]$", "acme")),
        ("patientId", path("id", "Logical id of a Patient", "^[A-Za-z0-9.-]{1,64}$", "ada")),
        ("observationId", path("id", "Logical id of an Observation", "^[A-Za-z0-9.-]{1,64}$", STORED_ID)),
        ("vid", path("vid", "Version id", "^[1-9][0-9]*$", "1")),
        (
            "page",
            other(
                "_page",
                "query",
                "A page, as in the `next` link of the page before, good for an hour; nothing else may stand beside it",
                text(),
            ),
        ),
        (
            "format",
            other(
                "_format",
                "query",
                "The representation, instead of `Accept`",
                json!({ "type": "string", "enum": ["json", "xml"] }),
            ),
        ),
        (
            "ifMatch",
            other(
                "If-Match",
                "header",
                "The version that must be current, as `W/\"n\"`, from `ETag` or `meta.versionId`",
                text(),
            ),
        ),
        (
            "ifNoneExist",
            other(
                "If-None-Exist",
                "header",
                "Search parameters: nothing is created where a resource meets them; needs the letter `s` as well",
                text(),
            ),
        ),
        (
            "ifNoneMatch",
            other("If-None-Match", "header", "A version the caller has, as `W/\"n\"`: 304 if it is current", text()),
        ),
        (
            "ifModifiedSince",
            other("If-Modified-Since", "header", "304 if nothing was written after this HTTP date", text()),
        ),
        (
            "preferReturn",
            other(
                "Prefer",
                "header",
                "What a write answers; the resource unless told otherwise",
                json!({
                    "type": "string",
                    "enum": ["return=representation", "return=minimal", "return=OperationOutcome"],
                }),
            ),
        ),
        (
            "preferHandling",
            other(
                "Prefer",
                "header",
                "Whether unknown search parameters are refused, or ignored with a warning among the entries",
                json!({ "type": "string", "enum": ["handling=lenient", "handling=strict"] }),
            ),
        ),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_parameter_has_an_example_of_its_own_schema() {
        for resource in ResourceType::ALL {
            for parameter in catalog::parameters(resource) {
                let described = describe(resource, parameter);
                let fits = match described["schema"]["type"].as_str() {
                    Some("array") => described["example"].is_array(),
                    Some("integer") => described["example"].is_u64(),
                    _ => described["example"].is_string(),
                };
                assert!(fits, "{resource} {}: {}", parameter.name, described["example"]);
            }
        }
    }
}
