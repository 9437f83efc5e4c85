//! What a grant does not open: D08 to D12, over every way there is to reach data.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, ledger, samples, tenant::client};

use super::{HEART_RATE, Voice, World};

const FHIR: &str = "application/fhir+json";

#[tokio::test]
async fn d08_every_way_to_reach_data_shows_what_both_cover_and_no_more() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    hospital.grant(lab, "vitals.heart_rate:read users:read").await;
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, "vitals:read");
        for (path, ids) in [
            ("Observation", vec!["hr1", "hr2", "hr3"]),
            ("Observation?code=8867-4", vec!["hr1", "hr2", "hr3"]),
            ("Observation?code=2708-6", vec![]),
            ("Observation?_id=spo1,hr1", vec!["hr1"]),
            ("Observation?patient=p1&_sort=date", vec!["hr1", "hr2", "hr3"]),
            ("Patient/p1/Observation", vec!["hr1", "hr2", "hr3"]),
            ("Observation/_history", vec!["hr1", "hr2", "hr3"]),
            ("Observation/hr1/_history", vec!["hr1"]),
        ] {
            let answer = hospital.get(path, &token).await.expect(200);
            let mut found = answer.ids();
            found.sort();
            assert_eq!(found, ids, "{path}");
            assert!(!answer.holds("CANARY-lab"), "{path}");
        }
        let counted = hospital.get("Observation?_summary=count", &token).await;
        if counted.status == 200 {
            assert_eq!(counted.json()["total"], 3, "{}", counted.body);
        }
        for (path, status) in [
            ("Observation/spo1", 404),
            ("Observation/spo1/_history", 404),
            ("Observation/spo1/_history/1", 404),
            ("Observation/nope", 404),
            ("Observation/hr1/_history/1", 200),
            ("Patient/p1", 403),
            ("Patient?_id=p1", 403),
            ("Patient/_history", 403),
            ("AuditEvent", 404),
        ] {
            let answer = hospital.get(path, &token).await;
            assert!(answer.status == status || path == "AuditEvent" && answer.status == 403, "{path}: {}", answer.body);
            assert_eq!(answer.holds("CANARY"), status == 200, "{path}: {}", answer.body);
        }
        let hidden = hospital.get("Observation/spo1", &token).await.anonymous("spo1");
        assert_eq!(hidden, hospital.get("Observation/nope", &token).await.anonymous("nope"));
        let form = hospital.request(Method::POST, "Observation/_search", &token).body("_id=spo1,hr2");
        let form = Answer::of(form.header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(form.expect(200).ids(), ["hr2"]);
    }
    ledger::each_left_one_record().await;
}

fn bundle(kind: &str, entries: &[(&str, &str, Option<Value>)]) -> String {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(method, url, resource)| {
            let mut entry = json!({ "request": { "method": method, "url": url } });
            if let Some(resource) = resource {
                entry["resource"] = resource.clone();
            }
            entry
        })
        .collect();
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
}

async fn send(world: &World, token: &str, bundle: String) -> Answer {
    let request = client().post(world.hospital.base()).bearer_auth(token).header("content-type", FHIR);
    Answer::of(request.body(bundle)).await
}

#[tokio::test]
async fn d09_nothing_is_written_under_a_grant_of_writing() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    hospital.grant(lab, "system/*.cruds vitals:write").await;
    let state = async || hospital.get("Observation/_history", &hospital.all()).await.expect(200).ids();
    let before = state().await;
    let text = samples::heart_rate("hr1", "p1");
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, "system/*.cruds vitals:write");
        let send_one = async |method: Method, path: &str, header: Option<(&str, &str)>| {
            let mut request = hospital.request(method, path, &token).header("content-type", FHIR);
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            Answer::of(request.body(text.to_string())).await
        };
        for (what, answer) in [
            ("D09 create", send_one(Method::POST, "Observation", None).await),
            ("D09 create unless", send_one(Method::POST, "Observation", Some(("if-none-exist", "_id=hr1"))).await),
            ("D09 update", send_one(Method::PUT, "Observation/hr1", None).await),
            ("D09 update as create", send_one(Method::PUT, "Observation/new", None).await),
            ("D09 update where", send_one(Method::PUT, "Observation?_id=hr1", None).await),
            ("D09 delete", hospital.delete("Observation/hr1", &token).await),
            ("D09 delete where", hospital.delete("Observation?_id=hr1", &token).await),
            ("D09 validate", send_one(Method::POST, "Observation/$validate", None).await),
            (
                "D09 transaction",
                send(&world, &token, bundle("transaction", &[("DELETE", "Observation/hr1", None)])).await,
            ),
        ] {
            let answer = answer.expect_outcome(403, "forbidden");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"insufficient_scope\"", "{what}");
        }
        let batch = bundle(
            "batch",
            &[
                ("GET", "Observation/hr1", None),
                ("PUT", "Observation/hr1", Some(text.clone())),
                ("POST", "Observation", Some(text.clone())),
                ("DELETE", "Observation/hr1", None),
                ("GET", "Observation?_id=hr2", None),
            ],
        );
        let answer = send(&world, &token, batch).await.expect(200);
        let statuses: Vec<String> = answer.json()["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| entry["response"]["status"].as_str().expect("a status")[..3].to_owned())
            .collect();
        assert_eq!(statuses, ["200", "403", "403", "403", "200"], "{}", answer.body);
        let reads = bundle("transaction", &[("GET", "Observation/hr1", None), ("GET", "Patient/p1", None)]);
        assert!(send(&world, &token, reads).await.expect(200).holds("CANARY-hospital"));
    }
    assert_eq!(state().await, before);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d10_what_was_granted_to_one_is_not_granted_on() {
    let world = World::new().await;
    let World { hospital, lab, third, .. } = &world;
    hospital.grant(lab, "system/*.rs").await;
    lab.grant(third, "system/*.rs").await;
    let token = third.delegate(&[(hospital, "system/*.rs"), (lab, "system/*.rs")]).sign();
    hospital.get("Observation/hr1", &token).await.expect_outcome(403, "forbidden");
    let through = lab.get("Observation?_count=100", &token).await.expect(200);
    assert_eq!(through.ids().len(), 4);
    assert!(through.holds("CANARY-lab") && !through.holds("CANARY-hospital"), "{}", through.body);
    // Nor does the laboratory's word make its grant the third's: by claims, or by an issuer of its own.
    for claims in [
        json!([lab.entry(hospital, "system/*.rs org:delegated", 600), lab.entry(third, "system/*.rs", 600)]),
        json!([third.entry(hospital, "system/*.rs", 600)]),
    ] {
        let token = world.token(Voice::Own, &[("delegated_access", claims)]);
        third.get("Observation/hr1", &token).await.expect_outcome(403, "forbidden");
    }
    let posing =
        world.token(Voice::Outside, &[("tenant_id", json!(hospital.name.as_str())), ("scope", json!("system/*.rs"))]);
    hospital.get("Observation/hr1", &posing).await.expect(401);
    // A grant is one way.
    let back = hospital.delegate(&[(lab, "system/*.rs")]).sign();
    lab.get("Observation/hr1", &back).await.expect_outcome(403, "forbidden");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d11_a_patient_that_is_not_granted_does_not_come_along() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    hospital.grant(lab, HEART_RATE).await;
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, "system/*.rs");
        for path in [
            "Observation?_include=Observation:subject",
            "Observation?_include=*",
            "Observation?_include:iterate=Observation:subject",
            "Patient?_revinclude=Observation:subject",
            "Observation?subject:Patient.name=CANARY-hospital",
            "Observation?patient.birthdate=1980-02-29",
            "Observation?_has:Patient:name=x",
            "Patient?_has:Observation:patient:code=8867-4",
        ] {
            let answer = hospital.get(path, &token).await.sound();
            let body = if answer.body.starts_with('{') { answer.json() } else { Value::Null };
            let entries = body["entry"].as_array().cloned().unwrap_or_default();
            assert!(!entries.iter().any(|entry| entry["resource"]["resourceType"] == "Patient"), "{path}: {body}");
            assert!(!answer.holds("1980-02-29") || answer.status == 400, "{path}: {body}");
        }
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d12_own_rows_and_those_of_another_are_never_in_one_answer() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    hospital.grant(lab, "system/*.rs").await;
    for voice in [Voice::Own, Voice::Outside] {
        let claims = json!([lab.entry(hospital, "system/*.rs", 600)]);
        let scope = json!("org:delegated org:self system/*.rs");
        let token = world.token(voice, &[("delegated_access", claims), ("scope", scope)]);
        for query in ["Observation", "Observation?_id=hr1", "Observation?patient=p1", "Patient?_id=p1"] {
            let (own, theirs) =
                (lab.get(query, &token).await.expect(200), hospital.get(query, &token).await.expect(200));
            assert!(own.holds("CANARY-lab") && !own.holds("CANARY-hospital"), "{query}: {}", own.body);
            assert!(theirs.holds("CANARY-hospital") && !theirs.holds("CANARY-lab"), "{query}: {}", theirs.body);
        }
        // The base whose tenant is the token's is not the hospital's: a reference by it is to nobody there.
        let common = format!("Observation?subject={}/fhir/Patient/p1", lab.server.url);
        assert_eq!(hospital.get(&common, &token).await.expect(200).ids(), Vec::<String>::new());
        let by_base = format!("Observation?subject={}/Patient/p1", hospital.base());
        assert_eq!(hospital.get(&by_base, &token).await.expect(200).ids().len(), 4);
    }
    ledger::each_left_one_record().await;
}
