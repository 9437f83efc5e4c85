//! H13: addresses of elsewhere. Whatever URL a caller can give, the server goes nowhere inside, and sends nobody away.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::{Forge, header},
    issuer::{IssuerKeys, Published, Publisher, issuer, register, unique_url},
    ledger, oauth, raw, samples,
    tenant::client,
};

const JSON: &str = "application/json";

/// Listens on loopback in both families, on one port, and counts who comes.
struct Trap {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = first.local_addr().expect("an address").port();
        let mut listeners = vec![first];
        // Where there is no IPv6, or somebody has the port there, half of it has to do.
        listeners.extend(TcpListener::bind(("::1", port)).await);
        let visits = Arc::new(AtomicUsize::new(0));
        for listener in listeners {
            let visits = Arc::clone(&visits);
            cluster::runtime().spawn(async move {
                while listener.accept().await.is_ok() {
                    visits.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, visits }
    }

    /// It in every spelling, and what else is inside.
    fn spellings(&self) -> Vec<String> {
        let port = self.port;
        let mut all = Vec::new();
        for host in [
            "127.0.0.1",
            "127.1",
            "127.255.255.254",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "10.0.0.1",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
        ] {
            all.push(format!("https://{host}:{port}/x"));
            all.push(format!("http://{host}:{port}/x"));
        }
        for other in [
            format!("https://user@127.0.0.1:{port}/x"),
            format!("https://good.example@127.0.0.1:{port}/x"),
            format!("https://127.0.0.1:{port}#.good.example/x"),
            format!("https://１２７.0.0.1:{port}/x"),
            format!("https://127。0。0。1:{port}/x"),
            format!("//127.0.0.1:{port}/x"),
            format!("\\\\127.0.0.1:{port}\\x"),
            format!("https:127.0.0.1:{port}"),
            format!("gopher://127.0.0.1:{port}/_x"),
            format!("ftp://127.0.0.1:{port}/x"),
            format!("ldap://127.0.0.1:{port}/x"),
            "file:///etc/passwd".to_owned(),
            "data:application/json,{}".to_owned(),
            "javascript:alert(1)".to_owned(),
        ] {
            all.push(other);
        }
        all
    }

    fn untouched(&self, what: &str) {
        assert_eq!(self.visits.load(Ordering::SeqCst), 0, "{what}: somebody came");
    }
}

async fn post(tenant: &Tenant, path: &str, body: &Value) -> Answer {
    let request = tenant.admin(Method::POST, path, &tenant.administrator());
    Answer::of(request.header("content-type", JSON).body(body.to_string())).await.sound()
}

/// A server that was told of no exception.
async fn world() -> Tenant {
    let server: &'static Server = Server::for_this_test(cluster::alone().await, Options::default()).await;
    Tenant::on(server).await
}

#[tokio::test]
async fn h13_keys_documents_and_providers_are_fetched_from_nowhere_inside() {
    let (tenant, trap, key) = (world().await, Trap::set().await, Forge::p256());
    tenant.set(&json!({ "registration": true })).await;
    let initial = tenant.registration_token("system/*.rs").await;
    for (place, url) in trap.spellings().into_iter().enumerate() {
        // An issuer's keys: refused at once, or never fetched when its token comes.
        let name = unique_url("inside");
        let added = post(&tenant, "issuers", &json!({ "issuer": name, "jwks_uri": url })).await;
        assert!(matches!(added.status, 201 | 409 | 422), "H13 jwks_uri of an issuer, {url}: {}", added.status);
        let now = vitals_access::clock::Clock::now(&tenant.server.clock).timestamp();
        let claims = json!({ "iss": name, "sub": "x", "aud": tenant.base(), "iat": now, "exp": now + 60, "scope": "system/*.rs" });
        let shown = tenant.get("Patient", &key.token(&header("ES256", "k"), &claims.to_string())).await;
        assert!(matches!(shown.status, 401 | 503), "H13 its token, {url}: {} {}", shown.status, shown.body);
        // An issuer that is discovered.
        let discovered = post(&tenant, "issuers", &json!({ "issuer": url })).await;
        assert!(matches!(discovered.status, 409 | 422), "H13 discovery, {url}: {}", discovered.status);
        // A client's keys, given by an administrator and by the program itself; then it shows an assertion.
        let client_id = format!("inside-{place}");
        let wire = json!({ "client_id": client_id, "scope": "system/*.rs", "jwks_uri": url });
        let made = post(&tenant, "clients", &wire).await;
        assert!(matches!(made.status, 201 | 422), "H13 jwks_uri of a client, {url}: {}", made.status);
        let assertion = oauth::assertion(&key, "ES256", &oauth::assertion_claims(&tenant, &client_id));
        let pairs =
            [&[("grant_type", "client_credentials"), ("scope", "system/*.rs")][..], &oauth::shows(&assertion)[..]]
                .concat();
        let token = Answer::of(oauth::post(&tenant.auth("token"), &pairs)).await;
        assert!(matches!(token.status, 400 | 401 | 503), "H13 an assertion, {url}: {}", token.status);
        let program = json!({
            "client_name": "x", "grant_types": ["client_credentials"], "redirect_uris": [url],
            "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url, "logo_uri": url, "client_uri": url,
            "policy_uri": url, "tos_uri": url, "initiate_login_uri": url, "sector_identifier_uri": url,
            "backchannel_logout_uri": url, "request_uris": [url],
        });
        let request = client().post(tenant.auth("register")).bearer_auth(&initial).header("content-type", JSON);
        Answer::of(request.body(program.to_string())).await.sound();
        // An authorization request by reference, and one that names where to go.
        for member in ["request_uri", "redirect_uri", "iss", "aud"] {
            let pairs = [("response_type", "code"), ("client_id", "nobody"), (member, url.as_str())];
            Answer::of(client().get(asked(&tenant.auth("authorize"), &pairs))).await.sound();
        }
        trap.untouched(&url);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn h13_a_provider_inside_is_asked_nothing() {
    let (tenant, trap) = (world().await, Trap::set().await);
    for url in trap.spellings().into_iter().step_by(3) {
        tenant.set(&json!({ "sign_in": { "issuer": url, "client_id": "x" } })).await;
        for page in ["sign-in?onward=x", "manage", "callback?state=x&code=y"] {
            let answer = Answer::of(client().get(tenant.auth(page))).await;
            assert!(answer.status < 500 || answer.status == 503, "H13 {page}, {url}: {}", answer.status);
            stays_here(&tenant, &answer, &format!("H13 {page}, {url}"));
        }
        trap.untouched(&url);
    }
}

/// What stands in a resource, a reference or a search is text.
#[tokio::test]
async fn h13_addresses_in_resources_and_searches_are_never_followed() {
    let (tenant, trap) = (Tenant::fresh().await, Trap::set().await);
    let all = tenant.all();
    for url in trap.spellings() {
        let mut patient = samples::patient("a", "Family");
        patient["photo"] = json!([{ "contentType": "image/png", "url": url }]);
        patient["managingOrganization"] = json!({ "reference": url });
        patient["extension"] = json!([{ "url": url, "valueUri": url }]);
        patient["meta"] = json!({ "profile": [url], "source": url });
        tenant.put("Patient/a", &all, &patient.to_string()).await.sound();
        let mut observation = samples::heart_rate("a", "a");
        observation["subject"]["reference"] = url.clone().into();
        tenant.put("Observation/a", &all, &observation.to_string()).await.sound();
        tenant.post("Patient/$validate", &all, &patient.to_string()).await.sound();
        for method in ["GET", "PUT", "DELETE"] {
            let entry = json!({ "fullUrl": url, "resource": patient, "request": { "method": method, "url": url } });
            for kind in ["batch", "transaction"] {
                let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] });
                tenant.post("", &all, &bundle.to_string()).await.sound();
            }
        }
        let pairs = [("subject", url.as_str()), ("_include", "Observation:subject"), ("_profile", url.as_str())];
        tenant.get(&asked("Observation", &pairs), &all).await.sound();
        tenant.post(&asked("Patient", &[("_format", url.as_str())]), &all, &patient.to_string()).await.sound();
    }
    trap.untouched("H13 resources");
    ledger::each_left_one_record().await;
}

/// Elsewhere may be allowed, and send us on: to what is not.
#[tokio::test]
async fn h13_no_redirect_and_no_changed_name_leads_inside() {
    let options = Options { egress_allow: vec!["127.0.0.2/32"], ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::alone().await, options).await;
    let (tenant, trap, key) = (Tenant::on(server).await, Trap::set().await, Forge::p256());
    let allowed = TcpListener::bind("127.0.0.2:0").await.expect("all of 127/8 is this machine");
    let address = allowed.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let (to, count) = (format!("http://127.0.0.1:{}/x", trap.port), Arc::clone(&asked));
    cluster::runtime().spawn(async move {
        while let Ok((mut stream, _)) = allowed.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer =
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.ok();
        }
    });
    let name = unique_url("redirected");
    register(&issuer(&name, IssuerKeys::Url(format!("http://{address}/jwks"))), &[&tenant]).await;
    let now = vitals_access::clock::Clock::now(&server.clock).timestamp();
    let claims =
        json!({ "iss": name, "sub": "x", "aud": tenant.base(), "iat": now, "exp": now + 60, "scope": "system/*.rs" });
    tenant.get("Patient", &key.token(&header("ES256", "k"), &claims.to_string())).await.expect(503);
    let answer = post(&tenant, "issuers", &json!({ "issuer": format!("http://{address}") })).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(asked.load(Ordering::SeqCst) >= 2, "it was asked");
    trap.untouched("H13 a redirect");
    // What an honest document names is judged as if its caller had named it.
    let publisher = Publisher::start(Published::Nothing).await;
    publisher.publish(Published::Text(
        json!({ "issuer": publisher.url, "jwks_uri": format!("http://127.0.0.1:{}/x", trap.port) }).to_string(),
    ));
    let answer = post(&tenant, "issuers", &json!({ "issuer": publisher.url })).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    trap.untouched("H13 a document");
    ledger::each_left_one_record().await;
}

/// Panics where an answer sends a browser to somebody else.
#[track_caller]
fn stays_here(tenant: &Tenant, answer: &Answer, label: &str) {
    let location = answer.header("location");
    let own = tenant.server.url.as_str();
    let here = location.is_empty()
        || location.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'))
        || (location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\"));
    assert!(here, "{label}: sent to {location}");
    assert!(!answer.headers.contains_key("refresh"), "{label}");
}

#[tokio::test]
async fn h13_no_page_sends_anybody_elsewhere() {
    let tenant = Tenant::fresh().await;
    let pages = ["authorize", "sign-in", "sign-out", "manage", "patients", "consent", "callback", "launch"];
    let names = [
        "onward",
        "next",
        "return",
        "return_to",
        "returnTo",
        "redirect",
        "redirect_uri",
        "post_logout_redirect_uri",
        "url",
        "continue",
        "target_link_uri",
        "iss",
        "RelayState",
        "goto",
    ];
    let elsewhere = [
        "https://attacker.example/",
        "//attacker.example/",
        "/\\attacker.example/",
        "\\/attacker.example",
        "https:attacker.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/%2fattacker.example",
        "%68ttps://attacker.example",
        "https://attacker.example%00.vitals.test/",
        "///attacker.example",
    ];
    for page in pages {
        for name in names {
            for value in elsewhere {
                let label = format!("H13 {page}?{name}={value}");
                let url = tenant.auth(page);
                let pairs = [("response_type", "code"), ("client_id", "nobody"), (name, value)];
                stays_here(&tenant, &Answer::of(client().get(asked(&url, &pairs))).await.sound(), &label);
            }
            let form = oauth::post(&tenant.auth(page), &[(name, elsewhere[0]), ("client_id", "nobody")]);
            stays_here(&tenant, &Answer::of(form).await.sound(), &format!("H13 POST {page} {name}"));
        }
    }
    // Nor does an address that is no address of ours, read otherwise by a browser.
    for path in ["//attacker.example", "//attacker.example/%2e%2e", "/t//attacker.example", "/\\attacker.example"] {
        let answer = raw::get(tenant.server, path, "").await.expect(path);
        stays_here(&tenant, &answer, path);
    }
    ledger::each_left_one_record().await;
}

/// An address with a query.
fn asked(url: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", raw::escaped(value))).collect();
    format!("{url}?{}", pairs.join("&"))
}
