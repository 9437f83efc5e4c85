//! `vitals issuer …`.

use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_server::clock::SystemClock;
use vitals_tests::{
    forge::{self, Forge},
    issuer::{Published, Publisher, unique_url},
    program::{self, Shared},
};

use super::{get, members, tenant, unique};

/// A registration's members.
const ISSUER: [&str; 8] =
    ["algorithms", "issuer", "jwks_url", "mapping", "max_lifetime", "may_set_tier", "strict", "tenants"];

/// A token of an outside issuer, for a tenant of the shared server.
async fn token_of(key: &Forge, issuer: &str, tenant: &str) -> String {
    let Shared { server, .. } = program::shared().await;
    let now = SystemClock.now().timestamp();
    let claims = json!({
        "iss": issuer, "sub": "somebody", "aud": format!("{}/t/{tenant}/fhir", server.url), "tenant_id": tenant,
        "iat": now, "exp": now + 600, "scope": "system/*.rs",
    });
    key.token(&forge::header("ES256", "k1"), &claims.to_string())
}

/// A key, and the file of a set that holds it.
async fn key() -> (Forge, String) {
    let Shared { program, .. } = program::shared().await;
    let key = Forge::p256();
    let file = program.file(&format!("{}.json", unique("keys")), &set(&[key.jwk("k1")]));
    (key, file)
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn an_issuers_tokens_are_good_from_add_to_remove() {
    let Shared { program, .. } = program::shared().await;
    let (id, url) = (tenant(program, "issuer").await, unique_url("idp"));
    let (key, file) = key().await;
    let token = token_of(&key, &url, &id).await;
    get(&id, "Patient", &token).await.expect_outcome(401, "login");

    let added = program.run(&["issuer", "add", "--tenant", &id, "--issuer", &url, "--jwks", &file, "--json"]).await;
    get(&id, "Patient", &token).await.expect(200);
    let listed = program.run(&["issuer", "list", "--tenant", &id, "--json"]).await.expect(0).json();
    let removed = program.run(&["issuer", "remove", "--tenant", &id, "--issuer", &url, "--json"]).await.expect(0);
    get(&id, "Patient", &token).await.expect_outcome(401, "login");

    let added = added.expect(0).json();
    assert_eq!(members(&added), ISSUER);
    assert_eq!((&added["issuer"], &added["tenants"], &added["strict"]), (&json!(url), &json!([id]), &json!(false)));
    assert_eq!((&added["jwks_url"], &added["max_lifetime"]), (&Value::Null, &json!(86_400)));
    assert_eq!((&added["algorithms"], &added["mapping"]), (&json!([]), &json!({})));
    assert_eq!(listed, json!([added]));
    assert_eq!(removed.json(), json!({ "issuer": url, "tenant": id, "removed": true }));
    let nothing = program.run(&["issuer", "list", "--tenant", &id, "--json"]).await.expect(0);
    assert_eq!(nothing.json(), json!([]));
    let again = program.run(&["issuer", "remove", "--tenant", &id, "--issuer", &url]).await;
    again.expect_sentence(1, "is not registered for tenant");
}

#[tokio::test]
async fn a_tenant_may_come_with_its_issuer() {
    let Shared { program, .. } = program::shared().await;
    let (id, url) = (unique("with-issuer"), unique_url("idp"));
    let (key, file) = key().await;

    program.run(&["tenant", "create", &id, "--issuer", &url, "--jwks", &file]).await.expect(0);

    get(&id, "Patient", &token_of(&key, &url, &id).await).await.expect(200);
}

#[tokio::test]
async fn a_second_spelling_of_an_issuer_is_refused() {
    let Shared { program, .. } = program::shared().await;
    let (id, other, url) = (tenant(program, "spelling").await, tenant(program, "spelling").await, unique_url("idp"));
    let (_, file) = key().await;
    let (_, others) = key().await;
    program.run(&["issuer", "add", "--tenant", &id, "--issuer", &url, "--jwks", &file]).await.expect(0);

    for spelling in
        [format!("{url}/"), url.to_uppercase().replace("HTTPS", "https"), format!("{url}:443"), format!("{url}/.")]
    {
        for (tenant, keys) in [(&id, &file), (&other, &file), (&other, &others)] {
            let ran = program.run(&["issuer", "add", "--tenant", tenant, "--issuer", &spelling, "--jwks", keys]).await;
            ran.expect_sentence(1, &format!("registered as {url}"));
        }
    }
    let nothing = program.run(&["issuer", "list", "--tenant", &other, "--json"]).await.expect(0);
    assert_eq!(nothing.json(), json!([]));
}

#[tokio::test]
async fn an_issuer_of_another_tenant_has_the_same_keys_or_none_are_given() {
    let Shared { program, .. } = program::shared().await;
    let (first, second, third) =
        (tenant(program, "first").await, tenant(program, "second").await, tenant(program, "third").await);
    let url = unique_url("idp");
    let (key, file) = key().await;
    let (_, others) = self::key().await;
    program.run(&["issuer", "add", "--tenant", &first, "--issuer", &url, "--jwks", &file]).await.expect(0);

    let other_keys = program.run(&["issuer", "add", "--tenant", &second, "--issuer", &url, "--jwks", &others]).await;
    other_keys.expect_sentence(1, "another set of keys");
    get(&second, "Patient", &token_of(&key, &url, &second).await).await.expect_outcome(401, "login");
    program.run(&["issuer", "add", "--tenant", &second, "--issuer", &url, "--jwks", &file]).await.expect(0);
    let without = program.run(&["issuer", "add", "--tenant", &third, "--issuer", &url, "--json"]).await.expect(0);

    assert_eq!(without.json()["tenants"].as_array().map(Vec::len), Some(3));
    for tenant in [&first, &second, &third] {
        get(tenant, "Patient", &token_of(&key, &url, tenant).await).await.expect(200);
    }
    // Taken from one, it stays with the others.
    program.run(&["issuer", "remove", "--tenant", &first, "--issuer", &url]).await.expect(0);
    get(&first, "Patient", &token_of(&key, &url, &first).await).await.expect_outcome(401, "login");
    get(&second, "Patient", &token_of(&key, &url, &second).await).await.expect(200);
}

#[tokio::test]
async fn strictness_and_lifetime_are_kept() {
    let Shared { program, .. } = program::shared().await;
    let (id, url) = (tenant(program, "strict").await, unique_url("idp"));
    let (key, file) = key().await;

    let added = program
        .run(&[
            "issuer",
            "add",
            "--tenant",
            &id,
            "--issuer",
            &url,
            "--jwks",
            &file,
            "--strict",
            "--max-lifetime",
            "15m",
            "--json",
        ])
        .await
        .expect(0)
        .json();

    assert_eq!((&added["strict"], &added["max_lifetime"]), (&json!(true), &json!(900)));
    let people = program.run(&["issuer", "list", "--tenant", &id]).await.expect(0);
    assert!(people.stdout.contains("at+jwt only") && people.stdout.contains("15m"), "{}", people.stdout);
    let now = SystemClock.now().timestamp();
    let Shared { server, .. } = program::shared().await;
    let claims = |lifetime: i64| {
        json!({ "iss": url, "sub": "s", "aud": format!("{}/t/{id}/fhir", server.url), "iat": now,
            "exp": now + lifetime, "scope": "system/*.rs" })
        .to_string()
    };
    let typed = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;
    let untyped = r#"{"alg":"ES256","kid":"k1"}"#;
    get(&id, "Patient", &key.token(typed, &claims(600))).await.expect(200);
    get(&id, "Patient", &key.token(untyped, &claims(600))).await.expect_outcome(401, "login");
    get(&id, "Patient", &key.token(typed, &claims(3_600))).await.expect_outcome(401, "login");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_warned_of_and_files_that_are_none_refused() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "bad-keys").await;
    let key = Forge::p256();
    let secret = json!({ "kty": "oct", "kid": "s", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
    let mixed = program.file(&format!("{id}-mixed.json"), &set(&[secret.clone(), key.jwk("k1")]));
    let useless = program.file(&format!("{id}-useless.json"), &set(&[secret]));
    let url = unique_url("idp");

    let ran = program.run(&["issuer", "add", "--tenant", &id, "--issuer", &url, "--jwks", &mixed]).await.expect(0);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    get(&id, "Patient", &token_of(&key, &url, &id).await).await.expect(200);
    let ran =
        program.run(&["issuer", "add", "--tenant", &id, "--issuer", &unique_url("idp"), "--jwks", &useless]).await;
    assert!(ran.expect(0).stderr.contains("none of its tokens"));

    let texts = [("text", "no JSON"), ("array", "[]"), ("empty", "{}"), ("private", "-----BEGIN PRIVATE KEY-----")];
    for (name, text) in texts {
        let file = program.file(&format!("{id}-{name}.json"), text);
        let url = unique_url("idp");
        let ran = program.run(&["issuer", "add", "--tenant", &id, "--issuer", &url, "--jwks", &file]).await;
        ran.expect_sentence(1, "keys of the issuer are not usable");
    }
    let ran = program.run(&["issuer", "add", "--tenant", &id, "--issuer", &url, "--jwks", "/nowhere/keys.json"]).await;
    ran.expect_sentence(1, "cannot read --jwks /nowhere/keys.json");
    let ran = program.run(&["issuer", "add", "--tenant", &id, "--issuer", &unique_url("idp")]).await;
    ran.expect_sentence(2, "--jwks FILE or --jwks-url URL");
}

#[tokio::test]
async fn what_cannot_be_an_issuer_is_refused() {
    let Shared { program, server, .. } = program::shared().await;
    let (id, other) = (tenant(program, "no-issuer").await, tenant(program, "other").await);
    let (_, file) = key().await;
    let own = format!("{}/t/{other}/auth", server.url);
    let urls = [
        "idp.example",
        "ftp://idp.example",
        "https://user@idp.example",
        "https://idp.example/?x=1",
        "https://idp.example#x",
        "https://idp.example/a b",
        "https://",
        "javascript:alert(1)",
        &own,
    ];
    for url in urls {
        let ran = program.run(&["issuer", "add", "--tenant", &id, "--issuer", url, "--jwks", &file]).await;
        assert_eq!(ran.code, Some(1), "{url}: {ran:?}");
        ran.expect_sentence(1, "issuer");
    }
}

#[tokio::test]
async fn an_issuers_claims_are_read_as_its_mapping_says_and_signed_as_it_registered() {
    let Shared { program, server, .. } = program::shared().await;
    let (id, url) = (tenant(program, "mapped").await, unique_url("sso"));
    let rsa = Forge::rsa();
    let file = program.file(&format!("{}.json", unique("keys")), &set(&[rsa.jwk("k1")]));
    let mapping = json!({
        "tenant": { "claim": "org.id", "values": { "0815": id } },
        "scopes": { "roles": ["realm_access.roles"], "values": { "nurse": "system/Patient.rs" } },
    });
    let mapping_file = program.file(&format!("{}.json", unique("mapping")), &mapping.to_string());
    let with = ["--jwks", &file, "--algorithm", "RS256", "--mapping", &mapping_file, "--json"];
    let added = program.run(&[&["issuer", "add", "--tenant", &id, "--issuer", &url][..], &with].concat()).await;
    let now = SystemClock.now().timestamp();
    // As Keycloak writes them.
    let claims = |organisation: &str, role: &str| {
        json!({
            "iss": url, "sub": "5b1a4e0f", "aud": [server.url, "account"], "typ": "Bearer", "azp": "ward-app",
            "iat": now, "exp": now + 300, "realm_access": { "roles": [role, "system/*.cruds"] }, "scope": "openid",
            "org": { "id": organisation },
        })
        .to_string()
    };
    let token = |algorithm: &str, claims: &str| rsa.token(&forge::header(algorithm, "k1"), claims);

    get(&id, "Patient", &token("RS256", &claims("0815", "nurse"))).await.expect(200);
    get(&id, "Observation", &token("RS256", &claims("0815", "nurse"))).await.expect_outcome(403, "forbidden");
    get(&id, "Patient", &token("RS256", &claims("0815", "visitor"))).await.expect_outcome(403, "forbidden");
    get(&id, "Patient", &token("RS256", &claims("4711", "nurse"))).await.expect_outcome(401, "login");
    get(&id, "Patient", &token("RS384", &claims("0815", "nurse"))).await.expect_outcome(401, "login");
    let added = added.expect(0).json();
    assert_eq!(added["algorithms"], json!(["RS256"]));
    assert_eq!(added["mapping"]["tenant"]["claim"], json!(["org", "id"]));
    let bad = program.file(&format!("{}.json", unique("mapping")), r#"{"pateint":"a"}"#);
    let add = ["issuer", "add", "--tenant", &id, "--issuer", &unique_url("sso"), "--jwks", &file];
    program.run(&[&add[..], &["--mapping", &bad]].concat()).await.expect_sentence(2, "is no mapping");
    program.run(&[&add[..], &["--algorithm", "HS256"]].concat()).await.expect_sentence(1, "no algorithm");
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "discover").await;
    let publisher = Publisher::start(Published::Nothing).await;
    let issuer = publisher.url.trim_end_matches("/jwks").to_owned();
    let says = |name: &str| {
        let text = json!({ "issuer": name, "jwks_uri": publisher.url }).to_string();
        publisher.publish(Published::Text(text));
    };
    let add = ["issuer", "add", "--tenant", &id, "--issuer", &issuer, "--discover", "--json"];
    let allowed = [&add[..], &["--egress-allow", "127.0.0.1/32"]].concat();

    says(&issuer);
    program.run(&add).await.expect_sentence(1, "not public");
    says(&format!("{issuer}/"));
    program.run(&allowed).await.expect_sentence(1, "of another issuer");
    says(&issuer);
    let added = program.run(&allowed).await.expect(0).json();
    assert_eq!((&added["issuer"], &added["jwks_url"]), (&json!(issuer), &json!(publisher.url)));
}
