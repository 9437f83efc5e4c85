//! Who we are, and who PostgreSQL runs as: it refuses to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// Users that PostgreSQL may run as when we are root, best first. `nobody` is shared with other programs, which
/// could then read the database files, so it comes last.
const CANDIDATES: [&str; 3] = ["postgres", "vitals", "nobody"];

/// A user of this machine, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    pub(super) fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Lets a command run as this user, if that is somebody else than we are.
    pub(super) fn run(self, ourselves: Account, command: &mut Command) {
        if ourselves.is_root() && !self.is_root() {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or directory that we made to this user.
    pub(super) fn own(self, ourselves: Account, path: &Path) -> Result<(), EmbeddedError> {
        if self == ourselves {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(EmbeddedError::file("change the owner of", path))
    }

    /// Whether this user can enter a directory. Asked of the system itself, which knows about access lists too.
    pub(super) fn reaches(self, ourselves: Account, directory: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", ":"]).current_dir(directory).stdin(Stdio::null());
        self.run(ourselves, &mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

/// The user we run as.
pub(super) fn ourselves() -> Result<Account, EmbeddedError> {
    // The standard library does not say, and the call that does is unsafe.
    let id = |flag: &str| number(&[flag]);
    match (id("-u"), id("-g")) {
        (Some(uid), Some(gid)) => Ok(Account { uid, gid }),
        _ => Err(EmbeddedError::Program { program: "id".into(), source: std::io::Error::other("it names no user") }),
    }
}

/// The user a new database of ours runs as.
pub(super) fn for_postgres(ourselves: Account) -> Result<Account, EmbeddedError> {
    if !ourselves.is_root() {
        return Ok(ourselves);
    }
    let found = CANDIDATES.iter().find_map(|name| {
        let account = Account { uid: number(&["-u", name])?, gid: number(&["-g", name])? };
        (!account.is_root()).then_some(account)
    });
    found.ok_or(EmbeddedError::NoAccount)
}

fn number(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    std::str::from_utf8(&output.stdout).ok()?.trim().parse().ok()
}
