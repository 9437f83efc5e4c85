//! `vitals audit tail`: the newest records, and those that come.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde_json::Value;
use vitals_access::audit::{AuditRecord, Decision, Origin};
use vitals_store::audit::{AuditReader, Direction, Position, Stored};

use super::{Reading, chain, names};
use crate::cli::{CommandError, Exit, Opened, args::AuditTailArgs, print};

const ACTION: &str = "audit.tail";
const HEADINGS: [&str; 8] = ["time", "tenant", "from", "subject", "action", "about", "decision", "why"];
/// Between two looks for new records.
const EVERY: Duration = Duration::from_millis(500);
/// Records arrive slightly out of the order of their times: those so much older than the newest are looked for again.
const LATE: i64 = 10_000;
/// Records of one page.
const PAGE: u32 = 1_000;

pub(super) async fn run(opened: &Opened<'_>, args: &AuditTailArgs, json: bool) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let only = args.tenant.as_ref().map(|tenant| chain(&names, tenant)).transpose()?;
    let mut reading = Reading::open(opened, &names).await;
    let mut tail = Tail { reader: AuditReader::open(&opened.urls.audit_read).await?, only, seen: HashMap::new() };
    let newest = tail.newest(args.lines, if args.follow { args.lines.max(PAGE) } else { args.lines }).await?;
    reading.of(ACTION, &counted(&newest, &mut HashSet::new())).await;
    if !args.follow {
        show(&newest, json)?;
        return Ok(Exit::Success);
    }
    let mut noted: HashSet<String> = newest.iter().map(|(chain, _)| chain.clone()).collect();
    let mut flows = show_lines(&newest, json)?;
    while flows {
        // Interrupted, the command still leaves the database in order.
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        let more = tail.more().await?;
        let first_of = counted(&more, &mut noted);
        if !first_of.is_empty() {
            reading.of(ACTION, &first_of).await;
        }
        flows = show_lines(&more, json)?;
    }
    Ok(Exit::Success)
}

/// How many records of each chain there are, of those chains that were not noted before.
fn counted(records: &[(String, Stored)], noted: &mut HashSet<String>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (chain, _) in records.iter().filter(|(chain, _)| !noted.contains(chain)) {
        *counts.entry(chain).or_default() += 1;
    }
    let counts: Vec<(String, u64)> = counts.into_iter().map(|(chain, count)| (chain.to_owned(), count)).collect();
    noted.extend(counts.iter().map(|(chain, _)| chain.clone()));
    counts
}

struct Tail<'n> {
    reader: AuditReader,
    only: Option<&'n str>,
    /// Of each chain, the newest time, and what of the last seconds has been shown.
    seen: HashMap<String, Seen>,
}

#[derive(Default)]
struct Seen {
    newest: i64,
    shown: HashMap<(i64, i64), i64>,
}

impl Seen {
    /// Takes note of a record; says whether it is new.
    fn take(&mut self, position: Position) -> bool {
        self.newest = self.newest.max(position.time);
        self.shown.insert((position.writer, position.sequence), position.time).is_none()
    }

    fn forget(&mut self) {
        let oldest = self.newest - LATE;
        self.shown.retain(|_, time| *time >= oldest);
    }
}

impl Tail<'_> {
    async fn chains(&mut self) -> Result<Vec<String>, CommandError> {
        match self.only {
            Some(only) => Ok(vec![only.to_owned()]),
            None => Ok(self.reader.chains().await?),
        }
    }

    /// The newest records of all chains together, the newest last, as a log is read. So many of each chain are looked at:
    /// whoever goes on remembers those of the last seconds, whether they are shown or not.
    async fn newest(&mut self, lines: u32, looked_at: u32) -> Result<Vec<(String, Stored)>, CommandError> {
        let most = usize::try_from(lines).unwrap_or(usize::MAX);
        let mut newest: Vec<(String, Stored)> = Vec::new();
        for chain in self.chains().await? {
            let page = self.reader.page(&chain, Direction::NewestFirst, None, looked_at).await?;
            let seen = self.seen.entry(chain.clone()).or_default();
            for stored in &page {
                seen.take(stored.position);
            }
            seen.forget();
            newest.extend(page.into_iter().take(most).map(|stored| (chain.clone(), stored)));
            newest.sort_unstable_by_key(|(_, stored)| std::cmp::Reverse(stored.position));
            newest.truncate(most);
        }
        newest.reverse();
        Ok(newest)
    }

    /// What came since the last look.
    async fn more(&mut self) -> Result<Vec<(String, Stored)>, CommandError> {
        let mut more = Vec::new();
        for chain in self.chains().await? {
            let seen = self.seen.entry(chain.clone()).or_default();
            let mut after = Position { time: seen.newest - LATE, writer: 0, sequence: 0 };
            loop {
                let page = self.reader.page(&chain, Direction::OldestFirst, Some(after), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.position;
                let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                more.extend(page.into_iter().filter(|stored| seen.take(stored.position)).map(|s| (chain.clone(), s)));
                if is_last {
                    break;
                }
            }
            seen.forget();
        }
        more.sort_by_key(|(_, stored)| stored.position);
        Ok(more)
    }
}

fn show(newest: &[(String, Stored)], json: bool) -> Result<(), CommandError> {
    if json {
        let records = newest.iter().map(|(_, stored)| serde_json::from_str(&stored.record));
        return print::json(&records.collect::<Result<Vec<Value>, _>>()?);
    }
    let cells: Vec<Vec<String>> = newest.iter().map(|(_, stored)| read(stored)).collect::<Result<_, _>>()?;
    print::table(&HEADINGS, &cells)
}

/// One line each, as they come; says whether anybody still reads them.
fn show_lines(records: &[(String, Stored)], json: bool) -> Result<bool, CommandError> {
    for (_, stored) in records {
        let line = if json { stored.record.clone() } else { print::row(&read(stored)?) };
        if !print::flowing(&line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read(stored: &Stored) -> Result<Vec<String>, CommandError> {
    Ok(cells(&serde_json::from_str::<AuditRecord>(&stored.record)?))
}

fn cells(record: &AuditRecord) -> Vec<String> {
    let subject = record.subject.clone().unwrap_or_else(|| "-".to_owned());
    let status = record.status.map_or_else(String::new, |status| format!(" {status}"));
    vec![
        vitals_fhir::temporal::instant(record.time.timestamp_millis()),
        record.tenant.clone().unwrap_or_else(|| record.chain.clone()),
        match record.origin {
            Origin::Http => "http",
            Origin::Cli => "cli",
            Origin::Job => "job",
        }
        .to_owned(),
        if record.unverified { format!("{subject}?") } else { subject },
        record.action.clone(),
        about(record),
        match record.decision {
            Decision::Allowed => format!("allowed{status}"),
            Decision::Denied => format!("denied{status}"),
            Decision::Unknown => format!("unknown{status}"),
        },
        record.reason.clone().unwrap_or_default(),
    ]
}

/// What a record is about: `Observation/o1`, or how many resources were disclosed.
fn about(record: &AuditRecord) -> String {
    let mut about = match (&record.resource_type, &record.resource_id) {
        (Some(kind), Some(id)) => format!("{kind}/{id}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => record.issuer.clone().filter(|_| record.origin == Origin::Cli).unwrap_or_default(),
    };
    if let Some(count) = record.count {
        about = if about.is_empty() { format!("({count})") } else { format!("{about} ({count})") };
    }
    about
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn record() -> AuditRecord {
        AuditRecord::new(Origin::Http, "search-type", DateTime::from_timestamp_millis(1_800_000_000_123).unwrap())
    }

    #[test]
    fn a_line_says_who_did_what_and_marks_what_is_only_claimed() {
        let mut record = record();
        record.subject = Some("nurse".to_owned());
        record.unverified = true;
        record.resource_type = Some("Observation".to_owned());
        record.count = Some(50);
        record.denied(401, "expired");
        assert_eq!(
            cells(&record),
            [
                "2027-01-15T08:00:00.123Z",
                "server",
                "http",
                "nurse?",
                "search-type",
                "Observation (50)",
                "denied 401",
                "expired"
            ]
        );
    }
}
