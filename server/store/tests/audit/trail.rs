//! One PostgreSQL for the binary and an audit database for each test. It goes down with the process, however that ends:
//! a shell waits for the end of a pipe that only we hold.

use std::{
    collections::HashMap,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::OnceLock,
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use vitals_access::audit::{AuditRecord, Origin};
use vitals_store::{
    audit::{Appender, Durability, Head, Outcome, Verification, Verify, new_writer, verify},
    control::privileges,
    embedded::{Embedded, EmbeddedOptions},
    migrate, setup,
    urls::{self, Urls},
};

static CLUSTER: OnceLock<Urls> = OnceLock::new();

/// When the tests play.
pub fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A record of a chain, so many milliseconds after the hour.
pub fn record(chain: &str, millis: i64) -> AuditRecord {
    let mut record = AuditRecord::new(Origin::Http, "read", now() + TimeDelta::milliseconds(millis));
    chain.clone_into(&mut record.chain);
    record.allowed(200);
    record
}

/// Databases that were set up, and their superuser.
pub struct Trail {
    pub urls: Urls,
    pub superuser: PgConnection,
}

impl Trail {
    /// Fresh databases.
    pub async fn new(name: &str) -> Self {
        let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start).clone()).await.unwrap();
        let urls = Urls {
            app: urls::with_database(&cluster.app, name).unwrap(),
            admin: cluster.admin,
            audit_write: urls::with_database(&cluster.audit_write, &format!("{name}_audit")).unwrap(),
            audit_read: urls::with_database(&cluster.audit_read, &format!("{name}_audit")).unwrap(),
        };
        setup::cluster(&urls).await.unwrap();
        let mut app = urls::connect(&urls.app_admin().unwrap()).await.unwrap();
        migrate::control(&mut app, now()).await.unwrap();
        privileges::apply(&mut app, &urls.login_names().unwrap()).await.unwrap();
        let mut superuser = urls::connect(&urls.audit_admin().unwrap()).await.unwrap();
        migrate::audit(&mut superuser, now()).await.unwrap();
        Self { urls, superuser }
    }

    /// A writer of these databases.
    pub fn appender(&self, durability: Durability) -> Appender {
        Appender::new(&self.urls, durability, new_writer())
    }

    /// A writer that has written records 1 to `count` of a chain.
    pub async fn written(&self, chain: &str, count: i64) -> Appender {
        let mut appender = self.appender(Durability::Prompt);
        let records: Vec<AuditRecord> = (0..count).map(|n| record(chain, n)).collect();
        append(&mut appender, &records).await;
        appender
    }

    /// Runs a statement as the superuser, in the audit database.
    pub async fn tamper(&mut self, text: &str) -> u64 {
        let text = AssertSqlSafe(text.to_owned());
        sqlx::raw_sql(text).execute(&mut self.superuser).await.unwrap().rows_affected()
    }

    /// Verifies everything.
    pub async fn verify(&self) -> Verification {
        self.verify_against(&[]).await
    }

    /// Verifies one chain.
    pub async fn verify_one(&self, chain: &str) -> Verification {
        let names = HashMap::new();
        verify(&self.urls.audit_read, Verify { only: Some(chain), ..Verify::everything(&names) }).await.unwrap()
    }

    /// Verifies everything against heads that were kept.
    pub async fn verify_against(&self, heads: &[Head]) -> Verification {
        verify(&self.urls.audit_read, Verify { heads, ..Verify::everything(&HashMap::new()) }).await.unwrap()
    }

    /// How many rows there are, and how many different ids.
    pub async fn rows_and_ids(&mut self) -> (i64, i64) {
        sqlx::query_as("SELECT count(*), count(DISTINCT id) FROM audit.record")
            .fetch_one(&mut self.superuser)
            .await
            .unwrap()
    }
}

/// Appends, and expects all to be written.
pub async fn append(appender: &mut Appender, records: &[AuditRecord]) {
    let records: Vec<&AuditRecord> = records.iter().collect();
    let outcomes = appender.append(&records).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Written; records.len()]);
}

fn start() -> Urls {
    let folder = std::env::temp_dir().join(format!("vitals-audit-{}", uuid::Uuid::new_v4()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = EmbeddedOptions { fsync: false, max_connections: 200 };
    let embedded = runtime.block_on(Embedded::start_with(&folder, options, &mut |_| ())).unwrap();
    let clean = format!(
        "cat; kill -INT $(head -n 1 '{data}/postmaster.pid'); \
         while [ -e '{data}/postmaster.pid' ]; do sleep 0.05; done; rm -rf '{data}' '{folder}'",
        data = embedded.data().display(),
        folder = folder.display(),
    );
    let waiting =
        Command::new("sh").args(["-c", &clean]).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn();
    // Never waited for, never dropped: its pipe closes when we are gone.
    std::mem::forget(waiting.unwrap());
    let urls = embedded.urls();
    std::mem::forget(embedded);
    urls
}
