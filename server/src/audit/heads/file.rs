//! Heads in files: one a day for each process that serves, and one a day for all commands. Appended to and never
//! rewritten, so that a copier, an append-only mount or `chattr +a` can hold us to it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use vitals_access::witness::{Witness, WitnessKeys};
use vitals_store::audit::KeptHeads;

use super::Of;

/// The folder is its owner's alone.
const FOLDER_MODE: u32 = 0o700;
/// So are the files: they name tenants' roles.
const FILE_MODE: u32 = 0o600;
/// The public keys that lines in the folder are signed with, as a JWK Set.
const KEYS: &str = "keys.json";
const EXTENSION: &str = "ndjson";
/// The receipts for months that were sealed.
const RECEIPTS: &str = "receipts.ndjson";

/// Appends whole lines to the file of this day; they are on disk when it returns.
pub(super) fn append(folder: &Path, of: Of, day: NaiveDate, text: &str) -> io::Result<()> {
    let name = match of {
        Of::Writer(writer) => format!("{day}.{writer}.{EXTENSION}"),
        Of::Commands => format!("{day}.commands.{EXTENSION}"),
    };
    append_to(folder, &name, text)
}

/// Appends whole lines to a file of the folder.
fn append_to(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    make(folder)?;
    let path = folder.join(name);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(FILE_MODE).open(&path)?;
    // One write: lines of two commands do not mix. Behind a line that somebody left half written comes a new one.
    let text = if ends_within_a_line(&mut file)? { format!("\n{text}") } else { text.to_owned() };
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if is_new { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Puts the public key beside the lines, where it is not there yet, so that they can be checked without us. Whoever may
/// change the lines may change this as well: an auditor keeps a copy, or asks for it with `vitals audit key`.
pub(super) fn remember_key(folder: &Path, witness: &Witness) -> io::Result<()> {
    make(folder)?;
    let path = folder.join(KEYS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let mut keys: Vec<serde_json::Value> = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|set| set["keys"].as_array().cloned())
        .unwrap_or_default();
    if keys.iter().any(|key| key["kid"] == witness.key()) {
        return Ok(());
    }
    keys.push(serde_json::from_str(&witness.public_jwk())?);
    let beside = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&beside)?;
    writeln!(file, "{}", serde_json::json!({ "keys": keys }))?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}

/// The keys beside the lines, for whoever has no better copy of them.
pub fn keys_beside(folder: &Path) -> io::Result<WitnessKeys> {
    Ok(WitnessKeys::from_jwks(&fs::read_to_string(folder.join(KEYS))?))
}

/// All heads of a folder, checked with these keys.
pub fn read_all(folder: &Path, keys: &WitnessKeys) -> io::Result<KeptHeads> {
    let mut kept = KeptHeads::default();
    for path in files(folder)? {
        kept.read(&fs::read_to_string(path)?, keys);
    }
    Ok(kept)
}

/// Puts the receipts of a month beside the heads.
pub fn keep_receipts(folder: &Path, receipts: &[String]) -> io::Result<()> {
    if receipts.is_empty() { Ok(()) } else { append_to(folder, RECEIPTS, &(receipts.join("\n") + "\n")) }
}

/// The files with heads, in the order of their days.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_dated = name.get(..10).is_some_and(|day| day.parse::<NaiveDate>().is_ok());
        if is_dated && path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_are_added_to_private_files_and_none_joins_one_that_was_left_half() {
        let folder = std::env::temp_dir().join(format!("vitals-heads-{}", uuid::Uuid::new_v4()));
        let day: NaiveDate = "2026-11-22".parse().unwrap();
        append(&folder, Of::Writer(7), day, "one\n").unwrap();
        append(&folder, Of::Writer(7), day, "two\n").unwrap();
        let path = folder.join("2026-11-22.7.ndjson");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(&path, "one\ntw").unwrap();
        append(&folder, Of::Writer(7), day, "three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\n");

        let witness = Witness::derived(&[7; 32]).unwrap();
        let other = Witness::derived(&[8; 32]).unwrap();
        for witness in [&witness, &witness, &other] {
            remember_key(&folder, witness).unwrap();
        }
        let set: serde_json::Value = serde_json::from_slice(&fs::read(folder.join(KEYS)).unwrap()).unwrap();
        assert_eq!(set["keys"].as_array().map(Vec::len), Some(2));
        keep_receipts(&folder, &["{}".to_owned()]).unwrap();
        let kept = read_all(&folder, &keys_beside(&folder).unwrap()).unwrap();
        assert_eq!((kept.broken, kept.heads.len()), (3, 0));
        fs::remove_dir_all(&folder).unwrap();
    }
}
