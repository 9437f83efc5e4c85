//! A look behind the server, as the administrator of its database: through `psql`, since only the store names sqlx.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Tenant, cluster::Cluster};

/// Longest argument of a program on Linux is 128 kB; what is longer goes in another way.
const MAX_ARGUMENT: usize = 100_000;

/// Ends what a session's statements return.
const END: &str = "-- end --";

impl Cluster {
    /// Runs statements in the database of the tenants and returns what they return, columns parted by `|`.
    pub async fn sql(&self, statements: &str) -> String {
        run(&self.urls.app_admin().expect("the embedded database has an administrator"), statements).await
    }
}

impl Tenant {
    /// The role that is also the name of its schema.
    pub fn role(&self) -> String {
        let directory = self.server.app.directory().expect("the directory is read");
        directory.tenant(&self.name).expect("the server knows the tenant").role.to_string()
    }
}

/// Runs statements in a database and returns what they return, columns parted by `|`.
pub async fn run(url: &str, statements: &str) -> String {
    attempt(url, statements).await.unwrap_or_else(|said| panic!("psql: {said}"))
}

/// The same, where they may fail: then what was said.
pub async fn attempt(url: &str, statements: &str) -> Result<String, String> {
    let (mut psql, mut input) = (psql(url), None);
    if statements.len() < MAX_ARGUMENT {
        psql.args(["--command", statements]).stdin(Stdio::null());
    } else {
        psql.stdin(Stdio::piped());
        input = Some(statements.to_owned());
    }
    tokio::task::spawn_blocking(move || {
        let mut psql = psql.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql can be run");
        if let (Some(input), Some(mut stdin)) = (input, psql.stdin.take()) {
            stdin.write_all(input.as_bytes()).expect("psql listens");
        }
        let output = psql.wait_with_output().expect("psql ends");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    })
    .await
    .expect("psql ends")
}

/// A session that stays open: for locks that are held, and for looking often.
pub struct Session {
    psql: Child,
    statements: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Session {
    /// Opens one.
    pub fn open(url: &str) -> Self {
        let mut psql = psql(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql can be run");
        let statements = psql.stdin.take().expect("it was asked for");
        let answers = BufReader::new(psql.stdout.take().expect("it was asked for"));
        Self { psql, statements, answers }
    }

    /// Runs statements and returns what they return, columns parted by `|`.
    pub fn run(&mut self, statements: &str) -> String {
        writeln!(self.statements, "{statements};\n\\echo {END}").expect("psql listens");
        let mut answer = String::new();
        loop {
            let before = answer.len();
            self.answers.read_line(&mut answer).expect("psql answers");
            match answer[before..].trim() {
                END => break answer[..before].trim().to_owned(),
                // psql leaves at the first error.
                "" if answer.len() == before => panic!("a statement failed: {statements}"),
                _ => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Whatever it held is let go when its connection closes.
        self.psql.kill().ok();
        self.psql.wait().ok();
    }
}

fn psql(url: &str) -> Command {
    let mut command = Command::new(program());
    command
        .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--dbname"])
        .arg(url);
    command
}

/// `psql`, which lies beside the programs of PostgreSQL where it is not in the path.
fn program() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed.map(|entry| entry.path().join("bin/psql")).find(|path| path.exists()).unwrap_or_else(|| "psql".into())
}
