//! H05, H10, H12 and R07: requests that hide others, methods, headers of answers, and what floods are keyed on.

use reqwest::Method;
use serde_json::json;
use vitals_tests::{Answer, Tenant, ledger, raw, samples, tenant::client};

use super::FHIR;

/// A request that would leave something behind if anybody read it.
fn hidden(tenant: &Tenant) -> String {
    let body = r#"{"resourceType":"Patient","id":"smuggled"}"#;
    format!(
        "PUT /t/{}/fhir/Patient/smuggled HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {FHIR}\r\n\
         content-length: {}\r\n\r\n{body}",
        tenant.name,
        tenant.all(),
        body.len()
    )
}

/// Each is refused, the connection ends, and what stands behind it is read by nobody.
#[tokio::test]
async fn a_request_within_a_request_is_never_read() {
    let tenant = Tenant::fresh().await;
    let hidden = hidden(&tenant);
    let base = format!("/t/{}/fhir", tenant.name);
    let authorization = format!("authorization: Bearer {}\r\n", tenant.all());
    let post = |headers: &str, body: &str| {
        format!("POST {base}/Patient HTTP/1.1\r\nhost: x\r\n{authorization}content-type: {FHIR}\r\n{headers}\r\n{body}")
    };
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n{authorization}{headers}\r\n");
    let path = format!("{base}/Patient");
    let chunked = "transfer-encoding: chunked\r\n";
    // In what hyper refuses itself there is no answer with a body, and no record; see the README.
    for (label, request) in [
        ("H05 a length, then chunks", post(&format!("content-length: 6\r\n{chunked}"), "0\r\n\r\n")),
        ("H05 chunks, then a length", post(&format!("{chunked}content-length: 6\r\n"), "0\r\n\r\n")),
        ("H05 chunks, then a length of nothing", post(&format!("{chunked}content-length: 0\r\n"), "0\r\n\r\n")),
        ("H05 chunks with a blank before", post("content-length: 5\r\ntransfer-encoding : chunked\r\n", "0\r\n\r\n")),
        ("H05 chunks behind a tab", post("content-length: 5\r\ntransfer-encoding:\tchunked\r\n", "0\r\n\r\n")),
        ("H05 chunks of another spelling", post("content-length: 5\r\ntransfer-encoding: xchunked\r\n", "0\r\n\r\n")),
        ("H05 chunks in quotes", post("content-length: 5\r\ntransfer-encoding: \"chunked\"\r\n", "0\r\n\r\n")),
        ("H05 chunks twice", post(&chunked.repeat(2), "0\r\n\r\n")),
        ("H05 chunks of chunks", post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        ("H05 chunks, then no coding", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("H05 chunks under gzip", post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        ("H05 no coding", post("transfer-encoding: identity\r\ncontent-length: 0\r\n", "")),
        ("H05 chunks in HTTP/1.0", post(chunked, "0\r\n\r\n").replacen("HTTP/1.1", "HTTP/1.0", 1)),
        ("H05 two lengths", post("content-length: 0\r\ncontent-length: 300\r\n", "")),
        ("H05 two lengths alike", post("content-length: 0\r\ncontent-length: 0\r\n", "")),
        ("H05 two lengths in one", post("content-length: 0, 0\r\n", "")),
        ("H05 a length with a sign", post("content-length: +0\r\n", "")),
        ("H05 a length below nothing", post("content-length: -1\r\n", "")),
        ("H05 a length in hexadecimal", post("content-length: 0x0\r\n", "")),
        ("H05 a length of nothing at all", post("content-length:\r\n", "")),
        ("H05 a folded line", get(&path, "x: a\r\n b: c\r\n")),
        ("H05 a folded length", post("content-length:\r\n 0\r\n", "")),
        ("H05 a blank before the colon", get(&path, "x : a\r\n")),
        ("H05 a blank before the name", get(&path, " x: a\r\n")),
        ("H05 a line without a colon", get(&path, "nothing\r\n")),
        ("H05 bare LF behind the request line", get(&path, "").replacen("\r\n", "\n", 1)),
        ("H05 bare LF behind a header", get(&path, "x: a\ny: b\r\n")),
        (
            "H05 bare LF at the end of the head",
            format!("{}\n", get(&path, "").trim_end_matches("\r\n").to_owned() + "\r\n"),
        ),
        ("H05 bare LF everywhere", get(&path, "").replace("\r\n", "\n")),
        ("H05 bare CR", get(&path, "x: a\rcontent-length: 5\r\n")),
        ("H05 CR CR LF", get(&path, "x: a\r\r\n")),
        ("H05 absolute form", get(&format!("http://x{path}"), "")),
        ("H05 absolute form of another", get(&format!("http://elsewhere.example{path}"), "")),
        ("H05 authority form", get("x:80", "")),
        ("H05 two hosts", get(&path, "host: elsewhere.example\r\n")),
        (
            "H05 a blank in the target",
            get(&format!("{path} HTTP/1.1\r\nx: y"), "").replacen("\r\nx: y HTTP/1.1", " HTTP/1.1\r\nx: y", 1),
        ),
        ("H05 HTTP/1.2", get(&path, "").replacen("HTTP/1.1", "HTTP/1.2", 1)),
        ("H05 HTTP/0.9", format!("GET {path}\r\n\r\n")),
    ] {
        let answers = raw::exchange_all(tenant.server, format!("{request}{hidden}")).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(matches!(statuses.as_slice(), [] | [400 | 505]), "{label}: {statuses:?}");
        assert!(!statuses.is_empty() || label.contains("0.9"), "{label}: no answer");
        if let Some(answer) = answers.first() {
            assert_eq!(answer.header("connection"), "close", "{label}");
        }
    }
    // In a body: what was answered is answered, but nothing behind the first thing that is wrong is read.
    let entry = r#"{"resourceType":"Patient"}"#;
    for (label, chunks) in [
        ("H05 an extension of a chunk", format!("{:x};a=b\r\n{entry}\r\n0\r\n\r\n", entry.len())),
        ("H05 an extension of the last chunk", format!("{:x}\r\n{entry}\r\n0;a=b\r\n\r\n", entry.len())),
        ("H05 a line end in an extension", format!("{:x};\n{entry}\r\n0\r\n\r\n", entry.len())),
        ("H05 bare LF behind a size", format!("{:x}\n{entry}\r\n0\r\n\r\n", entry.len())),
        ("H05 bare LF behind a chunk", format!("{:x}\r\n{entry}\n0\r\n\r\n", entry.len())),
        ("H05 a size with a prefix", format!("0x{:x}\r\n{entry}\r\n0\r\n\r\n", entry.len())),
        ("H05 a size with a blank", format!("{:x} \r\n{entry}\r\n0\r\n\r\n", entry.len())),
        ("H05 a size beyond 64 bits", format!("ffffffffffffffff0\r\n{entry}\r\n0\r\n\r\n")),
        ("H05 no size", format!("\r\n{entry}\r\n0\r\n\r\n")),
        ("H05 a size below the chunk's", format!("2\r\n{entry}\r\n0\r\n\r\n")),
        ("H05 bare LF in the trailers", format!("{:x}\r\n{entry}\r\n0\r\nx: y\n\r\n", entry.len())),
    ] {
        let answers = raw::exchange_all(tenant.server, format!("{}{hidden}", post(chunked, &chunks))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [400], "{label}");
    }
    // Plain, the same is two requests.
    let plain = post(chunked, &format!("{:x}\r\n{entry}\r\n0\r\n\r\n", entry.len()));
    assert_eq!(tenant.get("Patient?_summary=count", &tenant.all()).await.expect(200).json()["total"], 0);
    let closing = hidden.replacen("host: x\r\n", "host: x\r\nconnection: close\r\n", 1);
    let answers = raw::exchange_all(tenant.server, format!("{plain}{closing}")).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [201, 201]);
    ledger::each_left_one_record().await;
}

/// What is no method here is 405 with the methods there are, and so is what a header says against the request line:
/// whoever stands before us may have judged the one where we would do the other.
#[tokio::test]
async fn methods_are_those_of_the_catalog_and_written_as_they_are() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/a", &all, &samples::patient("a", "Family").to_string()).await.expect(201);
    let base = format!("/t/{}/fhir", tenant.name);
    for (label, method) in [
        ("H10 TRACE", "TRACE"),
        ("H10 PROPFIND", "PROPFIND"),
        ("H10 PATCH", "PATCH"),
        ("H10 OPTIONS", "OPTIONS"),
        ("H10 lower case", "get"),
        ("H10 mixed case", "Get"),
        ("H10 lower case that would write", "delete"),
        ("H10 a method of nobody's", "BREW"),
        ("H10 a method of a kilobyte", &"X".repeat(1_024)),
        ("H10 another's preface", "SSTP_DUPLEX_POST"),
    ] {
        for path in [
            "",
            "/Patient",
            "/Patient/a",
            "/Patient/a/_history",
            "/Patient/a/_history/1",
            "/Patient/_search",
            "/_history",
        ] {
            let head = format!(
                "{method} {base}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {all}\r\n\r\n"
            );
            let answer = raw::exchange(tenant.server, head).await.expect(label).expect_outcome(405, "not-supported");
            assert!(answer.headers.contains_key("allow"), "{label} {path}");
        }
    }
    let connect = format!("CONNECT x:443 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {all}\r\n\r\n");
    let answer = raw::exchange(tenant.server, connect).await.expect("H10 CONNECT").expect_outcome(405, "not-supported");
    assert_eq!(answer.header("connection"), "close");
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "_method"] {
        for method in ["DELETE", "PUT", "PATCH", "delete"] {
            let label = format!("H10 {name}: {method}");
            for (asked, path) in [(Method::GET, "Patient/a"), (Method::POST, "Patient/a"), (Method::POST, "Patient")] {
                let request = tenant.request(asked, path, &all).header(name, method);
                let request = request.header("content-type", FHIR).body(r#"{"resourceType":"Patient"}"#);
                let answer = Answer::of(request).await.expect_outcome(405, "not-supported");
                let allow = if path == "Patient" { "GET, HEAD, POST, PUT, DELETE" } else { "GET, HEAD, PUT, DELETE" };
                assert_eq!(answer.header("allow"), allow, "{label}");
            }
            // In a query it is a parameter that nobody knows.
            let get = tenant.request(Method::GET, &format!("Patient/a?_method={method}"), &all);
            Answer::of(get).await.expect(200);
        }
        // What says the same says nothing.
        Answer::of(tenant.request(Method::GET, "Patient/a", &all).header(name, "get")).await.expect(200);
    }
    assert_eq!(tenant.get("Patient?_summary=count", &all).await.expect(200).json()["total"], 1);
    assert_eq!(tenant.get("Patient/a", &all).await.expect(200).header("etag"), "W/\"1\"");
    ledger::each_left_one_record().await;
}

/// What every answer says to a browser, and what none says of the server. Strict-Transport-Security belongs to answers
/// under an https URL (see `attacks_tls`); under plain HTTP it must not be said (RFC 6797, section 7.2).
#[tokio::test]
async fn answers_say_what_a_browser_may_do_with_them() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/a", &all, &samples::patient("a", "Family").to_string()).await.expect(201);
    let root = tenant.server.url.clone();
    let fhir = |method: Method, path: &str| tenant.request(method, path, &all);
    let plain = |path: &str| client().get(format!("{root}{path}"));
    let send =
        |method: Method, path: &str, body: &str| fhir(method, path).header("content-type", FHIR).body(body.to_owned());
    let narrow = tenant.token("openid").sign();
    for (label, request, status) in [
        ("H12 read", fhir(Method::GET, "Patient/a"), 200),
        ("H12 HEAD", fhir(Method::HEAD, "Patient/a"), 200),
        ("H12 read as XML", fhir(Method::GET, "Patient/a").header("accept", "application/fhir+xml"), 200),
        ("H12 search", fhir(Method::GET, "Patient"), 200),
        ("H12 history", fhir(Method::GET, "Patient/a/_history"), 200),
        ("H12 create", send(Method::POST, "Patient", r#"{"resourceType":"Patient"}"#), 201),
        ("H12 update", send(Method::PUT, "Patient/a", r#"{"resourceType":"Patient","id":"a"}"#), 200),
        ("H12 Bundle", send(Method::POST, "", r#"{"resourceType":"Bundle","type":"batch"}"#), 200),
        ("H12 not modified", fhir(Method::GET, "Patient/a").header("if-none-match", "*"), 304),
        ("H12 malformed", send(Method::POST, "Patient", "{"), 400),
        ("H12 no credentials", client().get(format!("{}/Patient", tenant.base())), 401),
        ("H12 a bad token", client().get(format!("{}/Patient", tenant.base())).bearer_auth("x"), 401),
        ("H12 no scope", client().get(format!("{}/Patient", tenant.base())).bearer_auth(&narrow), 403),
        ("H12 not found", fhir(Method::GET, "Patient/b"), 404),
        ("H12 nowhere", plain("/nowhere"), 404),
        ("H12 no such tenant", plain("/t/nobody/fhir/Patient"), 404),
        ("H12 not offered", fhir(Method::PATCH, "Patient/a"), 405),
        ("H12 not acceptable", fhir(Method::GET, "Patient/a").header("accept", "text/html"), 406),
        (
            "H12 under a condition",
            send(Method::PUT, "Patient/a", r#"{"resourceType":"Patient","id":"a"}"#).header("if-match", "W/\"9\""),
            412,
        ),
        // Answered before it is read, so its end must be short.
        ("H12 too large", send(Method::POST, "Patient", " ").header("content-length", "5242881"), 413),
        ("H12 too long", fhir(Method::GET, &format!("Patient?x={}", "y".repeat(20_000))), 414),
        ("H12 no such media", fhir(Method::POST, "Patient").body("{}"), 415),
        (
            "H12 against a rule",
            send(Method::POST, "Observation", r#"{"resourceType":"Observation","status":"final"}"#),
            422,
        ),
        ("H12 delete", fhir(Method::DELETE, "Patient/a"), 204),
        ("H12 gone", fhir(Method::GET, "Patient/a"), 410),
        ("H12 metadata", plain(&format!("/t/{}/fhir/metadata", tenant.name)), 200),
        ("H12 discovery", plain(&format!("/t/{}/fhir/.well-known/smart-configuration", tenant.name)), 200),
        ("H12 keys", plain(&format!("/t/{}/auth/jwks", tenant.name)), 200),
        ("H12 token endpoint", plain(&format!("/t/{}/auth/token", tenant.name)), 405),
        ("H12 liveness", plain("/healthz"), 200),
        ("H12 readiness", plain("/readyz"), 200),
        ("H12 OpenAPI", plain("/openapi.json"), 200),
        ("H12 the page for people", plain("/docs"), 200),
        ("H12 operator", client().get(format!("{}/operator/tenants", tenant.server.operator_url)), 401),
        ("H12 metrics", client().get(format!("{}/metrics", tenant.server.operator_url)), 200),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{label}: {:.300}", answer.body);
        let said = |name: &str| answer.header(name).to_owned();
        assert_eq!(said("x-content-type-options"), "nosniff", "{label}");
        let is_public = matches!(label, "H12 OpenAPI" | "H12 the page for people");
        assert_eq!(said("cache-control"), if is_public { "public, max-age=300" } else { "no-store" }, "{label}");
        let policy = said("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{label}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{label}: {policy}");
        assert_eq!(said("referrer-policy"), "no-referrer", "{label}");
        if !answer.body.is_empty() {
            let media = said("content-type");
            let known = [
                "application/fhir+json; charset=utf-8",
                "application/fhir+xml; charset=utf-8",
                "application/json",
                "application/problem+json",
            ];
            let other = matches!(label, "H12 the page for people" | "H12 metrics");
            assert!(known.contains(&media.as_str()) || other, "{label}: {media}");
        }
        for name in ["server", "x-powered-by", "via", "set-cookie", "strict-transport-security", "x-aspnet-version"] {
            assert!(!answer.headers.contains_key(name), "{label}: {name}");
        }
        assert!(
            !answer
                .headers
                .values()
                .any(|value| String::from_utf8_lossy(value.as_bytes()).contains(env!("CARGO_PKG_VERSION"))),
            "{label}"
        );
    }
    ledger::each_left_one_record().await;
}

/// There is no limiter yet. What holds today: no header and no claim that nobody verified makes an answer other than it
/// is, stands in the trail as the caller's address or tenant, or takes anything from anybody else.
#[tokio::test]
async fn floods_under_anothers_name_are_nobody_elses() {
    const EACH: usize = 40;
    let (a, b) = (Tenant::fresh().await, Tenant::fresh().await);
    for tenant in [&a, &b] {
        tenant.put("Patient/a", &tenant.all(), &samples::patient("a", "Family").to_string()).await.expect(201);
    }
    let claims = json!({ "iss": format!("{}/t/{}/auth", b.server.url, b.name), "tenant_id": b.name.as_str(), "sub": "x",
        "aud": b.base(), "rate_limit_tier": "unlimited" });
    let unverified = format!(
        "{}.{}.AA",
        vitals_tests::forge::b64(br#"{"alg":"ES256","kid":"x","typ":"JWT"}"#),
        vitals_tests::forge::b64(claims.to_string().as_bytes())
    );
    let forwarded = format!("for=203.0.113.9;host={}", b.name);
    let headers = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("cf-connecting-ip", "203.0.113.9"),
        ("true-client-ip", "203.0.113.9"),
        ("forwarded", forwarded.as_str()),
        ("x-tenant-id", b.name.as_str()),
        ("x-rate-limit-tier", "unlimited"),
        ("x-api-key", "anybody"),
    ];
    let plain = a.get("Patient/a", &a.all()).await.expect(200).anonymous("\n");
    let refused = a.get("Patient/a", &unverified).await.expect(401).anonymous("\n");
    for (name, value) in headers {
        for (label, token, expected) in [
            ("R07 a flood under a good token", a.all(), &plain),
            ("R07 a flood under an unverified claim", unverified.clone(), &refused),
        ] {
            let mut last = None;
            for _ in 0..EACH {
                let answer = Answer::of(a.request(Method::GET, "Patient/a", &token).header(name, value)).await;
                assert_eq!(answer.anonymous("\n"), *expected, "{label}, {name}");
                assert!(!answer.headers.keys().any(|name| name.as_str().contains("ratelimit")), "{label}, {name}");
                last = Some(answer);
            }
            let record = a.record_of(last.expect("an answer").header("x-request-id")).await;
            assert_eq!(record["address"], "127.0.0.1", "{label}, {name}: the peer's, whatever a header says");
            assert_eq!(record["tenant"], a.name.as_str(), "{label}, {name}: whose base was asked");
            // What was only claimed stands there as a claim.
            assert_eq!(record["unverified"] == true, token == unverified, "{label}, {name}: {record}");
        }
        // Nobody else is worse off for it.
        assert_eq!(b.get("Patient/a", &b.all()).await.status, 200, "R07 whose name was taken, {name}");
    }
    ledger::each_left_one_record().await;
}
