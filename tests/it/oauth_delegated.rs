//! Tokens of a tenant's own authorization server that hold what others granted it.

use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Tenant,
    forge::Forge,
    ledger,
    oauth::{CALLBACK, VERIFIER, app, approved, assertion, assertion_claims, claims, service, shows},
    samples,
};

const HEART: &str = "vitals.heart_rate:read";

async fn service_token(tenant: &Tenant, key: &Forge, client: &str, scope: &str) -> String {
    let jwt = assertion(key, "ES384", &assertion_claims(tenant, client));
    let mut pairs = vec![("grant_type", "client_credentials"), ("scope", scope)];
    pairs.extend(shows(&jwt));
    let body = tenant.ask("token", &pairs).await.expect(200).json();
    body["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_service_gets_the_grants_that_stand_when_it_asks_for_them() {
    let (hospital, platform) = (Tenant::fresh().await, Tenant::fresh().await);
    hospital.put("Observation/hr", &hospital.all(), &samples::heart_rate("hr", "p1").to_string()).await.expect(201);
    let key = Forge::p384();
    let id = platform.register(service(&key, "org:delegated org:self vitals:read")).await.client.id;

    let before = service_token(&platform, &key, &id, "org:delegated").await;
    assert_eq!(claims(&before)["delegated_access"], json!([]));
    let grant = hospital.grant(&platform, HEART).await.id;
    let without = service_token(&platform, &key, &id, "org:self vitals:read").await;
    assert_eq!(claims(&without).get("delegated_access"), None, "it was not asked for");

    let token = service_token(&platform, &key, &id, "org:delegated").await;
    let said = claims(&token);
    let [entry] = said["delegated_access"].as_array().expect("entries").as_slice() else { panic!("{said}") };
    assert_eq!((&entry["tenant_id"], &entry["scopes"]), (&json!(hospital.name.as_str()), &json!([HEART])));
    let ends = platform.server.clock.now().timestamp() + 3_600;
    assert!(entry["expires"].as_i64().is_some_and(|expires| (ends - 60..=ends).contains(&expires)), "{entry}");

    // At both bases, until the grant ends.
    assert_eq!(platform.get_over_all("Observation", &token).await.expect(200).ids(), ["hr"]);
    hospital.get("Observation/hr", &token).await.expect(200);
    platform.get_over_all("Observation", &before).await.expect(403);
    hospital.ungrant(&grant).await;
    platform.get_over_all("Observation", &token).await.expect(403);
    hospital.get("Observation/hr", &token).await.expect(403);
    assert_eq!(claims(&service_token(&platform, &key, &id, "org:delegated").await)["delegated_access"], json!([]));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_persons_app_gets_them_as_well() {
    let (hospital, platform) = (Tenant::fresh().await, Tenant::fresh().await);
    hospital.grant(&platform, HEART).await;
    let scopes = "org:delegated user/*.rs";
    let id = platform.register(app(Authentication::None, scopes)).await.client.id;
    let user = platform.user(Some("Practitioner/1"), scopes).await;
    let code = platform.approve(approved(&id, &user, scopes, None)).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", &id),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let body = platform.ask("token", &pairs).await.expect(200).json();
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(claims(token)["delegated_access"][0]["tenant_id"], hospital.name.as_str());
    platform.get_over_all("Observation", token).await.expect(200);
}

#[tokio::test]
async fn a_token_holds_the_grants_that_last_longest_and_stays_readable() {
    let (hospital, platform) = (Tenant::fresh().await, Tenant::fresh().await);
    let scopes: Vec<String> =
        (0..20).map(|n| format!("system/Observation.rs?code=http://loinc.org|{n:05}-1")).collect();
    for _ in 0..12 {
        hospital.grant(&platform, &scopes.join(" ")).await;
    }
    let key = Forge::p384();
    let id = platform.register(service(&key, "org:delegated")).await.client.id;
    let token = service_token(&platform, &key, &id, "org:delegated").await;
    assert!(token.len() <= 8_192, "{}", token.len());
    let held = claims(&token)["delegated_access"].as_array().map_or(0, Vec::len);
    assert!((1..12).contains(&held), "{held}");
    platform.get_over_all("Observation", &token).await.expect(200);
    let listed: Value = claims(&token);
    assert_eq!(listed["delegated_access"][0]["tenant_id"], hospital.name.as_str());
}
