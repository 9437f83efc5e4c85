//! `vitals audit …` as types.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use vitals_access::tenant::TenantName;
use vitals_store::audit::Month;

/// `vitals audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain of hashes, and the ends of chains that were kept elsewhere; exit code 1 if they do not hold
    Verify(AuditVerifyArgs),
    /// Print the newest records
    Tail(AuditTailArgs),
    /// Write a tenant's records to a file, with what somebody else needs to verify them
    Export(AuditExportArgs),
    /// Say what was unusual about a day, as JSON, one tenant a line
    Digest(AuditDigestArgs),
    /// Take a month that is long over out of the trail, leaving signed receipts
    Seal(AuditSealArgs),
    /// Print the public key that kept heads and receipts are signed with, as a JWK
    Key,
}

/// `vitals audit verify`
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// Only this tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantName>,
    /// Folder of the heads to hold against it [default: that of --audit-heads, where it is]
    #[arg(long, value_name = "DIR")]
    pub heads: Option<PathBuf>,
}

/// `vitals audit tail`
#[derive(Debug, Args)]
pub struct AuditTailArgs {
    /// Only this tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantName>,
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub lines: u32,
    /// Go on with records as they come, until interrupted; with --json one a line
    #[arg(long)]
    pub follow: bool,
}

/// `vitals audit export`
#[derive(Debug, Args)]
pub struct AuditExportArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// From this time or day on (UTC) [default: the first record]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<DateTime<Utc>>,
    /// To before this time or day (UTC) [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<DateTime<Utc>>,
    /// How it is written; only NDJSON can be verified
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub format: ExportFormat,
    /// File to write, which must not be there yet; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A JSON object a line: the hash before, the hash, and the record as it stands
    Ndjson,
    /// A table for spreadsheets
    Csv,
}

/// `vitals audit digest`
#[derive(Debug, Args)]
pub struct AuditDigestArgs {
    /// Only this tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantName>,
    /// The day (UTC) [default: yesterday]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<NaiveDate>,
}

/// `vitals audit seal`
#[derive(Debug, Args)]
pub struct AuditSealArgs {
    /// The month, which must be over for a month at least
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Month,
    /// File to write its records to as NDJSON, which must not be there yet; packed where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Drop the records; otherwise they stay in the database, in the schema audit_sealed
    #[arg(long)]
    pub drop: bool,
}

/// Reads a time (RFC 3339), or a day, which stands for its first instant.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    day.or(time).map_err(|_| "must be a day, such as 2026-09-01, or a time, such as 2026-09-01T08:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_instants() {
        assert_eq!(moment("2026-09-01").unwrap().to_rfc3339(), "2026-09-01T00:00:00+00:00");
        assert_eq!(moment("2026-09-01T08:00:00+02:00").unwrap().to_rfc3339(), "2026-09-01T06:00:00+00:00");
        for bad in ["", "2026-09", "yesterday", "2026-09-01T08:00:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
