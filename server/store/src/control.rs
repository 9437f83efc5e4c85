//! The control schema: which tenants there are, who issues tokens for them, with which keys, and what changed.
//!
//! Commands and the operator's listener write it over an administrator's connection, as the role that owns it. Serving
//! logins read it, into the directory that requests are judged by ([`poll::DirectoryFeed`]).

pub mod api_keys;
pub mod change;
pub mod clients;
mod create;
mod delete;
pub mod directory;
pub mod grants;
pub mod issuers;
pub mod jobs;
pub mod keys;
pub mod poll;
pub mod privileges;
pub mod revocations;
pub mod roles;
pub mod servers;
pub mod settings;
pub mod tenants;

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use vitals_access::tenant::TenantName;

use crate::{
    migrate::{MigrateError, ddl},
    seal::SealError,
};

/// A failure to read or change the control schema.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The name is in use.
    #[error("there is a tenant {0} already")]
    Taken(TenantName),
    /// There is no such tenant.
    #[error("there is no tenant {0}")]
    Unknown(TenantName),
    /// The name given to confirm a deletion is another one.
    #[error("to delete tenant {0}, repeat its name to confirm")]
    NotConfirmed(TenantName),
    /// An isolation that is not built yet, or never will be.
    #[error("isolation {0} is not offered: only schema is")]
    Isolation(String),
    /// All login roles have as many tenants as they may.
    #[error("every login role has its {0} tenants: add login roles with `vitals setup`")]
    Full(i64),
    /// `setup` did not run, or not to its end.
    #[error("no login roles are registered: run `vitals setup`")]
    NotSetUp,
    /// The tenant still holds audit records that belong into the audit database.
    #[error(
        "tenant {tenant} still holds {records} audit records that no server moved on: start `vitals serve` and try again"
    )]
    Unsettled {
        /// Whose they are.
        tenant: TenantName,
        /// How many.
        records: i64,
    },
    /// Something held locks on the tenant's tables for too long.
    #[error("tenant {0} is in use: try again")]
    InUse(TenantName),
    /// The registration of an issuer breaks a rule.
    #[error(transparent)]
    Issuer(#[from] issuers::IssuerError),
    /// A grant breaks a rule.
    #[error(transparent)]
    Grant(#[from] grants::GrantError),
    /// A key cannot be sealed or opened.
    #[error("the signing key of tenant {tenant} cannot be used")]
    Seal {
        /// Whose key it is.
        tenant: TenantName,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A tenant's migrations failed as it was made.
    #[error("could not make the tables of the tenant")]
    Migrate(#[source] Box<MigrateError>),
    /// A stored row does not make sense.
    #[error("column {column} of {table} holds what it cannot")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A statement failed.
    #[error("could not {attempted}")]
    Database {
        /// What was attempted.
        attempted: &'static str,
        /// What PostgreSQL or the connection said.
        #[source]
        source: sqlx::Error,
    },
}

impl ControlError {
    pub(crate) fn database(attempted: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { attempted, source }
    }

    /// The SQLSTATE and the constraint behind it, where PostgreSQL named them.
    fn state(error: &sqlx::Error) -> (String, String) {
        let Some(database) = error.as_database_error() else { return Default::default() };
        (database.code().unwrap_or_default().into_owned(), database.constraint().unwrap_or_default().to_owned())
    }
}

/// Begins a transaction as the owner of the control schema.
async fn begin(admin: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut tx = admin.begin().await?;
    ddl::become_owner(&mut tx).await?;
    Ok(tx)
}
