//! D14: what was asked of another tenant stands in both trails, and nothing else of either in the other's.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, ledger, tenant::client};

use super::{HEART_RATE, Voice, World};

/// What the grants of these tests are for.
const PURPOSE: &str = "HRESCH";

/// A record without what no two have in common.
fn essence(record: &Value) -> Value {
    let mut record = record.clone();
    let members = record.as_object_mut().expect("a record is an object");
    for own in ["writer", "sequence", "record", "chain"] {
        assert!(members.shift_remove(own).is_some(), "{own}");
    }
    record
}

#[tokio::test]
async fn d14_every_delegated_request_is_in_both_trails_with_the_grants_id() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    let grant = hospital.grant(lab, HEART_RATE).await;
    for voice in [Voice::Own, Voice::Outside] {
        let token = world.delegated(voice, "system/*.rs");
        for (path, status, more) in [
            (
                "Observation/hr1",
                200,
                json!({ "action": "read", "id": "hr1", "patient": "p1", "used": ["system/*.rs"] }),
            ),
            ("Observation?code=8867-4", 200, json!({ "action": "search-type", "patients": ["p1"], "count": 3 })),
            ("Observation/hr1/_history", 200, json!({ "action": "history-instance", "id": "hr1" })),
            ("Observation/spo1", 404, json!({ "action": "read", "reason": "not found or out of reach" })),
            ("Patient/p1", 403, json!({ "action": "read", "type": "Patient", "reason": "insufficient scope" })),
            ("Observation?code:above=1", 400, json!({ "action": "search-type" })),
            ("Device/1", 404, json!({})),
        ] {
            let answer = hospital.get(path, &token).await.expect(status);
            let id = answer.header("x-request-id");
            let (here, there) = (hospital.records_of(id).await, lab.records_of(id).await);
            assert_eq!((here.len(), there.len()), (1, 1), "{path}: {here:?} {there:?}");
            assert_eq!(essence(&here[0]), essence(&there[0]), "{path}");
            assert_eq!((&here[0]["chain"], &there[0]["chain"]), (&json!(hospital.role()), &json!(lab.role())));
            assert_ne!(here[0]["record"], there[0]["record"], "each is a record of its own");
            let expected = json!({
                "tenant": hospital.name.as_str(), "acting_tenant": lab.name.as_str(), "subject": "tester",
                "client": "tests", "status": status, "grant": grant.id, "scopes": ["org:delegated"], "purpose": PURPOSE,
                "decision": if status == 200 { "allowed" } else { "denied" },
            });
            let event = format!("AuditEvent/{}", here[0]["record"].as_str().expect("an id"));
            let event = hospital.get(&event, &hospital.token("audit:read").sign()).await.expect(200).json();
            assert_eq!(event["purposeOfEvent"][0]["coding"][0]["code"], PURPOSE, "{path}");
            for part in [&expected, &more] {
                for (name, value) in part.as_object().expect("an object") {
                    assert_eq!(&here[0][name], value, "{path} {name}: {}", here[0]);
                }
            }
        }
    }
    hospital.ungrant(&grant.id).await;
    let refused = hospital.get("Observation/hr1", &world.delegated(Voice::Own, HEART_RATE)).await.expect(403);
    for tenant in [hospital, lab] {
        let records = tenant.records_of(refused.header("x-request-id")).await;
        assert_eq!((&records[0]["grant"], &records[0]["decision"]), (&json!(grant.id), &json!("denied")));
    }
    ledger::each_left_one_record().await;
}

async fn requests(tenant: &Tenant) -> BTreeSet<String> {
    let select = format!("SELECT record FROM audit.record WHERE chain = '{}'", tenant.role());
    let found = vitals_tests::sql::run(&tenant.server.cluster.urls.audit_read, &select).await;
    found
        .lines()
        .map(|record| serde_json::from_str::<Value>(record).expect("JSON"))
        .filter_map(|record| record["request_id"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn d14_neither_sees_what_else_the_other_does() {
    let world = World::new().await;
    let World { hospital, lab, third, .. } = &world;
    hospital.grant(lab, "system/*.rs").await;
    third.grant(lab, "system/*.rs").await;
    let (before_hospital, before_third) = (requests(hospital).await, requests(third).await);
    let claims = json!([lab.entry(hospital, "system/*.rs", 600), lab.entry(third, "system/*.rs", 600)]);
    let token = world.token(Voice::Own, &[("delegated_access", claims), ("scope", json!("org:delegated system/*.rs"))]);
    let at_hospital = hospital.get("Observation", &token).await.expect(200);
    let at_third = third.get("Observation", &token).await.expect(200);
    let at_home = lab.get("Observation", &token).await.expect(200);
    let elsewhere =
        Answer::of(client().get(format!("{}/t/{}x/fhir/Patient", lab.server.url, third.name)).bearer_auth(&token));
    let elsewhere = elsewhere.await.expect(403);
    let own = hospital.get("Observation", &hospital.all()).await.expect(200);

    let id = |answer: &Answer| answer.header("x-request-id").to_owned();
    let new = async |tenant, before: &BTreeSet<String>| -> BTreeSet<String> {
        requests(tenant).await.difference(before).cloned().collect()
    };
    assert_eq!(new(hospital, &before_hospital).await, BTreeSet::from([id(&at_hospital), id(&own)]));
    assert_eq!(new(third, &before_third).await, BTreeSet::from([id(&at_third)]));
    let of_lab = requests(lab).await;
    for answer in [&at_hospital, &at_third, &at_home, &elsewhere] {
        assert!(of_lab.contains(&id(answer)));
    }
    assert!(!of_lab.contains(&id(&own)));
    // What the laboratory's trail says of a tenant that does not exist is what it says of one that granted nothing.
    let stranger = Tenant::fresh().await;
    let at_stranger = stranger.get("Patient", &token).await.expect(403);
    let told = async |answer: &Answer| {
        let mut told = essence(&lab.records_of(&id(answer)).await[0]);
        let members = told.as_object_mut().expect("an object");
        for other in ["tenant", "time", "request_id"] {
            members.shift_remove(other);
        }
        told
    };
    assert_eq!(told(&at_stranger).await, told(&elsewhere).await);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d14_an_id_in_another_tenants_data_is_nobody_here() {
    let world = World::new().await;
    let (hospital, lab) = (&world.hospital, &world.lab);
    hospital.grant(lab, "system/*.rs").await;
    let read = hospital.get("Patient/p1", &world.delegated(Voice::Own, "system/*.rs")).await.expect(200);
    let entry = async |tenant: &Tenant, path: &str, token: &str| {
        let found = tenant.get(path, token).await.expect(200).json();
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).find(|event| {
            event.to_string().contains(lab.name.as_str()) && event.to_string().contains("urn:vitals:tenant")
        })
    };
    // Whoever is the hospital's patient sees who looked; who has the same id in the laboratory was not looked at.
    let app = |tenant: &Tenant| tenant.token("patient/AuditEvent.rs").patient("p1").sign();
    assert!(entry(hospital, "AuditEvent", &app(hospital)).await.is_some());
    assert_eq!(entry(lab, "AuditEvent", &app(lab)).await, None);
    let officer = |tenant: &Tenant| tenant.token("audit:read").sign();
    assert!(entry(hospital, "AuditEvent?patient=p1", &officer(hospital)).await.is_some());
    for query in ["AuditEvent?patient=p1", "AuditEvent?entity=Patient/p1"] {
        assert_eq!(entry(lab, query, &officer(lab)).await, None, "{query}");
    }
    // The laboratory's officer sees the request, and whose patient it was.
    let records = lab.records_of(read.header("x-request-id")).await;
    let id = records[0]["record"].as_str().expect("an id");
    lab.get(&format!("AuditEvent/{id}"), &app(lab)).await.expect(404);
    let event = lab.get(&format!("AuditEvent/{id}"), &officer(lab)).await.expect(200).json();
    assert_eq!(event["entity"][0]["what"]["reference"], format!("{}/Patient/p1", hospital.base()), "{event}");
    // And none of it is for the laboratory at the hospital's base.
    let scope = json!("org:delegated audit:read admin:users system/AuditEvent.rs");
    let claims = json!([lab.entry(hospital, "system/*.rs system/AuditEvent.rs audit:read", 600)]);
    let token = world.token(Voice::Own, &[("delegated_access", claims), ("scope", scope)]);
    for path in ["AuditEvent", &format!("AuditEvent/{id}"), "AuditEvent?patient=p1"] {
        hospital.get(path, &token).await.expect_outcome(403, "forbidden");
    }
    ledger::each_left_one_record().await;
}
