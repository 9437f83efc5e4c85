//! What `serve` refuses to start on: a login that could do more than serve, and a pooler that mixes sessions.
//!
//! The walls between tenants are roles of PostgreSQL. They hold only while the login behind the server cannot climb
//! over them, so that is looked at before the first request, in the database itself and not in what setup once did.

mod pooler;

use futures_util::future;
use sqlx::{Executor as _, PgConnection};

use crate::setup::{OLDEST_VERSION, SETTLE};
use crate::urls::{AUDIT_READ, AUDIT_WRITE, ConnectError, UrlError, Urls, connect};

pub use pooler::PoolerError;

/// The names of tenants' roles and schemas.
const TENANT: &str = "^t_[a-z2-7]{26}$";

/// With thousands of tenants PostgreSQL takes its own catalogue for so large that compiling a question (five seconds)
/// would pay, and sorts on disk.
const SETTINGS: &str = "SET jit TO off; SET work_mem TO '32MB'";

/// A look at the database that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PostureError {
    /// A database URL is no good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A connection did not open.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A pooler stands between us and the database, in a mode that mixes sessions.
    #[error(transparent)]
    Pooler(#[from] PoolerError),
    /// The database said no.
    #[error("cannot look at {what}")]
    Database {
        /// At what.
        what: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
}

impl PostureError {
    pub(crate) fn looking(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { what, source }
    }
}

/// A reason not to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// Looks at everything that `serve` depends on; empty means that it may start.
pub async fn check(urls: &Urls) -> Result<Vec<Problem>, PostureError> {
    pooler(&urls.app).await?;
    // At once: with thousands of tenants looking at rights and at constraints takes some 0.3 s each.
    let (version, logins, audit) = future::try_join3(version(&urls.app), logins(urls), audit(urls)).await?;
    Ok([version, logins, audit].concat())
}

/// Refuses a pooler that gives one server process to several sessions.
pub async fn pooler(url: &str) -> Result<(), PoolerError> {
    pooler::refuse(url).await
}

/// The server's version.
pub async fn version(url: &str) -> Result<Vec<Problem>, PostureError> {
    let mut connection = connect(url).await?;
    let (number, text): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::int4, current_setting('server_version')")
            .fetch_one(&mut connection)
            .await
            .map_err(PostureError::looking("the server version"))?;
    if number >= OLDEST_VERSION {
        return Ok(Vec::new());
    }
    Ok(vec![Problem { what: format!("PostgreSQL {text} is too old"), advice: "use PostgreSQL 15 or newer".to_owned() }])
}

/// The login roles that serve, and every role they can become.
pub async fn logins(urls: &Urls) -> Result<Vec<Problem>, PostureError> {
    let rights = async {
        let mut connection = open(&urls.app).await?;
        let allowed = format!("{TENANT}|^{SETTLE}$");
        find(&mut connection, &urls.login_names()?, &allowed).await
    };
    let walls = async { walls(&mut open(&urls.app).await?).await };
    let (rights, walls) = future::try_join(rights, walls).await?;
    Ok([rights, walls].concat())
}

/// Opens a session for questions about the whole catalogue.
async fn open(url: &str) -> Result<PgConnection, PostureError> {
    let mut connection = connect(url).await?;
    connection.execute(SETTINGS).await.map_err(PostureError::looking("the catalogue"))?;
    Ok(connection)
}

/// The second wall between tenants: the CHECK that keeps rows of another tenant out of a table.
async fn walls(connection: &mut PgConnection) -> Result<Vec<Problem>, PostureError> {
    // Before setup there are neither tenants nor a registry.
    let registry: bool =
        sqlx::query_scalar("SELECT coalesce(has_table_privilege(to_regclass('control.tenant'), 'SELECT'), false)")
            .fetch_one(&mut *connection)
            .await
            .map_err(PostureError::looking("the registry of tenants"))?;
    if !registry {
        return Ok(Vec::new());
    }
    let open: Vec<(String, String)> = sqlx::query_as(include_str!("posture/find_open_walls.sql"))
        .bind(TENANT)
        .fetch_all(connection)
        .await
        .map_err(PostureError::looking("the constraints of tenants' tables"))?;
    let problem = |(schema, table)| Problem {
        what: format!("table {schema}.{table} has no constraint {table}_tenant that keeps other tenants' rows out"),
        advice: format!(
            "as vitals_owner: ALTER TABLE {schema}.{table} ADD CONSTRAINT {table}_tenant CHECK (tenant = N), with N the \
             number of {schema} in control.tenant"
        ),
    };
    Ok(open.into_iter().map(problem).collect())
}

/// The login roles of the audit store: one adds, one reads, nobody changes, and those that serve reach nothing of it.
pub async fn audit(urls: &Urls) -> Result<Vec<Problem>, PostureError> {
    let mut connection = open(&urls.audit_read).await?;
    let roles = [AUDIT_WRITE.to_owned(), AUDIT_READ.to_owned()];
    let mut problems = find(&mut connection, &roles, "^$").await?;
    // A right may stand with a table or with one of its columns.
    let rights: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT role, c.relname::text, p.privilege
         FROM unnest($1::text[]) AS role
         CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)
         JOIN pg_class c ON c.relnamespace = to_regnamespace('audit') AND c.relkind IN ('r', 'p')
         WHERE NOT (p.privilege = 'INSERT' AND role = $2 AND c.relname = 'record') AND NOT (p.privilege = 'SELECT' AND role = $3)
           AND CASE WHEN p.privilege IN ('DELETE', 'TRUNCATE') THEN has_table_privilege(role, c.oid, p.privilege)
                    ELSE has_any_column_privilege(role, c.oid, p.privilege) END
         ORDER BY 1, 2, 3 LIMIT 20",
    )
    .bind(&roles[..])
    .bind(AUDIT_WRITE)
    .bind(AUDIT_READ)
    .fetch_all(&mut connection)
    .await
    .map_err(PostureError::looking("the rights on audit records"))?;
    problems.extend(rights.into_iter().map(|(role, table, privilege)| Problem {
        what: format!("role {role} has {privilege} on audit.{table}"),
        advice: format!("in the audit database, as a superuser: REVOKE {privilege} ON audit.{table} FROM {role}"),
    }));
    let strangers: Vec<(String, String, String)> = sqlx::query_as(include_str!("posture/find_strangers.sql"))
        .bind(urls.login_names()?)
        .fetch_all(&mut connection)
        .await
        .map_err(PostureError::looking("who else has rights in the audit database"))?;
    problems.extend(strangers.into_iter().map(|(role, object, rights)| Problem {
        what: format!("{role} has {rights} on {object} in the audit database, of which those that serve reach nothing"),
        advice: format!("in the audit database, as a superuser: {}", revoke("ALL", &role, &object)),
    }));
    Ok(problems)
}

async fn find(connection: &mut PgConnection, logins: &[String], allowed: &str) -> Result<Vec<Problem>, PostureError> {
    let found: Vec<(String, String)> = sqlx::query_as(include_str!("posture/find_problems.sql"))
        .bind(logins)
        .bind(allowed)
        .bind(TENANT)
        .fetch_all(connection)
        .await
        .map_err(PostureError::looking("the rights of the login roles"))?;
    // Everything else follows from that, and would bury it.
    let superusers: Vec<(String, String)> =
        found.iter().filter(|(problem, _)| problem == "superuser").cloned().collect();
    let found = if superusers.is_empty() { found } else { superusers };
    Ok(found.iter().map(|(problem, subject)| explain(problem, subject)).collect())
}

/// One row of `find_problems.sql` for a person.
fn explain(problem: &str, subject: &str) -> Problem {
    let role = subject.split(':').next().unwrap_or_default();
    let object = subject.split_once(": ").map_or("", |(_, object)| object);
    let (what, advice) = match problem {
        "superuser" => (
            format!("role {subject} is a superuser"),
            "put a role of its own into --database-url; `vitals setup` makes it".to_owned(),
        ),
        "bypasses row security" => (format!("role {subject} bypasses row security"), alter(subject, "NOBYPASSRLS")),
        "may create roles" => (format!("role {subject} may create roles"), alter(subject, "NOCREATEROLE")),
        "may create databases" => (format!("role {subject} may create databases"), alter(subject, "NOCREATEDB")),
        "may replicate" => (format!("role {subject} may replicate the server"), alter(subject, "NOREPLICATION")),
        "inherits" => (
            format!("role {subject} inherits the rights of the roles it may become"),
            "run `vitals setup`; on PostgreSQL 16 and newer also REVOKE INHERIT OPTION FOR those memberships"
                .to_owned(),
        ),
        "may change roles" => {
            (format!("role {subject} may hand out a membership"), "REVOKE ADMIN OPTION FOR that membership".to_owned())
        }
        "may become" => {
            (format!("a login may become role {subject}"), format!("REVOKE {subject} FROM the login roles"))
        }
        "search path" => (
            format!("role {subject} has another search path than `pg_catalog, \"$user\", pg_temp`"),
            "run `vitals setup`".to_owned(),
        ),
        "owns" => (
            format!("role {role} owns {object}"),
            format!("give {object} to another owner; vitals_owner for what vitals made"),
        ),
        "may create in" => (format!("{role} may create in {object}"), "run `vitals setup`".to_owned()),
        "may make temporary tables in" => {
            (format!("{role} may make temporary tables in {object}"), "run `vitals setup`".to_owned())
        }
        "may call set_config" => (
            format!("{subject} may call set_config, which can switch tenants inside a statement"),
            "as a superuser, in this database: REVOKE EXECUTE ON FUNCTION \
             pg_catalog.set_config(text, text, boolean) FROM PUBLIC"
                .to_owned(),
        ),
        "may connect to" => (
            format!("{role} may connect to {object}"),
            if role == "everyone" { "run `vitals setup`".to_owned() } else { revoke("CONNECT", role, object) },
        ),
        "may log in" => (
            format!("a password that tenant role {subject} gave itself would let it log in"),
            alter(subject, "VALID UNTIL '-infinity'"),
        ),
        "runs as its owner" => (
            format!("function {subject} runs with the rights of its owner, whoever calls it"),
            format!("ALTER FUNCTION {subject} SECURITY INVOKER, or DROP FUNCTION {subject}"),
        ),
        "reaches tenant data as itself" => {
            (format!("{role} has rights on {object} without becoming the tenant"), revoke("ALL", role, object))
        }
        "reaches another tenant" => {
            (format!("the role of tenant {role} has rights on {object}, another tenant's"), revoke("ALL", role, object))
        }
        "reaches what all tenants share" => {
            (format!("{role} has rights on {object}, which is for the login roles alone"), revoke("ALL", role, object))
        }
        "settles more than outboxes" => (
            format!("role {role} has rights on {object} beyond reading and emptying outboxes"),
            revoke("ALL", role, object),
        ),
        "may change control" => (
            format!("role {role} may change {object}, which it may only read"),
            revoke("INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER", role, object),
        ),
        "may pass on" => {
            (format!("{role} may pass on its rights on {object}"), revoke("GRANT OPTION FOR ALL", role, object))
        }
        "may do more than change rows" => (
            format!("the role of tenant {role} has rights on {object} beyond changing its rows"),
            revoke("TRUNCATE, REFERENCES, TRIGGER", role, object),
        ),
        "may rewrite history" => (
            format!("the role of tenant {role} may change {object}, to which it may only add"),
            revoke(
                if object.contains("audit_outbox") {
                    "SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
                } else {
                    "UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
                },
                role,
                object,
            ),
        ),
        other => (format!("{other}: {subject}"), "run `vitals setup`".to_owned()),
    };
    Problem { what, advice }
}

fn alter(role: &str, attribute: &str) -> String {
    format!("as a superuser: ALTER ROLE {role} {attribute}")
}

/// `object` is a table, a table with a column in parentheses, or something with its kind before its name.
fn revoke(rights: &str, role: &str, object: &str) -> String {
    let role = if role == "everyone" { "PUBLIC" } else { role };
    match object.rsplit_once(" (") {
        Some((table, column)) if object.ends_with(')') && !object.starts_with("function ") => {
            // Of these rights, the ones that a column can have.
            let rights: Vec<String> = rights
                .split(", ")
                .filter(|right| !matches!(*right, "DELETE" | "TRUNCATE" | "TRIGGER"))
                .map(|right| format!("{right} ({column}"))
                .collect();
            format!("REVOKE {} ON {table} FROM {role}", rights.join(", "))
        }
        _ => format!("REVOKE {rights} ON {object} FROM {role}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_takes_a_right_from_what_it_was_given_on() {
        assert_eq!(revoke("ALL", "a", "t.patient"), "REVOKE ALL ON t.patient FROM a");
        assert_eq!(revoke("ALL", "everyone", "schema t"), "REVOKE ALL ON schema t FROM PUBLIC");
        assert_eq!(revoke("UPDATE, DELETE", "a", "t.patient (body)"), "REVOKE UPDATE (body) ON t.patient FROM a");
        assert_eq!(revoke("ALL", "a", "function t.f(integer)"), "REVOKE ALL ON function t.f(integer) FROM a");
    }
}
