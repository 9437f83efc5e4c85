//! The same PostgreSQL without us: `psql` and `pgbench` on the cluster that the server uses.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use vitals_store::{
    embedded::Embedded,
    urls::{self, Urls},
};

use crate::{process, program::Folder, requests::statement::Script};

/// How long one run of pgbench takes.
const SECONDS: &str = "5";
/// The database of pgbench's own tables.
const DATABASE: &str = "bench";

/// The cluster.
pub struct Postgres {
    urls: Urls,
    embedded: Embedded,
}

/// What pgbench did.
pub struct Rate {
    /// Transactions a second.
    pub a_second: f64,
    /// Processor time of the whole cluster for each of them.
    pub cpu: Duration,
}

/// Who speaks to the cluster.
pub enum As<'a> {
    /// The administering role, in the database of the tenants.
    Admin,
    /// The administering role, in the database of the audit trail.
    Audit,
    /// The administering role, in pgbench's own database.
    Bench,
    /// The login role that serves, in a tenant's role.
    Tenant(&'a str),
    /// Another login role with its password, in the database of the tenants.
    Login(&'a str, &'a str),
}

impl Postgres {
    /// Joins the database of a running server.
    pub async fn join(folder: &Folder) -> Self {
        let embedded =
            Embedded::start(folder.path(), &mut |_| {}).await.expect("the database of the server can be joined");
        Self { urls: embedded.urls(), embedded }
    }

    /// How it is reached.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Leaves it.
    pub async fn leave(self) {
        self.embedded.stop().await.expect("the database can be left");
    }

    /// Makes the tables that pgbench selects from.
    pub fn prepare(&self) {
        self.psql(&As::Admin, &format!("CREATE DATABASE {DATABASE};"));
        let output = self.command("pgbench", &As::Bench).args(["-i", "-q", "-s", "5"]).output();
        text(output.expect("pgbench can be run"), "pgbench -i");
    }

    /// Runs a script and returns what it printed, columns parted by `|`.
    pub fn psql(&self, who: &As<'_>, script: &str) -> String {
        let mut child = self
            .command("psql", who)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql can be run");
        child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("psql reads its script");
        text(child.wait_with_output().expect("psql ends"), "psql")
    }

    /// The command that a `\!` in a script of psql runs to do something on another connection.
    pub fn elsewhere(&self, statement: &str) -> String {
        format!("\\! {} -X -q -c '{statement}' '{}'\n", program("psql").display(), self.url(&As::Admin))
    }

    /// How long each statement took that a script ran under `\timing on`.
    pub fn timed(&self, who: &As<'_>, script: &str) -> Vec<Duration> {
        let printed = self.psql(who, script);
        let times = printed.lines().filter_map(|line| line.strip_prefix("Time: "));
        times
            .map(|rest| {
                let milliseconds: f64 = rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a figure");
                Duration::from_secs_f64(milliseconds / 1e3)
            })
            .collect()
    }

    /// Transactions a second of pgbench's own selection of a row by its key, prepared.
    pub fn select_only(&self, clients: u16) -> f64 {
        tps(&self.pgbench_prints(&As::Bench, clients, &["-S".to_owned()]))
    }

    /// What a script does, each transaction of which is run as soon as the one before it has ended.
    pub fn script(&self, who: &As<'_>, clients: u16, folder: &Folder, script: &Script) -> Rate {
        let file = folder.path().join("statement.sql");
        std::fs::write(&file, &script.text).expect("a script can be written");
        let mut arguments = vec!["-n".to_owned(), "-f".to_owned(), file.to_string_lossy().into_owned()];
        for (name, value) in &script.variables {
            arguments.extend(["-D".to_owned(), format!("{name}={value}")]);
        }
        let before = process::time_of_cluster(folder.path());
        let printed = self.pgbench_prints(who, clients, &arguments);
        let took = process::time_of_cluster(folder.path()).saturating_sub(before);
        let done = printed.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
        let done: u32 = done.and_then(|figure| figure.trim().parse().ok()).expect("pgbench prints how many it ran");
        Rate { a_second: tps(&printed), cpu: took / done.max(1) }
    }

    fn pgbench_prints(&self, who: &As<'_>, clients: u16, arguments: &[String]) -> String {
        let clients = clients.to_string();
        let mut command = self.command("pgbench", who);
        command.args(["-M", "prepared", "-T", SECONDS, "-c", &clients, "-j", if clients == "1" { "1" } else { "2" }]);
        text(command.args(arguments).output().expect("pgbench can be run"), "pgbench")
    }

    fn url(&self, who: &As<'_>) -> String {
        let made = match who {
            As::Admin => self.urls.app_admin(),
            As::Audit => self.urls.audit_admin(),
            As::Bench => self.urls.app_admin().and_then(|url| urls::with_database(&url, DATABASE)),
            As::Tenant(_) => Ok(self.urls.app.clone()),
            As::Login(login, password) => urls::with_user(&self.urls.app, login)
                .map(|url| url.replacen(&password_in(&url), &format!(":{password}@"), 1)),
        };
        made.expect("the embedded database has all these addresses")
    }

    fn command(&self, name: &str, who: &As<'_>) -> Command {
        let mut command = Command::new(program(name));
        command.env_remove("PGOPTIONS").arg("-d").arg(self.url(who)).stdin(Stdio::null());
        if let As::Tenant(role) = who {
            command.env("PGOPTIONS", format!("-c role={role}"));
        }
        command
    }
}

fn tps(printed: &str) -> f64 {
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).expect("pgbench prints its tps");
    line.split(' ').next().and_then(|figure| figure.parse().ok()).expect("as a figure")
}

/// `:password@` of a URL.
fn password_in(url: &str) -> String {
    let end = url.find('@').expect("the embedded database's URLs name a user");
    let start = url[..end].rfind(':').expect("and a password");
    url[start..=end].to_owned()
}

fn text(output: Output, name: &str) -> String {
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("programs of PostgreSQL print UTF-8")
}

/// A program of PostgreSQL's, which lies beside the others where it is not in the path.
fn program(name: &str) -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed.map(|entry| entry.path().join("bin").join(name)).find(|path| path.exists()).unwrap_or_else(|| name.into())
}
