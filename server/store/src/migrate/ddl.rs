//! The one place in this crate that sends text made at run time as a statement, besides the search of rows.
//!
//! PostgreSQL takes no bind parameters for names in DDL. Everything put into a statement here is a name of a type that
//! cannot hold a quote (`TenantRole`, a month), a number, a migration file that is part of the program, or a login name
//! quoted by `identifier`.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "names in DDL cannot be bound")]

use chrono::{DateTime, Datelike, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use vitals_access::tenant::TenantRole;

use super::{File, LEDGER, Scope};
use crate::setup::{OWNER, SETTLE};

/// Several statements in one message.
async fn send(conn: &mut PgConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await.map(drop)
}

/// Takes the owner's role until the transaction ends.
pub(crate) async fn become_owner(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    send(conn, format!("SET LOCAL ROLE {OWNER}; SET LOCAL search_path = pg_catalog, pg_temp")).await
}

/// Goes back to the role that logged in, within a transaction; only that one may make roles.
pub(crate) async fn become_admin(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    send(conn, "SET LOCAL ROLE NONE".to_owned()).await
}

/// Bounds the wait for each lock until the transaction ends.
pub(crate) async fn bound_locks(conn: &mut PgConnection, milliseconds: u32) -> Result<(), sqlx::Error> {
    send(conn, format!("SET LOCAL lock_timeout = {milliseconds}")).await
}

/// Makes the schema and the ledger of a database where they are missing.
pub(super) async fn bootstrap(conn: &mut PgConnection, scope: &Scope) -> Result<(), sqlx::Error> {
    let schema = scope.ledger_schema();
    send(conn, format!("CREATE SCHEMA IF NOT EXISTS {schema}; {}", LEDGER.replace(":schema", schema))).await
}

/// The search path inside a migration: its own schema, after what PostgreSQL always searches first (`pg_catalog`).
pub(super) fn search_path(scope: &Scope) -> String {
    format!("{}, pg_temp", scope.schema())
}

/// Sets that search path until the transaction ends.
pub(super) async fn enter(conn: &mut PgConnection, scope: &Scope) -> Result<(), sqlx::Error> {
    send(conn, format!("SET LOCAL search_path = {}", search_path(scope))).await
}

/// Runs one migration file, with its placeholders filled in.
pub(super) async fn run(conn: &mut PgConnection, scope: &Scope, file: &File) -> Result<(), sqlx::Error> {
    let text = match scope {
        Scope::Control | Scope::Audit => file.text.to_owned(),
        Scope::Tenant { role, number } => {
            file.text.replace(":tenant", &number.to_string()).replace(":role", &quoted(role))
        }
    };
    send(conn, text).await
}

/// Makes a tenant's schema, which its own role and the settler of its outbox may enter.
pub(crate) async fn create_schema(conn: &mut PgConnection, role: &TenantRole) -> Result<(), sqlx::Error> {
    let role = quoted(role);
    send(conn, format!("CREATE SCHEMA {role}; GRANT USAGE ON SCHEMA {role} TO {role}, {SETTLE}")).await
}

/// Drops a tenant's schema and all that is in it.
pub(crate) async fn drop_schema(conn: &mut PgConnection, role: &TenantRole) -> Result<(), sqlx::Error> {
    send(conn, format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(role))).await
}

/// Gathers statistics of what a tenant's resources are searched by.
pub(crate) async fn analyze(conn: &mut PgConnection, role: &TenantRole) -> Result<(), sqlx::Error> {
    let role = quoted(role);
    send(conn, format!("ANALYZE {role}.patient, {role}.patient_name, {role}.observation")).await
}

/// Whether a tenant's schema has an outbox: not where somebody dropped it by hand, nor before the step that makes it.
pub(crate) async fn has_outbox(conn: &mut PgConnection, role: &TenantRole) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!("{}.audit_outbox", quoted(role)))
        .fetch_one(conn)
        .await
}

/// Keeps everybody from a tenant's outbox until the transaction ends.
pub(crate) async fn lock_outbox(conn: &mut PgConnection, role: &TenantRole) -> Result<(), sqlx::Error> {
    send(conn, format!("LOCK TABLE {}.audit_outbox IN ACCESS EXCLUSIVE MODE", quoted(role))).await
}

/// Counts the audit records that a tenant's schema still holds.
pub(crate) async fn count_outbox(conn: &mut PgConnection, role: &TenantRole) -> Result<i64, sqlx::Error> {
    let text = format!("SELECT count(*) FROM {}.audit_outbox", quoted(role));
    sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(conn).await
}

/// Makes tenant roles that one login may become. They log in as such nowhere: they have no password, and one that a
/// role gave itself (every role may) would have run out before it began.
pub(crate) async fn create_roles(
    conn: &mut PgConnection,
    roles: &[TenantRole],
    login: &str,
) -> Result<(), sqlx::Error> {
    let login = identifier(login);
    let text: Vec<String> = roles
        .iter()
        .map(|role| {
            let role = quoted(role);
            format!(
                "CREATE ROLE {role} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
                 VALID UNTIL '-infinity'; GRANT {role} TO {login}"
            )
        })
        .collect();
    send(conn, text.join("; ")).await
}

/// Drops roles of tenants that are gone.
pub(crate) async fn drop_roles(conn: &mut PgConnection, roles: &[TenantRole]) -> Result<(), sqlx::Error> {
    let names: Vec<String> = roles.iter().map(quoted).collect();
    send(conn, format!("DROP ROLE IF EXISTS {}", names.join(", "))).await
}

/// What a serving login may do in the control schema, and nothing else anywhere: what a tenant's administrator may change
/// over HTTP. Tenants themselves, and what they have switched on, are the operator's.
pub(crate) async fn grant_control(conn: &mut PgConnection, login: &str) -> Result<(), sqlx::Error> {
    let login = identifier(login);
    let text = format!(
        "GRANT USAGE ON SCHEMA control TO {login}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA control TO {login}; \
         GRANT INSERT, UPDATE, DELETE ON control.server, control.job TO {login}; \
         GRANT INSERT, DELETE ON control.unsettled, control.origin, control.certificate TO {login}; \
         GRANT INSERT ON control.change TO {login}; \
         GRANT INSERT, UPDATE, DELETE ON control.revocation TO {login}; \
         GRANT INSERT, UPDATE (last_used, revoked) ON control.api_key TO {login}; \
         GRANT INSERT, UPDATE (retired) ON control.key TO {login}; \
         GRANT INSERT, UPDATE (revoked, revoked_by) ON control.grant TO {login}; \
         GRANT INSERT, DELETE ON control.issuer, control.issuer_tenant TO {login}"
    );
    send(conn, text).await
}

/// Makes the partition of the audit trail for the month that `month` lies in, and hangs it in. Attaching lets
/// inserts go on, which `CREATE TABLE … PARTITION OF` does not.
pub(super) async fn create_partition(conn: &mut PgConnection, month: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let name = partition(month);
    let (year, number) = (month.year(), month.month());
    let (next_year, next) = if number == 12 { (year + 1, 1) } else { (year, number + 1) };
    let text = format!(
        "CREATE TABLE audit.{name} (LIKE audit.record INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         ALTER TABLE audit.record ATTACH PARTITION audit.{name} FOR VALUES \
         FROM ('{year:04}-{number:02}-01 00:00:00+00') TO ('{next_year:04}-{next:02}-01 00:00:00+00')"
    );
    send(conn, text).await
}

/// The name of a month's partition.
pub(super) fn partition(month: DateTime<Utc>) -> String {
    format!("record_{:04}_{:02}", month.year(), month.month())
}

fn quoted(role: &TenantRole) -> String {
    format!("\"{role}\"")
}

/// A name of any characters as an SQL identifier.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_cannot_leave_its_quotes() {
        assert_eq!(identifier("app\"; DROP TABLE x; --"), "\"app\"\"; DROP TABLE x; --\"");
    }

    #[test]
    fn partitions_are_named_by_month() {
        assert_eq!(partition(DateTime::from_timestamp(1_795_392_000, 0).unwrap()), "record_2026_11");
    }
}
