//! Hears everything that servers of a test run say about themselves, and knows what may never be in it: whatever tests
//! plant in patients' data, tokens and keys. A find fails whichever test looks next; [`Answer::of`](crate::Answer::of)
//! always looks, so no test has to think of it.
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

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Marks of the tests' patients: canaries, record numbers, names; the beginning of every token; and of keys.
const PLANTED: [&str; 6] = ["CANARY", "mrn-", "Lovelace", "eyJ", "PRIVATE KEY", "\"d\":\""];

static LINES: AtomicUsize = AtomicUsize::new(0);
static FINDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Ear;

impl io::Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        hear("a log line or a span", &String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to listen to this process. More than an operator sees is heard: our own lines of every level.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let heard = Targets::new().with_default(LevelFilter::WARN).with_target("vitals", LevelFilter::TRACE);
        let ear = fmt::layer().json().with_span_events(FmtSpan::CLOSE).with_writer(|| Ear).with_filter(heard);
        tracing_subscriber::registry().with(ear).init();
    });
}

/// Looks through a text.
pub(crate) fn hear(what: &str, text: &str) {
    LINES.fetch_add(text.lines().count(), Ordering::Relaxed);
    if let Some(find) = planted_in(text) {
        FINDS.lock().expect("nobody panicked").push(format!("{what} holds {find:?}: {text}"));
    }
}

/// What of that which tests plant stands in a text.
pub fn planted_in(text: &str) -> Option<&'static str> {
    PLANTED.into_iter().find(|planted| text.contains(planted))
}

/// How many lines were heard.
pub fn lines() -> usize {
    LINES.load(Ordering::Relaxed)
}

/// Panics when something was found.
pub fn silent() {
    let finds: Vec<String> = FINDS.lock().expect("nobody panicked").clone();
    assert!(finds.is_empty(), "{}", finds.join("\n"));
}
