//! `/admin/grants` over HTTP: what is granted, what is refused and why, what each side sees of it, and what it opens.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{
    Answer, Tenant, ledger,
    samples::{self, HEART_RATE, SPO2},
};

use crate::trail::chain;

const JSON: &str = "application/json";

async fn ask(tenant: &Tenant, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut request = tenant.admin(method.parse().expect("a method"), path, &tenant.administrator());
    if let Some(body) = body {
        request = request.header("content-type", JSON).body(body.to_string());
    }
    Answer::of(request).await.sound()
}

fn wanted(grantee: &Tenant) -> Value {
    json!({
        "grantee": grantee.name.as_str(),
        "scopes": ["vitals.heart_rate:read"],
        "purpose": "HRESCH",
        "expires": "2027-03-01T00:00:00Z",
        "note": "Study 17",
    })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[tokio::test]
async fn a_grant_is_made_seen_by_both_sides_and_ended_by_one() {
    let (hospital, platform, stranger) = (Tenant::fresh().await, Tenant::fresh().await, Tenant::fresh().await);
    let made = ask(&hospital, "POST", "grants", Some(&wanted(&platform))).await.expect(201);
    let grant = made.json();
    let id = grant["id"].as_str().expect("an id").to_owned();
    let url = format!("{}/t/{}/admin/grants/{id}", hospital.server.url, hospital.name);
    assert_eq!(made.header("location"), url);
    assert_eq!(
        (&grant["grantor"], &grant["grantee"], &grant["direction"], &grant["status"], &grant["created_by"]),
        (
            &json!(hospital.name.as_str()),
            &json!(platform.name.as_str()),
            &json!("given"),
            &json!("active"),
            &json!("tester")
        )
    );

    // Both sides list it; who made it there is told to the side whose people that are.
    let one = format!("grants/{id}");
    assert_eq!(ask(&hospital, "GET", &one, None).await.expect(200).json(), grant);
    let received = ask(&platform, "GET", &one, None).await.expect(200).json();
    assert_eq!((&received["direction"], received.get("created_by")), (&json!("received"), None));
    assert_eq!((&received["scopes"], &received["note"]), (&grant["scopes"], &grant["note"]));
    assert_eq!(ask(&platform, "GET", "grants", None).await.expect(200).json(), json!({ "grants": [received] }));
    assert_eq!(ask(&hospital, "GET", "grants", None).await.expect(200).json(), json!({ "grants": [grant] }));
    assert_eq!(ask(&stranger, "GET", "grants", None).await.expect(200).json(), json!({ "grants": [] }));
    for method in ["GET", "DELETE"] {
        ask(&stranger, method, &one, None).await.expect(404);
    }
    // Who received it cannot end it, nor count what it opens.
    ask(&platform, "DELETE", &one, None).await.expect(403);
    ask(&platform, "GET", &format!("{one}/preview"), None).await.expect(403);

    ask(&hospital, "DELETE", &one, None).await.expect(204);
    ask(&hospital, "DELETE", &one, None).await.expect(404);
    let ended = ask(&hospital, "GET", &one, None).await.expect(200).json();
    assert_eq!((&ended["status"], &ended["revoked_by"]), (&json!("revoked"), &json!("tester")));
    assert_eq!(ask(&platform, "GET", &one, None).await.expect(200).json().get("revoked_by"), None);
    ledger::each_left_one_record().await;

    // Both trails tell of its beginning and its end; the other side's of nobody who did it.
    let trail = &hospital.server.cluster.urls.audit_read;
    for (tenant, subject) in [(&hospital, Some(&json!("tester"))), (&platform, None)] {
        for action in ["grant.create", "grant.revoke"] {
            let records = chain(trail, &tenant.role()).await;
            let about = |record: &&Value| record["action"] == action && record["decision"] == "allowed";
            let told: Vec<_> = records.iter().filter(about).collect();
            let [record] = told.as_slice() else { panic!("one {action}: {told:?}") };
            assert_eq!((&record["grant"], record.get("subject")), (&json!(id), subject), "{record}");
            assert_eq!(record["acting_tenant"], hospital.name.as_str());
            assert_eq!(record.get("address").is_some(), subject.is_some(), "{record}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_granted_is_told() {
    let (hospital, platform) = (Tenant::fresh().await, Tenant::fresh().await);
    let good = wanted(&platform);
    let nobody = format!("x{}", &platform.name.as_str()[1..]);
    let mut others = Vec::new();
    for (body, part) in [
        (with(good.clone(), "grantee", json!(nobody)), "another tenant"),
        (with(good.clone(), "grantee", json!(hospital.name.as_str())), "another tenant"),
        (with(good.clone(), "grantee", json!("Not A Name")), "another tenant"),
        (with(good.clone(), "scopes", json!([])), "1 to 64 scopes"),
        (with(good.clone(), "scopes", json!(["vitals:read", "patient/*.rs"])), "patient/*.rs"),
        (with(good.clone(), "scopes", json!(["vitals:write"])), "vitals:write"),
        (with(good.clone(), "scopes", json!(["system/*.cruds"])), "system/*.cruds"),
        (with(good.clone(), "scopes", json!(["admin:users"])), "admin:users"),
        (with(good.clone(), "scopes", json!(["<script>"])), "<script>"),
        (with(good.clone(), "purpose", json!("research")), "PurposeOfUse"),
        (with(good.clone(), "expires", json!("2020-01-01T00:00:00Z")), "in the future"),
        (with(good.clone(), "expires", json!("2099-01-01T00:00:00Z")), "five years"),
        (with(good.clone(), "expires", json!("tomorrow")), "RFC 3339"),
        (with(good.clone(), "not_before", json!("2027-03-01T00:00:00Z")), "after not_before"),
        (with(good.clone(), "note", json!("\u{7}")), "Note"),
        (with(good.clone(), "note", json!("x".repeat(1_001))), "Note"),
        (with(good.clone(), "deidentify", json!(true)), "deidentify"),
    ] {
        let refused = ask(&hospital, "POST", "grants", Some(&body)).await.expect(422);
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert!(refused.json()["detail"].as_str().expect("a sentence").contains(part), "{part}: {}", refused.body);
        if part == "another tenant" {
            others.push(refused.body);
        }
    }
    assert!(others.windows(2).all(|pair| pair[0] == pair[1]), "unknown and oneself are told the same: {others:?}");
    ask(&hospital, "POST", "grants/preview", Some(&json!({ "scopes": ["vitals:write"] }))).await.expect(422);
    assert_eq!(ask(&hospital, "PUT", "grants", None).await.expect(405).header("allow"), "GET, HEAD, POST");
    assert_eq!(ask(&hospital, "GET", "grants", None).await.expect(200).json(), json!({ "grants": [] }));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_preview_counts_what_scopes_would_open_and_shows_none_of_it() {
    let (hospital, platform) = (Tenant::fresh().await, Tenant::fresh().await);
    for (id, patient, code) in
        [("a", "p1", HEART_RATE), ("b", "p1", HEART_RATE), ("c", "p2", HEART_RATE), ("d", "p2", SPO2)]
    {
        let body = samples::vital(id, patient, code, 70.0, "2026-03-01T08:00:00Z").to_string();
        hospital.put(&format!("Observation/{id}"), &hospital.all(), &body).await.expect(201);
    }
    for id in ["p1", "p2"] {
        hospital
            .put(&format!("Patient/{id}"), &hospital.all(), &samples::patient(id, "CANARY").to_string())
            .await
            .expect(201);
    }
    let loinc = |code: &str, count: u64, patients: u64| json!({ "system": "http://loinc.org", "code": code, "count": count, "patients": patients });
    let preview = async |scopes: Value| {
        let answer = ask(&hospital, "POST", "grants/preview", Some(&json!({ "scopes": scopes }))).await.expect(200);
        assert!(!answer.holds("CANARY") && !answer.holds("p1"), "{}", answer.body);
        answer.json()
    };
    let hearts = preview(json!(["vitals.heart_rate:read"])).await;
    assert_eq!(
        hearts,
        json!({ "patients": 0, "observations": 3, "by_code": [loinc(HEART_RATE, 3, 2)], "more_codes": false })
    );
    let all = preview(json!(["vitals:read", "users:read"])).await;
    assert_eq!((&all["patients"], &all["observations"]), (&json!(2), &json!(4)));
    assert_eq!(all["by_code"], json!([loinc(HEART_RATE, 3, 2), loinc(SPO2, 1, 1)]));

    let id = hospital.grant(&platform, "vitals.heart_rate:read").await.id;
    let of_grant = ask(&hospital, "GET", &format!("grants/{id}/preview"), None).await.expect(200).json();
    assert_eq!(of_grant, hearts);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn every_address_of_grants_needs_the_scope() {
    let tenant = Tenant::fresh().await;
    for (method, path) in [
        ("GET", "grants"),
        ("POST", "grants"),
        ("POST", "grants/preview"),
        ("GET", "grants/some"),
        ("DELETE", "grants/some"),
        ("GET", "grants/some/preview"),
    ] {
        let method: Method = method.parse().expect("a method");
        let token = tenant.token("system/*.cruds audit:read org:delegated").sign();
        let answer = Answer::of(tenant.admin(method, path, &token)).await.expect(403);
        assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{path}");
    }
    ledger::each_left_one_record().await;
}
