//! The vital signs that scopes name, and the LOINC codes that make an Observation one of them
//! (<https://hl7.org/fhir/R4/observation-vitalsigns.html>).
//!
//! An Observation is *of one vital alone* when its `code` names that vital and every vital-sign code in its `code` and
//! in its components' codes belongs to it. Components may be of the vital or one of its [`QUALIFIERS`]; another
//! component, or a contained Observation, is more than the vital. One that mixes vitals or holds more than its vital,
//! or holds vitals in components only, is `Mixed`; one that is a vital sign by category only is `Other`.

/// System URI of LOINC.
pub const LOINC: &str = "http://loinc.org";
/// System URI of the observation categories.
pub const OBSERVATION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
/// Code of the vital-signs category.
pub const VITAL_SIGNS: &str = "vital-signs";

/// LOINC codes of components that say how a vital was measured, and nothing else of the patient: the oxygen given while
/// saturation was read, and the method by which a blood pressure was.
pub const QUALIFIERS: [&str; 4] = ["3151-8", "3150-6", "3150-0", "8357-6"];

/// A vital sign with a scope of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vital {
    /// Heart rate.
    HeartRate,
    /// Respiratory rate.
    RespiratoryRate,
    /// Oxygen saturation.
    Spo2,
    /// Blood pressure panel, systolic, diastolic and mean.
    BloodPressure,
    /// Body temperature.
    BodyTemperature,
    /// Body weight.
    BodyWeight,
    /// Body height.
    BodyHeight,
    /// Body mass index.
    Bmi,
    /// Head circumference.
    HeadCircumference,
}

impl Vital {
    /// Every vital.
    pub const ALL: [Self; 9] = [
        Self::HeartRate,
        Self::RespiratoryRate,
        Self::Spo2,
        Self::BloodPressure,
        Self::BodyTemperature,
        Self::BodyWeight,
        Self::BodyHeight,
        Self::Bmi,
        Self::HeadCircumference,
    ];

    /// The name used in scopes (`vitals.heart_rate:read`) and in the `vital` column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeartRate => "heart_rate",
            Self::RespiratoryRate => "respiratory_rate",
            Self::Spo2 => "spo2",
            Self::BloodPressure => "blood_pressure",
            Self::BodyTemperature => "body_temperature",
            Self::BodyWeight => "body_weight",
            Self::BodyHeight => "body_height",
            Self::Bmi => "bmi",
            Self::HeadCircumference => "head_circumference",
        }
    }

    /// Its LOINC codes; the first is the one that stands for the vital in `code1`.
    pub const fn loinc(self) -> &'static [&'static str] {
        match self {
            Self::HeartRate => &["8867-4"],
            Self::RespiratoryRate => &["9279-1"],
            Self::Spo2 => &["2708-6", "59408-5"],
            Self::BloodPressure => &["85354-9", "8480-6", "8462-4", "8478-0"],
            Self::BodyTemperature => &["8310-5"],
            Self::BodyWeight => &["29463-7"],
            Self::BodyHeight => &["8302-2"],
            Self::Bmi => &["39156-5"],
            Self::HeadCircumference => &["9843-4"],
        }
    }

    /// The vital of this scope name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vital| vital.name() == name)
    }

    /// The vital that a LOINC code belongs to.
    pub fn of_loinc(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vital| vital.loinc().contains(&code))
    }
}

/// What kind of vital sign an Observation is; an Observation that is none has no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VitalClass {
    /// Of this vital alone.
    Alone(Vital),
    /// Codes of several vitals.
    Mixed,
    /// A vital sign by its category, of none of the named vitals.
    Other,
}

impl VitalClass {
    /// The text of the `vital` column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alone(vital) => vital.name(),
            Self::Mixed => "mixed",
            Self::Other => "other",
        }
    }
}
