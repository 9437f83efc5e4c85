//! FHIR interactions, one file each: no HTTP, no SQL. Each takes the caller's exchange and returns what was asked
//! for or a [`Failure`]; what the audit record needs is noted on the way.

pub mod audit_event;
pub mod bundle;
pub mod conditional_create;
pub mod conditional_delete;
pub mod conditional_update;
pub mod create;
mod criteria;
pub mod delegated;
pub mod delete;
mod exchange;
pub mod fan_out;
pub mod history_instance;
pub mod history_type;
pub mod read;
pub mod search_type;
pub mod update;
pub mod vread;

pub use exchange::{Exchange, Note};

use vitals_fhir::{json, outcome::Issue};
use vitals_fhir_profiles::plausibility;
use vitals_store::{
    StoreError,
    rows::WriteRefused,
    tenant::{Denied, TenantTx},
};

use crate::failure::Failure;

/// How often a unit of work that collided with another is tried again.
const TRIES: usize = 3;

/// Why a unit of work stopped before it was decided.
enum Stopped {
    Store(StoreError),
    Denied(Denied),
    /// Decided against it.
    Failed(Failure),
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

/// Ends a transaction whose work is decided: commits what was written, gives back the connection of what was not. After
/// an error of the store nothing is known of the connection, and it is closed.
async fn conclude<T>(
    tx: TenantTx<'_>,
    outcome: Result<Result<T, WriteRefused>, Stopped>,
    wrote: impl FnOnce(&T) -> bool,
) -> Result<Result<T, WriteRefused>, Stopped> {
    match &outcome {
        Ok(Ok(done)) if wrote(done) => tx.commit().await?,
        Err(Stopped::Store(_)) => drop(tx),
        _ => tx.rollback().await?,
    }
    outcome
}

/// What is improbable about a resource, though nothing stands against it.
pub fn doubts(text: &str) -> Vec<Issue> {
    json::parse(text.as_bytes()).map_or_else(|_| Vec::new(), |document| plausibility(document.root()))
}

/// The result of an interaction.
pub type Answer<T> = Result<T, Failure>;
