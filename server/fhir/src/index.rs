//! The columns of a resource that searches and scopes need, extracted once at write.

pub mod extract;

use crate::{quantity::Quantity, temporal::Range, vital::VitalClass};

/// Columns of a Patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientIndex {
    /// `meta.security` in the forms of [`crate::token`]; both forms of each coding.
    pub security: Vec<String>,
    /// Identifiers: `i:` before both forms of [`crate::token`] of each identifier's system and value.
    pub tokens: Vec<String>,
    /// Every part of every name (`family`, `given`, `prefix`, `suffix`, `text`).
    pub names: Vec<NameValue>,
    /// The first family name in the order of folded names; empty where there is none.
    pub family: String,
    /// The administrative gender.
    pub gender: Option<String>,
    /// Whether the record is in use.
    pub active: Option<bool>,
    /// Bounds of the date of birth; [`Range::ABSENT`] where there is none.
    pub birth: Range,
    /// What is written beside identifiers; see [`ObservationIndex::texts`].
    pub texts: String,
}

/// A part of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameValue {
    /// Which part.
    pub part: &'static str,
    /// Its value, folded for search.
    pub value: String,
    /// Its value as written, where that is another text.
    pub written: Option<String>,
}

/// Columns of an Observation.
#[derive(Clone, Debug, PartialEq)]
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
    /// `p:` performer and `d:` device references in the same manner, `v:` codings of `valueCodeableConcept`,
    /// `k:` codings of components' codes, and in capitals (`S: E: P: D:`) the identifiers of references (both forms),
    /// `T:` that of a subject that may be a Patient.
    pub tokens: Vec<String>,
    /// The value, where it is a number with a unit.
    pub value: Option<Quantity>,
    /// The numbers in components, with each coding of their code.
    pub parts: Vec<Part>,
    /// What is written beside codes, for `:text`: of each text a line end, a letter (`c` code, `g` category, `v` value,
    /// `k` components' codes, `i` types of identifiers) and the folded text.
    pub texts: String,
}

/// A number in a component, with one coding of its code.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The form of [`crate::token`] of system and code; empty where there is no code.
    pub code: String,
    /// The number.
    pub quantity: Quantity,
}
