use super::{Comparison, EXCEPTIONS, Kind, compare, exceptions, judge, last_of_each, lines, refusals};

fn differences(written: &str, read: &str) -> Vec<(String, Kind)> {
    let Comparison { differences, .. } = compare(written, read).expect("both texts are JSON");
    differences.into_iter().map(|difference| (difference.path, difference.kind)).collect()
}

fn at(path: &str, kind: Kind) -> Vec<(String, Kind)> {
    vec![(path.to_owned(), kind)]
}

fn changed(written: &str, read: &str) -> Kind {
    Kind::Changed(written.to_owned(), read.to_owned())
}

#[test]
fn what_the_server_sets_is_no_difference() {
    let cases = [
        (r#"{"resourceType":"Patient","id":"a"}"#, r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1"}}"#),
        (r#"{"resourceType":"Patient"}"#, r#"{"resourceType":"Patient","id":"made","meta":{"lastUpdated":"x"}}"#),
        (
            r#"{"id":"a","meta":{"versionId":"7","profile":["p"]},"active":true}"#,
            r#"{"id":"a","meta":{"versionId":"1","lastUpdated":"x","profile":["p"]},"active":true}"#,
        ),
        (r#"{"id":"a","meta":{}}"#, r#"{"id":"a","meta":{"versionId":"1","lastUpdated":"x"}}"#),
        ("{ \"id\" : \"a\" ,\r\n\t\"x\":[ 1 , 2 ] }", r#"{"id":"a","x":[1,2]}"#),
        (r#"{"id":"a","x":"\u00e9\/"}"#, r#"{"id":"a","x":"é/"}"#),
    ];
    for (written, read) in cases {
        assert_eq!(differences(written, read), [], "{written}");
    }
}

#[test]
fn numbers_are_compared_to_the_digit() {
    for (written, read) in [
        ("120.00", "120.0"),
        ("120.00", "120"),
        ("1.0e2", "100"),
        ("1e2", "1E2"),
        ("-0", "0"),
        ("0.10000000000000000001", "0.1"),
        ("123456789012345678901234567890", "123456789012345680000000000000"),
    ] {
        let resource = |number: &str| format!(r#"{{"resourceType":"Observation","v":[{{"value":{number}}}]}}"#);
        assert_eq!(
            differences(&resource(written), &resource(read)),
            at("Observation.v[0].value", changed(written, read)),
            "{written}"
        );
        let same = compare(&resource(written), &resource(written)).expect("JSON");
        assert_eq!(same, Comparison { differences: Vec::new(), numbers: 1 });
    }
}

#[test]
fn every_other_difference_is_named_with_its_place() {
    let cases = [
        (r#"{"a":1,"b":2}"#, r#"{"a":1}"#, at("resource.b", Kind::Lost)),
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, at("resource.b", Kind::Added)),
        (r#"{"a":1}"#, r#"{"a":1,"a":1}"#, at("resource.a", Kind::Twice)),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, at("resource", Kind::Reordered)),
        (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, at("resource.a[1]", Kind::Lost)),
        (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, at("resource.a[1]", Kind::Added)),
        (r#"{"a":"1"}"#, r#"{"a":1}"#, at("resource.a", changed("\"1\"", "1"))),
        (r#"{"a":null}"#, r#"{"a":false}"#, at("resource.a", changed("null", "false"))),
        (r#"{"id":"a"}"#, r#"{"id":"b"}"#, at("resource.id", changed("\"a\"", "\"b\""))),
        (r#"{"meta":{"tag":[1]}}"#, r#"{"meta":{"versionId":"1"}}"#, at("resource.meta.tag", Kind::Lost)),
        (r#"{"meta":{}}"#, r#"{"meta":{"source":"x"}}"#, at("resource.meta.source", Kind::Added)),
        ("[]", "{}", at("resource", changed("an object", "something else"))),
    ];
    for (written, read, expected) in cases {
        assert_eq!(differences(written, read), expected, "{written} {read}");
    }
}

#[test]
fn long_values_are_cut_in_reports() {
    let (written, read) = (format!(r#"{{"a":"{}"}}"#, "é".repeat(100)), r#"{"a":""}"#);
    let found = compare(&written, read).expect("JSON").differences;
    assert_eq!(found[0].to_string(), format!("resource.a was \"{}… and is \"\"", "é".repeat(59)));
}

#[test]
fn what_is_no_json_is_an_error() {
    for read in ["", "{", "{\"a\":01}", "<html>", "{}{}"] {
        assert!(compare("{}", read).is_err(), "{read}");
    }
}

#[test]
fn the_last_line_of_an_address_is_the_one_to_expect() {
    let text = "{\"resourceType\":\"Patient\",\"id\":\"a\",\"n\":1}\n\n{\"resourceType\":\"Patient\"}\r\n\
                {\"resourceType\":\"Patient\",\"id\":\"a\",\"n\":2}";
    let found = lines(text).expect("resources");
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].id, None);
    let last = last_of_each(&found);
    assert_eq!(last.len(), 1);
    assert!(last["Patient/a"].contains("\"n\":2"));
    assert_eq!(lines("{}\nno").expect_err("not a resource").number, 1);
}

#[test]
fn what_was_refused_is_held_against_what_has_to_be() {
    let list = "# a comment\nofficial.ndjson\tObservation\tb\trequired\tObservation.effective\tit has none\n";
    let exceptions = exceptions(list);
    let text = "{\"resourceType\":\"Observation\",\"id\":\"a\"}\n\n{\"resourceType\":\"Observation\",\"id\":\"b\"}";
    let found = lines(text).expect("resources");
    let issue = r#"{"code":"required","expression":["Observation.effective"],"diagnostics":"d"}"#;
    let error =
        |file: &str, line: u8, issues: &str| format!(r#"{{"file":"{file}","line":{line},"issues":[{issues}]}}"#);
    let was_refused = [("Observation/b".to_owned(), "required Observation.effective".to_owned())];
    let missing = "official.ndjson: Observation/b was not refused for required Observation.effective";
    let line = |line: u8, rest: &str| format!("x/official.ndjson line {line}: Observation/{rest}");
    for (file, errors, refused, faults) in [
        ("x/official.ndjson", error("x/official.ndjson", 3, issue), true, vec![]),
        ("x/official.ndjson", String::new(), false, vec![format!("x/{missing}")]),
        // Another line, another reason, another beside it, one too many, and another file.
        (
            "x/official.ndjson",
            error("x/official.ndjson", 1, issue),
            false,
            vec![line(1, "a was refused: required Observation.effective"), format!("x/{missing}")],
        ),
        (
            "x/official.ndjson",
            error("x/official.ndjson", 3, r#"{"code":"value"}"#),
            false,
            vec![line(3, "b was refused: value "), format!("x/{missing}")],
        ),
        (
            "x/official.ndjson",
            error("x/official.ndjson", 3, &format!("{issue},{issue}")),
            false,
            vec![
                line(3, "b was refused: required Observation.effective, required Observation.effective"),
                format!("x/{missing}"),
            ],
        ),
        (
            "x/official.ndjson",
            format!("{}\n{}", error("x/official.ndjson", 3, issue), error("x/official.ndjson", 1, issue)),
            true,
            vec![line(1, "a was refused: required Observation.effective")],
        ),
        ("x/other.ndjson", error("x/official.ndjson", 3, issue), false, vec![]),
    ] {
        let judged = judge(file, &found, &refusals(&errors).expect("a list"), &exceptions);
        assert_eq!(judged.refused.into_iter().eq(was_refused.clone()), refused, "{errors}");
        assert_eq!(judged.faults, faults, "{errors}");
    }
}

#[test]
fn the_list_of_exceptions_is_understood_to_its_last_line() {
    let count = EXCEPTIONS.lines().filter(|line| !line.starts_with('#')).count();
    assert!(count > 0 && exceptions(EXCEPTIONS).len() == count, "{EXCEPTIONS}");
}
