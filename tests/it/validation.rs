//! What a resource must keep beyond its structure, as a caller sees it: refused writes, `$validate`, doubts.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, ledger, samples};

/// The finding where nothing stands against a write.
const FINE: &str = "information informational Observation";
/// What R4's canonical URLs begin with.
const R4: &str = "http://hl7.org/fhir/StructureDefinition";

/// A heart rate with one thing changed.
fn heart_rate(id: &str, name: &str, value: Value) -> Value {
    let mut observation = samples::heart_rate(id, "p1");
    match value {
        Value::Null => drop(observation.as_object_mut().expect("an object").shift_remove(name)),
        value => observation[name] = value,
    }
    observation
}

fn in_unit(value: &str, unit: &str) -> Value {
    let number: Value = serde_json::from_str(value).expect("a number");
    json!({ "value": number, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit })
}

/// Severity, code and place of each finding, parted by blanks.
fn findings(outcome: &Value) -> Vec<String> {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    let issues = outcome["issue"].as_array().expect("issues");
    let text = |issue: &Value, name: &str| issue[name].as_str().expect("a text").to_owned();
    issues
        .iter()
        .map(|issue| {
            assert!(issue["severity"] == "information" || text(issue, "diagnostics").len() > 20, "a sentence: {issue}");
            let place = issue["expression"][0].as_str().unwrap_or_default();
            format!("{} {} {place}", text(issue, "severity"), text(issue, "code"))
        })
        .collect()
}

/// What is found in a resource, as the rest of its lines: the place and the code of each.
fn cases() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let unit = "Observation.valueQuantity.code";
    vec![
        ("X33 a unit of speed", heart_rate("o", "valueQuantity", in_unit("72", "mph")), vec![unit]),
        (
            "X33 below nothing",
            heart_rate("o", "valueQuantity", in_unit("-5", "/min")),
            vec!["Observation.valueQuantity.value"],
        ),
        (
            "X33 beyond everything",
            heart_rate("o", "valueQuantity", in_unit("1e9", "/min")),
            vec!["Observation.valueQuantity.value"],
        ),
        (
            "X33 a value and the reason why there is none",
            heart_rate("o", "dataAbsentReason", json!({ "text": "asleep" })),
            vec!["Observation.dataAbsentReason"],
        ),
        (
            "X33 a component without a code",
            heart_rate("o", "component", json!([{ "valueQuantity": in_unit("72", "/min") }])),
            vec!["Observation.component[0].code"],
        ),
        ("no category", heart_rate("o", "category", Value::Null), vec!["Observation.category"]),
        ("no subject", heart_rate("o", "subject", Value::Null), vec!["Observation.subject"]),
        ("no time", heart_rate("o", "effectiveDateTime", Value::Null), vec!["Observation.effective"]),
        ("vs-1", heart_rate("o", "effectiveDateTime", json!("2026-03")), vec!["Observation.effectiveDateTime"]),
        ("vs-2", heart_rate("o", "valueQuantity", Value::Null), vec!["Observation.value"]),
        ("a status of its own", heart_rate("o", "status", json!("done")), vec!["Observation.status"]),
        (
            "two findings",
            {
                let mut two = heart_rate("o", "status", Value::Null);
                two["valueQuantity"] = in_unit("72", "mph");
                two
            },
            vec!["Observation.status", unit],
        ),
        (
            "txt-1",
            heart_rate(
                "o",
                "text",
                json!({ "status": "generated",
                "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a<script>alert(1)</script></div>" }),
            ),
            vec!["Observation.text.div"],
        ),
        (
            "txt-2",
            heart_rate(
                "o",
                "text",
                json!({ "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"> </div>" }),
            ),
            vec!["Observation.text.div"],
        ),
    ]
}

#[tokio::test]
async fn a_write_that_breaks_rules_is_422_with_every_finding_at_its_place() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (what, resource, places) in cases() {
        let body = resource.to_string();
        let entry = |kind: &str| {
            let entry = json!({ "resource": resource, "request": { "method": "POST", "url": "Observation" } });
            json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] }).to_string()
        };

        let created = tenant.post("Observation", &all, &body).await.expect(422);
        let updated = tenant.put("Observation/o", &all, &body).await.expect(422);
        let transaction = tenant.post("", &all, &entry("transaction")).await.expect(422);
        let batch = tenant.post("", &all, &entry("batch")).await.expect(200).json();
        let judged = tenant.post("Observation/$validate", &all, &body).await.expect(200);

        let found = findings(&created.json());
        assert_eq!(found.len(), places.len(), "{what}: {found:?}");
        for (finding, place) in found.iter().zip(&places) {
            assert!(finding.starts_with("error ") && finding.ends_with(&format!(" {place}")), "{what}: {found:?}");
        }
        assert_eq!(findings(&updated.json()), found, "{what}");
        assert_eq!(findings(&judged.json()), found, "{what}");
        let inside: Vec<String> =
            found.iter().map(|finding| finding.replace(" Observation.", " Bundle.entry[0].resource.")).collect();
        assert_eq!(findings(&transaction.json()), inside, "{what}");
        assert_eq!(batch["entry"][0]["response"]["status"], "422", "{what}: {batch}");
        assert_eq!(findings(&batch["entry"][0]["response"]["outcome"]), found, "{what}");
    }
    assert!(tenant.get("Observation", &all).await.expect(200).ids().is_empty());
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_is_improbable_is_told_when_asked_for_and_never_refused() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let fast = heart_rate("fast", "valueQuantity", in_unit("400", "/min")).to_string();
    let doubt = "warning business-rule Observation.valueQuantity.value";

    let quiet = tenant.put("Observation/fast", &all, &fast).await.expect(201);
    assert_eq!(quiet.json()["valueQuantity"]["value"], 400);
    let ask = |method, path: &str, body: String| {
        let request = tenant.request(method, path, &all).header("prefer", "return=OperationOutcome");
        Answer::of(request.header("content-type", "application/fhir+json").body(body))
    };
    let told = ask(Method::PUT, "Observation/fast", fast.clone()).await.expect(200).json();
    assert_eq!(findings(&told)[1..], [doubt]);
    let entry = json!({ "resource": serde_json::from_str::<Value>(&fast).expect("JSON"), "request": { "method": "POST", "url": "Observation" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] });
    let told = ask(Method::POST, "", bundle.to_string()).await.expect(200).json();
    assert_eq!(findings(&told["entry"][0]["response"]["outcome"])[1..], [doubt]);
    let judged = tenant.post("Observation/$validate", &all, &fast).await.expect(200).json();
    assert_eq!(findings(&judged), [doubt, "information informational Observation"]);
}

#[tokio::test]
async fn validate_judges_what_a_write_would_and_writes_nothing() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Observation/o1", &all, &samples::heart_rate("o1", "p1").to_string()).await.expect(201);
    let good = samples::heart_rate("o1", "p1");
    let parameters = |resource: Option<&Value>, rest: Value| {
        let mut list: Vec<Value> = rest.as_array().expect("a list").clone();
        list.extend(resource.map(|resource| json!({ "name": "resource", "resource": resource })));
        json!({ "resourceType": "Parameters", "parameter": list })
    };
    let mode = |code: &str| json!([{ "name": "mode", "valueCode": code }]);
    let profile = |url: &str| json!([{ "name": "profile", "valueUri": url }]);
    let weight = samples::vital("o1", "p1", samples::BODY_WEIGHT, 70.0, "2026-03-01");
    let local = heart_rate("o1", "code", json!({ "text": "pulse" }));

    let cases: Vec<(&str, Value, Vec<&str>)> = vec![
        ("Observation/$validate", good.clone(), vec![FINE]),
        ("Observation/%24validate", good.clone(), vec![FINE]),
        ("Observation/$validate", parameters(Some(&good), json!([])), vec![FINE]),
        ("Observation/$validate", parameters(Some(&good), mode("create")), vec![FINE]),
        ("Observation/$validate?mode=update", good.clone(), vec![FINE]),
        ("Observation/o1/$validate", good.clone(), vec![FINE]),
        ("Observation/o1/$validate", samples::heart_rate("o2", "p1"), vec!["error invalid Observation.id"]),
        ("Observation/o1/$validate", parameters(None, mode("delete")), vec![FINE]),
        ("Observation/o1/$validate?mode=delete", Value::Null, vec![FINE]),
        ("Observation/$validate", parameters(Some(&good), profile(&format!("{R4}/heartrate|4.0.1"))), vec![FINE]),
        ("Observation/$validate", parameters(Some(&good), profile(&format!("{R4}/Observation"))), vec![FINE]),
        // Held against a profile that its code does not ask for.
        (
            "Observation/$validate",
            parameters(Some(&weight), profile(&format!("{R4}/heartrate"))),
            vec!["error required Observation.code.coding", "error code-invalid Observation.valueQuantity.code"],
        ),
        (
            "Observation/$validate?profile=http://hl7.org/fhir/StructureDefinition/heartrate",
            local.clone(),
            vec!["error required Observation.code.coding"],
        ),
        (
            "Observation/o1/$validate?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/bodyweight",
            Value::Null,
            vec!["error required Observation.code.coding", "error code-invalid Observation.valueQuantity.code"],
        ),
        // No such resource at all is a finding too.
        ("Observation/$validate", samples::patient("p1", "x"), vec!["error structure Observation"]),
        ("Observation/$validate", heart_rate("o", "pulse", json!(72)), vec!["error structure Observation.pulse"]),
    ];
    for (path, body, expected) in cases {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = tenant.request(Method::POST, path, &all);
        let request =
            if body.is_empty() { request } else { request.header("content-type", "application/fhir+json").body(body) };
        let answer = Answer::of(request).await.expect(200);
        assert_eq!(findings(&answer.json()), expected, "{path}: {}", answer.body);
    }
    assert_eq!(tenant.get("Observation", &all).await.expect(200).ids(), ["o1"]);
    assert_eq!(tenant.get("Observation/o1", &all).await.expect(200).json()["meta"]["versionId"], "1");

    // What cannot be judged is refused.
    for (path, body, status, code) in [
        ("Observation/$validate", "{".to_owned(), 400, "structure"),
        ("Observation/$validate?mode=try", good.to_string(), 400, "value"),
        ("Observation/$validate?mode=delete", good.to_string(), 400, "invalid"),
        ("Observation/$validate?profile=urn:none", good.to_string(), 400, "not-supported"),
        ("Observation/$validate?depth=3", good.to_string(), 400, "not-supported"),
        ("Observation/$validate", parameters(None, json!([])).to_string(), 400, "required"),
        ("Observation/$validate?mode=update", parameters(Some(&good), mode("create")).to_string(), 400, "invalid"),
        ("Observation/o1/$validate?mode=profile", String::new(), 400, "required"),
        ("Observation/none/$validate", samples::heart_rate("none", "p1").to_string(), 404, "not-found"),
        ("Patient/$validate/o1", good.to_string(), 404, "not-supported"),
    ] {
        tenant.post(path, &all, &body).await.expect_outcome(status, code);
    }
    tenant.get("Observation/$validate", &all).await.expect_outcome(405, "not-supported");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn validate_tells_nothing_of_what_is_out_of_reach() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (id, patient) in [("own", "p1"), ("hers", "p2"), ("gone", "p2")] {
        tenant.put(&format!("Observation/{id}"), &all, &samples::heart_rate(id, patient).to_string()).await.expect(201);
    }
    tenant.delete("Observation/gone", &all).await.expect(204);
    let token = tenant.token("patient/*.rs patient/*.c").patient("p1").sign();
    for query in ["", "?mode=delete", "?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/heartrate"] {
        let ask = async |id: &str| {
            let body =
                if query.contains("profile") { String::new() } else { samples::heart_rate(id, "p1").to_string() };
            tenant.post(&format!("Observation/{id}/$validate{query}"), &token, &body).await
        };
        let unknown = ask("nono").await.expect(404);
        for id in ["hers", "gone"] {
            assert_eq!(ask(id).await.anonymous(id), unknown.anonymous("nono"), "{id}{query}");
        }
        ask("own").await.expect(200);
    }
    // What the scopes would refuse is a finding: content of another patient, an update or a deletion without the letter.
    let forbidden = "error forbidden Observation";
    for (path, body) in [
        ("Observation/$validate", samples::heart_rate("x", "p2")),
        ("Observation/own/$validate", samples::heart_rate("own", "p1")),
        ("Observation/own/$validate?mode=delete", samples::heart_rate("own", "p1")),
    ] {
        let answer = tenant.post(path, &token, &body.to_string()).await.expect(200);
        assert_eq!(findings(&answer.json()), [forbidden], "{path}");
    }
    let reader = tenant.token("patient/*.rs").patient("p1").sign();
    let body = samples::heart_rate("x", "p1").to_string();
    tenant.post("Observation/$validate", &reader, &body).await.expect_outcome(403, "forbidden");
    ledger::each_left_one_record().await;
}
