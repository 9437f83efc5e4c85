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

/// A heart rate.
pub fn heart_rate(id: &str, patient: &str) -> Value {
    vital(id, patient, HEART_RATE, 72.0, "2026-03-01T08:00:00Z")
}
