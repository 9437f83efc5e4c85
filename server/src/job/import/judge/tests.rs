use std::io::Cursor;

use serde_json::Value as Json;
use vitals_access::tenant::TenantRole;

use super::*;
use crate::job::import::chunks::Chunks;

/// The batches of a text, and every error.
fn judged(text: &str) -> (Vec<Judged>, Vec<Json>) {
    let namer = crate::job::import::files::tests::namer(&TenantRole::generate());
    let bases = ["http://here/fhir".to_owned()];
    let judge = Judge { bases: &bases, name: "a \"file\"", file: 3, namer };
    let mut chunks = Chunks::of(Cursor::new(text.as_bytes().to_vec())).unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().unwrap() {
        all.extend(judge.chunk(&chunk));
    }
    let errors = all.iter().flat_map(|judged| judged.errors.lines()).map(|line| serde_json::from_str(line).unwrap());
    let errors = errors.collect();
    (all, errors)
}

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;

fn bundle(entries: &[&str]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}

#[test]
fn what_is_refused_is_told_with_file_line_entry_and_issues() {
    let entries = [r#"{"resource":{"resourceType":"Device"}}"#, r#"{"fullUrl":"urn:uuid:1"}"#];
    let text = format!("{PATIENT}\n{{\n\n{}\n{PATIENT}x", bundle(&entries));

    let (all, errors) = judged(&text);

    assert_eq!(all.len(), 1);
    assert_eq!(all[0].tally, Tally { read: 5, loaded: 1, refused: 4 });
    assert_eq!(all[0].place, Place { file: 3, chunk: 0, part: 0, parts: 1 });
    let told: Vec<String> = errors
        .iter()
        .map(|error| {
            assert_eq!(error["file"], "a \"file\"");
            assert_eq!(error["issues"][0]["severity"], "error");
            assert!(error["issues"][0]["diagnostics"].as_str().is_some_and(|text| text.len() > 10), "{error}");
            format!("{} {} {}", error["line"], error["entry"], error["issues"][0]["code"])
        })
        .collect();
    assert_eq!(
        told,
        ["2 null \"structure\"", "4 0 \"not-supported\"", "4 1 \"not-supported\"", "5 null \"structure\""]
    );
}

#[test]
fn an_entry_that_asks_for_more_than_to_be_loaded_is_refused() {
    let entry = |method: &str, url: &str, more: &str, resource: &str| {
        format!(r#"{{"request":{{"method":"{method}","url":"{url}"{more}}},"resource":{resource}}}"#)
    };
    let named = r#"{"resourceType":"Patient","id":"p"}"#;
    let about = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=7"}}"#;
    let cases = [
        (entry("POST", "Patient", "", PATIENT), None),
        (entry("PUT", "Patient/p", "", named), None),
        (entry("PUT", "http://here/fhir/Patient/p", "", named), None),
        (entry("PUT", "Patient/q", "", named), Some("Bundle.entry.request.url")),
        (entry("PUT", "Patient/p", "", PATIENT), Some("Bundle.entry.request.url")),
        (entry("PUT", "Patient?identifier=7", "", PATIENT), Some("Bundle.entry")),
        (entry("POST", "Patient", r#","ifNoneExist":"identifier=7""#, PATIENT), Some("Bundle.entry")),
        (entry("POST", "Observation", "", about), Some("Bundle.entry")),
        (entry("PATCH", "Patient/p", "", named), Some("Bundle.entry.request")),
        (entry("DELETE", "Patient/p", "", named), Some("Bundle.entry.request")),
    ];
    for (entry, refused) in cases {
        let (_, errors) = judged(&bundle(&[&entry]));
        let told = errors.first().map(|error| error["issues"][0]["expression"][0].as_str().unwrap());
        assert_eq!(told, refused, "{entry}");
    }
}

#[test]
fn a_large_bundle_is_several_parts_and_they_are_the_same_whenever_it_is_read() {
    let text = bundle(&vec![r#"{"resource":{"resourceType":"Patient"}}"#; 2 * usize::try_from(PART).unwrap() + 1]);

    let (all, errors) = judged(&text);

    assert!(errors.is_empty());
    let parts: Vec<(i32, i32, u64)> =
        all.iter().map(|judged| (judged.place.part, judged.place.parts, judged.tally.loaded)).collect();
    assert_eq!(parts, [(0, 3, PART), (1, 3, PART), (2, 3, 1)]);
    assert!(all[0].batch.is_disjoint(&all[1].batch) && !all[0].batch.is_disjoint(&all[0].batch));
}

#[test]
fn few_of_many_issues_are_told() {
    let many: Vec<String> = (0..100).map(|number| format!(r#""x{number}":1"#)).collect();
    let (_, errors) = judged(&format!(r#"{{"resourceType":"Patient",{}}}"#, many.join(",")));
    assert_eq!(errors[0]["issues"].as_array().map(Vec::len), Some(MOST_ISSUES));
}
