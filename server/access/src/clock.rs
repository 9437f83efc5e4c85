//! Time as a parameter, so that expiry can be tested to the second.

use chrono::{DateTime, Utc};

/// Tells the time: the system's in the server, one that stands still in tests.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}
