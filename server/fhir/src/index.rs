//! The columns of a resource that searches and scopes need, extracted once at write.

pub mod extract;

use crate::{temporal::Range, vital::VitalClass};

/// Columns of a Patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientIndex {
    /// `meta.security` in the forms of [`crate::token`]; both forms of each coding.
    pub security: Vec<String>,
    /// Identifiers: `i:` before both forms of [`crate::token`] of each identifier's system and value.
    pub tokens: Vec<String>,
    /// Every part of every name (`family`, `given`, `prefix`, `suffix`, `text`), with its value folded for search.
    pub names: Vec<(&'static str, String)>,
}

/// Columns of an Observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationIndex {
    /// Logical id of the subject, where that is a Patient of this tenant (relative, or absolute under our own base).
    pub patient: Option<String>,
    /// The kind of vital sign, if it is one.
    pub vital: Option<VitalClass>,
    /// The form of the vital's first LOINC code where `code` names exactly one vital, `*` where it names several,
    /// else the form of the first coding that has a code.
    pub code1: Option<String>,
    /// Both forms of each coding of `code`.
    pub codes: Vec<String>,
    /// Both forms of each coding of each category.
    pub category: Vec<String>,
    /// The status.
    pub status: String,
    /// Both forms of each coding of `meta.security`.
    pub security: Vec<String>,
    /// Bounds of `effective[x]`; [`Range::ABSENT`] where there is none (or a Timing without bounds).
    pub effective: Range,
    /// The rest, each with the letter of its parameter: `i:` identifiers (both forms), `s:` a subject that is no
    /// Patient of this tenant (the reference as written, `Type/id` where it is under our own base), `e:` encounter,
    /// `p:` performer and `d:` device references in the same manner, `v:` codings of `valueCodeableConcept`.
    pub tokens: Vec<String>,
}
