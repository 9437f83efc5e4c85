//! `vitals tenant lockdown`: credentials of a tenant are in wrong hands. Everything that opens it is ended in one step;
//! then comes what was done with it in the last days, from the audit trail, and what has to be issued anew.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use vitals_access::{
    audit::{AuditRecord, Decision},
    tenant::Tenant,
};
use vitals_fhir::temporal::instant;
use vitals_store::audit::{AuditReader, Direction};

use super::{CommandError, Opened, args::TenantLockdownArgs, desk::AtDesk, print, tenant::wait_for_newest};
use crate::authorization::lockdown::{self, LockedDown};

/// Records read at a time.
const PAGE: u32 = 1_000;
/// Callers that are told of, those with most requests first.
const MOST: usize = 100;
/// Addresses told of for a caller.
const ADDRESSES: usize = 10;

/// What one caller did.
#[derive(Default, Serialize)]
struct Caller {
    issuer: Option<String>,
    client: Option<String>,
    subject: Option<String>,
    allowed: u64,
    denied: u64,
    written: u64,
    patients: usize,
    first: Option<String>,
    last: Option<String>,
    addresses: BTreeSet<String>,
    #[serde(skip)]
    seen: BTreeSet<String>,
}

/// All that is said.
#[derive(Serialize)]
struct Report {
    tenant: String,
    #[serde(flatten)]
    ended: LockedDown,
    days: u32,
    callers: Vec<Caller>,
}

/// Locks the tenant down.
pub async fn run(opened: &Opened<'_>, args: &TenantLockdownArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "tenant.lockdown";
    let AtDesk { desk, tenant, mut recorder } = AtDesk::open(opened, ACTION, &args.id).await?;
    let record = recorder.of_tenant(ACTION, &tenant);
    recorder.begin(&record).await?;
    let done = lockdown::lock_down(&desk, &tenant).await.map_err(CommandError::from);
    let ended = recorder.end(record, done).await?;
    wait_for_newest(opened).await?;
    let since = opened.clock.now() - TimeDelta::days(args.days.into());
    let callers = if args.days == 0 { Vec::new() } else { callers(opened, &tenant, since).await? };
    let report = Report { tenant: tenant.name.to_string(), ended, days: args.days, callers };
    if json { print::json(&report) } else { tell(&report) }
}

/// Who asked for something of the tenant since then, most active first.
async fn callers(opened: &Opened<'_>, tenant: &Tenant, since: DateTime<Utc>) -> Result<Vec<Caller>, CommandError> {
    let mut reader = AuditReader::open(&opened.urls.audit_read).await?;
    let mut callers: BTreeMap<[Option<String>; 2], Caller> = BTreeMap::new();
    let mut after = None;
    'pages: loop {
        let page = reader.page(tenant.role.as_str(), Direction::NewestFirst, after, PAGE).await?;
        for stored in &page {
            let record: AuditRecord = serde_json::from_str(&stored.record)?;
            if record.time < since {
                break 'pages;
            }
            // Tokens are asked for before anybody vouches for the caller: issuers do not tell callers apart.
            let who = [record.client.clone(), record.subject.clone()];
            if !record.unverified && who.iter().any(Option::is_some) {
                callers.entry(who).or_default().add(record);
            }
        }
        let Some(last) = page.last() else { break };
        after = Some(last.position);
    }
    let mut callers: Vec<Caller> = callers.into_values().collect();
    callers.sort_by_key(|caller| std::cmp::Reverse(caller.allowed + caller.denied));
    callers.truncate(MOST);
    Ok(callers)
}

impl Caller {
    fn add(&mut self, record: AuditRecord) {
        match record.decision {
            Decision::Allowed => {
                let writes = ["create", "update", "delete", "batch", "transaction"];
                self.allowed += 1;
                self.written += u64::from(writes.contains(&record.action.as_str()));
            }
            Decision::Denied => self.denied += 1,
            // The intention of a command, of which another record says what came of it.
            Decision::Unknown => {}
        }
        self.seen.extend(record.patient.into_iter().chain(record.patients));
        self.patients = self.seen.len();
        // Records come newest first.
        let time = instant(record.time.timestamp_millis());
        self.last.get_or_insert_with(|| time.clone());
        self.first = Some(time);
        if self.addresses.len() < ADDRESSES {
            self.addresses.extend(record.address);
        }
        self.issuer = self.issuer.take().or(record.issuer);
        (self.client, self.subject) = (record.client, record.subject);
    }
}

fn tell(report: &Report) -> Result<(), CommandError> {
    let LockedDown { sessions, approvals, secrets, api_keys, grants, keys } = &report.ended;
    print::line(&format!(
        "tenant {} is locked down: every token issued until now is refused; {sessions} sessions and {approvals} \
         approvals ended, {} client secrets, {} API keys and {} grants taken back, {} new signing keys made",
        report.tenant,
        secrets.len(),
        api_keys.len(),
        grants.len(),
        keys.len(),
    ))?;
    if report.callers.is_empty() {
        print::line(&format!("nothing was asked for in the last {} days", report.days))?;
    } else {
        print::line(&format!("\nwhat was done in the last {} days:", report.days))?;
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows: Vec<Vec<String>> = report
            .callers
            .iter()
            .map(|caller| {
                vec![
                    text(&caller.client),
                    text(&caller.subject),
                    caller.allowed.to_string(),
                    caller.denied.to_string(),
                    caller.written.to_string(),
                    caller.patients.to_string(),
                    text(&caller.last),
                    caller.addresses.iter().cloned().collect::<Vec<_>>().join(" "),
                ]
            })
            .collect();
        print::table(&["client", "subject", "allowed", "denied", "writes", "patients", "last", "addresses"], &rows)?;
    }
    print::line("\nto issue anew:")?;
    for id in secrets {
        print::line(&format!("  the secret of client {id}"))?;
    }
    for id in api_keys {
        print::line(&format!("  API key {id}"))?;
    }
    for id in grants {
        print::line(&format!("  grant {id} to another tenant, if it is still meant"))?;
    }
    print::line("  tokens made with `vitals token`; people sign in again, and approve their apps again")?;
    print::line("  clients with keys or certificates of their own go on with these: revoke those in doubt")
}
