//! API keys: for development, where a tenant takes them.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use vitals_access::{api_key::NewApiKey, clock::Clock as _};
use vitals_server::app;
use vitals_store::control::api_keys::{self, ApiKeyRow, NewRow};
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, tenant::client};

struct Key {
    text: String,
    row: ApiKeyRow,
}

/// A key of a tenant, good for ten minutes.
async fn key(tenant: &Tenant, scopes: &str, patient: Option<&str>) -> Key {
    let server = tenant.server;
    let (new, now) = (NewApiKey::generate(), server.clock.now());
    let row = NewRow {
        id: uuid::Uuid::new_v4().to_string(),
        hash: new.hash,
        name: "notebook".to_owned(),
        scopes: scopes.to_owned(),
        patient: patient.map(str::to_owned),
        created_by: "tests".to_owned(),
        expires: now + TimeDelta::minutes(10),
    };
    let directory = server.app.feed.refresh().await.expect("the directory is read");
    let role = directory.tenant(&tenant.name).expect("the tenant").role.clone();
    let mut conn = server.cluster.serving().await;
    let row = api_keys::create(&mut conn, &role, &row, now).await.expect("a key");
    Key { text: new.text, row }
}

async fn server() -> &'static Server {
    Server::for_this_test(cluster::shared(), Options::default()).await
}

async fn show(url: &str, key: &str) -> Answer {
    Answer::of(client().get(url).header("authorization", format!("ApiKey {key}"))).await.sound()
}

#[tokio::test]
async fn a_key_opens_its_own_tenant_as_far_as_its_scopes_go() {
    let (tenant, other) = (Tenant::fresh().await, Tenant::fresh().await);
    tenant.set(&json!({ "api_keys": true })).await;
    other.set(&json!({ "api_keys": true })).await;
    let Key { text, row } = key(&tenant, "users:read", Some("p1")).await;
    for id in ["p1", "p2"] {
        let body = json!({ "resourceType": "Patient", "id": id }).to_string();
        tenant.put(&format!("Patient/{id}"), &tenant.all(), &body).await.expect(201);
    }
    let base = tenant.base();

    let found = show(&format!("{base}/Patient"), &text).await.expect(200);
    assert_eq!(found.ids(), ["p1"]);
    show(&format!("{}/fhir/Patient/p1", tenant.server.url), &text).await.expect(200);
    show(&format!("{base}/Patient/p2"), &text).await.expect_outcome(404, "not-found");
    show(&format!("{base}/Observation"), &text).await.expect_outcome(403, "forbidden");
    show(&format!("{}/Patient", other.base()), &text).await.expect_outcome(403, "forbidden");
    show(&format!("{}/t/no-such-tenant/fhir/Patient", tenant.server.url), &text).await.expect_outcome(403, "forbidden");
    for scheme in ["apikey", "APIKEY"] {
        let request = client().get(format!("{base}/Patient")).header("authorization", format!("{scheme} {text}"));
        Answer::of(request).await.expect(200);
    }
    // The record says which key it was, and nothing of its text.
    let record = tenant.record_of(found.header("x-request-id")).await;
    assert_eq!((&record["subject"], &record["client"]), (&json!(row.id), &json!("notebook")), "{record}");
    assert_eq!(record["scopes"], json!(["users:read"]), "{record}");
    assert!(!record.to_string().contains(&text));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_a_bad_credential() {
    let server = server().await;
    let tenant = Tenant::on(server).await;
    let Key { text, .. } = key(&tenant, "system/*.rs", None).await;
    let url = format!("{}/Patient", tenant.base());
    let refused = async |what: &str, key: &str, code: &str| {
        let answer = show(&url, key).await.expect_outcome(401, code);
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
        assert!(!answer.holds(&text), "{what}");
    };
    refused("off unless switched on", &text, "login").await;
    tenant.set(&json!({ "api_keys": true })).await;
    show(&url, &text).await.expect(200);
    refused("another", &NewApiKey::generate().text, "login").await;
    refused("a slip of the pen", &format!("{}x", &text[..44]), "login").await;
    refused("a token", &tenant.all(), "login").await;
    refused("nothing", "", "login").await;
    tenant.get("Patient", &text).await.expect(401);
    tenant.set(&json!({ "api_keys": true, "require_proof": true })).await;
    refused("where proof is asked for", &text, "login").await;
    tenant.set(&json!({ "api_keys": true, "require_certificate": true })).await;
    refused("where a certificate is asked for", &text, "login").await;
    tenant.set(&json!({ "api_keys": true, "production": true })).await;
    refused("on a tenant with real data", &text, "login").await;
    tenant.set(&json!({ "api_keys": true })).await;
    show(&url, &text).await.expect(200);
    server.clock.advance(10 * 60);
    refused("expired", &text, "expired").await;
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_key_that_was_ended_is_refused_within_a_second_on_every_replica() {
    let (one, two) = (server().await, server().await);
    let tenant = Tenant::on(one).await;
    tenant.set(&json!({ "api_keys": true })).await;
    let Key { text, row } = key(&tenant, "system/*.rs", None).await;
    let urls = [one, two].map(|server| format!("{}/t/{}/fhir/Patient", server.url, tenant.name));
    for url in &urls {
        show(url, &text).await.expect(200);
    }
    let role = one.app.directory().expect("fresh").tenant(&tenant.name).expect("the tenant").role.clone();
    let mut conn = one.cluster.serving().await;
    let ended = api_keys::revoke(&mut conn, &role, Some(&row.id), one.clock.now()).await.expect("ended");
    assert_eq!(ended, std::slice::from_ref(&row.id));
    let began = Instant::now();
    for url in &urls {
        while show(url, &text).await.status != 401 {
            assert!(began.elapsed() < Duration::from_secs(1), "still taken");
        }
    }
    assert_eq!(api_keys::revoke(&mut conn, &role, None, one.clock.now()).await.expect("again"), Vec::<String>::new());

    app::write_used_keys(&one.app).await.expect("noted");
    let rows = api_keys::list(&mut conn, &role).await.expect("the keys");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].last_used.is_some() && rows[0].revoked.is_some(), "{rows:?}");
    assert_eq!((rows[0].scope.as_str(), rows[0].created_by.as_str()), ("system/*.rs", "tests"));
    ledger::each_left_one_record().await;
}
