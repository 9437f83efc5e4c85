//! The addresses of the databases: which role goes where, and how a connection is opened.
//!
//! A database is named by a URL as libpq writes it: `postgres://user:password@host:port/database?param=value`, or
//! `postgres://user:password@localhost/database?host=/socket/directory` for a socket.

mod connect;

use std::fmt;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

pub use connect::{ConnectError, connect};

/// How many login roles serve: slot 0 is the user of the database URL, the others are made beside it.
pub const LOGINS: u16 = 10;

/// The role that adds audit records.
pub const AUDIT_WRITE: &str = "vitals_audit_write";

/// The role that reads audit records.
pub const AUDIT_READ: &str = "vitals_audit_read";

/// A database URL that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL of PostgreSQL.
    #[error("the {0} database URL is not of the form postgres://user:password@host:port/database")]
    Malformed(&'static str),
    /// A part that must be there is missing.
    #[error("the {url} database URL names no {part}")]
    Missing {
        /// Which URL.
        url: &'static str,
        /// Which part.
        part: &'static str,
    },
    /// The audit store is written by one role, whose rights the migrations fix.
    #[error("the user of the audit database URL must be {AUDIT_WRITE}")]
    AuditUser,
    /// A command that makes roles or schemas was given no role that may.
    #[error("this needs --admin-database-url, a role that may create roles and databases")]
    NoAdmin,
}

/// The databases of one installation, as the roles that use them.
#[derive(Clone, PartialEq, Eq)]
pub struct Urls {
    /// The login role that serves, in slot 0.
    pub app: String,
    /// A role that may create roles and schemas; `serve` runs without one.
    pub admin: Option<String>,
    /// The role that adds audit records.
    pub audit_write: String,
    /// The role that reads audit records.
    pub audit_read: String,
}

impl fmt::Debug for Urls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Urls")
            .field("app", &hidden_password(&self.app))
            .field("admin", &self.admin.as_deref().map(hidden_password))
            .field("audit_write", &hidden_password(&self.audit_write))
            .field("audit_read", &hidden_password(&self.audit_read))
            .finish()
    }
}

impl Urls {
    /// The databases of an installation on a PostgreSQL of its operator's.
    ///
    /// Unless the audit database is named, it is `<database>_audit` on the same server, and its roles have the
    /// password of the role that serves.
    pub fn outside(app: &str, admin: Option<&str>, audit: Option<&str>) -> Result<Self, UrlError> {
        if username(app, "serving")?.is_empty() {
            return Err(UrlError::Missing { url: "serving", part: "user" });
        }
        let database = database(app, "serving")?;
        if let Some(admin) = admin {
            parse(admin, "admin")?;
        }
        let audit_write = match audit {
            None => with_user(&with_database(app, &format!("{database}_audit"))?, AUDIT_WRITE)?,
            Some(audit) if username(audit, "audit")? == AUDIT_WRITE => audit.to_owned(),
            Some(audit) if username(audit, "audit")?.is_empty() => with_user(audit, AUDIT_WRITE)?,
            Some(_) => return Err(UrlError::AuditUser),
        };
        self::database(&audit_write, "audit")?;
        Ok(Self {
            app: app.to_owned(),
            admin: admin.map(str::to_owned),
            audit_read: with_user(&audit_write, AUDIT_READ)?,
            audit_write,
        })
    }

    /// The URL of the login role in a slot.
    pub fn login(&self, slot: u16) -> Result<String, UrlError> {
        if slot == 0 { Ok(self.app.clone()) } else { with_user(&self.app, &self.login_name(slot)?) }
    }

    /// The name of the login role in a slot.
    pub fn login_name(&self, slot: u16) -> Result<String, UrlError> {
        let user = username(&self.app, "serving")?;
        Ok(if slot == 0 { user } else { format!("{user}_{slot}") })
    }

    /// The names of all login roles, in the order of their slots.
    pub fn login_names(&self) -> Result<Vec<String>, UrlError> {
        (0..LOGINS).map(|slot| self.login_name(slot)).collect()
    }

    /// The name of the database that holds tenants.
    pub fn app_database(&self) -> Result<String, UrlError> {
        database(&self.app, "serving")
    }

    /// The name of the database that holds audit records.
    pub fn audit_database(&self) -> Result<String, UrlError> {
        database(&self.audit_write, "audit")
    }

    /// The administering role, in the database that it was given with, or else in `postgres`.
    pub fn admin(&self) -> Result<String, UrlError> {
        let admin = self.admin.as_deref().ok_or(UrlError::NoAdmin)?;
        match database(admin, "admin") {
            Ok(_) => Ok(admin.to_owned()),
            Err(_) => with_database(admin, "postgres"),
        }
    }

    /// The administering role, in the database that holds tenants.
    pub fn app_admin(&self) -> Result<String, UrlError> {
        with_database(self.admin.as_deref().ok_or(UrlError::NoAdmin)?, &self.app_database()?)
    }

    /// The administering role, in the database that holds audit records.
    pub fn audit_admin(&self) -> Result<String, UrlError> {
        let admin = self.admin.as_deref().ok_or(UrlError::NoAdmin)?;
        if self.audit_is_beside()? {
            return with_database(admin, &self.audit_database()?);
        }
        // Another server: the same administering role is taken to be known there.
        let administrator = username(admin, "admin")?;
        let there = with_user(&self.audit_write, &administrator)?;
        with_password(&there, password(admin, "admin")?.as_deref())
    }

    /// Whether the audit database is on the same server as the tenants.
    pub fn audit_is_beside(&self) -> Result<bool, UrlError> {
        Ok(server(&self.app, "serving")? == server(&self.audit_write, "audit")?)
    }
}

/// The options a connection to this URL is opened with.
pub fn connect_options(url: &str) -> Result<PgConnectOptions, UrlError> {
    parse(url, "given")?;
    let options = PgConnectOptions::from_str(url).map_err(|_| UrlError::Malformed("given"))?;
    Ok(options
        .application_name("vitals")
        .statement_cache_capacity(100)
        // Twelve and newer write floats so that they read back the same, and PgBouncer knows no such parameter.
        .extra_float_digits(None)
        .options([("search_path", "pg_catalog,\"$user\",pg_temp")])
        .disable_statement_logging())
}

/// The same address for another user.
pub fn with_user(url: &str, user: &str) -> Result<String, UrlError> {
    let mut parsed = parse(url, "given")?;
    if parsed.has_host() && parsed.set_username(user).is_ok() {
        set_parameter(&mut parsed, "user", None);
    } else {
        set_parameter(&mut parsed, "user", Some(user));
    }
    Ok(parsed.into())
}

/// The same address for another database.
pub fn with_database(url: &str, database: &str) -> Result<String, UrlError> {
    let mut parsed = parse(url, "given")?;
    set_parameter(&mut parsed, "dbname", None);
    parsed.set_path(database);
    Ok(parsed.into())
}

/// The address as it may be shown. What is no URL is not shown at all.
pub fn hidden_password(url: &str) -> String {
    let Ok(mut parsed) = parse(url, "given") else { return "(not a database URL)".to_owned() };
    if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
        return "(not a database URL)".to_owned();
    }
    if parameter(&parsed, "password").is_some() {
        set_parameter(&mut parsed, "password", Some("***"));
    }
    parsed.into()
}

/// The password in a URL, if it holds one.
pub(crate) fn password(url: &str, which: &'static str) -> Result<Option<String>, UrlError> {
    let parsed = parse(url, which)?;
    Ok(parameter(&parsed, "password").or_else(|| parsed.password().map(decoded)))
}

/// The user in a URL, empty if it names none.
pub(crate) fn username(url: &str, which: &'static str) -> Result<String, UrlError> {
    let parsed = parse(url, which)?;
    Ok(parameter(&parsed, "user").unwrap_or_else(|| decoded(parsed.username())))
}

/// The same address with another password, or without one.
pub(crate) fn with_password(url: &str, password: Option<&str>) -> Result<String, UrlError> {
    let mut parsed = parse(url, "given")?;
    if parsed.has_host() && parsed.set_password(password).is_ok() {
        set_parameter(&mut parsed, "password", None);
    } else {
        set_parameter(&mut parsed, "password", password);
    }
    Ok(parsed.into())
}

fn database(url: &str, which: &'static str) -> Result<String, UrlError> {
    let parsed = parse(url, which)?;
    let named = parameter(&parsed, "dbname").unwrap_or_else(|| decoded(parsed.path().trim_start_matches('/')));
    if named.is_empty() { Err(UrlError::Missing { url: which, part: "database" }) } else { Ok(named) }
}

/// What tells one database server from another.
fn server(url: &str, which: &'static str) -> Result<(String, u16), UrlError> {
    let parsed = parse(url, which)?;
    let options = connect_options(url)?;
    let host = parameter(&parsed, "host").unwrap_or_else(|| options.get_host().to_owned());
    Ok((host, options.get_port()))
}

fn parse(url: &str, which: &'static str) -> Result<Url, UrlError> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "postgres" | "postgresql") && !parsed.cannot_be_a_base() => Ok(parsed),
        _ => Err(UrlError::Malformed(which)),
    }
}

/// Percent-decoding as the URL library does it, by way of a query pair.
fn decoded(text: &str) -> String {
    let literal = text.replace('+', "%2B").replace('&', "%26");
    url::form_urlencoded::parse(format!("v={literal}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
}

fn set_parameter(url: &mut Url, name: &str, value: Option<&str>) {
    let mut kept: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    kept.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
}

#[cfg(test)]
mod tests;
