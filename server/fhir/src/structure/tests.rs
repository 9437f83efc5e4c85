//! The structure check as tables of cases, and over the real examples where they are at hand.

use std::{fs, path::PathBuf};

use super::*;
use crate::json;

fn issues(text: &str, expected: ResourceType) -> Vec<Issue> {
    let document = json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    check(&document, expected)
}

/// The issues of a Patient with these members, as `code expression`.
fn patient(members: &str) -> Vec<String> {
    short(&issues(&format!(r#"{{"resourceType":"Patient",{members}}}"#), ResourceType::Patient))
}

/// The same of an Observation that has status and code.
fn observation(members: &str) -> Vec<String> {
    let text = format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"c"}},{members}}}"#);
    short(&issues(&text, ResourceType::Observation))
}

fn short(issues: &[Issue]) -> Vec<String> {
    issues.iter().map(|issue| format!("{} {}", issue.code.code(), issue.expression.as_deref().unwrap_or("?"))).collect()
}

#[test]
fn sound_resources_have_no_issue() {
    for members in [
        r#""active":true,"name":[{"family":"F","given":["A","B"],"period":{"start":"2001"}}],"birthDate":"1970-03""#,
        r#""name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"u","valueCode":"unknown"}]}]}]"#,
        r#""name":[{"_given":[{"id":"a"},{"id":"b"}]}]"#,
        r#""_birthDate":{"extension":[{"url":"u","valueDateTime":"1970-03-30T12:00:00+02:00"}]}"#,
        r#""birthDate":"1970","_birthDate":{"id":"x"}"#,
        r#""deceasedBoolean":false,"_deceasedBoolean":{"id":"x"}"#,
        r#""meta":{}"#,
        r#""contained":[{"resourceType":"Organization","name":"O"},{"resourceType":"Binary","contentType":"a/b","data":"AAAA"}]"#,
        r#""contained":[{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Basic","code":{"text":"a"}}}]}]"#,
        r#""contained":[{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","valueMeta":{"versionId":"1"}}]}]}]"#,
        r#""extension":[{"url":"u","extension":[{"url":"v","valueQuantity":{"value":1.0}}]}]"#,
        r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}"#,
        r#""\u0061ctive":true"#,
    ] {
        assert_eq!(patient(members), [""; 0], "{members}");
    }
    for members in [
        r#""valueQuantity":{"value":120.00,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}"#,
        r#""component":[{"code":{"text":"c"},"valueSampledData":{"origin":{"value":0},"period":10,"dimensions":1,"data":"E U L"}}]"#,
        r#""component":[{"code":{"text":"c"},"referenceRange":[{"low":{"value":1},"appliesTo":[{"text":"a"}]}]}]"#,
        r#""effectiveTiming":{"repeat":{"boundsPeriod":{"start":"2012"},"timeOfDay":["08:00:00"]}}"#,
    ] {
        assert_eq!(observation(members), [""; 0], "{members}");
    }
}

#[test]
fn unknown_elements_are_named() {
    for (members, expected) in [
        (r#""surname":"x""#, "structure Patient.surname"),
        (r#""Active":true"#, "structure Patient.Active"),
        (r#""name":[{"first":"x"}]"#, "structure Patient.name[0].first"),
        (r#""name":[{"family":"a"},{"text":"b","given ":["x"]}]"#, "structure Patient.name[1]"),
        (r#""valueQuantity":{"value":1}"#, "structure Patient.valueQuantity"),
        (r#""deceased":true"#, "structure Patient.deceased"),
        (r#""deceased[x]":true"#, "structure Patient"),
        (r#""deceasedString":"x""#, "structure Patient.deceasedString"),
        (r#""_id":{"id":"x"}"#, "structure Patient._id"),
        (r#""_name":[{"id":"x"}]"#, "structure Patient._name"),
        (r#""__active":{"id":"x"}"#, "structure Patient.__active"),
        (r#""_":{"id":"x"}"#, "structure Patient._"),
        (r#""":1"#, "structure Patient"),
        (r#""fhir_comments":["x"]"#, "structure Patient.fhir_comments"),
        (r#""meta":{"account":{"reference":"a"}}"#, "structure Patient.meta.account"),
        (r#""managingOrganization":{"resourceType":"x"}"#, "structure Patient.managingOrganization.resourceType"),
        (
            r#""contained":[{"resourceType":"Binary","contentType":"a/b","text":{}}]"#,
            "structure Patient.contained[0].text",
        ),
        (r#""contained":[{"resourceType":"Encounter2"}]"#, "structure Patient.contained[0]"),
        (r#""contained":[{"resourceType":"HumanName"}]"#, "structure Patient.contained[0]"),
        (r#""contained":[{"resourceType":"DomainResource"}]"#, "structure Patient.contained[0]"),
        (r#""contained":[{"id":"a"}]"#, "structure Patient.contained[0]"),
    ] {
        assert_eq!(patient(members), [expected], "{members}");
    }
}

#[test]
fn json_types_arrays_and_empties_are_refused() {
    for (members, expected) in [
        (r#""active":"true""#, "Patient.active"),
        (r#""active":1"#, "Patient.active"),
        (r#""active":null"#, "Patient.active"),
        (r#""active":[true]"#, "Patient.active"),
        (r#""active":{}"#, "Patient.active"),
        (r#""gender":true"#, "Patient.gender"),
        (r#""multipleBirthInteger":"1""#, "Patient.multipleBirthInteger"),
        (r#""name":{"family":"x"}"#, "Patient.name"),
        (r#""name":[]"#, "Patient.name"),
        (r#""name":[[{"family":"x"}]]"#, "Patient.name[0]"),
        (r#""name":["x"]"#, "Patient.name[0]"),
        (r#""name":[{"family":"x"},null]"#, "Patient.name[1]"),
        (r#""name":[{}]"#, "Patient.name[0]"),
        (r#""name":[{"family":["x"]}]"#, "Patient.name[0].family"),
        (r#""name":[{"given":"x"}]"#, "Patient.name[0].given"),
        (r#""name":[{"given":[1]}]"#, "Patient.name[0].given[0]"),
        (r#""name":[{"given":[]}]"#, "Patient.name[0].given"),
        (r#""name":[{"given":[null]}]"#, "Patient.name[0].given[0]"),
        (r#""name":[{"given":["a",null],"_given":[{"id":"x"},null]}]"#, "Patient.name[0].given[1]"),
        (r#""name":[{"given":["a","b"],"_given":[{"id":"x"}]}]"#, "Patient.name[0].given"),
        (r#""name":[{"_given":[null,{"id":"x"}]}]"#, "Patient.name[0].given[0]"),
        (r#""name":[{"_given":[]}]"#, "Patient.name[0].given"),
        (r#""name":[{"_given":{"id":"x"}}]"#, "Patient.name[0].given"),
        (r#""name":[{"_given":["x"]}]"#, "Patient.name[0].given[0]"),
        (r#""_active":[{"id":"x"}]"#, "Patient.active"),
        (r#""_active":"x""#, "Patient.active"),
        (r#""_active":{}"#, "Patient.active"),
        (r#""_active":{"value":true}"#, "Patient.active.value"),
        (r#""maritalStatus":{}"#, "Patient.maritalStatus"),
        (r#""maritalStatus":{"coding":[{}]}"#, "Patient.maritalStatus.coding[0]"),
        (r#""maritalStatus":[{"text":"x"}]"#, "Patient.maritalStatus"),
        (r#""contained":{"resourceType":"Basic"}"#, "Patient.contained"),
        (r#""contained":["Basic"]"#, "Patient.contained[0]"),
        (r#""name":[{"family":"x","period":{}}]"#, "Patient.name[0].period"),
        (
            r#""name":[{"family":"x"}],"contained":[{"resourceType":"Basic","code":{"text":"c"},"meta":{}}]"#,
            "Patient.contained[0].meta",
        ),
    ] {
        assert_eq!(patient(members), [format!("structure {expected}")], "{members}");
    }
}

#[test]
fn choices_have_one_type() {
    for (members, expected) in [
        (r#""valueString":"a","valueInteger":1"#, "structure Observation.valueInteger"),
        (r#""valueString":"a","_valueInteger":{"id":"x"}"#, "structure Observation.valueInteger"),
        (r#""effectiveDateTime":"2020","effectivePeriod":{"start":"2020"}"#, "structure Observation.effectivePeriod"),
        (
            r#""component":[{"code":{"text":"c"},"valueBoolean":true,"valueTime":"10:00:00"}]"#,
            "structure Observation.component[0].valueTime",
        ),
        (r#""valueDecimal":1"#, "structure Observation.valueDecimal"),
        (r#""value":1"#, "structure Observation.value"),
    ] {
        assert_eq!(observation(members), [expected], "{members}");
    }
    assert_eq!(observation(r#""valueString":"a","_valueString":{"id":"x"}"#), [""; 0]);
}

#[test]
fn required_elements_and_rules_of_the_types_are_judged() {
    let bare = issues(r#"{"resourceType":"Observation"}"#, ResourceType::Observation);
    assert_eq!(short(&bare), ["required Observation.status", "required Observation.code"]);
    for (members, expected) in [
        (r#""link":[{"other":{"reference":"Patient/a"}}]"#, "required Patient.link[0].type"),
        (r#""communication":[{"preferred":true}]"#, "required Patient.communication[0].language"),
        (r#""text":{"status":"generated"}"#, "required Patient.text.div"),
        (r#""extension":[{"valueString":"x"}]"#, "required Patient.extension[0].url"),
        (r#""extension":[{"url":"u"}]"#, "invariant Patient.extension[0]"),
        (
            r#""extension":[{"url":"u","valueString":"x","extension":[{"url":"v","valueString":"y"}]}]"#,
            "invariant Patient.extension[0]",
        ),
        (r#""extension":[{"url":"u","valueString":"x","valueCode":"y"}]"#, "structure Patient.extension[0].valueCode"),
        (r#""contained":[{"resourceType":"Observation","status":"final"}]"#, "required Patient.contained[0].code"),
        (
            r#""contained":[{"resourceType":"Basic","code":{"text":"a"},"contained":[{"resourceType":"Organization"}]}]"#,
            "invariant Patient.contained[0].contained[0]",
        ),
        (
            r#""contained":[{"resourceType":"EvidenceVariable","status":"draft","characteristic":[{"description":"x"}]}]"#,
            "required Patient.contained[0].characteristic[0].definition",
        ),
    ] {
        assert_eq!(patient(members), [expected], "{members}");
    }
    assert_eq!(observation(r#""_status":{"id":"x"}"#), [""; 0], "an extension alone fills a cardinality");
}

/// An extension with this value: every primitive type is one of its choices.
fn fails(kind: &str, value: &str) -> Option<IssueCode> {
    let text = format!(r#"{{"resourceType":"Patient","extension":[{{"url":"u","value{kind}":{value}}}]}}"#);
    let found = issues(&text, ResourceType::Patient);
    found.first().map(|issue| {
        assert_eq!(issue.expression.as_deref(), Some(format!("Patient.extension[0].value{kind}").as_str()));
        assert!(!issue.diagnostics.contains("CANARY"), "{}", issue.diagnostics);
        issue.code
    })
}

const WRONG: IssueCode = IssueCode::Invalid;
const BAD: IssueCode = IssueCode::Value;

const GOOD: &[(&str, &[&str])] = &[
    ("Boolean", &["true", "false"]),
    ("Integer", &["0", "-1", "2147483647", "-2147483648"]),
    ("UnsignedInt", &["0", "2147483647"]),
    ("PositiveInt", &["1", "2147483647"]),
    ("Decimal", &["0", "-0", "0.10", "1e300", "-1.5E-7", "1234567890123456789012345678901234567890"]),
    ("String", &[r#""a""#, r#"" a ""#, r#""\t\r\n""#, "\"\u{85}\u{7f}\u{202e}\""]),
    ("Markdown", &[r##""# a\n\n* b""##]),
    ("Code", &[r#""a""#, r#""a b""#, r#""é""#]),
    ("Id", &[r#""a""#, r#""A.b-9""#]),
    ("Uri", &[r#""a""#, r#""urn:x:é""#, r##""#a""##]),
    ("Url", &[r#""http://a/b?c=d%20e""#]),
    ("Canonical", &[r#""http://a/b|1.0""#]),
    ("Oid", &[r#""urn:oid:1.2.3""#, r#""urn:oid:2.16.840.1.113883""#, r#""urn:oid:0.0""#]),
    ("Uuid", &[r#""urn:uuid:c757873d-ec9a-4326-a141-556f43239520""#]),
    ("Base64Binary", &[r#""AAAA""#, r#""AAA=""#, r#""AA==""#, r#""AAAA\r\n AAAA""#, r#""+/+/""#]),
    ("Date", &[r#""2020""#, r#""2020-12""#, r#""2020-02-29""#, r#""0001-01-01""#, r#""9999-12-31""#]),
    (
        "DateTime",
        &[
            r#""2020""#,
            r#""2020-12""#,
            r#""2020-02-29""#,
            r#""2020-02-29T23:59:60Z""#,
            r#""2020-02-29T00:00:00.123456789+14:00""#,
        ],
    ),
    ("Instant", &[r#""2020-02-29T00:00:00Z""#, r#""2020-02-29T00:00:00.1-12:30""#]),
    ("Time", &[r#""00:00:00""#, r#""23:59:60""#, r#""10:20:30.5""#]),
];

const REFUSED: &[(&str, IssueCode, &[&str])] = &[
    ("Boolean", IssueCode::Structure, &["0", r#""true""#, "null"]),
    ("Integer", IssueCode::Structure, &[r#""1""#, "true"]),
    ("Decimal", IssueCode::Structure, &[r#""1""#, r#""NaN""#]),
    ("Integer", WRONG, &["1.0", "1e2", "-0", "2147483648", "-2147483649", "99999999999999999999"]),
    ("UnsignedInt", WRONG, &["-1", "0.5", "2147483648"]),
    ("PositiveInt", WRONG, &["0", "-1", "1.5", "1e0"]),
    (
        "Date",
        WRONG,
        &[
            r#""0000""#,
            r#""20""#,
            r#""2020-13""#,
            r#""2021-02-29""#,
            r#""2020-1-1""#,
            r#""2020-01-01T00:00:00Z""#,
            r#"" 2020""#,
            r#""CANARY""#,
            r#""9999-99-99""#,
            r#""10000""#,
        ],
    ),
    (
        "DateTime",
        WRONG,
        &[
            r#""2020-01-01T""#,
            r#""2020-01-01T10:00""#,
            r#""2020-01-01T10:00:00""#,
            r#""2020-01-01T24:00:00Z""#,
            r#""2020-01-01T10:00:00+14:01""#,
            r#""2020-01-01 10:00:00Z""#,
            r#""2020-01-01t10:00:00z""#,
            r#""0000-01-01""#,
            r#""10000-01-01""#,
        ],
    ),
    ("Instant", WRONG, &[r#""2020""#, r#""2020-01-01""#, r#""2020-01-01T10:00:00""#, r#""2020-01-01T10:00Z""#]),
    (
        "Time",
        WRONG,
        &[
            r#""24:00:00""#,
            r#""10:00""#,
            r#""1:00:00""#,
            r#""10:00:00.""#,
            r#""10:00:00Z""#,
            r#""1é:00:0""#,
            r#""10:00:0x""#,
        ],
    ),
    ("String", BAD, &[r#""""#, r#""CANARY\u0001""#, r#""\u001f""#, r#""\b""#]),
    ("Markdown", BAD, &[r#""""#, r#""\u0007""#]),
    ("Code", BAD, &[r#""""#, r#"" a""#, r#""a ""#, r#""a  b""#, r#""a\n""#, r#""a\u0002b""#, r#"" ""#]),
    (
        "Id",
        BAD,
        &[
            r#""""#,
            r#""a b""#,
            r#""a_b""#,
            r#""é""#,
            r#""a/b""#,
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        ],
    ),
    ("Uri", BAD, &[r#""""#, r#""a b""#, r#"" a""#, r#""a\n""#]),
    ("Url", BAD, &[r#""a b""#]),
    ("Canonical", BAD, &[r#""a\tb""#]),
    (
        "Oid",
        BAD,
        &[
            r#""1.2.3""#,
            r#""urn:oid:3.1""#,
            r#""urn:oid:1""#,
            r#""urn:oid:1.02""#,
            r#""urn:oid:1.""#,
            r#""urn:oid:1.2.a""#,
        ],
    ),
    (
        "Uuid",
        BAD,
        &[
            r#""c757873d-ec9a-4326-a141-556f43239520""#,
            r#""urn:uuid:C757873D-ec9a-4326-a141-556f43239520""#,
            r#""urn:uuid:c757873dec9a-4326-a141-556f43239520a""#,
        ],
    ),
    ("Base64Binary", BAD, &[r#""A""#, r#""AAA""#, r#""A===""#, r#""AA=A""#, r#""AAA-""#, r#"" ""#, r#""AAAAé""#]),
];

#[test]
fn primitives_have_their_form() {
    for (kind, values) in GOOD {
        for value in *values {
            assert_eq!(fails(kind, value), None, "{kind} {value}");
        }
    }
    for (kind, code, values) in REFUSED {
        for value in *values {
            assert_eq!(fails(kind, value), Some(*code), "{kind} {value}");
        }
    }
    for (div, holds) in [("<div>a</div>", true), ("a", false), ("<p>a</p>", false), ("<div>a", false)] {
        let found = patient(&format!(r#""text":{{"status":"generated","div":"{div}"}}"#));
        assert_eq!(found.is_empty(), holds, "{div}: {found:?}");
    }
    let long = "a".repeat(1024 * 1024);
    assert_eq!(fails("String", &format!("\"{long}\"")), None);
    assert_eq!(fails("String", &format!("\"{long}a\"")), Some(BAD));
}

#[test]
fn roots_of_another_kind_are_refused() {
    for text in [
        "null",
        "[]",
        "1",
        "\"Patient\"",
        "{}",
        r#"{"id":"a"}"#,
        r#"{"resourceType":"Observation"}"#,
        r#"{"resourceType":["Patient"]}"#,
    ] {
        let found = issues(text, ResourceType::Patient);
        assert_eq!(short(&found), ["structure Patient"], "{text}");
    }
}

#[test]
fn issues_are_few_and_names_are_cut() {
    let members: Vec<_> = (0..1_000).map(|number| format!("\"x{number}\":1")).collect();
    assert_eq!(patient(&members.join(",")).len(), 50);
    let found = issues(&format!(r#"{{"resourceType":"Patient","{}":1}}"#, "é".repeat(1_000)), ResourceType::Patient);
    assert!(found[0].diagnostics.chars().count() < 100, "{}", found[0].diagnostics);
    let nulls = vec!["null"; 200_000].join(",");
    let start = std::time::Instant::now();
    assert_eq!(patient(&format!(r#""name":[{{"given":[{nulls}],"_given":[{nulls}]}}]"#)).len(), 50);
    assert!(start.elapsed().as_secs() < 2, "took {:?}", start.elapsed());
}

/// The folder of real examples, from `VITALS_TEST_DATA`.
fn data() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "a test asks its environment where the data is")]
    std::env::var_os("VITALS_TEST_DATA").map(PathBuf::from)
}

#[test]
fn real_examples_are_sound() {
    let Some(folder) = data() else {
        println!("not run: 6 cases (VITALS_TEST_DATA is not set)");
        return;
    };
    for (file, expected) in [
        ("r4-examples-Patient.ndjson", ResourceType::Patient),
        ("r4-examples-Observation.ndjson", ResourceType::Observation),
        ("uscore8-examples-Patient.ndjson", ResourceType::Patient),
        ("uscore8-examples-Observation.ndjson", ResourceType::Observation),
        ("synthea-Patient.ndjson", ResourceType::Patient),
        ("synthea-Observation-vitals.ndjson", ResourceType::Observation),
    ] {
        let text = fs::read_to_string(folder.join(file)).expect("the file is there");
        for (line, number) in text.lines().zip(1..) {
            let found = issues(line, expected);
            assert_eq!(found, [], "{file}, line {number}");
        }
    }
}
