//! Watching an import: a bar on a terminal, a line now and then elsewhere, and an ear for the wish to stop. All of it on
//! standard error.

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    cli::print,
    job::import::{Import, ImportError, Progress, Seen},
};

/// Between two looks for the bar: often enough to seem to move.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// Between two lines where there is no terminal: few enough for a log.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Runs an import whose files are this long, and shows how far it is.
pub async fn watched(import: &Import, size: Option<u64>) -> Result<(), ImportError> {
    let unreadable = |error| ImportError::Unreadable { name: "signals".to_owned(), error };
    let mut interrupted = signal(SignalKind::interrupt()).map_err(unreadable)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(unreadable)?;
    let progress = import.progress();
    let shown = Shown::new(size);
    let mut clock = interval(if shown.bar.is_some() { DRAWN_EVERY } else { TOLD_EVERY });
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once.
    clock.tick().await;
    let mut running = pin!(import.run());
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            _ = clock.tick() => shown.show(progress),
            _ = interrupted.recv() => progress.stop(),
            _ = terminated.recv() => progress.stop(),
        }
    };
    if let Some(bar) = &shown.bar {
        bar.finish_and_clear();
    }
    outcome
}

struct Shown {
    bar: Option<ProgressBar>,
    size: Option<u64>,
    began: Instant,
}

impl Shown {
    fn new(size: Option<u64>) -> Self {
        let bar = || {
            let style = ProgressStyle::with_template(if size.is_some() { "{wide_bar} {msg}" } else { "{msg}" }).ok()?;
            Some(ProgressBar::new(size.unwrap_or_default()).with_style(style))
        };
        Self { bar: io::stderr().is_terminal().then(bar).flatten(), size, began: Instant::now() }
    }

    fn show(&self, progress: &Progress) {
        let text = told(&progress.seen(), self.size, self.began.elapsed());
        let Some(bar) = &self.bar else { return print::note(&text) };
        bar.set_position(progress.seen().bytes);
        bar.set_message(text);
    }
}

/// How far it is, how fast, and how long the rest takes at this rate. What an earlier run has done says nothing about it.
fn told(seen: &Seen, size: Option<u64>, took: Duration) -> String {
    let per_second = |count: u64| (u128::from(count) * 1_000 / took.as_millis().max(1)).try_into().unwrap_or(u64::MAX);
    let resources: u64 = per_second(seen.resources - seen.resources_before);
    let bytes: u64 = per_second(seen.bytes - seen.bytes_before);
    let what = format!("{} resources, {} a second", HumanCount(seen.resources), HumanCount(resources));
    let Some(size) = size else { return format!("{what}; {}, {} a second", HumanBytes(seen.bytes), HumanBytes(bytes)) };
    let of = format!("{} of {}, {} a second", HumanBytes(seen.bytes), HumanBytes(size), HumanBytes(bytes));
    match size.saturating_sub(seen.bytes).checked_div(bytes) {
        Some(seconds) => format!("{what}; {of}; {} left", HumanDuration(Duration::from_secs(seconds))),
        None => format!("{what}; {of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_time_left_are_those_of_this_run() {
        let mebibytes = |count: u64| count * 1024 * 1024;
        let seen =
            Seen { bytes: mebibytes(30), bytes_before: mebibytes(10), resources: 30_000, resources_before: 10_000 };
        let ten = Duration::from_secs(10);
        assert_eq!(
            told(&seen, Some(mebibytes(70)), ten),
            "30,000 resources, 2,000 a second; 30.00 MiB of 70.00 MiB, 2.00 MiB a second; 20 seconds left"
        );
        assert_eq!(told(&seen, None, ten), "30,000 resources, 2,000 a second; 30.00 MiB, 2.00 MiB a second");
        let nothing = Seen::default();
        assert_eq!(told(&nothing, Some(100), Duration::ZERO), "0 resources, 0 a second; 0 B of 100 B, 0 B a second");
    }
}
