//! Somebody else, who is to notice nothing (L7).

use std::time::{Duration, Instant};

use tokio::{sync::watch, task::JoinHandle};

use crate::{Tenant, samples, tenant::client};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// A request that takes longer is not served.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// A client that reads and writes one patient all the while.
pub struct Bystander {
    stop: watch::Sender<bool>,
    task: JoinHandle<Watched>,
}

/// What it saw.
#[derive(Debug, Default)]
pub struct Watched {
    /// Requests that were served.
    pub served: usize,
    /// Those that were not, and how they ended.
    pub failed: Vec<String>,
    /// The longest wait for an answer.
    pub slowest: Duration,
}

impl Bystander {
    /// A client of a tenant on a server within this process.
    pub fn of(tenant: &Tenant) -> Self {
        Self::at(tenant.base(), tenant.all())
    }

    /// A client of this base.
    pub fn at(base: String, token: String) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(watch(base, token, stopped)) }
    }

    /// Ends, and tells what it saw.
    pub async fn ends(self) -> Watched {
        self.stop.send_replace(true);
        self.task.await.expect("it does not panic")
    }
}

impl Watched {
    /// Panics unless it was served all the time, no answer later than this.
    #[track_caller]
    pub fn undisturbed(&self, within: Duration, what: &str) {
        assert!(self.failed.is_empty(), "{what}: somebody else was not served: {:?}", self.failed);
        assert!(self.served > 0, "{what}: nobody looked");
        assert!(self.slowest < within, "{what}: somebody else waited {:?}", self.slowest);
    }
}

async fn watch(base: String, token: String, stopped: watch::Receiver<bool>) -> Watched {
    let mut watched = Watched::default();
    let url = format!("{base}/Patient/bystander");
    for number in 0.. {
        if *stopped.borrow() {
            break;
        }
        let request = match number % 3 {
            0 => client().put(&url).body(samples::patient("bystander", "Family").to_string()),
            1 => client().get(&url),
            _ => client().get(format!("{base}/Patient?family=Family")),
        };
        let request = request.bearer_auth(&token).header("content-type", "application/fhir+json");
        let began = Instant::now();
        match tokio::time::timeout(SERVED_WITHIN, request.send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => watched.served += 1,
            Ok(Ok(answer)) => watched.failed.push(answer.status().to_string()),
            Ok(Err(error)) => watched.failed.push(error.to_string()),
            Err(_) => watched.failed.push(format!("no answer within {SERVED_WITHIN:?}")),
        }
        watched.slowest = watched.slowest.max(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    watched
}
