//! Clients that prove themselves by a certificate (RFC 8705), which a proxy of ours vouches for, and tokens bound to it.

use std::net::Ipv4Addr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Client;
use serde_json::{Value, json};
use vitals_server::authorization::clients::NewClient;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    oauth::{claims, scopes},
    pki::{Authority, Holder},
};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A tenant behind a proxy that asks for certificates.
struct World {
    tenant: Tenant,
    proxy: Client,
}

impl World {
    async fn start() -> Self {
        let options = Options { trusted_proxies: vec!["127.0.0.2/32"], ..Options::default() };
        let server: &'static Server = Server::for_this_test(cluster::apart().await, options).await;
        let proxy = Client::builder().no_proxy().local_address(std::net::IpAddr::from(PROXY)).build();
        Self { tenant: Tenant::on(server).await, proxy: proxy.expect("a client") }
    }

    /// Asks for a token for a client, with a certificate or none.
    async fn ask(&self, id: &str, holder: Option<&Holder>) -> Answer {
        let form = format!("grant_type=client_credentials&scope=system/Patient.rs&client_id={id}");
        let asked = self.proxy.post(self.tenant.auth("token")).body(form);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        Answer::of(shown(asked, holder)).await.sound()
    }

    /// Searches with a token, and a certificate or none.
    async fn search(&self, token: &str, holder: Option<&Holder>) -> u16 {
        let asked = self.proxy.get(format!("{}/Patient", self.tenant.base())).bearer_auth(token);
        Answer::of(shown(asked, holder)).await.sound().status
    }

    async fn register(&self, otherwise: impl FnOnce(&mut NewClient), authentication: Authentication) -> String {
        let mut new = NewClient::named("Lab", authentication, "tests");
        new.scopes = scopes("system/Patient.rs");
        otherwise(&mut new);
        self.tenant.register(new).await.client.id
    }
}

fn shown(asked: reqwest::RequestBuilder, holder: Option<&Holder>) -> reqwest::RequestBuilder {
    match holder {
        Some(holder) => asked.header("client-cert", format!(":{}:", STANDARD.encode(&holder.chain[0]))),
        None => asked,
    }
}

fn token(answer: Answer) -> String {
    answer.expect(200).json()["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_known_by_its_names_and_binds_the_token() {
    let world = World::start().await;
    let authority = Authority::named("Hospitals");
    let holder = authority.sign("lab", |params| {
        let names = ["lab.example".to_owned(), "192.0.2.7".to_owned()];
        params.subject_alt_names = rcgen::CertificateParams::new(names).expect("names").subject_alt_names;
    });
    let other = authority.client("kitchen");
    for (name, good) in [
        ("subject_dn:CN=lab", true),
        ("subject_dn:cn=lab", true),
        ("subject_dn:CN=la", false),
        ("subject_dn:CN=lab,O=x", false),
        ("san_dns:lab.example", true),
        ("san_dns:example", false),
        ("san_ip:192.0.2.7", true),
        ("san_ip:192.0.2.8", false),
        ("san_uri:lab.example", false),
        ("san_email:lab.example", false),
    ] {
        let set = |new: &mut NewClient| new.certificate = Some(name.to_owned());
        let id = world.register(set, Authentication::TlsClientAuth).await;
        let answer = world.ask(&id, Some(&holder)).await;
        if !good {
            assert_eq!(answer.expect(400).json()["error"], "invalid_client", "{name}");
            continue;
        }
        let token = token(answer);
        assert_eq!(claims(&token)["cnf"], json!({ "x5t#S256": holder.thumbprint() }), "{name}");
        assert_eq!(world.search(&token, Some(&holder)).await, 200, "{name}");
        assert_eq!(world.search(&token, Some(&other)).await, 401, "{name}: O25 another certificate");
        assert_eq!(world.search(&token, None).await, 401, "{name}: O25 no certificate");
        assert_eq!(world.ask(&id, None).await.expect(400).json()["error"], "invalid_client", "{name}");
        assert_eq!(world.ask(&id, Some(&other)).await.expect(400).json()["error"], "invalid_client", "{name}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_certificate_that_signs_itself_is_good_for_who_registered_it() {
    let world = World::start().await;
    let (own, stranger) = (Authority::named("Signs itself").itself(), Authority::named("Signs itself").itself());
    let jwks = json!({ "keys": [{ "kty": "EC", "x5c": [STANDARD.encode(&own.chain[0])] }] });
    let set = |new: &mut NewClient| new.jwks = Some(jwks.to_string());
    let id = world.register(set, Authentication::SelfSignedTlsClientAuth).await;
    let bound = token(world.ask(&id, Some(&own)).await);
    assert_eq!(world.search(&bound, Some(&own)).await, 200);
    assert_eq!(world.search(&bound, Some(&stranger)).await, 401);
    assert_eq!(world.ask(&id, Some(&stranger)).await.expect(400).json()["error"], "invalid_client");
    assert_eq!(world.ask(&id, None).await.expect(400).json()["error"], "invalid_client");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn where_a_tenant_wants_a_certificate_or_proof_the_certificate_is_both() {
    let world = World::start().await;
    let holder = Authority::named("Hospitals").client("lab");
    let registered = {
        let mut new = NewClient::named("Report", Authentication::ClientSecret, "tests");
        new.scopes = scopes("system/Patient.rs");
        world.tenant.register(new).await
    };
    let secret = registered.secret.expect("a secret");
    let id = format!("{}&client_secret={secret}", registered.client.id);
    let loose = token(world.ask(&id, Some(&holder)).await);
    assert_eq!(claims(&loose)["cnf"], Value::Null, "nobody wanted it bound");

    world.tenant.set(&json!({ "require_proof": true })).await;
    assert_eq!(world.search(&loose, Some(&holder)).await, 401);
    assert_eq!(world.ask(&id, None).await.expect(400).json()["error"], "invalid_dpop_proof");
    let bound = token(world.ask(&id, Some(&holder)).await);
    assert_eq!(world.search(&bound, Some(&holder)).await, 200);

    world.tenant.set(&json!({ "require_certificate": true })).await;
    assert_eq!(world.ask(&id, None).await.expect(403).json()["error"], "access_denied");
    let document = world.proxy.get(world.tenant.auth(".well-known/openid-configuration"));
    Answer::of(document).await.expect(200);
    token(world.ask(&id, Some(&holder)).await);
    ledger::each_left_one_record().await;
}
