//! The table that is printed, row by row as the figures come in, and what is counted on the way to one.

use std::time::Duration;

/// The printed table.
pub struct Table {
    rows: usize,
}

/// What a figure is held against.
pub enum Limit<'a> {
    /// The machine's own, in the same unit, and what it is.
    Measured(f64, &'a str),
    /// The most that the project asks of itself.
    Asked(f64),
    /// Nothing.
    None,
}

impl Table {
    /// Prints the head.
    pub fn begin() -> Self {
        println!("{:<52} | {:>12} | {:>12} | {:>6} | limit is", "what", "ours", "limit", "ratio");
        println!("{:-<52}-|-{:->12}-|-{:->12}-|-{:->6}-|---------", "", "", "", "");
        Self { rows: 0 }
    }

    /// Prints one row.
    pub fn row(&mut self, what: &str, ours: f64, unit: &str, limit: &Limit<'_>) {
        let figure = |value: f64| format!("{} {unit}", digits(value));
        let (beside, ratio, named) = match limit {
            Limit::Measured(value, name) => (figure(*value), digits(ours / value), (*name).to_owned()),
            Limit::Asked(value) => (figure(*value), digits(ours / value), "asked for".to_owned()),
            Limit::None => (String::new(), String::new(), String::new()),
        };
        println!("{what:<52} | {:>12} | {beside:>12} | {ratio:>6} | {named}", figure(ours));
        self.rows += 1;
    }

    /// Prints what a reader has to know beside the figures.
    pub fn end(self) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!(
            "\n{} figures; {cores} cores, which server, PostgreSQL and this load share; load average at the end {}",
            self.rows,
            load.split(' ').next().unwrap_or("unknown")
        );
    }
}

/// Three digits that count.
pub fn digits(value: f64) -> String {
    match value.abs() {
        small if small < 1.0 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Several measurements of one thing.
#[derive(Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Adds those of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("fewer than four thousand million measurements")
    }

    /// All of them together.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// In milliseconds, the one that this many of a hundred do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        assert!(!self.0.is_empty(), "something was measured");
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
        sorted[at].as_secs_f64() * 1e3
    }

    /// The one in the middle, in milliseconds.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}
