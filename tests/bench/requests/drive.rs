//! Load over HTTP: so many connections, each of which asks as soon as it has its answer.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{connection::Connection, process, table::Samples};

/// Requests before the measurement, and in it.
const WARM: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone)]
pub struct Load {
    /// Where.
    pub address: SocketAddr,
    /// The process that answers.
    pub process: u32,
    /// The requests, in turn.
    pub requests: Arc<Vec<Vec<u8>>>,
    /// The status of a good answer.
    pub good: u16,
}

/// How it went.
#[derive(Default)]
pub struct Driven {
    /// Good answers a second.
    pub rate: f64,
    /// How long they took.
    pub latencies: Samples,
    /// Good answers altogether, those of the warm-up too.
    pub good: u32,
    /// Other answers altogether, and the status of one.
    pub bad: u32,
    pub status: u16,
    /// Processor time of the server and of the database for each good answer.
    pub server: Duration,
    pub database: Duration,
}

/// Asks, and measures.
pub async fn drive(load: &Load, connections: u16, folder: &Path) -> Driven {
    let began = Instant::now();
    let tasks: Vec<_> = (0..connections).map(|number| tokio::spawn(ask(load.clone(), number, began))).collect();
    let times = || (process::time_of(load.process), process::time_of_cluster(folder));
    tokio::time::sleep_until((began + WARM).into()).await;
    let before = times();
    tokio::time::sleep_until((began + WARM + MEASURED).into()).await;
    let after = times();
    let mut all = Driven::default();
    for task in tasks {
        let one = task.await.expect("a connection is served to its end");
        all.latencies.append(one.latencies);
        all.good += one.good;
        all.bad += one.bad;
        all.status = all.status.max(one.status);
    }
    let count = all.latencies.count().max(1);
    all.rate = f64::from(all.latencies.count()) / MEASURED.as_secs_f64();
    all.server = after.0.saturating_sub(before.0) / count;
    all.database = after.1.saturating_sub(before.1) / count;
    all
}

async fn ask(load: Load, number: u16, began: Instant) -> Driven {
    let mut connection = Connection::open(load.address).await;
    let mut all = Driven::default();
    let mut at = usize::from(number) * 61;
    while began.elapsed() < WARM + MEASURED {
        at = (at + 1) % load.requests.len();
        let sent = Instant::now();
        let (status, _) = connection.exchange(&load.requests[at]).await;
        let since = began.elapsed();
        if status == load.good {
            all.good += 1;
            if since >= WARM && since < WARM + MEASURED {
                all.latencies.add(sent.elapsed());
            }
        } else {
            all.bad += 1;
            all.status = status;
        }
    }
    all
}
