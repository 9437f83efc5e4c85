//! `vitals audit digest`: what was unusual about a tenant's day, for whoever looks at it the next morning or has a
//! program look. It says nothing that the records do not say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vitals_store::audit::{self, AuditReader, Exported};

use super::{Names, Reading, chain, names};
use crate::cli::{CommandError, Exit, Opened, args::AuditDigestArgs, print};

/// Days before the day that it is compared with.
const HISTORY: i64 = 28;
/// A subject's or a client's day is unusual from so many requests on…
const LEAST: u64 = 100;
/// …when it has more than so many times the mean of its days before.
const FACTOR: u64 = 3;
/// Longest list; what comes first has most requests.
const MOST: usize = 100;

pub(super) async fn run(opened: &Opened<'_>, args: &AuditDigestArgs) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let mut tenants: Vec<(&str, &str)> = match &args.tenant {
        Some(tenant) => vec![(tenant.as_str(), chain(&names, tenant)?)],
        None => names.iter().map(|(chain, name)| (name.as_str(), chain.as_str())).collect(),
    };
    tenants.sort_unstable();
    let day = args.day.unwrap_or_else(|| (opened.clock.now() - TimeDelta::days(1)).date_naive());
    let mut reading = Reading::open(opened, &names).await;
    for (name, chain) in tenants {
        let counts = count(opened, chain, day).await?;
        reading.of("audit.digest", &[(chain.to_owned(), counts.records)]).await;
        print::json(&counts.digest(name, day, &peers(&names)))?;
    }
    Ok(Exit::Success)
}

/// The tenants by name, to know one from what a token claims to be one.
fn peers(names: &Names) -> BTreeSet<&str> {
    names.values().map(String::as_str).collect()
}

async fn count(opened: &Opened<'_>, chain: &str, day: NaiveDate) -> Result<Counts, CommandError> {
    let begin = day.and_time(NaiveTime::MIN).and_utc();
    let (from, to) = (begin - TimeDelta::days(HISTORY), begin + TimeDelta::days(1));
    let mut counts = Counts { day: day.to_string(), ..Counts::default() };
    let take = |row: &Exported| -> Result<(), serde_json::Error> {
        counts.take(&serde_json::from_str(&row.record)?);
        Ok(())
    };
    audit::export(&opened.urls.audit_read, chain, (from, to), take).await??;
    // A trail that is younger has fewer days to compare with.
    let mut reader = AuditReader::open(&opened.urls.audit_read).await?;
    let first = reader.page(chain, audit::Direction::OldestFirst, None, 1).await?;
    let age = first.first().map_or(0, |stored| begin.timestamp_millis() - stored.position.time);
    counts.history_days = (age.max(0) + DAY_MILLISECONDS - 1) / DAY_MILLISECONDS;
    counts.history_days = counts.history_days.min(HISTORY);
    Ok(counts)
}

const DAY_MILLISECONDS: i64 = 86_400_000;

/// What a digest needs of a record.
#[derive(Deserialize)]
struct Line {
    time: String,
    tenant: Option<String>,
    acting_tenant: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    #[serde(default)]
    unverified: bool,
    action: String,
    decision: String,
    address: Option<String>,
    grant: Option<String>,
    patient: Option<String>,
    #[serde(default)]
    patients: Vec<String>,
}

/// Requests of somebody on the day, and on the days before it.
#[derive(Clone, Copy, Default)]
struct Volume {
    day: u64,
    before: u64,
}

#[derive(Default)]
struct Counts {
    /// The day; times begin with theirs, so that they compare as texts.
    day: String,
    history_days: i64,
    records: u64,
    actions: BTreeMap<(String, String), u64>,
    patients: BTreeSet<String>,
    subjects: HashMap<String, Volume>,
    clients: HashMap<String, Volume>,
    addresses: HashMap<String, Volume>,
    /// By the caller's tenant and the grant.
    refused_delegated: BTreeMap<(String, String), u64>,
    /// By address.
    failed_sign_ins: BTreeMap<String, u64>,
}

impl Counts {
    fn take(&mut self, line: &Line) {
        let is_of_day = line.time >= self.day;
        let count = |volumes: &mut HashMap<String, Volume>, key: &Option<String>| {
            let Some(key) = key else { return };
            if !volumes.contains_key(key) {
                volumes.insert(key.clone(), Volume::default());
            }
            if let Some(volume) = volumes.get_mut(key) {
                *(if is_of_day { &mut volume.day } else { &mut volume.before }) += 1;
            }
        };
        // What a refused token claims says nothing about whom it names.
        if !line.unverified {
            count(&mut self.subjects, &line.subject);
            count(&mut self.clients, &line.client);
        }
        count(&mut self.addresses, &line.address);
        if !is_of_day {
            return;
        }
        self.records += 1;
        *self.actions.entry((line.action.clone(), line.decision.clone())).or_default() += 1;
        if line.decision == "allowed" {
            self.patients.extend(line.patients.iter().chain(&line.patient).cloned());
        }
        let is_of_others = line.acting_tenant.is_some() && line.acting_tenant != line.tenant;
        if line.decision == "denied" && is_of_others {
            let key = (line.acting_tenant.clone().unwrap_or_default(), line.grant.clone().unwrap_or_default());
            *self.refused_delegated.entry(key).or_default() += 1;
        }
        if line.decision == "denied" && SIGN_INS.contains(&line.action.as_str()) {
            *self.failed_sign_ins.entry(line.address.clone().unwrap_or_default()).or_default() += 1;
        }
    }

    fn digest(&self, tenant: &str, day: NaiveDate, peers: &BTreeSet<&str>) -> serde_json::Value {
        let actions = self
            .actions
            .iter()
            .map(|((action, decision), count)| json!({ "action": action, "decision": decision, "count": count }));
        let delegated = self.refused_delegated.iter().map(|((acting, grant), count)| {
            let grant = (!grant.is_empty()).then_some(grant);
            json!({ "acting_tenant": acting, "known": peers.contains(acting.as_str()), "grant": grant, "count": count })
        });
        let sign_ins = most(self.failed_sign_ins.iter().map(|(address, count)| (address.as_str(), *count)));
        json!({
            "tenant": tenant,
            "day": day.to_string(),
            "records": self.records,
            "patients": self.patients.len(),
            "actions": actions.collect::<Vec<_>>(),
            "unusual": { "subjects": self.unusual(&self.subjects), "clients": self.unusual(&self.clients) },
            "new": { "subjects": new(&self.subjects), "clients": new(&self.clients), "addresses": new(&self.addresses) },
            "refused_delegated": delegated.collect::<Vec<_>>(),
            "failed_sign_ins": sign_ins,
            "thresholds": { "history_days": self.history_days, "least": LEAST, "factor": FACTOR },
        })
    }

    /// Who had far more requests than on the days before, with the mean of those.
    fn unusual(&self, volumes: &HashMap<String, Volume>) -> Vec<Unusual> {
        let days = u64::try_from(self.history_days).unwrap_or_default();
        if days == 0 {
            return Vec::new();
        }
        let unusual = volumes.iter().filter(|(_, volume)| {
            volume.day >= LEAST && volume.day.saturating_mul(days) > volume.before.saturating_mul(FACTOR)
        });
        let mut unusual: Vec<Unusual> = unusual
            .map(|(name, volume)| Unusual {
                name: name.clone(),
                count: volume.day,
                // In hundredths: a mean for people needs no more.
                mean: hundredths(volume.before, days),
            })
            .collect();
        unusual.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        unusual.truncate(MOST);
        unusual
    }
}

/// The actions by which people and programs show who they are.
const SIGN_INS: [&str; 3] = ["sign-in", "token", "callback"];

#[derive(Debug, PartialEq, Serialize)]
struct Unusual {
    name: String,
    count: u64,
    mean: f64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Counted {
    name: String,
    count: u64,
}

fn hundredths(sum: u64, days: u64) -> f64 {
    let hundredths = u32::try_from(sum.saturating_mul(100) / days).unwrap_or(u32::MAX);
    f64::from(hundredths) / 100.0
}

/// Who was there on the day and on none of the days before.
fn new(volumes: &HashMap<String, Volume>) -> Vec<Counted> {
    let new = volumes.iter().filter(|(_, volume)| volume.before == 0 && volume.day > 0);
    most(new.map(|(name, volume)| (name.as_str(), volume.day)))
}

fn most<'n>(counts: impl Iterator<Item = (&'n str, u64)>) -> Vec<Counted> {
    let mut counts: Vec<Counted> = counts.map(|(name, count)| Counted { name: name.to_owned(), count }).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts.truncate(MOST);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: &str, subject: &str, more: &serde_json::Value) -> Line {
        let mut line = json!({
            "time": time, "tenant": "mercy", "acting_tenant": "mercy", "subject": subject, "client": "app",
            "action": "read", "decision": "allowed", "address": "10.0.0.1", "patient": "p1",
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn a_day_is_held_against_the_days_before_it() {
        let day: NaiveDate = "2026-11-22".parse().unwrap();
        let mut counts = Counts { day: day.to_string(), history_days: 10, ..Counts::default() };
        // 400 requests in ten days before are forty a day; of the steady one as well.
        for _ in 0..400 {
            counts.take(&line("2026-11-20T08:00:00Z", "curious", &json!({})));
            counts.take(&line("2026-11-20T08:00:00Z", "steady", &json!({})));
        }
        for _ in 0..121 {
            counts.take(&line("2026-11-22T08:00:00Z", "curious", &json!({ "patient": "p2" })));
        }
        for _ in 0..120 {
            counts.take(&line("2026-11-22T08:00:00Z", "steady", &json!({})));
        }
        let now = "2026-11-22T09:00:00Z";
        counts.take(&line(now, "newcomer", &json!({ "client": "new-app", "address": "10.0.0.2" })));
        counts.take(&line(now, "liar", &json!({ "unverified": true, "decision": "denied" })));
        let refused = json!({ "acting_tenant": "lab", "decision": "denied", "grant": "g1" });
        counts.take(&line(now, "researcher", &refused));
        counts.take(&line(now, "nurse", &json!({ "action": "sign-in", "decision": "denied" })));

        let digest = counts.digest("mercy", day, &BTreeSet::from(["lab"]));

        assert_eq!(digest["unusual"]["subjects"], json!([{ "name": "curious", "count": 121, "mean": 40.0 }]));
        // The steady one's and the curious one's are of one program.
        assert_eq!(digest["unusual"]["clients"], json!([{ "name": "app", "count": 243, "mean": 80.0 }]));
        let names = |of: &str| -> Vec<&str> {
            digest["new"][of].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
        };
        assert_eq!(names("subjects"), ["newcomer", "nurse", "researcher"]);
        assert_eq!((names("clients"), names("addresses")), (vec!["new-app"], vec!["10.0.0.2"]));
        assert_eq!(
            digest["refused_delegated"],
            json!([{ "acting_tenant": "lab", "known": true, "grant": "g1", "count": 1 }])
        );
        assert_eq!(digest["failed_sign_ins"], json!([{ "name": "10.0.0.1", "count": 1 }]));
        assert_eq!((&digest["records"], &digest["patients"]), (&json!(245), &json!(2)));
        assert_eq!(digest["thresholds"], json!({ "history_days": 10, "least": 100, "factor": 3 }));
        // A trail that began that day has nothing to compare with.
        counts.history_days = 0;
        assert_eq!(counts.digest("mercy", day, &BTreeSet::new())["unusual"]["subjects"], json!([]));
    }
}
