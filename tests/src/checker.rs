//! Whether anything was lost: what callers sent and were answered, kept on their side, against what stands when a fault
//! is over.
//!
//! The rules are seven. L1: what was acknowledged can be read, in the same version and bytes. L2: what was refused is
//! not there, what nobody knows of is there once and whole, or not at all. L3: transactions are there whole or not at
//! all. L4: versions have no gap and no repeat, and their times ascend. L5: an acknowledged write and a disclosed read
//! have one record in the trail, a version one write. L6: nothing stands in a foreign schema. L7: others are served,
//! which a [`Bystander`] sees to.

mod bystander;
mod caller;
mod crowd;
mod found;
mod judge;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

pub use bystander::{Bystander, Watched};
pub use caller::Caller;
pub use crowd::Crowd;
pub use found::{Found, Place, Standing};

/// Records that were given up on their way are looked for after fifteen seconds, those of a dead process after eight.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at everything.
const PAUSE: Duration = Duration::from_millis(500);

/// What a request did, as far as its caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done: this version, and the body of the answer where all of it came.
    Acknowledged {
        /// The resource's id.
        id: String,
        /// Its version.
        version: i64,
        /// The text of the answer.
        body: Option<String>,
        /// What the trail knows the request by.
        request: String,
    },
    /// It was refused with a status below 500.
    Refused(u16),
    /// No answer, or one of 500 and more.
    Unknown,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new version with the mark.
    Write,
    /// The same, as one of the entries of this transaction.
    Entry(usize),
    /// A deletion.
    Delete,
    /// A read.
    Read,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it asked for.
    pub asked: Asked,
    /// The type of the resource.
    pub kind: &'static str,
    /// Stands in what was written, and nowhere else.
    pub mark: String,
    /// What was written; null for a read or a deletion.
    pub content: Value,
    /// What became of it.
    pub outcome: Outcome,
}

/// The callers' side.
#[derive(Debug)]
pub struct Checker {
    /// Begins its marks: no other checker's begin so.
    name: String,
    sent: Mutex<Vec<Sent>>,
    marks: AtomicUsize,
    transactions: AtomicUsize,
}

impl Default for Checker {
    fn default() -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        Self { name, sent: Mutex::default(), marks: AtomicUsize::new(0), transactions: AtomicUsize::new(0) }
    }
}

impl Checker {
    /// Notes a request and what became of it.
    pub fn note(&self, sent: Sent) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }

    /// Everything that was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests were acknowledged, and how many ended in nothing that their caller knows of.
    pub fn count(&self) -> (usize, usize) {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |wanted: fn(&Outcome) -> bool| sent.iter().filter(|sent| wanted(&sent.outcome)).count();
        (of(|outcome| matches!(outcome, Outcome::Acknowledged { .. })), of(|outcome| *outcome == Outcome::Unknown))
    }

    fn mark(&self) -> String {
        format!("mark-{}-{}", self.name, self.marks.fetch_add(1, Ordering::Relaxed))
    }

    fn transaction(&self) -> usize {
        self.transactions.fetch_add(1, Ordering::Relaxed)
    }

    /// Looks at what stands, again and again until nothing is against the rules: the trail may follow a fault by some
    /// seconds.
    ///
    /// # Panics
    /// When something still is after a minute, with all of it.
    pub async fn nothing_is_lost(&self, place: &Place, what: &str) {
        let (began, sent) = (Instant::now(), self.sent());
        loop {
            let mut found = Found::at(place, &sent).await;
            let mut breaches = judge::breaches(&sent, &found);
            if breaches.is_empty() {
                // Texts do not change any more.
                found.read_texts(place, &sent).await;
                breaches = judge::breaches(&sent, &found);
                assert!(breaches.is_empty(), "{what}: {} breaches: {:#?}", breaches.len(), first(&breaches));
                return;
            }
            assert!(began.elapsed() < SETTLED_WITHIN, "{what}: {} breaches: {:#?}", breaches.len(), first(&breaches));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// As many as a person reads.
fn first(breaches: &[String]) -> &[String] {
    &breaches[..breaches.len().min(12)]
}
