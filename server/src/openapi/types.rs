//! Schemas of FHIR's types, made from the tables that bodies are checked with: structure from `vitals_fhir`, codes of
//! required bindings from `vitals_fhir_profiles`. A type refers to the types it holds; the closure is the list.
//!
//! The shape is the one that generated clients survive. Other members are allowed everywhere: extensions of
//! primitives stand in siblings (`_birthDate`) that no generator has a name for. A union of resources has no
//! discriminator. Dates are plain text, because a FHIR date may be `2026` or `2026-03`, which parsers of `date` and
//! `date-time` refuse. Required is what must be there even when a value is replaced by an extension, as in HL7's own
//! JSON Schema; in a Bundle or an OperationOutcome, which this server writes itself, it is what R4 requires.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use vitals_fhir::structure::{self, Definition, Holds};
use vitals_fhir_profiles::{Place, VitalCode, codes, codes_of, vitals};

use super::reference;

/// The resources that bodies and answers hold.
const ROOTS: [&str; 6] = ["Patient", "Observation", "Bundle", "OperationOutcome", "Parameters", "CapabilityStatement"];

/// What a Bundle's entry or a parameter may hold here; a batch's answer holds the Bundles of its searches.
const ENTRIES: [&str; 4] = ["Patient", "Observation", "OperationOutcome", "Bundle"];

/// Envelopes: this server writes or reads them whole, and nobody puts an extension in the place of their values.
const ENVELOPES: [&str; 4] = ["Bundle", "OperationOutcome", "Parameters", "CapabilityStatement"];

/// Types that only definitions of other things hold, and parts about messages and documents: as values of extensions
/// and parameters they are as good as any other member, and a tenth of the document less.
const LEFT_OUT: [&str; 12] = [
    "CapabilityStatement.document",
    "CapabilityStatement.messaging",
    "ContactDetail",
    "Contributor",
    "DataRequirement",
    "Dosage",
    "Expression",
    "ParameterDefinition",
    "RelatedArtifact",
    "Signature",
    "TriggerDefinition",
    "UsageContext",
];

/// Types of R4 that have the shape of another and differ by a rule only.
const QUANTITIES: [&str; 4] = ["Age", "Count", "Distance", "Duration"];

/// The longest list of codes that is worth a type of its own: there are 148 resource types.
const MOST_CODES: usize = 40;

/// What is said of types and elements beside their names: `Type` or `Type.element`, and a sentence.
const DESCRIPTIONS: &str = include_str!("descriptions.tsv");

/// The schemas, by their names in the document.
pub fn schemas() -> Map<String, Value> {
    let descriptions = descriptions();
    let mut waiting = ROOTS.to_vec();
    let mut made = BTreeMap::from([(schema_name("Resource"), any_resource(&descriptions))]);
    while let Some(kind) = waiting.pop() {
        made.entry(schema_name(kind)).or_insert_with(|| schema(kind, &descriptions, &mut waiting));
    }
    made.into_iter().collect()
}

/// `Observation.component` is `ObservationComponent`.
fn schema_name(kind: &str) -> String {
    let parts = kind.split('.').map(|part| format!("{}{}", part[..1].to_ascii_uppercase(), &part[1..]));
    parts.collect()
}

fn descriptions() -> HashMap<&'static str, &'static str> {
    let rows = DESCRIPTIONS.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| line.split_once('\t')).collect()
}

/// A resource of whatever type, where nothing depends on which.
fn any_resource(descriptions: &HashMap<&str, &str>) -> Value {
    json!({
        "type": "object",
        "description": about("Resource", descriptions),
        "properties": { "resourceType": { "type": "string" }, "id": { "type": "string" } },
        "additionalProperties": true,
    })
}

fn schema(kind: &'static str, descriptions: &HashMap<&str, &str>, waiting: &mut Vec<&'static str>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if ROOTS.contains(&kind) {
        properties.insert("resourceType".to_owned(), json!({ "type": "string", "enum": [kind] }));
    }
    for element in structure::elements(kind).into_iter().flatten() {
        let Some(item) = content(kind, &element, waiting) else { continue };
        let said = descriptions.get(format!("{kind}.{}", element.slot).as_str()).copied();
        properties.insert(element.name.to_owned(), described(item, &element, said));
        if is_required(kind, &element) {
            required.push(element.name);
        }
    }
    let mut schema = json!({ "type": "object", "description": about(kind, descriptions), "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = Value::Bool(true);
    schema
}

/// What one value of an element is; nothing for an element that is left to the other members.
fn content(kind: &str, element: &Definition, waiting: &mut Vec<&'static str>) -> Option<Value> {
    Some(match element.holds {
        Holds::Primitive(primitive) => match codes_of(kind, element.name) {
            Some(codes) if codes.iter().any(|code| !is_name(code)) => {
                json!({ "type": "string", "description": format!("One of {}", codes.join(" ")) })
            }
            Some(codes) if codes.len() <= MOST_CODES => json!({ "type": "string", "enum": codes }),
            _ => self::primitive(primitive),
        },
        Holds::Type(held) if LEFT_OUT.contains(&held) => return None,
        Holds::Type(held) => {
            let held = if QUANTITIES.contains(&held) { "Quantity" } else { held };
            waiting.push(held);
            reference("schemas", &schema_name(held))
        }
        Holds::Resource if element.name == "contained" => reference("schemas", "Resource"),
        Holds::Resource => json!({ "oneOf": ENTRIES.map(|name| reference("schemas", name)) }),
    })
}

/// Whether a generator can make a name of a code; of `<=` some make none and stop.
fn is_name(code: &str) -> bool {
    code.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// A primitive in JSON. No `format` that makes a client parse text: digits and precision are part of the value.
fn primitive(name: &str) -> Value {
    match name {
        "boolean" => json!({ "type": "boolean" }),
        "decimal" => json!({ "type": "number" }),
        "integer" => json!({ "type": "integer", "format": "int32" }),
        "unsignedInt" => json!({ "type": "integer", "format": "int32", "minimum": 0 }),
        "positiveInt" => json!({ "type": "integer", "format": "int32", "minimum": 1 }),
        _ => json!({ "type": "string" }),
    }
}

/// The forms of texts that are more than a string.
fn form(primitive: &str) -> Option<&'static str> {
    Some(match primitive {
        "date" => "YYYY, YYYY-MM or YYYY-MM-DD",
        "dateTime" => "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
        "instant" => "YYYY-MM-DDThh:mm:ss.sss+zz:zz",
        "time" => "hh:mm:ss",
        "base64Binary" => "base64",
        "xhtml" => "A <div> of XHTML, without script",
        "markdown" => "Markdown",
        _ => return None,
    })
}

/// The schema of an element: one value or a list, with what is said of it. A reference alone takes no description.
fn described(item: Value, element: &Definition, said: Option<&str>) -> Value {
    let form = match element.holds {
        Holds::Primitive(primitive) => form(primitive),
        Holds::Type(_) | Holds::Resource => None,
    };
    let is_reference = item.get("$ref").is_some();
    let own = item["description"].as_str().map(str::to_owned);
    let mut schema = if element.array { json!({ "type": "array", "items": item }) } else { item };
    let texts: Vec<_> = said.into_iter().chain(form).chain(own.as_deref()).collect();
    if !texts.is_empty() && (element.array || !is_reference) {
        schema["description"] = Value::String(texts.join(". "));
    }
    schema
}

fn is_required(kind: &str, element: &Definition) -> bool {
    let envelope = ENVELOPES.contains(&kind.split('.').next().unwrap_or_default());
    let stays = !element.sibling || matches!(element.holds, Holds::Type(_)) || envelope;
    element.required && stays && !element.slot.ends_with("[x]")
}

/// A sentence about a type, and where R4 defines it.
fn about(kind: &str, descriptions: &HashMap<&str, &str>) -> String {
    let said = descriptions.get(kind).map(|said| format!("{said}. ")).unwrap_or_default();
    let vitals = if kind == "Observation" { vital_signs() } else { String::new() };
    format!("{said}{vitals}{}", definition(kind))
}

/// Code and units of each vital sign, from the profiles that judge them.
fn vital_signs() -> String {
    let rows = vitals().iter().map(|profile| {
        let (parts, own): (Vec<&VitalCode>, Vec<&VitalCode>) =
            codes().iter().filter(|code| code.vital == profile.vital).partition(|code| code.place == Place::Component);
        let own: Vec<_> = own.iter().map(|code| code.loinc).collect();
        let parts: Vec<_> = parts.iter().map(|code| format!("{} ({})", code.loinc, code.display)).collect();
        let with = if parts.is_empty() { String::new() } else { format!(" with components {}", parts.join(", ")) };
        format!("{} {}{with} in {}. ", profile.title, own.join(" or "), profile.units.join(" or "))
    });
    rows.collect()
}

fn definition(kind: &str) -> String {
    let page = kind.split('.').next().unwrap_or(kind);
    let place = match page {
        _ if ROOTS.contains(&page) && page != kind => {
            format!("{}-definitions.html#{kind}", page.to_ascii_lowercase())
        }
        _ if ROOTS.contains(&page) => format!("{}.html", page.to_ascii_lowercase()),
        "Resource" | "Meta" => format!("resource.html#{page}"),
        "Reference" => "references.html#Reference".to_owned(),
        "Extension" => "extensibility.html#Extension".to_owned(),
        "Narrative" => "narrative.html#Narrative".to_owned(),
        _ => format!("datatypes.html#{page}"),
    };
    format!("https://hl7.org/fhir/R4/{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_description_is_of_something_in_the_document() {
        let schemas = schemas();
        for (key, text) in descriptions() {
            let (kind, slot) = match key.rsplit_once('.') {
                Some((kind, slot)) if slot.starts_with(|first: char| first.is_ascii_lowercase()) => (kind, slot),
                _ => (key, ""),
            };
            // `Bundle.entry` is a type as well as an element.
            let is_type = schemas.contains_key(&schema_name(key)) && structure::elements(key).is_some();
            let element = structure::elements(kind).into_iter().flatten().find(|element| element.slot == slot);
            assert!(is_type || element.is_some_and(|_| schemas.contains_key(&schema_name(kind))), "{key}");
            assert!(!text.ends_with('.') && !text.is_empty(), "{key}: {text}");
        }
    }

    #[test]
    fn choices_stand_under_the_name_of_each_type() {
        let schemas = schemas();
        let observation = &schemas["Observation"]["properties"];
        assert_eq!(observation["valueQuantity"]["$ref"], "#/components/schemas/Quantity");
        assert_eq!(observation["effectivePeriod"]["$ref"], "#/components/schemas/Period");
        assert_eq!(observation["effectiveDateTime"]["type"], "string");
        assert!(observation.get("value[x]").is_none() && observation.get("_status").is_none());
        assert_eq!(observation["component"]["items"]["$ref"], "#/components/schemas/ObservationComponent");
        assert_eq!(schemas["TimingRepeat"]["properties"]["boundsDuration"]["$ref"], "#/components/schemas/Quantity");
    }

    #[test]
    fn required_is_what_no_extension_can_stand_for() {
        let schemas = schemas();
        let required = |name: &str| schemas[name].get("required").cloned().unwrap_or(json!([]));
        assert_eq!(required("Observation"), json!(["code"]));
        assert_eq!(required("Patient"), json!([]));
        assert_eq!(required("Extension"), json!(["url"]));
        assert_eq!(required("OperationOutcomeIssue"), json!(["severity", "code"]));
        assert_eq!(required("BundleEntryRequest"), json!(["method", "url"]));
        assert_eq!(required("Bundle"), json!(["type"]));
    }

    #[test]
    fn codes_of_required_bindings_are_listed() {
        let schemas = schemas();
        let gender = &schemas["Patient"]["properties"]["gender"];
        assert_eq!(gender["enum"], json!(["female", "male", "other", "unknown"]));
        assert!(schemas["Patient"]["properties"]["language"].get("enum").is_none());
        let comparator = &schemas["Quantity"]["properties"]["comparator"];
        assert!(comparator.get("enum").is_none(), "no names can be made of these");
        assert!(comparator["description"].as_str().unwrap().ends_with("One of < <= > >="), "{comparator}");
    }
}
