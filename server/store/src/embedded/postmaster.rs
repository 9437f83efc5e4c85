//! The running PostgreSQL: starting it, finding one that runs, stopping it.
//!
//! Its first process writes `postmaster.pid` into the data directory: process, port, socket directory and state. That
//! file and an answering socket together say that it runs; either alone may be left over.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::account::Account;
use super::binaries::Binaries;
use super::place::Place;
use super::{EmbeddedError, EmbeddedOptions};

/// How often to look at a database that is starting or stopping.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// How long a start may take. Usually 0.4 s; recovery after a crash reads the log since the last checkpoint.
const UP_WITHIN: Duration = Duration::from_secs(90);

/// How long a stop may take: the server promises to be gone in 10 s, and this is its last step.
const DOWN_WITHIN: Duration = Duration::from_secs(8);

/// A PostgreSQL whose first process was killed leaves others behind for a moment, and a start fails meanwhile.
const TRIES: u32 = 5;

/// How long to wait before the next try.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(400);

/// Over this size the log of earlier runs is dropped at a start. It holds a few lines a start, no statements.
const LOG_LIMIT: u64 = 1 << 20;

/// What PostgreSQL is always told. It looks after a tenant that much was written into within seconds, since until then it
/// plans searches as if nothing were there. The last five keep statements, values and their errors out of its log: they
/// hold health data. Our own log says what failed.
const SETTINGS: [&str; 15] = [
    "port=5432",
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "cluster_name=vitals",
    "jit=off",
    "autovacuum_naptime=10s",
    "max_locks_per_transaction=256",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
    "log_min_messages=log",
    "log_statement=none",
    "log_error_verbosity=terse",
    "log_parameter_max_length_on_error=0",
    "log_min_error_statement=panic",
];

/// One database, running or not.
#[derive(Debug)]
pub(super) struct Postmaster {
    binaries: Binaries,
    data: PathBuf,
    log: PathBuf,
    account: Account,
    ourselves: Account,
    /// Ours if we launched it; adopted otherwise. The thread waits for its end, whenever that comes: an ended process
    /// that nobody waits for keeps its number, and PostgreSQL would take its lock file for a live one.
    process: Option<JoinHandle<()>>,
}

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    socket_directory: PathBuf,
    port: u16,
    state: String,
}

impl Postmaster {
    pub(super) fn new(binaries: &Binaries, place: &Place, log: PathBuf) -> Self {
        Self {
            binaries: binaries.clone(),
            data: place.data.clone(),
            log,
            account: place.account,
            ourselves: place.ourselves,
            process: None,
        }
    }

    /// PostgreSQL's data directory.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Sees to it that the database runs and answers; returns the directory of its socket.
    pub(super) async fn adopt_or_launch(
        &mut self,
        place: &Place,
        options: &EmbeddedOptions,
    ) -> Result<PathBuf, EmbeddedError> {
        let began = Instant::now();
        let mut tries = 0;
        let mut said = String::from("it took too long");
        while began.elapsed() < UP_WITHIN {
            match self.status() {
                Some(status) if status.state == "ready" => return Ok(status.socket_directory),
                // Somebody's, on its way up or down: wait and see.
                Some(_) if self.process.is_none() => sleep(LOOK_EVERY).await,
                _ if self.is_running() => sleep(LOOK_EVERY).await,
                _ if tries == TRIES => return Err(EmbeddedError::Start { data: self.data.clone(), said }),
                _ => {
                    if tries > 0 {
                        said = self.last_words();
                        sleep(TRY_AGAIN_AFTER).await;
                    }
                    tries += 1;
                    self.launch(place, options)?;
                }
            }
        }
        Err(EmbeddedError::Start { data: self.data.clone(), said })
    }

    /// Asks it to stop: open transactions are rolled back, sessions closed.
    pub(super) fn interrupt(&self) -> Result<(), EmbeddedError> {
        let program = self.binaries.program("pg_ctl");
        let mut command = Command::new(&program);
        command
            .args(["stop", "--mode=fast", "--no-wait", "--silent", "-D"])
            .arg(&self.data)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.account.run(self.ourselves, &mut command);
        let status = command.status().map_err(|source| EmbeddedError::Program { program, source })?;
        if !status.success() && self.status().is_some() {
            return Err(EmbeddedError::Stopping(self.data.clone()));
        }
        Ok(())
    }

    /// Waits until it is gone.
    pub(super) async fn gone(&self) -> Result<(), EmbeddedError> {
        let began = Instant::now();
        while self.is_running() || self.status().is_some() {
            if began.elapsed() > DOWN_WITHIN {
                return Err(EmbeddedError::Stopping(self.data.clone()));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Whether the process we launched is still there.
    fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.is_finished())
    }

    /// What the database says about itself, if it is alive.
    fn status(&self) -> Option<Status> {
        let status = Status::read(&std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?)?;
        let socket = status.socket_directory.join(format!(".s.PGSQL.{}", status.port));
        UnixStream::connect(socket).is_ok().then_some(status)
    }

    fn launch(&mut self, place: &Place, options: &EmbeddedOptions) -> Result<(), EmbeddedError> {
        let overgrown = std::fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_LIMIT);
        let mut open = OpenOptions::new();
        open.create(true).mode(0o600);
        let log = if overgrown { open.write(true).truncate(true) } else { open.append(true) }
            .open(&self.log)
            .map_err(EmbeddedError::file("write", &self.log))?;
        let program = self.binaries.program("postgres");
        let mut command = Command::new(&program);
        command.arg("-D").arg(&self.data).arg("-k").arg(place.socket_directory()?);
        let durable = if options.fsync { "on" } else { "off" };
        let ours = [
            format!("max_connections={}", options.max_connections),
            format!("fsync={durable}"),
            format!("synchronous_commit={durable}"),
            format!("full_page_writes={durable}"),
        ];
        for setting in SETTINGS.into_iter().chain(ours.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            // Its own group: Ctrl-C in a terminal is for us, and we stop it after the last answer.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.account.run(self.ourselves, &mut command);
        let failed = |source| EmbeddedError::Program { program: program.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        let wait = move || {
            if let Err(error) = child.wait() {
                tracing::warn!(error = %error, "PostgreSQL's process could not be waited for");
            }
        };
        let thread = std::thread::Builder::new().name("postgres-wait".to_owned()).spawn(wait).map_err(failed)?;
        self.process = Some(thread);
        Ok(())
    }

    /// The last error in the log, without its time.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let fatal = log.lines().rev().take(20).find(|line| line.contains("FATAL:") || line.contains("PANIC:"));
        let said = fatal.and_then(|line| line.split_once(":  ")).map(|(_, said)| said.to_owned());
        said.unwrap_or_else(|| format!("see {}", self.log.display()))
    }
}

impl Status {
    /// Lines: process, data directory, start time, port, socket directory, listen address, shared memory, state.
    fn read(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        Some(Self {
            port: lines.get(3)?.trim().parse().ok()?,
            socket_directory: PathBuf::from(lines.get(4).filter(|directory| !directory.is_empty())?),
            state: (*lines.get(7)?).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_file_is_read_only_when_it_is_whole() {
        let whole = "4711\n/data/postgres\n1700000000\n5432\n/data/run\n\n  5432001    163840\nready   \n";
        let begun = "4711\n/data/postgres\n1700000000\n";

        let status = Status::read(whole).unwrap();
        assert_eq!((status.port, status.state.as_str()), (5432, "ready"));
        assert_eq!(status.socket_directory, Path::new("/data/run"));
        assert_eq!(Status::read(begun), None);
        assert_eq!(Status::read(""), None);
    }
}
