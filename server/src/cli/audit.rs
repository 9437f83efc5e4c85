//! `vitals audit …`: whether the trail holds, and what it says last.
//!
//! Reading the trail leaves no record in it: it has to be readable when nothing can be written.

use std::collections::HashMap;

use serde_json::Value;
use vitals_access::{
    audit::{AuditRecord, Decision, Origin},
    tenant::TenantName,
};
use vitals_store::{
    audit::{self, AuditReader, Direction, Stored, Verification, Verify},
    control::directory,
};

use super::{
    CommandError, Exit, Needs, Opened,
    args::AuditCommand,
    print,
    tenant::{explained, unknown},
};
use crate::config::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, command: AuditCommand, json: bool) -> Result<Exit, CommandError> {
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        AuditCommand::Verify(args) => verify(&opened, args.tenant.as_ref(), json).await,
        AuditCommand::Tail(args) => tail(&opened, args.tenant.as_ref(), args.lines, json).await,
    };
    let closed = opened.close().await;
    done.and_then(|exit| closed.map(|()| exit))
}

/// Names of tenants by the role that is their chain. Those of deleted tenants are not known any more.
async fn names(opened: &Opened<'_>) -> Result<HashMap<String, String>, CommandError> {
    let directory = directory::load(&mut opened.serving().await?, "", opened.clock.now()).await.map_err(explained)?;
    Ok(directory.tenants().map(|tenant| (tenant.role.to_string(), tenant.name.to_string())).collect())
}

/// The chain of a tenant.
fn chain<'n>(names: &'n HashMap<String, String>, tenant: &TenantName) -> Result<&'n str, CommandError> {
    let found = names.iter().find(|(_, name)| *name == tenant.as_str());
    found.map(|(role, _)| role.as_str()).ok_or_else(|| unknown(tenant))
}

async fn verify(opened: &Opened<'_>, tenant: Option<&TenantName>, json: bool) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let only = tenant.map(|tenant| chain(&names, tenant)).transpose()?;
    let result = audit::verify(&opened.urls.audit_read, Verify { only, ..Verify::everything(&names) }).await?;
    if json {
        print::json(&result)?;
    } else {
        print::line(&sentence(&result)?)?;
    }
    Ok(if result.ok { Exit::Success } else { Exit::Failure })
}

fn sentence(result: &Verification) -> Result<String, CommandError> {
    let Some(bad) = &result.first_bad else { return Ok(format!("{} records, and every one holds", result.records)) };
    // The reason's words are those of its JSON form.
    let reason = serde_json::to_value(bad.reason)?;
    Ok(format!(
        "the trail does not hold: record {} of writer {} of {}: {} ({} records read)",
        bad.sequence,
        bad.writer,
        bad.tenant,
        reason.as_str().unwrap_or_default(),
        result.records
    ))
}

async fn tail(opened: &Opened<'_>, tenant: Option<&TenantName>, lines: u32, json: bool) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let mut reader = AuditReader::open(&opened.urls.audit_read).await?;
    let chains = match tenant {
        Some(tenant) => vec![chain(&names, tenant)?.to_owned()],
        None => reader.chains().await?,
    };
    let most = usize::try_from(lines).unwrap_or(usize::MAX);
    let mut newest: Vec<Stored> = Vec::new();
    for chain in &chains {
        newest.extend(reader.page(chain, Direction::NewestFirst, None, lines).await?);
        newest.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.position));
        newest.truncate(most);
    }
    // As a log is read: the newest at the bottom.
    newest.reverse();
    if json {
        let records = newest.iter().map(|stored| serde_json::from_str(&stored.record));
        print::json(&records.collect::<Result<Vec<Value>, _>>()?)?;
    } else {
        let records = newest.iter().map(|stored| serde_json::from_str(&stored.record));
        let records = records.collect::<Result<Vec<AuditRecord>, _>>()?;
        let cells: Vec<Vec<String>> = records.iter().map(cells).collect();
        print::table(&["time", "tenant", "from", "subject", "action", "about", "decision", "why"], &cells)?;
    }
    Ok(Exit::Success)
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
    use vitals_store::audit::{FirstBad, Reason};

    use super::*;

    fn record() -> AuditRecord {
        AuditRecord::new(Origin::Http, "search-type", DateTime::from_timestamp_millis(1_800_000_000_123).unwrap())
    }

    #[test]
    fn verification_is_told_in_one_sentence() {
        let mut result = Verification { ok: true, records: 7, sealed: 0, first_bad: None, heads: Vec::new() };
        assert_eq!(sentence(&result).unwrap(), "7 records, and every one holds");
        result.ok = false;
        result.first_bad = Some(FirstBad { tenant: "mercy".to_owned(), writer: 5, sequence: 3, reason: Reason::Gap });
        assert_eq!(
            sentence(&result).unwrap(),
            "the trail does not hold: record 3 of writer 5 of mercy: the record is missing (7 records read)"
        );
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

    #[test]
    fn a_tenant_without_a_chain_is_unknown() {
        let names = HashMap::from([("t_a".to_owned(), "mercy".to_owned())]);
        assert_eq!(chain(&names, &"mercy".parse().unwrap()).unwrap(), "t_a");
        assert!(chain(&names, &"other".parse().unwrap()).is_err());
    }
}
