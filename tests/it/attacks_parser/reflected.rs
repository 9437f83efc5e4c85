//! X11, X30 and X31: what a caller sends comes back in no header, and stands in no log line as anything but text.

use reqwest::Method;
use serde_json::Value;
use vitals_tests::{Answer, Tenant, forge, ledger, poll, program::Outside, raw, samples, tenant::client};

use super::FHIR;

#[tokio::test]
async fn nul_is_refused_wherever_it_is_sent() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (label, path) in [
        ("X11 in a value", "Patient?name=a%00b"),
        ("X11 in a name", "Patient?na%00me=a"),
        ("X11 in an identifier", "Patient?identifier=urn:a%7C%00"),
        ("X11 in an id", "Observation?_id=%00"),
        ("X11 in a patient", "Observation?patient=%00"),
        ("X11 in a page", "Observation?_page=%00"),
        ("X11 in a condition of a delete", "Observation?identifier=%00"),
    ] {
        let method = if label.ends_with("delete") { Method::DELETE } else { Method::GET };
        Answer::of(tenant.request(method, path, &all)).await.expect_outcome(400, "invalid");
    }
    let form = tenant.request(Method::POST, "Patient/_search", &all);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("name=%00");
    Answer::of(form).await.expect_outcome(400, "invalid");
    let criteria = tenant.request(Method::POST, "Patient", &all).header("content-type", FHIR);
    let criteria = criteria.header("if-none-exist", "identifier=%00").body(r#"{"resourceType":"Patient"}"#);
    Answer::of(criteria).await.expect_outcome(400, "invalid");
    // As a byte of a head it is no HTTP.
    for (label, head) in [("X11 in a header", "x: a\0b\r\n"), ("X11 in a header's name", "x\0y: a\r\n")] {
        let path = format!("/t/{}/fhir/Patient", tenant.name);
        let answer = raw::get(tenant.server, &path, &format!("authorization: Bearer {all}\r\n{head}")).await;
        assert_eq!(answer.expect(label).status, 400, "{label}");
    }
    let answer = raw::get(tenant.server, "/t/a\0b/fhir/Patient", "").await.expect("an answer");
    assert_eq!(answer.status, 400, "X11 in a path");
    ledger::each_left_one_record().await;
}

/// No answer has a header that a caller wrote into it, and what is repeated in a link is encoded.
#[tokio::test]
async fn what_is_sent_splits_no_header() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["p1", "p2", "p3"] {
        tenant.put(&format!("Patient/{id}"), &all, &samples::patient(id, "Family").to_string()).await.expect(201);
    }
    let evil = "%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a%3Cscript%3E";
    let base = format!("/t/{}/fhir", tenant.name);
    let head = format!("authorization: Bearer {all}\r\n");
    let put = r#"{"resourceType":"Patient","id":"p1"}"#;
    let sending = format!("content-type: {FHIR}\r\ncontent-length: {}\r\n", put.len());
    for (label, line, headers, body) in [
        ("X30 in a value", format!("GET {base}/Patient?name={evil}"), "", ""),
        (
            "X30 in a value that is kept",
            format!("GET {base}/Patient?name:missing=false&_count=1&identifier:not={evil}"),
            "",
            "",
        ),
        ("X30 in a name", format!("GET {base}/Patient?{evil}=1"), "", ""),
        ("X30 in _format", format!("GET {base}/Patient?_format=json;{evil}"), "", ""),
        ("X30 in _sort", format!("GET {base}/Patient?_sort={evil}"), "", ""),
        ("X30 in an id", format!("GET {base}/Patient/{evil}"), "", ""),
        ("X30 in a version", format!("GET {base}/Patient/p1/_history/{evil}"), "", ""),
        ("X30 in a type", format!("GET {base}/{evil}"), "", ""),
        ("X30 in a tenant", format!("GET /t/{evil}/fhir/Patient"), "", ""),
        ("X30 in the id of an update", format!("PUT {base}/Patient/{evil}"), sending.as_str(), put),
        ("X30 in an ETag", format!("PUT {base}/Patient/p1"), "if-match: W/\"%0d%0aSet-Cookie: evil=1\"\r\n", ""),
        ("X30 in a request id", format!("GET {base}/Patient/p1"), "x-request-id: %0d%0aSet-Cookie: evil=1\r\n", ""),
        ("X30 in a trace", format!("GET {base}/Patient/p1"), "traceparent: %0d%0aSet-Cookie: evil=1\r\n", ""),
        (
            "X30 in a host",
            format!("GET {base}/Patient?_count=1"),
            "x-forwarded-host: a%0d%0aSet-Cookie: evil=1\r\n",
            "",
        ),
        ("X30 in an origin", format!("GET {base}/metadata"), "origin: https://a%0d%0aSet-Cookie: evil=1\r\n", ""),
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}{headers}\r\n{body}");
        let answer = raw::exchange(tenant.server, request).await.expect(label).sound();
        assert!(!answer.headers.contains_key("set-cookie"), "{label}: {:?}", answer.headers);
        for (name, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            assert!(!value.contains("evil=1"), "{label}: {name}: {value}");
        }
        // In JSON they are escaped, in links encoded.
        assert!(!answer.body.contains(['\r', '\n']), "{label}: {}", answer.body);
        for link in ["self", "next"].into_iter().filter_map(|relation| answer.link(relation)) {
            assert!(link.is_ascii() && !link.contains(['\r', '\n', '<', '>', '"', ' ']), "{label}: {link}");
        }
    }
    ledger::each_left_one_record().await;
}

/// What stands in the log of a served program of a request: one line, in which nothing of what the caller sent is more
/// than a value.
#[tokio::test]
async fn what_is_sent_is_no_line_of_a_log() {
    const FORGED: &str = "forged-line";
    let outside = Outside::fresh().await;
    let name = outside.tenants(1).await.remove(0);
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.rs"]).await.expect(0);
    let token = token.stdout.trim().to_owned();
    let server = program.serve().await;
    let base = format!("{}/t/{name}/fhir", server.url);
    Answer::of(client().get(format!("{base}/Patient")).bearer_auth(&token)).await.expect(200);
    let json = format!("\",\"level\":\"ERROR\",\"message\":\"{FORGED}\"}}{{\"a\":\"");
    let encoded = "%0a%7b%22message%22%3a%22forged-line%22%7d%0a%1b%5b31m";
    let kid = format!("k\n{{\"message\":\"{FORGED}\"}}\n\u{1b}[31m");
    let header = serde_json::json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }).to_string();
    let strange = format!("{}.{}.AA", forge::b64(header.as_bytes()), forge::b64(b"{\"iss\":\"a\\nforged-line\"}"));
    let ask = |path: String| client().get(path);
    let mut ids = Vec::new();
    for (label, request) in [
        ("X31 JSON in a user agent", ask(format!("{base}/Patient")).bearer_auth(&token).header("user-agent", &json)),
        ("X31 JSON in a request id", ask(format!("{base}/Patient")).bearer_auth(&token).header("x-request-id", &json)),
        ("X31 JSON in a trace", ask(format!("{base}/Patient")).bearer_auth(&token).header("traceparent", &json)),
        ("X31 line end in an id", ask(format!("{base}/Patient/{encoded}")).bearer_auth(&token)),
        ("X31 line end in a type", ask(format!("{base}/{encoded}")).bearer_auth(&token)),
        ("X31 line end in a tenant", ask(format!("{}/t/{encoded}/fhir/Patient", server.url)).bearer_auth(&token)),
        ("X31 line end in a value", ask(format!("{base}/Patient?name={encoded}")).bearer_auth(&token)),
        ("X31 line end in a name", ask(format!("{base}/Patient?{encoded}=1")).bearer_auth(&token)),
        ("X31 line end in a kid", ask(format!("{base}/Patient")).bearer_auth(&strange)),
        ("X31 JSON in a token", ask(format!("{base}/Patient")).header("authorization", format!("Bearer {json}"))),
        ("X31 JSON in a method", {
            let method = Method::from_bytes(b"FORGED-LINE").expect("a method");
            client().request(method, format!("{base}/Patient")).bearer_auth(&token)
        }),
    ] {
        let answer = Answer::of(request).await.sound();
        ids.push((label, answer.header("x-request-id").to_owned()));
    }
    let log = || server.process.stderr();
    let answered = |id: &str| {
        let lines = log();
        let of = |line: &&str| line.contains(id) && line.contains("\"answered\"");
        lines.lines().filter(of).count()
    };
    for (label, id) in &ids {
        assert_eq!(id.len(), 36, "{label}: {id}");
        poll::until("the request is in the log", async || answered(id) > 0).await;
        assert_eq!(answered(id), 1, "{label}");
    }
    let text = log();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert_ne!(line["message"], FORGED, "{line}");
    }
    assert!(!text.contains('\u{1b}') && !text.to_ascii_lowercase().contains(FORGED), "{text}");
}
