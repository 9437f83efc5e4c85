//! FHIR interactions, one file each: no HTTP, no SQL. Each takes the caller's exchange and returns what was asked
//! for or a [`Failure`]; what the audit record needs is noted on the way.

pub mod create;
pub mod delete;
mod exchange;
pub mod history_instance;
pub mod history_type;
pub mod read;
pub mod search_type;
pub mod update;
pub mod vread;

pub use exchange::{Exchange, Note};

use vitals_store::{StoreError, tenant::Denied};

use crate::failure::Failure;

/// How often a unit of work that collided with another is tried again.
const TRIES: usize = 3;

/// Why a unit of work stopped before it was decided.
enum Stopped {
    Store(StoreError),
    Denied(Denied),
}

impl Stopped {
    /// Whether the whole unit may be tried again.
    fn collided(&self) -> bool {
        matches!(self, Self::Store(StoreError::Collision(_)))
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// The result of an interaction.
pub type Answer<T> = Result<T, Failure>;
