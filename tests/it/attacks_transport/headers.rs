//! H12 and H14: what every route of every part says to browsers, under http and under https, and what the public listener
//! has not.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, tenant::client};

/// Addresses that are in no document: the pages of the authorization server, and nothing at all.
const BESIDE: [(&str, &str); 12] = [
    ("GET", "/t/{tenant}/auth/sign-in"),
    ("POST", "/t/{tenant}/auth/sign-in"),
    ("POST", "/t/{tenant}/auth/sign-out"),
    ("GET", "/t/{tenant}/auth/patients"),
    ("POST", "/t/{tenant}/auth/consent"),
    ("GET", "/t/{tenant}/auth/callback"),
    ("GET", "/t/{tenant}/auth/page.css"),
    ("GET", "/.well-known/oauth-authorization-server/t/{tenant}/auth"),
    ("GET", "/"),
    ("GET", "/t/{tenant}"),
    ("GET", "/t/nobody/fhir/Patient"),
    ("TRACE", "/t/{tenant}/fhir/Patient"),
];

/// Every address and method of the OpenAPI document.
async fn documented(server: &Server) -> Vec<(Method, String)> {
    let document = Answer::of(client().get(format!("http://{}/openapi.json", server.address))).await.expect(200).json();
    let mut all: Vec<(Method, String)> =
        BESIDE.iter().map(|(method, path)| (method.parse().expect("a method"), (*path).to_owned())).collect();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            if matches!(method.as_str(), "get" | "put" | "post" | "delete" | "patch") {
                all.push((method.to_uppercase().parse().expect("a method"), path.clone()));
            }
        }
    }
    assert!(all.len() > 80, "{} addresses", all.len());
    all
}

/// The request, with what stands for something in its path: an operator's at the operator's listener.
fn request(server: &Server, tenant: &Tenant, method: &Method, path: &str) -> RequestBuilder {
    let operator = path.starts_with("/operator") || path == "/metrics";
    let root = if operator { &server.operator_url } else { &format!("http://{}", server.address) };
    let path = path.replace("{tenant}", if operator { "nobody" } else { tenant.name.as_str() });
    let plain: String = path
        .split('/')
        .map(|part| {
            if part == "{vid}" {
                "1"
            } else if part.starts_with('{') {
                "some"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("/");
    client().request(method.clone(), format!("{root}{plain}"))
}

#[tokio::test]
async fn h12_every_route_of_every_part_says_what_a_browser_may_do() {
    let cluster = cluster::shared();
    let plain: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let options = Options { public_url: Some("https://fhir.hospital.example".to_owned()), ..Options::default() };
    let secure: &'static Server = Server::for_this_test(cluster, options).await;
    for (what, server) in [("H12 under http", plain), ("H12 under https", secure)] {
        let tenant = Tenant::on(server).await;
        let (all, administrator) = (tenant.all(), tenant.administrator());
        for (method, path) in documented(server).await {
            let at_operator = path.starts_with("/operator") || path == "/metrics";
            for (who, token) in [
                ("nobody", None),
                ("a clinician", Some(&all)),
                ("an administrator", Some(&administrator)),
                ("the operator", Some(&server.operator_token)),
            ] {
                let mut request = request(server, &tenant, &method, &path);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let answer = Answer::of(request).await;
                let label = format!("{what}, {who}: {method} {path} ({})", answer.status);
                // Without a body some of these are wrong; none may fail.
                assert!(answer.status < 500, "{label}: {}", answer.body);
                says(&answer, &label);
                let strict = answer.header("strict-transport-security");
                if what.ends_with("https") && !at_operator {
                    assert!(strict.starts_with("max-age="), "{label}: {strict:?}");
                } else {
                    // RFC 6797, section 7.2: not under plain http.
                    assert_eq!(strict, "", "{label}");
                }
            }
        }
    }
}

fn says(answer: &Answer, label: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{label}");
    // The forms of pages are told from others' by where they come from.
    let referrer = answer.header("referrer-policy");
    let is_page = answer.header("content-type").starts_with("text/html");
    assert!(referrer == "no-referrer" || (is_page && referrer == "same-origin"), "{label}: {referrer}");
    assert!(!answer.header("x-request-id").is_empty(), "{label}");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{label}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{label}: {policy}");
    let cache = answer.header("cache-control");
    assert!(cache == "no-store" || cache.starts_with("public, max-age="), "{label}: {cache}");
    // What anybody may keep is the same for everybody.
    if cache != "no-store" {
        let document = ["/openapi", "/docs", "jwks", "metadata", ".well-known", "page.css"];
        assert!(document.iter().any(|part| label.contains(part)), "{label}: {cache}");
        assert!(!answer.headers.contains_key("set-cookie"), "{label}");
    }
    let version = env!("CARGO_PKG_VERSION");
    for name in ["server", "x-powered-by", "via", "x-aspnet-version", "x-runtime"] {
        assert!(!answer.headers.contains_key(name), "{label}: {name}");
    }
    for value in answer.headers.get_all("set-cookie") {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(value.contains("HttpOnly") && value.contains("SameSite="), "{label}: {value}");
    }
    let told = answer.headers.values().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(version));
    assert!(!told, "{label}: its version");
    if answer.body.is_empty() {
        return;
    }
    let media = answer.header("content-type");
    assert!(!media.is_empty(), "{label}: no media type");
    if media.starts_with("text/html") {
        assert!(label.contains("/auth/") || label.contains("/docs"), "{label}: a page");
    }
    if answer.status >= 400 && media.contains("json") {
        let body: Value = answer.json();
        assert!(body.is_object(), "{label}: {body}");
    }
}

/// What only an operator looks at, in the names that servers give it.
#[tokio::test]
async fn h14_nothing_operational_is_on_the_public_listener() {
    let tenant = Tenant::fresh().await;
    let server = tenant.server;
    let tokens = [None, Some(tenant.all()), Some(tenant.administrator()), Some(server.operator_token.clone())];
    for path in [
        "/metrics",
        "/metrics/",
        "/prometheus",
        "/stats",
        "/status",
        "/server-status",
        "/info",
        "/version",
        "/env",
        "/debug",
        "/debug/pprof",
        "/debug/pprof/heap",
        "/debug/vars",
        "/console",
        "/trace",
        "/heapdump",
        "/threads",
        "/actuator",
        "/actuator/health",
        "/actuator/env",
        "/jolokia",
        "/admin",
        "/admin/",
        "/admin/tenants",
        "/operator",
        "/operator/",
        "/operator/tenants",
        "/operator/migrations",
        "/operator/tenants/x/suspend",
        "/healthz/",
        "/readyz/",
        "/health",
        "/swagger",
        "/swagger-ui",
        "/swagger-ui.html",
        "/swagger.json",
        "/api-docs",
        "/graphql",
        "/$graphql",
        "/.env",
        "/.git/config",
        "/config",
        "/config.toml",
        "/vitals.toml",
        "/backup",
        "/secrets",
        "/operator.token",
        "/.vitals/operator.token",
        "/docs/",
        "/docs/../metrics",
        "//metrics",
        "/t/../metrics",
        "/%6detrics",
        "/fhir/../operator/tenants",
        "/t",
        "/t/",
        "/tenants",
        "/t/public/admin/clients",
    ] {
        for token in &tokens {
            let head = token.as_ref().map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
            let answer = vitals_tests::raw::get(server, path, &head).await.expect(path);
            // The names of tenants and of parts of the address space say nothing to who has no token for them.
            assert!(matches!(answer.status, 400 | 401 | 403 | 404), "{path}: {} {}", answer.status, answer.body);
            assert!(!answer.holds("vitals_") && !answer.holds(&server.operator_token), "{path}: {}", answer.body);
        }
    }
    // A tenant's own administration is there, and authorised.
    for path in ["clients", "users", "issuers", "api-keys", "keys", "sessions", "audit", "limits", "grants"] {
        for token in [None, Some(tenant.all()), Some(server.operator_token.clone())] {
            let url = format!("{}/t/{}/admin/{path}", server.url, tenant.name);
            let request = client().get(url);
            let answer = Answer::of(token.iter().fold(request, RequestBuilder::bearer_auth)).await;
            assert!(matches!(answer.status, 401 | 403 | 404), "H14 {path}: {} {}", answer.status, answer.body);
        }
    }
    // What is public says whether it is well, and nothing of how or for whom.
    for path in ["/healthz", "/readyz"] {
        let answer = Answer::of(client().get(format!("{}{path}", server.url))).await.expect(200);
        let known = ["status", "ready", "database", "migrations", "audit"];
        assert!(answer.json().as_object().expect("an object").keys().all(|name| known.contains(&name.as_str())));
    }
    ledger::each_left_one_record().await;
}
