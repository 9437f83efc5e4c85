//! What can go wrong between us and a tenant's tables.

/// A failed unit of work on tenant data.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or went away before it said anything that matters.
    #[error("the database cannot be reached")]
    Away(#[source] sqlx::Error),
    /// No connection became free in time.
    #[error("no tenant connection became free in time")]
    Busy,
    /// The statement took longer than its category allows.
    #[error("statement {0} took too long")]
    TooSlow(&'static str),
    /// The tenant's schema is at a migration this server does not serve.
    #[error("tenant schema is at version {found}, this server serves {oldest} to {newest}")]
    SchemaVersion {
        /// The tenant's version.
        found: i32,
        /// The oldest version served.
        oldest: i32,
        /// The newest version served.
        newest: i32,
    },
    /// Another unit of work was in the way; the whole unit may be tried again.
    #[error("statement {0} collided with another unit of work")]
    Collision(&'static str),
    /// The connection broke while a commit was under way: the write may or may not stand.
    #[error("the outcome of {0} is not known")]
    UnknownOutcome(&'static str),
    /// A row belongs to another tenant than the one the connection is bound to. The connection is closed.
    #[error("a row of another tenant came back from {0}")]
    ForeignRow(&'static str),
    /// A stored row does not make sense.
    #[error("column {column} of {table} holds what it cannot")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The database is there, and has no room: its disk or its memory is full.
    #[error("the database has no room for {0}")]
    Full(&'static str),
    /// Anything else the database said. The message of the database may hold values and is not shown to clients.
    #[error("statement {statement} failed with SQLSTATE {code}")]
    Database {
        /// The statement's name.
        statement: &'static str,
        /// The five characters of the SQLSTATE, or `-`.
        code: String,
    },
}

impl StoreError {
    /// Sorts an error of a named statement. `writes` says whether the statement commits by itself.
    pub(crate) fn of(statement: &'static str, outcome: Commits, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                match code.as_str() {
                    "40001" | "40P01" | "0A000" | "55P03" => Self::Collision(statement),
                    "23505" if outcome == Commits::InsertsAtChosenId => Self::Collision(statement),
                    "57014" => Self::TooSlow(statement),
                    // Disk full, out of memory, and what a disk says that cannot be written to.
                    "53100" | "53200" | "58030" => Self::Full(statement),
                    // The tenant went away under a request that was past the gate: table, schema or role are gone.
                    "57P01" | "57P02" | "57P03" | "53300" | "42P01" | "3F000" | "22023" => Self::Away(error),
                    _ => Self::Database { statement, code: if code.is_empty() { "-".to_owned() } else { code } },
                }
            }
            _ if outcome != Commits::Yes => Self::Away(error),
            _ => Self::UnknownOutcome(statement),
        }
    }
}

/// Whether losing the connection during a statement leaves its outcome unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// It reads, or a later COMMIT decides.
    No,
    /// It commits by itself, or is the COMMIT.
    Yes,
    /// As `No`, and a taken primary key means that somebody else created the resource just now.
    InsertsAtChosenId,
}
