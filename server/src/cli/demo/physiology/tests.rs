//! The generator as a whole: repeatable, of the promised size, conforming, and alive.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use vitals_fhir::{body::Body, resource};

use super::{Episode, Hospital, Observation, Patient, hospitals};

fn end() -> DateTime<Utc> {
    "2026-11-22T20:55:00Z".parse().unwrap()
}

fn values(patient: &Patient, short: &str) -> Vec<f64> {
    let infix = format!("{}-{short}-", patient.id);
    patient
        .observations()
        .filter(|observation| observation.id.starts_with(&infix))
        .map(|observation| {
            let body: Value = serde_json::from_str(&observation.body).unwrap();
            body["valueQuantity"]["value"].as_f64().unwrap()
        })
        .collect()
}

fn with(episode: Episode) -> Patient {
    let [first, _] = hospitals(7, end());
    first.patients.into_iter().find(|patient| patient.episode == episode).unwrap()
}

#[test]
fn same_seed_same_bytes_and_another_seed_others() {
    let all = |seed| -> Vec<Observation> {
        hospitals(seed, end())
            .iter()
            .flat_map(|hospital| hospital.patients[0].observations().collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(all(7), all(7));
    assert_ne!(all(7), all(8));
}

#[test]
fn size_ids_and_times_are_as_promised() {
    let both = hospitals(7, end());
    let mut ids = HashSet::new();
    let mut count = 0;
    for Hospital { patients, .. } in &both {
        assert_eq!(patients.len(), 20);
        let families: HashSet<String> = patients
            .iter()
            .map(|patient| {
                let body: Value = serde_json::from_str(&patient.body).unwrap();
                assert_eq!(body["id"], patient.id);
                body["name"][0]["family"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(families.len(), 20);
        for patient in patients {
            let mut before = None;
            for observation in patient.observations() {
                let body: Value = serde_json::from_str(&observation.body).unwrap();
                let at = body["effectiveDateTime"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
                assert!(at <= end() && Some(at) >= before, "{}", observation.id);
                before = Some(at);
                assert!(observation.id.len() <= 64);
                assert!(ids.insert(observation.id));
                count += 1;
            }
        }
    }
    assert!((52_000..=60_000).contains(&count), "{count}");
}

#[test]
fn every_observation_conforms_to_the_vital_signs_profile() {
    let units = [
        ("8867-4", "/min"),
        ("9279-1", "/min"),
        ("2708-6", "%"),
        ("8310-5", "Cel"),
        ("29463-7", "kg"),
        ("8302-2", "cm"),
        ("39156-5", "kg/m2"),
        ("85354-9", "mm[Hg]"),
    ];
    let [first, _] = hospitals(7, end());
    let mut seen = HashSet::new();
    for observation in first.patients[0].observations() {
        let body: Value = serde_json::from_str(&observation.body).unwrap();
        assert_eq!(body["resourceType"], "Observation");
        assert_eq!(body["status"], "final");
        assert_eq!(body["category"][0]["coding"][0]["code"], "vital-signs");
        assert_eq!(body["subject"]["reference"], format!("Patient/{}", first.patients[0].id));
        assert!(body["effectiveDateTime"].as_str().unwrap().ends_with("+01:00"));
        let code = body["code"]["coding"][0]["code"].as_str().unwrap().to_owned();
        let unit = units.iter().find(|(known, _)| *known == code).unwrap().1;
        if code == "85354-9" {
            assert!(body.get("valueQuantity").is_none());
            let parts: Vec<&str> = body["component"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| {
                    assert_eq!(part["valueQuantity"]["code"], unit);
                    part["code"]["coding"][0]["code"].as_str().unwrap()
                })
                .collect();
            assert_eq!(parts, ["8480-6", "8462-4"]);
        } else {
            assert_eq!(body["valueQuantity"]["code"], unit);
            assert_eq!(body["valueQuantity"]["system"], "http://unitsofmeasure.org");
        }
        if code == "2708-6" {
            assert_eq!(body["code"]["coding"][1]["code"], "59408-5");
        }
        seen.insert(code);
    }
    assert_eq!(seen.len(), units.len());
}

#[test]
fn everything_comes_in_through_the_strict_door() {
    let [_, second] = hospitals(7, end());
    let patient = &second.patients[19];

    let parsed =
        Body::<resource::Patient>::parse(patient.body.as_bytes(), &[], vitals_fhir_profiles::validate).unwrap();
    assert_eq!(parsed.id().unwrap().as_str(), patient.id);
    for observation in patient.observations() {
        let parsed =
            Body::<resource::Observation>::parse(observation.body.as_bytes(), &[], vitals_fhir_profiles::validate)
                .unwrap();
        assert_eq!(parsed.id().unwrap().as_str(), observation.id);
        assert_eq!(parsed.index().patient.as_deref(), Some(patient.id.as_str()));
    }
}

#[test]
fn fever_rises_and_passes_and_the_heart_follows() {
    let temperatures = values(&with(Episode::Fever), "temp");
    let hearts = values(&with(Episode::Fever), "hr");
    let highest = temperatures.iter().copied().fold(0.0, f64::max);
    let mean = |of: &[f64]| of.iter().sum::<f64>() / f64::from(u32::try_from(of.len()).unwrap());

    assert!((38.8..40.5).contains(&highest), "{highest}");
    let hot = temperatures.iter().filter(|value| **value >= 38.0).count();
    assert!((5..=14).contains(&hot), "{hot}");
    assert!(temperatures[..150].iter().chain(&temperatures[200..]).all(|value| *value < 37.8));
    assert!(mean(&hearts[174..189]) > mean(&hearts[..150]) + 8.0);
}

#[test]
fn saturation_falls_in_one_night_alone() {
    let saturations = values(&with(Episode::DesaturationNight), "spo2");

    let low = saturations.iter().filter(|value| **value < 90.0).count();
    assert_eq!(low, 3);
    assert!(saturations.iter().all(|value| (75.0..=100.0).contains(value)));
}

#[test]
fn hearts_rest_in_the_morning_and_work_in_the_afternoon() {
    let [first, _] = hospitals(7, end());
    let hearts = values(&first.patients[0], "hr");
    let at = |round: usize| hearts.iter().skip(round).step_by(3).sum::<f64>() / 89.0;

    assert!(at(1) > at(0) + 4.0, "{} {}", at(0), at(1));
}
