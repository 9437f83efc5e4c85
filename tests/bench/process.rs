//! What processes take: processor time and memory, as Linux shows them under `/proc`.

use std::{fs, path::Path, time::Duration};

/// Ticks a second in which Linux counts processor time for everybody (`USER_HZ`).
const TICKS: u32 = 100;

/// Processor time of one process so far.
pub fn time_of(process: u32) -> Duration {
    fields(process).map_or(Duration::ZERO, |fields| ticks(&fields, &[UTIME, STIME]))
}

/// Processor time of a PostgreSQL so far: of its first process, of its children, and of those that ended.
pub fn time_of_cluster(folder: &Path) -> Duration {
    let first = fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap_or_default();
    let Some(first) = first.lines().next().and_then(|line| line.parse().ok()) else { return Duration::ZERO };
    let own = fields(first).map_or(Duration::ZERO, |fields| ticks(&fields, &[UTIME, STIME, CUTIME, CSTIME]));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = processes.filter_map(|entry| fields(entry.file_name().to_str()?.parse().ok()?));
    let of_it = children.filter(|fields| fields.get(PARENT).is_some_and(|parent| *parent == u64::from(first)));
    own + of_it.map(|fields| ticks(&fields, &[UTIME, STIME])).sum::<Duration>()
}

/// Resident memory of a process in megabytes.
pub fn memory_of(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux shows processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("with their memory");
    let kilobytes: u32 = line.trim().trim_end_matches(" kB").parse().expect("in kilobytes");
    f64::from(kilobytes) / 1024.0
}

/// Memory of the machine in gigabytes.
pub fn memory_of_machine() -> f64 {
    let known = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = known.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("0 kB");
    let kilobytes: u32 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    f64::from(kilobytes) / 1024.0 / 1024.0
}

// Places in `/proc/PID/stat` behind the name, which may hold anything (proc(5) counts from 1 and has two before).
const PARENT: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

fn fields(process: u32) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    Some(behind.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

fn ticks(fields: &[u64], places: &[usize]) -> Duration {
    let sum: u64 = places.iter().filter_map(|place| fields.get(*place)).sum();
    Duration::from_secs(sum) / TICKS
}
