//! What a migration file may say.
//!
//! The runner owns the transaction, the role and the search path: a file that commits, or that sets any of them, could
//! leave a tenant half migrated or the next one's objects in the wrong schema. So the kinds of statement are listed,
//! and what a file names outside its own schema is refused before anything runs.

use std::fmt;

/// What a statement may begin with; an empty second word is any.
const STATEMENTS: [(&str, &str); 13] = [
    ("CREATE", "TABLE"),
    ("CREATE", "INDEX"),
    ("CREATE", "UNIQUE"),
    ("ALTER", "TABLE"),
    ("ALTER", "INDEX"),
    ("DROP", "TABLE"),
    ("DROP", "INDEX"),
    ("GRANT", ""),
    ("REVOKE", ""),
    ("INSERT", "INTO"),
    ("UPDATE", ""),
    ("DELETE", "FROM"),
    ("COMMENT", "ON"),
];
/// What reaches past the transaction or the schema from inside such a statement.
const FORBIDDEN: [&str; 5] = [" SET_CONFIG ", " SEARCH_PATH ", " CONCURRENTLY ", " SET SCHEMA ", " OWNER TO "];

/// The folder a file lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    Control,
    Tenant,
    Audit,
}

impl Folder {
    /// Schemas that its files name.
    const fn schemas(self) -> &'static [&'static str] {
        match self {
            Self::Control => &["CONTROL"],
            Self::Audit => &["AUDIT"],
            Self::Tenant => &[],
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Control => "control",
            Self::Tenant => "tenant",
            Self::Audit => "audit",
        })
    }
}

/// Holds a file against the rules; the error says which one it breaks.
pub(super) fn check(text: &str, folder: Folder) -> Result<(), String> {
    let bare = bare(text)?;
    for statement in bare.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let words: Vec<&str> =
            statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let known = |(first, second): &(&str, &str)| *first == word(0) && (second.is_empty() || *second == word(1));
        if !STATEMENTS.iter().any(known) {
            return Err(format!("a statement may not begin with {} {}", word(0), word(1)));
        }
        // Without ON it would be about membership in a role.
        if matches!(word(0), "GRANT" | "REVOKE") && !words.contains(&"ON") {
            return Err("memberships of roles are not for migrations".to_owned());
        }
        let spaced = format!(" {} ", words.join(" "));
        if let Some(phrase) = FORBIDDEN.iter().find(|phrase| spaced.contains(**phrase)) {
            return Err(format!("{} is not for migrations", phrase.trim()));
        }
        for schema in ["CONTROL", "AUDIT", "PUBLIC", "PG_CATALOG", "PG_TEMP", "INFORMATION_SCHEMA"] {
            if !folder.schemas().contains(&schema) && names_schema(statement, schema) {
                return Err(format!("a file of {folder} may not name the schema {}", schema.to_lowercase()));
            }
        }
    }
    colons(&bare, folder)
}

fn names_schema(statement: &str, schema: &str) -> bool {
    statement.match_indices(schema).any(|(at, _)| {
        let starts = !statement[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        starts && statement[at + schema.len()..].trim_start().starts_with('.')
    })
}

/// Placeholders are `:tenant` and `:role`, in tenant files alone; every other colon is half of a cast.
fn colons(bare: &str, folder: Folder) -> Result<(), String> {
    let rest = bare.replace("::", "");
    for after in rest.split(':').skip(1) {
        let word: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if folder != Folder::Tenant || !["TENANT", "ROLE"].contains(&word.as_str()) {
            return Err(format!("the placeholder :{} is not known", word.to_lowercase()));
        }
    }
    Ok(())
}

/// The text in capitals without comments and with empty string literals. Dollar quotes, double quotes and block
/// comments are refused: no migration needs them, and each could hide a statement from this check.
fn bare(text: &str) -> Result<String, String> {
    let mut bare = String::with_capacity(text.len());
    // The one collation that columns name.
    for line in text.replace("\"C\"", "C").lines() {
        let mut within = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => {
                    within = !within;
                    bare.push(c);
                }
                _ if within => {}
                '-' if chars.peek() == Some(&'-') => break,
                '"' | '\\' => return Err(format!("the character {c} is not for migrations")),
                '*' if bare.ends_with('/') => return Err("block comments are not for migrations".to_owned()),
                '$' => return Err("dollar quotes are not for migrations".to_owned()),
                _ => bare.extend(c.to_uppercase()),
            }
        }
        if within {
            return Err("a literal has to end on its own line".to_owned());
        }
        bare.push('\n');
    }
    Ok(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_changes_pass() {
        for good in [
            "-- why; SET role\nCREATE TABLE a (tenant integer DEFAULT :tenant);\nGRANT SELECT ON a TO :role;",
            "ALTER TABLE a ADD COLUMN security text COLLATE \"C\"; UPDATE a SET b = c::text || 'it''s; COMMIT';",
            "CREATE INDEX control_x ON audit_outbox (id);",
        ] {
            assert_eq!(check(good, Folder::Tenant), Ok(()), "{good}");
        }
        assert_eq!(check("ALTER TABLE control.tenant ADD COLUMN role text;", Folder::Control), Ok(()));
        assert_eq!(check("GRANT USAGE ON SCHEMA audit TO vitals_audit_read;", Folder::Audit), Ok(()));
    }

    #[test]
    fn what_leaves_the_transaction_or_the_schema_is_refused() {
        for bad in [
            "COMMIT;",
            "CREATE TABLE a (); ROLLBACK;",
            "SET search_path = public;",
            "set role other;",
            "RESET ALL;",
            "DO $$BEGIN EXECUTE 'COMMIT'; END$$;",
            "SELECT set_config('role', 'x', false);",
            "UPDATE a SET b = set_config('role', 'x', false);",
            "CREATE INDEX CONCURRENTLY i ON a (b);",
            "CREATE TABLE control.a ();",
            "CREATE TABLE public . a ();",
            "CREATE SCHEMA other;",
            "ALTER ROLE vitals_app SUPERUSER;",
            "DROP ROLE :role;",
            "CREATE TABLE a (b integer DEFAULT :number);",
            "/* CREATE */ COMMIT;",
            "CREATE TABLE \"a\" ();",
            "CREATE TABLE a (b text DEFAULT E'\\'; COMMIT; --');",
            "ALTER TABLE a SET SCHEMA public;",
            "ALTER TABLE a OWNER TO vitals_app;",
            "GRANT vitals_owner TO :role;",
            "CREATE TEMP TABLE a ();",
        ] {
            assert!(check(bad, Folder::Tenant).is_err(), "{bad}");
        }
        assert!(check("CREATE TABLE audit.a ();", Folder::Control).is_err());
        assert!(check("CREATE TABLE control.a (b integer DEFAULT :tenant);", Folder::Control).is_err());
    }
}
