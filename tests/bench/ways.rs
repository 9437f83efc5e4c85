//! The ways in, each as one whole request: what a read by id takes from its first byte to its last with an API key, a
//! tenant's token, a patient's SMART token, a token with a DPoP proof of its own, and a certificate-bound token over
//! mutual TLS. Beside each stands `/healthz` over the same kind of connection: what the machine takes for an answer at all.
//! And what forty-nine issuers wait for while the keys of a fiftieth hang.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::version::TLS13;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use vitals_access::clock::Clock as _;
use vitals_server::{clock::SystemClock, config::ClientAuth};
use vitals_tests::{
    forge::{self, Forge},
    pki::{self, Authority},
    proof::{About, ProofKey},
};

use crate::{
    connection::{Connection, request},
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

/// How long each figure is measured, after a tenth of it to warm up.
const MEASURED: Duration = Duration::from_secs(4);
/// Proofs made beforehand; each is good once.
const PROOFS: usize = 20_000;
/// Issuers that publish their keys, one of which stops answering.
const ISSUERS: usize = 50;
const TENANT: &str = "ways";

/// Runs the part.
pub async fn run(program: &Program, folder: &Folder, table: &mut Table) {
    let (kept, servers, clients) = (pki::Folder::default(), Authority::named("Servers"), Authority::named("Clients"));
    let files = kept.server_with(&servers.server(), &clients, ClientAuth::Optional, None);
    let holder = clients.client("bench");
    let authorities = files.clients.as_ref().map(|clients| clients.certificates.display().to_string());
    let authorities = authorities.expect("they were written");
    let (certificate, private) = (files.certificate.display().to_string(), files.key.display().to_string());
    let plain = program.start_with(folder, "serve", &["--egress-allow", "127.0.0.1/32"]);
    program.run(folder, &["tenant", "create", TENANT]);
    program.run(folder, &["tenant", "set", TENANT, "--api-keys", "on"]);
    let token = |more: &[&str]| {
        let all = [&["token", "--tenant", TENANT, "--scope", "system/*.cruds"][..], more].concat();
        program.run(folder, &all).1
    };
    let bearer = format!("Bearer {}", token(&[]));
    let path = format!("/t/{TENANT}/fhir/Patient/p1");
    let mut connection = Connection::open(plain.public).await;
    let body = json!({ "resourceType": "Patient", "id": "p1", "name": [{ "family": "Amsel" }] }).to_string();
    let written = connection.exchange(&request("PUT", &path, &bearer, Some(&body))).await;
    assert_eq!(written.0, 201, "there is a patient to read");

    let healthz = median(&mut connection, || request("GET", "/healthz", &bearer, None)).await;
    let key = program.run(folder, &["api-key", "create", "--tenant", TENANT, "--scope", "system/*.rs"]).1;
    let smart = ["token", "--tenant", TENANT, "--scope", "patient/*.rs launch/patient", "--patient", "p1"];
    let smart = program.run(folder, &smart).1;
    let limit = Limit::Measured(healthz, "/healthz");
    for (way, asked, authorization) in [
        ("API key", 5.0, format!("ApiKey {key}")),
        ("tenant token", 10.0, bearer.clone()),
        ("SMART token of a patient", 20.0, format!("Bearer {smart}")),
    ] {
        let took = median(&mut connection, || request("GET", &path, &authorization, None)).await;
        table.row(&format!("read by id, {way}, p50"), took, "ms", &limit);
        table.row(&format!("the same beside the field's {asked} ms"), took, "ms", &Limit::Asked(asked));
    }
    proven(program, folder, &plain, &path, (&mut connection, healthz), table).await;
    issuers(program, folder, &plain, table).await;
    plain.stop();

    let options = ["--tls-cert", &certificate, "--tls-key", &private, "--tls-client-ca", &authorities];
    let secure = program.start_with(folder, "serve", &options);
    let bound = format!("Bearer {}", token(&["--cert-thumbprint", &holder.thumbprint()]));
    let config = Arc::new(servers.config(Some(&holder), &[&TLS13]));
    let mut connection = Connection::over_tls(secure.public, config).await;
    let healthz = median(&mut connection, || request("GET", "/healthz", &bound, None)).await;
    let took = median(&mut connection, || request("GET", &path, &bound, None)).await;
    table.row("read by id, mutual TLS and bound token, p50", took, "ms", &Limit::Measured(healthz, "/healthz"));
    table.row("the same beside the field's 15 ms", took, "ms", &Limit::Asked(15.0));
    secure.stop();
}

/// The middle of what requests take, one after the other.
async fn median(connection: &mut Connection, request: impl FnMut() -> Vec<u8>) -> f64 {
    samples(connection, request, &[200]).await.median()
}

async fn samples(connection: &mut Connection, mut request: impl FnMut() -> Vec<u8>, good: &[u16]) -> Samples {
    let (began, mut samples) = (Instant::now(), Samples::default());
    while began.elapsed() < MEASURED {
        let request = request();
        let sent = Instant::now();
        let (status, _) = connection.exchange(&request).await;
        assert!(good.contains(&status), "{status}");
        if began.elapsed() > MEASURED / 10 {
            samples.add(sent.elapsed());
        }
    }
    samples
}

/// A token that is bound to a key, with a proof made for each request.
async fn proven(
    program: &Program,
    folder: &Folder,
    server: &Serving,
    path: &str,
    (connection, healthz): (&mut Connection, f64),
    table: &mut Table,
) {
    let key = ProofKey::generate();
    let arguments = ["token", "--tenant", TENANT, "--scope", "system/*.rs", "--jkt", &key.jkt()];
    let token = program.run(folder, &arguments).1;
    let url = format!("http://{}{path}", server.public);
    let now = SystemClock.now().timestamp();
    let mut proofs: Vec<Vec<u8>> = (0..PROOFS)
        .map(|_| {
            let proof = key.proof(About { method: "GET", url: &url, token: Some(&token), now }, &[]);
            format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: DPoP {token}\r\ndpop: {proof}\r\n\r\n")
                .into_bytes()
        })
        .collect();
    let took = median(connection, || proofs.pop().expect("enough proofs were made")).await;
    table.row("read by id, DPoP with a fresh proof, p50", took, "ms", &Limit::Measured(healthz, "/healthz"));
}

/// Tokens of fifty issuers, each new to the server, while all of them answer and while one hangs.
async fn issuers(program: &Program, folder: &Folder, server: &Serving, table: &mut Table) {
    let key = Forge::p256();
    let set = json!({ "keys": [key.jwk("k1")] }).to_string();
    let (hanging, address) = publisher(set).await;
    for number in 0..ISSUERS {
        let (tenant, url) = (format!("issued-{number}"), format!("https://idp-{number}.example"));
        let jwks = format!("http://{address}/{number}");
        program.run(folder, &["tenant", "create", &tenant, "--issuer", &url, "--jwks-url", &jwks]);
    }
    // No token is older than its tenant.
    let now = SystemClock.now().timestamp();
    let ask = |number: usize, serial: usize, kid: &str| {
        let claims = json!({
            "iss": format!("https://idp-{number}.example"), "sub": format!("s{serial}"), "iat": now, "exp": now + 600,
            "aud": format!("http://{}/t/issued-{number}/fhir", server.public), "scope": "system/*.rs",
        });
        let token = key.token(&forge::header("ES256", kid), &claims.to_string());
        request("GET", &format!("/t/issued-{number}/fhir/Patient/nobody"), &format!("Bearer {token}"), None)
    };
    let mut connection = Connection::open(server.public).await;
    let mut serial = 0;
    let mut others = || {
        serial += 1;
        ask(1 + serial % (ISSUERS - 1), serial, "k1")
    };
    // Keys are fetched with the first token of an issuer: that is not what is compared.
    for _ in 0..ISSUERS {
        connection.exchange(&others()).await;
    }
    let peace = samples(&mut connection, &mut others, &[404]).await.percentile(99);
    hanging.store(true, std::sync::atomic::Ordering::Relaxed);
    // Somebody asks again and again with keys of the issuer that hangs.
    let address = server.public;
    let unknown: Vec<Vec<u8>> = (0..1_000).map(|serial| ask(0, serial, &format!("unknown-{serial}"))).collect();
    let asking = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        for part in unknown.chunks(50).map(<[Vec<u8>]>::to_vec) {
            connections.spawn(async move {
                let mut connection = Connection::open(address).await;
                for request in part {
                    connection.exchange(&request).await;
                }
            });
        }
        connections.join_all().await;
    });
    let meanwhile = samples(&mut connection, &mut others, &[404]).await.percentile(99);
    asking.abort();
    table.row(
        "new tokens of 49 issuers while one hangs, p99",
        meanwhile,
        "ms",
        &Limit::Measured(peace, "all answering"),
    );
    table.row("the same ratio beside what is asked for", meanwhile / peace, "x", &Limit::Asked(1.5));
}

/// Serves a key set to everybody, until it is told to hang for the first issuer.
async fn publisher(set: String) -> (Arc<std::sync::atomic::AtomicBool>, SocketAddr) {
    let hanging = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let hangs = Arc::clone(&hanging);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (set, hangs) = (set.clone(), Arc::clone(&hangs));
            tokio::spawn(async move {
                let mut head = vec![0; 4_096];
                let Ok(length) = stream.read(&mut head).await else { return };
                if head[..length].starts_with(b"GET /0 ") && hangs.load(std::sync::atomic::Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_mins(1)).await;
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{set}",
                    set.len()
                );
                // Who asked may be gone by now.
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    (hanging, address)
}
