//! The trail: how many records a second one writer appends, and how many a verification looks at, each beside what
//! PostgreSQL does with the same texts on its own.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use vitals_access::{
    audit::{self, AuditRecord, Origin},
    clock::Clock as _,
};
use vitals_server::clock::SystemClock;
use vitals_store::audit::{Appender, Durability, Outcome, Verify, new_writer, verify};

use crate::{
    postgres::{As, Postgres},
    program::Folder,
    table::{Limit, Table},
};

/// A chain of no tenant.
const CHAIN: &str = "t_benchbenchbenchbenchbenchbe";
/// Records of one insert, as the server has them under load.
const BATCH: usize = 1_024;
/// Inserts that are measured.
const BATCHES: usize = 100;
/// What the project asks of itself.
const APPENDED: f64 = 20_000.0;
const VERIFIED: f64 = 100_000.0;

/// Runs it.
pub async fn run(folder: &Folder, postgres: &Postgres, table: &mut Table) {
    let began = SystemClock.now();
    let records: Vec<AuditRecord> = (0..BATCHES * BATCH).map(|number| record(number, began)).collect();
    let count = figure(records.len());
    let mut appender = Appender::new(postgres.urls(), Durability::Prompt, new_writer());
    let mut took = Duration::ZERO;
    for batch in records.chunks(BATCH) {
        let batch: Vec<&AuditRecord> = batch.iter().collect();
        let start = Instant::now();
        let outcomes = appender.append(&batch).await.expect("the audit database takes records");
        took += start.elapsed();
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Written));
        // As often as the server does, and not counted: it waits for the disk and for nothing of ours.
        appender.flush().await.expect("a flush");
    }
    let ours = count / took.as_secs_f64();

    let alone = count / copied(postgres, folder, &records).as_secs_f64();
    table.row("records appended by one writer, 1,024 at once", ours, "/s", &Limit::Asked(APPENDED));
    table.row("the same", ours, "/s", &Limit::Measured(alone, "COPY of the same rows"));

    let names = HashMap::new();
    let start = Instant::now();
    let what = Verify { only: Some(CHAIN), ..Verify::everything(&names) };
    let verified = verify(&postgres.urls().audit_read, what).await.expect("a verification");
    let ours = count / start.elapsed().as_secs_f64();
    assert!(verified.ok && verified.records == u64::try_from(records.len()).expect("few"), "{verified:?}");
    table.row("records verified", ours, "/s", &Limit::Asked(VERIFIED));
    let alone = count / read(postgres).as_secs_f64();
    table.row("the same", ours, "/s", &Limit::Measured(alone, "COPY of the same rows out"));
    let texts: Vec<String> = records.iter().map(|record| record.canonical(1, 1)).collect();
    let start = Instant::now();
    for text in &texts {
        black_box(audit::hash(&[0; 32], text));
    }
    let alone = count / start.elapsed().as_secs_f64();
    table.row("the same", ours, "/s", &Limit::Measured(alone, "the hashes alone"));
}

/// A read or a search, as they are most.
fn record(number: usize, began: chrono::DateTime<chrono::Utc>) -> AuditRecord {
    let milliseconds = i64::try_from(number / 20).expect("few");
    let mut record = AuditRecord::new(Origin::Http, "read", began + chrono::TimeDelta::milliseconds(milliseconds));
    let text = |text: String| Some(text);
    CHAIN.clone_into(&mut record.chain);
    record.tenant = text("bench".to_owned());
    record.acting_tenant = text("bench".to_owned());
    record.issuer = text("https://fhir.example/t/bench/auth".to_owned());
    record.subject = text(format!("practitioner-{}", number % 200));
    record.client = text("ward-app".to_owned());
    record.scopes = vec!["system/Patient.rs".to_owned(), "system/Observation.rs".to_owned()];
    record.used = vec!["system/Observation.rs".to_owned()];
    record.resource_type = text("Observation".to_owned());
    record.resource_id = text(uuid::Uuid::new_v4().to_string());
    record.version = Some(1);
    record.patient = text(format!("patient-{}", number % 5_000));
    record.request_id = text(uuid::Uuid::new_v4().to_string());
    record.address = text(format!("192.0.2.{}", number % 50));
    record.allowed(200);
    record
}

/// How long PostgreSQL takes for the same rows from a file, into a table with the same keys and indexes of its own.
fn copied(postgres: &Postgres, folder: &Folder, records: &[AuditRecord]) -> Duration {
    let file = folder.path().join("records.csv");
    postgres.psql(
        &As::Audit,
        &format!(
            "CREATE TABLE public.bare (LIKE audit.record INCLUDING ALL); \
             \\copy (SELECT chain, writer, sequence, id, time, record, previous, hash, keys FROM audit.record \
              WHERE chain = '{CHAIN}' ORDER BY time, writer, sequence) TO '{}' WITH (FORMAT csv)",
            file.display()
        )
        .replace("; \\copy", ";\n\\copy"),
    );
    let script = format!(
        "\\timing on\nSET synchronous_commit TO off;\n\
         \\copy public.bare (chain, writer, sequence, id, time, record, previous, hash, keys) FROM '{}' WITH (FORMAT csv)\n",
        file.display()
    );
    let took = *postgres.timed(&As::Audit, &script).last().expect("it was timed");
    let there = postgres.psql(&As::Audit, "SELECT count(*) FROM public.bare;");
    assert_eq!(there.trim(), records.len().to_string());
    postgres.psql(&As::Audit, "DROP TABLE public.bare;");
    took
}

/// How long PostgreSQL takes to give the same rows out in the same order.
fn read(postgres: &Postgres) -> Duration {
    let script = format!(
        "\\timing on\n\\copy (SELECT writer, sequence, id, time, record, previous, hash, keys FROM audit.record \
         WHERE chain = '{CHAIN}' ORDER BY time, writer, sequence) TO '/dev/null'\n"
    );
    *postgres.timed(&As::Audit, &script).last().expect("it was timed")
}

fn figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("few"))
}
