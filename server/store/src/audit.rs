//! The audit store: records in a database of their own, insert-only, chained by hash per writer and chain.
//!
//! A chain is a tenant's role, or `server` for requests of no tenant. Every process start is a writer with a random
//! number; in each chain it numbers its records from 1 and each carries the hash of the one before. The first carries
//! the hash of the record that stood at the end of the chain then (zeros in an empty chain), so that a removed
//! stretch is missed by whoever followed it.
//!
//! Where a record must stand or fall with a write, it also stands in the tenant's `audit_outbox`, committed with the
//! write. The writer moves it on and removes it there once the audit database has it on disk ([`OutboxSession`]).
//! What a dead writer left is found through `control.unsettled` ([`Claim`]) and moved on by somebody else. Moving is
//! safe to do twice: a record has one id, and `audit.record` takes an id once.

mod append;
mod claim;
mod derived;
mod export;
mod heads;
mod month;
mod outbox;
mod read;
mod receipt;
mod recover;
mod row;
mod seal;
mod search;
mod session;
mod verify;

pub use append::{Appender, Outcome};
pub use claim::{Claim, Unsettled};
pub use derived::{Derived, Mention, patients};
pub use export::{Exported, export};
pub use heads::{Head, HeadFault, HeadSigner, KeptHeads};
pub use month::{Month, NotAMonth};
pub use outbox::{Leftover, Leftovers, OutboxSession};
pub use read::{AuditReader, Direction, Position, Stored};
pub use receipt::Receipt;
pub use recover::{Recover, Recovered, recover};
pub use seal::{Afterwards, ExportRows, NoExport, Seal, SealError, Sealed, seal};
pub use search::{AuditQuery, Found};
pub use verify::{FirstBad, Reason, Verification, Verify, verify};

use crate::urls::ConnectError;

/// How much must be safe before a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Committed: it outlives our process. On disk within a second.
    #[default]
    Prompt,
    /// On disk.
    Strict,
}

/// A failed conversation with the audit database, or with the control database on its behalf.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No connection opened.
    #[error("no connection for audit records could be opened")]
    Connect(#[from] ConnectError),
    /// The connection broke, or what came over it made no sense.
    #[error("the connection for audit records broke")]
    Broken(#[source] sqlx::Error),
    /// No answer in time; the connection was given up.
    #[error("no answer to {0} in time")]
    TooSlow(&'static str),
    /// The database said no; nothing was written.
    #[error("{statement} was refused with SQLSTATE {code}")]
    Refused {
        /// The statement's name.
        statement: &'static str,
        /// The five characters of the SQLSTATE.
        code: String,
    },
    /// A stored value is not what it can only be.
    #[error("column {0} holds what it cannot")]
    Inconsistent(&'static str),
}

impl AuditError {
    /// Sorts an error of a named statement. What ends the session counts as broken: whether it committed is not known.
    fn of(statement: &'static str, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if !ends_session(&**database) => {
                Self::Refused { statement, code: database.code().unwrap_or_default().into_owned() }
            }
            _ => Self::Broken(error),
        }
    }

    /// Whether the database refused with one of these codes, or with one of these classes (two characters).
    fn refused_with(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused { code, .. } if codes.iter().any(|begin| code.starts_with(begin)))
    }

    /// Whether what was read is no sound data: a value that cannot be, a row that does not decode, a broken page.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Inconsistent(_)) || self.refused_with(&["22", "XX001", "XX002"])
    }

    /// Whether the session lives on after this error.
    pub fn leaves_session_usable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Inconsistent(_))
    }
}

fn ends_session(error: &dyn sqlx::error::DatabaseError) -> bool {
    use sqlx::postgres::{PgDatabaseError, PgSeverity};
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// A random writer number: positive, never zero.
pub fn new_writer() -> i64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    // The version and variant digits of a UUID are fixed; the two halves together leave no digit fixed.
    ((high.rotate_left(32) ^ low) & (u64::MAX >> 1)).cast_signed().max(1)
}
