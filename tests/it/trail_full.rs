//! The disk of the audit store is full (FAULTS E15): nothing is disclosed and nothing is written, the server says so,
//! and goes on by itself when there is room again.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use vitals_store::embedded::EmbeddedOptions;
use vitals_tests::{
    Answer, Options, Server, Tenant,
    cluster::{self, Cluster},
    poll, samples, sql,
    tenant::client,
};

/// Room for an audit database and a little more.
const SIZE: &str = "24m";
const CANARY: &str = "CANARY-of-a-full-disk";

/// A disk of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount() -> Option<Self> {
        let path = std::env::temp_dir().join(format!("vitals-disk-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).expect("a folder can be made");
        let size = format!("size={SIZE},mode=0777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        std::fs::remove_dir(&path).expect("it is empty");
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let file = self.filler();
        // Ends when there is no room any more.
        let filled =
            Command::new("dd").args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", file.display())).output();
        assert!(!filled.expect("dd can be run").status.success(), "it is not full");
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // In use by the database until that is gone; it is only memory, and goes with its last user.
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
        drop(std::fs::remove_dir(&self.0));
    }
}

/// Moves the audit database to a disk of its own.
async fn move_to(cluster: &Cluster, disk: &Path) {
    let audit = cluster.urls.audit_admin().expect("an administrator");
    let data = sql::run(&audit, "SHOW data_directory").await;
    let folder = disk.join("tablespace");
    std::fs::create_dir(&folder).expect("a folder can be made");
    // PostgreSQL's own user has to own it.
    let owned = Command::new("chown").arg(format!("--reference={data}")).arg(&folder).status();
    assert!(owned.expect("chown can be run").success());
    let name = cluster.urls.audit_database().expect("a name");
    cluster.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display())).await;
    cluster.sql(&format!("ALTER DATABASE {name} SET TABLESPACE small")).await;
}

#[tokio::test]
async fn a12_a_full_disk_of_the_audit_store_discloses_nothing_and_heals_by_itself() {
    let Some(disk) = SmallDisk::mount() else {
        println!("E15 not run: this user may not mount a small disk");
        return;
    };
    // given a server whose audit database is on a small disk
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    let cluster = cluster::runtime().spawn(Cluster::start(options)).await.expect("the cluster starts");
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    move_to(cluster, &disk.0).await;
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let tenant = Tenant::on(server).await;
    let all = tenant.all();
    let ready = async || Answer::of(client().get(format!("{}/readyz", server.url))).await;
    tenant.put("Patient/a", &all, &samples::patient("a", CANARY).to_string()).await.expect(201);
    ready().await.expect(200);

    // when it is full
    disk.fill();
    // then, as soon as a record finds no room in what the tables have already, nobody gets anything
    poll::until("a read is refused", async || tenant.get("Patient/a", &all).await.status == 503).await;
    for _ in 0..5 {
        let body = samples::patient("a", CANARY).to_string();
        let (read, search, write) = tokio::join!(
            tenant.get("Patient/a", &all),
            tenant.get("Patient", &all),
            tenant.put("Patient/a", &all, &body),
        );
        for answer in [read, search, write] {
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(!answer.holds(CANARY), "{}", answer.body);
        }
    }
    poll::until("the server says that it is not ready", async || {
        let answer = ready().await;
        answer.status == 503 && answer.json()["audit"] == false
    })
    .await;

    // and with room again it serves, without a restart, and lost nothing
    disk.empty();
    poll::until("the server is ready again", async || ready().await.status == 200).await;
    poll::until("it serves", async || tenant.get("Patient/a", &all).await.status == 200).await;
    tenant.put("Patient/b", &all, &samples::patient("b", "x").to_string()).await.expect(201);
    crate::trail::holds(&tenant).await;
    poll::until("writes and records agree", async || {
        let written = cluster.sql(&format!("SELECT max(version) FROM {}.patient WHERE id = 'a'", tenant.role())).await;
        let recorded = "SELECT count(*) FROM audit.record WHERE record LIKE '%\"action\":\"update\"%\"id\":\"a\"%' \
                        AND record LIKE '%\"decision\":\"allowed\"%'";
        sql::run(&cluster.urls.audit_read, recorded).await == written
    })
    .await;
}
