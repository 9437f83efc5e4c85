//! What is taken back is refused within a second, on every replica; what is issued afterwards is not.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use vitals_access::clock::Clock as _;
use vitals_store::control::revocations::{self, RevocationKind};
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, tenant::client};

async fn server() -> &'static Server {
    Server::for_this_test(cluster::shared(), Options::default()).await
}

async fn show(server: &Server, tenant: &Tenant, token: &str) -> Answer {
    let url = format!("{}/t/{}/fhir/Patient", server.url, tenant.name);
    Answer::of(client().get(url).bearer_auth(token)).await.sound()
}

#[tokio::test]
async fn each_kind_ends_what_it_names_on_every_replica() {
    let (one, two) = (server().await, server().await);
    let (tenant, other) = (Tenant::on(one).await, Tenant::on(one).await);
    let aud = json!([tenant.server.url, two.url]);
    let token = |iat: i64| {
        let token = tenant.token("system/*.rs").with("aud", aud.clone()).with("jti", "j1").with("sid", "s1");
        token.with("approval_id", "a1").with("iat", iat).sign()
    };
    let foreign = other.token("system/*.rs").with("jti", "j1").with("sid", "s1").with("approval_id", "a1").sign();
    let role = {
        let directory = one.app.feed.refresh().await.expect("the directory is read");
        directory.tenant(&tenant.name).expect("the tenant").role.clone()
    };
    let mut conn = one.cluster.serving().await;
    let mut at = one.clock.now().timestamp();
    for (kind, subject) in [
        (RevocationKind::Client, "tests"),
        (RevocationKind::User, "tester"),
        (RevocationKind::Approval, "a1"),
        (RevocationKind::Session, "s1"),
        (RevocationKind::Tenant, "*"),
        (RevocationKind::Token, "j1"),
    ] {
        // Each is issued in a second of its own, after what was taken back before.
        for server in [one, two] {
            server.clock.advance(2);
        }
        at += 2;
        let earlier = token(at);
        show(one, &tenant, &earlier).await.expect(200);
        let now = chrono::DateTime::from_timestamp(at, 0).expect("a time");
        revocations::revoke(&mut conn, &role, kind, "something-else", now).await.expect("taken back");
        one.app.feed.refresh().await.expect("the directory is read");
        let expected = if kind == RevocationKind::Tenant { 401 } else { 200 };
        assert_eq!(show(one, &tenant, &earlier).await.status, expected, "{kind:?}, another");

        revocations::revoke(&mut conn, &role, kind, subject, now).await.expect("taken back");
        let began = Instant::now();
        for server in [one, two] {
            while show(server, &tenant, &earlier).await.status == 200 {
                assert!(began.elapsed() < Duration::from_secs(1), "{kind:?}: still taken");
            }
            let answer = show(server, &tenant, &earlier).await.expect_outcome(401, "login");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
        let later = show(one, &tenant, &token(at + 1)).await.status;
        assert_eq!(later, if kind == RevocationKind::Token { 401 } else { 200 }, "{kind:?}: issued later");
        show(one, &other, &foreign).await.expect(200);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn twenty_thousand_rows_leave_a_revocation_its_second() {
    // On a database of its own: every server of the shared one would read them.
    let server: &'static Server = Server::for_this_test(cluster::apart().await, Options::default()).await;
    let tenant = Tenant::on(server).await;
    let token = tenant.token("system/*.rs").with("jti", "mine").sign();
    show(server, &tenant, &token).await.expect(200);
    let role = server.app.directory().expect("fresh").tenant(&tenant.name).expect("the tenant").role.clone();
    let mut conn = server.cluster.serving().await;
    let subjects: Vec<String> = (0..20_000).map(|place| format!("0b1e6f3a-5a0e-4a51-9d3e-{place:012}")).collect();
    let rows: Vec<_> = subjects.iter().map(|subject| (RevocationKind::Token, subject.as_str())).collect();
    revocations::revoke_all(&mut conn, &role, &rows, server.clock.now()).await.expect("taken back");
    server.app.feed.refresh().await.expect("the directory is read");
    show(server, &tenant, &token).await.expect(200);

    let began = Instant::now();
    revocations::revoke(&mut conn, &role, RevocationKind::Token, "mine", server.clock.now()).await.expect("taken back");
    while show(server, &tenant, &token).await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(1), "still taken");
    }
    println!("refused after {:?} among 20,000 rows", began.elapsed());
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_could_not_be_taken_back_has_not_ended_and_can_be_ended_again() {
    // On a database of its own: what its serving logins may do is changed.
    let server: &'static Server = Server::for_this_test(cluster::alone().await, Options::default()).await;
    let tenant = Tenant::on(server).await;
    tenant.app("growth-chart", "patient/*.rs").await;
    let account = tenant.person("ada", "Patient/ada").await;
    let issued = [
        ("clients/growth-chart".to_owned(), tenant.token("system/*.rs").with("client_id", "growth-chart").sign()),
        (format!("users/{}", account.id), tenant.token("system/*.rs").with("sub", account.id.as_str()).sign()),
    ];
    let rights = "INSERT, UPDATE, DELETE ON control.revocation";
    let login = "(SELECT string_agg(quote_ident(name), ', ') FROM control.login_role)";
    let change = |verb: &str, preposition: &str| {
        format!("DO $$ BEGIN EXECUTE '{verb} {rights} {preposition} ' || {login}; END $$")
    };
    for (path, token) in issued {
        show(server, &tenant, &token).await.expect(200);
        server.cluster.sql(&change("REVOKE", "FROM")).await;
        let administrator = tenant.administrator();
        Answer::of(tenant.admin(Method::DELETE, &path, &administrator)).await.expect(503);
        show(server, &tenant, &token).await.expect(200);
        let shown = Answer::of(tenant.admin(Method::GET, &path, &administrator)).await.expect(200).json();
        assert_eq!(shown["revoked"], serde_json::Value::Null, "{path}: ended, and its tokens live on");

        server.cluster.sql(&change("GRANT", "TO")).await;
        Answer::of(tenant.admin(Method::DELETE, &path, &administrator)).await.expect(204);
        show(server, &tenant, &token).await.expect(401);
        Answer::of(tenant.admin(Method::DELETE, &path, &administrator)).await.expect(404);
    }
    ledger::each_left_one_record().await;
}
