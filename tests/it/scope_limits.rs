//! Limits of scopes bind writes before and after, and old versions as well as the current one.

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples};

/// Makes a resource with this id.
type Made = fn(&str) -> Value;

/// An Observation of `p1` in this category; its code is no vital's, whose category could not change.
fn of_category(id: &str, category: &str) -> Value {
    let mut observation = samples::laboratory(id, "p1");
    observation["category"][0]["coding"][0]["code"] = category.into();
    observation
}

fn of_status(id: &str, status: &str) -> Value {
    let mut observation = samples::heart_rate(id, "p1");
    observation["status"] = status.into();
    observation
}

fn saturation(id: &str) -> Value {
    samples::vital(id, "p1", samples::SPO2, 97.0, "2026-03-01T08:00:00Z")
}

async fn put(tenant: &Tenant, token: &str, resource: &Value) -> Answer {
    let kind = resource["resourceType"].as_str().expect("a type");
    let id = resource["id"].as_str().expect("an id");
    tenant.put(&format!("{kind}/{id}"), token, &resource.to_string()).await.sound()
}

async fn plant(tenant: &Tenant, resource: &Value) {
    let answer = put(tenant, &tenant.all(), resource).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
}

/// The current text, as the whole tenant's token reads it.
async fn text(tenant: &Tenant, path: &str) -> String {
    tenant.get(path, &tenant.all()).await.expect(200).body
}

/// Holds an answer against that for an id of the same length that never was.
#[track_caller]
fn same(answer: &Answer, id: &str, unknown: &Answer, never: &str) {
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert_eq!(answer.anonymous(id), unknown.anonymous(never));
}

#[tokio::test]
async fn o09_a_version_is_in_reach_only_together_with_the_current_one() {
    let tenant = Tenant::fresh().await;
    let token = tenant.token("patient/Observation.rs?category=vital-signs").patient("p1").sign();
    let statuses = async |paths: [&str; 4]| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(tenant.get(&format!("Observation/{path}"), &token).await.sound().status);
        }
        statuses
    };
    let paths = ["o1", "o1/_history/1", "o1/_history/2", "o1/_history"];

    // Laboratory, then vital sign: the first version stays out of reach.
    plant(&tenant, &of_category("o1", "laboratory")).await;
    assert_eq!(statuses(paths).await, [404, 404, 404, 404]);
    plant(&tenant, &of_category("o1", "vital-signs")).await;
    assert_eq!(statuses(paths).await, [200, 404, 200, 200]);
    let history = tenant.get("Observation/o1/_history", &token).await.json();
    let versions: Vec<&str> = history["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["resource"]["meta"]["versionId"].as_str().expect("a version"))
        .collect();
    assert_eq!(versions, ["2"]);
    let hidden = tenant.get("Observation/o1/_history/1", &token).await;
    let never = tenant.get("Observation/o9/_history/1", &token).await;
    same(&hidden, "o1", &never, "o9");

    // Laboratory again: what was in reach is no more.
    plant(&tenant, &of_category("o1", "laboratory")).await;
    assert_eq!(statuses(paths).await, [404, 404, 404, 404]);

    // Deleted, its last content decides.
    tenant.delete("Observation/o1", &tenant.all()).await.expect(204);
    assert_eq!(statuses(paths).await, [404, 404, 404, 404]);
    plant(&tenant, &of_category("o1", "vital-signs")).await;
    tenant.delete("Observation/o1", &tenant.all()).await.expect(204);
    assert_eq!(statuses(paths).await, [410, 404, 200, 200]);
}

#[tokio::test]
async fn o09_a_put_that_leaves_the_limit_is_403_and_one_from_outside_of_it_404() {
    let tenant = Tenant::fresh().await;
    let restricted = json!({ "security": [{ "system": "urn:labels", "code": "R" }] });
    let heart_rate: Made = |id| samples::heart_rate(id, "p1");
    let cases: [(&str, Made, Made); 5] = [
        (
            "system/Observation.cruds?category=vital-signs",
            |id| of_category(id, "vital-signs"),
            |id| of_category(id, "laboratory"),
        ),
        ("system/Observation.cruds?code=http://loinc.org|8867-4", heart_rate, saturation),
        ("system/Observation.cruds?status=final", heart_rate, |id| of_status(id, "preliminary")),
        ("vitals.heart_rate:write vitals.heart_rate:read", heart_rate, saturation),
        // No vital sign at all: neither by code nor by category.
        ("vitals:write vitals:read", heart_rate, |id| {
            let mut resource = samples::laboratory(id, "p1");
            resource.as_object_mut().expect("an object").remove("category");
            resource
        }),
    ];
    for (number, (scope, inside_of, outside_of)) in cases.into_iter().enumerate() {
        let (mine, theirs, never) = (format!("mine-{number}"), format!("them-{number}"), format!("nobo-{number}"));
        let token = tenant.token(scope).sign();
        plant(&tenant, &inside_of(&mine)).await;
        plant(&tenant, &outside_of(&theirs)).await;
        let before = (
            text(&tenant, &format!("Observation/{mine}")).await,
            text(&tenant, &format!("Observation/{theirs}")).await,
        );

        let left = put(&tenant, &token, &outside_of(&mine)).await;
        assert_eq!(left.header("www-authenticate"), "Bearer error=\"insufficient_scope\"", "{scope}: {}", left.body);
        left.expect_outcome(403, "forbidden");
        let unknown = put(&tenant, &token, &inside_of(&never)).await;
        same(&put(&tenant, &token, &inside_of(&theirs)).await, &theirs, &unknown, &never);
        same(&put(&tenant, &token, &outside_of(&theirs)).await, &theirs, &unknown, &never);
        tenant.post("Observation", &token, &outside_of("x").to_string()).await.expect_outcome(403, "forbidden");
        tenant.delete(&format!("Observation/{theirs}"), &token).await.expect_outcome(404, "not-found");

        let after = (
            text(&tenant, &format!("Observation/{mine}")).await,
            text(&tenant, &format!("Observation/{theirs}")).await,
        );
        assert_eq!(before, after, "{scope}");
        // Within the limit the same requests are fine.
        put(&tenant, &token, &inside_of(&mine)).await.expect(200);
        tenant.post("Observation", &token, &inside_of("in").to_string()).await.expect(201);
        tenant.delete(&format!("Observation/{mine}"), &token).await.expect(204);
    }
    // A label that only the caller's own content carries gains nothing.
    let token = tenant.token("system/Observation.cruds?_security=urn:labels|R").sign();
    plant(&tenant, &samples::heart_rate("plain", "p1")).await;
    let labelled = |id: &str| {
        let mut resource = samples::heart_rate(id, "p1");
        resource["meta"] = restricted.clone();
        resource
    };
    let unknown = put(&tenant, &token, &labelled("never")).await;
    same(&put(&tenant, &token, &labelled("plain")).await, "plain", &unknown, "never");
}

#[tokio::test]
async fn p23_p24_no_observation_moves_between_compartments() {
    let tenant = Tenant::fresh().await;
    for id in ["p1", "p2"] {
        plant(&tenant, &samples::patient(id, "Family")).await;
    }
    // A laboratory value may be about nobody, a vital sign may not.
    plant(&tenant, &samples::laboratory("own", "p1")).await;
    plant(&tenant, &samples::heart_rate("hers", "p2")).await;
    let token = tenant.token("patient/*.cruds").patient("p1").sign();
    let before = (text(&tenant, "Observation/own").await, text(&tenant, "Observation/hers").await);

    // P23: the own one given away, to a patient who exists, to one who does not, and to nobody.
    for subject in [json!({ "reference": "Patient/p2" }), json!({ "reference": "Patient/p9" }), Value::Null] {
        let mut moved = samples::laboratory("own", "p1");
        match subject {
            Value::Null => drop(moved.as_object_mut().expect("an object").remove("subject")),
            subject => moved["subject"] = subject,
        }
        put(&tenant, &token, &moved).await.expect_outcome(403, "forbidden");
        tenant.post("Observation", &token, &moved.to_string()).await.expect_outcome(403, "forbidden");
    }
    // P24: another's taken, whatever the new content says.
    for patient in ["p1", "p2"] {
        let unknown = put(&tenant, &token, &samples::heart_rate("nono", patient)).await;
        same(&put(&tenant, &token, &samples::heart_rate("hers", patient)).await, "hers", &unknown, "nono");
    }

    assert_eq!((text(&tenant, "Observation/own").await, text(&tenant, "Observation/hers").await), before);
    tenant.get("Observation/own/_history/2", &tenant.all()).await.expect_outcome(404, "not-found");
    tenant.get("Observation/hers/_history/2", &tenant.all()).await.expect_outcome(404, "not-found");
}

#[tokio::test]
async fn p22_p26_p40_nothing_tells_a_foreign_id_from_an_unknown_one() {
    let tenant = Tenant::fresh().await;
    plant(&tenant, &samples::heart_rate("hers", "p2")).await;
    plant(&tenant, &samples::heart_rate("gone", "p2")).await;
    tenant.delete("Observation/gone", &tenant.all()).await.expect(204);
    let token = tenant.token("patient/*.cruds").patient("p1").sign();
    for path in ["", "/_history", "/_history/1", "/_history/2"] {
        let unknown = tenant.get(&format!("Observation/nono{path}"), &token).await;
        for id in ["hers", "gone"] {
            same(&tenant.get(&format!("Observation/{id}{path}"), &token).await, id, &unknown, "nono");
        }
    }
    for tag in ["W/\"1\"", "W/\"2\"", "W/\"9\""] {
        let mut answers = Vec::new();
        for id in ["hers", "gone", "nono"] {
            let body = samples::heart_rate(id, "p1").to_string();
            let path = format!("Observation/{id}");
            let put = tenant.request(reqwest::Method::PUT, &path, &token).header("if-match", tag);
            let put = Answer::of(put.header("content-type", "application/fhir+json").body(body)).await.expect(404);
            let delete = tenant.request(reqwest::Method::DELETE, &path, &token).header("if-match", tag);
            let delete = Answer::of(delete).await.expect(404);
            answers.push((put.anonymous(id), delete.anonymous(id)));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{tag}: {answers:?}");
    }
}

#[tokio::test]
async fn o06_who_may_write_but_not_read_gets_no_content_back() {
    let tenant = Tenant::fresh().await;
    let token = tenant.token("system/Observation.cud").sign();
    for prefer in ["", "return=representation", "return=minimal"] {
        let request = tenant.request(reqwest::Method::POST, "Observation", &token).header("prefer", prefer);
        let body = samples::heart_rate("x", "p1").to_string();
        let created = Answer::of(request.header("content-type", "application/fhir+json").body(body)).await.expect(201);
        assert_eq!(created.body, "", "{prefer}");
        assert!(created.header("location").starts_with(&format!("{}/Observation/", tenant.base())));
        let id = created.header("location").split('/').nth_back(2).expect("an id").to_owned();
        tenant.get(&format!("Observation/{id}"), &token).await.expect_outcome(403, "forbidden");
        tenant.get(&format!("Observation?_id={id}"), &token).await.expect_outcome(403, "forbidden");
        let updated = put(&tenant, &token, &samples::heart_rate(&id, "p1")).await.expect(200);
        assert_eq!((updated.body.as_str(), updated.header("etag")), ("", "W/\"2\""));
    }
}

#[tokio::test]
async fn o07_who_may_read_but_not_write_changes_nothing() {
    let tenant = Tenant::fresh().await;
    plant(&tenant, &samples::heart_rate("o1", "p1")).await;
    let before = text(&tenant, "Observation/o1").await;
    for scope in ["system/*.rs", "patient/*.rs", "vitals:read users:read", "user/*.read"] {
        let token = tenant.token(scope).patient("p1").sign();
        let body = samples::heart_rate("o1", "p1").to_string();
        tenant.put("Observation/o1", &token, &body).await.expect_outcome(403, "forbidden");
        tenant.post("Observation", &token, &body).await.expect_outcome(403, "forbidden");
        tenant.delete("Observation/o1", &token).await.expect_outcome(403, "forbidden");
        // What is refused for want of scope is refused before anybody reads it.
        tenant.post("Observation", &token, "no JSON").await.expect_outcome(403, "forbidden");
        for body in [body.as_str(), "[]"] {
            let patch = tenant.request(reqwest::Method::PATCH, "Observation/o1", &token).body(body.to_owned());
            Answer::of(patch).await.expect(405);
        }
        let entry = format!(r#"{{"request":{{"method":"POST","url":"Observation"}},"resource":{body}}}"#);
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entry}]}}"#);
        tenant.post("", &token, &bundle).await.expect_outcome(403, "forbidden");
    }
    assert_eq!(text(&tenant, "Observation/o1").await, before);
    assert_eq!(tenant.get("Observation", &tenant.all()).await.ids(), ["o1"]);
}

#[tokio::test]
async fn o08_a_scope_over_observations_shows_nothing_of_patients() {
    let tenant = Tenant::fresh().await;
    plant(&tenant, &samples::patient("p1", "CANARY-family")).await;
    plant(&tenant, &samples::heart_rate("o1", "p1")).await;
    let token = tenant.token("system/Observation.cruds vitals:read").sign();
    for (path, status) in [
        ("Patient/p1", 403),
        ("Patient", 403),
        ("Patient?name=CANARY", 403),
        ("Observation?_include=Observation:subject", 400),
        ("Observation?_include=*", 400),
        ("Observation?subject.name=CANARY", 400),
        ("Observation?subject:Patient.name=CANARY", 400),
        ("Observation?patient.identifier=mrn-p1", 400),
        ("Observation?_revinclude=*", 400),
        ("Observation?_has:Patient:link:name=CANARY", 400),
        ("Patient/p1/$everything", 404),
        ("Patient/$everything", 404),
        ("Observation?patient=p1", 200),
    ] {
        let answer = tenant.get(path, &token).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(!answer.holds("CANARY-family"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn o10_a_vital_is_its_loinc_code_alone() {
    let tenant = Tenant::fresh().await;
    let coding = |system: &str, code: &str| json!({ "system": system, "code": code });
    let observation = |id: &str, codings: Value| {
        let mut resource = samples::heart_rate(id, "p1");
        resource["code"] = json!({ "coding": codings });
        resource
    };
    let loinc = "http://loinc.org";
    plant(&tenant, &observation("alone", json!([coding(loinc, "8867-4")]))).await;
    plant(&tenant, &observation("translated", json!([coding("urn:local", "pulse"), coding(loinc, "8867-4")]))).await;
    plant(&tenant, &observation("local", json!([coding("urn:local", "8867-4")]))).await;
    plant(&tenant, &observation("spelled", json!([coding("http://LOINC.org", "8867-4")]))).await;
    plant(&tenant, &saturation("spo2")).await;
    // Both profiles admit this one: rates of the heart and of breathing are in one unit.
    plant(&tenant, &observation("two", json!([coding(loinc, "8867-4"), coding(loinc, "9279-1")]))).await;
    let mut panel = observation("panel", json!([coding(loinc, "85353-1")]));
    panel.as_object_mut().expect("an object").remove("valueQuantity");
    panel["hasMember"] = json!([{ "reference": "Observation/alone" }]);
    panel["component"] = json!([
        { "code": { "coding": [coding(loinc, "8867-4")] }, "valueQuantity": { "value": 70 } },
        { "code": { "coding": [coding(loinc, "9279-1")] }, "valueQuantity": { "value": 16 } },
    ]);
    plant(&tenant, &panel).await;
    // No write admits a value that would have to be in /min and in %, but a row of earlier times may hold one.
    let old = observation("old", json!([coding(loinc, "8867-4"), coding(loinc, "2708-6")]));
    put(&tenant, &tenant.all(), &old).await.expect_outcome(422, "code-invalid");
    tenant.plant(&[old]).await;

    let token = tenant.token("vitals.heart_rate:read").sign();
    let mut found = tenant.get("Observation", &token).await.expect(200).ids();
    found.sort();
    assert_eq!(found, ["alone", "translated"]);
    for id in ["local", "spelled", "two", "spo2", "panel", "old"] {
        tenant.get(&format!("Observation/{id}"), &token).await.expect_outcome(404, "not-found");
    }
    let token = tenant.token("vitals:read").sign();
    assert_eq!(tenant.get("Observation", &token).await.expect(200).ids().len(), 8);
}
