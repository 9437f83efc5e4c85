//! E21: a panic, in the middle of a request and in the middle of a transaction.

use std::sync::{Arc, atomic::Ordering};

use poem::Endpoint as _;
use serde_json::{Value, json};
use uuid::Uuid;
use vitals_access::{
    proof::{Circumstances, Credential, RequestOrigin},
    verifier::Base,
};
use vitals_server::public::Public;
use vitals_store::{pool::PoolLimits, rows::Outbox};
use vitals_tests::{Options, Server, Tenant, cluster, poll, samples, sql};

/// A body that breaks the server which reads it.
struct Breaking;

impl tokio::io::AsyncRead for Breaking {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        panic!("CANARY-of-a-panic")
    }
}

#[tokio::test]
async fn e21_a_request_that_ends_in_a_panic_is_500_and_leaves_its_record() {
    let tenant = Tenant::fresh().await;
    let request = poem::Request::builder()
        .method(poem::http::Method::POST)
        .uri_str(format!("/t/{}/fhir/Patient", tenant.name))
        .header("authorization", format!("Bearer {}", tenant.all()))
        .content_type("application/fhir+json")
        .body(poem::Body::from_async_read(Breaking));
    let public = Public::new(Arc::clone(&tenant.server.app));
    let asked = cluster::runtime().spawn(async move { public.call(request).await.expect("an answer") });

    let response = asked.await.expect("the panic ends the request and nothing else");

    assert_eq!(response.status().as_u16(), 500);
    let request_id = response.headers()["x-request-id"].to_str().expect("a text").to_owned();
    let body = response.into_body().into_string().await.expect("a text");
    assert!(body.contains("\"OperationOutcome\"") && body.contains("\"exception\""), "{body}");
    assert!(!body.contains("CANARY") && !body.contains("panic"), "{body}");
    let record = tenant.record_of(&request_id).await;
    assert_eq!(
        [&record["tenant"], &record["decision"], &record["reason"], &record["status"]],
        [&json!(tenant.name.as_str()), &json!("unknown"), &json!("panic"), &json!(500)]
    );
    // Nobody else notices.
    tenant.get("Patient", &tenant.all()).await.expect(200);
}

#[tokio::test]
async fn e21_a_panic_in_a_transaction_undoes_it_and_its_connection_is_not_used_again() {
    // given a server with one connection
    let cluster = cluster::shared();
    let pool = PoolLimits { connections: 1, per_tenant: 1, ..PoolLimits::default() };
    let server = Server::start(cluster, Options { pool, ..Options::default() }).await;
    let server: &'static Server = Box::leak(Box::new(server));
    let (tenant, other) = (Tenant::on(server).await, Tenant::on(server).await);
    for tenant in [&tenant, &other] {
        tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Family").to_string()).await.expect(201);
    }
    let (role, id) = (tenant.role(), Uuid::now_v7());
    let (app, token, name) = (Arc::clone(&server.app), tenant.all(), tenant.name.clone());
    let discarded = || server.app.pool.figures().discarded.load(Ordering::Relaxed);
    let before = discarded();

    // when a unit of work panics with a row written and not committed
    let ended = cluster::runtime()
        .spawn(async move {
            let directory = app.directory().expect("the directory is read");
            let circumstances = Circumstances {
                base: &Base::Tenant(name),
                method: "POST",
                url: "",
                certificate: None,
                origin: RequestOrigin::Network,
            };
            let access = app.verifier.verify(&directory, &Credential::Bearer(&token), &circumstances);
            let access = access.unwrap_or_else(|refusal| panic!("{refusal:?}"));
            let mut tx = app.pool.begin(&access).await.expect("a transaction");
            let record = json!({ "record": id.to_string() }).to_string();
            tx.note(&Outbox { id, writer: 1, record }).await.expect("it is written");
            panic!("in the middle of a transaction");
        })
        .await;

    // then nothing of it stands, and the next borrower of the one connection has a new one
    assert!(ended.is_err_and(|error| error.is_panic()), "it panics");
    assert_eq!(discarded(), before + 1, "the connection is closed");
    poll::until("nobody holds it", async || server.app.pool.load() == (0, 0)).await;
    for tenant in [&tenant, &other] {
        let read: Value = tenant.get("Patient/p1", &tenant.all()).await.expect(200).json();
        assert_eq!(read["id"], "p1");
        tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Again").to_string()).await.expect(200);
    }
    let left = format!("SELECT count(*) FROM {role}.audit_outbox WHERE id = '{id}'");
    assert_eq!(cluster.sql(&left).await, "0", "it was undone");
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{id}%' AND state <> 'idle'");
    assert_eq!(sql::run(&cluster.urls.app_admin().expect("admin"), &sessions).await, "1", "only this look at it");
}
