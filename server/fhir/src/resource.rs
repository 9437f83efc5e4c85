//! Resource types, logical ids and version ids (<https://hl7.org/fhir/R4/resource.html#id>).

use std::{fmt, marker::PhantomData, str::FromStr};

use crate::{
    index::{ObservationIndex, PatientIndex, extract},
    json::Value,
};

/// A resource type this server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// <https://hl7.org/fhir/R4/patient.html>
    Patient,
    /// <https://hl7.org/fhir/R4/observation.html>
    Observation,
}

impl ResourceType {
    /// Every type, in the order of the CapabilityStatement.
    pub const ALL: [Self; 2] = [Self::Patient, Self::Observation];

    /// The type's name as it stands in `resourceType` and in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Observation => "Observation",
        }
    }

    /// The type of this exact name, or none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Patient {}
    impl Sealed for super::Observation {}
}

/// A resource type as a type, so that an `Id<Patient>` cannot ask for an Observation.
pub trait Resource: sealed::Sealed + Send + Sync + 'static {
    /// The same type as a value.
    const TYPE: ResourceType;
    /// The columns that searches and scopes need, extracted at write.
    type Index: fmt::Debug + Clone + Send + Sync;

    /// Extracts the columns from a resource. Total: what is not of its type counts as absent, since the structure
    /// check is what refuses it. `bases` are this tenant's own base URLs, without a slash at the end.
    fn extract(root: Value<'_>, bases: &[&str]) -> Self::Index;
}

/// Marker of the Patient resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patient {}

/// Marker of the Observation resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {}

impl Resource for Patient {
    const TYPE: ResourceType = ResourceType::Patient;
    type Index = PatientIndex;

    fn extract(root: Value<'_>, _: &[&str]) -> PatientIndex {
        extract::patient(root)
    }
}

impl Resource for Observation {
    const TYPE: ResourceType = ResourceType::Observation;
    type Index = ObservationIndex;

    fn extract(root: Value<'_>, bases: &[&str]) -> ObservationIndex {
        extract::observation(root, bases)
    }
}

/// The text is not a FHIR id: 1 to 64 of letters, digits, `-` and `.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIR id: 1 to 64 letters, digits, '-' or '.'")]
pub struct NotAnId;

/// Whether `text` is a FHIR id (`[A-Za-z0-9\-\.]{1,64}`).
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// The logical id of a resource of type `R`.
pub struct Id<R> {
    text: String,
    of: PhantomData<fn() -> R>,
}

impl<R: Resource> Id<R> {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A new server-made id (UUID v7, so that ids grow with time).
    pub fn generate() -> Self {
        Self { text: uuid::Uuid::now_v7().to_string(), of: PhantomData }
    }
}

impl<R: Resource> FromStr for Id<R> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if is_id(text) { Ok(Self { text: text.to_owned(), of: PhantomData }) } else { Err(NotAnId) }
    }
}

impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), of: PhantomData }
    }
}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<R> Eq for Id<R> {}

impl<R: Resource> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", R::TYPE, self.text)
    }
}

impl<R: Resource> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A version id: a whole number from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(i64);

impl Version {
    /// The version of a resource just created.
    pub const FIRST: Self = Self(1);

    /// The version with this number, if it is one.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 1 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The version that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Reads a version id from an address; leading zeros and signs are no version id.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().and_then(Self::new)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
