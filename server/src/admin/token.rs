//! The operator token: made at the first start in a file that only its owner can read, or brought by the operator.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Random bytes in a token of ours: nobody guesses that many.
const BYTES: usize = 32;
/// The file of the token under the data directory.
const FILE: &str = "operator.token";
/// Fewer characters than this are worth a warning: a program can try out that many.
const SHORT: usize = 24;

/// An operator token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("cannot use the operator token in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("other users can read the operator token in {0}: run `chmod 600 {0}`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// What stands in the file cannot be sent as a token.
    #[error("{} must hold one token of letters, digits and -._~+/= and nothing else", path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
    /// The random source failed.
    #[error("cannot make an operator token: no random bytes were to be had")]
    Random,
}

/// The operator token: that of `file`, which must be there, or else that of the data directory, made if need be.
pub fn operator_token(data_dir: &Path, file: Option<&Path>) -> Result<String, TokenError> {
    if let Some(path) = file {
        return read(path);
    }
    let path = data_dir.join(FILE);
    match read(&path) {
        Err(TokenError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => make(&path),
        read => read,
    }
}

fn read(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path: path.to_owned() });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Err(TokenError::NotAToken { path: path.to_owned() });
    }
    if token.len() < SHORT {
        tracing::warn!("the operator token is short enough to be guessed: use {BYTES} random bytes");
    }
    Ok(token.to_owned())
}

/// Makes the file. Of two processes that do so at a time both end with the same token.
fn make(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| TokenError::Random)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    // Written beside and linked into place: the file never exists half written, and a link never replaces one.
    let beside = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
    let linked = write(&beside, &token).and_then(|()| fs::hard_link(&beside, path));
    let removed = fs::remove_file(&beside);
    match linked {
        Ok(()) => {
            removed.map_err(failed)?;
            Ok(token)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(failed(error)),
    }
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("vitals-operator-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, text: &str, mode: u32) -> PathBuf {
            let path = self.0.join(uuid::Uuid::new_v4().to_string());
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn is_made_once_and_kept_private() {
        let folder = Folder::new();
        let data = folder.0.join("data");

        let made = operator_token(&data, None).unwrap();
        let read = operator_token(&data, None).unwrap();

        assert_eq!(made, read);
        assert_eq!(URL_SAFE_NO_PAD.decode(&made).unwrap().len(), 32);
        assert_eq!(fs::metadata(data.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_the_operators_is_taken_as_it_is_or_refused() {
        let folder = Folder::new();
        let token = |path: &Path| operator_token(&folder.0, Some(path));

        assert_eq!(token(&folder.file("abc-._~+/=123\n", 0o600)).unwrap(), "abc-._~+/=123");
        assert_eq!(token(&folder.file("  abc\n", 0o400)).unwrap(), "abc");
        for mode in [0o640, 0o604, 0o660] {
            assert!(matches!(token(&folder.file("abc", mode)), Err(TokenError::Exposed { .. })), "{mode:o}");
        }
        for text in ["", "\n", "two words", "two\nlines", "caf\u{e9}"] {
            assert!(matches!(token(&folder.file(text, 0o600)), Err(TokenError::NotAToken { .. })), "{text:?}");
        }
        assert!(matches!(token(&folder.0.join("absent")), Err(TokenError::File { .. })));
        assert!(!folder.0.join(FILE).exists());
    }
}
