//! Attacks on the back channel of a tenant's authorization server (family O of the attacks, and J36): a row each, by
//! number.

use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::Forge,
    ledger,
    oauth::{CALLBACK, CHALLENGE, VERIFIER, app, approved, post},
};

mod assertions;
mod isolation;
mod mixed_up;
mod requests;
mod taking_back;

const GRANTED: &str = "openid patient/*.rs offline_access";

/// A tenant with an app and a user.
struct World {
    tenant: Tenant,
    app: String,
    user: String,
}

impl World {
    async fn new() -> Self {
        Self::of(Tenant::fresh().await).await
    }

    async fn of(tenant: Tenant) -> Self {
        let app = tenant.register(app(Authentication::None, GRANTED)).await.client.id;
        let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
        Self { tenant, app, user }
    }

    async fn code(&self) -> String {
        self.tenant.approve(approved(&self.app, &self.user, GRANTED, None)).await
    }

    /// Brings a code, with some of its parameters otherwise; an empty one is as if it were not there.
    async fn bring(&self, code: &str, otherwise: &[(&str, &str)]) -> Answer {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("client_id", self.app.as_str()),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in otherwise {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name, value));
        }
        self.tenant.ask("token", &pairs).await
    }

    async fn refresh(&self, token: &str, scope: &str) -> Answer {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", self.app.as_str()),
            ("refresh_token", token),
            ("scope", scope),
        ];
        self.tenant.ask("token", &pairs).await
    }

    async fn refresh_of(&self, client: &str, token: &str) -> Answer {
        let pairs = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.tenant.ask("token", &pairs).await
    }

    /// Tokens for a fresh code.
    async fn tokens(&self) -> Value {
        let code = self.code().await;
        self.bring(&code, &[]).await.expect(200).json()
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[track_caller]
fn refused(label: &str, answer: Answer, error: &str) {
    let answer = answer.expect(400);
    assert_eq!(answer.json()["error"], error, "{label}: {}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store", "{label}");
}

#[tokio::test]
async fn a_code_is_good_once_for_its_app_with_its_verifier() {
    let world = World::new().await;
    let other = world.tenant.register(app(Authentication::None, GRANTED)).await.client.id;
    let short = &VERIFIER[..42];
    let long = "a".repeat(129);
    let wrong = VERIFIER.replace('d', "e");
    let code = world.code().await;
    // None of these uses the code up.
    for (label, otherwise, error) in [
        ("O12 no verifier", [("code_verifier", "")], "invalid_request"),
        ("O12 the challenge as verifier", [("code_verifier", CHALLENGE)], "invalid_grant"),
        ("O12 a wrong verifier", [("code_verifier", wrong.as_str())], "invalid_grant"),
        ("O12 a short verifier", [("code_verifier", short)], "invalid_grant"),
        ("O12 a long verifier", [("code_verifier", long.as_str())], "invalid_grant"),
        ("O13 no redirect_uri", [("redirect_uri", "")], "invalid_request"),
        ("O13 another redirect_uri", [("redirect_uri", "https://app.example/callback/")], "invalid_grant"),
        ("O15 the code of another app", [("client_id", other.as_str())], "invalid_grant"),
        ("O15 an app that never was", [("client_id", "nobody")], "invalid_client"),
    ] {
        refused(label, world.bring(&code, &otherwise).await, error);
    }
    refused("O14 a code that never was", world.bring("made-up", &[]).await, "invalid_grant");

    let tokens = world.bring(&code, &[]).await.expect(200).json();
    let token = text(&tokens, "access_token").to_owned();
    world.tenant.get("Patient", &token).await.expect(200);
    refused("O14 a code used twice", world.bring(&code, &[]).await, "invalid_grant");
    // With it went what had been given for it.
    world.tenant.get("Patient", &token).await.expect(401);
    refused("O14 its refresh token", world.refresh(text(&tokens, "refresh_token"), "").await, "invalid_grant");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn o14_of_two_who_bring_a_code_at_once_one_gets_tokens_and_none_keeps_them() {
    let world = World::new().await;
    for _ in 0..5 {
        let code = world.code().await;
        let (one, two) = tokio::join!(world.bring(&code, &[]), world.bring(&code, &[]));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        let tokens = if one.status == 200 { one.json() } else { two.json() };
        refused("O14 the refresh token", world.refresh(text(&tokens, "refresh_token"), "").await, "invalid_grant");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn o16_a_code_lasts_a_minute() {
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let world = World::of(Tenant::on(server).await).await;
    let (fresh, old) = (world.code().await, world.code().await);
    server.clock.advance(58);
    world.bring(&fresh, &[]).await.expect(200);
    server.clock.advance(3);
    refused("O16 a code of 61 s", world.bring(&old, &[]).await, "invalid_grant");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_never_for_more() {
    let world = World::new().await;
    let first = world.tokens().await;
    let token = text(&first, "refresh_token");
    for (label, scope) in [
        ("O21 more letters", "patient/*.cruds"),
        ("O21 more beside", "patient/*.rs user/*.rs"),
        ("O21 another family", "system/*.rs"),
        ("O21 what nobody knows", "patient/*.rs everything"),
    ] {
        refused(label, world.refresh(token, scope).await, "invalid_scope");
    }
    let other = World::of(Tenant::fresh().await).await;
    let pairs = [("grant_type", "refresh_token"), ("client_id", other.app.as_str()), ("refresh_token", token)];
    refused("O20 at another tenant", other.tenant.ask("token", &pairs).await, "invalid_grant");

    let second = world.refresh(token, "").await.expect(200).json();
    let access = text(&second, "access_token").to_owned();
    world.tenant.get("Patient", &access).await.expect(200);
    refused("O20 the replaced one again", world.refresh(token, "").await, "invalid_grant");
    refused("O20 and the whole family", world.refresh(text(&second, "refresh_token"), "").await, "invalid_grant");
    world.tenant.get("Patient", &access).await.expect(401);

    // What its user or an administrator ended refreshes no more (O22).
    let third = world.tokens().await;
    let approval = vitals_tests::oauth::claims(text(&third, "access_token"))["approval_id"].clone();
    let approval = approval.as_str().expect("an approval").to_owned();
    let ended = world.tenant.at_desk(|desk, tenant| async move { desk.end_approval(&tenant, &approval).await }).await;
    assert!(ended.expect("ended"));
    refused("O22 of an ended approval", world.refresh(text(&third, "refresh_token"), "").await, "invalid_grant");
    world.tenant.get("Patient", text(&third, "access_token")).await.expect(401);

    let fourth = world.tokens().await;
    let id = world.app.clone();
    let revoked = world.tenant.at_desk(|desk, tenant| async move {
        vitals_server::authorization::clients::revoke(&desk, &tenant, &id).await
    });
    assert!(revoked.await.expect("revoked"));
    refused("O22 of a revoked client", world.refresh(text(&fourth, "refresh_token"), "").await, "invalid_client");
    world.tenant.get("Patient", text(&fourth, "access_token")).await.expect(401);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn o22_what_is_issued_while_its_approval_is_ended_ends_with_it() {
    let world = World::new().await;
    for _ in 0..8 {
        let tokens = world.tokens().await;
        let approval = text(&vitals_tests::oauth::claims(text(&tokens, "access_token")), "approval_id").to_owned();
        let ending = world.tenant.at_desk(|desk, tenant| async move { desk.end_approval(&tenant, &approval).await });
        let (refreshed, ended) = tokio::join!(world.refresh(text(&tokens, "refresh_token"), ""), ending);
        assert!(ended.expect("the tables"));
        if refreshed.status == 200 {
            world.tenant.get("Patient", text(&refreshed.json(), "access_token")).await.expect(401);
        } else {
            refused("O22 ended just before", refreshed, "invalid_grant");
        }
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_a_client_may_have_or_a_user_holds_can_shrink() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let id = world.app.clone();
    let shrunk = world.tenant.at_desk(|desk, tenant| async move {
        let mut tx = desk.pool.authorization(&tenant).await?;
        let mut client = tx.client(&id).await?.expect("the client");
        client.scopes = vec!["patient/Patient.r".to_owned(), "offline_access".to_owned()];
        let updated = tx.update_client(&client).await?;
        tx.commit().await.map(|()| updated)
    });
    assert!(shrunk.await.expect("the tables"));
    let refreshed = world.refresh(text(&tokens, "refresh_token"), "").await.expect(200).json();
    assert_eq!(refreshed["scope"], "patient/Patient.r offline_access");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn malformed_requests_for_tokens_are_400() {
    let world = World::new().await;
    let url = world.tenant.auth("token");
    let code = world.code().await;
    for (label, pairs, error) in [
        ("O12 nothing", vec![], "invalid_request"),
        ("O12 no grant", vec![("client_id", world.app.as_str())], "invalid_request"),
        (
            "O12 the implicit grant",
            vec![("grant_type", "implicit"), ("client_id", &world.app)],
            "unsupported_grant_type",
        ),
        ("O12 a password", vec![("grant_type", "password"), ("client_id", &world.app)], "unsupported_grant_type"),
        ("O12 a grant twice", vec![("grant_type", "implicit"), ("grant_type", "implicit")], "invalid_request"),
        (
            "O12 a public client by itself",
            vec![("grant_type", "client_credentials"), ("client_id", &world.app), ("scope", "system/*.rs")],
            "unauthorized_client",
        ),
        (
            "O12 a secret for a client that has none",
            vec![
                ("grant_type", "authorization_code"),
                ("client_id", &world.app),
                ("client_secret", "x"),
                ("code", &code),
            ],
            "invalid_client",
        ),
    ] {
        refused(label, Answer::of(post(&url, &pairs)).await, error);
    }
    let json = vitals_tests::tenant::client().post(&url).header("content-type", "application/json").body("{}");
    refused("O12 as JSON", Answer::of(json).await, "invalid_request");
    Answer::of(vitals_tests::tenant::client().get(&url)).await.expect(405);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn secrets_are_shown_once_and_compared_alike() {
    let tenant = Tenant::fresh().await;
    let mut new = app(Authentication::ClientSecret, "system/*.rs");
    new.redirect_uris.clear();
    let registered = tenant.register(new).await;
    let (id, secret) = (registered.client.id.as_str(), registered.secret.clone().expect("a secret"));
    assert!(!format!("{:?}", registered.client).contains(&secret), "U07: only its hash is kept");
    let url = tenant.auth("token");
    let pairs = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs")];
    Answer::of(post(&url, &pairs).basic_auth(id, Some(&secret))).await.expect(200);
    let wrong = Answer::of(post(&url, &pairs).basic_auth(id, Some("wrong"))).await.expect(401);
    let unknown = Answer::of(post(&url, &pairs).basic_auth("nobody", Some("wrong"))).await.expect(401);
    assert_eq!(wrong.anonymous(""), unknown.anonymous(""));
    assert_eq!(wrong.json()["error"], "invalid_client");
    assert!(wrong.header("www-authenticate").starts_with("Basic"));
    let twice = [&pairs[..], &[("client_id", id), ("client_secret", &secret)]].concat();
    refused(
        "O19 two ways at once",
        Answer::of(post(&url, &twice).basic_auth(id, Some(&secret))).await,
        "invalid_request",
    );

    // A secret that was replaced is of no use.
    let of = id.to_owned();
    let fresh = tenant.at_desk(|desk, tenant| async move {
        vitals_server::authorization::clients::replace_secret(&desk, &tenant, &of).await
    });
    let fresh = fresh.await.expect("the tables").expect("another secret");
    Answer::of(post(&url, &pairs).basic_auth(id, Some(&secret))).await.expect(401);
    Answer::of(post(&url, &pairs).basic_auth(id, Some(&fresh))).await.expect(200);
    ledger::each_left_one_record().await;
}

/// A client of the tenant that may ask about tokens.
async fn resource_server(tenant: &Tenant) -> (String, String) {
    let mut new = app(Authentication::ClientSecret, "");
    new.redirect_uris.clear();
    let registered = tenant.register(new).await;
    (registered.client.id, registered.secret.expect("a secret"))
}

#[tokio::test]
async fn keys_are_replaced_with_an_overlap_or_at_once() {
    use vitals_server::authorization::keys::{Overlap, rotate};
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let world = World::of(Tenant::on(server).await).await;
    let before = world.tokens().await;
    let kid = |tokens: &Value| vitals_tests::oauth::header(text(tokens, "access_token"))["kid"].clone();
    let rotated =
        world.tenant.at_desk(|desk, tenant| async move { rotate(&desk, &tenant, Overlap::UntilTokensEnd).await });
    let rotated = rotated.await.expect("rotated");
    assert_eq!((rotated.kids.len(), rotated.replaced), (2, 2), "ES256 and RS256");
    let after = world.tokens().await;
    assert_ne!(kid(&before), kid(&after));
    for tokens in [&before, &after] {
        world.tenant.get("Patient", text(tokens, "access_token")).await.expect(200);
    }
    let published = Answer::of(vitals_tests::tenant::client().get(world.tenant.auth("jwks"))).await.expect(200).json();
    assert_eq!(published["keys"].as_array().map(Vec::len), Some(4));

    // A day later the old key is gone, though nothing else happened.
    server.clock.advance(24 * 3_600 + 61);
    vitals_tests::poll::until("the old keys are gone", || async {
        let published =
            Answer::of(vitals_tests::tenant::client().get(world.tenant.auth("jwks"))).await.expect(200).json();
        published["keys"].as_array().map(Vec::len) == Some(2)
    })
    .await;

    // After a theft nothing waits.
    let stolen = world.tokens().await;
    let rotated = world.tenant.at_desk(|desk, tenant| async move { rotate(&desk, &tenant, Overlap::None).await });
    rotated.await.expect("rotated");
    world.tenant.get("Patient", text(&stolen, "access_token")).await.expect(401);
    let fresh = world.tokens().await;
    world.tenant.get("Patient", text(&fresh, "access_token")).await.expect(200);
    ledger::each_left_one_record().await;
}

/// What stands in a key set for tests that need one beside their own.
fn another_key() -> Forge {
    Forge::p384()
}

/// Seconds since 1970 by the clock of a tenant's server.
fn now(tenant: &Tenant) -> i64 {
    tenant.server.clock.now().timestamp()
}

/// The parameters of an authorization request of an app, with some otherwise; an empty one is left out.
fn request(tenant: &Tenant, app: &str, otherwise: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = [
        ("client_id", app),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", GRANTED),
        ("state", "s-1"),
        ("aud", &tenant.base()),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in otherwise {
        pairs.retain(|(known, _)| known != name);
        if !value.is_empty() {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    pairs
}

/// What introspection says of a token.
async fn introspected(tenant: &Tenant, by: &(String, String), token: &str) -> Value {
    let asked = post(&tenant.auth("introspect"), &[("token", token)]).basic_auth(&by.0, Some(&by.1));
    Answer::of(asked).await.expect(200).json()
}

fn inactive() -> Value {
    json!({ "active": false })
}
