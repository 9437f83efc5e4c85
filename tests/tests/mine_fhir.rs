//! Scratch.
#[path = "../it/fhir.rs"]
mod fhir;
#[path = "../it/fhir_wire.rs"]
mod fhir_wire;
