//! T19 to T22: tenants that end and begin again, and what everybody may read.

use std::time::{Duration, Instant};

use serde_json::json;
use vitals_access::clock::Clock as _;
use vitals_fhir::resource::ResourceType;
use vitals_store::control::tenants;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::{Forge, header},
    issuer::{inline, issuer, register, unique_url},
    poll, samples,
    tenant::client,
};

use super::{canary, observation, two, without};

/// The moment the last request that was let in began, counted from when the change was made.
async fn last_let_in(mut ask: impl AsyncFnMut() -> Answer, refused: &[u16]) -> Duration {
    let changed = Instant::now();
    let mut last = Duration::ZERO;
    loop {
        let began = changed.elapsed();
        let answer = ask().await.sound();
        if refused.contains(&answer.status) {
            return last;
        }
        assert!(answer.status < 300, "{} {}", answer.status, answer.body);
        last = began;
        assert!(began < Duration::from_secs(10), "still let in");
    }
}

#[tokio::test]
async fn t19_tokens_of_a_suspended_or_deleted_tenant_are_refused_within_a_second() {
    let (a, b) = two().await;
    let (server, token) = (a.server, a.all());
    let mut admin = server.cluster.admin().await;
    a.put("Observation/o2", &token, &observation(&a, "o2").to_string()).await.expect(201);
    let next = a.get("Observation?_count=1", &token).await.link("next").expect("a second page");
    let page = format!("Observation?{}", next.split('?').nth(1).expect("a query"));

    tenants::suspend(&mut admin, &a.name, server.clock.now()).await.expect("suspended");
    let late = last_let_in(async || a.get("Patient/p1", &token).await, &[403]).await;
    assert!(late < Duration::from_secs(1), "{late:?}");
    for path in ["Patient/p1", "Patient", page.as_str(), "Observation/o1/_history"] {
        without(a.get(path, &token).await, &a).expect_outcome(403, "forbidden");
    }
    a.put("Patient/p1", &token, &samples::patient("p1", "x").to_string()).await.expect(403);
    b.get("Patient/p1", &b.all()).await.expect(200);

    tenants::resume(&mut admin, &a.name, server.clock.now()).await.expect("resumed");
    poll::until("the tenant serves again", || async { a.get("Patient/p1", &token).await.status == 200 }).await;

    tenants::delete(&mut admin, &a.name, a.name.as_str(), server.clock.now()).await.expect("deleted");
    let late = last_let_in(async || a.get("Patient/p1", &token).await, &[401, 403, 404]).await;
    assert!(late < Duration::from_secs(1), "{late:?}");
    poll::until("the issuer is forgotten", || async { a.get("Patient/p1", &token).await.status == 401 }).await;
    without(a.get(&page, &token).await, &a).expect(401);
    Answer::of(client().get(format!("{}/Patient/p1", a.base()))).await.expect_outcome(404, "not-found");
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t20_a_tenant_created_again_sees_nothing_old() {
    // A clock that stands still: a token is old by seconds here.
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    server.clock.stop();
    let a = Tenant::on(server).await;
    let (key, outside) = (Forge::p256(), unique_url("outside"));
    let registration = issuer(&outside, inline(&[key.jwk("k")]));
    register(&registration, &[&a]).await;
    let of_outside = || {
        let now = server.clock.now().timestamp();
        let claims = json!({
            "iss": outside, "sub": "nurse", "aud": a.base(), "iat": now, "exp": now + 600, "scope": "system/*.cruds",
        });
        key.token(&header("ES256", "k"), &claims.to_string())
    };
    server.clock.advance(10);
    let olds = [a.all(), of_outside()];
    a.put("Patient/p1", &olds[0], &samples::patient("p1", &canary(&a)).to_string()).await.expect(201);
    for id in ["o1", "o2"] {
        a.put(&format!("Observation/{id}"), &olds[1], &observation(&a, id).to_string()).await.expect(201);
    }
    let next = a.get("Observation?_count=1", &olds[0]).await.link("next").expect("a second page");
    let page = format!("Observation?{}", next.split('?').nth(1).expect("a query"));
    let (mut admin, role) = (server.cluster.admin().await, a.role());

    server.clock.advance(10);
    tenants::delete(&mut admin, &a.name, a.name.as_str(), server.clock.now()).await.expect("deleted");
    let again = Tenant::named(server, &a.name).await;
    register(&registration, &[&again]).await;

    let new = again.all();
    poll::until("the new tenant serves", || async { again.get("Patient", &new).await.status == 200 }).await;
    for old in &olds {
        without(again.get("Patient/p1", old).await, &a).expect_outcome(401, "login");
    }
    for token in [&new, &of_outside()] {
        for path in ["Patient/p1", "Observation/o1", "Observation/o1/_history", "Observation/o1/_history/1", &page] {
            without(again.get(path, token).await, &a).expect_outcome(404, "not-found");
        }
        for kind in ResourceType::ALL {
            assert_eq!(again.get(kind.name(), token).await.expect(200).json()["total"], 0);
        }
    }
    again.put("Patient/p1", &new, &samples::patient("p1", "New").to_string()).await.expect(201);
    assert_ne!(again.role(), role);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t21_answers_are_shared_by_no_cache() {
    let (a, b) = two().await;
    let url = format!("{}/fhir/Patient/p1", a.server.url);
    for (tenant, other) in [(&a, &b), (&b, &a), (&a, &b)] {
        let answer = without(Answer::of(client().get(&url).bearer_auth(tenant.all())).await, other).expect(200);
        assert!(answer.holds(&canary(tenant)));
        assert!(answer.header("cache-control").contains("no-store"), "{:?}", answer.headers);
    }
    for path in ["Patient/p1", "Patient", "Patient/p1/_history", "Patient/p1/_history/1", "Patient/unknown", "Device/x"]
    {
        let answer = a.get(path, &a.all()).await.sound();
        assert!(answer.header("cache-control").contains("no-store"), "{path}: {:?}", answer.headers);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let answer = a.put("Patient/p1", &a.all(), &samples::patient("p1", "x").to_string()).await.expect(200);
    assert!(answer.header("cache-control").contains("no-store"), "{:?}", answer.headers);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t22_public_pages_name_and_count_no_tenants() {
    let (a, b) = two().await;
    let server = a.server;
    for path in ["/healthz", "/readyz", "/openapi.json", "/openapi.plain.json", "/docs", "/fhir/metadata"] {
        let answer = Answer::of(client().get(format!("{}{path}", server.url))).await.expect(200);
        for tenant in [&a, &b] {
            assert!(!answer.holds(tenant.name.as_str()) && !answer.holds(&canary(tenant)), "{path}: {}", answer.body);
        }
    }
    for path in ["metadata", ".well-known/smart-configuration"] {
        let answer = Answer::of(client().get(format!("{}/{path}", a.base()))).await.expect(200);
        assert!(!answer.holds(b.name.as_str()), "{path}: {}", answer.body);
    }
    for path in ["/metrics", "/operator/tenants", "/debug", "/debug/pprof", "/t", "/t/", "/admin", "/", "/favicon.ico"]
    {
        let answer = Answer::of(client().get(format!("{}{path}", server.url))).await.expect_outcome(404, "not-found");
        assert!(!answer.holds(a.name.as_str()), "{path}: {}", answer.body);
    }
    // Labels of metrics are on the operator's listener, and name no tenant either.
    let metrics = Answer::of(client().get(format!("{}/metrics", server.operator_url))).await.expect(200);
    for tenant in [&a, &b] {
        assert!(!metrics.holds(tenant.name.as_str()) && !metrics.holds(&canary(tenant)));
    }
    vitals_tests::ledger::each_left_one_record().await;
}
