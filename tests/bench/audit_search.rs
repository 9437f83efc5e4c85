//! Searching the trail: one patient's month among ten million records of ten tenants, beside the bare statement on the
//! same rows. `VITALS_BENCH_RECORDS` makes it fewer or more; ten million take some 15 GB for as long as this runs.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike as _, NaiveTime, TimeDelta, Utc};
use vitals_access::{
    audit::{AuditRecord, Decision, Origin},
    clock::Clock as _,
};
use vitals_server::clock::SystemClock;
use vitals_store::audit::{AuditQuery, AuditReader, Derived, Direction, Mention};

use crate::{
    postgres::{As, Postgres},
    program::Folder,
    table::{Limit, Samples, Table},
};

const RECORDS: usize = 10_000_000;
/// Rows of one COPY.
const CHUNK: usize = 100_000;
const TENANTS: usize = 10;
/// Patients of each tenant.
const PATIENTS: usize = 10_000;
/// Every so many records one is a search, which discloses so many patients.
const SEARCHES: usize = 20;
const DISCLOSED: usize = 20;
/// Searches that are measured.
const ROUNDS: usize = 300;
/// What the project asks of itself, in milliseconds.
const WITHIN: f64 = 50.0;

/// Runs it.
pub async fn run(folder: &Folder, postgres: &Postgres, table: &mut Table) {
    let records = wanted();
    let now = SystemClock.now();
    let first = now.date_naive().with_day(1).expect("every month has one").and_time(NaiveTime::MIN).and_utc();
    let loaded = load(folder, postgres, records, first);
    println!("{records} records, loaded in {:.0} s", loaded.as_secs_f64());
    let mut reader = AuditReader::open_for_searches(&postgres.urls().audit_read).await.expect("the trail can be read");
    let month = (first.timestamp_millis(), (first + TimeDelta::days(28)).timestamp_millis());

    let (mut ours, mut most) = (Samples::default(), 0);
    let mut bare = String::from("\\o /dev/null\n\\timing on\n");
    for round in 0..ROUNDS {
        let (chain, patient) = (chain(round % TENANTS), format!("patient-{}", (round * 7919) % PATIENTS));
        let mention = Mention::Patient(patient.clone());
        let query = query(month, vec![vec![mention]], 1_000);
        let began = Instant::now();
        let found = reader.search(&chain, &query, |_| true).await.expect("a search");
        // The first rounds find the pages of the index.
        if round >= ROUNDS / 10 {
            ours.add(began.elapsed());
        }
        most = most.max(found.records.len());
        let mut named = AuditRecord::new(Origin::Http, "", first);
        named.chain.clone_from(&chain);
        named.patient = Some(patient);
        named.allowed(200);
        let key = Derived::of(&named);
        let key = key.keys.iter().map(i64::to_string).collect::<Vec<_>>();
        writeln!(
            bare,
            "SELECT record FROM audit.record WHERE chain = '{chain}' AND keys && '{{{}}}'::bigint[] \
             AND time >= '{first}' AND time < '{}' ORDER BY time DESC, writer DESC, sequence DESC LIMIT 1001;",
            key.join(","),
            first + TimeDelta::days(28),
        )
        .expect("a string takes text");
    }
    let mut alone = Samples::default();
    postgres.timed(&As::Audit, &bare).into_iter().skip(ROUNDS / 10).for_each(|took| alone.add(took));
    println!("at most {most} records a patient and month");
    table.row("one patient's month, p50", ours.median(), "ms", &Limit::Measured(alone.median(), "the bare statement"));
    table.row("the same, p99", ours.percentile(99), "ms", &Limit::Measured(alone.percentile(99), "the bare statement"));
    table.row("the same", ours.percentile(99), "ms", &Limit::Asked(WITHIN));

    for (what, mentions) in [
        ("the newest 50 of a tenant, p99", Vec::new()),
        ("the newest 50 refusals, p99", vec![vec![Mention::Decision(Decision::Denied)]]),
        ("the newest 50 of one user, p99", vec![vec![Mention::Subject("practitioner-7".to_owned())]]),
    ] {
        let mut samples = Samples::default();
        for round in 0..ROUNDS {
            let query = query(month, mentions.clone(), 50);
            let began = Instant::now();
            reader.search(&chain(round % TENANTS), &query, |_| true).await.expect("a search");
            samples.add(began.elapsed());
        }
        table.row(what, samples.percentile(99), "ms", &Limit::Asked(WITHIN));
    }
    let chains: Vec<String> = (0..TENANTS).map(chain).collect();
    postgres.psql(&As::Audit, &format!("DELETE FROM audit.record WHERE chain IN ('{}');", chains.join("', '")));
}

/// How many records.
#[expect(clippy::disallowed_methods, reason = "the bench asks the environment how long it may take")]
fn wanted() -> usize {
    let text = std::env::var("VITALS_BENCH_RECORDS").ok();
    text.map_or(RECORDS, |text| text.parse().expect("VITALS_BENCH_RECORDS is a number"))
}

fn query((from, to): (i64, i64), mentions: Vec<Vec<Mention>>, limit: usize) -> AuditQuery {
    AuditQuery { from: Some(from), to: Some(to), mentions, direction: Direction::NewestFirst, after: None, limit }
}

/// The role of a tenant that is none.
fn chain(tenant: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(tenant).expect("few"));
    format!("t_benchsearch{}", letter.to_string().repeat(15))
}

/// Fills the month with records, a chunk at a time through a file.
fn load(folder: &Folder, postgres: &Postgres, records: usize, first: DateTime<Utc>) -> Duration {
    let file = folder.path().join("search.csv");
    let began = Instant::now();
    let step = 28.0 * 86_400_000.0 / f64::from(u32::try_from(records).expect("fewer than four thousand million"));
    for chunk in (0..records).step_by(CHUNK) {
        let mut text = String::with_capacity(CHUNK * 1_000);
        for number in chunk..(chunk + CHUNK).min(records) {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a month")]
            let after = (step * f64::from(u32::try_from(number).expect("few"))) as i64;
            row(&mut text, number, first + TimeDelta::milliseconds(after));
        }
        std::fs::write(&file, &text).expect("a file can be written");
        let copy = format!(
            "SET synchronous_commit TO off;\n\\copy audit.record (chain, writer, sequence, id, time, record, previous, \
             hash, keys) FROM '{}' WITH (FORMAT csv)\n",
            file.display()
        );
        postgres.psql(&As::Audit, &copy);
    }
    std::fs::remove_file(&file).expect("it is there");
    // As it stands after a while: counted, and without a list of what is to be merged into the index.
    postgres.psql(&As::Audit, "VACUUM ANALYZE audit.record;");
    began.elapsed()
}

fn row(text: &mut String, number: usize, time: DateTime<Utc>) {
    let hash = "00".repeat(32);
    let (tenant, sequence) = (number % TENANTS, i64::try_from(number / TENANTS + 1).expect("few"));
    let record = record(number, tenant, time);
    let keys: Vec<String> = Derived::of(&record).keys.iter().map(i64::to_string).collect();
    let said = record.canonical(1, sequence).replace('"', "\"\"");
    let (chain, id, time) = (&record.chain, record.id, record.time.to_rfc3339());
    writeln!(text, "{chain},1,{sequence},{id},{time},\"{said}\",\\x{hash},\\x{hash},\"{{{}}}\"", keys.join(","))
        .expect("a string takes text");
}

fn record(number: usize, tenant: usize, time: DateTime<Utc>) -> AuditRecord {
    let text = |text: String| Some(text);
    // A step that has no factor in common with the number of patients meets them all.
    let patient = |place: usize| format!("patient-{}", (number / TENANTS * 7 + place * 1_009) % PATIENTS);
    let mut record = AuditRecord::new(Origin::Http, "read", time);
    record.chain = chain(tenant);
    record.tenant = text(format!("bench-{tenant}"));
    record.acting_tenant.clone_from(&record.tenant);
    record.issuer = text(format!("https://fhir.example/t/bench-{tenant}/auth"));
    record.subject = text(format!("practitioner-{}", number % 211));
    record.client = text(format!("app-{}", number % 13));
    record.scopes = vec!["system/Patient.rs".to_owned(), "system/Observation.rs".to_owned()];
    record.used = vec!["system/Observation.rs".to_owned()];
    record.resource_type = text("Observation".to_owned());
    record.request_id = text(uuid::Uuid::new_v4().to_string());
    record.address = text(format!("192.0.2.{}", number % 50));
    if (number / TENANTS).is_multiple_of(SEARCHES) {
        "search-type".clone_into(&mut record.action);
        record.patients = (0..DISCLOSED).map(patient).collect();
        record.count = Some(50);
    } else {
        record.resource_id = text(uuid::Uuid::new_v4().to_string());
        record.patient = text(patient(0));
    }
    record.allowed(200);
    if number.is_multiple_of(501) {
        record.denied(404, "not found or out of reach");
    }
    record
}
