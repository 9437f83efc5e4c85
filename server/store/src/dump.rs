//! The schemas as PostgreSQL holds them after all migrations, in a form that two runs agree on: what `schemas/*.sql`
//! are, and what a reader looks at instead of replaying the migrations in their head.

use std::path::Path;

use tokio::process::Command;
use vitals_access::tenant::Tenant;

use crate::urls::{self, UrlError};

/// A dump that failed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The URL is no good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The program could not be run.
    #[error("could not run {program}")]
    Run {
        /// Which one.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program failed.
    #[error("pg_dump failed: {0}")]
    Failed(String),
}

/// The control schema. Rights are left out: `setup` gives them, to logins that each installation names itself.
pub async fn control(pg_dump: &Path, admin_url: &str) -> Result<String, DumpError> {
    let text = run(pg_dump, admin_url, &["--schema=control", "--no-privileges"]).await?;
    Ok(normalised(&text))
}

/// The schema of one tenant, with what is its own replaced by the placeholders of migrations.
pub async fn tenant(pg_dump: &Path, admin_url: &str, tenant: &Tenant) -> Result<String, DumpError> {
    let text = run(pg_dump, admin_url, &[&format!("--schema={}", tenant.role)]).await?;
    let number = tenant.number;
    Ok(normalised(&text)
        .replace(tenant.role.as_str(), ":role")
        .replace(&format!("DEFAULT {number} "), "DEFAULT :tenant ")
        .replace(&format!("(tenant = {number})"), "(tenant = :tenant)"))
}

/// The audit schema without its partitions, whose names follow the calendar.
pub async fn audit(pg_dump: &Path, admin_url: &str) -> Result<String, DumpError> {
    let text = run(pg_dump, admin_url, &["--schema=audit", "--exclude-table=audit.record_*"]).await?;
    Ok(normalised(&text))
}

/// The password travels in the environment: arguments are for everybody on the machine to read.
async fn run(pg_dump: &Path, admin_url: &str, arguments: &[&str]) -> Result<String, DumpError> {
    let options = urls::connect_options(admin_url)?;
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let output = Command::new(pg_dump)
        .arg("--schema-only")
        .args(arguments)
        .env("PGHOST", host)
        .env("PGPORT", options.get_port().to_string())
        .env("PGUSER", options.get_username())
        .env("PGDATABASE", options.get_database().unwrap_or("postgres"))
        .env("PGPASSWORD", urls::password(admin_url, "admin")?.unwrap_or_default())
        .env("PGCLIENTENCODING", "UTF8")
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| DumpError::Run { program: pg_dump.display().to_string(), source })?;
    if !output.status.success() {
        return Err(DumpError::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|_| DumpError::Failed("its output is not UTF-8".to_owned()))
}

/// Without comments, settings of the session, and what is random in it; one empty line between statements.
fn normalised(text: &str) -> String {
    let dropped = |line: &str| {
        ["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end).filter(|line| !dropped(line)) {
        if line.is_empty() && (plain.is_empty() || plain.ends_with("\n\n")) {
            continue;
        }
        plain.push_str(line);
        plain.push('\n');
    }
    plain.truncate(plain.trim_end().len());
    plain.push('\n');
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_runs_is_left_out() {
        let text = "--\n-- Dump\n--\n\n\\restrict abc\n\nSET a = b;\n\nCREATE TABLE x (\n    y integer\n);\n\n\n\n\
                    ALTER TABLE x OWNER TO z;\n\n\\unrestrict abc\n\n";
        assert_eq!(normalised(text), "CREATE TABLE x (\n    y integer\n);\n\nALTER TABLE x OWNER TO z;\n");
    }
}
