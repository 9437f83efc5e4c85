//! Stamping: three values are set and every other byte stays.

use super::*;
use crate::resource::{Observation, Patient};

const TIME: i64 = 1_795_380_914_123;
const META: &str = r#""meta":{"versionId":"7","lastUpdated":"2026-11-22T20:55:14.123Z"}"#;
const INSIDE: &str = r#""versionId":"7","lastUpdated":"2026-11-22T20:55:14.123Z""#;

fn stamp(text: &str) -> String {
    let body = Body::<Patient>::parse(text.as_bytes(), &[], |_, _| Vec::new())
        .unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
    let id = "new-id".parse().expect("an id");
    body.stamped(&id, Version::new(7).expect("a version"), TIME)
}

#[test]
fn id_and_meta_are_set_and_each_other_byte_stays() {
    let cases: &[(&str, String)] = &[
        // Nothing there yet: id behind resourceType, meta behind id.
        (r#"{"resourceType":"Patient"}"#, format!(r#"{{"resourceType":"Patient","id":"new-id",{META}}}"#)),
        (
            r#"{"active":true,"resourceType":"Patient","gender":"female"}"#,
            format!(r#"{{"active":true,"resourceType":"Patient","id":"new-id",{META},"gender":"female"}}"#),
        ),
        // An id there, in any place.
        (r#"{"resourceType":"Patient","id":"a"}"#, format!(r#"{{"resourceType":"Patient","id":"new-id",{META}}}"#)),
        (r#"{"id":"a","resourceType":"Patient"}"#, format!(r#"{{"id":"new-id",{META},"resourceType":"Patient"}}"#)),
        (
            r#"{"active":true,"id":"new-id","resourceType":"Patient"}"#,
            format!(r#"{{"active":true,"id":"new-id",{META},"resourceType":"Patient"}}"#),
        ),
        // A meta there: empty, partly filled, filled, in any place and order.
        (r#"{"resourceType":"Patient","meta":{}}"#, format!(r#"{{"resourceType":"Patient","id":"new-id",{META}}}"#)),
        (
            "{\"resourceType\":\"Patient\",\"meta\":{ \n }}",
            format!("{{\"resourceType\":\"Patient\",\"id\":\"new-id\",\"meta\":{{{INSIDE} \n }}}}"),
        ),
        (
            r#"{"meta":{"profile":["http://a.b/c"]},"resourceType":"Patient"}"#,
            format!(r#"{{"meta":{{{INSIDE},"profile":["http://a.b/c"]}},"resourceType":"Patient","id":"new-id"}}"#),
        ),
        (
            r#"{"meta":{"versionId":"1"},"id":"x","resourceType":"Patient"}"#,
            r#"{"meta":{"lastUpdated":"2026-11-22T20:55:14.123Z","versionId":"7"},"id":"new-id","resourceType":"Patient"}"#.to_owned(),
        ),
        (
            r#"{"resourceType":"Patient","active":false,"meta":{"lastUpdated":"2020-01-01T00:00:00Z","source":"a"},"id":"x"}"#,
            r#"{"resourceType":"Patient","active":false,"meta":{"versionId":"7","lastUpdated":"2026-11-22T20:55:14.123Z","source":"a"},"id":"new-id"}"#.to_owned(),
        ),
        (
            r#"{"resourceType":"Patient","id":"x","meta":{"tag":[{"code":"t"}],"lastUpdated":"2020-01-01T00:00:00Z","versionId":"1"}}"#,
            r#"{"resourceType":"Patient","id":"new-id","meta":{"tag":[{"code":"t"}],"lastUpdated":"2026-11-22T20:55:14.123Z","versionId":"7"}}"#.to_owned(),
        ),
        // Keys written with escapes; ids deeper down are left alone.
        (
            r#"{"resourceTyp\u0065":"Pat\u0069ent","\u0069d":"x","m\u0065ta":{"version\u0049d":"1","lastUpdate\u0064":"2020-01-01T00:00:00Z"}}"#,
            r#"{"resourceTyp\u0065":"Pat\u0069ent","\u0069d":"new-id","m\u0065ta":{"version\u0049d":"7","lastUpdate\u0064":"2026-11-22T20:55:14.123Z"}}"#.to_owned(),
        ),
        (
            r#"{"contained":[{"resourceType":"Organization","id":"o","meta":{"versionId":"3"},"name":"n"}],"resourceType":"Patient","name":[{"id":"n1","family":"F\u00e9"}]}"#,
            format!(
                r#"{{"contained":[{{"resourceType":"Organization","id":"o","meta":{{"versionId":"3"}},"name":"n"}}],"resourceType":"Patient","id":"new-id",{META},"name":[{{"id":"n1","family":"F\u00e9"}}]}}"#
            ),
        ),
        // White space of all sorts.
        (
            "\r\n{\n\t\"resourceType\" : \"Patient\" ,\n\t\"id\"\t:\t\"x\"\n,\"meta\"\n:\n{\n\"versionId\" : \"1\" }\n}\n\n",
            "\r\n{\n\t\"resourceType\" : \"Patient\" ,\n\t\"id\"\t:\t\"new-id\"\n,\"meta\"\n:\n{\"lastUpdated\":\"2026-11-22T20:55:14.123Z\",\n\"versionId\" : \"7\" }\n}\n\n".to_owned(),
        ),
        (
            "{\n  \"resourceType\": \"Patient\",\n  \"active\": true\n}\n",
            format!("{{\n  \"resourceType\": \"Patient\",\"id\":\"new-id\",{META},\n  \"active\": true\n}}\n"),
        ),
        (
            "{ \"resourceType\" : \"Patient\" }",
            format!("{{ \"resourceType\" : \"Patient\",\"id\":\"new-id\",{META} }}"),
        ),
    ];
    for (text, expected) in cases {
        let stamped = stamp(text);
        assert_eq!(&stamped, expected, "{text}");
        assert_eq!(stamp(&stamped), stamped, "stamping again with the same values changes nothing");
    }
}

#[test]
fn numbers_escapes_and_signs_of_every_kind_come_back_as_written() {
    let kept = r#""status":"final","code":{"text":"A\u00e9\/\"\ud83d\ude00😀 BIDI"},"valueQuantity":{"value":120.00,"unit":"\u006d"},"component":[{"code":{"text":"e\u0301 é"},"valueQuantity":{"value":1.0e-7}},{"code":{"text":"0"},"valueQuantity":{"value":-0.10}},{"code":{"text":"40"},"valueQuantity":{"value":1234567890123456789012345678901234567890.10}}]"#
        .replace("BIDI", "\u{202e}x\u{200b}");
    let text = format!(r#"{{"resourceType":"Observation",{kept}}}"#);
    let body = Body::<Observation>::parse(text.as_bytes(), &[], |_, _| Vec::new()).expect("sound");
    let stamped = body.stamped(&"o".parse().expect("an id"), Version::FIRST, TIME);
    assert!(stamped.ends_with(&format!("}},{kept}}}")), "{stamped}");
}

#[test]
fn the_id_of_the_body_is_known() {
    let id = |text: &str| {
        Body::<Patient>::parse(text.as_bytes(), &[], |_, _| Vec::new())
            .expect(text)
            .id()
            .map(|id| id.as_str().to_owned())
    };
    assert_eq!(id(r#"{"resourceType":"Patient","id":"a.B-9"}"#).as_deref(), Some("a.B-9"));
    assert_eq!(id(r#"{"resourceType":"Patient"}"#), None);
}

#[test]
fn bodies_that_are_no_such_resource_are_structural_and_broken_rules_are_not() {
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "a".repeat(65));
    let cases: &[(&str, bool)] = &[
        // X16
        ("", true),
        ("null", true),
        ("[]", true),
        ("\"Patient\"", true),
        (r#"[{"resourceType":"Patient"}]"#, true),
        (r#"{"resourceType":"Patient"}{"resourceType":"Patient"}"#, true),
        (r#"{"resourceType":"Patient"} x"#, true),
        (r#"{"resourceType":"Observation"}"#, true),
        (r#"{"resourceType":"patient"}"#, true),
        (r#"{"resourceType":1}"#, true),
        ("{}", true),
        (r#"{"id":"a"}"#, true),
        // X10, X09, X11, unknown elements and wrong types
        (r#"{"resourceType":"Patient","multipleBirthInteger":1e401}"#, true),
        (r#"{"resourceType":"Patient","id":"a","id":"b"}"#, true),
        (r#"{"resourceType":"Patient","language":"\u0000"}"#, true),
        (r#"{"resourceType":"Patient","surname":"x"}"#, true),
        (r#"{"resourceType":"Patient","active":"true"}"#, true),
        (r#"{"resourceType":"Patient","birthDate":"2026-02-30"}"#, true),
        // X14, X15: the pattern of a type, and cardinality
        (r#"{"resourceType":"Patient","id":""}"#, false),
        (r#"{"resourceType":"Patient","id":"../x"}"#, false),
        (r#"{"resourceType":"Patient","id":" a"}"#, false),
        (r#"{"resourceType":"Patient","id":"a\n"}"#, false),
        (&long, false),
        (r#"{"resourceType":"Patient","gender":"female "}"#, false),
        (r#"{"resourceType":"Patient","name":[{"family":"\u0001"}]}"#, false),
        (r#"{"resourceType":"Patient","link":[{"type":"refer"}]}"#, false),
    ];
    for (text, structural) in cases {
        let issues = Body::<Patient>::parse(text.as_bytes(), &[], |_, _| Vec::new()).expect_err(text);
        assert!(!issues.is_empty());
        assert_eq!(issues_are_structural(&issues), *structural, "{text}: {issues:?}");
    }
}
