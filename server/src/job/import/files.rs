//! The files of an import: what tells them from others, so that an import can go on where it stopped, and what the
//! resources in them are called that have no id.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;
use vitals_access::tenant::TenantRole;

use super::ImportError;

/// Changes when files are divided into batches in another way, so that no import goes on in a way it did not begin.
const DIVISION: &str = "1";
/// Bits of the number of an entry in an id; a Bundle of 50 MB has fewer entries that are resources.
const ENTRY_BITS: u32 = 20;
/// Bits of the number of a line in an id.
const LINE_BITS: u32 = 38;

/// The files of an import, in their order.
#[derive(Clone, Debug)]
pub struct Files {
    files: Vec<Source>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Source {
    /// How it was called on the command line.
    pub name: String,
    /// Where to open it; none for standard input.
    pub path: Option<PathBuf>,
    /// How long it is, if it is a file that lies on a disk.
    pub size: Option<u64>,
    /// The path that it has wherever it is called from.
    whole: Vec<u8>,
    /// What tells it from a later one there.
    stamp: String,
}

impl Files {
    /// Looks at the files of a command line, `-` being standard input.
    pub fn look(paths: &[PathBuf]) -> Result<Self, ImportError> {
        Ok(Self { files: paths.iter().map(|path| Source::look(path)).collect::<Result<_, _>>()? })
    }

    /// The files, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The file of this number.
    ///
    /// # Panics
    /// When there are fewer.
    pub(super) fn get(&self, number: usize) -> &Source {
        &self.files[number]
    }

    /// How long they are together, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether they can be read again.
    pub fn lie_on_a_disk(&self) -> bool {
        self.files.iter().all(|file| file.size.is_some())
    }

    /// A hash of their paths.
    pub fn paths(&self) -> String {
        hex(&hash(self.files.iter().map(|file| file.whole.as_slice())))
    }

    /// A hash of what tells them from later ones there.
    pub fn stamps(&self) -> String {
        hex(&hash([DIVISION.as_bytes()].into_iter().chain(self.files.iter().map(|file| file.stamp.as_bytes()))))
    }
}

impl Source {
    fn look(path: &Path) -> Result<Self, ImportError> {
        let name = path.display().to_string();
        // What comes through a pipe comes once: no other import is the same.
        let once = |path| Self {
            name: name.clone(),
            path,
            size: None,
            whole: Uuid::new_v4().into_bytes().to_vec(),
            stamp: String::new(),
        };
        if path.as_os_str() == "-" {
            return Ok(Self { name: "standard input".to_owned(), ..once(None) });
        }
        let unreadable = |error| ImportError::Unreadable { name: name.clone(), error };
        let about = fs::metadata(path).map_err(unreadable)?;
        if about.is_dir() {
            return Err(unreadable(io::Error::other("it is a folder; name the files in it")));
        }
        if !about.is_file() {
            return Ok(once(Some(path.to_owned())));
        }
        // Told before anything is loaded.
        File::open(path).map_err(unreadable)?;
        let modified = about.modified().map_err(unreadable)?;
        let nanoseconds = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Ok(Self {
            whole: fs::canonicalize(path).map_err(unreadable)?.into_os_string().into_encoded_bytes(),
            stamp: format!("{} {nanoseconds}", about.len()),
            size: Some(about.len()),
            path: Some(path.to_owned()),
            name,
        })
    }

    /// What names the resources of this file in a tenant.
    pub fn namer(&self, tenant: &TenantRole) -> Namer {
        let hash = hash([tenant.as_str().as_bytes(), &self.whole, self.stamp.as_bytes()]);
        let (first, _) = hash.split_at(size_of::<u64>());
        Namer(first.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }
}

/// Gives ids to resources that have none: by their place in the file, so that whoever reads it again gives the same ones,
/// and they follow one another in an index.
#[derive(Clone, Copy, Debug)]
pub struct Namer(u64);

impl Namer {
    /// The id of what stands in a line, or in this entry of a Bundle there.
    pub fn id(self, line: u64, entry: Option<usize>) -> String {
        let entry = entry.map_or(0, |entry| entry as u128 + 1) & ((1 << ENTRY_BITS) - 1);
        let line = u128::from(line) & ((1 << LINE_BITS) - 1);
        let bits = (u128::from(self.0) << (LINE_BITS + ENTRY_BITS)) | (line << ENTRY_BITS) | entry;
        // A UUID of version 8: 122 bits of our own around those of version and variant (RFC 9562, section 5.8).
        let (high, middle, low) = (bits >> 74, (bits >> 62) & 0xfff, bits & ((1 << 62) - 1));
        Uuid::from_u128((high << 80) | (8 << 76) | (middle << 64) | (2 << 62) | low).to_string()
    }
}

/// SHA-256 of the parts, each with its length.
fn hash<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names as those of some file of a tenant.
    pub fn namer(tenant: &TenantRole) -> Namer {
        source("/a", "1 2").namer(tenant)
    }

    fn source(whole: &str, stamp: &str) -> Source {
        Source { name: "x".to_owned(), path: None, size: None, whole: whole.into(), stamp: stamp.to_owned() }
    }

    #[test]
    fn ids_are_uuids_that_follow_the_places_in_a_file_and_no_two_are_the_same() {
        let mut places: Vec<(u64, Option<usize>)> = vec![(1, None), (2, None), (2, Some(0)), (2, Some(1))];
        places.extend((3..5_000).map(|line| (line, None)));
        places.extend([((1 << LINE_BITS) - 1, None), ((1 << LINE_BITS) - 1, Some((1 << ENTRY_BITS) - 2))]);
        let mut all = BTreeSet::new();
        for file in [0, 1, u64::MAX] {
            let ids: Vec<String> = places.iter().map(|(line, entry)| Namer(file).id(*line, *entry)).collect();
            assert!(ids.is_sorted(), "{file}");
            for id in &ids {
                let uuid: Uuid = id.parse().unwrap();
                assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
            }
            all.extend(ids);
        }
        assert_eq!(all.len(), 3 * places.len());
    }

    #[test]
    fn a_file_has_its_names_from_tenant_path_size_and_time() {
        let (one, other) = (TenantRole::generate(), TenantRole::generate());
        let names = [
            source("/a", "1 2").namer(&one),
            source("/b", "1 2").namer(&one),
            source("/a", "1 3").namer(&one),
            source("/a", "1 2").namer(&other),
        ];
        let ids: BTreeSet<String> = names.iter().map(|namer| namer.id(1, None)).collect();
        assert_eq!(ids.len(), names.len());
        assert_eq!(source("/a", "1 2").namer(&one).id(1, None), names[0].id(1, None));
    }
}
