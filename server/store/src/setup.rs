//! Roles, databases and rights of one installation, made on a PostgreSQL of ours or of an operator's.
//!
//! Everything here may be repeated: what stands already is left alone, for any change to a role makes every open
//! session work out its memberships again. The order of a whole setup is
//!
//! 1. [`cluster`]: roles, databases, schemas, revokes;
//! 2. [`renew_passwords`]: only on an operator's PostgreSQL, after the password in the database URL has changed;
//! 3. the migrations of `control` and `audit`, by the caller;
//! 4. [`crate::control::privileges::apply`]: what the serving logins may do with the control tables that are there now.
//!    `migrate up` repeats it after migrations of `control`.

mod databases;
pub(crate) mod password;
mod roles;
pub(crate) mod statement;

use sqlx::PgConnection;

use crate::urls::{ConnectError, UrlError, Urls, connect};
pub use roles::{OWNER, SETTLE};

/// Where commands that change roles or schemas take turns: `pg_advisory_lock(7311, 2)`.
const TURNS: &str = "SELECT pg_advisory_lock(7311, 2)";

/// PostgreSQL 15, as `server_version_num` writes it.
pub(crate) const OLDEST_VERSION: i32 = 150_000;

/// A setup that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A database URL is no good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A connection did not open.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server is too old.
    #[error("PostgreSQL 15 or newer is needed, this one is version {0}")]
    TooOld(String),
    /// The administering role may not do this.
    #[error("role {0} of the admin database URL must be a superuser, or have both CREATEROLE and CREATEDB")]
    NotAdministrator(String),
    /// The role that serves is one that may too much.
    #[error("role {role} of the database URL {what}: name another role, setup makes it")]
    Mighty {
        /// The role.
        role: String,
        /// What it may.
        what: String,
    },
    /// The database was there before, in another encoding.
    #[error("database {database} has encoding {encoding}, it must be UTF8")]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding.
        encoding: String,
    },
    /// The password of the role that serves is another than in the URL.
    #[error("the password in the database URL is not the one of role {0}")]
    WrongPassword(String),
    /// A password that could not be hashed here.
    #[error("the password of role {0} must be of printable ASCII characters")]
    PasswordCharacters(String),
    /// The database said no.
    #[error("cannot {doing}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
}

impl SetupError {
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

/// What a setup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What it made, for the person who watches.
    pub made: Vec<String>,
    /// What only a superuser can do. `serve` does not start before it is done.
    pub pending: Vec<Pending>,
}

/// A statement for a superuser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The database to run it in.
    pub database: String,
    /// The statement.
    pub statement: String,
}

/// The administering role and its server.
#[derive(Debug)]
struct Administrator {
    name: String,
    superuser: bool,
    version: i32,
}

/// Makes the roles, databases and schemas of an installation.
pub async fn cluster(urls: &Urls) -> Result<Report, SetupError> {
    let mut report = Report::default();
    let (mut connection, administrator) = administer(&urls.admin()?).await?;
    roles::shared(&mut connection, &administrator, &mut report).await?;
    roles::logins(&mut connection, urls, &mut report).await?;
    databases::make(&mut connection, &administrator, &urls.app_database()?, &mut report).await?;

    if urls.audit_is_beside()? {
        audit(&mut connection, &administrator, urls, &mut report).await?;
    } else {
        let there = crate::urls::with_database(&urls.audit_admin()?, "postgres")?;
        let (mut connection, administrator) = administer(&there).await?;
        roles::shared(&mut connection, &administrator, &mut report).await?;
        audit(&mut connection, &administrator, urls, &mut report).await?;
    }

    let mut inside = connect(&urls.app_admin()?).await?;
    databases::arrange(&mut inside, &administrator, "control", &urls.login_names()?, &mut report).await?;
    databases::share_control(&mut inside, &urls.login_names()?, &mut report).await?;
    Ok(report)
}

async fn audit(
    connection: &mut PgConnection,
    administrator: &Administrator,
    urls: &Urls,
    report: &mut Report,
) -> Result<(), SetupError> {
    let logins = roles::audit_logins(connection, urls, report).await?;
    databases::make(connection, administrator, &urls.audit_database()?, report).await?;
    let mut inside = connect(&urls.audit_admin()?).await?;
    databases::arrange(&mut inside, administrator, "audit", &logins, report).await
}

/// Gives the roles that were made beside the first one its password again, where theirs is another.
///
/// Of the first one, which the operator may have made, the password is only tried.
pub async fn renew_passwords(urls: &Urls) -> Result<Vec<String>, SetupError> {
    let first = urls.login_name(0)?;
    if !opens(&urls.app).await? {
        return Err(SetupError::WrongPassword(first));
    }
    let mut renewed = Vec::new();
    for slot in 1..crate::urls::LOGINS {
        renew(&urls.login(slot)?, &urls.admin()?, &mut renewed).await?;
    }
    let there = crate::urls::with_database(&urls.audit_admin()?, "postgres")?;
    renew(&urls.audit_write, &there, &mut renewed).await?;
    renew(&urls.audit_read, &there, &mut renewed).await?;
    Ok(renewed)
}

async fn renew(url: &str, admin: &str, renewed: &mut Vec<String>) -> Result<(), SetupError> {
    if opens(url).await? {
        return Ok(());
    }
    let role = crate::urls::username(url, "serving")?;
    let (mut connection, _) = administer(admin).await?;
    roles::set_password(&mut connection, &role, url).await?;
    renewed.push(role);
    Ok(())
}

async fn opens(url: &str) -> Result<bool, SetupError> {
    match connect(url).await {
        Ok(_) => Ok(true),
        Err(ConnectError::Refused { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a connection as the administering role, and waits for its turn.
async fn administer(url: &str) -> Result<(PgConnection, Administrator), SetupError> {
    let mut connection = connect(url).await?;
    let (name, superuser, both, version): (String, bool, bool, i32) = sqlx::query_as(
        "SELECT rolname::text, rolsuper, rolcreaterole AND rolcreatedb, current_setting('server_version_num')::int4
         FROM pg_catalog.pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(SetupError::doing("look at the admin role"))?;
    if version < OLDEST_VERSION {
        return Err(SetupError::TooOld(format!("{}.{}", version / 10_000, version % 10_000)));
    }
    if !superuser && !both {
        return Err(SetupError::NotAdministrator(name));
    }
    sqlx::query(TURNS).execute(&mut connection).await.map_err(SetupError::doing("wait for another setup"))?;
    Ok((connection, Administrator { name, superuser, version }))
}
