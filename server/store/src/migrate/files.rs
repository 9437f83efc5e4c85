//! The migration files, as sqlx embedded them, checked once before any of them is used.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use super::{MigrateError, lint};

static CONTROL: Migrator = sqlx::migrate!("../../migrations/control");
static TENANT: Migrator = sqlx::migrate!("../../migrations/tenant");
static AUDIT: Migrator = sqlx::migrate!("../../migrations/audit");

static CONTROL_FILES: LazyLock<Result<Vec<File>, String>> = LazyLock::new(|| read(&CONTROL, lint::Folder::Control));
static TENANT_FILES: LazyLock<Result<Vec<File>, String>> = LazyLock::new(|| read(&TENANT, lint::Folder::Tenant));
static AUDIT_FILES: LazyLock<Result<Vec<File>, String>> = LazyLock::new(|| read(&AUDIT, lint::Folder::Audit));

/// One migration file.
#[derive(Debug)]
pub(crate) struct File {
    /// The number it begins with; files of a folder count from 1 without gaps.
    pub(crate) version: i32,
    /// The rest of its name.
    pub(crate) description: &'static str,
    /// Its text, before placeholders are filled in.
    pub(crate) text: &'static str,
    /// The checksum of that text (SHA-384, as sqlx computes it).
    pub(crate) checksum: &'static [u8],
}

/// The files of `migrations/control`, in order.
pub(crate) fn control() -> Result<&'static [File], MigrateError> {
    checked(&CONTROL_FILES)
}

/// The files of `migrations/tenant`, in order.
pub(crate) fn tenant() -> Result<&'static [File], MigrateError> {
    checked(&TENANT_FILES)
}

/// The files of `migrations/audit`, in order.
pub(crate) fn audit() -> Result<&'static [File], MigrateError> {
    checked(&AUDIT_FILES)
}

/// The version a tenant is born at.
pub(crate) fn newest_tenant() -> i32 {
    TENANT.iter().map(|file| i32::try_from(file.version).unwrap_or(i32::MAX)).max().unwrap_or(0)
}

fn checked(files: &'static Result<Vec<File>, String>) -> Result<&'static [File], MigrateError> {
    files.as_deref().map_err(|fault| MigrateError::File(fault.clone()))
}

fn read(source: &'static Migrator, folder: lint::Folder) -> Result<Vec<File>, String> {
    source
        .iter()
        .zip(1..)
        .map(|(file, expected)| {
            let name = format!("migrations/{folder}/{:04}", file.version);
            if file.version != i64::from(expected) {
                return Err(format!("{name} stands where number {expected} belongs"));
            }
            if file.migration_type.is_reversible() || file.no_tx {
                return Err(format!("{name} has to be a plain file that runs in a transaction"));
            }
            lint::check(file.sql.as_str(), folder).map_err(|fault| format!("{name}: {fault}"))?;
            Ok(File {
                version: expected,
                description: &file.description,
                text: file.sql.as_str(),
                checksum: &file.checksum,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_keeps_the_rules() {
        for files in [control(), tenant(), audit()] {
            assert!(!files.unwrap().is_empty());
        }
        assert_eq!(usize::try_from(newest_tenant()).unwrap(), tenant().unwrap().len());
    }
}
