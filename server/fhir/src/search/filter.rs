//! What a search asks of a resource, as values.

use super::{DateTest, QuantityTest};

/// The types beside Patient that an Observation's subject may be of.
pub const OTHER_SUBJECT_TYPES: [&str; 3] = ["Group", "Device", "Location"];

/// One parameter: met when any of its values is.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `_id`
    Id(Vec<String>),
    /// `patient`, `subject`
    Subject(Vec<Subject>),
    /// In the compartment of the Patient of this id: about it, or performed by it.
    Compartment(String),
    /// Another reference; the values as the index has them: `Type/id`, or a URL or URN elsewhere.
    Reference(Referrer, Vec<String>),
    /// `:identifier` of a reference.
    ReferenceIdentifier(Referrer, Vec<TokenValue>),
    /// A token parameter.
    Token {
        /// Where its values stand.
        column: Column,
        /// The values.
        values: Vec<TokenValue>,
    },
    /// `:not` of a token: none of the values, or nothing at all.
    NotToken {
        /// Where its values stand.
        column: Column,
        /// The values.
        values: Vec<TokenValue>,
    },
    /// `:text` of a token: folded beginnings of what is written beside the code.
    Text(Column, Vec<String>),
    /// A date parameter.
    Date(DateColumn, Vec<DateTest>),
    /// A part of a name.
    Name {
        /// Which.
        part: NamePart,
        /// How it is compared.
        matching: Matching,
        /// The values, folded where that is how they are compared; never empty.
        values: Vec<String>,
    },
    /// A quantity.
    Quantity(Place, Vec<QuantityTest>),
    /// A code together with its quantity.
    CodeQuantity(Place, Vec<(TokenValue, QuantityTest)>),
    /// `:missing=true`
    Missing(Element),
    /// `:missing=false`
    Present(Element),
}

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A Patient as the subject.
    Patient,
    /// A subject.
    Subject,
    /// Another reference.
    Reference(Referrer),
    /// A token.
    Token(Column),
    /// A date.
    Date(DateColumn),
    /// A part of a name.
    Name(NamePart),
    /// A quantity, or one together with its code.
    Quantity(Place),
}

/// The index column of a token parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `codes`
    Code,
    /// `category`
    Category,
    /// `tokens`, letter `i`.
    Identifier,
    /// `status`
    Status,
    /// `tokens`, letter `v`.
    ValueConcept,
    /// `tokens`, letter `k`.
    ComponentCode,
    /// `codes`, and `tokens` with the letter `k`.
    ComboCode,
    /// `gender`
    Gender,
    /// `active`
    Active,
}

/// A date of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateColumn {
    /// When it was observed.
    Effective,
    /// When this version was written.
    LastUpdated,
    /// When the patient was born.
    Birth,
}

/// A reference of an Observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrer {
    /// The subject, where that is a Patient.
    Patient,
    /// The subject.
    Subject,
    /// The encounter.
    Encounter,
    /// A performer.
    Performer,
    /// The device.
    Device,
}

impl Referrer {
    /// Before the target in `tokens`.
    pub const fn letter(self) -> char {
        match self {
            Self::Patient | Self::Subject => 's',
            Self::Encounter => 'e',
            Self::Performer => 'p',
            Self::Device => 'd',
        }
    }

    /// Before the target's identifier in `tokens`.
    pub const fn identifier_letter(self) -> char {
        match self {
            Self::Patient => 'T',
            Self::Subject => 'S',
            Self::Encounter => 'E',
            Self::Performer => 'P',
            Self::Device => 'D',
        }
    }

    /// The types it may refer to.
    pub(super) const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Patient => &["Patient"],
            Self::Subject => &["Patient", "Group", "Device", "Location"],
            Self::Encounter => &["Encounter", "EpisodeOfCare"],
            Self::Performer => {
                &["Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson"]
            }
            Self::Device => &["Device", "DeviceMetric"],
        }
    }
}

/// Which quantities of an Observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its value.
    Value,
    /// Those of its components.
    Component,
    /// All of them.
    Combo,
}

/// Which parts of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// All.
    Any,
    /// `family`
    Family,
    /// `given`
    Given,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// The folded text begins with the value.
    Beginning,
    /// The folded text has the value in it.
    Contains,
    /// The text is the value, to the letter.
    Exact,
}

/// Whom a `patient` or `subject` value names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The Patient of this tenant with this logical id.
    Patient(String),
    /// The target of a reference as the index has it under `s:`: `Group/x`, or a URL or URN elsewhere.
    Other(String),
    /// A bare id on `subject`: a Patient or one of [`OTHER_SUBJECT_TYPES`] with this id.
    AnyType(String),
}

/// A token value (<https://hl7.org/fhir/R4/search.html#token>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenValue {
    /// `system|code`
    Coding {
        /// The system, never empty.
        system: String,
        /// The code, never empty.
        code: String,
    },
    /// `code`: in whatever system or none.
    Code(String),
    /// `|code`: without a system.
    NoSystem(String),
    /// `system|`: any code of the system.
    System(String),
}
