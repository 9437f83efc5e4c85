//! Migrations: bringing the control schema, every tenant's schema and the audit database to the newest version.
//!
//! sqlx embeds the files; the runner is ours, because one transaction has to be one tenant and one step (a thousand
//! schemas in one run out of locks), a tenant that fails must not stop the others, and a lock nobody gives up must not
//! stop that tenant's readers. A ledger keeps what was applied, and how each step went. Two runners at once are safe:
//! each step takes the tenant's advisory lock and looks into the ledger again.

pub(crate) mod ddl;
pub(crate) mod files;
mod ledger;
mod lint;
mod partitions;
mod shared;
mod step;
mod tenants;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use vitals_access::tenant::{TenantName, TenantRole};

use crate::{control::ControlError, urls::ConnectError};

pub(crate) use files::File;
pub(crate) use ledger::{TABLE as LEDGER, born};
pub use partitions::MONTHS_AHEAD;
pub use partitions::months_ahead;
pub use shared::{audit, control, control_is_current, shared_are_current, trail_is_ahead};
pub(crate) use step::install;
pub use tenants::{status, up};

/// A failure to migrate.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A file of this program breaks the rules of `migrations/README.md`.
    #[error("{0}")]
    File(String),
    /// The control schema, or the audit schema, is not there.
    #[error("this database is not set up: run `vitals setup`")]
    NotSetUp,
    /// There is no tenant of this name.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantName),
    /// The ledger holds another checksum than the file has now.
    #[error("migration {0:04} was changed after it had been applied")]
    Changed(i32),
    /// The ledger misses a step before one that it has.
    #[error("migration {missing:04} was never applied, but {applied:04} was")]
    OutOfOrder {
        /// What is missing.
        missing: i32,
        /// What is there nevertheless.
        applied: i32,
    },
    /// Another, newer program was here.
    #[error("it is at version {found}, newer than this program's {newest}")]
    Ahead {
        /// The version in the ledger.
        found: i32,
        /// The newest one this program knows.
        newest: i32,
    },
    /// A migration changed what the next statement on the connection depends on.
    #[error("migration {0:04} left another role or search path behind")]
    LeftBehind(i32),
    /// A lock was not to be had.
    #[error("somebody else held a lock through {attempts} attempts: {reason}")]
    Locked {
        /// How often it was tried.
        attempts: u32,
        /// What PostgreSQL said the last time.
        reason: String,
    },
    /// A step failed. The reason never holds values of rows.
    #[error("migration {version:04} failed: {reason}")]
    Step {
        /// Which one.
        version: i32,
        /// What PostgreSQL said.
        reason: String,
    },
    /// The administrator cannot connect.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// A statement of the runner itself failed.
    #[error("could not {attempted}")]
    Database {
        /// What was attempted.
        attempted: &'static str,
        /// What PostgreSQL or the connection said.
        #[source]
        source: sqlx::Error,
    },
    /// Roles or grants that go with migrations could not be made.
    #[error(transparent)]
    Control(#[from] Box<ControlError>),
}

impl MigrateError {
    pub(super) fn database(attempted: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { attempted, source }
    }
}

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// At the newest version.
    Current,
    /// Steps are missing.
    Pending,
    /// The last attempt failed, or the ledger and the files do not agree.
    Failed,
}

/// One tenant, as `migrate status` and `migrate up` report it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationRow {
    /// Its name.
    pub tenant: String,
    /// The newest version applied.
    pub version: i32,
    /// The newest version there is.
    pub target: i32,
    /// Where it stands.
    pub state: State,
    /// What went wrong, when something did.
    pub error: Option<String>,
    /// How long its last steps took; absent when none ran.
    pub duration_ms: Option<i64>,
}

/// Which tenants a command is about.
#[derive(Clone, Debug)]
pub enum Only {
    /// All of them.
    Everyone,
    /// One.
    Tenant(TenantName),
}

impl Only {
    fn includes(&self, name: &TenantName) -> bool {
        match self {
            Self::Everyone => true,
            Self::Tenant(only) => only == name,
        }
    }
}

/// Whether a server of this version serves a tenant at some version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// At the newest version or the one before.
    Yes,
    /// Migrations are missing.
    Behind,
    /// A newer program migrated it.
    Ahead,
}

/// The versions of tenant schemas that this program knows.
#[derive(Clone, Copy, Debug)]
pub struct SchemaVersions;

impl SchemaVersions {
    /// The version that tenants are born at and migrated to.
    #[must_use]
    pub fn newest() -> i32 {
        files::newest_tenant()
    }

    /// The oldest version served: the one before the newest, so that migrations may run before or after the program
    /// is replaced.
    #[must_use]
    pub fn oldest() -> i32 {
        (Self::newest() - 1).max(1)
    }

    /// Judges a tenant's version.
    #[must_use]
    pub fn judge(version: i32) -> Served {
        if version > Self::newest() {
            Served::Ahead
        } else if version < Self::oldest() {
            Served::Behind
        } else {
            Served::Yes
        }
    }
}

/// What a step is about.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    Control,
    Audit,
    Tenant { role: TenantRole, number: i32 },
}

impl Scope {
    const fn name(&self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Audit => "audit",
            Self::Tenant { .. } => "tenant",
        }
    }

    /// The tenant column of the ledger.
    fn tenant(&self) -> &str {
        match self {
            Self::Control | Self::Audit => "",
            Self::Tenant { role, .. } => role.as_str(),
        }
    }

    fn schema(&self) -> &str {
        match self {
            Self::Control | Self::Audit => self.name(),
            Self::Tenant { role, .. } => role.as_str(),
        }
    }

    const fn ledger_schema(&self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Control | Self::Tenant { .. } => "control",
        }
    }

    fn files(&self) -> Result<&'static [File], MigrateError> {
        match self {
            Self::Control => files::control(),
            Self::Audit => files::audit(),
            Self::Tenant { .. } => files::tenant(),
        }
    }

    /// Waits for the advisory lock of this scope until the transaction ends.
    pub(crate) async fn lock(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (class, key) = match self {
            Self::Control => (7311, 4),
            Self::Audit => (7311, 5),
            Self::Tenant { number, .. } => (7312, *number),
        };
        sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(class).bind(key).execute(conn).await.map(drop)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.schema())
    }
}

/// What `up` is asked to do.
#[derive(Clone, Debug)]
pub struct Up<'a> {
    /// The administrator's URL: every job opens a connection of its own.
    pub admin_url: &'a str,
    /// How many tenants at a time.
    pub jobs: usize,
    /// Which tenants.
    pub only: Only,
    /// When it began, for the ledger.
    pub now: DateTime<Utc>,
}
