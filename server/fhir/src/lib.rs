//! FHIR R4 as values: resources, ids, the strict JSON door, the search grammar and the catalog of operations.
//!
//! Pure: nothing here reads a clock, a file or a socket. Specification: <https://hl7.org/fhir/R4/>.

pub mod body;
pub mod bundle;
pub mod catalog;
pub mod index;
pub mod interaction;
pub mod json;
pub mod label;
pub mod outcome;
pub mod quantity;
pub mod resource;
pub mod search;
pub mod structure;
pub mod subset;
pub mod temporal;
pub mod token;
pub mod vital;
