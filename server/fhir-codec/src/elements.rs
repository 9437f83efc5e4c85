//! Element names as fhirbolt knows them: a second opinion on the strict tables of `vitals-fhir`.

use fhirbolt::{FhirReleases, element::Element, json};
use serde_json::{Map, Value};

/// Reads a resource with fhirbolt's strict reader, which knows every element of R4.
///
/// It does not notice a missing required element, an array in place of one value, or a primitive's bad format.
/// The message names an unknown element; it never holds a value.
pub fn check_elements(json: &str) -> Result<(), String> {
    let value = serde_json::from_str(json).map_err(|_| "not JSON".to_owned())?;
    let read: Result<Element<{ FhirReleases::R4 }>, _> = json::from_json_value(resource_type_first(value), None);
    read.map(|_| ()).map_err(|error| {
        let message = error.to_string();
        match message.split_once(',') {
            Some((head, _)) if head.starts_with("unknown field") => head.to_owned(),
            _ => "an element has a value of the wrong type".to_owned(),
        }
    })
}

/// fhirbolt takes the type from the first member; in FHIR the order of members means nothing.
fn resource_type_first(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            let mut ordered = Map::new();
            if let Some(name) = members.shift_remove("resourceType") {
                ordered.insert("resourceType".to_owned(), name);
            }
            ordered.extend(members.into_iter().map(|(name, value)| (name, resource_type_first(value))));
            Value::Object(ordered)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(resource_type_first).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_elements_pass_in_any_order() {
        let json = r#"{"id":"a","status":"final","code":{"text":"x"},"resourceType":"Observation",
            "valueQuantity":{"value":120.00},"contained":[{"id":"p","resourceType":"Patient","active":true}]}"#;
        assert_eq!(check_elements(json), Ok(()));
    }

    #[test]
    fn unknown_elements_are_named_and_values_are_not() {
        let unknown = r#"{"resourceType":"Observation","status":"final","colour":"CANARY"}"#;
        assert_eq!(check_elements(unknown), Err("unknown field `colour`".to_owned()));
        let nested = r#"{"resourceType":"Observation","code":{"coding":[{"kode":"CANARY"}]}}"#;
        assert_eq!(check_elements(nested), Err("unknown field `kode`".to_owned()));
        let wrong = r#"{"resourceType":"Patient","active":"CANARY"}"#;
        assert!(!check_elements(wrong).unwrap_err().contains("CANARY"));
    }
}
