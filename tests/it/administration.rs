//! A tenant's own administration over HTTP: who may, what it answers, and that what it ends is ended on every replica
//! within a second.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, poll, server, sql, tenant::client};

const JSON: &str = "application/json";
/// What the contract allows until a revocation bites everywhere.
const BITES_WITHIN: Duration = Duration::from_secs(1);

/// Every address of the administration with a method it has.
const ADDRESSES: [(&str, &str); 20] = [
    ("GET", "clients"),
    ("POST", "clients"),
    ("GET", "clients/some"),
    ("DELETE", "clients/some"),
    ("POST", "clients/some/secret"),
    ("GET", "users"),
    ("POST", "users"),
    ("GET", "users/some"),
    ("DELETE", "users/some"),
    ("POST", "users/some/password"),
    ("GET", "issuers"),
    ("POST", "issuers"),
    ("DELETE", "issuers/some"),
    ("GET", "api-keys"),
    ("POST", "api-keys"),
    ("DELETE", "api-keys/some"),
    ("GET", "keys"),
    ("POST", "keys"),
    ("GET", "sessions"),
    ("DELETE", "sessions/some"),
];

async fn ask(tenant: &Tenant, method: &str, path: &str, token: &str) -> Answer {
    Answer::of(tenant.admin(method.parse().expect("a method"), path, token)).await
}

async fn post(tenant: &Tenant, path: &str, body: &Value) -> Answer {
    let request = tenant.admin(Method::POST, path, &tenant.administrator());
    Answer::of(request.header("content-type", JSON).body(body.to_string())).await
}

/// Panics unless this is a problem in the form of RFC 9457.
#[track_caller]
fn problem(answer: Answer, status: u16) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    assert_eq!(answer.json()["status"], status);
    answer
}

/// A second server on the same database, under the same public URL.
async fn replica() -> &'static Server {
    let options = Options { public_url: Some(server::shared().url.clone()), ..Options::default() };
    Server::for_this_test(cluster::shared(), options).await
}

/// Reads the metadata-free base of a server with a credential: what its verifier says of it.
async fn read(server: &Server, tenant: &Tenant, authorization: &str) -> u16 {
    let url = format!("http://{}/t/{}/fhir/Patient/nobody", server.address, tenant.name);
    Answer::of(client().get(url).header("authorization", authorization)).await.status
}

#[tokio::test]
async fn u06_every_address_needs_the_scope_and_a_token_of_this_tenant() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    for (method, path) in ADDRESSES {
        let what = format!("{method} {path}");
        let without = client()
            .request(method.parse().expect("a method"), format!("{}/t/{}/admin/{path}", this.server.url, this.name));
        let answer = problem(Answer::of(without).await, 401);
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        // O11: the other scopes do not stand for it.
        for scope in ["system/*.cruds", "audit:read org:self users:read vitals:write", "admin:user", ""] {
            let answer = problem(ask(&this, method, path, &this.token(scope).sign()).await, 403);
            assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{what}");
        }
        // U06 an administrator of another tenant, and at a tenant that is none.
        let foreign = problem(ask(&this, method, path, &other.administrator()).await, 403);
        let nobody = format!("{}/t/x{}/admin/{path}", this.server.url, &this.name.as_str()[1..]);
        let nobody = client().request(method.parse().expect("a method"), nobody).bearer_auth(other.administrator());
        assert_eq!(foreign.anonymous("x").2, problem(Answer::of(nobody).await, 403).anonymous("x").2, "{what}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let tenant = Tenant::fresh().await;
    let token = tenant.administrator();
    for (method, path) in [
        ("GET", "clients/nobody"),
        ("DELETE", "clients/nobody"),
        ("POST", "clients/nobody/secret"),
        ("GET", "users/nobody"),
        ("DELETE", "users/nobody"),
        ("POST", "users/nobody/password"),
        ("DELETE", "issuers/https%3A%2F%2Fnobody.example"),
        ("DELETE", "api-keys/nobody"),
        ("DELETE", "sessions/nobody"),
        ("GET", "nothing"),
        ("GET", "clients/a/b"),
    ] {
        problem(ask(&tenant, method, path, &token).await, 404);
    }
    for (method, path, allow) in [
        ("PUT", "clients", "GET, HEAD, POST"),
        ("PATCH", "users/x", "GET, HEAD, DELETE"),
        ("GET", "api-keys/x", "DELETE"),
    ] {
        assert_eq!(problem(ask(&tenant, method, path, &token).await, 405).header("allow"), allow, "{method} {path}");
    }
    for (path, body, status) in [
        ("clients", json!({ "client_id": "a" }), 422),
        ("clients", json!({ "client_id": "a", "scope": "openid", "secret": true }), 422),
        ("users", json!({ "username": "a", "issuer": "https://idp.example" }), 422),
        ("users", json!({ "username": "a", "password": "short" }), 422),
        ("api-keys", json!({ "scope": "system/*.rs" }), 409),
        ("issuers", json!({ "issuer": "https://idp.example" }), 422),
        ("keys", json!({ "later": true }), 422),
    ] {
        problem(post(&tenant, path, &body).await, status);
    }
    let request = tenant.admin(Method::POST, "clients", &token).header("content-type", "text/plain").body("{}");
    problem(Answer::of(request).await, 415);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn u07_secrets_are_shown_once_and_kept_as_hashes() {
    let tenant = Tenant::fresh().await;
    tenant.set(&json!({ "api_keys": true })).await;
    let token = tenant.administrator();

    let app = json!({
        "client_id": "growth-chart",
        "client_name": "Growth Chart",
        "scope": "patient/*.rs launch/patient",
        "redirect_uris": ["https://growth.example/callback"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let client = post(&tenant, "clients", &app).await.expect(201);
    let user = post(&tenant, "users", &json!({ "username": "ada", "name": "Ada" })).await.expect(201);
    let key = post(&tenant, "api-keys", &json!({ "scope": "system/*.rs" })).await.expect(201);
    let renewed = ask(&tenant, "POST", "clients/growth-chart/secret", &token).await.expect(200);
    let id = user.json()["id"].as_str().expect("an id").to_owned();
    let password = ask(&tenant, "POST", &format!("users/{id}/password"), &token).await.expect(200);

    let secrets = [
        client.json()["client_secret"].clone(),
        user.json()["password"].clone(),
        key.json()["key"].clone(),
        renewed.json()["client_secret"].clone(),
        password.json()["password"].clone(),
    ];
    let secrets: Vec<&str> = secrets.iter().map(|secret| secret.as_str().expect("a secret")).collect();
    assert!(secrets.iter().all(|secret| secret.len() >= 12), "{secrets:?}");
    assert_ne!(secrets[0], secrets[3]);
    assert!(secrets[2].starts_with("vk_"), "secret scanners know it");
    for path in ["clients", "clients/growth-chart", "users", "api-keys", "keys", "sessions"] {
        let answer = ask(&tenant, "GET", path, &token).await.expect(200);
        assert!(secrets.iter().all(|secret| !answer.holds(secret)), "{path}: {}", answer.body);
        assert!(!answer.holds("argon2") && !answer.holds("hash"), "{path}: {}", answer.body);
    }
    // At rest: every row of the tenant's own tables and of the control schema, as text.
    let directory = tenant.server.app.directory().expect("a directory");
    let role = directory.tenant(&tenant.name).expect("the tenant").role.to_string();
    for table in ["client", "account", "session", "approval", "refresh_token", "code"] {
        let rows = sql::run(
            &tenant.server.cluster.urls.app_admin().expect("admin"),
            &format!("SELECT t::text FROM {role}.{table} t"),
        )
        .await;
        assert!(secrets.iter().all(|secret| !rows.contains(secret)), "{table}");
    }
    for table in ["api_key", "change", "key", "tenant"] {
        let rows = sql::run(
            &tenant.server.cluster.urls.app_admin().expect("admin"),
            &format!("SELECT t::text FROM control.{table} t"),
        )
        .await;
        assert!(secrets.iter().all(|secret| !rows.contains(secret)), "control.{table}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_revoked_api_key_is_refused_by_every_replica_within_a_second() {
    let tenant = Tenant::fresh().await;
    let replica = replica().await;
    tenant.set(&json!({ "api_keys": true })).await;
    let made =
        post(&tenant, "api-keys", &json!({ "scope": "system/*.rs", "name": "notebook" })).await.expect(201).json();
    let shown = format!("ApiKey {}", made["key"].as_str().expect("a key"));
    poll::until("both servers take the key", async || {
        read(tenant.server, &tenant, &shown).await == 404 && read(replica, &tenant, &shown).await == 404
    })
    .await;

    ask(&tenant, "DELETE", &format!("api-keys/{}", made["id"].as_str().expect("an id")), &tenant.administrator())
        .await
        .expect(204);

    assert_eq!(read(tenant.server, &tenant, &shown).await, 401);
    poll::within(BITES_WITHIN, "the replica refuses it", async || read(replica, &tenant, &shown).await == 401).await;
}

#[tokio::test]
async fn rotated_keys_sign_from_now_on_and_the_old_ones_end_at_once_only_when_asked() {
    let tenant = Tenant::fresh().await;
    let replica = replica().await;
    let shown = format!("Bearer {}", tenant.all());
    assert_eq!(read(replica, &tenant, &shown).await, 404);

    let rotated = post(&tenant, "keys", &json!({})).await.expect(201).json();
    assert!(rotated["keys"].as_array().is_some_and(|keys| keys.len() >= 2), "{rotated}");
    assert_eq!(read(tenant.server, &tenant, &shown).await, 404, "a token of the old key is good as long as it lives");
    let published = Answer::of(client().get(format!("{}/t/{}/auth/jwks", tenant.server.url, tenant.name))).await;
    assert!(published.json()["keys"].as_array().is_some_and(|keys| keys.len() >= 2), "{}", published.body);

    post(&tenant, "keys", &json!({ "now": true })).await.expect(201);
    assert_eq!(read(tenant.server, &tenant, &shown).await, 401);
    poll::within(BITES_WITHIN, "the replica refuses it", async || read(replica, &tenant, &shown).await == 401).await;
}

#[tokio::test]
async fn a_tenants_administrator_registers_only_issuers_that_nobody_else_has() {
    let (this, other) = (Tenant::fresh().await, Tenant::fresh().await);
    let url = format!("https://idp-{}.example/realms/a", this.name);
    let issuer = json!({ "issuer": url, "jwks": { "keys": [] } });

    post(&this, "issuers", &issuer).await.expect(201);
    problem(post(&other, "issuers", &issuer).await, 409);
    let spelled = json!({ "issuer": format!("{url}/"), "jwks": { "keys": [] } });
    problem(post(&this, "issuers", &spelled).await, 409);
    problem(post(&other, "issuers", &spelled).await, 409);
    let own = json!({ "issuer": format!("{}/t/{}/auth", this.server.url, other.name), "jwks": { "keys": [] } });
    problem(post(&this, "issuers", &own).await, 422);

    let listed = ask(&this, "GET", "issuers", &this.administrator()).await.expect(200);
    assert_eq!(listed.json()["issuers"][0]["issuer"], url);
    assert_eq!(ask(&other, "GET", "issuers", &other.administrator()).await.expect(200).json()["issuers"], json!([]));
    let path = format!("issuers/{}", url.replace(':', "%3A").replace('/', "%2F"));
    problem(ask(&other, "DELETE", &path, &other.administrator()).await, 404);
    ask(&this, "DELETE", &path, &this.administrator()).await.expect(204);
    problem(ask(&this, "DELETE", &path, &this.administrator()).await, 404);
}
