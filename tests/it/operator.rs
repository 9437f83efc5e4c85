//! The operator's listener: tenants over HTTP, for whoever holds the operator token and nobody else.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use vitals_store::{
    audit::{AuditReader, Direction},
    control::keys,
};
use vitals_tests::{
    Answer, Server, Tenant,
    forge::{self, Forge},
    issuer::unique_url,
    program::Outside,
    samples, server,
    tenant::client,
};

use crate::commands::{members, unique};

const JSON: &str = "application/json";
/// A tenant's members, as the contract names them.
const TENANT: [&str; 7] = ["created", "id", "isolation", "name", "status", "tier", "version"];

/// A request without credentials.
fn plain(method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", server::shared().operator_url))
}

/// A request of the operator's.
fn request(method: Method, path: &str) -> RequestBuilder {
    plain(method, path).bearer_auth(&server::shared().operator_token)
}

async fn ask(method: Method, path: &str) -> Answer {
    Answer::of(request(method, path)).await
}

async fn create(body: &Value) -> Answer {
    Answer::of(request(Method::POST, "/operator/tenants").header("content-type", JSON).body(body.to_string())).await
}

/// Panics unless this is a problem in the form of RFC 9457.
#[track_caller]
fn problem(answer: Answer, status: u16) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    let body = answer.json();
    assert_eq!(members(&body), ["detail", "status", "title", "type"]);
    assert_eq!(body["status"], status);
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert!(!answer.header("x-request-id").is_empty());
    answer
}

/// A tenant that the operator made, with its own key at hand.
async fn tenant_of(server: &'static Server, id: &str) -> Tenant {
    let name = id.parse().expect("a tenant name");
    let mut admin = server.cluster.admin().await;
    let key = keys::signing_for(&mut admin, &server.cluster.master_key, &name).await.expect("its key");
    Tenant::of(server, name, key)
}

/// Makes a tenant over HTTP.
async fn made(name: &str) -> Tenant {
    let id = unique(name);
    create(&json!({ "id": id })).await.expect(201);
    tenant_of(server::shared(), &id).await
}

#[tokio::test]
async fn a_tenant_lives_from_post_to_delete() {
    let id = unique("lives");
    let path = format!("/operator/tenants/{id}");

    let created = create(&json!({ "id": id, "name": "Sankt Märgen", "isolation": "schema", "tier": "gold" })).await;
    let created = created.expect(201);
    let tenant = tenant_of(server::shared(), &id).await;
    let all = tenant.all();
    tenant.put("Patient/p1", &all, &samples::patient("p1", "Amsel").to_string()).await.expect(201);

    assert_eq!(created.header("location"), path);
    let row = created.json();
    assert_eq!(members(&row), TENANT);
    assert_eq!((&row["id"], &row["name"], &row["tier"]), (&json!(id), &json!("Sankt Märgen"), &json!("gold")));
    assert_eq!(ask(Method::GET, &path).await.expect(200).json(), row);
    let list = ask(Method::GET, "/operator/tenants").await.expect(200).json();
    assert_eq!(list.as_array().expect("an array").iter().filter(|listed| **listed == row).count(), 1);

    let suspended = ask(Method::POST, &format!("{path}/suspend")).await.expect(200).json();
    tenant.get("Patient/p1", &all).await.expect_outcome(403, "forbidden");
    let resumed = ask(Method::POST, &format!("{path}/resume")).await.expect(200).json();
    tenant.get("Patient/p1", &all).await.expect(200);
    assert_eq!((&suspended["status"], &resumed["status"]), (&json!("suspended"), &json!("active")));

    let deleted = ask(Method::DELETE, &format!("{path}?confirm={id}")).await.expect(204);
    tenant.get("Patient/p1", &all).await.expect_outcome(401, "login");
    assert_eq!(deleted.body, "");
    problem(ask(Method::GET, &path).await, 404);
    problem(ask(Method::DELETE, &format!("{path}?confirm={id}")).await, 404);

    // T20: under the same name there is nothing old.
    create(&json!({ "id": id })).await.expect(201);
    tenant.get("Patient/p1", &all).await.expect_outcome(401, "login");
    let again = tenant_of(server::shared(), &id).await;
    let new = again.all();
    again.get("Patient/p1", &new).await.expect_outcome(404, "not-found");
    assert!(again.get("Patient", &new).await.expect(200).ids().is_empty());
}

#[tokio::test]
async fn a_deletion_repeats_the_name() {
    let tenant = made("kept").await;
    let path = format!("/operator/tenants/{}", tenant.name);
    for query in ["", "?confirm=", "?confirm=other", "?confirm=KEPT", "?force=true"] {
        problem(ask(Method::DELETE, &format!("{path}{query}")).await, 400);
    }
    let name = &tenant.name;
    problem(ask(Method::DELETE, &format!("{path}?confirm={name}&confirm={name}")).await, 400);
    tenant.get("Patient", &tenant.all()).await.expect(200);
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_and_changes_nothing() {
    let tenant = made("taken").await;

    let answer = problem(create(&json!({ "id": tenant.name.as_str(), "name": "Another" })).await, 409);

    assert_eq!(answer.json()["detail"], format!("There is a tenant {} already.", tenant.name));
    tenant.get("Patient", &tenant.all()).await.expect(200);
    let row = ask(Method::GET, &format!("/operator/tenants/{}", tenant.name)).await.expect(200).json();
    assert_eq!(row["name"], tenant.name.as_str());
}

#[tokio::test]
async fn bodies_that_ask_for_no_tenant_are_refused() {
    let unprocessable = [
        json!({}),
        json!([]),
        json!({ "id": "" }),
        json!({ "id": "ab" }),
        json!({ "id": "North" }),
        json!({ "id": "north " }),
        json!({ "id": "nörth" }),
        json!({ "id": "north\"" }),
        json!({ "id": "public" }),
        json!({ "id": "pg-north" }),
        json!({ "id": "a".repeat(41) }),
        json!({ "id": 7 }),
        json!({ "id": unique("x"), "isolation": "database" }),
        json!({ "id": unique("x"), "isolation": "pooled" }),
        json!({ "id": unique("x"), "tier": "two words" }),
        json!({ "id": unique("x"), "name": "two\nlines" }),
        json!({ "id": unique("x"), "issuer": "https://idp.example" }),
        json!({ "id": unique("x"), "role": "t_aaaaaaaaaaaaaaaaaaaaaaaaaa" }),
    ];
    for body in unprocessable {
        problem(create(&body).await, 422);
    }
    for text in ["", "{", "no JSON", r#"{"id":"abc","id":"abd"}"#, "\u{0}"] {
        let request = request(Method::POST, "/operator/tenants").header("content-type", JSON).body(text);
        problem(Answer::of(request).await, 400);
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let body = json!({ "id": unique("media") }).to_string();
        let request = request(Method::POST, "/operator/tenants").header("content-type", media).body(body);
        problem(Answer::of(request).await, 415);
    }
    let long = json!({ "id": unique("long"), "name": "x".repeat(1_100_000) }).to_string();
    let request = request(Method::POST, "/operator/tenants").header("content-type", JSON).body(long);
    problem(Answer::of(request).await, 413);
}

#[tokio::test]
async fn a_tenant_comes_with_its_issuer_and_issuers_keep_their_keys() {
    let (url, key, other) = (unique_url("idp"), Forge::p256(), Forge::p256());
    let keys = json!({ "keys": [key.jwk("k1")] });
    let (first, second) = (unique("first"), unique("second"));

    create(&json!({ "id": first, "issuer": url, "jwks": keys })).await.expect(201);
    let others = json!({ "keys": [other.jwk("k1")] });
    problem(create(&json!({ "id": second, "issuer": url, "jwks": others })).await, 409);
    problem(create(&json!({ "id": second, "issuer": format!("{url}/"), "jwks": keys })).await, 409);
    problem(create(&json!({ "id": second, "issuer": "ftp://idp", "jwks": keys })).await, 422);
    problem(ask(Method::GET, &format!("/operator/tenants/{second}")).await, 404);
    create(&json!({ "id": second, "issuer": url, "jwks": keys })).await.expect(201);

    for id in [&first, &second] {
        let tenant = tenant_of(server::shared(), id).await;
        let now = vitals_access::clock::Clock::now(&tenant.server.clock).timestamp();
        let claims =
            json!({ "iss": url, "sub": "s", "aud": tenant.base(), "tenant_id": id, "iat": now, "exp": now + 600,
            "scope": "system/*.rs" })
            .to_string();
        tenant.get("Patient", &key.token(&forge::header("ES256", "k1"), &claims)).await.expect(200);
        tenant.get("Patient", &other.token(&forge::header("ES256", "k1"), &claims)).await.expect_outcome(401, "login");
    }
}

#[tokio::test]
async fn nobody_but_the_operator_is_let_in() {
    let tenant = made("guarded").await;
    let (tenants, own) = ("/operator/tenants".to_owned(), format!("/operator/tenants/{}", tenant.name));
    let routes = [
        (Method::GET, tenants.clone()),
        (Method::POST, tenants),
        (Method::GET, own.clone()),
        (Method::DELETE, format!("{own}?confirm={}", tenant.name)),
        (Method::POST, format!("{own}/suspend")),
        (Method::POST, format!("{own}/resume")),
        (Method::GET, "/operator/migrations".to_owned()),
        (Method::GET, "/healthz".to_owned()),
        (Method::GET, "/readyz".to_owned()),
        (Method::GET, "/nothing/here".to_owned()),
        (Method::PATCH, "/operator/tenants".to_owned()),
    ];
    let right = &server::shared().operator_token;
    for (method, path) in routes {
        let from = |request: RequestBuilder| async { Answer::of(request).await };
        let none = problem(from(plain(method.clone(), &path)).await, 401);
        assert_eq!(none.header("www-authenticate"), "Bearer", "{method} {path}");
        for token in [tenant.all(), format!("{right}x"), right[1..].to_owned(), right.to_uppercase()] {
            let wrong = problem(from(plain(method.clone(), &path).bearer_auth(token)).await, 401);
            assert_eq!(wrong.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{method} {path}");
        }
        let in_address = format!("{path}{}access_token={right}", if path.contains('?') { '&' } else { '?' });
        problem(from(plain(method.clone(), &in_address)).await, 401);
        for origin in ["http://attacker.example", "null", server::shared().operator_url.as_str()] {
            problem(from(request(method.clone(), &path).header("origin", origin)).await, 403);
        }
        for host in ["attacker.example", "localhost.attacker.example", "10.0.0.1:8081"] {
            problem(from(request(method.clone(), &path).header("host", host)).await, 403);
        }
    }
    tenant.get("Patient", &tenant.all()).await.expect(200);
}

#[tokio::test]
async fn what_is_not_offered_says_what_is() {
    let tenant = made("methods").await;
    let own = format!("/operator/tenants/{}", tenant.name);
    let cases = [
        (Method::PUT, "/operator/tenants".to_owned(), "GET, HEAD, POST"),
        (Method::DELETE, "/operator/tenants".to_owned(), "GET, HEAD, POST"),
        (Method::POST, own.clone(), "GET, HEAD, DELETE"),
        (Method::GET, format!("{own}/suspend"), "POST"),
        (Method::DELETE, format!("{own}/resume"), "POST"),
        (Method::POST, "/operator/migrations".to_owned(), "GET, HEAD"),
        (Method::POST, "/metrics".to_owned(), "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = problem(ask(method.clone(), &path).await, 405);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for path in
        ["/", "/operator", "/operator/tenants/", &format!("{own}/"), &format!("{own}/drop"), "/metrics/", "/t/x/fhir"]
    {
        problem(ask(Method::GET, path).await, 404);
    }
    for path in ["/operator/tenants/NOBODY", "/operator/tenants/%2e%2e", "/operator/tenants/a%00b"] {
        problem(ask(Method::GET, path).await, 404);
        problem(ask(Method::POST, &format!("{path}/suspend")).await, 404);
    }
    tenant.get("Patient", &tenant.all()).await.expect(200);
}

#[tokio::test]
async fn the_public_listener_has_nothing_of_this() {
    let server = server::shared();
    for path in ["/operator/tenants", "/operator/migrations", "/metrics"] {
        let request = client().get(format!("{}{path}", server.url)).bearer_auth(&server.operator_token);
        Answer::of(request).await.expect_outcome(404, "not-found");
    }
}

#[tokio::test]
async fn migrations_are_listed_with_the_members_of_the_command() {
    let tenant = made("migrated").await;

    let rows = ask(Method::GET, "/operator/migrations").await.expect(200).json();

    let rows = rows.as_array().expect("an array");
    assert!(rows.iter().all(|row| members(row) == ["duration_ms", "error", "state", "target", "tenant", "version"]));
    let own = rows.iter().find(|row| row["tenant"] == tenant.name.as_str()).expect("the tenant is there");
    assert_eq!((&own["state"], &own["version"]), (&json!("current"), &own["target"]));
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_name_no_tenant() {
    let tenant = made("measured").await;
    tenant.get("Patient", &tenant.all()).await.expect(200);

    let page = Answer::of(plain(Method::GET, "/metrics")).await.expect(200);

    assert!(page.header("content-type").starts_with("text/plain"), "{}", page.header("content-type"));
    assert!(page.body.contains("http_server_request_duration_seconds_bucket{"), "{}", page.body);
    let figure = |page: &Answer, name: &str| -> f64 {
        let line = page.body.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a figure")
    };
    assert!(figure(&page, "db_client_connection_max ") >= 1.0);
    assert!(figure(&page, "db_client_connection_pending_requests ") >= 0.0);
    // A token that is new is judged, and found again afterwards.
    let token = tenant.all();
    let (hit, miss) =
        ("vitals_token_cache_lookups_total{result=\"hit\"}", "vitals_token_cache_lookups_total{result=\"miss\"}");
    tenant.get("Patient", &token).await.expect(200);
    let judged = Answer::of(plain(Method::GET, "/metrics")).await.expect(200);
    assert!(figure(&judged, miss) > figure(&page, miss), "{}", judged.body);
    tenant.get("Patient", &token).await.expect(200);
    let found = Answer::of(plain(Method::GET, "/metrics")).await.expect(200);
    assert!(figure(&found, hit) > figure(&judged, hit), "{}", found.body);
    assert!(!page.body.contains(tenant.name.as_str()) && !page.body.contains(&tenant.role()));
    for line in page.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let value = line.rsplit_once(' ').expect("a sample").1;
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    problem(Answer::of(plain(Method::GET, "/metrics").header("origin", "http://attacker.example")).await, 403);
    problem(Answer::of(plain(Method::GET, "/metrics").header("host", "attacker.example")).await, 403);
}

#[tokio::test]
async fn every_change_and_every_refusal_is_in_the_trail() {
    let tenant = made("trail").await;
    let (role, path) = (tenant.role(), format!("/operator/tenants/{}", tenant.name));
    let answers = [
        ask(Method::POST, &format!("{path}/suspend")).await.expect(200),
        ask(Method::POST, &format!("{path}/resume")).await.expect(200),
        problem(create(&json!({ "id": tenant.name.as_str() })).await, 409),
        problem(Answer::of(plain(Method::POST, &format!("{path}/suspend"))).await, 401),
        ask(Method::DELETE, &format!("{path}?confirm={}", tenant.name)).await.expect(204),
    ];

    let mut reader = AuditReader::open(&tenant.server.cluster.urls.audit_read).await.expect("the trail can be read");
    let mut records: Vec<Value> = Vec::new();
    for chain in [role.as_str(), "server"] {
        let page = reader.page(chain, Direction::NewestFirst, None, 10_000).await.expect("a page");
        records.extend(page.iter().map(|stored| serde_json::from_str(&stored.record).expect("records are JSON")));
    }
    let expected = [
        ("operator.tenant.suspend", Some("operator"), "allowed", 200),
        ("operator.tenant.resume", Some("operator"), "allowed", 200),
        ("operator.tenant.create", Some("operator"), "denied", 409),
        ("operator.tenant.suspend", None, "denied", 401),
        ("operator.tenant.delete", Some("operator"), "allowed", 204),
    ];
    for (answer, (action, subject, decision, status)) in answers.iter().zip(expected) {
        let id = answer.header("x-request-id");
        let about: Vec<&Value> =
            records.iter().filter(|record| record["request_id"] == id && record["reason"] != "begun").collect();
        let [record] = about.as_slice() else { panic!("{action}: not one record: {about:?}") };
        assert_eq!(record["action"], action, "{record}");
        assert_eq!(record["subject"].as_str(), subject, "{record}");
        assert_eq!(
            (record["decision"].as_str(), record["status"].as_u64()),
            (Some(decision), Some(status)),
            "{record}"
        );
        assert_eq!(record["tenant"], tenant.name.as_str(), "{record}");
        // Noted before anything was touched.
        let begun = records.iter().filter(|record| record["request_id"] == id && record["reason"] == "begun").count();
        assert_eq!(begun, usize::from(subject.is_some()), "{record}");
    }
}

#[tokio::test]
async fn without_an_administering_role_changes_are_answered_with_the_command_to_give() {
    let outside = Outside::fresh().await;
    outside.program.run(&["tenant", "create", "north"]).await.expect(0);
    let server = outside.program.clone().without("VITALS_ADMIN_DATABASE_URL").serve().await;
    let file = outside.program.folder.join("operator.token");
    let token = std::fs::read_to_string(file).expect("the first start made it").trim().to_owned();
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let mut request = client().request(method, format!("{}{path}", server.operator_url)).bearer_auth(&token);
        if let Some(body) = body {
            request = request.header("content-type", JSON).body(body.to_string());
        }
        Answer::of(request).await
    };

    let cases = [
        (Method::POST, "/operator/tenants", Some(json!({ "id": "south" })), "vitals tenant create south"),
        (Method::POST, "/operator/tenants/north/suspend", None, "vitals tenant suspend north"),
        (Method::POST, "/operator/tenants/north/resume", None, "vitals tenant resume north"),
        (Method::DELETE, "/operator/tenants/north?confirm=north", None, "vitals tenant delete north --confirm north"),
        (Method::GET, "/operator/migrations", None, "vitals migrate status"),
    ];
    for (method, path, body, command) in cases {
        let answer = problem(ask(method, path, body).await, 501);
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.ends_with(command)), "{}", answer.body);
    }
    let list = ask(Method::GET, "/operator/tenants", None).await.expect(200).json();
    assert_eq!((list.as_array().map(Vec::len), &list[0]["id"]), (Some(1), &json!("north")));
    assert_eq!(members(&list[0]), TENANT);
    assert_eq!(ask(Method::GET, "/operator/tenants/north", None).await.expect(200).json(), list[0]);
    // The command that was told does it.
    outside.program.run(&["tenant", "suspend", "north"]).await.expect(0);
    assert_eq!(ask(Method::GET, "/operator/tenants/north", None).await.expect(200).json()["status"], "suspended");
}
