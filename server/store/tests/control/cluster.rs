//! One PostgreSQL for the binary, and a database of its own for each test. It goes down with the process, however that
//! ends: a shell waits for the end of a pipe that only we hold.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::OnceLock,
};

use sqlx::PgConnection;
use vitals_store::{
    control::{
        privileges, roles,
        tenants::{self, Isolation, NewTenant},
    },
    embedded::{Embedded, EmbeddedOptions},
    migrate,
    seal::MasterKey,
    setup,
    urls::{self, Urls},
};

static CLUSTER: OnceLock<Urls> = OnceLock::new();

/// A database that was set up.
pub struct Database {
    pub urls: Urls,
    pub admin: PgConnection,
}

impl Database {
    /// Makes tenants `t-00`, `t-01` and so on.
    pub async fn tenants(&mut self, count: usize) {
        let master = MasterKey::generate().unwrap();
        for number in 0..count {
            let new = NewTenant {
                name: format!("t-{number:02}").parse().unwrap(),
                display: String::new(),
                isolation: Isolation::Schema,
                tier: "default".to_owned(),
                issuer: None,
            };
            tenants::create(&mut self.admin, &master, &new, super::now()).await.unwrap();
        }
    }

    pub async fn newest_change(&mut self) -> i64 {
        sqlx::query_scalar("SELECT max(seq) FROM control.change").fetch_one(&mut self.admin).await.unwrap()
    }
}

/// A fresh database.
pub async fn database(name: &str) -> Database {
    set_up(addresses(name).await).await
}

/// The addresses of a database that may not be there yet.
pub async fn addresses(name: &str) -> Urls {
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start).clone()).await.unwrap();
    Urls {
        app: urls::with_database(&cluster.app, name).unwrap(),
        admin: cluster.admin,
        audit_write: urls::with_database(&cluster.audit_write, &format!("{name}_audit")).unwrap(),
        audit_read: urls::with_database(&cluster.audit_read, &format!("{name}_audit")).unwrap(),
    }
}

/// Makes it.
pub async fn set_up(urls: Urls) -> Database {
    setup::cluster(&urls).await.unwrap();
    let mut admin = urls::connect(&urls.app_admin().unwrap()).await.unwrap();
    migrate::control(&mut admin, super::now()).await.unwrap();
    privileges::apply(&mut admin, &urls.login_names().unwrap()).await.unwrap();
    roles::replenish(&mut admin, super::now()).await.unwrap();
    Database { urls, admin }
}

fn start() -> Urls {
    let folder = std::env::temp_dir().join(format!("vitals-control-{}", uuid::Uuid::new_v4()));
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
