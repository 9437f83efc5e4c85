//! The isolation matrix of the authorization server: what one tenant gave out is, at another, what never was.

use serde_json::json;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Tenant,
    forge::Forge,
    ledger,
    oauth::{CALLBACK, VERIFIER, app, approved, assertion, assertion_claims, post, service, shows},
};

use super::{GRANTED, World, request, resource_server, text};

/// An answer without what must differ between two requests.
fn neutral(answer: &Answer, sent: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    answer.anonymous(sent)
}

/// Holds the answer about what is another tenant's against the one about what never was.
async fn alike(label: &str, at: &Tenant, endpoint: &str, foreign: &[(&str, &str)], unknown: &[(&str, &str)]) -> Answer {
    let first = at.ask(endpoint, foreign).await;
    let second = at.ask(endpoint, unknown).await;
    assert_eq!(neutral(&first, "-"), neutral(&second, "-"), "{label}");
    first
}

#[tokio::test]
async fn what_another_tenant_gave_out_never_was() {
    let (this, other) = (World::new().await, World::new().await);
    // A client of one id at both tenants, so that only what it brings tells them apart.
    for tenant in [&this.tenant, &other.tenant] {
        let mut new = app(Authentication::None, GRANTED);
        new.id = Some("same".to_owned());
        tenant.register(new).await;
    }
    let code = this.tenant.approve(approved("same", &this.user, GRANTED, None)).await;
    let with_code = |code| {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", "same"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]
    };
    let (token, unknown) = (with_code(code.as_str()), with_code("never-was"));
    alike("a code", &other.tenant, "token", &token, &unknown).await.expect(400);
    // It was not used up by that.
    let tokens = this.tenant.ask("token", &token).await.expect(200).json();

    let with_refresh = |token| vec![("grant_type", "refresh_token"), ("client_id", "same"), ("refresh_token", token)];
    let refresh = text(&tokens, "refresh_token");
    alike("a refresh token", &other.tenant, "token", &with_refresh(refresh), &with_refresh("never-was"))
        .await
        .expect(400);
    for (name, token) in [("an access token", text(&tokens, "access_token")), ("a refresh token", refresh)] {
        let with = |token| vec![("client_id", "same"), ("token", token)];
        alike(name, &other.tenant, "revoke", &with(token), &with("never-was")).await.expect(200);
    }
    this.tenant.get("Patient", text(&tokens, "access_token")).await.expect(200);
    this.refresh_of("same", refresh).await.expect(200);

    let as_client = |id| vec![("grant_type", "authorization_code"), ("client_id", id), ("code", "x")];
    alike("a client", &other.tenant, "token", &as_client(this.app.as_str()), &as_client("never-was")).await.expect(400);
    for (endpoint, status) in [("introspect", 401), ("revoke", 400), ("par", 400), ("launch", 401)] {
        let with = |id| vec![("client_id", id), ("client_secret", "x"), ("token", "x")];
        let answer = alike(endpoint, &other.tenant, endpoint, &with(this.app.as_str()), &with("never-was")).await;
        answer.expect(status);
    }

    // A secret and a key of one tenant's client open nothing at another that has a client of the same id.
    let key = Forge::p384();
    let (mut mine, mut theirs) = (service(&key, "system/*.rs"), service(&Forge::p384(), "system/*.rs"));
    (mine.id, theirs.id) = (Some("svc".to_owned()), Some("svc".to_owned()));
    this.tenant.register(mine).await;
    other.tenant.register(theirs).await;
    let mut claims = assertion_claims(&this.tenant, "svc");
    claims["aud"] = json!([this.tenant.auth("token"), other.tenant.auth("token")]);
    let jwt = assertion(&key, "ES384", &claims);
    let pairs = [&[("grant_type", "client_credentials"), ("scope", "system/*.rs")][..], &shows(&jwt)].concat();
    other.tenant.ask("token", &pairs).await.expect(400);
    this.tenant.ask("token", &pairs).await.expect(200);
    let by = resource_server(&this.tenant).await;
    let asked = post(&other.tenant.auth("introspect"), &[("token", "x")]).basic_auth(&by.0, Some(&by.1));
    Answer::of(asked).await.expect(401);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_tenant_without_an_authorization_server_has_none_of_its_endpoints() {
    let world = World::new().await;
    world.tenant.set(&json!({ "authorization_server": false })).await;
    let pairs = request(&world.tenant, &world.app, &[]);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for endpoint in ["token", "par", "introspect", "revoke", "register", "userinfo", "launch"] {
        let off = world.tenant.ask(endpoint, &pairs).await.expect(404);
        let nowhere = Answer::of(post(&format!("{}/t/nobody-here/auth/{endpoint}", world.tenant.server.url), &pairs));
        assert_eq!(neutral(&off, "-"), neutral(&nowhere.await, "-"), "{endpoint}");
    }
    ledger::each_left_one_record().await;
}
