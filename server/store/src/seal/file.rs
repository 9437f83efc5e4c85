//! The master key as a file of its own, mode 0600, made once.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::{MasterKey, SealError};

impl MasterKey {
    /// Reads the key from a file that only its owner can read.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { path: path.display().to_string(), source };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SealError::Exposed { path: path.display().to_string() });
        }
        Self::parse(&fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads the key file, or makes one. Of two processes that make one at a time both end with the same key.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        if path.exists() {
            return Self::load(path);
        }
        let failed = |source| SealError::File { path: path.display().to_string(), source };
        // Written beside and linked into place: the file never exists half written, and a link never replaces one.
        let beside = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
        let key = Self::generate()?;
        let outcome = write(&beside, &key.text()).and_then(|()| fs::hard_link(&beside, path));
        let removed = fs::remove_file(&beside);
        match outcome {
            Ok(()) => {
                removed.map_err(failed)?;
                Ok(key)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(failed(error)),
        }
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_kept_private_and_refused_when_exposed() {
        let folder = std::env::temp_dir().join(format!("vitals-seal-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("master.key");

        let made = MasterKey::load_or_create(&path).unwrap();
        let sealed = made.seal("key", b"", b"x").unwrap();
        let read = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(read.open("key", b"", &sealed).unwrap(), b"x");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(SealError::Exposed { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
