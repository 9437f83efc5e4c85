//! E16: a tenant that uses up its connections. E20: more bodies at once than memory is for.

use std::time::Duration;

use reqwest::Method;
use tokio::task::JoinSet;
use vitals_server::limit::settings::{AddressLimits, Concurrency, LimitSettings};
use vitals_store::pool::PoolLimits;
use vitals_tests::{Answer, Options, Server, Tenant, cluster, samples, sql, tenant::client};

/// Requests of the tenant that crowds.
const CROWD: usize = 60;
/// How long anybody else may wait on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

async fn server(options: Options) -> &'static Server {
    Server::for_this_test(cluster::shared(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e16_a_tenant_that_uses_up_its_connections_leaves_the_others_theirs() {
    let pool = PoolLimits { connections: 4, per_tenant: 3, waiting: 10, ..PoolLimits::default() };
    let server = server(Options { pool, ..Options::default() }).await;
    let (crowding, other) = (Tenant::on(server).await, Tenant::on(server).await);
    crowding.get("Patient/none", &crowding.all()).await.expect(404);
    let mut operator = sql::Session::open(&server.cluster.urls.app_admin().expect("an administrator"));
    operator.run(&format!("BEGIN; LOCK TABLE {}.patient", crowding.role()));
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let request = crowding.request(Method::GET, "Patient/none", &crowding.all());
        crowd.spawn(Answer::of(request));
    }
    // when its requests stand at the lock and in line, another tenant's are answered
    vitals_tests::poll::until("the line is full", async || server.app.pool.demand().1 >= 10).await;
    let token = other.all();
    for _ in 0..20 {
        let asked = other.get("Patient/none", &token);
        tokio::time::timeout(PATIENCE, asked).await.expect("in time").expect(404);
    }
    // and who would stand at the end of the line is sent away at once, with a time to come again
    let (mut told, shed) = (0, server.app.pool.figures().shed.load(std::sync::atomic::Ordering::Relaxed));
    assert!(shed > 0, "nobody was sent away");
    while let Some(answer) = crowd.join_next().await {
        let answer = answer.expect("it ends").expect_outcome(503, "transient");
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        told += 1;
    }
    assert_eq!(told, CROWD);
    // then the operator goes on, and so does the tenant
    operator.run("ROLLBACK");
    crowding.get("Patient/none", &crowding.all()).await.expect(404);
    let shed = server.app.pool.figures().shed.load(std::sync::atomic::Ordering::Relaxed);
    assert!(shed <= u64::try_from(CROWD - 10).expect("few"), "{shed} were sent away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e20_a_hundred_of_the_largest_bodies_at_once_stay_within_their_memory() {
    let concurrency = Concurrency { body_bytes: 16 * 1024 * 1024, ..Concurrency::default() };
    let limits = LimitSettings { address: AddressLimits::NONE, concurrency, ..LimitSettings::default() };
    let server = server(Options { limits: Some(limits), ..Options::default() }).await;
    let tenant = Tenant::on(server).await;
    let token = tenant.all();
    let room = server.app.bodies.available_permits();
    let mut patient = samples::patient("large", "Family");
    // A string has at most a megabyte.
    let long = "x".repeat(980_000);
    patient["name"] = (0..5).map(|_| serde_json::json!({ "family": "Large", "text": long })).collect();
    let body = patient.to_string();
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        // No answer is read of who is cut off while it still sends, so these are not `Answer`s.
        let request = client().post(format!("{}/Patient", tenant.base())).bearer_auth(&token);
        let request = request.header("content-type", "application/fhir+json").body(body.clone());
        crowd.spawn(async move { request.send().await.ok().map(|answer| answer.status().as_u16()) });
    }
    let (mut done, mut sent_away) = (0, 0);
    while let Some(answered) = crowd.join_next().await {
        match answered.expect("it ends") {
            Some(201) => done += 1,
            Some(503) | None => sent_away += 1,
            Some(status) => panic!("{status}"),
        }
    }
    assert!(done > 0 && sent_away > 0, "{done} done, {sent_away} sent away");
    vitals_tests::poll::until("all room is given back", async || server.app.bodies.available_permits() == room).await;
    // The server lives, and small requests never noticed.
    tenant.put("Patient/small", &token, &samples::patient("small", "Family").to_string()).await.expect(201);
}
