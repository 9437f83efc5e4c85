//! The passwords of the embedded database's roles: random, one file each, readable by us alone.

use std::fs::{DirBuilder, OpenOptions, read_to_string, rename};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::EmbeddedError;
use crate::setup::password;

/// The passwords.
pub(super) struct Secrets {
    admin: String,
    app: String,
    audit_write: String,
    audit_read: String,
}

impl Secrets {
    /// Reads them from a directory, and makes what is not there. Call it under `start.lock`.
    pub(super) fn load_or_make(directory: &Path) -> Result<Self, EmbeddedError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(EmbeddedError::file("make", directory))?;
        Ok(Self {
            admin: one(&directory.join("database-admin"))?,
            app: one(&directory.join("database-app"))?,
            audit_write: one(&directory.join("database-audit-write"))?,
            audit_read: one(&directory.join("database-audit-read"))?,
        })
    }

    pub(super) fn admin(&self) -> &str {
        &self.admin
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn audit_write(&self) -> &str {
        &self.audit_write
    }

    pub(super) fn audit_read(&self) -> &str {
        &self.audit_read
    }
}

fn one(path: &Path) -> Result<String, EmbeddedError> {
    match read_to_string(path) {
        Ok(secret) => return Ok(secret),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(EmbeddedError::File { doing: "read", path: path.to_owned(), source }),
    }
    let secret = password::random();
    // Written under another name first: a file cut short by a power cut would be a lost password.
    let draft = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        rename(&draft, path)
    };
    write().map_err(EmbeddedError::file("write", path))?;
    Ok(secret)
}
