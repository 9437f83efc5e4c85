//! The test harness: one PostgreSQL and one server a run, a fresh tenant a test, really signed tokens, real HTTP.
//!
//! Tests share nothing but the server: each makes its own tenants and sees only those. What needs a clock of its own,
//! another database or a small pool starts a [`Server`] of its own with [`Server::start`].

#![allow(clippy::missing_panics_doc, clippy::return_self_not_must_use, reason = "to panic is how a test fails")]

pub mod answer;
pub mod ask;
pub mod browser;
pub mod chance;
pub mod checker;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod examples;
pub mod forge;
pub mod grants;
pub mod http2;
pub mod issuer;
pub mod ledger;
pub mod oauth;
pub mod oracle;
pub mod over_all;
pub mod people;
pub mod pki;
pub mod plant;
pub mod poll;
pub mod program;
pub mod proof;
pub mod raw;
pub mod redis;
pub mod samples;
pub mod secure;
pub mod server;
pub mod sql;
pub mod tenant;
pub mod trail;
pub mod walls;

pub use answer::Answer;
pub use ask::Ask;
pub use browser::Browser;
pub use chance::Chance;
pub use checker::{Bystander, Caller, Checker};
pub use clock::TestClock;
pub use program::Program;
pub use server::{Options, Server};
pub use tenant::{Tenant, Token};

/// Folder with real data, where there is one.
pub fn test_data() -> Option<std::path::PathBuf> {
    variable("VITALS_TEST_DATA").map(Into::into)
}

/// How long the crowd of T16 goes on, in seconds.
pub fn storm_seconds() -> u64 {
    let text = variable("VITALS_TEST_STORM_SECONDS").and_then(|text| text.into_string().ok());
    text.map_or(8, |text| text.parse().expect("VITALS_TEST_STORM_SECONDS is a number"))
}

/// How often each fault happens: `VITALS_FAULT_ROUNDS`, which is 20 for the long form, or this often.
pub fn fault_rounds(short: u64) -> u64 {
    let text = variable("VITALS_FAULT_ROUNDS").and_then(|text| text.into_string().ok());
    text.map_or(short, |text| text.parse().expect("VITALS_FAULT_ROUNDS is a number"))
}

/// What chance begins with: `VITALS_FAULT_SEED`, or another number each run, which is printed.
pub fn fault_seed(what: &str) -> u64 {
    let text = variable("VITALS_FAULT_SEED").and_then(|text| text.into_string().ok());
    let seed = text.map_or_else(
        || uuid::Uuid::new_v4().as_u64_pair().1 >> 16,
        |text| text.parse().expect("VITALS_FAULT_SEED is a number"),
    );
    println!("{what}: VITALS_FAULT_SEED={seed}");
    seed
}

/// How often the server is killed in A13; the whole attack is two hundred times.
pub fn kills() -> usize {
    let text = variable("VITALS_TEST_KILLS").and_then(|text| text.into_string().ok());
    text.map_or(20, |text| text.parse().expect("VITALS_TEST_KILLS is a number"))
}

/// A variable of the environment.
#[allow(clippy::disallowed_methods, reason = "the one place of the tests that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
