//! The document against itself and against the catalog.

use std::collections::BTreeSet;

use vitals_fhir::{
    catalog::{self, Code, ParameterKind},
    json,
    resource::ResourceType,
    structure,
};

use crate::rest::route;

use super::{docs::resolved, *};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Every operation of a document: path, method, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter().filter(|(key, _)| is_method(key));
        methods.map(move |(method, operation)| (path.clone(), method.clone(), operation.clone()))
    });
    operations.collect()
}

fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                visit(name, value);
                walk(value, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn every_row_of_the_catalog_is_an_operation_at_both_bases() {
    let document = parsed(&document());
    for row in catalog::all() {
        let path = row.path.replace(":id", "{id}").replace(":vid", "{vid}");
        for base in ["/t/{tenant}/fhir", "/fhir"] {
            let operation = &document["paths"][format!("{base}/{path}")][row.method.name().to_ascii_lowercase()];
            assert_eq!(operation["summary"], row.summary, "{base}/{path}");
            assert!(!operation["x-scopes"].as_array().unwrap().is_empty());
            for status in ["400", "401", "403", "404", "429", "503"] {
                assert!(operation["responses"].get(status).is_some(), "{base}/{path} {status}");
            }
        }
    }
}

#[test]
fn a_search_lists_each_of_its_parameters_by_name() {
    let document = parsed(&document());
    for row in catalog::all().filter(|row| matches!(row.code, Code::SearchType | Code::SearchCompartment)) {
        let item = &document["paths"][route(row)]["get"];
        let listed: Vec<_> =
            item["parameters"].as_array().unwrap().iter().map(|one| resolved(&document, one)).collect();
        for parameter in catalog::parameters(row.resource) {
            let found: Vec<_> = listed.iter().filter(|one| one["name"] == parameter.name).collect();
            let [found] = found.as_slice() else { panic!("{} stands {} times", parameter.name, found.len()) };
            let description = found["description"].as_str().unwrap();
            assert!(description.contains(parameter.documentation), "{description}");
            assert!(parameter.kind == ParameterKind::Result || description.starts_with(parameter.kind.fhir()));
            assert!(found.get("example").is_some(), "{}", parameter.name);
            // Several of one name are several pairs of the address.
            assert_eq!(found["schema"]["type"] == "array", found["explode"] == true, "{}", parameter.name);
        }
    }
}

#[test]
fn every_component_is_referred_to() {
    let document = parsed(&document());
    let mut used = BTreeSet::new();
    walk(&document, &mut |name, value| {
        if name == "$ref" {
            used.insert(value.as_str().unwrap().to_owned());
        }
    });
    for kind in ["parameters", "headers", "responses", "examples", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind}/{name}");
        }
    }
}

#[test]
fn no_schema_asks_a_client_to_parse_a_text_or_to_choose_by_a_discriminator() {
    walk(&parsed(&document()), &mut |name, value| {
        assert_ne!(name, "discriminator");
        if name == "schemas" {
            for (name, schema) in value.as_object().unwrap() {
                let required = schema["required"].as_array().into_iter().flatten();
                assert!(required.clone().all(|member| member != "resourceType"), "{name}");
                let is_resource = schema["properties"].get("resourceType").is_some();
                assert!(!is_resource || schema["additionalProperties"] == true, "{name}");
                for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                    let form = schema.get("format").and_then(Value::as_str);
                    let is_time = (name.as_str(), member.as_str()) == ("Tenant", "created");
                    assert!(is_time || matches!(form, None | Some("int32")), "{name}.{member}: {form:?}");
                }
            }
        }
    });
}

#[test]
fn examples_of_bodies_are_sound_and_of_their_schema() {
    let document = parsed(&document());
    let examples = document["components"]["examples"].as_object().unwrap();
    for (name, example) in examples {
        let text = example["value"].to_string();
        assert_eq!(vitals_fhir_codec::check_elements(&text), Ok(()), "{name}");
        let read = json::parse(text.as_bytes()).unwrap();
        let issues = match example["value"]["resourceType"].as_str() {
            Some("Patient") => structure::check(&read, ResourceType::Patient),
            Some("Observation") => structure::check(&read, ResourceType::Observation),
            Some("Bundle") => structure::check_envelope(&read),
            other => {
                assert!(matches!(other, Some("OperationOutcome" | "Parameters")), "{name}");
                continue;
            }
        };
        assert_eq!(issues, [], "{name}");
        let entries = example["value"]["entry"].as_array().into_iter().flatten();
        for resource in entries.filter_map(|entry| entry.get("resource")).chain([&example["value"]]) {
            let text = resource.to_string();
            let read = json::parse(text.as_bytes()).unwrap();
            let Some(kind) = resource["resourceType"].as_str().and_then(ResourceType::named) else { continue };
            assert_eq!(structure::check(&read, kind), [], "{name}");
            let issues = vitals_fhir_profiles::validate(read.root(), kind);
            let refused = if name == "refusedHeartRate" { 2 } else { 0 };
            assert_eq!(issues.len(), refused, "{name}: {issues:?}");
        }
    }
}

#[test]
fn references_resolve_ids_are_unique_and_path_parameters_are_declared() {
    for text in [document(), plain_document()] {
        let document = parsed(&text);
        walk(&document, &mut |name, value| {
            if name == "$ref" {
                let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
            }
        });
        let mut ids = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            let declared: BTreeSet<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|parameter| {
                    let parameter = resolved(&document, parameter);
                    (parameter["in"] == "path").then(|| parameter["name"].as_str().unwrap().to_owned())
                })
                .collect();
            let in_path: BTreeSet<_> =
                path.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect();
            assert_eq!(declared, in_path, "{method} {path}");
        }
    }
}

#[test]
fn every_path_below_a_fhir_base_answers_refusals_as_operation_outcomes() {
    let document = parsed(&document());
    for (path, method, operation) in operations(&document) {
        if !path.contains("/fhir/") || operation["tags"][0] == "Discovery" {
            continue;
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let content = &resolved(&document, response)["content"]["application/fhir+json"];
                let schema = &content["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/OperationOutcome", "{method} {path} {status}");
                assert!(content["examples"].as_object().is_some_and(|examples| !examples.is_empty()), "{status}");
            }
        }
    }
}

#[test]
fn the_plain_copy_knows_json_alone() {
    let text = plain_document();
    walk(&parsed(&text), &mut |name, value| {
        if name == "content" {
            assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["application/json"]);
        }
    });
    assert!(!text.contains("_format\"") && !text.contains("_search\"") && !text.contains("text/html"));
    assert_eq!(
        parsed(&text)["paths"].as_object().unwrap().len(),
        parsed(&document())["paths"].as_object().unwrap().len() - 17
    );
}

#[test]
fn texts_are_the_same_on_every_call() {
    assert_eq!(document(), document());
    assert_eq!(plain_document(), plain_document());
    assert_eq!(docs_page(), docs_page());
}

#[test]
fn the_page_lists_every_operation_and_loads_nothing() {
    let page = docs_page();
    let document = parsed(&document());
    let schemas = document["components"]["schemas"].as_object().unwrap().len();
    assert_eq!(page.matches("<details>").count(), operations(&document).len() + schemas);
    assert!(page.contains("beats/minute") && page.contains("<code>valueQuantity</code> (Quantity)"));
    for word in ["<script", "src=", "@import", "url(", "//fonts", "style=", "onclick"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn every_operation_has_a_route_of_the_document() {
    let document = parsed(&document());
    for row in catalog::all() {
        let item = &document["paths"][route(row)];
        assert!(item.get(row.method.name().to_ascii_lowercase()).is_some(), "{}", route(row));
    }
}

#[test]
fn the_published_copies_are_these_documents() {
    let published = include_str!("../../../schemas/openapi.json");
    assert!(published.trim_end() == document(), "run `vitals openapi > schemas/openapi.json`");
    let published = include_str!("../../../schemas/openapi.plain.json");
    assert!(published.trim_end() == plain_document(), "run `vitals openapi --plain > schemas/openapi.plain.json`");
}
