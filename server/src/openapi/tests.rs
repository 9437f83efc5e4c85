//! The document against itself and against the catalog.

use std::collections::BTreeSet;

use crate::rest::route;

use super::*;
use vitals_fhir::catalog;

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
        }
    }
    let search = &document["paths"]["/t/{tenant}/fhir/Observation"]["get"]["parameters"];
    let names: Vec<_> = search.as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    let offered: Vec<_> = catalog::parameters(vitals_fhir::resource::ResourceType::Observation)
        .iter()
        .map(|offered| offered.name)
        .collect();
    assert_eq!(names, offered);
    assert!(names.contains(&"code-value-quantity") && names.contains(&"_count"), "{names:?}");
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
                    let parameter = match parameter["$ref"].as_str() {
                        Some(pointer) => document.pointer(&pointer[1..]).unwrap(),
                        None => parameter,
                    };
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
                let response = document.pointer(&response["$ref"].as_str().unwrap()[1..]).unwrap();
                let schema = &response["content"]["application/fhir+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/OperationOutcome", "{method} {path} {status}");
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
    assert!(!text.contains("fhir+json") && !text.contains("_search") && !text.contains("text/html"));
    assert_eq!(
        parsed(&text)["paths"].as_object().unwrap().len(),
        parsed(&document())["paths"].as_object().unwrap().len() - 6
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
    assert_eq!(page.matches("<details>").count(), operations(&parsed(&document())).len());
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
fn the_published_copy_is_this_document() {
    let published = include_str!("../../../schemas/openapi.json");
    assert!(published.trim_end() == document(), "run `vitals openapi > schemas/openapi.json`");
}
