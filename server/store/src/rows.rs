//! Views of a tenant's rows, by resource type and interaction. Each carries the caller's predicate into its SQL;
//! nothing filters afterwards.

mod create;
mod delete;
mod history;
mod load;
mod many;
mod packed;
mod predicate;
mod preview;
mod read;
mod search;
mod table;
mod update;

use std::marker::PhantomData;

use vitals_access::{access::Access, predicate::Visible};
use vitals_fhir::resource::{Id, Resource, Version};

pub use delete::Deleted;
pub use history::{History, HistoryEntry};
pub use load::{Bulk, Load, Loaded};
pub use many::{Expected, Placed, Put};
pub use preview::{OfCode, Opens};
pub use read::Missing;
pub use search::{Found, Mark, Page, Position};
pub use table::Table;
pub(crate) use table::push_outbox;
pub use update::{Updated, WriteRefused};

use crate::pool::Lease;

/// The rows of type `R` that a caller may reach by interaction `I`.
pub struct Rows<'t, R, I> {
    pub(crate) lease: &'t mut Lease,
    pub(crate) access: &'t Access,
    pub(crate) visible: Visible,
    pub(crate) of: PhantomData<fn() -> (R, I)>,
}

/// A resource at one version, as text.
#[derive(Clone, Debug)]
pub struct Versioned<R: Resource> {
    /// Its logical id.
    pub id: Id<R>,
    /// The version.
    pub version: Version,
    /// When it was written, in milliseconds since 1970.
    pub last_updated: i64,
    /// Logical id of the patient whose compartment it is in.
    pub patient: Option<String>,
    /// The resource, byte for byte as it is answered.
    pub body: String,
}

/// The audit record that must stand or fall with a write: its id, the writer that will move it on, its text.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The record's id.
    pub id: uuid::Uuid,
    /// The writer of this process.
    pub writer: i64,
    /// The record without its place in a chain.
    pub record: String,
}
