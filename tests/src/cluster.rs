//! The PostgreSQL of a test run: started once, without fsync, and gone when the process ends, however it ends.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tokio::runtime::Runtime;
use vitals_access::clock::Clock as _;
use vitals_server::clock::SystemClock;
use vitals_store::{
    control,
    embedded::{Embedded, EmbeddedOptions},
    migrate,
    seal::MasterKey,
    setup,
    urls::{self, Urls},
};

/// A prepared PostgreSQL.
#[derive(Debug)]
pub struct Cluster {
    /// How to reach it.
    pub urls: Urls,
    /// What the servers on it seal under.
    pub master_key: MasterKey,
    /// Its data directory.
    pub folder: PathBuf,
    // Kept for its lock and for `stop`.
    embedded: Option<Embedded>,
    _undertaker: Child,
}

/// The runtime that servers live on: tests come and go with runtimes of their own.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        vitals_server::egress::install_tls_provider();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    })
}

/// The cluster of this run.
pub fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        std::thread::spawn(|| {
            runtime().block_on(Cluster::start(EmbeddedOptions { fsync: false, max_connections: 500 }))
        })
        .join()
        .expect("the cluster starts")
    })
}

/// Another one, for tests whose tenants have authorities of client certificates: every server on a cluster asks its
/// clients for those.
pub async fn apart() -> &'static Cluster {
    static CLUSTER: tokio::sync::OnceCell<&'static Cluster> = tokio::sync::OnceCell::const_new();
    CLUSTER.get_or_init(alone).await
}

/// One that nobody else is on.
pub async fn alone() -> &'static Cluster {
    let options = EmbeddedOptions { fsync: false, max_connections: 100 };
    let started = runtime().spawn(Cluster::start(options)).await.expect("the cluster starts");
    Box::leak(Box::new(started))
}

impl Cluster {
    /// Starts and prepares a PostgreSQL in a folder of its own.
    pub async fn start(options: EmbeddedOptions) -> Self {
        let folder = std::env::temp_dir().join(format!("vitals-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        let embedded =
            Embedded::start_with(&folder, options, &mut |_| {}).await.expect("the embedded PostgreSQL starts");
        let undertaker = undertaker(embedded.data(), &folder);
        let urls = embedded.urls();
        prepare(&urls).await;
        let master_key = MasterKey::generate().expect("random bytes");
        Self { urls, master_key, folder, embedded: Some(embedded), _undertaker: undertaker }
    }

    /// The same, with the write-ahead log in another folder, which PostgreSQL's own user can enter.
    pub async fn with_log_in(options: EmbeddedOptions, log: &Path) -> Self {
        let cluster = Self::start(options.clone()).await;
        let Self { embedded, folder, .. } = cluster;
        let embedded = embedded.expect("it was started");
        let data = embedded.data().to_owned();
        embedded.stop().await.expect("it stops");
        let script = format!(
            "mv '{data}/pg_wal' '{log}/pg_wal' && ln -s '{log}/pg_wal' '{data}/pg_wal'",
            data = data.display(),
            log = log.display(),
        );
        let moved = Command::new("sh").args(["-c", &script]).status().expect("sh can be started");
        assert!(moved.success(), "the log cannot be moved");
        let embedded = Embedded::start_with(&folder, options, &mut |_| {}).await.expect("PostgreSQL starts");
        Self { embedded: Some(embedded), folder, ..cluster }
    }

    /// Starts it again where it went down by itself; where it runs, waits until it answers.
    pub async fn bring_up(&self, options: EmbeddedOptions) {
        let started = Embedded::start_with(&self.folder, options, &mut |_| {}).await;
        // One user more, who stays: the last one out would stop it.
        std::mem::forget(started.expect("PostgreSQL starts"));
    }

    /// The database itself, for tests that stop and start it.
    pub fn embedded(&self) -> &Embedded {
        self.embedded.as_ref().expect("not stopped yet")
    }

    /// A connection as the login that serves.
    pub async fn serving(&self) -> vitals_store::Connection {
        urls::connect(&self.urls.app).await.expect("the login that serves can connect")
    }

    /// A connection as the administering role, in the database of the tenants.
    pub async fn admin(&self) -> vitals_store::Connection {
        let url = self.urls.app_admin().expect("the embedded database has an administrator");
        urls::connect(&url).await.expect("the administrator can connect")
    }
}

/// Roles, schemas, grants and spare roles, as `vitals setup` makes them.
async fn prepare(urls: &Urls) {
    let now = SystemClock.now();
    setup::cluster(urls).await.expect("roles and databases");
    let mut admin = urls::connect(&urls.app_admin().expect("admin")).await.expect("connect");
    migrate::control(&mut admin, now).await.expect("control schema");
    let mut audit = urls::connect(&urls.audit_admin().expect("admin")).await.expect("connect");
    migrate::audit(&mut audit, now).await.expect("audit schema");
    control::privileges::apply(&mut admin, &urls.login_names().expect("names")).await.expect("grants");
    control::roles::replenish(&mut admin, now).await.expect("spare roles");
}

/// A small shell that outlives us by a moment: when our end of its standard input closes, it stops PostgreSQL and
/// clears the folders away.
fn undertaker(data: &Path, folder: &Path) -> Child {
    let script = format!(
        "read _; pid=$(head -n 1 '{data}/postmaster.pid' 2>/dev/null) && kill -QUIT \"$pid\"; sleep 1; \
         rm -rf '{data}' '{folder}'",
        data = data.display(),
        folder = folder.display(),
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started")
}
