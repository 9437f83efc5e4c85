//! Signing in through a tenant's outside OpenID provider, and what of it is not believed. The provider is one document that
//! is everything: what it says of itself, its keys, and its answer at the token endpoint.

use serde_json::{Value, json};
use vitals_access::{
    clock::Clock as _,
    keys::{SigningAlgorithm, SigningKey},
};
use vitals_server::authorization::{accounts::NewAccount, provider};
use vitals_tests::{
    Answer, Browser, Options, Server, Tenant,
    browser::{field, returned},
    cluster,
    issuer::{Published, Publisher},
    ledger,
    people::PASSWORD,
};

const CLIENT: &str = "vitals";
const SUBJECT: &str = "ada-at-the-provider";

/// What is changed, whether the provider signs it, and what comes of it.
type Case = (&'static str, fn(&mut Value), bool, u16);

struct World {
    tenant: Tenant,
    publisher: Publisher,
    issuer: String,
    key: SigningKey,
}

impl World {
    async fn begin() -> Self {
        let options = Options { egress_allow: vec!["127.0.0.1/32"], ..Options::default() };
        let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
        let tenant = Tenant::on(server).await;
        let publisher = Publisher::start(Published::Nothing).await;
        let issuer = publisher.url.clone();
        let role = tenant.known().await.role.clone();
        let sealed = provider::seal_secret(&server.cluster.master_key, &role, "a secret / of ours").expect("sealed");
        let sign_in = json!({ "issuer": issuer, "client_id": CLIENT, "sealed_secret": sealed });
        tenant.set(&json!({ "sign_in": sign_in })).await;
        tenant
            .account(NewAccount {
                username: "ada".to_owned(),
                name: "Ada".to_owned(),
                provider: Some((issuer.clone(), SUBJECT.to_owned())),
                fhir_user: Some("Patient/p1".to_owned()),
                ..NewAccount::default()
            })
            .await;
        let world = Self { tenant, publisher, issuer, key: SigningKey::generate(SigningAlgorithm::Rs256) };
        world.says("");
        world
    }

    fn says(&self, id_token: &str) {
        let key: Value = serde_json::from_str(&self.key.public_jwk()).expect("a key");
        let all = json!({
            "issuer": self.issuer, "jwks_uri": self.issuer, "token_endpoint": self.issuer,
            "authorization_endpoint": "https://id.example/authorize?x=1",
            "keys": [key], "id_token": id_token, "access_token": "x", "token_type": "Bearer",
        });
        self.publisher.publish(Published::Text(all.to_string()));
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = self.tenant.server.clock.now().timestamp();
        json!({
            "iss": self.issuer, "sub": SUBJECT, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": nonce,
        })
    }

    /// A browser that was sent to the provider, and with what.
    async fn sent(&self) -> (Browser, std::collections::BTreeMap<String, String>) {
        let mut browser = Browser::at(&self.tenant);
        let page = browser.get("manage").await.expect(200);
        assert!(page.body.contains("Sign in through 127.0.0.1"), "{}", page.body);
        let onward = field(&page, "onward").expect("onward");
        let answer = browser.get(&format!("sign-in?onward={onward}")).await;
        assert!(
            answer.expect_redirect().starts_with("https://id.example/authorize?x=1&"),
            "{}",
            answer.header("location")
        );
        (browser, returned(&answer))
    }
}

#[tokio::test]
async fn who_is_linked_signs_in_through_the_provider() {
    let world = World::begin().await;
    let (mut browser, sent) = world.sent().await;
    assert_eq!(sent["code_challenge_method"], "S256");
    assert_eq!(sent["client_id"], CLIENT);
    assert_eq!(sent["redirect_uri"], format!("{}/callback", browser.pages));
    assert_eq!(sent["scope"], "openid profile email");
    world.says(&world.key.sign("JWT", &world.claims(&sent["nonce"])));
    let answer = browser.get(&format!("callback?code=c&state={}", sent["state"])).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(page.body.contains("Connected apps") && page.body.contains("Signed in as Ada"), "{}", page.body);
    // It has no password here, and none can be set by guessing that it has.
    assert!(!page.body.contains("Change your password"));
    let mut other = Browser::at(&world.tenant);
    let page = other.get("manage").await;
    other.submit(&page, "sign-in", &[("username", "ada"), ("password", PASSWORD)]).await.expect(403);
    // An answer is good once: its cookie is gone.
    browser.get(&format!("callback?code=c&state={}", sent["state"])).await.expect(400);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_the_provider_never_said_signs_nobody_in() {
    let world = World::begin().await;
    let other = SigningKey::generate(SigningAlgorithm::Rs256);
    let cases: [Case; 7] = [
        ("a stranger", |claims| claims["sub"] = "somebody-else".into(), true, 403),
        ("another request's answer", |claims| claims["nonce"] = "another".into(), true, 403),
        ("another client's", |claims| claims["aud"] = "another".into(), true, 403),
        ("another issuer's", |claims| claims["iss"] = "https://id.example".into(), true, 403),
        ("an old one", |claims| claims["exp"] = 1.into(), true, 403),
        ("nobody", |claims| claims["sub"] = json!(null), true, 403),
        ("signed by another", |_| {}, false, 403),
    ];
    for (what, change, by_provider, status) in cases {
        let (mut browser, sent) = world.sent().await;
        let mut claims = world.claims(&sent["nonce"]);
        change(&mut claims);
        let key = if by_provider { &world.key } else { &other };
        world.says(&key.sign("JWT", &claims));
        let answer = browser.get(&format!("callback?code=c&state={}", sent["state"])).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert!(!browser.cookies.contains_key(&format!("vitals-{}", world.tenant.name)), "{what}");
    }
    let (mut browser, sent) = world.sent().await;
    world.says(&world.key.sign("JWT", &world.claims(&sent["nonce"])));
    let state = &sent["state"];
    for (what, path) in [
        ("another state", "callback?code=c&state=another".to_owned()),
        ("no state", "callback?code=c".to_owned()),
        ("another provider", format!("callback?code=c&state={state}&iss=https%3A%2F%2Fid.example")),
        ("its refusal", format!("callback?error=access_denied&state={state}")),
    ] {
        let answer = browser.get(&path).await;
        assert!(matches!(answer.status, 400 | 403), "{what}: {} {}", answer.status, answer.body);
    }
    // Another browser did not begin this.
    let mut other = Browser::at(&world.tenant);
    other.get(&format!("callback?code=c&state={state}")).await.expect(400);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_way_in() {
    let world = World::begin().await;
    let (mut browser, sent) = world.sent().await;
    for (what, published) in [
        ("it answers nothing", Published::Nothing),
        ("it fails", Published::Status(500)),
        ("it says no JSON", Published::Text("not JSON".to_owned())),
    ] {
        world.publisher.publish(published);
        let answer: Answer = browser.get(&format!("callback?code=c&state={}", sent["state"])).await;
        assert_eq!(answer.status, 503, "{what}: {}", answer.body);
    }
    // A tenant without one has no such address.
    let plain = Tenant::fresh().await;
    Browser::at(&plain).get("callback?code=c&state=s").await.expect(404);
    ledger::each_left_one_record().await;
}
