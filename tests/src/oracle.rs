//! Hears everything that servers of a test run say about themselves, and knows what may never be in it: whatever tests
//! plant in patients' data, tokens and keys. A find fails whichever test looks next; every answer that a test gets and
//! every tenant that it lets go of looks, so no test has to think of it.
//!
//! Heard are the log lines and closed spans (with all their fields, as a collector would get them) of servers in this
//! process, the standard error of every `vitals` process, and every metrics page that a test reads.

use std::{
    io,
    sync::{
        Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::Subscriber;
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Marks of the tests' patients: canaries, record numbers, names, their birthday; the beginning of every token; and of
/// private keys, as they are and as they stand within a JSON text.
const PLANTED: [&str; 8] = ["CANARY", "mrn-", "Lovelace", "1980-02-29", "eyJ", "PRIVATE KEY", "\"d\":\"", "\\\"d\\\":"];

/// What was heard, and what of it should not have been said.
#[derive(Debug, Default)]
pub struct Heard {
    lines: AtomicUsize,
    finds: Mutex<Vec<String>>,
}

static RUN: Heard = Heard { lines: AtomicUsize::new(0), finds: Mutex::new(Vec::new()) };

impl Heard {
    /// Looks through a text.
    pub fn hear(&self, what: &str, text: &str) {
        self.lines.fetch_add(text.lines().count(), Ordering::Relaxed);
        if let Some(find) = planted_in(text) {
            self.finds.lock().expect("nobody panicked").push(format!("{what} holds {find:?}: {text}"));
        }
    }

    /// How many lines were heard.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// What was found.
    pub fn finds(&self) -> Vec<String> {
        self.finds.lock().expect("nobody panicked").clone()
    }
}

struct Ear(&'static Heard);

impl io::Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.hear("a log line or a span", &String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What hears. More than an operator sees is heard: our own lines of every level.
pub fn subscriber(heard: &'static Heard) -> impl Subscriber + Send + Sync {
    let targets = Targets::new().with_default(LevelFilter::WARN).with_target("vitals", LevelFilter::TRACE);
    let ear = fmt::layer().json().with_span_events(FmtSpan::CLOSE).with_writer(move || Ear(heard)).with_filter(targets);
    tracing_subscriber::registry().with(ear)
}

/// Begins to listen to this process.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| subscriber(&RUN).init());
}

/// Looks through a text of this run's.
pub(crate) fn hear(what: &str, text: &str) {
    RUN.hear(what, text);
}

/// What of that which tests plant stands in a text.
pub fn planted_in(text: &str) -> Option<&'static str> {
    PLANTED.into_iter().find(|planted| text.contains(planted))
}

/// How many lines of this run were heard.
pub fn lines() -> usize {
    RUN.lines()
}

/// Panics when something was found.
pub fn silent() {
    let finds = RUN.finds();
    assert!(finds.is_empty(), "{}", finds.join("\n"));
}

/// Looks when it is dropped: the lines behind a test's last answer are heard too.
#[derive(Debug)]
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            silent();
        }
    }
}
