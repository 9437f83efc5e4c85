//! Client assertions (O19), good once on every replica (J36).

use serde_json::json;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::Forge,
    issuer::{Published, Publisher},
    ledger,
    oauth::{assertion, assertion_claims, post, service, shows},
};

use super::{another_key, now, refused};

const SCOPE: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "system/*.rs")];

async fn ask(tenant: &Tenant, jwt: &str) -> Answer {
    tenant.ask("token", &[&SCOPE[..], &shows(jwt)].concat()).await
}

#[tokio::test]
async fn o19_an_assertion_is_of_its_client_for_us_short_and_new() {
    let (tenant, other) = (Tenant::fresh().await, Tenant::fresh().await);
    let (key, foreign) = (Forge::p384(), another_key());
    let id = tenant.register(service(&key, "system/*.rs")).await.client.id;
    let stranger = tenant.register(service(&foreign, "system/*.rs")).await.client.id;
    let now = now(&tenant);
    let base = || assertion_claims(&tenant, &id);
    for (label, member, value) in [
        ("O19 exp more than 5 min ahead", "exp", json!(now + 330)),
        ("O19 exp past", "exp", json!(now - 10)),
        ("O19 exp as text", "exp", json!((now + 60).to_string())),
        ("O19 no exp", "exp", json!(null)),
        ("O19 aud of another tenant", "aud", json!(other.auth("token"))),
        ("O19 aud of another endpoint", "aud", json!(tenant.auth("authorize"))),
        ("O19 aud with a slash", "aud", json!(format!("{}/", tenant.auth("token")))),
        ("O19 aud is the FHIR base", "aud", json!(tenant.base())),
        ("O19 no aud", "aud", json!(null)),
        ("O19 sub is another client", "sub", json!(stranger)),
        ("O19 sub missing", "sub", json!(null)),
        ("O19 iss is nobody", "iss", json!("nobody")),
        ("O19 iss is another client", "iss", json!(stranger)),
        ("O19 no jti", "jti", json!(null)),
        ("O19 an empty jti", "jti", json!("")),
        ("O19 a jti that is a number", "jti", json!(7)),
        ("O19 a jti of 300 bytes", "jti", json!("j".repeat(300))),
        ("O19 not yet", "nbf", json!(now + 60)),
    ] {
        let mut claims = base();
        match value {
            serde_json::Value::Null => drop(claims.as_object_mut().expect("an object").remove(member)),
            value => claims[member] = value,
        }
        refused(label, ask(&tenant, &assertion(&key, "ES384", &claims)).await, "invalid_client");
    }

    let with = |header: serde_json::Value| key.token(&header.to_string(), &base().to_string());
    let jwk = key.jwk("k");
    for (label, jwt) in [
        ("O19 the key of another client", assertion(&foreign, "ES384", &base())),
        ("O19 an unknown kid", with(json!({ "alg": "ES384", "kid": "other" }))),
        ("O19 no kid", with(json!({ "alg": "ES384" }))),
        ("O19 jku not registered", with(json!({ "alg": "ES384", "kid": "k", "jku": "https://attacker.example/jwks" }))),
        ("O19 an embedded key", with(json!({ "alg": "ES384", "kid": "k", "jwk": jwk }))),
        ("O19 another algorithm", with(json!({ "alg": "ES256", "kid": "k" }))),
        ("O19 alg none", with(json!({ "alg": "none", "kid": "k" }))),
        ("O19 crit", with(json!({ "alg": "ES384", "kid": "k", "crit": ["exp"] }))),
        ("O19 an access token's type", with(json!({ "alg": "ES384", "kid": "k", "typ": "at+jwt" }))),
        ("O19 a DPoP proof's type", with(json!({ "alg": "ES384", "kid": "k", "typ": "dpop+jwt" }))),
        ("O19 not signed", format!("{}.", assertion(&key, "ES384", &base()).rsplit_once('.').expect("parts").0)),
        ("O19 no JWT", "nonsense".to_owned()),
        ("O19 9 kB", "a".repeat(9_000)),
    ] {
        refused(label, ask(&tenant, &jwt).await, "invalid_client");
    }

    let good = assertion(&key, "ES384", &base());
    let mut pairs = [&SCOPE[..], &shows(&good)].concat();
    pairs.push(("client_id", stranger.as_str()));
    refused("O19 beside another client_id", tenant.ask("token", &pairs).await, "invalid_client");
    let kind = [&SCOPE[..], &[("client_assertion", good.as_str()), ("client_assertion_type", "saml")]].concat();
    refused("O19 of another kind", tenant.ask("token", &kind).await, "invalid_client");
    let both = [&SCOPE[..], &shows(&good), &[("client_secret", "x"), ("client_id", &id)]].concat();
    refused("O19 beside a secret", tenant.ask("token", &both).await, "invalid_request");
    // None of that used it up, and it is good for another tenant nowhere.
    refused("O19 at another tenant", ask(&other, &good).await, "invalid_client");
    ask(&tenant, &good).await.expect(200);
    refused("O19 jti reused", ask(&tenant, &good).await, "invalid_client");
    // The issuer is an audience as well.
    let mut claims = base();
    claims["aud"] = json!([tenant.issuer()]);
    ask(&tenant, &assertion(&key, "ES384", &claims)).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j36_an_assertion_is_good_once_across_replicas() {
    let tenant = Tenant::fresh().await;
    let public = tenant.server.url.clone();
    let options = Options { public_url: Some(public), ..Options::default() };
    let replica = Server::start(cluster::shared(), options).await;
    let key = Forge::p384();
    let id = tenant.register(service(&key, "system/*.rs")).await.client.id;
    let at = |jwt: &str| {
        let url = format!("http://{}/t/{}/auth/token", replica.address, tenant.name);
        post(&url, &[&SCOPE[..], &shows(jwt)].concat())
    };
    let jwt = assertion(&key, "ES384", &assertion_claims(&tenant, &id));
    ask(&tenant, &jwt).await.expect(200);
    refused("J36 at the other server", Answer::of(at(&jwt)).await, "invalid_client");
    let jwt = assertion(&key, "ES384", &assertion_claims(&tenant, &id));
    let token = Answer::of(at(&jwt)).await.expect(200).json();
    refused("J36 back at the first", ask(&tenant, &jwt).await, "invalid_client");
    // What either signs is good at the other.
    tenant.get("Patient", super::text(&token, "access_token")).await.expect(200);
    for _ in 0..5 {
        let jwt = assertion(&key, "ES384", &assertion_claims(&tenant, &id));
        let (one, two) = tokio::join!(ask(&tenant, &jwt), Answer::of(at(&jwt)));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "J36 at once");
    }
    ledger::each_left_one_record().await;
    replica.stop().await;
}

#[tokio::test]
async fn keys_by_url_are_fetched_kept_and_looked_for_again() {
    let options = Options { egress_allow: vec!["127.0.0.1/32"], ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    let tenant = Tenant::on(server).await;
    let (key, next) = (Forge::p384(), Forge::p384());
    let publisher = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let mut new = service(&key, "system/*.rs");
    (new.jwks, new.jwks_url) = (None, Some(publisher.url.clone()));
    let id = tenant.register(new).await.client.id;
    let jwt = |by: &Forge, jku: Option<&str>| {
        let mut header = json!({ "alg": "ES384", "kid": "k" });
        if let Some(jku) = jku {
            header["jku"] = json!(jku);
        }
        by.token(&header.to_string(), &assertion_claims(&tenant, &id).to_string())
    };
    ask(&tenant, &jwt(&key, None)).await.expect(200);
    ask(&tenant, &jwt(&key, Some(&publisher.url))).await.expect(200);
    refused("O19 another jku", ask(&tenant, &jwt(&key, Some("https://x.example/"))).await, "invalid_client");
    refused("O19 a key not published", ask(&tenant, &jwt(&next, None)).await, "invalid_client");
    assert_eq!(publisher.visits(), 1);
    publisher.publish(Published::Silence);
    ask(&tenant, &jwt(&key, None)).await.expect(200);
    ledger::each_left_one_record().await;
}
