//! The tables against the scopes' vitals, and against the published profiles.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use vitals_fhir::vital::Vital;

use super::{codes, profile, vitals};

/// Published profiles, each with the vital it describes.
const PUBLISHED: [(&str, &str); 18] = [
    ("r4-heartrate", "heart_rate"),
    ("r4-resprate", "respiratory_rate"),
    ("r4-oxygensat", "spo2"),
    ("r4-bp", "blood_pressure"),
    ("r4-bodytemp", "body_temperature"),
    ("r4-bodyweight", "body_weight"),
    ("r4-bodyheight", "body_height"),
    ("r4-bmi", "bmi"),
    ("r4-headcircum", "head_circumference"),
    ("uscore800-us-core-heart-rate", "heart_rate"),
    ("uscore800-us-core-respiratory-rate", "respiratory_rate"),
    ("uscore800-us-core-pulse-oximetry", "spo2"),
    ("uscore800-us-core-blood-pressure", "blood_pressure"),
    ("uscore800-us-core-body-temperature", "body_temperature"),
    ("uscore800-us-core-body-weight", "body_weight"),
    ("uscore800-us-core-body-height", "body_height"),
    ("uscore800-us-core-bmi", "bmi"),
    ("uscore800-us-core-head-circumference", "head_circumference"),
];

/// Codes of components that belong to a vital's US Core profile without being that vital.
const NOT_VITALS: [&str; 2] = ["3150-0", "3151-8"];

#[test]
fn the_tables_have_the_vitals_and_codes_that_scopes_are_made_from() {
    let order: Vec<_> = vitals().iter().map(|row| row.vital).collect();
    assert_eq!(order, Vital::ALL);
    for vital in Vital::ALL {
        let loinc: Vec<_> = codes().iter().filter(|row| row.vital == vital).map(|row| row.loinc).collect();
        assert_eq!(loinc, vital.loinc(), "{vital:?}");
        assert_eq!(profile(vital).vital, vital);
    }
    assert_eq!(codes().len(), Vital::ALL.iter().map(|vital| vital.loinc().len()).sum::<usize>());
}

#[test]
fn every_table_is_read_and_every_field_is_filled() {
    let files = ["types.tsv", "value-sets.tsv", "invariants.tsv"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let profiles = fs::read_dir(folder.join("profiles")).unwrap().map(|entry| entry.unwrap().path());
    let all = files.into_iter().map(|file| folder.join(file)).chain(profiles);
    let mut count = 0;
    for path in all.filter(|path| path.extension().is_some_and(|end| end == "tsv")) {
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.starts_with('#')) {
            assert!(line.split('\t').all(|field| !field.is_empty() && field.trim() == field), "{path:?} {line:?}");
            count += 1;
        }
    }
    assert!(count > 900, "{count}");
    assert_eq!(crate::profile::TABLE.list.len(), 12);
    assert_eq!(crate::profile::TABLE.each(crate::profile::TABLE.of_code("8867-4")).count(), 2);
}

#[test]
fn each_profile_says_what_it_is_and_limits_only_units_it_allows() {
    for profile in &crate::profile::TABLE.list {
        assert!(!profile.title.is_empty() && profile.url.starts_with("http"), "{}", profile.title);
        for limit in &profile.limits {
            let units = match limit.loinc {
                None => match &profile.value {
                    crate::profile::ValueRule::Quantity(units) => units,
                    _ => panic!("{} limits a value that it does not have", profile.title),
                },
                Some(loinc) => &profile.components.iter().find(|part| part.loinc == loinc).unwrap().units,
            };
            assert!(units.contains(&limit.unit), "{} {}", profile.title, limit.unit);
            assert!(limit.possible.0 <= limit.plausible.0 && limit.plausible.1 <= limit.possible.1);
        }
    }
}

#[test]
fn the_tables_say_what_the_published_profiles_say() {
    let Some(folder) = published_folder() else {
        println!("not run: {} cases (VITALS_TEST_DATA is not set)", PUBLISHED.len());
        return;
    };
    for (file, name) in PUBLISHED {
        let row = profile(Vital::named(name).unwrap());
        let definition = read(&folder, file);
        let own_url = if file.starts_with("r4-") { row.fhir } else { row.us_core };
        assert_eq!(definition["url"], own_url, "{file}");

        let mut loinc = BTreeSet::new();
        let mut units = BTreeSet::new();
        for element in definition["snapshot"]["element"].as_array().unwrap() {
            let id = element["id"].as_str().unwrap();
            let in_code = id.contains(".code") && !id.contains("value[x]") && !id.contains("category");
            for text in fixed(element) {
                if in_code {
                    loinc.insert(text);
                } else if id.contains("value[x]") && !id.contains("FlowRate") && !id.contains("Concentration") {
                    units.insert(text);
                }
            }
            if id.ends_with("valueQuantity.code")
                && let Some(set) = element["binding"]["valueSet"].as_str()
            {
                let name = set.rsplit('/').next().unwrap().split('|').next().unwrap();
                units.extend(concepts(&read(&folder, &format!("ValueSet-{name}"))));
            }
        }
        loinc.retain(|code| !NOT_VITALS.contains(&code.as_str()));
        assert!(!loinc.is_empty() && !units.is_empty(), "{file}");
        for code in &loinc {
            assert_eq!(Vital::of_loinc(code), Some(row.vital), "{file} {code}");
        }
        if file.starts_with("r4-") {
            assert!(loinc.contains(row.vital.loinc()[0]), "{file}");
        }
        assert_eq!(units, row.units.iter().map(|unit| (*unit).to_owned()).collect(), "{file}");
    }
    // Every code of FHIR's own list but the vitals panel, which is a list of other Observations, is one of ours.
    for code in concepts(&read(&folder, "ValueSet-observation-vitalsignresult")) {
        assert!(code == "85353-1" || Vital::of_loinc(&code).is_some(), "{code}");
    }
}

#[expect(clippy::disallowed_methods, reason = "tests find the published data through the environment")]
fn published_folder() -> Option<std::path::PathBuf> {
    std::env::var_os("VITALS_TEST_DATA").map(|folder| Path::new(&folder).join("profiles"))
}

fn read(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(format!("{file}.json"))).unwrap()).unwrap()
}

fn fixed(element: &Value) -> Vec<String> {
    let one = element["fixedCode"].as_str().or(element["patternCoding"]["code"].as_str());
    let several = element["patternCodeableConcept"]["coding"].as_array().into_iter().flatten();
    one.into_iter().chain(several.filter_map(|coding| coding["code"].as_str())).map(str::to_owned).collect()
}

fn concepts(value_set: &Value) -> Vec<String> {
    let include = value_set["compose"]["include"].as_array().unwrap();
    let concepts = include.iter().flat_map(|part| part["concept"].as_array().into_iter().flatten());
    concepts.map(|concept| concept["code"].as_str().unwrap().to_owned()).collect()
}
