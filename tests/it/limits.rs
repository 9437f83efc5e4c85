//! R01, R07, R08, R09, R10, R12: limits as clients meet them. The clock stands still, so a wait is true to the second.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_server::limit::settings::{AddressLimits, LimitSettings};
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, oauth, poll, sql, tenant::client};

/// A server with tiers and a low limit for addresses, whose clock stands; tests come through its proxy.
async fn server() -> &'static Server {
    let limits = LimitSettings {
        address: AddressLimits { per_second: Some(5), per_minute: Some(50) },
        ..LimitSettings::default()
    };
    let options = Options { limits: Some(limits), trusted_proxies: vec!["127.0.0.1/32"], ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    server.clock.stop();
    server
}

/// A tenant of it with these limits.
async fn tenant(server: &'static Server, limits: Value) -> Tenant {
    let tenant = Tenant::on(server).await;
    tenant.set(&json!({ "limits": limits })).await;
    tenant
}

fn retry_after(answer: &Answer) -> i64 {
    let seconds = answer.header("retry-after").parse().expect("whole seconds");
    assert!(seconds >= 1, "{answer:?}");
    seconds
}

/// A request without credentials from an address.
async fn stranger(tenant: &Tenant, address: &str) -> Answer {
    let url = format!("{}/Patient", tenant.base());
    Answer::of(client().get(url).header("x-forwarded-for", address)).await
}

#[tokio::test]
async fn r01_the_limit_passes_and_what_is_said_of_the_next_is_true() {
    let server = server().await;
    let tenant = tenant(server, json!({ "tenant": { "read": { "burst": 3, "sustained": 5 } } })).await;
    let token = tenant.all();
    let read = || tenant.get("Patient/none", &token);
    for left in [2, 1, 0] {
        let answer = read().await.expect(404);
        let name = &tenant.name;
        let policy = format!("\"{name}:read:burst\";q=3;w=1, \"{name}:read:sustained\";q=5;w=60");
        let state = format!("\"{name}:read:burst\";r={left};t=1, \"{name}:read:sustained\";r={};t=60", left + 2);
        assert_eq!((answer.header("ratelimit-policy"), answer.header("ratelimit")), (&*policy, &*state));
    }
    for (passes, window) in [(2, "burst"), (3, "sustained")] {
        let limited = read().await.expect_outcome(429, "throttled");
        assert!(limited.holds(&format!("{}:read:{window} ", tenant.name)), "{limited:?}");
        assert_eq!(tenant.record_of(limited.header("x-request-id")).await["reason"], "over a limit");
        let wait = retry_after(&limited);
        server.clock.advance(wait - 1);
        read().await.expect(429);
        server.clock.advance(1);
        for _ in 0..passes {
            read().await.expect(404);
        }
    }
    read().await.expect(429);
    // Another category is counted apart, and so is another tenant, which has no quotas and is told of none.
    assert_eq!(tenant.get("Patient", &token).await.expect(200).header("ratelimit"), "");
    let another = Tenant::on(server).await;
    another.get("Patient/none", &another.all()).await.expect(404);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn r07_only_a_verified_caller_counts_for_its_tenant() {
    let server = server().await;
    let tenant = tenant(server, json!({ "tenant": { "read": { "sustained": 1 } } })).await;
    let another = Tenant::on(server).await;
    // Given: a token of another tenant's that claims to be of this one, a token that is broken, headers that name it.
    let claims = another.token("system/*.cruds").with("tenant_id", tenant.name.as_str()).sign();
    let broken = format!("{}x", tenant.all());
    for token in [&claims, &broken] {
        tenant.get("Patient/none", token).await.expect(401);
    }
    let named = another.request(Method::GET, "Patient/none", &another.all());
    let named = named.header("x-tenant-id", tenant.name.as_str()).header("host-tenant", tenant.name.as_str());
    Answer::of(named).await.expect(404);
    // Then: its quota is whole, at either base.
    let url = format!("{}/fhir/Patient/none", server.url);
    Answer::of(client().get(&url).bearer_auth(tenant.all())).await.expect(404);
    tenant.get("Patient/none", &tenant.all()).await.expect(429);
    Answer::of(client().get(&url).bearer_auth(tenant.all())).await.expect_outcome(429, "throttled");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn r08_a_flood_without_credentials_is_held_at_its_address() {
    let server = server().await;
    let tenant = Tenant::on(server).await;
    for _ in 0..5 {
        stranger(&tenant, "198.51.100.7").await.expect(401);
    }
    let limited = stranger(&tenant, "198.51.100.99").await.expect_outcome(429, "throttled");
    assert!(limited.holds("address:burst"), "{limited:?}");
    assert_eq!(retry_after(&limited), 1);
    // Bad credentials count as well; good ones are not held, nor is another network.
    let with = |token: String| {
        let url = format!("{}/Patient", tenant.base());
        Answer::of(client().get(url).header("x-forwarded-for", "198.51.100.7").bearer_auth(token))
    };
    with(format!("{}x", tenant.all())).await.expect(429);
    with(tenant.all()).await.expect(200);
    stranger(&tenant, "198.51.101.7").await.expect(401);
    // Documents, pages and programs of the authorization server count to the same.
    for url in [format!("{}/metadata", tenant.base()), tenant.auth("authorize"), tenant.auth("page.css")] {
        Answer::of(client().get(url).header("x-forwarded-for", "198.51.100.7")).await.expect(429);
    }
    let wrong = [("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "none")];
    let refused = oauth::post(&tenant.auth("token"), &wrong).header("x-forwarded-for", "198.51.100.7");
    let refused = Answer::of(refused).await.expect(429);
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    // What was refused for its address is one record of the minute, with a count.
    server.clock.advance(60);
    let role = server.app.directory().expect("fresh").tenant(&tenant.name).expect("there").role.to_string();
    let select = format!(
        "SELECT record FROM audit.record WHERE chain = '{role}' AND record LIKE '%\"reason\":\"address limit\"%'"
    );
    let found = || sql::run(&server.cluster.urls.audit_read, &select);
    poll::until("the flood is in the trail", || async { found().await.lines().count() > 0 }).await;
    let records: Vec<Value> =
        found().await.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect();
    assert_eq!(records.len(), 1, "{records:?}");
    let told = ["address", "count", "status", "decision"].map(|member| records[0][member].clone());
    assert_eq!(told, [json!("198.51.100.0/24"), json!(6), json!(429), json!("denied")]);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn programs_that_fail_wait_and_others_do_not() {
    let options = Options { trusted_proxies: vec!["127.0.0.1/32"], ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    server.clock.stop();
    let tenant = Tenant::on(server).await;
    let wrong = [("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "none")];
    let ask = |address: &'static str| {
        Answer::of(oauth::post(&tenant.auth("token"), &wrong).header("x-forwarded-for", address))
    };
    for _ in 0..100 {
        ask("198.51.100.7").await.expect(400);
    }
    let waits = ask("198.51.100.7").await.expect(429);
    let wait = retry_after(&waits);
    ask("198.51.100.8").await.expect(400);
    server.clock.advance(wait - 1);
    ask("198.51.100.7").await.expect(429);
    server.clock.advance(1);
    ask("198.51.100.7").await.expect(400);
    assert!(retry_after(&ask("198.51.100.7").await.expect(429)) > wait, "each failure doubles it");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn r09_what_costs_more_takes_more() {
    let server = server().await;
    let limits = json!({ "tenant": { "search": { "sustained": 8 }, "write": { "sustained": 20 } } });
    let tenant = tenant(server, limits).await;
    let token = tenant.all();
    // A search costs two units, a chained one four, although it is not offered.
    tenant.get("Patient?_count=1", &token).await.expect(200);
    tenant.get("Observation?subject:Patient.name=x", &token).await.expect(400);
    let last = tenant.get("Observation?_count=1", &token).await.expect(200);
    assert!(last.header("ratelimit").contains(";r=0;"), "{last:?}");
    tenant.get("Patient", &token).await.expect(429);
    // A Bundle's entries cost what they would alone: two creates are ten units.
    let entry = json!({ "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [entry, entry] }).to_string();
    tenant.post("", &token, &bundle).await.expect(200);
    tenant.post("", &token, &bundle).await.expect(200);
    let limited = tenant.post("", &token, &bundle).await.expect_outcome(429, "throttled");
    assert!(limited.holds(&format!("{}:write:sustained", tenant.name)), "{limited:?}");
    tenant.post("Patient", &token, r#"{"resourceType":"Patient"}"#).await.expect(429);
    server.clock.advance(60);
    let counted = tenant.get("Patient?_summary=count", &token).await.expect(200).json();
    assert_eq!(counted["total"], 4, "nothing of a refused Bundle is done");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn r10_a_claim_gives_no_more_than_the_table() {
    let server = server().await;
    let tenant = tenant(server, json!({ "tenant": { "read": { "sustained": 1 } } })).await;
    let token = tenant.token("system/*.cruds").with("rate_limit_tier", "gold").sign();
    tenant.get("Patient/none", &token).await.expect(404);
    tenant.get("Patient/none", &token).await.expect(429);
}

#[tokio::test]
async fn r12_a_refusal_tells_of_the_callers_own_tenant_alone() {
    let server = server().await;
    let one = tenant(server, json!({ "per_client": { "read": { "sustained": 1 } } })).await;
    let another = tenant(server, json!({ "tenant": { "read": { "sustained": 1 } } })).await;
    let token = |client: &str| one.token("system/*.cruds").with("client_id", client).sign();
    one.get("Patient/none", &token("first")).await.expect(404);
    let limited = one.get("Patient/none", &token("first")).await.expect_outcome(429, "throttled");
    assert!(limited.holds(&format!("{}:read:client:sustained", one.name)), "{limited:?}");
    assert!(!limited.holds(another.name.as_str()), "{limited:?}");
    assert_eq!(limited.header("ratelimit"), format!("\"{}:read:client:sustained\";r=0;t=60", one.name));
    one.get("Patient/none", &token("second")).await.expect(404);
}

#[tokio::test]
async fn administrators_see_what_was_used() {
    let server = server().await;
    let limits = json!({
        "tenant": { "read": { "burst": 10, "daily": 100 } },
        "per_client": { "read": { "sustained": 5 } },
    });
    let tenant = tenant(server, limits).await;
    for _ in 0..3 {
        tenant.get("Patient/none", &tenant.all()).await.expect(404);
    }
    let shown = Answer::of(tenant.admin(Method::GET, "limits", &tenant.administrator())).await.expect(200).json();
    let window = |name: &str, seconds: u64, quota: u64| json!({ "window": name, "seconds": seconds, "quota": quota, "used": 3, "remaining": quota - 3 });
    assert_eq!(
        shown,
        json!({
            "tenant": tenant.name.as_str(),
            "tier": "default",
            "shared": false,
            "limits": [{
                "category": "read",
                "windows": [window("burst", 1, 10), window("daily", 86_400, 100)],
                "clients": [{ "client": "tests", "windows": [window("sustained", 60, 5)] }],
            }],
        })
    );
    let denied = Answer::of(tenant.admin(Method::GET, "limits", &tenant.all())).await;
    denied.expect(403);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn administration_and_tokens_have_limits_of_their_own() {
    let server = server().await;
    let limits = json!({ "tenant": { "admin": { "sustained": 1 }, "auth": { "sustained": 1 } } });
    let tenant = tenant(server, limits).await;
    let list = || Answer::of(tenant.admin(Method::GET, "clients", &tenant.administrator()));
    assert!(list().await.expect(200).header("ratelimit").contains(":admin:sustained"));
    let limited = list().await.expect(429);
    assert_eq!(limited.header("content-type"), "application/problem+json");
    assert!(limited.holds(&format!("{}:admin:sustained", tenant.name)), "{limited:?}");
    retry_after(&limited);

    let mut new = oauth::app(vitals_store::authorization::Authentication::ClientSecret, "system/*.rs");
    new.scopes = oauth::scopes("system/*.rs");
    let registered = tenant.register(new).await;
    let (id, secret) = (registered.client.id.clone(), registered.secret.expect("it has one"));
    let ask = |secret: &str| {
        let pairs = [("grant_type", "client_credentials"), ("scope", "system/*.rs")];
        Answer::of(oauth::post(&tenant.auth("token"), &pairs).basic_auth(&id, Some(secret.to_owned())))
    };
    // Who only claims to be the client takes nothing of its quota.
    ask("wrong").await.expect(401);
    let first = ask(&secret).await;
    assert_ne!(first.status, 429, "{first:?}");
    let limited = ask(&secret).await.expect(429);
    assert_eq!(limited.json()["error"], "temporarily_unavailable");
    assert!(limited.holds(&format!("{}:auth:sustained", tenant.name)), "{limited:?}");
    retry_after(&limited);
    ledger::each_left_one_record().await;
}
