//! The data: 200 patients and 100,000 of their vital signs, as a hospital's interface sends them (with profile and
//! encounter), 850 bytes each on average once they are stored. They are the same in every run.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Patients.
pub const PATIENTS: u32 = 200;
/// Observations of all of them.
pub const OBSERVATIONS: u32 = 100_000;
/// Ids where we choose them are numbers, because numbers are all that pgbench can choose, and as long as they may be:
/// of the first patient and Observation.
pub const FIRST_PATIENT: u64 = 4_000_000_000_000_000_001;
pub const FIRST_OBSERVATION: u64 = 5_000_000_000_000_000_001;
/// The first half of each patient's time lies before this day.
pub const HALF: &str = "2026-02-23";
/// Heart rates among each patient's vitals, one after the other of every ten.
const OF_TEN: [Kind; 10] = [
    Kind::Rate,
    Kind::Saturation,
    Kind::Rate,
    Kind::Pressure,
    Kind::Rate,
    Kind::Temperature,
    Kind::Rate,
    Kind::Saturation,
    Kind::Weight,
    Kind::Pressure,
];

/// What is measured.
#[derive(Clone, Copy)]
enum Kind {
    Rate,
    Saturation,
    Temperature,
    Weight,
    Pressure,
}

/// The id of a patient.
pub fn patient_id(number: u32) -> String {
    (FIRST_PATIENT + u64::from(number)).to_string()
}

/// A Patient.
pub fn patient(number: u32) -> Value {
    json!({
        "resourceType": "Patient",
        "id": patient_id(number),
        "identifier": [{"system": "https://hospital.example/mrn", "value": format!("MRN{number:06}")}],
        "active": true,
        "name": [{"use": "official", "family": format!("Bench{number}"), "given": ["Ada", "Maria"]}],
        "gender": if number.is_multiple_of(2) { "female" } else { "male" },
        "birthDate": format!("{}-{:02}-{:02}", 1930 + number % 80, 1 + number % 12, 1 + number % 28),
    })
}

/// An Observation without an id: the `number`th of all, of each patient in turn; `id_of` is the patient's.
pub fn observation_of(number: u32, id_of: &dyn Fn(u32) -> String) -> Value {
    let (patient, turn) = (number % PATIENTS, number / PATIENTS);
    let kind = OF_TEN[(turn % 10) as usize];
    let (profile, code, display) = match kind {
        Kind::Rate => ("us-core-heart-rate", "8867-4", "Heart rate"),
        Kind::Saturation => ("us-core-pulse-oximetry", "2708-6", "Oxygen saturation in Arterial blood"),
        Kind::Temperature => ("us-core-body-temperature", "8310-5", "Body temperature"),
        Kind::Weight => ("us-core-body-weight", "29463-7", "Body weight"),
        Kind::Pressure => ("us-core-blood-pressure", "85354-9", "Blood pressure panel"),
    };
    let mut codings = vec![json!({"system": "http://loinc.org", "code": code, "display": display})];
    if matches!(kind, Kind::Saturation) {
        let pulse = "Oxygen saturation in Arterial blood by Pulse oximetry";
        codings.push(json!({"system": "http://loinc.org", "code": "59408-5", "display": pulse}));
    }
    // Five readings a day.
    let (day, minute) = (turn / 5, turn % 5 * 288 + number % 60);
    let time = format!("2026-{:02}-{:02}T{:02}:{:02}", 1 + day / 28, 1 + day % 28, minute / 60, minute % 60);
    let mut observation = json!({
        "resourceType": "Observation",
        "meta": {"profile": [format!("http://hl7.org/fhir/us/core/StructureDefinition/{profile}")]},
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {"coding": codings},
        "subject": {"reference": format!("Patient/{}", id_of(patient))},
        // A stay of ten days.
        "encounter": {"reference": format!("Encounter/7d0c5a52-3f1e-4c57-9b60-{patient:08}{:04}", day / 10)},
        "effectiveDateTime": format!("{time}:00+00:00"),
    });
    let members = observation.as_object_mut().expect("an object");
    match kind {
        Kind::Rate => {
            members.insert("valueQuantity".into(), quantity(f64::from(50 + number % 61), "beats/minute", "/min"))
        }
        Kind::Saturation => members.insert("valueQuantity".into(), quantity(f64::from(88 + number % 12), "%", "%")),
        Kind::Temperature => {
            members.insert("valueQuantity".into(), quantity(f64::from(360 + number % 35) / 10.0, "degrees C", "Cel"))
        }
        Kind::Weight => {
            members.insert("valueQuantity".into(), quantity(f64::from(500 + number % 601) / 10.0, "kg", "kg"))
        }
        Kind::Pressure => {
            let part = |code: &str, display: &str, value: u32| {
                let coding = json!([{"system": "http://loinc.org", "code": code, "display": display}]);
                let value = quantity(f64::from(value), "mm[Hg]", "mm[Hg]");
                json!({"code": {"coding": coding}, "valueQuantity": value})
            };
            let parts = json!([
                part("8480-6", "Systolic blood pressure", 100 + number % 71),
                part("8462-4", "Diastolic blood pressure", 55 + number % 41),
            ]);
            members.insert("component".into(), parts)
        }
    };
    observation
}

/// The same of a patient whose id we chose.
pub fn observation(number: u32) -> Value {
    observation_of(number, &patient_id)
}

fn quantity(value: f64, unit: &str, code: &str) -> Value {
    json!({"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": code})
}

/// Everything as NDJSON, with ids, for an import.
pub fn ndjson() -> String {
    let mut text = String::new();
    let mut line = |resource: Value| writeln!(text, "{resource}").expect("a string takes text");
    (0..PATIENTS).for_each(|number| line(patient(number)));
    for number in 0..OBSERVATIONS {
        let mut observation = observation(number);
        observation["id"] = (FIRST_OBSERVATION + u64::from(number)).to_string().into();
        line(observation);
    }
    text
}

/// A transaction that creates all patients, at ids that the server makes.
pub fn patients() -> String {
    let entries: Vec<Value> = (0..PATIENTS)
        .map(|number| json!({"resource": patient(number), "request": {"method": "POST", "url": "Patient"}}))
        .collect();
    bundle(&entries)
}

/// The `number`th of the transactions that together create all Observations: `count` of one patient, one after the
/// other, and the next patient's in the next.
pub fn transaction(number: u32, count: u32, id_of: &dyn Fn(u32) -> String) -> String {
    let (patient, first) = (number % PATIENTS, number / PATIENTS * count);
    let entries: Vec<Value> = (first..first + count)
        .map(|turn| {
            let number = (turn * PATIENTS + patient) % OBSERVATIONS;
            let resource = observation_of(number, id_of);
            json!({"fullUrl": format!("urn:uuid:00000000-0000-4000-8000-{number:012}"), "resource": resource,
                "request": {"method": "POST", "url": "Observation"}})
        })
        .collect();
    bundle(&entries)
}

fn bundle(entries: &[Value]) -> String {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string()
}
