//! Where the database files and its socket are.
//!
//! Files: `postgres` under the data directory. Started by root where the unprivileged user cannot go (a home
//! directory), they are kept under the system's state directory, and `postgres` is a link to them: so they are found
//! again when the data directory is moved or its permissions change.

use std::fs::{DirBuilder, Metadata, create_dir, read_link, symlink_metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use super::EmbeddedError;
use super::account::{self, Account};

/// Where files go that cannot be under the data directory.
const STATE: &str = "/var/lib/vitals";

/// A socket's whole path ends at 107 bytes on Linux and 103 on macOS; PostgreSQL adds `/.s.PGSQL.5432.lock`.
const LONGEST_SOCKET_DIRECTORY: usize = 103 - "/.s.PGSQL.5432.lock".len();

/// The place of one database, and who PostgreSQL runs as there.
#[derive(Debug)]
pub(super) struct Place {
    /// PostgreSQL's own data directory. It may not be there yet; its parent is.
    pub(super) data: PathBuf,
    pub(super) account: Account,
    pub(super) ourselves: Account,
}

/// Finds the place that belongs to a data directory, or chooses one.
pub(super) fn locate(
    data_dir: &Path,
    ourselves: Account,
    notify: &mut (dyn FnMut(&str) + Send),
) -> Result<Place, EmbeddedError> {
    let entry = data_dir.join("postgres");
    if let Some(found) = look(&entry)? {
        let data = if found.is_symlink() {
            read_link(&entry).map_err(EmbeddedError::file("read the link", &entry))?
        } else {
            entry
        };
        if data.parent() != Some(data_dir) {
            notify(&format!("the database is kept in {}", data.display()));
        }
        return belonging(data, ourselves);
    }
    let account = account::for_postgres(ourselves)?;
    if account == ourselves || account.reaches(ourselves, data_dir) {
        return Ok(Place { data: entry, account, ourselves });
    }
    let home = state_directory(data_dir)?;
    let data = home.join("postgres");
    symlink(&data, &entry).map_err(EmbeddedError::file("make the link", &entry))?;
    notify(&format!(
        "the database is kept in {}, because PostgreSQL does not run as root and no other user may enter {}",
        data.display(),
        data_dir.display()
    ));
    Ok(Place { data, account, ourselves })
}

impl Place {
    /// The major version that wrote the files, if there are any.
    pub(super) fn written_by(&self) -> Result<Option<String>, EmbeddedError> {
        let path = self.data.join("PG_VERSION");
        match std::fs::read_to_string(&path) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EmbeddedError::File { doing: "read", path, source }),
        }
    }

    /// The directory of the socket: beside the data, or under /tmp when that path is too long for a socket.
    ///
    /// Its mode lets in the user that PostgreSQL runs as, us and nobody else.
    pub(super) fn socket_directory(&self) -> Result<PathBuf, EmbeddedError> {
        let beside = self.data.with_file_name("run");
        if beside.as_os_str().len() <= LONGEST_SOCKET_DIRECTORY {
            return self.make_private(beside);
        }
        // Anybody may write to /tmp, so a name that somebody has taken is left alone.
        let name = format!("/tmp/vitals-{}", short_name(&self.data));
        let names = std::iter::once(name.clone()).chain((1..100).map(|again| format!("{name}-{again}")));
        let mut last = None;
        for name in names {
            match self.make_private(PathBuf::from(name)) {
                Ok(made) => return Ok(made),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("a hundred names were tried"))
    }

    /// Makes a directory for PostgreSQL alone, or takes one that is just so.
    pub(super) fn make_private(&self, path: PathBuf) -> Result<PathBuf, EmbeddedError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                self.account.own(self.ourselves, &path)?;
                Ok(path)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match look(&path)? {
                Some(found) if self.is_private(&found) => Ok(path),
                _ => Err(EmbeddedError::File { doing: "use", path, source: error }),
            },
            Err(source) => Err(EmbeddedError::File { doing: "make", path, source }),
        }
    }

    fn is_private(&self, found: &Metadata) -> bool {
        found.is_dir() && found.uid() == self.account.uid && found.permissions().mode().trailing_zeros() >= 6
    }
}

/// A place that was chosen before: PostgreSQL runs as whoever owns the files.
fn belonging(data: PathBuf, ourselves: Account) -> Result<Place, EmbeddedError> {
    let Some(found) = look(&data)? else {
        // The link is there, the files are not: the first start was cut short, or somebody removed them.
        if let Some(home) = data.parent() {
            DirBuilder::new().recursive(true).create(home).map_err(EmbeddedError::file("make", home))?;
        }
        return Ok(Place { data, account: account::for_postgres(ourselves)?, ourselves });
    };
    let account = Account { uid: found.uid(), gid: found.gid() };
    if account.is_root() || (!ourselves.is_root() && account.uid != ourselves.uid) {
        return Err(EmbeddedError::Foreign { data, owner: account.uid });
    }
    Ok(Place { data, account: if account.uid == ourselves.uid { ourselves } else { account }, ourselves })
}

/// A directory under the system's state directory, named after the data directory.
fn state_directory(data_dir: &Path) -> Result<PathBuf, EmbeddedError> {
    DirBuilder::new().recursive(true).mode(0o755).create(STATE).map_err(EmbeddedError::file("make", STATE.as_ref()))?;
    let name = short_name(data_dir);
    // A taken name is what an earlier data directory at the same path left behind. It is not ours to remove.
    let names = std::iter::once(name.clone()).chain((2..1000).map(|again| format!("{name}-{again}")));
    for home in names.map(|name| Path::new(STATE).join(name)) {
        match create_dir(&home) {
            Ok(()) => {
                std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755))
                    .map_err(EmbeddedError::file("open up", &home))?;
                return Ok(home);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(EmbeddedError::File { doing: "make", path: home, source }),
        }
    }
    let path = Path::new(STATE).join(name);
    Err(EmbeddedError::File { doing: "make", path, source: ErrorKind::AlreadyExists.into() })
}

/// Enough of a hash to tell the data directories of one machine apart.
fn short_name(path: &Path) -> String {
    let hash = digest(&SHA256, path.as_os_str().as_encoded_bytes());
    hash.as_ref()[..6].iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

fn look(path: &Path) -> Result<Option<Metadata>, EmbeddedError> {
    match symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EmbeddedError::File { doing: "look at", path: path.to_owned(), source }),
    }
}
