//! The ledger: which file was applied to what, and how it went.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{File, MigrateError, Scope};

/// The table, for the schema that stands in for `:schema`.
pub(crate) const TABLE: &str = include_str!("ledger.sql");

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) version: i32,
    pub(super) checksum: Vec<u8>,
    pub(super) applied: bool,
    pub(super) error: Option<String>,
    pub(super) duration_ms: i64,
}

impl Entry {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            version: row.try_get("version")?,
            checksum: row.try_get("checksum")?,
            applied: state == "applied",
            error: row.try_get("error")?,
            duration_ms: row.try_get("duration_ms")?,
        })
    }
}

/// How a step went.
pub(super) struct Note<'a> {
    pub(super) error: Option<&'a str>,
    pub(super) duration_ms: i64,
    pub(super) at: DateTime<Utc>,
}

/// Whether the ledger's table is there.
pub(super) async fn exists(conn: &mut PgConnection, scope: &Scope) -> Result<bool, sqlx::Error> {
    // Unlike `to_regclass`, the catalog asks for no right on the schema.
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c
                        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                        WHERE n.nspname = $1 AND c.relname = 'migration')",
    )
    .bind(scope.ledger_schema())
    .fetch_one(conn)
    .await
}

/// The rows of one scope, by version.
pub(super) async fn read(conn: &mut PgConnection, scope: &Scope) -> Result<Vec<Entry>, sqlx::Error> {
    let text = match scope {
        Scope::Audit => {
            "SELECT version, checksum, state, error, duration_ms FROM audit.migration
             WHERE scope = $1 AND tenant = $2 ORDER BY version"
        }
        Scope::Control | Scope::Tenant { .. } => {
            "SELECT version, checksum, state, error, duration_ms FROM control.migration
             WHERE scope = $1 AND tenant = $2 ORDER BY version"
        }
    };
    let rows = sqlx::query(text).bind(scope.name()).bind(scope.tenant()).fetch_all(conn).await?;
    rows.iter().map(Entry::read).collect()
}

/// The files that the ledger does not have, once it is clear that it has those before them, unchanged.
pub(super) fn pending<'f>(files: &'f [File], entries: &[Entry]) -> Result<&'f [File], MigrateError> {
    let mut applied = 0;
    for (entry, expected) in entries.iter().filter(|entry| entry.applied).zip(1..) {
        if entry.version != expected {
            return Err(MigrateError::OutOfOrder { missing: expected, applied: entry.version });
        }
        let Some(file) = files.get(applied) else {
            let found = entries.iter().filter(|entry| entry.applied).map(|entry| entry.version).max();
            return Err(MigrateError::Ahead { found: found.unwrap_or(expected), newest: expected - 1 });
        };
        if file.checksum != entry.checksum.as_slice() {
            return Err(MigrateError::Changed(expected));
        }
        applied += 1;
    }
    Ok(&files[applied..])
}

/// Writes down how a step went. A failure never covers up what was applied in the meantime, and a tenant deleted in the
/// meantime leaves nothing.
pub(super) async fn write(
    conn: &mut PgConnection,
    scope: &Scope,
    file: &File,
    note: &Note<'_>,
) -> Result<(), sqlx::Error> {
    let text = match scope {
        Scope::Audit => include_str!("../sql/record_audit_migration.sql"),
        Scope::Control | Scope::Tenant { .. } => include_str!("../sql/record_migration.sql"),
    };
    sqlx::query(text)
        .bind(scope.name())
        .bind(scope.tenant())
        .bind(file.version)
        .bind(file.description)
        .bind(file.checksum)
        .bind(if note.error.is_none() { "applied" } else { "failed" })
        .bind(note.error)
        .bind(note.duration_ms)
        .bind(note.at)
        .execute(conn)
        .await
        .map(drop)
}

/// Writes down that a new tenant was born with all files.
pub(crate) async fn born(
    conn: &mut PgConnection,
    tenant: &str,
    files: &[File],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let versions: Vec<i32> = files.iter().map(|file| file.version).collect();
    let descriptions: Vec<&str> = files.iter().map(|file| file.description).collect();
    let checksums: Vec<&[u8]> = files.iter().map(|file| file.checksum).collect();
    sqlx::query(
        "INSERT INTO control.migration
             (scope, tenant, version, description, checksum, state, duration_ms, applied_at)
         SELECT 'tenant', $1, version, description, checksum, 'applied', 0, $5
         FROM unnest($2::integer[], $3::text[], $4::bytea[]) AS file (version, description, checksum)",
    )
    .bind(tenant)
    .bind(versions)
    .bind(descriptions)
    .bind(checksums)
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [File; 3] = [
        File { version: 1, description: "a", text: "", checksum: &[1] },
        File { version: 2, description: "b", text: "", checksum: &[2] },
        File { version: 3, description: "c", text: "", checksum: &[3] },
    ];

    fn entries(rows: &[(i32, u8, bool)]) -> Vec<Entry> {
        rows.iter()
            .map(|&(version, sum, applied)| Entry {
                version,
                checksum: vec![sum],
                applied,
                error: None,
                duration_ms: 0,
            })
            .collect()
    }

    #[test]
    fn what_is_left_follows_what_is_there() {
        let left = |rows: &[_]| pending(&FILES, &entries(rows)).unwrap().len();
        assert_eq!(left(&[]), 3);
        assert_eq!(left(&[(1, 1, true)]), 2);
        assert_eq!(left(&[(1, 1, true), (2, 9, false)]), 2);
        assert_eq!(left(&[(1, 1, true), (2, 2, true), (3, 3, true)]), 0);
    }

    #[test]
    fn a_ledger_that_does_not_fit_is_refused() {
        let fault = |rows: &[_]| pending(&FILES, &entries(rows)).unwrap_err();
        assert!(matches!(fault(&[(1, 7, true)]), MigrateError::Changed(1)));
        assert!(matches!(fault(&[(1, 1, true), (2, 7, true), (3, 3, true)]), MigrateError::Changed(2)));
        assert!(matches!(fault(&[(2, 2, true)]), MigrateError::OutOfOrder { missing: 1, applied: 2 }));
        let ahead = fault(&[(1, 1, true), (2, 2, true), (3, 3, true), (4, 4, true), (5, 5, true)]);
        assert!(matches!(ahead, MigrateError::Ahead { found: 5, newest: 3 }));
    }
}
