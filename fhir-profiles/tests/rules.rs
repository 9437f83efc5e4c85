//! Every rule as a table of cases: what is taken, and what is found where.

use vitals_fhir::{json, outcome::Severity, resource::ResourceType, structure};
use vitals_fhir_profiles::{plausibility, validate};

/// The findings as `code expression`; the structure must be sound.
fn found(text: &str, resource: ResourceType) -> Vec<String> {
    let document = json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(structure::check(&document, resource), [], "{text}");
    let issues = validate(document.root(), resource);
    for issue in &issues {
        assert_eq!(issue.severity, Severity::Error);
        assert!(!issue.diagnostics.contains("CANARY"), "{}", issue.diagnostics);
    }
    issues.iter().map(|issue| format!("{} {}", issue.code.code(), issue.expression.as_deref().unwrap())).collect()
}

fn patient(members: &str) -> Vec<String> {
    found(&format!(r#"{{"resourceType":"Patient",{members}}}"#), ResourceType::Patient)
}

fn observation(members: &str) -> Vec<String> {
    let text = format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"c"}},{members}}}"#);
    found(&text, ResourceType::Observation)
}

/// An extension with this value, whose findings are below `Patient.extension[0].`
fn value(name: &str, value: &str) -> Vec<String> {
    let all = patient(&format!(r#""extension":[{{"url":"u","{name}":{value}}}]"#));
    all.into_iter().map(|one| one.replace("Patient.extension[0].", "")).collect()
}

#[test]
fn invariants_of_data_types_are_kept() {
    for (name, text, expected) in [
        ("valueAttachment", r#"{"data":"AAAA"}"#, "invariant valueAttachment.contentType"),
        ("valueAttachment", r#"{"data":"AAAA","contentType":"text/plain"}"#, ""),
        ("valueAttachment", r#"{"contentType":"text/plain; charset=utf-8","language":"de-CH"}"#, ""),
        ("valueAttachment", r#"{"contentType":"CANARY"}"#, "code-invalid valueAttachment.contentType"),
        ("valueAttachment", r#"{"language":"CANARY!"}"#, "code-invalid valueAttachment.language"),
        ("valueContactPoint", r#"{"value":"CANARY"}"#, "invariant valueContactPoint.system"),
        ("valueContactPoint", r#"{"value":"1","system":"phone","use":"mobile"}"#, ""),
        ("valueContactPoint", r#"{"value":"1","system":"CANARY"}"#, "code-invalid valueContactPoint.system"),
        ("valueContactPoint", r#"{"value":"1","system":"phone","use":"CANARY"}"#, "code-invalid valueContactPoint.use"),
        ("valueContactPoint", r#"{"value":"1","_system":{"extension":[{"url":"u","valueCode":"x"}]}}"#, ""),
        ("valueQuantity", r#"{"value":1,"code":"kg"}"#, "invariant valueQuantity.system"),
        ("valueQuantity", r#"{"value":1,"comparator":"!="}"#, "code-invalid valueQuantity.comparator"),
        ("valueQuantity", r#"{"value":1,"comparator":"<"}"#, ""),
        ("valueAge", r#"{"value":1}"#, "invariant valueAge.code"),
        ("valueAge", r#"{"value":0,"system":"http://unitsofmeasure.org","code":"a"}"#, "invariant valueAge.value"),
        ("valueAge", r#"{"value":1,"system":"http://x","code":"a"}"#, "invariant valueAge.system"),
        ("valueAge", r#"{"value":1,"system":"http://unitsofmeasure.org","code":"a"}"#, ""),
        ("valueCount", r#"{"value":1,"system":"http://unitsofmeasure.org","code":"2"}"#, "invariant valueCount.code"),
        ("valueDistance", r#"{"value":1}"#, "invariant valueDistance.code"),
        ("valueDuration", r#"{"code":"h","system":"http://unitsofmeasure.org"}"#, "invariant valueDuration.value"),
        ("valueMoney", r#"{"value":1,"currency":"eur"}"#, "code-invalid valueMoney.currency"),
        ("valuePeriod", r#"{"start":"2020-02","end":"2020-01"}"#, "invariant valuePeriod"),
        ("valuePeriod", r#"{"start":"2020-02-03","end":"2020"}"#, ""),
        ("valuePeriod", r#"{"start":"2020-01-01T01:00:00+02:00","end":"2019-12-31T23:00:00Z"}"#, ""),
        (
            "valuePeriod",
            r#"{"start":"2020-01-01T01:00:01+02:00","end":"2019-12-31T23:00:00Z"}"#,
            "invariant valuePeriod",
        ),
        ("valueRange", r#"{"low":{"value":2},"high":{"value":1}}"#, "invariant valueRange"),
        ("valueRange", r#"{"low":{"value":2,"unit":"g"},"high":{"value":1,"unit":"kg"}}"#, ""),
        ("valueRange", r#"{"low":{"value":1.0},"high":{"value":1}}"#, ""),
        ("valueRange", r#"{"low":{"value":2,"comparator":"<"}}"#, "invariant valueRange.low.comparator"),
        ("valueRatio", r#"{"numerator":{"value":1}}"#, "invariant valueRatio.denominator"),
        ("valueRatio", r#"{"denominator":{"value":1}}"#, "invariant valueRatio.numerator"),
        ("valueRatio", r#"{"id":"x","extension":[{"url":"u","valueCode":"x"}]}"#, ""),
        (
            "valueSampledData",
            r#"{"origin":{"value":1,"comparator":"<"},"period":1,"dimensions":1}"#,
            "invariant valueSampledData.origin.comparator",
        ),
        ("valueReference", r##"{"reference":"#CANARY"}"##, "invariant valueReference.reference"),
        ("valueReference", r##"{"reference":"#"}"##, "invariant valueReference.reference"),
        ("valueReference", r#"{"reference":"Patient/a"}"#, ""),
        ("valueIdentifier", r#"{"use":"CANARY"}"#, "code-invalid valueIdentifier.use"),
        ("valueHumanName", r#"{"use":"CANARY"}"#, "code-invalid valueHumanName.use"),
        ("valueAddress", r#"{"use":"CANARY"}"#, "code-invalid valueAddress.use"),
        ("valueAddress", r#"{"type":"CANARY"}"#, "code-invalid valueAddress.type"),
        ("valueExpression", r#"{"language":"text/cql"}"#, "invariant valueExpression"),
        ("valueCodeableConcept", r#"{"id":"x"}"#, "invariant valueCodeableConcept"),
        ("valueCodeableConcept", r#"{"coding":[{"id":"x"}]}"#, "invariant valueCodeableConcept.coding[0]"),
    ] {
        let expected: Vec<_> = [expected].into_iter().filter(|expected| !expected.is_empty()).collect();
        assert_eq!(value(name, text), expected, "{name} {text}");
    }
}

#[test]
fn timings_are_kept() {
    for (repeat, expected) in [
        (r#""duration":1"#, "invariant durationUnit"),
        (r#""duration":-1,"durationUnit":"h""#, "invariant duration"),
        (r#""duration":1,"durationUnit":"CANARY""#, "code-invalid durationUnit"),
        (r#""durationMax":1"#, "invariant duration"),
        (r#""period":1"#, "invariant periodUnit"),
        (r#""period":-0.5,"periodUnit":"h""#, "invariant period"),
        (r#""periodMax":1"#, "invariant period"),
        (r#""countMax":1"#, "invariant count"),
        (r#""offset":1"#, "invariant when"),
        (r#""offset":1,"when":["AC"]"#, ""),
        (r#""offset":1,"when":["AC","C"]"#, "invariant when[1]"),
        (r#""when":["CANARY"]"#, "code-invalid when[0]"),
        (r#""dayOfWeek":["mon","CANARY"]"#, "code-invalid dayOfWeek[1]"),
        (r#""timeOfDay":["10:00:00"],"when":["AC"]"#, "invariant timeOfDay"),
        (r#""frequency":1,"period":1,"periodUnit":"d""#, ""),
        (r#""boundsDuration":{"value":1,"code":"h"}"#, "invariant boundsDuration.system"),
        (r#""boundsPeriod":{"start":"2020","end":"2019"}"#, "invariant boundsPeriod"),
    ] {
        let all = value("valueTiming", &format!(r#"{{"repeat":{{{repeat}}}}}"#));
        let all: Vec<_> = all.iter().map(|one| one.replace("valueTiming.repeat.", "")).collect();
        let expected: Vec<_> = [expected].into_iter().filter(|expected| !expected.is_empty()).collect();
        assert_eq!(all, expected, "{repeat}");
    }
}

#[test]
fn patients_keep_their_rules() {
    for (members, expected) in [
        (r#""gender":"CANARY""#, "code-invalid Patient.gender"),
        (r#""gender":"Male""#, "code-invalid Patient.gender"),
        (r#""language":"en-US""#, ""),
        (r#""contact":[{"gender":"male"}]"#, "invariant Patient.contact[0]"),
        (r#""contact":[{"gender":"CANARY","organization":{"display":"o"}}]"#, "code-invalid Patient.contact[0].gender"),
        (r#""link":[{"other":{"reference":"Patient/a"},"type":"CANARY"}]"#, "code-invalid Patient.link[0].type"),
        (r#""name":[{"use":"usual"},{"use":"CANARY"}]"#, "code-invalid Patient.name[1].use"),
        (r#""name":[{"family":"x","period":{"id":"p"}}]"#, "invariant Patient.name[0].period"),
        (r#""name":[{"id":"x"}]"#, "invariant Patient.name[0]"),
        (r#""active":true,"_active":{"id":"x"}"#, ""),
        (r#""_active":{"id":"x"}"#, "invariant Patient.active"),
        (r#""_active":{"extension":[{"url":"u","valueCode":"x"}]}"#, ""),
        (r#""name":[{"given":["a",null],"_given":[{"id":"x"},{"id":"y"}]}]"#, "invariant Patient.name[0].given[1]"),
        (
            r#""_gender":{"extension":[{"url":"u","valueQuantity":{"code":"a"}}]}"#,
            "invariant Patient.gender.extension[0].valueQuantity.system",
        ),
        (r#""text":{"status":"CANARY","div":"<div>a</div>"}"#, "code-invalid Patient.text.status"),
        (r#""text":{"status":"generated","div":"<div><script>CANARY</script></div>"}"#, "invariant Patient.text.div"),
        (r#""text":{"status":"generated","div":"<div> </div>"}"#, "invariant Patient.text.div"),
        (r#""photo":[{"data":"AAAA"}]"#, "invariant Patient.photo[0].contentType"),
    ] {
        let expected: Vec<_> = [expected].into_iter().filter(|expected| !expected.is_empty()).collect();
        assert_eq!(patient(members), expected, "{members}");
    }
}

#[test]
fn contained_resources_keep_their_rules() {
    const USED: &str = r##""managingOrganization":{"reference":"#o"}"##;
    for (contained, others, expected) in [
        (r#""id":"o","name":"n""#, USED, ""),
        (r#""id":"o","name":"n""#, r#""active":true"#, "invariant Patient.contained[0]"),
        (r#""id":"o","name":"n","partOf":{"reference":"\u0023"}"#, r#""active":true"#, ""),
        (r#""id":"CANARY","name":"n""#, r#""extension":[{"url":"u","valueUri":"\u0023CANARY"}]"#, ""),
        (r#""id":"o","meta":{"versionId":"1"}"#, USED, "invariant Patient.contained[0].meta.versionId"),
        (
            r#""id":"o","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}"#,
            USED,
            "invariant Patient.contained[0].meta.lastUpdated",
        ),
        (r#""id":"o","meta":{"security":[{"code":"R"}]}"#, USED, "invariant Patient.contained[0].meta.security"),
        (r#""id":"o","meta":{"profile":["http://p"]}"#, USED, ""),
        (r#""id":"o","telecom":[{"value":"1"}]"#, USED, "invariant Patient.contained[0].telecom[0].system"),
        (r##""id":"o","partOf":{"reference":"#x"}"##, USED, "invariant Patient.contained[0].partOf.reference"),
        (r#""name":"n""#, r#""active":true"#, "invariant Patient.contained[0]"),
        (
            r#""id":"o","text":{"status":"generated","div":"<div><form/></div>"}"#,
            USED,
            "invariant Patient.contained[0].text.div",
        ),
    ] {
        let found = patient(&format!(r#""contained":[{{"resourceType":"Organization",{contained}}}],{others}"#));
        let expected: Vec<_> = [expected].into_iter().filter(|expected| !expected.is_empty()).collect();
        assert_eq!(found, expected, "{contained} {others}");
    }
    let bound = patient(&format!(
        r#""contained":[{{"resourceType":"Observation","id":"o","status":"CANARY","code":{{"text":"c"}}}}],{USED}"#
    ));
    assert_eq!(bound, ["code-invalid Patient.contained[0].status"]);
}

#[test]
fn observations_keep_their_rules() {
    for (members, expected) in [
        (r#""valueString":"a","dataAbsentReason":{"text":"x"}"#, "invariant Observation.dataAbsentReason"),
        (
            r#""_valueString":{"extension":[{"url":"u","valueCode":"x"}]},"dataAbsentReason":{"text":"x"}"#,
            "invariant Observation.dataAbsentReason",
        ),
        (r#""referenceRange":[{"text":"t"},{"type":{"text":"x"}}]"#, "invariant Observation.referenceRange[1]"),
        (
            r#""component":[{"code":{"text":"c"},"referenceRange":[{"type":{"text":"x"}}]}]"#,
            "invariant Observation.component[0].referenceRange[0]",
        ),
        (
            r#""referenceRange":[{"low":{"value":1,"comparator":">"}}]"#,
            "invariant Observation.referenceRange[0].low.comparator",
        ),
        (r#""component":[{"code":{"text":"c"}}]"#, ""),
        (r#""valueQuantity":{"value":1e9,"unit":"CANARY"}"#, ""),
    ] {
        let expected: Vec<_> = [expected].into_iter().filter(|expected| !expected.is_empty()).collect();
        assert_eq!(observation(members), expected, "{members}");
    }
    let same = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"a","display":"x"}]},
        "valueInteger":1,"component":[{"code":{"coding":[{"system":"s","code":"a"}]},"valueInteger":1}]}"#;
    assert_eq!(found(same, ResourceType::Observation), ["invariant Observation.component[0].code"]);
    let no_value = same.replacen("\"valueInteger\":1,", "", 1);
    assert_eq!(found(&no_value, ResourceType::Observation), [""; 0]);
    let status = r#"{"resourceType":"Observation","status":"CANARY","code":{"text":"c"}}"#;
    assert_eq!(found(status, ResourceType::Observation), ["code-invalid Observation.status"]);
}

const CATEGORY: &str = r#""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}]"#;
const REST: &str = r#""subject":{"reference":"Patient/a"},"effectiveDateTime":"2020-01-01""#;

fn vital(loinc: &str, members: &str) -> Vec<String> {
    let codes: Vec<_> =
        loinc.split(' ').map(|code| format!(r#"{{"system":"http://loinc.org","code":"{code}"}}"#)).collect();
    let text = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{}]}},{members}}}"#,
        codes.join(",")
    );
    found(&text, ResourceType::Observation)
}

fn quantity(value: &str, unit: &str) -> String {
    format!(r#"{{"value":{value},"unit":"u","system":"http://unitsofmeasure.org","code":"{unit}"}}"#)
}

#[test]
fn units_are_those_of_the_vital() {
    for (loinc, units) in [
        ("8867-4", "/min"),
        ("9279-1", "/min"),
        ("2708-6", "%"),
        ("59408-5", "%"),
        ("2708-6 59408-5", "%"),
        ("8310-5", "Cel [degF]"),
        ("29463-7", "kg g [lb_av]"),
        ("8302-2", "cm [in_i]"),
        ("39156-5", "kg/m2"),
        ("9843-4", "cm [in_i]"),
        ("8478-0", "mm[Hg]"),
        ("8480-6", "mm[Hg]"),
    ] {
        for unit in "/min % Cel [degF] kg g [lb_av] cm [in_i] kg/m2 mm[Hg] mph".split(' ') {
            let value = quantity(if unit == "g" { "3000" } else { "37" }, unit);
            let found = vital(loinc, &format!(r#"{CATEGORY},{REST},"valueQuantity":{value}"#));
            let allowed = units.split(' ').any(|own| own == unit);
            let expected = if allowed { vec![] } else { vec!["code-invalid Observation.valueQuantity.code"] };
            assert_eq!(found, expected, "{loinc} {unit}");
        }
    }
}

#[test]
fn category_or_code_make_a_vital_sign() {
    let good = format!(r#"{REST},"valueQuantity":{}"#, quantity("70", "/min"));
    assert_eq!(vital("8867-4", &good), ["required Observation.category"]);
    assert_eq!(vital("1234-5", &good), [""; 0]);
    assert_eq!(vital("8480-6", &format!(r#"{REST},"valueQuantity":{}"#, quantity("70", "mm[Hg]"))), [""; 0]);
    assert_eq!(vital("8480-6", &good), ["code-invalid Observation.valueQuantity.code"]);
    assert_eq!(
        vital("1234-5", CATEGORY),
        ["required Observation.subject", "required Observation.effective", "invariant Observation.value"]
    );
    assert_eq!(vital("1234-5", &format!(r#"{CATEGORY},{REST},"valueString":"x""#)), [""; 0]);
    let other_system = good.replace("http://loinc.org", "http://example.org");
    assert_eq!(observation(&other_system), [""; 0], "no LOINC code, no category: no vital sign");
    let twice = CATEGORY.replace("\"category\":[", "\"category\":[{\"text\":\"t\"},").replace(
        "]}]",
        r#"]},{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}]"#,
    );
    assert_eq!(vital("8867-4", &format!("{twice},{good}")), ["business-rule Observation.category[2]"]);
    assert_eq!(vital("8867-4 8867-4", &format!("{CATEGORY},{good}")), ["business-rule Observation.code.coding[1]"]);
}

#[test]
fn a_blood_pressure_is_a_panel() {
    let part = |loinc: &str, rest: &str| {
        format!(r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{loinc}"}}]}}{rest}}}"#)
    };
    let mmhg = |number: &str| format!(r#","valueQuantity":{}"#, quantity(number, "mm[Hg]"));
    let absent = r#","dataAbsentReason":{"text":"x"}"#;
    for (components, expected) in [
        (vec![part("8480-6", &mmhg("120")), part("8462-4", &mmhg("80"))], vec![]),
        (vec![part("8480-6", &mmhg("120")), part("8462-4", absent)], vec![]),
        (vec![part("8480-6", &mmhg("120")), part("8462-4", &mmhg("80")), part("8478-0", &mmhg("90"))], vec![]),
        (vec![part("8480-6", &mmhg("120"))], vec!["required Observation.component"]),
        (vec![part("8462-4", &mmhg("120"))], vec!["required Observation.component"]),
        (vec![], vec!["required Observation.component", "required Observation.component"]),
        (
            vec![part("8480-6", &mmhg("120")), part("8462-4", &mmhg("80")), part("8462-4", &mmhg("80"))],
            vec!["business-rule Observation.component[2]"],
        ),
        (vec![part("8480-6", &mmhg("120")), part("8462-4", "")], vec!["invariant Observation.component[1].value"]),
        (
            vec![part("8480-6", &mmhg("-5")), part("8462-4", &mmhg("1e9"))],
            vec![
                "business-rule Observation.component[0].valueQuantity.value",
                "business-rule Observation.component[1].valueQuantity.value",
            ],
        ),
        (
            vec![part("8480-6", r#","valueString":"CANARY""#), part("8462-4", &mmhg("80"))],
            vec!["business-rule Observation.component[0].valueString"],
        ),
        (
            vec![part("8480-6", &mmhg("120")), part("8462-4", r#","valueQuantity":{"value":80}"#)],
            vec![
                "required Observation.component[1].valueQuantity.unit",
                "required Observation.component[1].valueQuantity.system",
                "required Observation.component[1].valueQuantity.code",
            ],
        ),
        (
            vec![part("8480-6", &mmhg("120")), part("8462-4", &mmhg("80").replace("mm[Hg]", "CANARY"))],
            vec!["code-invalid Observation.component[1].valueQuantity.code"],
        ),
        (
            vec![
                part("8480-6", &mmhg("120")),
                part("8462-4", &mmhg("80")),
                part("1-1", &format!(r#","valueQuantity":{}"#, quantity("1", "CANARY"))),
            ],
            vec!["code-invalid Observation.component[2].valueQuantity.code"],
        ),
        (vec![part("8480-6", &mmhg("12")), part("8462-4", &mmhg("80"))], vec![]),
    ] {
        let list = components.join(",");
        let list = if list.is_empty() {
            r#","dataAbsentReason":{"text":"x"}"#.to_owned()
        } else {
            format!(r#","component":[{list}]"#)
        };
        assert_eq!(vital("85354-9", &format!("{CATEGORY},{REST}{list}")), expected, "{list}");
    }
    let both = format!(r#""component":[{},{}]"#, part("8480-6", &mmhg("120")), part("8462-4", &mmhg("80")));
    let value = format!(r#"{CATEGORY},{REST},{both},"valueQuantity":{}"#, quantity("100", "mm[Hg]"));
    assert_eq!(vital("85354-9", &value), ["business-rule Observation.valueQuantity"]);
}

#[test]
fn oxygen_flow_of_us_core_is_taken() {
    let flow = r#"{"code":{"coding":[{"system":"http://loinc.org","code":"3151-8"}]},"valueQuantity":VALUE}"#;
    let with = |unit: &str| {
        let flow = flow.replace("VALUE", &quantity("6", unit));
        vital("59408-5", &format!(r#"{CATEGORY},{REST},"valueQuantity":{},"component":[{flow}]"#, quantity("95", "%")))
    };
    assert_eq!(with("L/min"), [""; 0]);
    assert_eq!(with("/min"), ["code-invalid Observation.component[0].valueQuantity.code"]);
}

fn doubts(loinc: &str, members: &str) -> Vec<String> {
    let text = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{loinc}"}}]}},{members}}}"#
    );
    let document = json::parse(text.as_bytes()).unwrap();
    let issues = plausibility(document.root());
    assert!(issues.iter().all(|issue| issue.severity == Severity::Warning));
    issues.into_iter().map(|issue| issue.expression.unwrap()).collect()
}

#[test]
fn improbable_values_are_doubted_and_not_refused() {
    for (loinc, value, unit, refused, doubted) in [
        ("8867-4", "400", "/min", false, true),
        ("8867-4", "19", "/min", false, true),
        ("8867-4", "20", "/min", false, false),
        ("8867-4", "0", "/min", false, true),
        ("8867-4", "-5", "/min", true, false),
        ("8867-4", "-0.1", "/min", true, false),
        ("8867-4", "1e9", "/min", true, false),
        ("8867-4", "1e400", "/min", true, false),
        ("8310-5", "98.6", "Cel", false, true),
        ("8310-5", "98.6", "[degF]", false, false),
        ("8310-5", "310", "Cel", true, false),
        ("29463-7", "70000", "g", false, false),
        ("29463-7", "70000", "kg", true, false),
        ("2708-6", "101", "%", false, true),
        ("8302-2", "170", "cm", false, false),
        ("8302-2", "1.7", "cm", false, true),
    ] {
        let members = format!(r#"{CATEGORY},{REST},"valueQuantity":{}"#, quantity(value, unit));
        let expected = if refused { vec!["business-rule Observation.valueQuantity.value"] } else { vec![] };
        assert_eq!(vital(loinc, &members), expected, "{loinc} {value} {unit}");
        let expected = if doubted { vec!["Observation.valueQuantity.value"] } else { vec![] };
        assert_eq!(doubts(loinc, &members), expected, "{loinc} {value} {unit}");
    }
    let part = |loinc: &str, value: &str| {
        let value = quantity(value, "mm[Hg]");
        format!(r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{loinc}"}}]}},"valueQuantity":{value}}}"#)
    };
    let pressure = |systolic, diastolic| {
        doubts("85354-9", &format!(r#""component":[{},{}]"#, part("8480-6", systolic), part("8462-4", diastolic)))
    };
    assert_eq!(pressure("120", "80"), [""; 0]);
    assert_eq!(pressure("400", "80"), ["Observation.component[0].valueQuantity.value"]);
    assert_eq!(
        pressure("120", "250"),
        ["Observation.component[1].valueQuantity.value", "Observation.component[0].valueQuantity.value"]
    );
    assert_eq!(pressure("80", "120"), ["Observation.component[0].valueQuantity.value"]);
    assert_eq!(doubts("1234-5", &format!(r#""valueQuantity":{}"#, quantity("1e9", "/min"))), [""; 0]);
}

#[test]
fn many_faults_and_large_bodies_cost_little() {
    let start = std::time::Instant::now();
    let many = vec![r#"{"use":"CANARY"}"#; 100_000].join(",");
    assert_eq!(patient(&format!(r#""name":[{many}]"#)).len(), 50);
    let numbers = 0..40_000;
    let contained: Vec<_> =
        numbers.clone().map(|id| format!(r#"{{"resourceType":"Basic","id":"i{id}","code":{{"text":"c"}}}}"#)).collect();
    let references: Vec<_> = numbers.map(|id| format!(r##"{{"reference":"#i{id}"}}"##)).collect();
    let body = format!(r#""contained":[{}],"generalPractitioner":[{}]"#, contained.join(","), references.join(","));
    assert_eq!(patient(&body), [""; 0]);
    let codings: Vec<_> = (0..20_000).map(|id| format!(r#"{{"system":"s","code":"a{id}"}}"#)).collect();
    let concept = format!(r#"{{"coding":[{}]}}"#, codings.join(","));
    let other = concept.replace("\"a", "\"b");
    let body = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{concept},"valueInteger":1,"component":[{{"code":{other}}}]}}"#
    );
    assert_eq!(found(&body, ResourceType::Observation), [""; 0]);
    assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}
