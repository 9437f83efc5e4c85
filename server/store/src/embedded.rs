//! A PostgreSQL of our own: found on this machine, started by us, kept under the data directory.
//!
//! Several processes may use one data directory at once (a server and the commands that administer it). They share
//! the database: the first one starts it, the last one out stops it, and one that was left running by a killed
//! process is adopted. Three lock files keep this in order: `start.lock` is held while starting or stopping,
//! `users.lock` is shared by everyone who uses the database, `serve.lock` belongs to the one server.

mod account;
mod binaries;
mod initialize;
mod lock;
mod place;
mod postmaster;
mod secrets;

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::urls::{AUDIT_READ, AUDIT_WRITE, Urls};
use account::Account;
use postmaster::Postmaster;
use secrets::Secrets;

pub use lock::{LockError, ServeLock};

/// The database that holds tenants.
const APP_DATABASE: &str = "vitals";

/// The database that holds audit records.
const AUDIT_DATABASE: &str = "vitals_audit";

/// The login role in slot 0.
const APP_ROLE: &str = "vitals_app";

/// The superuser of the embedded database.
const ADMIN_ROLE: &str = "vitals_admin";

/// How long to wait for another process that is starting or stopping the database: an `initdb` on a slow disk
/// takes some ten seconds, recovery after a power cut may take longer.
const OTHERS_START_WITHIN: Duration = Duration::from_mins(2);

/// Why there is no embedded database.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// PostgreSQL is not installed.
    #[error("{0}")]
    Missing(String),
    /// The data was written by a PostgreSQL that is not installed.
    #[error("the data in {data} was written by PostgreSQL {needed}, which is not installed here (found: {found})")]
    OtherVersion {
        /// Where the data is.
        data: PathBuf,
        /// The major version that wrote it.
        needed: String,
        /// The versions found.
        found: String,
    },
    /// The database files belong to somebody else.
    #[error("the database files in {data} belong to user id {owner}: start vitals as that user or as root")]
    Foreign {
        /// Where the data is.
        data: PathBuf,
        /// The user that owns it.
        owner: u32,
    },
    /// We are root and there is nobody PostgreSQL could run as.
    #[error("PostgreSQL does not run as root, and there is no user postgres, vitals or nobody to run it as")]
    NoAccount,
    /// A file or directory could not be used.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Program {
        /// Which.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A new database could not be made.
    #[error("initdb could not prepare {data}: {said}")]
    Initialize {
        /// Where.
        data: PathBuf,
        /// The last line initdb wrote.
        said: String,
    },
    /// PostgreSQL did not come up.
    #[error("PostgreSQL did not start on {data}: {said}")]
    Start {
        /// Where its data is.
        data: PathBuf,
        /// The last thing PostgreSQL wrote.
        said: String,
    },
    /// PostgreSQL did not go down in time; it goes on stopping by itself.
    #[error("PostgreSQL on {0} is still stopping")]
    Stopping(PathBuf),
    /// Another process is starting or stopping the same database for a long time.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl EmbeddedError {
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

/// What may differ from the database a server keeps its data in.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Whether commits reach the disk. Off only for tests: a power cut then loses the whole database.
    pub fsync: bool,
    /// How many connections PostgreSQL accepts.
    pub max_connections: u16,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { fsync: true, max_connections: 60 }
    }
}

/// What became of the database when we left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// We were the last and stopped it.
    Down,
    /// Others use it still.
    InUse,
}

/// The running database, as one of its users.
#[derive(Debug)]
pub struct Embedded {
    urls: Urls,
    data_dir: PathBuf,
    postmaster: Postmaster,
    users: Option<File>,
}

impl Embedded {
    /// Starts the database under a data directory, or joins it when it runs already.
    ///
    /// `notify` gets sentences for the person who is waiting.
    pub async fn start(data_dir: &Path, notify: &mut (dyn FnMut(&str) + Send)) -> Result<Self, EmbeddedError> {
        Self::start_with(data_dir, EmbeddedOptions::default(), notify).await
    }

    /// As `start`, with options of the caller's.
    pub async fn start_with(
        data_dir: &Path,
        options: EmbeddedOptions,
        notify: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, EmbeddedError> {
        let ourselves = account::ourselves()?;
        let data_dir = make_data_dir(data_dir, ourselves)?;
        let starting = lock::exclusive(&data_dir.join("start.lock"), OTHERS_START_WITHIN, notify).await?;
        let users = lock::shared(&data_dir.join("users.lock"))?;
        let secrets = Secrets::load_or_make(&data_dir.join("secrets"))?;

        let place = place::locate(&data_dir, ourselves, notify)?;
        let binaries = binaries::find()?;
        let binaries = if let Some(version) = place.written_by()? {
            binaries.of_version(&version, &place.data)?
        } else {
            let newest = binaries.newest();
            let (major, data) = (newest.major, place.data.display());
            notify(&format!("preparing a PostgreSQL {major} database in {data}, which takes some seconds, once"));
            initialize::initialize(newest, &place, secrets.admin(), &options).await?;
            newest
        };
        let mut postmaster = Postmaster::new(binaries, &place, data_dir.join("postgres.log"));
        let socket = postmaster.adopt_or_launch(&place, &options).await?;
        drop(starting);

        let urls = addresses(&secrets, &socket);
        Ok(Self { urls, data_dir, postmaster, users: Some(users) })
    }

    /// The databases, as the roles that use them.
    pub fn urls(&self) -> Urls {
        self.urls.clone()
    }

    /// Where PostgreSQL keeps its files.
    pub fn data(&self) -> &Path {
        self.postmaster.data()
    }

    /// Leaves the database, and stops it if nobody else uses it.
    pub async fn stop(mut self) -> Result<Stopped, EmbeddedError> {
        let starting = lock::exclusive(&self.data_dir.join("start.lock"), OTHERS_START_WITHIN, &mut |_| ()).await?;
        if !self.leave()? {
            return Ok(Stopped::InUse);
        }
        self.postmaster.interrupt()?;
        self.postmaster.gone().await?;
        drop(starting);
        Ok(Stopped::Down)
    }

    /// Gives up our share of the database. True if nobody else has one; call it under `start.lock`.
    fn leave(&mut self) -> Result<bool, EmbeddedError> {
        let Some(users) = self.users.take() else { return Ok(false) };
        let path = self.data_dir.join("users.lock");
        users.unlock().map_err(EmbeddedError::file("unlock", &path))?;
        match users.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(EmbeddedError::File { doing: "lock", path, source }),
        }
    }
}

impl Drop for Embedded {
    /// A process that fails leaves no database running behind it, if that can be had without waiting.
    fn drop(&mut self) {
        if self.users.is_none() {
            return;
        }
        if let Ok(_starting) = lock::try_exclusive(&self.data_dir.join("start.lock"))
            && let Ok(true) = self.leave()
            && let Err(error) = self.postmaster.interrupt()
        {
            tracing::warn!(error = %error, "PostgreSQL was left running");
        }
    }
}

fn addresses(secrets: &Secrets, socket: &Path) -> Urls {
    let url = |role: &str, password: &str, database: &str| {
        let directory: String = url::form_urlencoded::byte_serialize(socket.as_os_str().as_encoded_bytes()).collect();
        // The certificate of a socket is its directory's mode; asking for TLS would only cost a round trip.
        format!("postgres://{role}:{password}@localhost:5432/{database}?host={directory}&sslmode=disable")
    };
    Urls {
        app: url(APP_ROLE, secrets.app(), APP_DATABASE),
        admin: Some(url(ADMIN_ROLE, secrets.admin(), "postgres")),
        audit_write: url(AUDIT_WRITE, secrets.audit_write(), AUDIT_DATABASE),
        audit_read: url(AUDIT_READ, secrets.audit_read(), AUDIT_DATABASE),
    }
}

/// The data directory, made if need be, as an absolute path without links.
///
/// Ours alone; when PostgreSQL has to run as somebody else, that user may pass through, but not look.
fn make_data_dir(data_dir: &Path, ourselves: Account) -> Result<PathBuf, EmbeddedError> {
    let mode = if ourselves.is_root() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(data_dir).map_err(EmbeddedError::file("make", data_dir))?;
    data_dir.canonicalize().map_err(EmbeddedError::file("find", data_dir))
}
