//! A clock that tests can move.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use vitals_access::clock::Clock;
use vitals_server::clock::SystemClock;

/// The system's time plus what a test adds, or a time that stands still.
#[derive(Clone, Debug, Default)]
pub struct TestClock(Arc<Hands>);

#[derive(Debug, Default)]
struct Hands {
    added: AtomicI64,
    /// Milliseconds since 1970 at which the clock stands; 0 while it runs.
    stopped: AtomicI64,
}

impl TestClock {
    /// Moves the clock by so many seconds.
    pub fn advance(&self, seconds: i64) {
        self.0.added.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Stops the clock at a full second; only `advance` moves it from then on.
    pub fn stop(&self) {
        self.0.stopped.store(SystemClock.now().timestamp() * 1_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let stopped = DateTime::from_timestamp_millis(self.0.stopped.load(Ordering::SeqCst));
        let time = stopped.filter(|time| time.timestamp_millis() > 0).unwrap_or_else(|| SystemClock.now());
        time + TimeDelta::seconds(self.0.added.load(Ordering::SeqCst))
    }
}
