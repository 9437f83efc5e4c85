//! Scratch.
#[path = "../it/fhir.rs"]
mod fhir;
