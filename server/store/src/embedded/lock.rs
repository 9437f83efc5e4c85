//! Lock files. The system lets go of them when their process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often to look whether a lock came free.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// After how long to tell the person why nothing happens.
const EXPLAIN_AFTER: Duration = Duration::from_secs(1);

/// A lock that was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A server runs on this data directory.
    #[error("another vitals server uses {data_dir}: {holder}")]
    Serving {
        /// The data directory.
        data_dir: PathBuf,
        /// The other server's process, and its address once it has one.
        holder: String,
    },
    /// Another process has been starting or stopping the database for too long.
    #[error("another vitals process has held {0} for too long")]
    TooLong(PathBuf),
    /// The file could not be used.
    #[error("cannot lock {path}: {source}")]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The right to be the one server on a data directory.
#[derive(Debug)]
pub struct ServeLock {
    file: File,
    path: PathBuf,
}

impl ServeLock {
    /// Takes the lock, or says who has it. The data directory must exist.
    pub fn acquire(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join("serve.lock");
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                let mut lock = Self { file, path };
                lock.write(&format!("process {}", std::process::id()))?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(|source| LockError::File { path, source })?;
                Err(LockError::Serving { data_dir: data_dir.to_owned(), holder: holder.trim().to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(LockError::File { path, source }),
        }
    }

    /// Notes the address we serve at, for whoever finds the lock taken.
    pub fn listening(&mut self, url: &str) -> Result<(), LockError> {
        self.write(&format!("process {} at {url}", std::process::id()))
    }

    fn write(&mut self, holder: &str) -> Result<(), LockError> {
        let mut replace = || {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(holder.as_bytes())
        };
        replace().map_err(|source| LockError::File { path: self.path.clone(), source })
    }
}

/// Takes a lock that one process has at a time.
pub(super) async fn exclusive(
    path: &Path,
    within: Duration,
    notify: &mut (dyn FnMut(&str) + Send),
) -> Result<File, LockError> {
    let file = open(path)?;
    let began = Instant::now();
    let mut explained = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(LockError::File { path: path.to_owned(), source }),
            Err(TryLockError::WouldBlock) if began.elapsed() > within => {
                return Err(LockError::TooLong(path.to_owned()));
            }
            Err(TryLockError::WouldBlock) => {
                if !explained && began.elapsed() > EXPLAIN_AFTER {
                    notify("waiting for another vitals process that is starting or stopping the database");
                    explained = true;
                }
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Takes a lock that one process has at a time, if it is free now.
pub(super) fn try_exclusive(path: &Path) -> Result<File, LockError> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::TooLong(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(LockError::File { path: path.to_owned(), source }),
    }
}

/// Takes a share of a lock. Nobody holds the whole of it but under `start.lock`, so this does not wait.
pub(super) fn shared(path: &Path) -> Result<File, LockError> {
    let file = open(path)?;
    file.lock_shared().map_err(|source| LockError::File { path: path.to_owned(), source })?;
    Ok(file)
}

fn open(path: &Path) -> Result<File, LockError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| LockError::File { path: path.to_owned(), source })
}
