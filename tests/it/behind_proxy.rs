//! H09: what proxies say about their clients is heard from ours alone. The test's client comes from two addresses of
//! this machine, of which the server believes one.

use std::net::Ipv4Addr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::date_time_ymd;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    pki::{Authority, Holder},
};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn from(address: Ipv4Addr) -> Client {
    Client::builder().no_proxy().local_address(std::net::IpAddr::from(address)).build().expect("a client")
}

/// A certificate as RFC 9440 writes it.
fn standard(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// A certificate as nginx writes it (`$ssl_client_escaped_cert`).
fn escaped(holder: &Holder) -> String {
    let pem = vitals_tests::pki::pem("CERTIFICATE", &holder.chain[0]);
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    pem.bytes().map(|byte| if sign(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

struct World {
    tenant: Tenant,
}

impl World {
    async fn start() -> Self {
        let options = Options {
            trusted_proxies: vec!["127.0.0.2/32", "10.0.0.0/8"],
            public_url: Some("https://fhir.hospital.example".to_owned()),
            ..Options::default()
        };
        let server: &'static Server = Server::for_this_test(cluster::apart().await, options).await;
        Self { tenant: Tenant::on(server).await }
    }

    /// Searches with these headers, and returns the answer with its record.
    async fn ask(&self, address: Ipv4Addr, headers: &[(&str, &str)]) -> (Answer, Value) {
        let url = format!("http://{}/t/{}/fhir/Patient", self.tenant.server.address, self.tenant.name);
        let mut request = from(address).request(Method::GET, url).bearer_auth(self.tenant.all());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = Answer::of(request).await;
        let record = self.tenant.record_of(answer.header("x-request-id")).await;
        (answer, record)
    }
}

#[tokio::test]
async fn the_clients_address_is_what_a_proxy_of_ours_says() {
    let world = World::start().await;
    let (x, forwarded) = ("x-forwarded-for", "for=203.0.113.9");
    for (label, peer, headers, address) in [
        ("H09 nothing said", PROXY, vec![], "127.0.0.2"),
        ("H09 a proxy", PROXY, vec![(x, "203.0.113.9")], "203.0.113.9"),
        ("H09 a proxy, whose client said something too", PROXY, vec![(x, "198.51.100.1, 203.0.113.9")], "203.0.113.9"),
        ("H09 a proxy before a proxy", PROXY, vec![(x, "198.51.100.1, 203.0.113.9, 10.9.9.9")], "203.0.113.9"),
        ("H09 a proxy that says nonsense", PROXY, vec![(x, "nonsense")], "127.0.0.2"),
        ("H09 Forwarded", PROXY, vec![("forwarded", forwarded)], "203.0.113.9"),
        ("H09 Forwarded of a client", PROXY, vec![("forwarded", "for=1.2.3.4"), (x, "203.0.113.9")], "203.0.113.9"),
        ("H09 X-Real-IP", PROXY, vec![("x-real-ip", "1.2.3.4")], "127.0.0.2"),
        ("H09 a stranger's X-Forwarded-For", STRANGER, vec![(x, "203.0.113.9")], "127.0.0.3"),
        ("H09 a stranger's Forwarded", STRANGER, vec![("forwarded", forwarded)], "127.0.0.3"),
        ("H09 a stranger's X-Real-IP", STRANGER, vec![("x-real-ip", "127.0.0.2")], "127.0.0.3"),
    ] {
        let (answer, record) = world.ask(peer, &headers).await;
        assert_eq!((answer.status, &record["address"]), (200, &json!(address)), "{label}");
    }
    // Addresses in answers are those of the public URL, whoever says what.
    let told = [
        ("x-forwarded-host", "attacker.example"),
        ("x-forwarded-proto", "http"),
        ("host", "attacker.example"),
        ("x-forwarded-prefix", "/x"),
        ("x-forwarded-port", "81"),
        ("forwarded", "host=attacker.example;proto=http"),
    ];
    for (label, peer) in [("H09 another host, of a proxy", PROXY), ("H09 another host, of a stranger", STRANGER)] {
        let (answer, _) = world.ask(peer, &told).await;
        assert!(answer.link("self").is_some_and(|link| link.starts_with("https://fhir.hospital.example/")), "{label}");
        assert!(!answer.holds("attacker.example"), "{label}");
        assert!(answer.header("strict-transport-security").starts_with("max-age="), "{label}: under an https URL");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn certificates_are_taken_from_a_proxy_of_ours_alone() {
    let world = World::start().await;
    let (own, somebody) = (Authority::named("Own"), Authority::named("Somebody"));
    let (holder, other) = (own.client("x"), somebody.client("y"));
    let (cert, pem) = (standard(&holder.chain[0]), escaped(&holder));
    let (c, chain, verify, x) = ("client-cert", "client-cert-chain", "x-ssl-client-verify", "x-ssl-client-cert");
    let good = Some(holder.thumbprint());
    for (label, headers, taken) in [
        ("H09 no certificate", vec![], None),
        ("H09 Client-Cert", vec![(c, cert.as_str())], good.clone()),
        ("H09 Client-Cert with its chain", vec![(c, cert.as_str()), (chain, cert.as_str())], good.clone()),
        ("H09 X-SSL-Client-Cert, verified", vec![(verify, "SUCCESS"), (x, pem.as_str())], good.clone()),
        ("H09 X-SSL-Client-Cert, not verified", vec![(verify, "FAILED:self-signed"), (x, pem.as_str())], None),
        ("H09 X-SSL-Client-Cert, nothing verified", vec![(verify, "NONE"), (x, pem.as_str())], None),
        ("H09 X-SSL-Client-Cert alone", vec![(x, pem.as_str())], None),
    ] {
        let (answer, record) = world.ask(PROXY, &headers).await;
        assert_eq!(answer.status, 200, "{label}: {}", answer.body);
        assert_eq!(record.get("certificate").and_then(Value::as_str), taken.as_deref(), "{label}");
        let (answer, record) = world.ask(STRANGER, &headers).await;
        assert_eq!(answer.status, 200, "{label}, of a stranger");
        assert_eq!(record.get("certificate"), None, "{label}, of a stranger");
    }
    let old = own.sign("x", |params| params.not_after = date_time_ymd(2021, 1, 1));
    let (old_cert, old_pem, other_cert) = (standard(&old.chain[0]), escaped(&old), standard(&other.chain[0]));
    for (label, headers) in [
        ("H09 a certificate that has expired", vec![(c, old_cert.as_str())]),
        ("H09 one that has expired, as nginx says it", vec![(verify, "SUCCESS"), (x, old_pem.as_str())]),
        ("H09 both forms", vec![(verify, "SUCCESS"), (x, pem.as_str()), (c, other_cert.as_str())]),
        ("H09 a client's form beside the proxy's no", vec![(verify, "NONE"), (c, cert.as_str())]),
        ("H09 two certificates", vec![(c, cert.as_str()), (c, other_cert.as_str())]),
        ("H09 no certificate at all", vec![(c, ":AAEC:")]),
        ("H09 not a byte sequence", vec![(c, "x")]),
        ("H09 verified, and none", vec![(verify, "SUCCESS")]),
    ] {
        let (answer, record) = world.ask(PROXY, &headers).await;
        answer.expect_outcome(400, "invalid");
        assert_eq!(record.get("certificate"), None, "{label}");
        assert_eq!(record["reason"], "client certificate not believed", "{label}");
        assert_eq!(world.ask(STRANGER, &headers).await.0.status, 200, "{label}: a stranger says nothing");
    }
    // What a tenant revoked, no proxy vouches for.
    let list = format!("{}{}", own.pem(), own.revoking(&[&holder]));
    world.tenant.set(&json!({ "client_ca": list })).await;
    world.ask(PROXY, &[(c, &cert)]).await.0.expect_outcome(400, "invalid");
    assert_eq!(world.ask(PROXY, &[(c, &standard(&own.client("z").chain[0]))]).await.0.status, 200);
    ledger::each_left_one_record().await;
}
