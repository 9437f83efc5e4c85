//! The roles of an installation, and who may become whom.

use sqlx::PgConnection;

use super::statement::Statement;
use super::{Administrator, Report, SetupError, password};
use crate::urls::{AUDIT_READ, AUDIT_WRITE, LOGINS, Urls};

/// Owns every schema and table of ours; nobody logs in as it. Migrations run as this role.
pub const OWNER: &str = "vitals_owner";

/// Reads and empties the audit outboxes of all tenants, and reaches nothing else.
pub const SETTLE: &str = "vitals_settle";

/// What makes one SET ROLE switch tenant and tables together: see [`crate::pool`].
const SEARCH_PATH: &str = "search_path=pg_catalog, \"$user\", pg_temp";

/// What `pg_roles` says about a login role.
#[derive(sqlx::FromRow)]
struct Found {
    /// The first thing it may that a role which serves must not.
    mighty: Option<String>,
    /// It logs in, and inherits nothing.
    plain: bool,
    /// Its search path is ours.
    has_path: bool,
}

/// Makes the roles that nobody logs in as.
pub(super) async fn shared(
    connection: &mut PgConnection,
    administrator: &Administrator,
    report: &mut Report,
) -> Result<(), SetupError> {
    for role in [OWNER, SETTLE] {
        if find(connection, role).await?.is_none() {
            Statement::new("CREATE ROLE ")
                .name(role)
                .text(" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
                .run(connection)
                .await
                .map_err(SetupError::doing("create a role"))?;
            report.made.push(format!("role {role}"));
        }
    }
    if administrator.superuser || may_become_owner(connection, administrator).await? {
        return Ok(());
    }
    Statement::new("GRANT ")
        .name(OWNER)
        .text(" TO ")
        .name(&administrator.name)
        .run(connection)
        .await
        .map_err(SetupError::doing("let the admin role become vitals_owner"))
}

async fn may_become_owner(connection: &mut PgConnection, administrator: &Administrator) -> Result<bool, SetupError> {
    // From 16 on, whoever makes a role is a member of it, but may not become it before granting that to itself.
    let how = if administrator.version >= 160_000 { "SET" } else { "MEMBER" };
    sqlx::query_scalar("SELECT pg_catalog.pg_has_role(current_user, $1, $2)")
        .bind(OWNER)
        .bind(how)
        .fetch_one(connection)
        .await
        .map_err(SetupError::doing("look at the admin role"))
}

/// Makes the login roles that serve.
pub(super) async fn logins(connection: &mut PgConnection, urls: &Urls, report: &mut Report) -> Result<(), SetupError> {
    for slot in 0..LOGINS {
        let name = urls.login_name(slot)?;
        login(connection, &name, &urls.app, report).await?;
        let settles: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_auth_members
             WHERE roleid = $1::text::regrole AND member = quote_ident($2)::regrole)",
        )
        .bind(SETTLE)
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .map_err(SetupError::doing("look at the memberships of a login role"))?;
        if !settles {
            Statement::new("GRANT ")
                .name(SETTLE)
                .text(" TO ")
                .name(&name)
                .run(connection)
                .await
                .map_err(SetupError::doing("let a login role become vitals_settle"))?;
        }
    }
    Ok(())
}

/// Makes the login roles of the audit store; returns their names.
pub(super) async fn audit_logins(
    connection: &mut PgConnection,
    urls: &Urls,
    report: &mut Report,
) -> Result<Vec<String>, SetupError> {
    login(connection, AUDIT_WRITE, &urls.audit_write, report).await?;
    login(connection, AUDIT_READ, &urls.audit_read, report).await?;
    Ok(vec![AUDIT_WRITE.to_owned(), AUDIT_READ.to_owned()])
}

/// Makes one login role with the password of a URL, or sees to it that the one that is there may no more than it must.
async fn login(connection: &mut PgConnection, role: &str, url: &str, report: &mut Report) -> Result<(), SetupError> {
    let found = find(connection, role).await?;
    match &found {
        None => {
            let create = Statement::new("CREATE ROLE ")
                .name(role)
                .text(" LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS");
            let create = match verifier(role, url)? {
                Some(verifier) => create.text(" PASSWORD ").literal(&verifier),
                None => create,
            };
            create.run(connection).await.map_err(SetupError::doing("create a login role"))?;
            report.made.push(format!("login role {role}"));
        }
        Some(found) => {
            // Not taken away: a role that may so much has other uses.
            if let Some(what) = &found.mighty {
                return Err(SetupError::Mighty { role: role.to_owned(), what: what.clone() });
            }
            if !found.plain {
                Statement::new("ALTER ROLE ")
                    .name(role)
                    .text(" LOGIN NOINHERIT")
                    .run(connection)
                    .await
                    .map_err(SetupError::doing("take inheritance from a login role"))?;
                report.made.push(format!("login role {role}: no inheritance"));
            }
        }
    }
    if !found.is_some_and(|found| found.has_path) {
        Statement::new("ALTER ROLE ")
            .name(role)
            .text(" SET search_path = pg_catalog, \"$user\", pg_temp")
            .run(connection)
            .await
            .map_err(SetupError::doing("set the search path of a login role"))?;
    }
    Ok(())
}

/// Gives a role the password in a URL.
pub(super) async fn set_password(connection: &mut PgConnection, role: &str, url: &str) -> Result<(), SetupError> {
    let Some(verifier) = verifier(role, url)? else { return Ok(()) };
    Statement::new("ALTER ROLE ")
        .name(role)
        .text(" PASSWORD ")
        .literal(&verifier)
        .run(connection)
        .await
        .map_err(SetupError::doing("renew the password of a login role"))
}

/// The verifier for the password in a URL. Without one, the role logs in some other way (peer, certificate).
fn verifier(role: &str, url: &str) -> Result<Option<String>, SetupError> {
    let Some(secret) = crate::urls::password(url, "serving")? else { return Ok(None) };
    let verifier = password::verifier(&secret);
    verifier.map(Some).ok_or_else(|| SetupError::PasswordCharacters(role.to_owned()))
}

async fn find(connection: &mut PgConnection, role: &str) -> Result<Option<Found>, SetupError> {
    sqlx::query_as(
        "SELECT CASE WHEN rolsuper THEN 'is a superuser'
                     WHEN rolbypassrls THEN 'bypasses row security'
                     WHEN rolcreaterole THEN 'may create roles'
                     WHEN rolcreatedb THEN 'may create databases'
                     WHEN rolreplication THEN 'may replicate the whole server'
                END AS mighty,
             rolcanlogin AND NOT rolinherit AS plain,
             coalesce($2 = ANY (rolconfig), false) AS has_path
         FROM pg_catalog.pg_roles WHERE rolname = $1",
    )
    .bind(role)
    .bind(SEARCH_PATH)
    .fetch_optional(connection)
    .await
    .map_err(SetupError::doing("look for a role"))
}
