//! The codec both ways, and what it refuses (attack X17, by number and letter).

use super::*;
use crate::{CodecError, MAX_XML_BYTES};
use fhirbolt::{FhirReleases, element::Element};

const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","id":"o1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.678Z","#,
    r#""profile":["http://hl7.org/fhir/StructureDefinition/bp"]},"text":{"status":"generated","#,
    r#""div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"de\">Puls <b>gut</b> &amp; <i>ruhig</i>\n<br/></div>"},"#,
    r#""contained":[{"resourceType":"Patient","id":"p","active":true,"multipleBirthInteger":2}],"#,
    r#""extension":[{"url":"http://example.org/e","valueDecimal":0.10}],"status":"final","#,
    r#""_status":{"id":"s","extension":[{"url":"http://example.org/x","valueString":"a\nb\t<&>\"c\""}]},"#,
    r#""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"#,
    r#""code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}],"text":"𝄞 é"},"#,
    r#""subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-01-02","#,
    r#""component":[{"code":{"text":"a"},"valueQuantity":{"value":120.00,"unit":"mmHg"}},"#,
    r#"{"id":"c2","code":{"text":"b"},"valueQuantity":{"value":-1.5E-10}}]}"#,
);

const BUNDLE: &str = concat!(
    r#"{"resourceType":"Bundle","type":"searchset","total":18,"link":[{"relation":"self","url":"http://x/?a=b&c=d"}],"#,
    r#""entry":[{"fullUrl":"http://x/Patient/p1","resource":{"resourceType":"Patient","id":"p1","name":[{"given":["A","B"],"#,
    r#""_given":[null,{"id":"g"}]}],"_birthDate":{"extension":[{"url":"http://example.org/u","valueCode":"unknown"}]}},"#,
    r#""search":{"mode":"match"}},{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","#,
    r#""code":"not-supported","diagnostics":"parameter \"x\"","expression":["x"]}]},"search":{"mode":"outcome"}}]}"#,
);

fn observation(inside: &str) -> String {
    format!(r#"<Observation xmlns="http://hl7.org/fhir">{inside}</Observation>"#)
}

#[test]
fn resources_go_to_xml_and_back_to_the_digit() {
    for json in [OBSERVATION, BUNDLE] {
        let xml = json_to_xml(json).unwrap();
        assert_eq!(xml_to_json(&xml).unwrap(), json);
    }
    let xml = json_to_xml(OBSERVATION).unwrap();
    assert!(xml.contains(r#"<value value="120.00"/>"#), "{xml}");
    assert!(xml.contains(r#"<value value="-1.5E-10"/>"#), "{xml}");
    assert!(xml.contains(r#"lang="de">Puls <b>gut</b> &amp; <i>ruhig</i>"#), "{xml}");
    assert!(xml.contains(r#"value="a&#10;b&#9;&lt;&amp;&gt;&quot;c&quot;""#), "{xml}");
}

#[test]
fn fhirbolt_reads_the_same_from_our_xml_as_from_the_json() {
    for json in [OBSERVATION, BUNDLE] {
        let json = json.replace(" lang=\\\"de\\\"", "").replace("Puls <b>gut</b> &amp; <i>ruhig</i>\\n<br/>", "x");
        let from_json: Element<{ FhirReleases::R4 }> = fhirbolt::json::from_str(&json, None).unwrap();
        let from_xml: Element<{ FhirReleases::R4 }> =
            fhirbolt::xml::from_str(&json_to_xml(&json).unwrap(), None).unwrap();
        let text = |element| fhirbolt::json::to_string(element, None).unwrap();
        assert_eq!(text(&from_xml), text(&from_json));
    }
}

#[test]
fn members_in_any_order_come_out_in_the_order_of_the_schema() {
    let json = r#"{"code":{"text":"x"},"status":"final","id":"1","resourceType":"Observation"}"#;
    let xml = json_to_xml(json).unwrap();
    assert!(
        xml.ends_with(r#"<id value="1"/><status value="final"/><code><text value="x"/></code></Observation>"#),
        "{xml}"
    );
}

#[test]
fn an_empty_contained_resource_does_not_swallow_what_follows() {
    let xml = observation(r#"<contained><Patient/></contained><status value="final"/><code><text value="x"/></code>"#);
    let json = r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient"}],"status":"final","code":{"text":"x"}}"#;
    assert_eq!(xml_to_json(&xml).unwrap(), json);
}

#[test]
fn comments_declaration_white_space_and_references_are_understood() {
    let xml = "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<!-- a -->\n<Observation\n xmlns='http://hl7.org/fhir' >\n\
        <text><status value='additional' /><!-- b --><div xmlns='http://www.w3.org/1999/xhtml'>a <!-- c --> b\r\n</div></text>\
        <status value='&#102;&#x69;nal'/><code><text value=\"it's &lt;\n&amp;&gt; &apos;&quot;&#10;\"/></code></Observation>\n<!-- d -->";
    let json = concat!(
        r#"{"resourceType":"Observation","text":{"status":"additional","#,
        r#""div":"<div xmlns='http://www.w3.org/1999/xhtml'>a <!-- c --> b\n</div>"},"#,
        r#""status":"final","code":{"text":"it's < &> '\"\n"}}"#
    );
    assert_eq!(xml_to_json(xml).unwrap(), json);
}

#[test]
fn x17_hostile_xml_is_refused_before_anything_is_built_from_it() {
    let fhir = r#"xmlns="http://hl7.org/fhir""#;
    let status = r#"<status value="final"/>"#;
    let div = |inside: &str| {
        observation(&format!(
            r#"<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">{inside}</div></text>"#
        ))
    };
    let deep = |levels: usize| format!("{}{}", "<extension url=\"u\">".repeat(levels), "</extension>".repeat(levels));
    let cases = [
        ("X17a document type", format!("<!DOCTYPE Observation><Observation {fhir}>{status}</Observation>")),
        (
            "X17b external entity",
            format!(
                "<!DOCTYPE o [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Observation {fhir}><status value=\"&e;\"/></Observation>"
            ),
        ),
        ("X17c external DTD", format!("<!DOCTYPE o SYSTEM \"http://127.0.0.1:9/x.dtd\"><Observation {fhir}/>")),
        (
            "X17d parameter entity",
            format!("<!DOCTYPE o [<!ENTITY % p SYSTEM \"http://127.0.0.1:9/\"> %p;]><Observation {fhir}/>"),
        ),
        (
            "X17e billion laughs",
            format!(
                "<!DOCTYPE o [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><Observation {fhir}><status value=\"&b;\"/></Observation>"
            ),
        ),
        ("X17f entity without declaration", observation(r#"<status value="&e;"/>"#)),
        ("X17g HTML entity in the narrative", div("a&nbsp;b")),
        ("X17h stylesheet", format!("<?xml-stylesheet href=\"http://127.0.0.1:9/\"?><Observation {fhir}/>")),
        ("X17i instruction inside", observation("<?php x?>")),
        ("X17j instruction in the narrative", div("<?php x?>")),
        (
            "X17k XInclude",
            observation(r#"<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>"#),
        ),
        (
            "X17l XInclude as the default namespace",
            observation(r#"<include xmlns="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>"#),
        ),
        ("X17m no namespace", format!("<Observation>{status}</Observation>")),
        ("X17n wrong namespace", format!("<Observation xmlns=\"http://hl7.org/fhir/\">{status}</Observation>")),
        ("X17o foreign namespace in the narrative", div(r#"<svg xmlns="http://www.w3.org/2000/svg"/>"#)),
        ("X17p narrative in FHIR's namespace", observation("<text><status value=\"generated\"/><div>x</div></text>")),
        ("X17q CDATA", div("<![CDATA[<b>]]>")),
        ("X17r 65 levels", observation(&deep(64))),
        ("X17s 100,000 levels", observation(&deep(100_000))),
        ("X17t levels in the narrative", div(&format!("{}{}", "<b>".repeat(64), "</b>".repeat(64)))),
        ("X17u prefixed element", r#"<f:Observation xmlns:f="http://hl7.org/fhir"/>"#.to_owned()),
        ("X17v another encoding", format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?><Observation {fhir}/>")),
        ("X17w version 1.1", format!("<?xml version=\"1.1\"?><Observation {fhir}/>")),
        ("X17x declaration later", format!(" <?xml version=\"1.0\"?><Observation {fhir}/>")),
        ("X17y two roots", format!("<Observation {fhir}/><Observation {fhir}/>")),
        (
            "X17z schema location",
            format!(
                "<Observation {fhir} xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\"/>"
            ),
        ),
        ("elements without end", observation(&"<a/>".repeat(1_000_000))),
        (
            "attributes without end",
            observation(&format!(
                "<status {}/>",
                (0..300_000).map(|n| format!("a{n}=''")).collect::<Vec<_>>().join(" ")
            )),
        ),
        ("attribute twice", observation(r#"<status value="final" value="amended"/>"#)),
        ("unknown attribute", observation(r#"<status value="final" lang="de"/>"#)),
        ("tags crossed", observation("<code><text></code></text>")),
        ("cut short", format!("<Observation {fhir}><status")),
        ("text between elements", observation("hello")),
        ("a raw control character", observation("<status value=\"\u{1}\"/>")),
        ("a control character by reference", observation("<status value=\"&#1;\"/>")),
        ("NUL by reference", observation("<status value=\"&#x0;\"/>")),
        ("surrogate by reference", observation("<status value=\"&#xD800;\"/>")),
        ("signed reference", observation("<status value=\"&#+65;\"/>")),
        ("less-than in an attribute", observation("<status value=\"<\"/>")),
        ("comment with dashes", observation("<!-- a -- b -->")),
        ("nothing", String::new()),
        ("only a comment", "<!-- -->".to_owned()),
    ];
    for (name, xml) in cases {
        assert!(matches!(xml_to_json(&xml), Err(CodecError::Refused { .. })), "{name}: {:?}", xml_to_json(&xml));
    }
    let long = observation(&format!("<!--{}-->", " ".repeat(MAX_XML_BYTES)));
    assert_eq!(xml_to_json(&long), Err(CodecError::TooLong));
    assert!(xml_to_json(&observation(&deep(63))).is_ok());
}

#[test]
fn what_is_not_fhir_is_refused_with_its_place() {
    let cases = [
        (r#"<colour value="red"/>"#, "Observation.colour"),
        (r#"<status value="final"/><status value="amended"/>"#, "Observation.status"),
        (r#"<code><text value="x"/></code><status value="final"/>"#, "Observation.status"),
        (r#"<identifier value="1"/>"#, "Observation.identifier[0]"),
        (r#"<identifier><id value="1"/></identifier>"#, "Observation.identifier[0].id"),
        (r#"<extension url="a"><url value="b"/></extension>"#, "Observation.extension[0].url"),
        (r#"<status value="final"><coding/></status>"#, "Observation.status"),
        ("<status/>", "Observation.status"),
        ("<code/>", "Observation.code"),
        (r#"<resourceType value="Patient"/>"#, "Observation.resourceType"),
        (r#"<valueQuantity><value value="1,&quot;x&quot;:2"/></valueQuantity>"#, "Observation.valueQuantity.value"),
        (r#"<valueQuantity><value value="NaN"/></valueQuantity>"#, "Observation.valueQuantity.value"),
        (r#"<valueInteger value="007"/>"#, "Observation.valueInteger"),
        (r#"<valueInteger value="+7"/>"#, "Observation.valueInteger"),
        (r#"<valueBoolean value="1"/>"#, "Observation.valueBoolean"),
        ("<contained><Patient/><Patient/></contained>", "Observation.contained[0]"),
        ("<contained><Quantity/></contained>", "Observation.contained[0]"),
        (r#"<contained id="a"><Patient/></contained>"#, "Observation.contained[0]"),
    ];
    for (inside, place) in cases {
        match xml_to_json(&observation(inside)) {
            Err(CodecError::Element { expression, .. }) => assert_eq!(expression, place, "{inside}"),
            other => panic!("{inside}: {other:?}"),
        }
    }
    for root in ["Quantity", "observation", "Resource", "DomainResource", "Nothing"] {
        let xml = format!(r#"<{root} xmlns="http://hl7.org/fhir"/>"#);
        assert!(matches!(xml_to_json(&xml), Err(CodecError::Element { .. })), "{root}");
    }
}

#[test]
fn a_narrative_cannot_break_out_of_its_place() {
    let with = |div: &str| {
        let div = serde_json::Value::from(div);
        format!(r#"{{"resourceType":"Patient","text":{{"status":"generated","div":{div}}}}}"#)
    };
    let broken = [
        "<div>a</div></text><active value=\"true\"/><text>",
        "<div>a",
        "text",
        "<div>&nbsp;</div>",
        "<p/>",
        "<div/><div/>",
        "<!-- --><div/>",
        "<divx></divx>",
        "<div>\u{1}</div>",
        "",
    ];
    for div in broken {
        assert!(matches!(json_to_xml(&with(div)), Err(CodecError::Element { .. })), "{div}");
    }
    let xml = json_to_xml(&with(" <div>a <b>b</b></div>\n")).unwrap();
    assert!(xml.contains(r#"<div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b></div>"#), "{xml}");
}

#[test]
fn json_that_xml_cannot_carry_is_refused() {
    for json in ["", "[]", "1", "{", r#"{"resourceType":"Patient","multipleBirthInteger":01}"#] {
        assert_eq!(json_to_xml(json), Err(CodecError::Json), "{json}");
    }
    for json in [
        "{}",
        r#"{"resourceType":"Nothing"}"#,
        r#"{"resourceType":"Patient","gendr":"x"}"#,
        r#"{"resourceType":"Patient","gender":"\u0001"}"#,
        r#"{"resourceType":"Patient","gender":"\uFFFE"}"#,
        r#"{"resourceType":"Patient","name":[[{"text":"x"}]]}"#,
        r#"{"resourceType":"Patient","contained":[{"id":"x"}]}"#,
    ] {
        assert!(matches!(json_to_xml(json), Err(CodecError::Element { .. })), "{json}");
    }
}

#[test]
fn published_examples_survive_the_way_through_xml() {
    let Some(folder) = published_folder() else {
        println!("not run: 6 cases (VITALS_TEST_DATA is not set)");
        return;
    };
    for file in [
        "r4-examples-Patient",
        "r4-examples-Observation",
        "uscore8-examples-Patient",
        "uscore8-examples-Observation",
        "synthea-Patient",
        "synthea-Observation-vitals",
    ] {
        let lines = std::fs::read_to_string(folder.join(format!("{file}.ndjson"))).unwrap();
        for (place, line) in lines.lines().enumerate().take(300) {
            let xml = match json_to_xml(line) {
                Ok(xml) => xml,
                Err(error) => panic!("{file} {}: {error:?}", place + 1),
            };
            let again = xml_to_json(&xml).unwrap_or_else(|error| panic!("{file} {}: {error:?}", place + 1));
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(&crate::number::quoted(text)).unwrap();
            assert_eq!(value(&again), value(line), "{file} {}", place + 1);
            assert_eq!(crate::check_elements(&again), Ok(()), "{file} {}", place + 1);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests find the published data through the environment")]
fn published_folder() -> Option<std::path::PathBuf> {
    std::env::var_os("VITALS_TEST_DATA").map(std::path::PathBuf::from)
}
