//! Bundles taken apart, and references rewritten to the byte.

use super::*;

const BASES: [&str; 2] = ["https://a.test/t/x/fhir", "https://a.test/fhir"];

fn parse(text: &str) -> Result<Bundle, Refused> {
    Bundle::parse(text.as_bytes().to_vec(), &BASES)
}

/// A transaction of two entries: an Observation at this full URL with this text, and a Patient at that one.
fn pair(observation: &str, patient: &str, resource: &str) -> Bundle {
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"{observation}","resource":{resource},"request":{{"method":"POST","url":"Observation"}}}},
            {{"fullUrl":"{patient}","resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient"}}}}
        ]}}"#
    );
    parse(&text).unwrap()
}

fn rewritten(bundle: &Bundle) -> String {
    let naming = |named: &Named| match named {
        Named::Entry { place, .. } => Some(["Observation/new", "Patient/new"][*place].to_owned()),
        Named::Match { criteria, .. } => (criteria == "identifier=1").then(|| "Patient/found".to_owned()),
    };
    bundle.resource(0, naming).unwrap().into_owned()
}

#[test]
fn references_to_entries_are_rewritten_and_nothing_else() {
    let urn = "urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000001";
    let own = "https://a.test/t/x/fhir/Patient/1";
    let elsewhere = "https://b.test/r4/Patient/1";
    // Full URL of the patient, what the resource says of it, and what is stored.
    let cases = [
        (
            urn,
            format!(r#"{{"subject" : {{"reference":  "{urn}" }}}}"#),
            r#"{"subject" : {"reference":  "Patient/new" }}"#,
        ),
        (urn, format!(r#"{{"a":[{{"b":{{"reference":"{urn}"}}}}]}}"#), r#"{"a":[{"b":{"reference":"Patient/new"}}]}"#),
        (urn, format!(r#"{{"reference":"{}"}}"#, urn.replace("urn", "\\u0075rn")), r#"{"reference":"Patient/new"}"#),
        (urn, format!(r#"{{"valueUri":"{urn}"}}"#), r#"{"valueUri":"Patient/new"}"#),
        (urn, format!(r#"{{"x":"{urn}","system":"{urn}","value":"{urn}","n":120.00}}"#), ""),
        (urn, r#"{"reference":"urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000002"}"#.to_owned(), ""),
        (urn, r##"{"reference":"#p"}"##.to_owned(), ""),
        (urn, r#"{"reference":"Patient/1"}"#.to_owned(), ""),
        (
            urn,
            format!(r#"{{"text":{{"div":"<div>{urn}<a href=\"{urn}\">x</a><img src='{urn}'/></div>"}}}}"#),
            &format!(r#"{{"text":{{"div":"<div>{urn}<a href=\"Patient/new\">x</a><img src='Patient/new'/></div>"}}}}"#),
        ),
        (own, r#"{"reference":"Patient/1"}"#.to_owned(), r#"{"reference":"Patient/new"}"#),
        (own, r#"{"reference":"https://a.test/fhir/Patient/1"}"#.to_owned(), r#"{"reference":"Patient/new"}"#),
        (own, r#"{"reference":"Patient/2"}"#.to_owned(), ""),
        (own, r#"{"valueUri":"Patient/1"}"#.to_owned(), ""),
        ("Patient/1", r#"{"reference":"Patient/1"}"#.to_owned(), r#"{"reference":"Patient/new"}"#),
        ("Patient/new", r#"{"reference":"https://a.test/fhir/Patient/new"}"#.to_owned(), ""),
        (elsewhere, format!(r#"{{"reference":"{elsewhere}"}}"#), r#"{"reference":"Patient/new"}"#),
        (elsewhere, r#"{"reference":"https://b.test/r4/Patient/2"}"#.to_owned(), ""),
        (urn, r#"{"reference":"Patient?identifier=1"}"#.to_owned(), r#"{"reference":"Patient/found"}"#),
        (urn, r#"{"reference":"Patient?identifier=2"}"#.to_owned(), ""),
        (urn, r#"{"reference":"Device?identifier=1"}"#.to_owned(), ""),
    ];
    for (url, resource, expected) in cases {
        let bundle = pair("urn:uuid:0", url, &resource);
        let expected = if expected.is_empty() { resource.as_str() } else { expected };
        assert_eq!(rewritten(&bundle), expected, "{url}");
    }
    // Relative to where the entry itself stands.
    let bundle = pair("https://b.test/r4/Observation/9", elsewhere, r#"{"reference":"Patient/1"}"#);
    assert_eq!(rewritten(&bundle), r#"{"reference":"Patient/new"}"#);
    let bundle = pair("https://c.test/r4/Observation/9", elsewhere, r#"{"reference":"Patient/1"}"#);
    assert_eq!(rewritten(&bundle), r#"{"reference":"Patient/1"}"#);
}

#[test]
fn a_batch_rewrites_nothing() {
    let text = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"fullUrl":"urn:uuid:1","resource":{"reference":"urn:uuid:1"},"request":{"method":"POST","url":"Patient"}},
        {"fullUrl":"urn:uuid:1"}]}"#;
    let bundle = parse(text).unwrap();
    assert_eq!(bundle.kind(), BundleKind::Batch);
    assert_eq!(bundle.named(0).count(), 0);
    assert_eq!(rewritten(&bundle), r#"{"reference":"urn:uuid:1"}"#);
}

#[test]
fn entries_are_read_as_they_stand() {
    let text = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"resource":{"id":"a"},"request":{"method":"PUT","url":"Patient/a","ifMatch":"W/\"1\"","ifNoneExist":"x=1"}},
        {"request":{"method":"get","url":"Patient?_id=1","ifNoneMatch":"1"}},{"fullUrl":"urn:uuid:1"}]}"#;
    let bundle = parse(text).unwrap();
    let request = |method: &str, url: &str| Request {
        method: method.to_owned(),
        url: url.to_owned(),
        if_match: None,
        if_none_exist: None,
        if_none_match: None,
        if_modified_since: None,
    };
    let first = Request {
        if_match: Some("W/\"1\"".to_owned()),
        if_none_exist: Some("x=1".to_owned()),
        ..request("PUT", "Patient/a")
    };
    let entries = bundle.entries();
    assert_eq!(entries[0].request, Some(first));
    assert_eq!((entries[0].resource_id.as_deref(), entries[0].has_resource()), (Some("a"), true));
    assert_eq!(
        entries[1].request,
        Some(Request { if_none_match: Some("1".to_owned()), ..request("get", "Patient?_id=1") })
    );
    assert_eq!((&entries[2].request, entries[2].has_resource()), (&None, false));
}

#[test]
fn what_is_no_batch_or_transaction_is_refused() {
    let entry = |entry: &str| format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entry}]}}"#);
    let cases = [
        ("[]".to_owned(), IssueCode::Structure, "Bundle"),
        (r#"{"resourceType":"Patient"}"#.to_owned(), IssueCode::Structure, "Bundle"),
        (r#"{"resourceType":"Bundle"}"#.to_owned(), IssueCode::Required, "Bundle.type"),
        (r#"{"resourceType":"Bundle","type":"searchset"}"#.to_owned(), IssueCode::Invalid, "Bundle.type"),
        (
            r#"{"resourceType":"Bundle","type":"batch","type":"transaction"}"#.to_owned(),
            IssueCode::Structure,
            "Bundle.type",
        ),
        (r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#.to_owned(), IssueCode::Structure, "Bundle.entry"),
        (entry("{}"), IssueCode::Structure, "Bundle.entry[0]"),
        (entry(r#"{"resource":[]}"#), IssueCode::Structure, "Bundle.entry[0].resource"),
        (entry(r#"{"request":{"method":"GET"}}"#), IssueCode::Required, "Bundle.entry[0].request.url"),
        (
            // P32: an entry has no credentials of its own.
            entry(r#"{"request":{"method":"GET","url":"Patient","authorization":"Bearer x"}}"#),
            IssueCode::Structure,
            "Bundle.entry[0].request",
        ),
        (
            entry(r#"{"fullUrl":"urn:uuid:1","request":{"method":"GET","url":"a"}},{"fullUrl":"urn:uuid:1"}"#),
            IssueCode::Invalid,
            "Bundle.entry[1].fullUrl",
        ),
    ];
    for (text, code, expression) in cases {
        match parse(&text) {
            Err(Refused::Issues(issues)) => {
                assert_eq!(issues[0].code, code, "{text}: {issues:?}");
                let found = issues[0].expression.as_deref().unwrap_or_default();
                assert!(found.starts_with(expression) || found.ends_with(expression), "{text}: {found}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn more_entries_or_values_than_are_taken_are_refused_as_too_large() {
    let many = |count: usize| {
        let entries = vec![r#"{"request":{"method":"GET","url":"Patient/a"}}"#; count].join(",");
        parse(&format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#))
    };
    assert_eq!(many(5_000).unwrap().entries().len(), 5_000);
    assert!(matches!(many(5_001), Err(Refused::TooLarge(_))));
    let values = format!(r#"{{"resourceType":"Bundle","type":"batch","x":[1{}]}}"#, ",1".repeat(MOST_VALUES));
    assert!(matches!(parse(&values), Err(Refused::TooLarge(_))));
}
