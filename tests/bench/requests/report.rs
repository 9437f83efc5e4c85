//! The table of the requests: printed row by row as the figures come in, and once more for the README if asked.

use std::time::Duration;

use super::drive::Driven;
use crate::{
    postgres::{As, Postgres, Rate},
    process,
    table::digits,
};

/// The rows so far.
pub struct Report {
    rows: Vec<[String; COLUMNS]>,
}

const COLUMNS: usize = 9;
const HEAD: [&str; COLUMNS] = [
    "case",
    "ours",
    "PostgreSQL alone",
    "ratio",
    "reach",
    "met",
    "50 / 95 / 99 of 100, ms",
    "CPU server + database, µs",
    "CPU PostgreSQL alone, µs",
];
const WIDTHS: [usize; COLUMNS] = [37, 13, 16, 6, 9, 5, 23, 25, 24];

/// What is asked of a figure.
#[derive(Clone, Copy)]
pub enum Reach {
    /// At least this part of what PostgreSQL does alone.
    Ratio(f64),
    /// At most so much.
    Most(f64),
    /// Nothing.
    None,
}

impl Report {
    /// Prints the head.
    pub fn begin() -> Self {
        let report = Self { rows: Vec::new() };
        println!("{}", line(&HEAD.map(str::to_owned)));
        println!("{}", line(&WIDTHS.map(|width| "-".repeat(width))));
        report
    }

    /// A case over HTTP beside pgbench before and after it. `fault` says what makes the figure worth nothing.
    pub fn case(&mut self, what: &str, driven: &Driven, beside: &[Rate], reach: Reach, fault: Option<&str>) {
        let mean = |of: fn(&Rate) -> f64| beside.iter().map(of).sum::<f64>() / count(beside);
        let alone = mean(|rate| rate.a_second);
        let micros = |time: Duration| digits(time.as_secs_f64() * 1e6);
        let latencies = [50, 95, 99].map(|percent| digits(driven.latencies.percentile(percent)));
        let ratio = driven.rate / alone;
        self.row([
            what.to_owned(),
            format!("{}/s", digits(driven.rate)),
            format!("{}/s", digits(alone)),
            digits(ratio),
            reach.asked(),
            reach.met(ratio, fault),
            latencies.join(" / "),
            format!("{} + {}", micros(driven.server), micros(driven.database)),
            digits(mean(|rate| rate.cpu.as_secs_f64() * 1e6)),
        ]);
        if driven.bad > 0 {
            println!("    {} answers were not good, {} among them", driven.bad, driven.status);
        }
        if let Some(fault) = fault {
            println!("    this figure is worth nothing: {fault}");
        }
    }

    /// A figure beside another one.
    pub fn figure(&mut self, what: &str, ours: f64, alone: Option<f64>, unit: &str, reach: Reach) {
        let ratio = alone.map(|alone| ours / alone);
        self.row([
            what.to_owned(),
            format!("{}{unit}", digits(ours)),
            alone.map_or_else(String::new, |alone| format!("{}{unit}", digits(alone))),
            ratio.map_or_else(String::new, digits),
            reach.asked(),
            reach.met(ratio.unwrap_or(ours), None),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }

    /// Prints what a reader has to know beside the figures, and the table for a README.
    pub fn end(self, postgres: &Postgres, markdown: bool) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let version = postgres.psql(&As::Admin, "SHOW server_version;");
        let date = postgres.psql(&As::Admin, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI');");
        let machine = format!(
            "{} UTC; {cores} cores that server, PostgreSQL and load share, {:.0} GB, PostgreSQL {}; load average {}.",
            date.trim(),
            process::memory_of_machine(),
            version.trim(),
            load.split(' ').next().unwrap_or("unknown")
        );
        println!("\n{machine}");
        if markdown {
            println!("\n{machine}\n\n| {} |\n|{}", HEAD.join(" | "), " --- |".repeat(COLUMNS));
            for row in &self.rows {
                println!("| {} |", row.join(" | "));
            }
        }
    }

    fn row(&mut self, row: [String; COLUMNS]) {
        println!("{}", line(&row));
        self.rows.push(row);
    }
}

impl Reach {
    fn asked(self) -> String {
        match self {
            Self::Ratio(least) => format!("≥ {least:.2}"),
            Self::Most(most) => format!("≤ {}", digits(most)),
            Self::None => String::new(),
        }
    }

    fn met(self, figure: f64, fault: Option<&str>) -> String {
        let met = match self {
            Self::Ratio(least) => figure >= least,
            Self::Most(most) => figure <= most,
            Self::None => return if fault.is_some() { "no".to_owned() } else { String::new() },
        };
        if met && fault.is_none() { "yes" } else { "no" }.to_owned()
    }
}

fn line(row: &[String; COLUMNS]) -> String {
    let cells: Vec<String> = row.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join(" | ").trim_end().to_owned()
}

fn count(rates: &[Rate]) -> f64 {
    f64::from(u32::try_from(rates.len()).expect("a few"))
}
