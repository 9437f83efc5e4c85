//! Full TLS handshakes with a client certificate, none of them resumed: how many a second, and what each costs. Beside
//! ours stands OpenSSL's own server with the same certificates, asked by the same clients in the same minute; it serves
//! one connection at a time, which on two cores that the clients share costs it little.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rustls::{ClientConfig, SupportedProtocolVersion, client::Resumption, pki_types::ServerName, version};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use vitals_server::config::{ClientAuth, TlsFiles};
use vitals_tests::pki::{self, Authority};

use crate::{
    process,
    program::{Folder, Program},
    table::{Limit, Table},
};

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Clients at a time.
const CLIENTS: usize = 8;
/// What the project asks of itself.
const ASKED: f64 = 300.0;

/// Runs the part.
pub async fn run(program: &Program, folder: &Folder, table: &mut Table) {
    let (kept, servers, clients) = (pki::Folder::default(), Authority::named("Servers"), Authority::named("Clients"));
    let files = kept.server_with(&servers.server(), &clients, ClientAuth::Required, None);
    let holder = clients.client("bench");
    let (shown, key) = (kept.write("client.pem", &holder.pem()), kept.write("client.key", &holder.key_pem()));
    let trusted = kept.write("servers.pem", &servers.pem());
    let authorities = files.clients.as_ref().map(|clients| clients.certificates.display().to_string());
    let authorities = authorities.expect("they were written");
    let (certificate, private) = (files.certificate.display().to_string(), files.key.display().to_string());
    let options = ["--tls-cert", &certificate, "--tls-key", &private, "--tls-client-ca", &authorities];
    let ours = program.start_with(folder, "serve", &options);
    let theirs = OpenSsl::serve(&files, &authorities);
    for (version, label) in [(&version::TLS13, "TLS 1.3"), (&version::TLS12, "TLS 1.2")] {
        let config = config(&servers, &holder, version);
        let (found, cost) = measured(ours.public, ours.process(), "/healthz", &config).await;
        let (limit, their_cost) = measured(theirs.address, theirs.child.id(), "/", &config).await;
        let of = format!("handshakes with client certificates, {label}");
        table.row(&of, found, "/s", &Limit::Asked(ASKED));
        table.row(&of, found, "/s", &Limit::Measured(limit, "openssl s_server"));
        let of = format!("processor time of each, {label}");
        table.row(&of, cost, "ms", &Limit::Measured(their_cost, "openssl s_server"));
    }
    let by_openssl = |address: SocketAddr, path: &str| {
        let mut command = Command::new("openssl");
        command.args(["s_time", "-new", "-time", &MEASURED.as_secs().to_string(), "-connect", &address.to_string()]);
        command.args(["-www", path, "-tls1_3", "-CAfile"]).arg(&trusted).arg("-cert").arg(&shown).arg("-key").arg(&key);
        connections(&String::from_utf8_lossy(&command.output().expect("openssl can be run").stdout))
    };
    let (found, limit) = (by_openssl(ours.public, "/healthz"), by_openssl(theirs.address, "/"));
    table.row(
        "the same by openssl s_time, one client, TLS 1.3",
        found,
        "/s",
        &Limit::Measured(limit, "openssl s_server"),
    );
    ours.stop();
}

fn config(servers: &Authority, holder: &pki::Holder, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut config = servers.config(Some(holder), &[version]);
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Handshakes a second, each with a short request behind it so that both sides are through, and what the server needed
/// for one in milliseconds of processor time.
async fn measured(address: SocketAddr, process: u32, path: &'static str, config: &Arc<ClientConfig>) -> (f64, f64) {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (began, before) = (Instant::now(), process::time_of(process));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (stop, count, connector) = (Arc::clone(&stop), Arc::clone(&count), TlsConnector::from(Arc::clone(config)));
        clients.spawn(async move {
            while !stop.load(Relaxed) {
                one(address, path, &connector).await;
                count.fetch_add(1, Relaxed);
            }
        });
    }
    tokio::time::sleep(MEASURED).await;
    stop.store(true, Relaxed);
    clients.join_all().await;
    let (took, needed) = (began.elapsed(), process::time_of(process).saturating_sub(before));
    let count = f64::from(count.load(Relaxed));
    (count / took.as_secs_f64(), needed.as_secs_f64() * 1e3 / count)
}

async fn one(address: SocketAddr, path: &str, connector: &TlsConnector) {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    // The request follows the handshake's last words at once, and must not wait until these are acknowledged.
    stream.set_nodelay(true).expect("a socket's option");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = connector.connect(name, stream).await.expect("a handshake");
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut received = Vec::new();
    // OpenSSL's server closes without a word of farewell.
    let _unannounced = stream.read_to_end(&mut received).await;
    assert!(received.starts_with(b"HTTP/1."), "an answer");
}

/// The sentence of `openssl s_time` as connections a second.
fn connections(said: &str) -> f64 {
    let line = said.lines().find(|line| line.contains("real seconds")).expect("it says how many");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let (Some(count), Some(seconds)) = (numbers.next(), numbers.next()) else { panic!("{line}") };
    count / seconds
}

/// OpenSSL's own server.
struct OpenSsl {
    child: Child,
    address: SocketAddr,
}

impl OpenSsl {
    fn serve(files: &TlsFiles, authorities: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &address.to_string(), "-www", "-quiet", "-num_tickets", "0", "-no_ticket"])
            .args(["-Verify", "2", "-verify_return_error", "-CAfile", authorities])
            .arg("-cert")
            .arg(&files.certificate)
            .arg("-key")
            .arg(&files.key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl can be run");
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "openssl s_server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
