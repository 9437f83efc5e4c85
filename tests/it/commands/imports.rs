//! `vitals import`.

mod broken_off;
mod formats;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use vitals_tests::{
    examples,
    program::{self, Shared},
    samples,
};

use super::{get, members, tenant, token};

/// Stands in what is refused, and must not be told.
const CANARY: &str = "CANARY-of-the-import";

fn lines(resources: &[Value]) -> String {
    let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
    lines.join("\n")
}

/// A text as gzip packs it.
fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A Bundle of these entries.
fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

/// What the file of errors of a report says.
fn errors(report: &Value) -> Vec<Value> {
    let Some(path) = report["errors_file"].as_str() else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect()
}

/// Each refusal as its line, its entry and the code of its first issue.
fn told(errors: &[Value]) -> Vec<String> {
    let told = |error: &Value| {
        let entry = error["entry"].as_u64().map(|entry| format!(" entry {entry}")).unwrap_or_default();
        format!("{}{entry}: {}", error["line"], error["issues"][0]["code"].as_str().expect("a code"))
    };
    errors.iter().map(told).collect()
}

#[tokio::test]
async fn good_lines_are_loaded_and_the_others_told_with_their_reasons() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "import").await;
    let mut unknown_element = samples::patient("p3", CANARY);
    unknown_element["shoeSize"] = CANARY.into();
    let mut no_status = samples::heart_rate("o2", "p1");
    no_status.as_object_mut().expect("an object").remove("status");
    no_status["note"] = json!([{ "text": CANARY }]);
    let text = format!(
        "{}\n\n{}\r\n{CANARY} is no JSON\n{}\n  {}\n{unknown_element}\n{no_status}",
        samples::patient("p1", "Amsel"),
        samples::patient("p2", "Meise"),
        json!({ "resourceType": "Device", "id": "d1" }),
        samples::heart_rate("o1", "p1"),
    );
    let file = program.file(&format!("{id}.ndjson"), &text);

    let ran = program.run(&["import", "--tenant", &id, &file, "--json"]).await.expect(1);

    let report = ran.json();
    assert_eq!(members(&report), ["errors_file", "loaded", "read", "refused"]);
    assert_eq!((&report["read"], &report["loaded"], &report["refused"]), (&json!(7), &json!(3), &json!(4)));
    let errors = errors(&report);
    for error in &errors {
        assert_eq!(members(error), ["file", "issues", "line"]);
        assert_eq!(error["file"], file.as_str());
        assert!(error["issues"][0]["severity"] == "error" && error["issues"][0]["diagnostics"].is_string(), "{error}");
    }
    assert_eq!(told(&errors), ["4: structure", "5: not-supported", "7: structure", "8: required"]);
    assert_eq!(errors[3]["issues"][0]["expression"], json!(["Observation.status"]));
    assert!(!errors.iter().any(|error| error.to_string().contains(CANARY)) && !ran.stderr.contains(CANARY));
    let token = token(program, &id, "system/*.rs").await;
    let mut ids = get(&id, "Patient", &token).await.expect(200).ids();
    ids.sort();
    assert_eq!(ids, ["p1", "p2"]);
    assert_eq!(get(&id, "Observation?patient=p1", &token).await.expect(200).ids(), ["o1"]);
}

#[tokio::test]
async fn loading_twice_does_not_double_and_writes_only_what_changed() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "twice").await;
    let observation = |id: &str| samples::heart_rate(id, "p1");
    let first = program.file(
        &format!("{id}-first.ndjson"),
        &lines(&[samples::patient("p1", "Amsel"), observation("o1"), observation("o2")]),
    );
    let mut changed = observation("o2");
    changed["status"] = "amended".into();
    let second = program
        .file(&format!("{id}-second.ndjson"), &lines(&[samples::patient("p1", "Amsel"), observation("o1"), changed]));

    for file in [&first, &first, &second] {
        let ran = program.run(&["import", "--tenant", &id, file, "--json"]).await.expect(0);
        assert_eq!(ran.json(), json!({ "read": 3, "loaded": 3, "refused": 0, "errors_file": null }));
    }

    let token = token(program, &id, "system/*.rs").await;
    let mut ids = get(&id, "Observation", &token).await.expect(200).ids();
    ids.sort();
    assert_eq!(ids, ["o1", "o2"]);
    for (path, version) in [("Patient/p1", "1"), ("Observation/o1", "1"), ("Observation/o2", "2")] {
        assert_eq!(get(&id, path, &token).await.expect(200).json()["meta"]["versionId"], version, "{path}");
    }
}

#[tokio::test]
async fn several_files_are_one_import_and_what_comes_twice_is_written_in_order() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "several").await;
    let patients = program.file(&format!("{id}-patients.ndjson"), &lines(&[samples::patient("p1", "Amsel")]));
    let mut later = samples::heart_rate("o1", "p1");
    later["status"] = "amended".into();
    let observations = program.file(&format!("{id}-vitals.ndjson"), &lines(&[samples::heart_rate("o1", "p1"), later]));

    let ran = program.run(&["import", "--tenant", &id, &patients, &observations]).await.expect(0);

    assert_eq!(ran.stdout, "3 read, 3 loaded, 0 refused\n");
    let token = token(program, &id, "system/*.rs").await;
    let standing = get(&id, "Observation/o1", &token).await.expect(200).json();
    assert_eq!((&standing["status"], &standing["meta"]["versionId"]), (&json!("amended"), &json!("2")));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_before_anything_is_loaded() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "missing").await;
    let good = program.file(&format!("{id}.ndjson"), &lines(&[samples::patient("p1", "Amsel")]));

    let ran = program.run(&["import", "--tenant", &id, &good, "/nowhere/at/all.ndjson"]).await;

    ran.expect_sentence(1, "cannot read /nowhere/at/all.ndjson");
    let token = token(program, &id, "system/*.rs").await;
    assert!(get(&id, "Patient", &token).await.expect(200).ids().is_empty());
}

#[tokio::test]
async fn real_data_is_loaded_whole() {
    let Some(files) = examples::files() else {
        println!("not run: 1 case, it needs the files of VITALS_TEST_DATA");
        return;
    };
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "real").await;
    let paths: Vec<String> = files.iter().map(|(path, ..)| path.display().to_string()).collect();
    let mut line = vec!["--json", "import", "--tenant", &id];
    line.extend(paths.iter().map(String::as_str));

    // Some official examples break a rule themselves.
    let report = program.run(&line).await.expect(1).json();

    let expected = examples::refused();
    let read: usize =
        files.iter().map(|(_, _, text)| text.lines().filter(|line| !line.trim().is_empty()).count()).sum();
    assert!(read > 1_900, "only {read} resources in {paths:?}");
    let figures = (&report["read"], &report["loaded"], &report["refused"]);
    assert_eq!(figures, (&json!(read), &json!(read - expected.len()), &json!(expected.len())));
    let mut refused = Vec::new();
    for error in errors(&report) {
        let file = paths.iter().position(|path| error["file"] == path.as_str()).expect("one of the files");
        let number = usize::try_from(error["line"].as_u64().expect("a number")).expect("a line in memory");
        let line: Value = serde_json::from_str(files[file].2.lines().nth(number - 1).expect("a line")).expect("JSON");
        let known = expected.iter().find(|known| {
            (known.file, known.resource_type, known.id)
                == (&*files[file].1, text_of(&line, "resourceType"), text_of(&line, "id"))
        });
        let known = known.unwrap_or_else(|| panic!("no known exception: {error}"));
        known.is_why(&error["issues"]);
        refused.push(*known);
    }
    refused.sort_unstable();
    assert_eq!(refused, expected, "each of them, once");
    let token = token(program, &id, "vitals.heart_rate:read").await;
    let found = get(&id, "Observation?code=http://loinc.org|8867-4&_count=1000", &token).await.expect(200);
    assert!(!found.ids().is_empty());
}

fn text_of<'r>(resource: &'r Value, name: &str) -> &'r str {
    resource[name].as_str().expect("a text")
}
