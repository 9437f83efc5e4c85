//! The PostgreSQL programs of this machine, or the name of the package that brings them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// The oldest PostgreSQL we run on.
const OLDEST: u32 = 15;

/// Folders whose sub-folders hold one version each: Debian, RPMs of the PostgreSQL project, Alpine, Homebrew.
const VERSIONED: [&str; 6] =
    ["/usr/lib/postgresql", "/usr", "/usr/libexec", "/opt/homebrew/opt", "/usr/local/opt", "/usr/local"];

/// One installed PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binaries {
    pub(super) major: u32,
    minor: u32,
    directory: PathBuf,
}

impl Binaries {
    /// The path of one of its programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Every usable PostgreSQL found; never empty.
#[derive(Debug)]
pub(super) struct Installed(Vec<Binaries>);

impl Installed {
    /// The newest one.
    pub(super) fn newest(&self) -> &Binaries {
        &self.0[self.0.len() - 1]
    }

    /// The newest one that can read data written by a major version.
    pub(super) fn of_version(&self, version: &str, data: &Path) -> Result<&Binaries, EmbeddedError> {
        self.0.iter().rev().find(|found| found.major.to_string() == version).ok_or_else(|| {
            EmbeddedError::OtherVersion {
                data: data.to_owned(),
                needed: version.to_owned(),
                found: self.0.iter().map(|found| found.major.to_string()).collect::<Vec<_>>().join(", "),
            }
        })
    }
}

/// Looks in the places where packages put PostgreSQL.
pub(super) fn find() -> Result<Installed, EmbeddedError> {
    find_in(&places())
}

fn find_in(places: &[PathBuf]) -> Result<Installed, EmbeddedError> {
    let found: BTreeSet<Binaries> = places.iter().filter_map(|place| examine(place)).collect();
    let usable: Vec<Binaries> = found.iter().filter(|found| found.major >= OLDEST).cloned().collect();
    if usable.is_empty() {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = if cfg!(target_os = "macos") { "macos" } else { system(&release) };
        return Err(EmbeddedError::Missing(missing(system, found.last().map(|old| old.major))));
    }
    Ok(Installed(usable))
}

fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    // The shell knows PATH; a link found there leads to the version's own folder.
    if let Some(postgres) = said(Command::new("/bin/sh").args(["-c", "command -v postgres"])) {
        let resolved = PathBuf::from(&postgres).canonicalize().unwrap_or_default();
        places.extend([Path::new(&postgres), &resolved].into_iter().filter_map(Path::parent).map(Path::to_owned));
    }
    places.extend(said(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    for folder in VERSIONED {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if folder == "/usr/lib/postgresql" || name.starts_with("postgresql") || name.starts_with("pgsql") {
                places.push(entry.path().join("bin"));
                places.push(entry.path());
            }
        }
    }
    places
}

/// A folder counts when it holds all three programs that we use.
fn examine(directory: &Path) -> Option<Binaries> {
    if !["postgres", "initdb", "pg_ctl"].iter().all(|name| directory.join(name).is_file()) {
        return None;
    }
    let version = said(Command::new(directory.join("postgres")).arg("--version"))?;
    let (major, minor) = version_of(&version)?;
    Some(Binaries { major, minor, directory: directory.to_owned() })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` or `postgres (PostgreSQL) 18beta1`.
fn version_of(line: &str) -> Option<(u32, u32)> {
    let version = line.split("(PostgreSQL) ").nth(1)?.split_whitespace().next()?;
    let mut parts = version.split(|sign: char| !sign.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// The family of this system, from `/etc/os-release`.
fn system(release: &str) -> &'static str {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |wanted: &[&str]| names.split_whitespace().any(|name| wanted.contains(&name));
    if is(&["debian", "ubuntu"]) {
        "debian"
    } else if is(&["fedora", "rhel", "centos"]) {
        "fedora"
    } else if is(&["alpine"]) {
        "alpine"
    } else {
        "other"
    }
}

fn missing(system: &str, too_old: Option<u32>) -> String {
    let what = match too_old {
        Some(major) => format!("PostgreSQL {major} is too old ({OLDEST} or newer is needed)"),
        None => "PostgreSQL is not installed".to_owned(),
    };
    let how = match system {
        "debian" => "install the package postgresql (apt-get install postgresql)",
        "fedora" => "install the package postgresql-server (dnf install postgresql-server)",
        "alpine" => "install the package postgresql (apk add postgresql)",
        "macos" => "install the package postgresql@17 (brew install postgresql@17)",
        _ => {
            "install its server package (postgresql on Debian, Ubuntu and Alpine, postgresql-server on Fedora, \
             postgresql@17 from Homebrew on macOS)"
        }
    };
    format!("{what}: {how}, or name a database of yours with --database-url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_postgresql_names_the_package_of_this_system() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n";
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";

        assert_eq!(system(debian), "debian");
        assert_eq!(system(mint), "debian");
        assert_eq!(system(rocky), "fedora");
        assert_eq!(system("ID=alpine\n"), "alpine");
        assert_eq!(system("ID=nixos\n"), "other");
        for (system, package) in [
            ("debian", "apt-get install postgresql"),
            ("fedora", "dnf install postgresql-server"),
            ("alpine", "apk add postgresql"),
            ("macos", "brew install postgresql"),
            ("other", "postgresql-server on Fedora"),
        ] {
            assert!(missing(system, None).contains(package), "{system}");
        }
        assert!(missing("debian", Some(13)).starts_with("PostgreSQL 13 is too old"));
    }

    #[test]
    fn nothing_found_is_an_error_with_a_sentence() {
        let error = find_in(&[PathBuf::from("/nowhere/at/all")]).unwrap_err();
        assert!(matches!(&error, EmbeddedError::Missing(sentence) if sentence.contains("install")), "{error}");
    }

    #[test]
    fn versions_are_read_from_what_postgres_says() {
        assert_eq!(version_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some((15, 18)));
        assert_eq!(version_of("postgres (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(version_of("something else"), None);
    }
}
