//! What a file may be: NDJSON, Bundles, packed or not, too long or broken.

use serde_json::{Value, json};
use vitals_tests::{
    program::{self, Shared},
    samples,
};

use super::{bundle, errors, get, lines, packed, tenant, token, told};

/// A heart rate without an id.
fn unnamed(patient: &str) -> Value {
    let mut observation = samples::heart_rate("x", patient);
    observation.as_object_mut().expect("an object").remove("id");
    observation
}

fn count(report: &Value) -> [u64; 3] {
    ["read", "loaded", "refused"].map(|name| report[name].as_u64().expect("a number"))
}

#[tokio::test]
async fn gzip_is_told_by_its_first_bytes_and_may_have_several_members() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "gzip").await;
    let text =
        lines(&[samples::patient("p1", "Amsel"), samples::heart_rate("o1", "p1"), samples::heart_rate("o2", "p1")]);
    let (first, second) = text.split_at(text.len() / 2);
    let members = [packed(first), packed(second)].concat();
    // The names say the opposite of what they are.
    let packed = program.file(&format!("{id}.ndjson"), members);
    let plain = program.file(&format!("{id}.ndjson.gz"), lines(&[samples::heart_rate("o3", "p1")]));

    let ran = program.run(&["import", "--tenant", &id, &packed, &plain, "--json"]).await.expect(0);

    assert_eq!(ran.json(), json!({ "read": 4, "loaded": 4, "refused": 0, "errors_file": null }));
    let token = token(program, &id, "system/*.rs").await;
    let mut ids = get(&id, "Observation?patient=p1", &token).await.expect(200).ids();
    ids.sort();
    assert_eq!(ids, ["o1", "o2", "o3"]);
}

#[tokio::test]
async fn of_a_gzip_stream_that_breaks_off_what_came_before_is_loaded_and_the_rest_told() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "cut").await;
    let mut observations: Vec<Value> =
        (0..3_000).map(|number| samples::heart_rate(&format!("o{number}"), "p1")).collect();
    observations.push(samples::patient("p1", "Amsel"));
    let mut bytes = packed(&lines(&observations));
    bytes.truncate(bytes.len() / 2);
    let file = program.file(&format!("{id}.gz"), bytes);
    let after = program.file(&format!("{id}.ndjson"), lines(&[samples::patient("p2", "Meise")]));

    let ran = program.run(&["import", "--tenant", &id, &file, &after, "--json"]).await.expect(1);

    let report = ran.json();
    let [read, loaded, refused] = count(&report);
    assert!(refused == 1 && loaded + 1 == read && (100..3_001).contains(&loaded), "{report}");
    let errors = errors(&report);
    assert_eq!(told(&errors), [format!("{}: structure", loaded)]);
    let why = errors[0]["issues"][0]["diagnostics"].as_str().expect("a sentence");
    assert!(why.contains("gzip stream breaks off"), "{why}");
    let token = token(program, &id, "system/*.rs").await;
    let last = format!("Observation/o{}", loaded - 2);
    get(&id, &last, &token).await.expect(200);
    get(&id, &format!("Observation/o{}", loaded - 1), &token).await.expect(404);
    get(&id, "Patient/p2", &token).await.expect(200);
}

#[tokio::test]
async fn a_bundle_is_a_file_or_a_line_and_its_references_become_the_ids_that_its_resources_get() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "bundles").await;
    let mut patient = samples::patient("x", "Amsel");
    patient.as_object_mut().expect("an object").remove("id");
    let entries = |urn: &str| {
        [
            json!({ "fullUrl": format!("{urn}2"), "resource": unnamed("x") }),
            json!({ "fullUrl": format!("{urn}1"), "resource": patient.clone() }),
        ]
    };
    let about = |urn: &str| {
        let mut entries = entries(urn);
        entries[0]["resource"]["subject"]["reference"] = format!("{urn}1").into();
        entries[0]["request"] = json!({ "method": "POST", "url": "Observation" });
        entries
    };
    let whole = serde_json::to_string_pretty(&bundle("transaction", &about("urn:uuid:a"))).expect("JSON");
    let file = program.file(&format!("{id}.json"), packed(&whole));
    let line = lines(&[
        samples::patient("p1", "Meise"),
        bundle("collection", &about("urn:uuid:a")),
        samples::heart_rate("o1", "p1"),
        bundle(
            "searchset",
            &[json!({ "fullUrl": "http://there/fhir/Patient/p2", "resource": samples::patient("p2", "Star") })],
        ),
    ]);
    let mixed = program.file(&format!("{id}.ndjson"), &line);
    let one_line = program.file(&format!("{id}.line"), bundle("batch", &about("urn:uuid:b")).to_string());

    // Twice: what has no id has the same one whenever the file is read.
    for _ in 0..2 {
        let ran = program.run(&["import", "--tenant", &id, &file, &mixed, &one_line, "--json"]).await.expect(0);
        assert_eq!(count(&ran.json()), [9, 9, 0]);
    }

    let token = token(program, &id, "system/*.rs").await;
    let observations = get(&id, "Observation?_count=100", &token).await.expect(200);
    let patients = get(&id, "Patient?_count=100", &token).await.expect(200);
    assert_eq!((observations.ids().len(), patients.ids().len()), (4, 5));
    for entry in observations.json()["entry"].as_array().expect("entries") {
        let reference = entry["resource"]["subject"]["reference"].as_str().expect("a reference").to_owned();
        get(&id, &reference, &token).await.expect(200);
        let found = get(&id, &format!("Observation?subject={reference}"), &token).await.expect(200).ids();
        assert_eq!(found, [entry["resource"]["id"].as_str().expect("an id")]);
    }
}

#[tokio::test]
async fn entries_are_refused_one_by_one_and_bundles_that_hold_no_resources_as_a_whole() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "entries").await;
    let mut no_status = samples::heart_rate("o2", "p1");
    no_status.as_object_mut().expect("an object").remove("status");
    let entries = [
        json!({ "resource": { "resourceType": "Organization", "name": "A" } }),
        json!({ "resource": samples::patient("p1", "Amsel") }),
        json!({ "resource": no_status }),
        json!({ "request": { "method": "DELETE", "url": "Patient/p1" } }),
        json!({ "resource": samples::heart_rate("o1", "p1") }),
        json!({ "resource": { "resourceType": "Bundle", "type": "collection" } }),
    ];
    let text = lines(&[
        bundle("history", &[json!({ "resource": samples::patient("p7", "Amsel") })]),
        bundle("transaction", &entries),
        json!({ "resourceType": "Bundle", "type": "document" }),
        json!({ "resourceType": "Bundle", "type": "collection" }),
    ]);
    let file = program.file(&format!("{id}.ndjson"), &text);

    let report = program.run(&["import", "--tenant", &id, &file, "--json"]).await.expect(1).json();

    assert_eq!(count(&report), [8, 2, 6]);
    let errors = errors(&report);
    assert_eq!(
        told(&errors),
        [
            "1: not-supported",
            "2 entry 0: not-supported",
            "2 entry 2: required",
            "2 entry 3: not-supported",
            "2 entry 5: not-supported",
            "3: not-supported"
        ]
    );
    assert_eq!(errors[0]["issues"][0]["expression"], json!(["Bundle.type"]));
    let token = token(program, &id, "system/*.rs").await;
    assert_eq!(get(&id, "Patient", &token).await.expect(200).ids(), ["p1"]);
    assert_eq!(get(&id, "Observation", &token).await.expect(200).ids(), ["o1"]);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_the_rest_goes_on() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "long").await;
    let mut long = samples::heart_rate("o2", "p1");
    long["note"] = json!([{ "text": "x".repeat(5 * 1024 * 1024) }]);
    let text = lines(&[samples::heart_rate("o1", "p1"), long, samples::heart_rate("o3", "p1")]);
    let file = program.file(&format!("{id}.ndjson"), &text);

    let report = program.run(&["import", "--tenant", &id, &file, "--json"]).await.expect(1).json();

    assert_eq!(count(&report), [3, 2, 1]);
    assert_eq!(told(&errors(&report)), ["2: too-long"]);
    let token = token(program, &id, "system/*.rs").await;
    let mut ids = get(&id, "Observation", &token).await.expect(200).ids();
    ids.sort();
    assert_eq!(ids, ["o1", "o3"]);
}

#[tokio::test]
async fn standard_input_is_read_and_said_to_be_read_once() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "input").await;
    let text = lines(&[samples::patient("p1", "Amsel"), unnamed("p1")]);

    let ran = program.run_with(&["import", "--tenant", &id, "-", "--json"], &packed(&text)).await.expect(0);
    let twice = program.run_with(&["import", "--tenant", &id, "-", "-"], text.as_bytes()).await;

    assert_eq!(count(&ran.json()), [2, 2, 0]);
    assert!(ran.stderr.contains("cannot go on where it stops"), "{}", ran.stderr);
    twice.expect_sentence(2, "can be read once only");
}

#[tokio::test]
async fn a_folder_is_no_file() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "folder").await;

    let ran = program.run(&["import", "--tenant", &id, "/tmp"]).await;

    ran.expect_sentence(1, "it is a folder; name the files in it");
}
