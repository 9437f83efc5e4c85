//! The official examples and the real data that are valid are taken as they are.

use std::{fs, path::PathBuf};

use vitals_fhir::{
    json,
    outcome::{Issue, Severity},
    resource::ResourceType::{self, Observation, Patient},
    structure,
};

/// Files with their types and how many resources they hold.
const FILES: [(&str, ResourceType, usize); 6] = [
    ("r4-examples-Patient.ndjson", Patient, 22),
    ("r4-examples-Observation.ndjson", Observation, 64),
    ("uscore8-examples-Patient.ndjson", Patient, 4),
    ("uscore8-examples-Observation.ndjson", Observation, 138),
    ("synthea-Patient.ndjson", Patient, 25),
    ("synthea-Observation-vitals.ndjson", Observation, 1_740),
];

/// Examples that break a rule: file, id, code and expression of the one finding.
fn exceptions() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let lines = include_str!("refused.tsv").lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let refused = fields.map(|fields| match fields[..] {
        [file, _type, id, code, expression, _reason] => (file, id, code, expression),
        _ => panic!("six columns, not {fields:?}"),
    });
    refused.collect()
}

#[allow(clippy::disallowed_methods, reason = "a test asks its environment where the data is")]
fn data() -> Option<PathBuf> {
    std::env::var_os("VITALS_TEST_DATA").map(PathBuf::from)
}

fn id(line: &str) -> String {
    let document = json::parse(line.as_bytes()).expect("an example is JSON");
    document.root().get("id").and_then(json::Value::string).expect("an example has an id").into_owned()
}

fn judge(line: &str, resource: ResourceType) -> (Vec<Issue>, Vec<Issue>) {
    let document = json::parse(line.as_bytes()).expect("an example is JSON");
    assert_eq!(structure::check(&document, resource), []);
    (vitals_fhir_profiles::validate(document.root(), resource), vitals_fhir_profiles::plausibility(document.root()))
}

#[test]
fn valid_examples_are_taken_and_exceptions_are_named() {
    let Some(folder) = data() else {
        println!("not run: {} cases (VITALS_TEST_DATA is not set)", FILES.iter().map(|file| file.2).sum::<usize>());
        return;
    };
    let exceptions = exceptions();
    let (mut refused, mut doubted, mut faults) = (0, 0, Vec::new());
    for (file, resource, count) in FILES {
        let text = fs::read_to_string(folder.join(file)).expect("the file is there");
        assert_eq!(text.lines().count(), count, "{file}");
        for line in text.lines() {
            let id = id(line);
            let (issues, warnings) = judge(line, resource);
            assert!(warnings.iter().all(|issue| issue.severity == Severity::Warning));
            doubted += usize::from(!warnings.is_empty());
            let exception = exceptions.iter().find(|exception| exception.0 == file && exception.1 == id);
            if let Some((_, _, code, expression)) = exception {
                refused += 1;
                let found = issues.first().map(|issue| (issue.code.code(), issue.expression.as_deref()));
                assert_eq!(found, Some((*code, Some(*expression))), "{file} {id}");
                assert_eq!(issues.len(), 1, "{file} {id}");
            } else if !issues.is_empty() {
                faults.push(format!("{file} {id}: {issues:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert_eq!(refused, exceptions.len());
    assert_eq!(doubted, 0, "no example is improbable");
}
