//! Mutants of the official vital signs, each with one rule broken, are refused at the right place.
//!
//! The generator (`mutate.rs`) takes each valid vital sign among the official R4 and US Core examples and breaks one
//! rule in it, wherever the rule applies. A mutant must give exactly one finding, of the right code, at the right
//! expression, that says nothing of the values in it.

mod mutate;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;
use vitals_fhir::{
    json,
    outcome::{Issue, Severity},
    resource::ResourceType,
    structure,
};

use mutate::{CANARY, MUTATIONS, Mutation, PATIENT_MUTATIONS};

/// Mutants that the generator makes of the official examples; more when there are more rules, never fewer.
const LEAST: usize = 400;

#[allow(clippy::disallowed_methods, reason = "a test asks its environment where the data is")]
fn data() -> Option<PathBuf> {
    std::env::var_os("VITALS_TEST_DATA").map(PathBuf::from)
}

/// What the two checks find, in their order: the second is asked only where the first finds nothing.
fn judge(text: &str, resource: ResourceType) -> Vec<Issue> {
    let document = json::parse(text.as_bytes()).expect("a mutant is JSON");
    let issues = structure::check(&document, resource);
    if issues.is_empty() { vitals_fhir_profiles::validate(document.root(), resource) } else { issues }
}

fn is_vital(observation: &Value) -> bool {
    let categories = observation["category"].as_array().into_iter().flatten();
    let mut codings = categories.flat_map(|category| category["coding"].as_array().into_iter().flatten());
    codings.any(|coding| coding["code"] == "vital-signs")
}

fn originals(folder: &std::path::Path, files: [&str; 2], resource: ResourceType) -> Vec<Value> {
    let text = files.map(|file| fs::read_to_string(folder.join(file)).expect("the file is there")).concat();
    let valid = text.lines().filter(|line| judge(line, resource).is_empty());
    valid.map(|line| serde_json::from_str(line).expect("an example is JSON")).collect()
}

/// Applies every mutation to every original; the number of mutants, and what went wrong.
fn run(
    originals: &[Value],
    mutations: &[(&'static str, Mutation)],
    resource: ResourceType,
) -> (BTreeMap<&'static str, usize>, Vec<String>) {
    let (mut counts, mut faults) = (BTreeMap::new(), Vec::new());
    for original in originals {
        for (rule, mutation) in mutations {
            let mut mutant = original.clone();
            let Some((code, expression)) = mutation(&mut mutant) else { continue };
            assert_ne!(mutant, *original, "{rule} changes nothing in {}", original["id"]);
            *counts.entry(*rule).or_default() += 1;
            let issues = judge(&mutant.to_string(), resource);
            let as_wanted = matches!(&issues[..], [issue] if issue.code.code() == code
                && issue.severity == Severity::Error
                && issue.expression.as_deref() == Some(expression.as_str()));
            if !as_wanted {
                faults.push(format!("{} {rule}: wanted {code} at {expression}, got {issues:?}", original["id"]));
            }
            if issues.iter().any(|issue| issue.diagnostics.contains(CANARY)) {
                faults.push(format!("{} {rule}: the finding repeats a value", original["id"]));
            }
        }
    }
    (counts, faults)
}

#[test]
fn each_mutant_of_a_vital_sign_is_refused_at_the_right_place() {
    let Some(folder) = data() else {
        println!("not run: {LEAST} cases (VITALS_TEST_DATA is not set)");
        return;
    };
    let files = ["r4-examples-Observation.ndjson", "uscore8-examples-Observation.ndjson"];
    let mut vitals = originals(&folder, files, ResourceType::Observation);
    vitals.retain(is_vital);
    assert!(vitals.len() >= 30, "{} vital signs", vitals.len());
    let (counts, faults) = run(&vitals, MUTATIONS, ResourceType::Observation);
    let made: usize = counts.values().sum();
    assert!(faults.is_empty(), "{} of {made}\n{}", faults.len(), faults.join("\n"));
    let idle: Vec<_> = MUTATIONS.iter().filter(|(rule, _)| !counts.contains_key(rule)).map(|(rule, _)| rule).collect();
    assert!(idle.is_empty(), "no example has what these need: {idle:?}");
    assert!(made >= LEAST, "{made} mutants");
    println!("{made} mutants of {} vital signs over {} rules", vitals.len(), MUTATIONS.len());
}

#[test]
fn each_mutant_of_a_patient_is_refused_at_the_right_place() {
    let Some(folder) = data() else {
        println!("not run: {} cases (VITALS_TEST_DATA is not set)", PATIENT_MUTATIONS.len());
        return;
    };
    let files = ["r4-examples-Patient.ndjson", "uscore8-examples-Patient.ndjson"];
    let patients = originals(&folder, files, ResourceType::Patient);
    let (counts, faults) = run(&patients, PATIENT_MUTATIONS, ResourceType::Patient);
    let made: usize = counts.values().sum();
    assert!(faults.is_empty(), "{} of {made}\n{}", faults.len(), faults.join("\n"));
    assert_eq!(counts.len(), PATIENT_MUTATIONS.len());
    println!("{made} mutants of {} patients over {} rules", patients.len(), PATIENT_MUTATIONS.len());
}
