//! What R4 demands of a Patient or an Observation beyond its structure, and of a vital sign beyond that.
//!
//! [`validate`] runs after the structure check (`vitals_fhir::structure`) and finds broken invariants, codes that a
//! required binding does not have, unsafe narratives, and, where category or code makes an Observation a vital sign,
//! what its R4 profile asks for. [`plausibility`] only doubts. The facts stand in `data/` (a profile is a file in
//! `data/profiles/`, see the README there); they are compiled in and read once. Sources: <https://hl7.org/fhir/R4/>,
//! <https://hl7.org/fhir/R4/observation-vitalsigns.html> and US Core 8.0.0.
//!
//! # When is it a vital sign
//! R4: "When a FHIR implementation supports any of the vital signs listed below, the implementation SHALL conform to
//! this profile for the vital sign observation." So a LOINC code of a profile in `code` makes that profile and its
//! base apply, and a missing category is an error; the category alone makes the base profile apply. Systolic,
//! diastolic and mean pressure as Observations of their own have no R4 profile: their code fixes the unit, and only
//! the category makes them vital signs. SpO2 is 2708-6, 59408-5 or both, though R4 fixes 2708-6.
//!
//! # What is not judged
//! Invariants of other resource types inside `contained` (their bindings and data types are), profiles of contained
//! Observations, bindings that are not required, what `meta.profile` claims, whether references resolve, and trd-3.

mod binding;
mod contained;
mod narrative;
mod nominated;
mod place;
mod plausible;
mod profile;
mod rule;
mod types;
mod vital_sign;
mod walk;

use vitals_fhir::{json::Value, outcome::Issue, resource::ResourceType};

pub use binding::codes_of;
pub use nominated::{Nominated, validate_as};
pub use plausible::plausibility;
pub use profile::{Place, VitalCode, VitalProfile, codes, profile, vitals};

use walk::Walk;

#[cfg(test)]
mod tests;

/// System URI of UCUM, in which every vital sign is measured.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Profile that every vital sign follows.
pub const VITAL_SIGNS_PROFILE: &str = "http://hl7.org/fhir/StructureDefinition/vitalsigns";

/// Judges a resource whose structure has been found sound. No issue: it may be stored.
///
/// Total all the same: what is not of its type counts as absent. Every issue is an error with an expression.
pub fn validate(root: Value<'_>, resource: ResourceType) -> Vec<Issue> {
    judged(root, resource, 0)
}

/// The same, with profiles that apply whatever the resource says of itself.
fn judged(root: Value<'_>, resource: ResourceType, nominated: profile::ProfileSet) -> Vec<Issue> {
    let place = place::Place::root(resource.name());
    let mut walk = Walk::new(root);
    walk.resource(root, resource.name(), &place);
    let mut issues = walk.into_issues();
    if resource == ResourceType::Observation {
        vital_sign::check(root, nominated, &place, &mut issues);
    }
    issues.into_list()
}
