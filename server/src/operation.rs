//! FHIR operations, one file each: no HTTP, no SQL, as with interactions.

pub mod validate;
