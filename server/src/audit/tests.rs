use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;
use vitals_access::{
    access::Access,
    audit::{AuditRecord, Origin, SERVER_CHAIN},
    clock::Clock,
    tenant::{Tenant, TenantRole},
};
use vitals_store::{
    audit::{
        AuditReader, Claim, Direction, Durability, Leftover, OutboxSession, Verification, Verify, new_writer, verify,
    },
    control::{
        jobs, privileges, roles,
        tenants::{self, Isolation, NewTenant},
    },
    embedded::{Embedded, EmbeddedOptions},
    migrate::{self, SchemaVersions},
    pool::{PoolLimits, ServedVersions, TenantPool},
    rows::Outbox,
    seal::MasterKey,
    setup,
    urls::{self, Urls},
};

use super::{AuditUnavailable, AuditWriter};
use crate::clock::SystemClock;

/// Nothing here takes longer, on the busiest machine.
const LONG: Duration = Duration::from_secs(30);

/// A PostgreSQL of one test's own.
struct World {
    folder: PathBuf,
    embedded: Option<Embedded>,
    urls: Urls,
}

impl World {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("vitals-writer-{}", Uuid::new_v4()));
        let embedded = start(&folder).await;
        let urls = embedded.urls();
        setup::cluster(&urls).await.unwrap();
        let mut admin = urls::connect(&urls.app_admin().unwrap()).await.unwrap();
        migrate::control(&mut admin, SystemClock.now()).await.unwrap();
        privileges::apply(&mut admin, &urls.login_names().unwrap()).await.unwrap();
        roles::replenish(&mut admin, SystemClock.now()).await.unwrap();
        let mut audit = urls::connect(&urls.audit_admin().unwrap()).await.unwrap();
        migrate::audit(&mut audit, SystemClock.now()).await.unwrap();
        Self { folder, embedded: Some(embedded), urls }
    }

    async fn writer(&self) -> AuditWriter {
        AuditWriter::start(&self.urls, Durability::Prompt, None, Arc::new(SystemClock)).await.unwrap()
    }

    async fn tenant(&self) -> Tenant {
        let mut admin = urls::connect(&self.urls.app_admin().unwrap()).await.unwrap();
        let new = NewTenant {
            name: "north".parse().unwrap(),
            display: String::new(),
            isolation: Isolation::Schema,
            tier: "default".to_owned(),
            issuer: None,
        };
        let master = MasterKey::generate().unwrap();
        tenants::create(&mut admin, &master, &new, SystemClock.now()).await.unwrap().tenant
    }

    async fn access(&self, tenant: &Tenant) -> Access {
        let mut admin = urls::connect(&self.urls.app_admin().unwrap()).await.unwrap();
        let job =
            jobs::NewJob { id: Uuid::now_v7(), tenant, kind: "import", subject: "test", scopes: "system/*.cruds" };
        jobs::open(&mut admin, &job, SystemClock.now()).await.unwrap().access()
    }

    fn pool(&self) -> TenantPool {
        let logins: Vec<String> = (0..urls::LOGINS).map(|slot| self.urls.login(slot).unwrap()).collect();
        let versions = ServedVersions { oldest: SchemaVersions::oldest(), newest: SchemaVersions::newest() };
        TenantPool::new(&logins, PoolLimits::default(), versions).unwrap()
    }

    async fn verify(&self) -> Verification {
        verify(&self.urls.audit_read, Verify::everything(&HashMap::new())).await.unwrap()
    }

    async fn is_empty(&self, tenant: &TenantRole) -> bool {
        let mut outbox = OutboxSession::open(&self.urls.app).await.unwrap();
        outbox.leftovers(tenant, Leftover::Any, 1).await.unwrap().is_empty()
    }

    async fn until_empty(&self, tenant: &TenantRole) {
        let started = Instant::now();
        while !self.is_empty(tenant).await {
            assert!(started.elapsed() < LONG, "the outbox does not empty");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.embedded.take());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

async fn start(folder: &std::path::Path) -> Embedded {
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    Embedded::start_with(folder, options, &mut |_| ()).await.unwrap()
}

fn record(chain: &str) -> AuditRecord {
    let mut record = AuditRecord::new(Origin::Http, "read", SystemClock.now());
    chain.clone_into(&mut record.chain);
    record
}

/// Commits a record in the tenant's outbox, as a write does.
async fn write(pool: &TenantPool, access: &Access, writer: &AuditWriter) -> AuditRecord {
    let record = record(access.tenant().role.as_str());
    writer.ensure_unsettled(&access.tenant().role).await.unwrap();
    let mut tx = pool.begin(access).await.unwrap();
    tx.note(&Outbox { id: record.id, writer: writer.writer(), record: record.to_json() }).await.unwrap();
    tx.commit().await.unwrap();
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_at_once_share_inserts_and_make_one_chain_each() {
    let world = World::new().await;
    let writer = world.writer().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..50 {
        let writer = writer.clone();
        callers.spawn(async move {
            for _ in 0..20 {
                writer.record(record(if caller % 5 == 0 { SERVER_CHAIN } else { "t_one" })).await.unwrap();
            }
        });
    }
    callers.join_all().await;

    let verification = world.verify().await;

    assert!(verification.ok, "{:?}", verification.first_bad);
    let ends: Vec<_> = verification.heads.iter().map(|head| (head.chain.as_str(), head.sequence)).collect();
    assert_eq!(ends, [(SERVER_CHAIN, 200), ("t_one", 800)]);
    assert_eq!(writer.figures().appended(), 1_000);
    assert!(writer.figures().batches() < 900, "{:?}", writer.figures());
    writer.stop(LONG).await;
    assert_eq!(writer.record(record(SERVER_CHAIN)).await, Err(AuditUnavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_write_leaves_its_outbox_and_a_stopped_process_leaves_no_list() {
    let world = World::new().await;
    let tenant = world.tenant().await;
    let (access, pool) = (world.access(&tenant).await, world.pool());
    let writer = world.writer().await;

    let settled = write(&pool, &access, &writer).await;
    writer.record_settling(settled.clone(), &tenant.role).await.unwrap();
    world.until_empty(&tenant.role).await;

    // One that is settled only by the stop.
    let late = write(&pool, &access, &writer).await;
    writer.record_settling(late.clone(), &tenant.role).await.unwrap();
    writer.stop(LONG).await;

    assert!(world.is_empty(&tenant.role).await);
    assert_eq!(Claim::look(&world.urls.app).await.unwrap().of_dead().await.unwrap(), []);
    assert_eq!((writer.figures().settled(), writer.figures().unsettled()), (2, 0));
    let mut reader = AuditReader::open(&world.urls.audit_read).await.unwrap();
    let page = reader.page(tenant.role.as_str(), Direction::OldestFirst, None, 10).await.unwrap();
    let ids: Vec<Uuid> =
        page.iter().map(|stored| serde_json::from_str::<AuditRecord>(&stored.record).unwrap().id).collect();
    assert_eq!(ids, [settled.id, late.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_moved_on_by_the_next_and_then_by_nobody() {
    let world = World::new().await;
    let tenant = world.tenant().await;
    let (access, pool) = (world.access(&tenant).await, world.pool());
    let killed = world.writer().await;
    for written in 0..30 {
        let record = write(&pool, &access, &killed).await;
        // Killed between the commit and the record, or before the outbox was emptied.
        if written % 2 == 0 {
            killed.record_settling(record, &tenant.role).await.unwrap();
        }
    }
    killed.die().await;

    let (one, other) = (world.writer().await, world.writer().await);
    world.until_empty(&tenant.role).await;

    let verification = world.verify().await;
    assert!(verification.ok, "{:?}", verification.first_bad);
    assert_eq!(verification.records, 30);
    let started = Instant::now();
    let mut looker = Claim::look(&world.urls.app).await.unwrap();
    while !looker.of_dead().await.unwrap().is_empty() {
        assert!(started.elapsed() < LONG, "the list of the dead stays");
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() > Duration::from_secs(3), "believed dead too early");
    one.stop(LONG).await;
    other.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_callers_are_told_in_time_and_with_it_again_nothing_is_missing() {
    let mut world = World::new().await;
    let tenant = world.tenant().await;
    let (access, pool) = (world.access(&tenant).await, world.pool());
    let writer = world.writer().await;
    writer.record(record(SERVER_CHAIN)).await.unwrap();
    let forgotten = write(&pool, &access, &writer).await;

    world.embedded.take().unwrap().stop().await.unwrap();

    let started = Instant::now();
    let (read, written) =
        tokio::join!(writer.record(record(SERVER_CHAIN)), writer.record_settling(forgotten, &tenant.role));
    assert_eq!((read, written), (Err(AuditUnavailable), Err(AuditUnavailable)));
    assert!(started.elapsed() < Duration::from_secs(7));
    assert!(!writer.is_writable());
    assert_eq!(writer.figures().refused(), 2);

    world.embedded = Some(start(&world.folder).await);

    let started = Instant::now();
    while writer.record(record(SERVER_CHAIN)).await.is_err() {
        assert!(started.elapsed() < LONG, "the writer does not come back");
    }
    assert!(started.elapsed() < Duration::from_secs(6));
    assert!(writer.is_writable());
    // The record that was given up is found in the outbox.
    world.until_empty(&tenant.role).await;
    writer.ensure_unsettled(&tenant.role).await.unwrap();
    writer.stop(LONG).await;
    let verification = world.verify().await;
    assert!(verification.ok, "{:?}", verification.first_bad);
    let ends: HashMap<_, _> = verification.heads.iter().map(|head| (head.chain.as_str(), head.sequence)).collect();
    assert_eq!(ends[tenant.role.as_str()], 1);
    assert!(new_writer() > 0);
}
