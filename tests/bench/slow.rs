//! Attack H04: five hundred connections at once that take their time, in each of the ways there are. What is measured is
//! how long a good client waits meanwhile, and when the last of the slow ones is let go of.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    connection::{Connection, request},
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

/// Connections of the attack.
const CLIENTS: usize = 500;
/// Of these, who do not read: fewer, because each must be sent more than the kernel keeps for it, which is 2.6 MB on
/// loopback (ten segments of 64 kB, twice, and what they cost); less is out of the server's hands at once.
const READERS: usize = 60;
/// Between two bytes of theirs.
const DRIP: Duration = Duration::from_secs(5);
/// How long the good client is measured, in peace and under attack.
const MEASURED: Duration = Duration::from_secs(8);
/// How much later than its limit a connection may be seen to be closed: the machine is busy.
const LATE: Duration = Duration::from_secs(5);
/// Resources on the page that is read slowly, and the bytes of each.
const PAGE: usize = 1_000;
const RESOURCE: usize = 5_000;
const TENANT: &str = "slow";

/// A way to be slow, and after how long the server has enough (DESIGN, section 5).
#[derive(Clone, Copy)]
struct Mode {
    label: &'static str,
    way: Way,
    clients: usize,
    limit: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Sends a head, byte by byte.
    Head,
    /// Sends a body, byte by byte.
    Body,
    /// Does not read its answer.
    Reading,
    /// Says nothing at all.
    Silence,
    /// Says nothing more after a request.
    Rest,
}

const MODES: [Mode; 5] = [
    Mode { label: "H04 slow heads", way: Way::Head, clients: CLIENTS, limit: Duration::from_secs(10) },
    Mode { label: "H04 slow bodies", way: Way::Body, clients: CLIENTS, limit: Duration::from_secs(30) },
    Mode { label: "H04 slow readers", way: Way::Reading, clients: READERS, limit: Duration::from_secs(30) },
    Mode { label: "H04 silence", way: Way::Silence, clients: CLIENTS, limit: Duration::from_secs(10) },
    Mode { label: "H04 rest", way: Way::Rest, clients: CLIENTS, limit: Duration::from_secs(75) },
];

/// Runs it.
pub async fn run(program: &Program, folder: &Folder, server: &Serving, table: &mut Table) {
    program.run(folder, &["tenant", "create", TENANT]);
    let (_, token) = program.run(folder, &["token", "--tenant", TENANT, "--scope", "system/*.cruds"]);
    let authorization = format!("Bearer {token}");
    let base = format!("/t/{TENANT}/fhir");
    let mut connection = Connection::open(server.public).await;
    let written = connection.exchange(&request("POST", &base, &authorization, Some(&page()))).await;
    assert_eq!(written.0, 200, "the page is written");
    let read = request("GET", &format!("{base}/Patient/slow-0"), &authorization, None);
    let search = request("GET", &format!("{base}/Patient?_count={PAGE}"), &authorization, None);
    let (status, length) = connection.exchange(&search).await;
    assert_eq!((status, length > PAGE * RESOURCE), (200, true), "there is a page to read slowly");

    for mode in MODES {
        let peace = good_client(server.public, &read).await;
        let first = match mode.way {
            // It ends within the token, which grows by blanks.
            Way::Head => read[..read.len() - 40].to_vec(),
            Way::Body => {
                let head = request("POST", &format!("{base}/Patient"), &authorization, Some(&" ".repeat(1_000)));
                head[..head.len() - 1_000].to_vec()
            }
            Way::Reading => search.clone(),
            Way::Silence => Vec::new(),
            Way::Rest => read.clone(),
        };
        let stalled = stalled(server).await;
        let began = Instant::now();
        let deadline = began + mode.limit + LATE;
        let mut clients = JoinSet::new();
        let ending = Arc::new(AtomicBool::new(false));
        for _ in 0..mode.clients {
            clients.spawn(slow_client(server.public, mode.way, first.clone(), deadline, Arc::clone(&ending)));
        }
        let attacked = good_client(server.public, &read).await;
        table.row(&format!("{}: 99th of 100 in peace", mode.label), peace, "ms", &Limit::None);
        table.row(&format!("{}: the same under attack", mode.label), attacked, "ms", &Limit::Asked(2.0 * peace));
        let (open, last) = if mode.way == Way::Reading {
            // Who does not read does not see the end either; the server says what it let go of.
            let mut open = mode.clients;
            while open > 0 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(200)).await;
                open = mode.clients.saturating_sub(self::stalled(server).await - stalled);
            }
            let last = began.elapsed();
            ending.store(true, Ordering::Relaxed);
            while clients.join_next().await.is_some() {}
            (open, last)
        } else {
            let mut closed = Vec::new();
            while let Some(client) = clients.join_next().await {
                closed.extend(client.expect("a client ends"));
            }
            let last = closed.iter().max().map_or_else(Duration::default, |closed| *closed - began);
            (mode.clients - closed.len(), last)
        };
        let limit = Limit::Asked((mode.limit + LATE).as_secs_f64());
        table.row(&format!("{}: the last is closed after", mode.label), last.as_secs_f64(), "s", &limit);
        assert_eq!(open, 0, "{}: connections that are still open", mode.label);
    }
    table.row("memory of serve after all this", server.memory(), "MB", &Limit::None);
}

/// The patients of the page.
fn page() -> String {
    let entry = |number: usize| {
        let id = format!("slow-{number}");
        let address = "x".repeat(RESOURCE);
        serde_json::json!({
            "resource": { "resourceType": "Patient", "id": id, "address": [{ "text": address }] },
            "request": { "method": "PUT", "url": format!("Patient/{id}") },
        })
    };
    let entries: Vec<_> = (0..PAGE).map(entry).collect();
    serde_json::json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string()
}

/// How long a client that does nothing wrong waits for a read: the 99th of a hundred, in milliseconds.
async fn good_client(address: SocketAddr, read: &[u8]) -> f64 {
    let mut connection = Connection::open(address).await;
    let (began, mut samples) = (Instant::now(), Samples::default());
    while began.elapsed() < MEASURED {
        let sent = Instant::now();
        assert_eq!(connection.exchange(read).await.0, 200, "a good client is served");
        samples.add(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    samples.percentile(99)
}

/// How many connections the server closed so far because nobody took what it wrote.
async fn stalled(server: &Serving) -> usize {
    // The operator's listener answers to its own name alone.
    let ask = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\n\r\n", server.operator);
    let page = Connection::open(server.operator).await.ask(ask.as_bytes()).await.body;
    let name = "vitals_connection_failures_total{reason=\"stalled\"} ";
    let figure = page.lines().find_map(|line| line.strip_prefix(name)).expect("the figure is there");
    figure.parse().expect("a number")
}

/// One slow client: when it was closed, if it was.
async fn slow_client(
    address: SocketAddr,
    way: Way,
    first: Vec<u8>,
    deadline: Instant,
    ending: Arc<AtomicBool>,
) -> Option<Instant> {
    let mut stream = open(address, way).await;
    if stream.write_all(&first).await.is_err() {
        return Some(Instant::now());
    }
    let mut buffer = [0; 4_096];
    let mut next = Instant::now() + DRIP;
    loop {
        if Instant::now() >= deadline || ending.load(Ordering::Relaxed) {
            return None;
        }
        if way == Way::Reading {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        match tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await {
            // An answer, perhaps that it took too long.
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Some(Instant::now()),
            Err(_) => {
                if matches!(way, Way::Head | Way::Body) && Instant::now() >= next {
                    next += DRIP;
                    if stream.write_all(b" ").await.is_err() {
                        return Some(Instant::now());
                    }
                }
            }
        }
    }
}

/// Connects; who means to read slowly has little room for what comes.
async fn open(address: SocketAddr, way: Way) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if way == Way::Reading {
        socket.set_recv_buffer_size(4_096).expect("a socket's option");
    }
    socket.connect(address).await.expect("the server accepts connections")
}
