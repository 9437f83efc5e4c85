//! Resources for tests, as small as they may be.

use serde_json::{Value, json};

/// A Patient with this id.
pub fn patient(id: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"system": "urn:test:mrn", "value": format!("mrn-{id}")}],
        "name": [{"family": family, "given": ["Ada"]}],
        "birthDate": "1980-02-29",
    })
}

/// An Observation of one quantity with a LOINC code about a patient, in the unit that its profile asks for.
pub fn vital(id: &str, patient: &str, code: &str, value: f64, time: &str) -> Value {
    let (unit, ucum) = match code {
        HEART_RATE => ("beats/minute", "/min"),
        SPO2 => ("%", "%"),
        BODY_WEIGHT => ("kg", "kg"),
        BODY_TEMPERATURE => ("C", "Cel"),
        GLUCOSE => ("mg/dL", "mg/dL"),
        _ => ("1", "1"),
    };
    json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": time,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum},
    })
}

/// LOINC code of heart rate.
pub const HEART_RATE: &str = "8867-4";
/// LOINC code of oxygen saturation.
pub const SPO2: &str = "2708-6";
/// LOINC code of body weight.
pub const BODY_WEIGHT: &str = "29463-7";
/// LOINC code of body temperature.
pub const BODY_TEMPERATURE: &str = "8310-5";
/// LOINC code of a laboratory value: glucose.
pub const GLUCOSE: &str = "15074-8";

/// The same without a time, as a vital sign may be: in its place an extension says that nobody knows it
/// (<https://hl7.org/fhir/R4/extension-data-absent-reason.html>).
pub fn undated(mut observation: Value) -> Value {
    let reason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
    observation.as_object_mut().expect("an object").shift_remove("effectiveDateTime");
    observation["_effectiveDateTime"] = json!({ "extension": [{ "url": reason, "valueCode": "unknown" }] });
    observation
}

/// A laboratory value, which is no vital sign: neither by its code nor by its category.
pub fn laboratory(id: &str, patient: &str) -> Value {
    let mut observation = vital(id, patient, GLUCOSE, 5.4, "2026-03-01T08:00:00Z");
    observation["category"][0]["coding"][0]["code"] = "laboratory".into();
    observation
}

/// A heart rate.
pub fn heart_rate(id: &str, patient: &str) -> Value {
    vital(id, patient, HEART_RATE, 72.0, "2026-03-01T08:00:00Z")
}
