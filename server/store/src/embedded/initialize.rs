//! Making a new database with `initdb`.

use std::fs::{OpenOptions, remove_dir_all, remove_file, rename};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::binaries::Binaries;
use super::place::Place;
use super::{ADMIN_ROLE, EmbeddedError, EmbeddedOptions};

/// The locale of new databases: order by code point, letters of every language. macOS has no such locale.
const LOCALE: &str = if cfg!(target_os = "macos") { "C" } else { "C.UTF-8" };

/// Makes the database of a place.
///
/// It comes into being under another name, so that one cut short is not taken for a whole one.
pub(super) async fn initialize(
    binaries: &Binaries,
    place: &Place,
    password: &str,
    options: &EmbeddedOptions,
) -> Result<(), EmbeddedError> {
    let draft = place.data.with_file_name("postgres.new");
    let password_file = draft.with_file_name("postgres.new.password");
    match remove_dir_all(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(EmbeddedError::File { doing: "remove", path: draft, source: error });
        }
        _ => {}
    }
    let draft = place.make_private(draft)?;
    write_password(place, &password_file, password)?;
    let outcome = run_initdb(binaries, place, &draft, &password_file, options).await;
    remove_file(&password_file).map_err(EmbeddedError::file("remove", &password_file))?;
    outcome?;
    rename(&draft, &place.data).map_err(EmbeddedError::file("rename", &draft))
}

async fn run_initdb(
    binaries: &Binaries,
    place: &Place,
    draft: &Path,
    password_file: &Path,
    options: &EmbeddedOptions,
) -> Result<(), EmbeddedError> {
    let program = binaries.program("initdb");
    let mut command = std::process::Command::new(&program);
    command
        .arg("-D")
        .arg(draft)
        .args(["--username", ADMIN_ROLE, "--auth-local=scram-sha-256", "--auth-host=reject", "--encoding=UTF8"])
        .arg(format!("--locale={LOCALE}"))
        .arg("--pwfile")
        .arg(password_file)
        .args(["--no-instructions", "--lc-messages=C"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if !options.fsync {
        command.arg("--no-sync");
    }
    place.account.run(place.ourselves, &mut command);
    let mut command = Command::from(command);
    let output = command
        .process_group(0)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| EmbeddedError::Program { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The last lines say what it removes; the error stands before them.
    let said = said.lines().find(|line| line.contains("error:") || line.contains("FATAL:")).unwrap_or("(nothing)");
    Err(EmbeddedError::Initialize { data: place.data.clone(), said: said.trim().to_owned() })
}

fn write_password(place: &Place, path: &Path, password: &str) -> Result<(), EmbeddedError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(password.as_bytes())
    };
    write().map_err(EmbeddedError::file("write", path))?;
    place.account.own(place.ourselves, path)
}
