//! O25 over real handshakes and behind proxies: tokens that are bound to a certificate (RFC 8705, section 3), and tenants
//! that want one for every request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use vitals_server::config::ClientAuth;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    pki::{Authority, Folder, Holder},
};

const HERE: [u8; 4] = [127, 0, 0, 1];
const PROXY: [u8; 4] = [127, 0, 0, 2];

/// A certificate as a proxy hands it on (RFC 9440).
fn told(holder: &Holder) -> String {
    format!(":{}:", STANDARD.encode(&holder.chain[0]))
}

struct World {
    server: &'static Server,
    servers: Authority,
    clients: Authority,
    _folder: Folder,
}

impl World {
    /// A server that knows clients of an authority, and believes a proxy at 127.0.0.2.
    async fn start() -> Self {
        let (folder, servers, clients) = (Folder::default(), Authority::named("Servers"), Authority::named("Clients"));
        let files = folder.server_with(&servers.server(), &clients, ClientAuth::Optional, None);
        let options = Options { tls: Some(files), trusted_proxies: vec!["127.0.0.2/32"], ..Options::default() };
        let server: &'static Server = Server::for_this_test(cluster::apart().await, options).await;
        Self { server, servers, clients, _folder: folder }
    }

    /// Searches with a token from an address, showing a certificate and these headers.
    async fn ask(
        &self,
        tenant: &Tenant,
        token: &str,
        from: [u8; 4],
        holder: Option<&Holder>,
        told: &[(&str, &str)],
    ) -> Answer {
        let http = self.servers.http_with(holder, |builder| builder.local_address(std::net::IpAddr::from(from)));
        let request = http.get(format!("{}/Patient", tenant.base())).bearer_auth(token);
        Answer::of(told.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }
}

#[tokio::test]
async fn a_token_of_a_certificate_is_worth_nothing_without_it() {
    let world = World::start().await;
    let tenant = Tenant::on(world.server).await;
    let (own, other) = (world.clients.client("own"), world.clients.client("other"));
    let bound = tenant.token("system/*.cruds").with("cnf", json!({ "x5t#S256": own.thumbprint() })).sign();
    let (told_own, told_other) = (told(&own), told(&other));
    let (here, proxy) = (HERE, PROXY);
    for (label, from, holder, told, status) in [
        ("O25 its certificate", here, Some(&own), vec![], 200),
        ("O25 no certificate", here, None, vec![], 401),
        ("O25 another certificate", here, Some(&other), vec![], 401),
        ("O25 a forged Client-Cert", here, None, vec![("client-cert", told_own.as_str())], 401),
        ("O25 a forged Client-Cert over another", here, Some(&other), vec![("client-cert", told_own.as_str())], 401),
        ("O25 its certificate, told by a proxy", proxy, None, vec![("client-cert", told_own.as_str())], 200),
        ("O25 another, told by a proxy", proxy, None, vec![("client-cert", told_other.as_str())], 401),
        ("O25 none, told by a proxy", proxy, None, vec![], 401),
        ("O25 the proxy's own certificate", proxy, Some(&own), vec![], 401),
    ] {
        let answer = world.ask(&tenant, &bound, from, holder, &told).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
        if status == 401 {
            assert!(answer.header("www-authenticate").contains("invalid_token"), "{label}");
        }
    }
    // A token that is bound to nothing needs none.
    assert_eq!(world.ask(&tenant, &tenant.all(), here, None, &[]).await.status, 200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_tenant_that_wants_certificates_gets_those_that_somebody_vouches_for() {
    let world = World::start().await;
    let (tenant, neighbour) = (Tenant::on(world.server).await, Tenant::on(world.server).await);
    let (authority, next_door) = (Authority::named("Own"), Authority::named("Next door"));
    tenant.set(&json!({ "require_certificate": true, "client_ca": authority.pem() })).await;
    neighbour.set(&json!({ "client_ca": next_door.pem() })).await;
    // The same from a proxy that believes all three authorities.
    for (label, holder, status) in [
        ("O25 of somebody's authority, told by a proxy", Authority::named("Partners").client("x"), 200),
        ("O25 of its own authority, told by a proxy", authority.client("x"), 200),
        ("O25 of a neighbour's authority, told by a proxy", next_door.client("x"), 401),
        ("O25 of a neighbour's name, told by a proxy", Authority::named("Next door").client("x"), 200),
        ("O25 for servers, told by a proxy", authority.server(), 400),
    ] {
        let answer = world.ask(&tenant, &tenant.all(), PROXY, None, &[("client-cert", &told(&holder))]).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
    }
    for (label, holder, status) in [
        ("O25 none", None, 401),
        ("O25 of the server's authority", Some(world.clients.client("x")), 200),
        ("O25 of its own authority", Some(authority.client("x")), 200),
        ("O25 of a neighbour's authority", Some(next_door.client("x")), 401),
    ] {
        let answer = world.ask(&tenant, &tenant.all(), HERE, holder.as_ref(), &[]).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
        assert_eq!(world.ask(&neighbour, &neighbour.all(), HERE, holder.as_ref(), &[]).await.status, 200, "{label}");
    }
    ledger::each_left_one_record().await;
}
