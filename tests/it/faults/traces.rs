//! E31: a collector of traces that is down, silent, or slow.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use vitals_tests::{
    program::{Outside, STOPS_WITHIN},
    samples,
    tenant::client,
};

/// Requests of each row.
const REQUESTS: usize = 400;
/// How long any of them may take on a busy machine: an export that waits would take ten.
const AT_MOST: Duration = Duration::from_secs(4);
/// How much more memory spans on their way may take.
const MEMORY: usize = 48 * 1024 * 1024;

/// What the collector is like.
#[derive(Clone, Copy)]
enum Collector {
    /// Nobody listens there.
    Down,
    /// It takes connections and never reads nor answers.
    Silent,
    /// It takes a kilobyte a second.
    Slow,
}

/// Its address, for as long as the test goes on.
async fn start(collector: Collector) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut open: Vec<TcpStream> = Vec::new();
        loop {
            match collector {
                Collector::Down => return,
                Collector::Silent => match listener.accept().await {
                    Ok((stream, _)) => open.push(stream),
                    Err(_) => return,
                },
                Collector::Slow => {
                    let Ok((mut stream, _)) = listener.accept().await else { return };
                    tokio::spawn(async move {
                        let mut piece = [0; 100];
                        while stream.read_exact(&mut piece).await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    });
                }
            }
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e31_a_collector_that_is_away_or_slow_is_noticed_by_nobody() {
    let outside = Outside::fresh().await;
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let name = outside.tenants(1).await.remove(0);
    let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.cruds"]).await.expect(0);
    let token = token.stdout.trim().to_owned();
    for (what, collector) in [
        ("E31 a collector that is down", Collector::Down),
        ("E31 a collector that says nothing", Collector::Silent),
        ("E31 a collector that is slow", Collector::Slow),
    ] {
        let url = start(collector).await;
        let program = program.clone().with("OTEL_EXPORTER_OTLP_ENDPOINT", &url).with("OTEL_BSP_SCHEDULE_DELAY", "100");
        let server = program.serve().await;
        let base = format!("{}/t/{name}/fhir", server.url);
        let (files, memory) = (regular(&server.process.files()), server.process.memory());
        let mut slowest = Duration::ZERO;
        for number in 0..REQUESTS {
            let url = format!("{base}/Patient/p{}", number % 7);
            let request = if number % 2 == 0 {
                client().put(&url).body(samples::patient(&format!("p{}", number % 7), "Family").to_string())
            } else {
                client().get(&url)
            };
            let request = request.bearer_auth(&token).header("content-type", "application/fhir+json");
            let began = Instant::now();
            let answer = request.send().await.expect("the server answers");
            assert!(answer.status().is_success() || answer.status() == 404, "{what}: {}", answer.status());
            slowest = slowest.max(began.elapsed());
        }
        println!("{what}: slowest {slowest:?}");
        assert!(slowest < AT_MOST, "{what}: {slowest:?}");
        // Spans are kept in memory, some thousand of them, and never on a disk.
        let grown = server.process.memory().saturating_sub(memory);
        assert!(grown < MEMORY, "{what}: {grown} bytes more");
        assert_eq!(regular(&server.process.files()), files, "{what}: files that were not open before");
        // Nor does it keep the server from stopping.
        server.process.terminate();
        let ran = server.process.end(STOPS_WITHIN).await.expect(0);
        assert!(!ran.stderr.contains("Family"), "{what}");
    }
}

/// Those that are files on a disk.
fn regular(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    files.iter().filter(|path| path.starts_with("/") && !path.starts_with("/dev") && path.exists()).cloned().collect()
}
