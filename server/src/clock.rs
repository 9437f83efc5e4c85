//! The system's clock. The only place that asks the system for the time; everything else takes a
//! [`Clock`](vitals_access::clock::Clock), so that a test can stand at any moment.

use chrono::{DateTime, Utc};
use vitals_access::clock::Clock;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
