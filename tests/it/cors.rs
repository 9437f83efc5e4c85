//! H11: whose pages may read a tenant's answers.

use reqwest::Method;
use serde_json::json;
use vitals_tests::{Answer, Tenant, ledger, samples, tenant::client};

const APP: &str = "https://app.example";

async fn with_origins() -> Tenant {
    let tenant = Tenant::fresh().await;
    tenant.set(&json!({ "origins": [APP, "http://localhost:3000"] })).await;
    tenant
}

#[tokio::test]
async fn only_registered_origins_read_answers() {
    let (tenant, other) = (with_origins().await, Tenant::fresh().await);
    let all = tenant.all();
    tenant.put("Patient/a", &all, &samples::patient("a", "Family").to_string()).await.expect(201);
    for (label, origin, read) in [
        ("H11 registered", APP, true),
        ("H11 registered, with a port", "http://localhost:3000", true),
        ("H11 null origin", "null", false),
        ("H11 suffix origin", "https://app.example.attacker.example", false),
        ("H11 prefix origin", "https://attacker-app.example", false),
        ("H11 origin below", "https://x.app.example", false),
        ("H11 another scheme", "http://app.example", false),
        ("H11 another port", "https://app.example:8443", false),
        ("H11 another port of the same machine", "http://localhost:3001", false),
        ("H11 capitals", "https://APP.example", false),
        ("H11 a slash", "https://app.example/", false),
        ("H11 two in one", "https://app.example https://attacker.example", false),
        ("H11 any", "*", false),
        ("H11 nothing", "", false),
    ] {
        for (path, status) in [("Patient/a", 200), ("Patient", 200), ("Patient/b", 404), ("Device", 404)] {
            let answer =
                Answer::of(tenant.request(Method::GET, path, &all).header("origin", origin)).await.expect(status);
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, if read { origin } else { "" }, "{label}: {path}");
            assert_eq!(answer.headers.contains_key("access-control-expose-headers"), read, "{label}: {path}");
            assert_eq!(answer.header("vary"), "Origin", "{label}: {path}");
            assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{label}: {path}");
        }
        // Without a credential, and at another tenant.
        let refused = client().get(format!("{}/Patient/a", tenant.base())).header("origin", origin);
        assert_eq!(
            Answer::of(refused).await.expect(401).headers.contains_key("access-control-allow-origin"),
            read,
            "{label}"
        );
        let elsewhere = other.request(Method::GET, "Patient", &other.all()).header("origin", origin);
        let elsewhere = Answer::of(elsewhere).await.expect(200);
        assert!(!elsewhere.headers.contains_key("access-control-allow-origin"), "{label}: another tenant");
        let global =
            client().get(format!("{}/fhir/Patient", tenant.server.url)).bearer_auth(&all).header("origin", origin);
        let global = Answer::of(global).await.expect(200);
        assert!(!global.headers.contains_key("access-control-allow-origin"), "{label}: the common base");
    }
    let twice = tenant.request(Method::GET, "Patient/a", &all).header("origin", APP).header("origin", APP);
    let twice = Answer::of(twice).await.expect(200);
    assert!(!twice.headers.contains_key("access-control-allow-origin"), "H11 said twice");
    let answer = Answer::of(tenant.request(Method::GET, "Patient/a", &all).header("origin", APP)).await.expect(200);
    assert_eq!(
        answer.header("access-control-expose-headers"),
        "Location, Content-Location, ETag, Last-Modified, Retry-After, WWW-Authenticate, DPoP-Nonce, X-Request-Id"
    );
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_preflight_tells_registered_origins_what_they_may_send() {
    let tenant = with_origins().await;
    let ask = |path: &str, origin: &str, method: &'static str| {
        let request = client().request(Method::OPTIONS, format!("{}/t/{}/{path}", tenant.server.url, tenant.name));
        Answer::of(request.header("origin", origin).header("access-control-request-method", method))
    };
    for (label, path, methods) in [
        ("H11 a type", "fhir/Patient", "GET, HEAD, POST, PUT, DELETE"),
        ("H11 an instance", "fhir/Patient/a", "GET, HEAD, PUT, DELETE"),
        ("H11 a history", "fhir/Patient/a/_history", "GET, HEAD"),
        ("H11 a search", "fhir/Observation/_search", "POST"),
        ("H11 the base", "fhir", "POST"),
        ("H11 the token endpoint", "auth/token", "POST"),
    ] {
        let answer = ask(path, APP, "POST").await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), APP, "{label}");
        assert_eq!(answer.header("access-control-allow-methods"), methods, "{label}");
        let sent = answer.header("access-control-allow-headers").to_ascii_lowercase();
        for name in ["authorization", "content-type", "if-match", "if-none-match", "if-none-exist", "prefer", "dpop"] {
            assert!(sent.split(", ").any(|known| known == name), "{label}: {name}");
        }
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{label}");
        assert_eq!((answer.header("vary"), answer.header("access-control-max-age")), ("Origin", "600"), "{label}");
        for (label, origin) in
            [("H11 null origin", "null"), ("H11 suffix origin", "https://app.example.attacker.example")]
        {
            let answer = ask(path, origin, "POST").await.expect(204);
            let said = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).count();
            assert_eq!((said, answer.header("vary")), (0, "Origin"), "{label}: {path}");
        }
    }
    // Whether a tenant exists is told by no preflight, and nothing is told of what is nobody's to read.
    let none = client().request(Method::OPTIONS, format!("{}/t/nobody-here/fhir/Patient", tenant.server.url));
    let none = none.header("origin", APP).header("access-control-request-method", "GET");
    assert!(!Answer::of(none).await.expect(204).headers.contains_key("access-control-allow-origin"));
    for path in ["auth/authorize", "auth/introspect"] {
        let answer = ask(path, APP, "POST").await.sound();
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "H11 {path}");
    }
    // With a credential it is no preflight: browsers send none with theirs.
    let request = tenant.request(Method::OPTIONS, "Patient", &tenant.all()).header("origin", APP);
    Answer::of(request.header("access-control-request-method", "GET")).await.expect_outcome(405, "not-supported");
    ledger::each_left_one_record().await;
}

/// An origin that is taken off reads nothing any more.
#[tokio::test]
async fn an_origin_that_is_taken_off_reads_nothing() {
    let tenant = with_origins().await;
    let read = async || {
        let request = tenant.request(Method::GET, "Patient", &tenant.all()).header("origin", APP);
        Answer::of(request).await.expect(200).headers.contains_key("access-control-allow-origin")
    };
    assert!(read().await, "H11 registered");
    tenant.set(&json!({ "origins": ["http://localhost:3000"] })).await;
    assert!(!read().await, "H11 taken off");
}
