//! H01 to H04: clients that take their time. Each is closed within its limit, and a good client is served all the while.
//! How long that one waits is measured in the bench.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use vitals_tests::{Answer, Bystander, Options, Server, Tenant, checker::Watched, cluster, poll, tenant::client};

use super::FHIR;

/// Between two bytes.
const DRIP: Duration = Duration::from_millis(700);
/// How much later than its limit a connection may be seen to be closed: the machine is busy with other tests.
const LATE: Duration = Duration::from_secs(8);
/// Clients of each kind.
const CLIENTS: usize = 12;
/// Clients that say nothing.
const SILENT: usize = 500;
/// Limits of a head, of a body, of an answer that nobody takes (DESIGN, section 5).
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
const STALLED: Duration = Duration::from_secs(30);
/// How long a good client may wait on such a machine.
const PATIENCE: Duration = Duration::from_secs(5);

async fn served() -> (&'static Server, Tenant, Tenant) {
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    (server, Tenant::on(server).await, Tenant::on(server).await)
}

/// Sends a beginning, then a piece again and again, until the other side closes: how long that took, and what it said.
async fn drip(address: String, first: String, piece: String) -> (Duration, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let began = Instant::now();
    stream.write_all(first.as_bytes()).await.expect("it is sent");
    let (mut received, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match tokio::time::timeout(DRIP, stream.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => received.extend_from_slice(&buffer[..read]),
            Ok(Ok(0) | Err(_)) => break,
            Err(_) => {
                if !piece.is_empty() && stream.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
        assert!(began.elapsed() < BODY + BODY, "nobody closes it: {first}");
    }
    (began.elapsed(), String::from_utf8_lossy(&received).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_are_closed_within_their_limits_and_nobody_else_waits() {
    let (server, tenant, other) = served().await;
    let address = server.url.strip_prefix("http://").expect("plain http").to_owned();
    let post = |length: &str| {
        format!(
            "POST /t/{}/fhir/Patient HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {FHIR}\r\n{length}\r\n",
            tenant.name,
            tenant.all(),
        )
    };
    let bystander = Bystander::of(&other);
    let mut clients = JoinSet::new();
    for (label, begin, piece, limit, status) in [
        ("H01 a head byte by byte", "GET /healthz HTTP/1.1\r\nhost: x\r\nx: ".to_owned(), "a", HEAD, ""),
        ("H01 a head line by line", "GET /healthz HTTP/1.1\r\nhost: x\r\n".to_owned(), "x: a\r\n", HEAD, ""),
        ("H01 a request line byte by byte", "GET /".to_owned(), "a", HEAD, ""),
        ("H01 empty lines before a request", "\r\n".to_owned(), "\r\n", HEAD, ""),
        ("H01 a preface of HTTP/2 and no more", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "", HEAD, ""),
        (
            "H01 a second head byte by byte",
            "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /".to_owned(),
            "a",
            HEAD,
            "200",
        ),
        ("H02 a body byte by byte", post("content-length: 100000\r\n"), " ", BODY, "408"),
        ("H02 chunk by chunk", post("transfer-encoding: chunked\r\n"), "1\r\n \r\n", BODY, "408"),
        ("H02 a body that does not begin", post("content-length: 10\r\n"), "", BODY, "408"),
        ("H02 a chunk's size byte by byte", post("transfer-encoding: chunked\r\n"), "0", BODY, ""),
    ] {
        for _ in 0..CLIENTS {
            let (address, begin) = (address.clone(), begin.clone());
            clients.spawn(async move { (label, limit, status, drip(address, begin, piece.to_owned()).await) });
        }
    }
    while let Some(ended) = clients.join_next().await {
        let (label, limit, status, (took, said)) = ended.expect("a client ends");
        assert!(took < limit + LATE, "{label}: closed after {took:?}");
        assert!(status.is_empty() || said.starts_with(&format!("HTTP/1.1 {status} ")), "{label}: {said}");
        assert!(said.matches("HTTP/1.1 ").count() <= 1 && !said.contains("\r\n\r\nHTTP"), "{label}: {said}");
    }
    undisturbed(&bystander.ends().await, "H01 and H02");
}

fn undisturbed(watched: &Watched, what: &str) {
    println!("{what}: {} requests of somebody else's, the slowest {:?}", watched.served, watched.slowest);
    watched.undisturbed(PATIENCE, what);
}

/// How many connections the server closed so far because nobody took what it wrote.
async fn stalled(server: &Server) -> usize {
    let page = Answer::of(client().get(format!("{}/metrics", server.operator_url))).await.expect(200).body;
    let name = "vitals_connection_failures_total{reason=\"stalled\"} ";
    page.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).expect("the figure is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h03_who_does_not_read_a_large_bundle_is_closed_and_nobody_else_waits() {
    // More than the kernel keeps for a connection on loopback.
    const RESOURCES: usize = 1_000;
    const READERS: usize = 8;
    let (server, tenant, other) = served().await;
    let entry = |number: usize| {
        let id = format!("slow-{number}");
        json!({
            "resource": { "resourceType": "Patient", "id": id, "address": [{ "text": "x".repeat(6_000) }] },
            "request": { "method": "PUT", "url": format!("Patient/{id}") },
        })
    };
    let entries: Vec<_> = (0..RESOURCES).map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string();
    tenant.post("", &tenant.all(), &bundle).await.expect(200);
    let page = tenant.get(&format!("Patient?_count={RESOURCES}"), &tenant.all()).await.expect(200);
    assert!(page.body.len() > 5_000_000, "{} bytes", page.body.len());

    let bystander = Bystander::of(&other);
    let before = stalled(server).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a socket's option");
        let mut stream = socket.connect(server.address).await.expect("the server accepts connections");
        let head = format!(
            "GET /t/{}/fhir/Patient?_count={RESOURCES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            tenant.name,
            tenant.all()
        );
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        readers.push(stream);
    }
    // Who does not read does not see the end either: the server says whom it let go of.
    poll::within(STALLED + LATE + LATE, "they are closed", async || stalled(server).await >= before + READERS).await;
    drop(readers);
    undisturbed(&bystander.ends().await, "H03");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h04_five_hundred_connections_that_say_nothing_are_closed_and_nobody_else_waits() {
    let (server, _, other) = served().await;
    let bystander = Bystander::of(&other);
    let mut clients = JoinSet::new();
    for _ in 0..SILENT {
        let address = server.address;
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
            let began = Instant::now();
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(HEAD + LATE, stream.read_to_end(&mut rest)).await;
            (closed.is_ok(), began.elapsed())
        });
    }
    let mut open = Vec::new();
    while let Some(ended) = clients.join_next().await {
        let (closed, took) = ended.expect("a client ends");
        if !closed {
            open.push(took);
        }
    }
    assert!(open.is_empty(), "{} of {SILENT} open after {:?}", open.len(), open.first());
    undisturbed(&bystander.ends().await, "H04");
}
