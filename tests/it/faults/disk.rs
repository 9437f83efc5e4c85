//! E13 and E14: no space left, under the tenants' data and under the write-ahead log.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use vitals_store::embedded::EmbeddedOptions;
use vitals_tests::{
    Answer, Chance, Checker, Options, Server, Tenant,
    checker::{Crowd, Place},
    cluster::{self, Cluster},
    disk::Disk,
    fault_rounds, fault_seed, poll, samples, sql,
    tenant::client,
};

/// Callers at work when it happens.
const CALLERS: usize = 4;
/// Of the disk under the data, of which a database that was just made takes a third.
const DATA: usize = 64;
/// Of the disk under the log, in megabytes: six of its files.
const LOG: usize = 96;
/// How long the service may take to come back by itself once there is space.
const BACK_WITHIN: Duration = Duration::from_secs(5);

const OPTIONS: EmbeddedOptions = EmbeddedOptions { fsync: true, max_connections: 100 };

/// A patient too large to find room on a page that is there.
fn large(id: &str) -> String {
    let mut patient = samples::patient(id, "Family");
    let noise: Vec<String> = (0..200).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    patient["address"] = json!([{ "text": noise.join(" ") }]);
    patient.to_string()
}

async fn written(tenant: &Tenant, id: &str) -> Answer {
    tenant.put(&format!("Patient/{id}"), &tenant.all(), &large(id)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e13_a_full_disk_under_the_data_refuses_writes_and_serves_reads_until_there_is_space() {
    // given a server whose tenants have a disk of their own, small
    let Some(disk) = Disk::mount("E13", DATA) else { return };
    let seed = fault_seed("E13");
    let cluster: &'static Cluster = cluster::alone().await;
    move_tenants(cluster, &disk).await;
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let tenant = Tenant::on(server).await;
    tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Family").to_string()).await.expect(201);
    let (place, checker, mut chance) = (Place::of(&tenant), Arc::new(Checker::default()), Chance(seed));
    for round in 0..fault_rounds(1) {
        // when it is full in the middle of work
        let crowd = Crowd::of(&checker, &place, CALLERS, &format!("r{round}"), seed.wrapping_add(round));
        crowd.acknowledged(20 + usize::try_from(chance.below(60)).expect("few")).await;
        disk.fill();
        let mut refused = None;
        for number in 0..2_000 {
            let answer = written(&tenant, &format!("filling-{round}-{number}")).await;
            if answer.status != 201 {
                refused = Some(answer);
                break;
            }
        }
        // then writes say so, and reads go on
        let refused = refused.expect("a disk of that size is full at some time");
        assert!(matches!(refused.status, 503 | 507), "{} {}", refused.status, refused.body);
        assert_eq!(refused.json()["issue"][0]["code"], "transient", "{}", refused.body);
        assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        for _ in 0..10 {
            tenant.get("Patient/p1", &tenant.all()).await.expect(200);
            tenant.get("Patient?family=family&_count=5", &tenant.all()).await.expect(200);
        }
        // and with space everything goes on, without a restart of anything
        disk.free();
        poll::within(BACK_WITHIN, "writes are taken again", async || {
            written(&tenant, &format!("back-{round}")).await.status < 300
        })
        .await;
        crowd.leave().await;
        sql::run(&place.tables, &format!("DELETE FROM {}.patient WHERE id LIKE 'filling-%'", place.role)).await;
        sql::run(&place.tables, &format!("VACUUM {}.patient", place.role)).await;
    }
    let (acknowledged, unknown) = checker.count();
    println!("E13: {acknowledged} acknowledged, {unknown} in doubt");
    checker.nothing_is_lost(&place, "E13").await;
    vitals_tests::ledger::each_left_one_record().await;
}

/// Moves the database of the tenants to a disk.
async fn move_tenants(cluster: &Cluster, disk: &Disk) {
    let folder = disk.path().join("tenants");
    let owner = std::process::Command::new("sh")
        .args(["-c", &format!("mkdir '{0}' && chown --reference=\"$1\" '{0}'", folder.display()), "sh"])
        .arg(cluster.embedded().data())
        .status();
    assert!(owner.expect("sh can be started").success(), "a folder of PostgreSQL's own");
    let admin = cluster.urls.admin.as_deref().expect("an administrator");
    sql::run(admin, &format!("CREATE TABLESPACE small LOCATION '{}'", folder.display())).await;
    poll::until("nobody uses the database", async || {
        sql::attempt(admin, "ALTER DATABASE vitals SET TABLESPACE small").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e14_a_full_disk_under_the_log_ends_in_recovery_and_loses_nothing() {
    // given a PostgreSQL whose log has a disk of its own, small
    let Some(disk) = Disk::mount("E14", LOG) else { return };
    let seed = fault_seed("E14");
    let log = disk.path().to_owned();
    let started = cluster::runtime().spawn(async move { Cluster::with_log_in(OPTIONS, &log).await });
    let cluster: &'static Cluster = Box::leak(Box::new(started.await.expect("the cluster starts")));
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let tenant = Tenant::on(server).await;
    tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Family").to_string()).await.expect(201);
    let (place, checker, mut chance) = (Place::of(&tenant), Arc::new(Checker::default()), Chance(seed));
    let admin = cluster.urls.admin.as_deref().expect("an administrator");
    for round in 0..fault_rounds(1) {
        // when it is full in the middle of work, and PostgreSQL panics
        let crowd = Crowd::of(&checker, &place, CALLERS, &format!("r{round}"), seed.wrapping_add(round));
        crowd.acknowledged(20 + usize::try_from(chance.below(60)).expect("few")).await;
        disk.fill();
        poll::within(Duration::from_mins(1), "the log needs a file that there is no room for", async || {
            sql::attempt(admin, "SELECT pg_switch_wal()").await.is_err()
        })
        .await;
        // then nothing hangs, and nobody is told that anything was done
        let answer = tenant.put("Patient/meanwhile", &tenant.all(), &large("meanwhile")).await;
        println!("E14: meanwhile {}", answer.status);
        disk.free();
        // and once PostgreSQL is back, so are we
        cluster.bring_up(OPTIONS).await;
        answers(admin).await;
        poll::within(BACK_WITHIN, "the server serves again", async || {
            written(&tenant, &format!("back-{round}")).await.status < 300
        })
        .await;
        poll::until("it says so", async || {
            Answer::of(client().get(format!("{}/readyz", server.url))).await.status == 200
        })
        .await;
        crowd.leave().await;
    }
    let (acknowledged, unknown) = checker.count();
    println!("E14: {acknowledged} acknowledged, {unknown} in doubt");
    checker.nothing_is_lost(&place, "E14").await;
}

/// Waits until a PostgreSQL that went down answers, and goes on to: before it goes down it may answer once more.
async fn answers(url: &str) {
    for _ in 0..4 {
        poll::within(Duration::from_mins(1), "PostgreSQL answers", async || {
            sql::attempt(url, "SELECT 1").await.is_ok()
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
