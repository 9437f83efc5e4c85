//! Attack R06: what a tenant notices of another that does too much. B reads and searches at a steady pace, alone; then
//! while A asks for ten times what it may; then while A runs the heaviest searches that it may. The hundredth of B's
//! requests that waits longest says it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    connection::{Connection, request},
    program::{Folder, Program},
    table::{Limit, Samples, Table},
};

/// How long B is measured, each time.
const MEASURED: Duration = Duration::from_secs(16);
/// In how many turns.
const TURNS: u32 = 8;
/// When a crowd is.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// B's connections, and how often each asks: a ward's monitors.
const QUIET: u32 = 4;
const PACE: Duration = Duration::from_millis(20);
/// What A may read in a second, and what it asks for.
const MAY: u32 = 100;
const ASKS: u32 = 1_000;
/// A's connections.
const NOISY: u32 = 64;
/// How many of them ask for the heaviest there is.
const HEAVY: u32 = 16;
/// Patients of each tenant, and Observations of each patient.
const PATIENTS: u32 = 20;
const EACH: u32 = 250;

/// Runs it.
pub async fn run(program: &Program, table: &mut Table) {
    let folder = Folder::make();
    let config = folder.path().join("limits.toml");
    std::fs::write(&config, format!("[tiers.small]\nread = {{ burst = {MAY}, sustained = {} }}\n", MAY * 60))
        .expect("a file can be written");
    let path = config.to_str().expect("a path is text");
    let server = program.start_with(&folder, "serve", &["--config", path]);
    let tenants: Vec<(String, String)> = ["noisy", "quiet"]
        .iter()
        .map(|name| {
            let tier = if *name == "noisy" { "small" } else { "default" };
            program.run(&folder, &["tenant", "create", name, "--tier", tier]);
            let (_, token) = program.run(&folder, &["token", "--tenant", name, "--scope", "system/*.cruds"]);
            (format!("/t/{name}/fhir"), format!("Bearer {token}"))
        })
        .collect();
    for (base, token) in &tenants {
        fill(server.public, base, token).await;
    }
    let (noisy, quiet) = (&tenants[0], &tenants[1]);
    let read = request("GET", &format!("{}/Patient/p1", quiet.0), &quiet.1, None);
    let search = format!("{}/Observation?patient=p1&code=8867-4&_sort=-date&_count=50", quiet.0);
    let search = request("GET", &search, &quiet.1, None);
    let over = request("GET", &format!("{}/Patient/p1", noisy.0), &noisy.1, None);
    let heavy = format!("{}/Observation?_count=1000&_sort=-date&_total=accurate", noisy.0);
    let heavy = request("GET", &heavy, &noisy.1, None);

    let crowds = [
        ("A at ten times its limit", &over, NOISY, Duration::from_secs(1) * NOISY / ASKS, 1.1),
        ("A's heaviest searches", &heavy, HEAVY, Duration::from_micros(1), 1.5),
    ];
    // Nobody is measured cold.
    steady(server.public, &read, MEASURED).await;
    for (what, asked) in [("read", &read), ("search", &search)] {
        let mut alone = Samples::default();
        let mut beside = [(Samples::default(), 0, 0), (Samples::default(), 0, 0)];
        // They take turns, so that what the neighbours of a shared machine do is done to all.
        for _ in 0..TURNS {
            alone.append(steady(server.public, asked, MEASURED / TURNS).await);
            for ((_, of, connections, every, _), (samples, good, refused)) in crowds.iter().zip(&mut beside) {
                let crowd = Crowd::of(server.public, of, *connections, *every);
                tokio::time::sleep(UNDER_WAY).await;
                samples.append(steady(server.public, asked, MEASURED / TURNS).await);
                let (answered, not) = crowd.ends();
                *good += answered;
                *refused += not;
            }
        }
        let alone = [50, 99].map(|percent| alone.percentile(percent));
        table.row(&format!("R06 B's {what}, p99, alone (p50 {:.2} ms)", alone[0]), alone[1], "ms", &Limit::None);
        for ((how, .., allowed), (samples, good, refused)) in crowds.iter().zip(&beside) {
            let name =
                format!("R06 the same, {how} ({good} answered, {refused} not; p50 {:.2} ms)", samples.percentile(50));
            table.row(&name, samples.percentile(99), "ms", &Limit::Asked(alone[1] * allowed));
        }
    }
    server.stop();
}

/// How long B's requests take; none of them is refused.
async fn steady(address: SocketAddr, asked: &[u8], period: Duration) -> Samples {
    let tasks: Vec<_> = (0..QUIET)
        .map(|_| {
            let asked = asked.to_vec();
            tokio::spawn(async move {
                let (mut connection, mut samples) = (Connection::open(address).await, Samples::default());
                let end = Instant::now() + period;
                while Instant::now() < end {
                    let began = Instant::now();
                    let (status, _) = connection.exchange(&asked).await;
                    samples.add(began.elapsed());
                    assert_eq!(status, 200, "B is never refused");
                    tokio::time::sleep(PACE).await;
                }
                samples
            })
        })
        .collect();
    let mut samples = Samples::default();
    for task in tasks {
        samples.append(task.await.expect("B is served"));
    }
    samples
}

/// A's requests, until they are ended: on a thread of their own, as they would be on another machine.
struct Crowd {
    ending: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(u64, u64)>,
}

impl Crowd {
    /// Each connection asks so often, or as soon as it was answered where that is later.
    fn of(address: SocketAddr, asked: &[u8], connections: u32, every: Duration) -> Self {
        let (ending, asked): (_, Arc<[u8]>) = (Arc::new(AtomicBool::new(false)), asked.into());
        let until = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let tasks: Vec<_> = (0..connections)
                    .map(|number| {
                        let first = tokio::time::Instant::now() + every * number / connections;
                        tokio::spawn(one_of_crowd(address, Arc::clone(&asked), first, every, Arc::clone(&until)))
                    })
                    .collect();
                let mut all = (0, 0);
                for task in tasks {
                    let (good, refused) = task.await.expect("A is answered, one way or the other");
                    all = (all.0 + good, all.1 + refused);
                }
                all
            })
        });
        Self { ending, thread }
    }

    /// How many were answered, and how many were not.
    fn ends(self) -> (u64, u64) {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().expect("A is answered, one way or the other")
    }
}

async fn one_of_crowd(
    address: SocketAddr,
    asked: Arc<[u8]>,
    first: tokio::time::Instant,
    every: Duration,
    ending: Arc<AtomicBool>,
) -> (u64, u64) {
    let mut ticks = tokio::time::interval_at(first, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut connection, mut good, mut refused) = (Connection::open(address).await, 0, 0);
    while !ending.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (status, _) = connection.exchange(&asked).await;
        assert!(matches!(status, 200 | 429 | 503), "{status}");
        *(if status == 200 { &mut good } else { &mut refused }) += 1;
    }
    (good, refused)
}

async fn fill(address: SocketAddr, base: &str, token: &str) {
    let mut connection = Connection::open(address).await;
    for patient in 0..PATIENTS {
        let mut entries = vec![put(&json!({ "resourceType": "Patient", "id": format!("p{patient}") }))];
        entries.extend((0..EACH).map(|number| {
            put(&json!({
                "resourceType": "Observation",
                "id": format!("o{patient}-{number}"),
                "status": "final",
                "category": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs",
                }] }],
                "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
                "subject": { "reference": format!("Patient/p{patient}") },
                "effectiveDateTime": format!("2026-01-{:02}T{:02}:00:00Z", 1 + number % 28, number / 28),
                "valueQuantity": {
                    "value": 60 + number % 40, "unit": "beats/minute",
                    "system": "http://unitsofmeasure.org", "code": "/min",
                },
            }))
        }));
        let body = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string();
        let answer = connection.ask(&request("POST", base, token, Some(&body))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

fn put(resource: &Value) -> Value {
    let url = format!(
        "{}/{}",
        resource["resourceType"].as_str().unwrap_or_default(),
        resource["id"].as_str().unwrap_or_default()
    );
    json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
}
