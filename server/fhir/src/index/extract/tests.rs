//! Tables of resources and the columns they give.

use super::*;
use crate::json;

const BASES: [&str; 2] = ["https://a.test/t/x/fhir", "https://a.test/fhir"];

fn observation_of(text: &str) -> ObservationIndex {
    let document = json::parse(text.as_bytes()).expect("a test's own JSON");
    observation(document.root(), &BASES)
}

fn patient_of(text: &str) -> PatientIndex {
    patient(json::parse(text.as_bytes()).expect("a test's own JSON").root())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// An Observation with these members beside its type.
fn with(members: &str) -> ObservationIndex {
    observation_of(&format!(r#"{{"resourceType":"Observation",{members}}}"#))
}

fn range(low: &str, high: &str) -> Range {
    let date = |text| crate::temporal::date_time(text).expect("a test's own date");
    Range { low: date(low).low, high: date(high).high }
}

#[test]
fn an_observation_gives_all_its_columns() {
    let index = with(
        r#""id":"o1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},
        "identifier":[{"system":"urn:x","value":"7"},{"value":"8"},{"system":"urn:none"}],"status":"final",
        "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
        "code":{"coding":[{"system":"urn:lab","code":"HR"},{"system":"http://loinc.org","code":"8867-4"}],"text":"pulse"},
        "subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},
        "performer":[{"reference":"Practitioner/d1"},{"display":"somebody"},{"reference":"https://a.test/fhir/Patient/p1"}],
        "device":{"reference":"https://b.test/Device/1"},"effectiveDateTime":"2026-03-01",
        "valueCodeableConcept":{"coding":[{"code":"fast"}]}"#,
    );
    let expected = ObservationIndex {
        patient: Some("p1".to_owned()),
        vital: Some(VitalClass::Alone(Vital::HeartRate)),
        code1: Some("~l|8867-4".to_owned()),
        codes: texts(&["*|8867-4", "*|HR", "urn:lab|HR", "~l|8867-4"]),
        category: texts(&["*|vital-signs", "~c|vital-signs"]),
        status: "final".to_owned(),
        security: texts(&["*|R", "~r|R"]),
        effective: range("2026-03-01", "2026-03-01"),
        tokens: texts(&[
            "d:https://b.test/Device/1",
            "e:Encounter/e1",
            "i:*|7",
            "i:*|8",
            "i:urn:x|7",
            "i:|8",
            "p:Patient/p1",
            "p:Practitioner/d1",
            "v:*|fast",
            "v:|fast",
        ]),
        value: None,
        parts: vec![],
        texts: "\ncpulse".to_owned(),
    };
    assert_eq!(index, expected);
}

#[test]
fn a_subject_is_a_patient_of_this_tenant_or_a_token() {
    let cases = [
        ("Patient/p1", Some("p1"), None),
        ("Patient/p1/_history/1", Some("p1"), None),
        ("https://a.test/fhir/Patient/p1", Some("p1"), None),
        ("https://a.test/t/x/fhir/Patient/p1/_history/2", Some("p1"), None),
        ("https:\\/\\/a.test\\/fhir\\/Patient\\/p1", Some("p1"), None),
        ("P\\u0061tient/p1", Some("p1"), None),
        ("https://a.test/t/y/fhir/Patient/p1", None, Some("s:https://a.test/t/y/fhir/Patient/p1")),
        ("https://a.test/fhir/Group/g", None, Some("s:Group/g")),
        ("Group/g/_history/1", None, Some("s:Group/g")),
        ("urn:uuid:1", None, Some("s:urn:uuid:1")),
        ("Patient?identifier=1", None, Some("s:Patient?identifier=1")),
        ("patient/p1", None, Some("s:patient/p1")),
        ("Patient/p1 ", None, Some("s:Patient/p1 ")),
        ("#p1", None, None),
    ];
    for (reference, patient, token) in cases {
        let index = with(&format!(r#""subject":{{"reference":"{reference}"}}"#));
        assert_eq!(index.patient.as_deref(), patient, "{reference}");
        assert_eq!(index.tokens, token.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{reference}");
    }
}

/// P34: what stands inside a contained resource, an extension or a note is in no column.
#[test]
fn only_the_resource_itself_is_indexed() {
    let index = with(
        r#""contained":[{"resourceType":"Patient","id":"p2"},{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/p2"},
        "code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"effectiveDateTime":"2026"}],
        "extension":[{"url":"urn:x","valueReference":{"reference":"Patient/p2"}}],"focus":[{"reference":"Patient/p2"}],
        "derivedFrom":[{"reference":"Observation/o2"}],"subject":{"identifier":{"value":"p2"},"display":"p2"}"#,
    );
    assert_eq!((index.patient, index.vital, index.effective), (None, None, Range::ABSENT));
    assert_eq!(
        (index.code1, index.codes, index.tokens),
        (None, vec![], texts(&["S:*|p2", "S:|p2", "T:*|p2", "T:|p2"]))
    );
}

#[test]
fn vitals_are_told_by_codes_and_components() {
    let loinc = |codes: &[&str]| {
        let codings: Vec<_> =
            codes.iter().map(|code| format!(r#"{{"system":"http://loinc.org","code":"{code}"}}"#)).collect();
        format!(r#""code":{{"coding":[{}]}}"#, codings.join(","))
    };
    let components = |codes: &[&str]| {
        let parts: Vec<_> = codes.iter().map(|code| format!("{{{}}}", loinc(&[code]))).collect();
        format!(r#""component":[{}]"#, parts.join(","))
    };
    let category = r#""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}]"#;
    let alone = |vital| Some(VitalClass::Alone(vital));
    let cases = [
        (loinc(&["8867-4"]), alone(Vital::HeartRate), Some("~l|8867-4")),
        (loinc(&["2708-6"]), alone(Vital::Spo2), Some("~l|2708-6")),
        (loinc(&["59408-5"]), alone(Vital::Spo2), Some("~l|2708-6")),
        (loinc(&["59408-5", "2708-6"]), alone(Vital::Spo2), Some("~l|2708-6")),
        (loinc(&["718-7", "8867-4"]), alone(Vital::HeartRate), Some("~l|8867-4")),
        (loinc(&["8867-4", "9279-1"]), Some(VitalClass::Mixed), Some("*")),
        (loinc(&["718-7"]), None, Some("~l|718-7")),
        (
            loinc(&["85354-9"]) + "," + &components(&["8480-6", "8462-4"]),
            alone(Vital::BloodPressure),
            Some("~l|85354-9"),
        ),
        (loinc(&["85354-9"]) + "," + &components(&["8480-6", "8867-4"]), Some(VitalClass::Mixed), Some("~l|85354-9")),
        (loinc(&["2708-6"]) + "," + &components(&["3151-8", "3150-6"]), alone(Vital::Spo2), Some("~l|2708-6")),
        (loinc(&["8867-4"]) + "," + &components(&["75622-1"]), Some(VitalClass::Mixed), Some("~l|8867-4")),
        (loinc(&["8867-4"]) + r#","component":[{"code":{"text":"mood"}}]"#, Some(VitalClass::Mixed), Some("~l|8867-4")),
        (
            loinc(&["8867-4"]) + r#","contained":[{"resourceType":"Observation","id":"a"}]"#,
            Some(VitalClass::Mixed),
            Some("~l|8867-4"),
        ),
        (
            loinc(&["8867-4"]) + r#","contained":[{"resourceType":"Device","id":"a"}]"#,
            alone(Vital::HeartRate),
            Some("~l|8867-4"),
        ),
        (loinc(&["718-7"]) + "," + &components(&["8867-4"]), Some(VitalClass::Mixed), Some("~l|718-7")),
        (loinc(&["718-7"]) + "," + category, Some(VitalClass::Other), Some("~l|718-7")),
        (loinc(&["8867-4"]) + "," + category, alone(Vital::HeartRate), Some("~l|8867-4")),
        (category.to_owned(), Some(VitalClass::Other), None),
        (r#""code":{"coding":[{"code":"8867-4"}]}"#.to_owned(), None, Some("|8867-4")),
        (
            r#""code":{"coding":[{"system":"http://loinc.org/","code":"8867-4"}]}"#.to_owned(),
            None,
            Some("http://loinc.org/|8867-4"),
        ),
        (
            r#""code":{"coding":[{"system":"http://loinc.org"},{"system":"u","code":"a"}]}"#.to_owned(),
            None,
            Some("u|a"),
        ),
        (r#""code":{"text":"pulse"}"#.to_owned(), None, None),
        (r#""category":[{"coding":[{"code":"vital-signs"}]}]"#.to_owned(), None, None),
    ];
    for (members, vital, code1) in cases {
        let index = with(&members);
        assert_eq!((index.vital, index.code1.as_deref()), (vital, code1), "{members}");
    }
}

#[test]
fn effective_time_has_bounds() {
    let cases = [
        (r#""effectiveDateTime":"2026-03""#, range("2026-03", "2026-03")),
        (r#""effectiveDateTime":"2026-03-01T10:00:00+02:00""#, range("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z")),
        (
            r#""effectiveInstant":"2026-03-01T10:00:00.5Z""#,
            range("2026-03-01T10:00:00.500Z", "2026-03-01T10:00:00.500Z"),
        ),
        (r#""effectivePeriod":{"start":"2026-03-01","end":"2026-04"}"#, range("2026-03-01", "2026-04-30")),
        (r#""effectivePeriod":{"start":"2026"}"#, Range { high: Range::OPEN_HIGH, ..range("2026", "2026") }),
        (r#""effectivePeriod":{"end":"2026"}"#, Range { low: Range::OPEN_LOW, ..range("2026", "2026") }),
        (r#""effectivePeriod":{"start":"2026-05-01","end":"2026-04-01"}"#, range("2026-05-01", "2026-05-01")),
        (r#""effectivePeriod":{"extension":[{"url":"urn:x","valueString":"y"}]}"#, Range::ABSENT),
        (r#""effectiveTiming":{"event":["2026-03-01","2025-01","2026-02-01"]}"#, range("2025-01", "2026-03-01")),
        (
            r#""effectiveTiming":{"event":["2026"],"repeat":{"boundsPeriod":{"start":"2020","end":"2030"}}}"#,
            range("2026", "2026"),
        ),
        (r#""effectiveTiming":{"repeat":{"boundsPeriod":{"start":"2020","end":"2030"}}}"#, range("2020", "2030")),
        (r#""effectiveTiming":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}"#, Range::ABSENT),
        (r#""effectiveTiming":{"code":{"text":"daily"}}"#, Range::ABSENT),
        (r#""_effectiveDateTime":{"extension":[{"url":"urn:x","valueCode":"unknown"}]}"#, Range::ABSENT),
        (r#""issued":"2026-03-01T10:00:00Z""#, Range::ABSENT),
        (r#""effectiveDateTime":"0000""#, Range::ABSENT),
        (r#""effectiveDateTime":"""#, Range::ABSENT),
    ];
    for (members, effective) in cases {
        assert_eq!(with(members).effective, effective, "{members}");
    }
}

#[test]
fn a_patient_gives_names_identifiers_and_labels() {
    let index = patient_of(
        r#"{"resourceType":"Patient","meta":{"security":[{"code":"V"},{"code":"V"}]},
        "identifier":[{"system":"http://hospital/mrn","value":"a|b"},{"system":"http://hospital/mrn","value":"a|b"}],
        "name":[{"use":"official","family":"Müller","given":["Jörg",null,"J"],"_given":[null,{"id":"x"},null],"prefix":["Dr."],
        "suffix":["MBA"],"text":"Dr. Jörg  Müller"},{"family":"MULLER"},{"_family":{"id":"y"}}],"contact":[{"name":{"family":"Other"}}]}"#,
    );
    let names = [
        ("family", "muller"),
        ("given", "j"),
        ("given", "jorg"),
        ("prefix", "dr."),
        ("suffix", "mba"),
        ("text", "dr. jorg muller"),
    ];
    let expected: Vec<_> = names.map(|(part, name)| (part, name.to_owned())).into();
    let mut found = values(&index.names);
    found.dedup();
    assert_eq!(found, expected);
    assert_eq!(index.security, ["*|V", "|V"]);
    assert_eq!(index.tokens, ["i:*|a|b", "i:http://hospital/mrn|a|b"]);
}

fn values(names: &[NameValue]) -> Vec<(&'static str, String)> {
    names.iter().map(|name| (name.part, name.value.clone())).collect()
}

#[test]
fn a_patient_gives_what_it_is_sorted_and_told_apart_by() {
    let index = patient_of(
        r#"{"name":[{"family":"van Dyck","given":["Zoë"]},{"family":"abel"}],"gender":"female","active":false,
        "birthDate":"1980-02","identifier":[{"type":{"text":"Medical Record"},"value":"1"}]}"#,
    );
    assert_eq!((index.family.as_str(), index.gender.as_deref(), index.active), ("abel", Some("female"), Some(false)));
    assert_eq!((index.birth, index.texts.as_str()), (range("1980-02", "1980-02"), "\nimedical record"));
    let written: Vec<_> = index.names.iter().map(|name| name.written.as_deref()).collect();
    assert_eq!(written, [None, Some("van Dyck"), Some("Zoë")]);
    let empty = patient_of("{}");
    assert_eq!((empty.family.as_str(), empty.gender, empty.active), ("", None, None));
    assert_eq!((empty.birth, empty.texts.as_str()), (Range::ABSENT, ""));
}

#[test]
fn components_give_numbers_with_their_codes() {
    let index = with(
        r#""component":[
        {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic"},{"code":"sys"}]},
         "valueQuantity":{"value":120,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
        {"code":{"text":"Pulse"},"valueQuantity":{"value":70}},
        {"code":{"coding":[{"code":"note"}]},"valueString":"calm"}]"#,
    );
    let parts: Vec<_> = index.parts.iter().map(|part| (part.code.as_str(), part.quantity.low)).collect();
    assert_eq!(parts, [("|sys", 120.0), ("~l|8480-6", 120.0), ("", 70.0)]);
    assert_eq!(index.parts[0].quantity.canonical.as_ref().map(|canonical| canonical.low), Some(15_998_640.0));
    assert_eq!(index.tokens, ["k:*|8480-6", "k:*|note", "k:*|sys", "k:|note", "k:|sys", "k:~l|8480-6"]);
    assert_eq!(index.texts, "\nkpulse\nksystolic");
}

#[test]
fn references_give_their_identifiers() {
    let identifier = r#""identifier":{"system":"urn:x","value":"7"}"#;
    let cases = [
        (format!(r#""subject":{{{identifier}}}"#), "S T"),
        (format!(r#""subject":{{"type":"Patient",{identifier}}}"#), "S T"),
        (format!(r#""subject":{{"type":"Group",{identifier}}}"#), "S"),
        (format!(r#""subject":{{"reference":"Patient/p",{identifier}}}"#), "S T"),
        (format!(r##""subject":{{"reference":"#g",{identifier}}}"##), "S"),
        (format!(r#""encounter":{{{identifier}}}"#), "E"),
        (format!(r#""performer":[{{{identifier}}}]"#), "P"),
        (format!(r#""device":{{{identifier}}}"#), "D"),
    ];
    for (members, letters) in cases {
        let expected: Vec<_> =
            letters.split(' ').flat_map(|letter| [format!("{letter}:*|7"), format!("{letter}:urn:x|7")]).collect();
        assert_eq!(with(&members).tokens, expected, "{members}");
    }
}

/// An index entry has room for some 2,700 bytes: longer forms stay in the body alone.
#[test]
fn forms_that_no_index_can_hold_are_left_out() {
    let (long, longer) = ("a".repeat(LONGEST_FORM - 4), "é".repeat(5_000));
    let index = with(&format!(
        r#""code":{{"coding":[{{"system":"{longer}","code":"c"}},{{"code":"{long}"}}]}},"subject":{{"reference":"urn:{longer}"}},
        "identifier":[{{"value":"{long}"}},{{"value":"{longer}"}}],"meta":{{"security":[{{"code":"{longer}"}}]}}"#
    ));
    assert_eq!(index.code1.as_deref(), Some("*"));
    assert_eq!(index.codes, [format!("*|{long}"), "*|c".to_owned(), format!("|{long}")]);
    assert_eq!(index.tokens, [format!("i:*|{long}"), format!("i:|{long}")]);
    assert_eq!(index.security, Vec::<String>::new());
    let names = patient_of(&format!(r#"{{"name":[{{"family":"{longer}","given":["\u0301"," "]}}]}}"#)).names;
    assert_eq!(values(&names), [("family", "e".repeat(LONGEST_NAME))]);
}

#[test]
fn odd_resources_give_empty_columns_without_panic() {
    let odd = ["null", "true", "0", r#""text""#, "[]", "{}", "[[[]]]", r#"[{"code":"x"}]"#, r#"{"coding":7}"#];
    let members = [
        "meta",
        "identifier",
        "name",
        "status",
        "code",
        "component",
        "category",
        "subject",
        "encounter",
        "performer",
        "device",
        "valueCodeableConcept",
        "valueQuantity",
        "valueSampledData",
        "gender",
        "active",
        "birthDate",
        "effectiveDateTime",
        "effectiveInstant",
        "effectivePeriod",
        "effectiveTiming",
    ];
    let nested = |value: &str| {
        let names = [
            "coding",
            "reference",
            "security",
            "event",
            "repeat",
            "boundsPeriod",
            "start",
            "family",
            "given",
            "code",
            "value",
            "data",
            "origin",
            "type",
            "text",
            "valueQuantity",
            "identifier",
        ];
        let members: Vec<_> = names.iter().map(|name| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    for value in odd {
        patient_of(value);
        observation_of(value);
        for member in members {
            for shape in [value.to_owned(), nested(value), format!("[{}]", nested(value)), nested(&nested(value))] {
                let text = format!(r#"{{"{member}":{shape}}}"#);
                patient_of(&text);
                observation_of(&text);
            }
        }
    }
}

#[test]
fn a_body_of_many_codings_is_extracted_at_once() {
    let identifiers: Vec<_> = (0..50_000).map(|number| format!(r#"{{"value":"{}"}}"#, number % 40_000)).collect();
    let index = with(&format!(r#""identifier":[{}]"#, identifiers.join(",")));
    assert_eq!(index.tokens.len(), 80_000);
}
