//! The vital-signs profiles as data: their LOINC codes, UCUM units and profile URLs.
//!
//! The facts stand in `data/*.tsv`, so that adding a code or a unit is a line there; they are compiled in and read
//! once. Sources: <https://hl7.org/fhir/R4/observation-vitalsigns.html> and US Core 8.0.0. The tests hold them equal
//! to [`Vital`], from which scopes are made, and to the published profiles where those are at hand.

use std::sync::LazyLock;

use vitals_fhir::vital::Vital;

#[cfg(test)]
mod tests;

/// System URI of UCUM, in which every vital sign is measured.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Profile that every vital sign follows.
pub const VITAL_SIGNS_PROFILE: &str = "http://hl7.org/fhir/StructureDefinition/vitalsigns";

/// A vital sign and its profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitalProfile {
    /// Which vital it is.
    pub vital: Vital,
    /// Its name for people.
    pub title: &'static str,
    /// Canonical URL of the FHIR R4 profile.
    pub fhir: &'static str,
    /// Canonical URL of the US Core profile.
    pub us_core: &'static str,
    /// UCUM codes that the R4 profile allows; the first is the one to write.
    pub units: Vec<&'static str>,
}

/// Where a code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On an Observation that has a value.
    Value,
    /// On an Observation that has components.
    Panel,
    /// On a component (or on an Observation of its own).
    Component,
}

/// A LOINC code of a vital sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VitalCode {
    /// The code.
    pub loinc: &'static str,
    /// The vital it belongs to.
    pub vital: Vital,
    /// Where it stands.
    pub place: Place,
    /// LOINC's display text.
    pub display: &'static str,
}

static VITALS: LazyLock<Vec<VitalProfile>> =
    LazyLock::new(|| rows(include_str!("../data/vitals.tsv")).map(vital).collect());
static CODES: LazyLock<Vec<VitalCode>> = LazyLock::new(|| rows(include_str!("../data/codes.tsv")).map(code).collect());

/// Every vital sign, in the order of [`Vital::ALL`].
pub fn vitals() -> &'static [VitalProfile] {
    &VITALS
}

/// Every LOINC code of a vital sign; those of one vital stand together, in the order of [`Vital::loinc`].
pub fn codes() -> &'static [VitalCode] {
    &CODES
}

/// The profiles of one vital sign.
pub fn profile(vital: Vital) -> &'static VitalProfile {
    // One row for each vital in the order of `Vital`, which a test holds.
    &VITALS[vital as usize]
}

fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        fields.try_into().expect("each row of a compiled-in table has all its fields, which the tests hold")
    })
}

fn named(name: &str) -> Vital {
    Vital::named(name).expect("the compiled-in tables name known vitals only, which the tests hold")
}

fn vital([name, title, fhir, us_core, units]: [&'static str; 5]) -> VitalProfile {
    VitalProfile { vital: named(name), title, fhir, us_core, units: units.split(' ').collect() }
}

fn code([loinc, name, place, display]: [&'static str; 4]) -> VitalCode {
    let place = match place {
        "panel" => Place::Panel,
        "component" => Place::Component,
        _ => Place::Value,
    };
    VitalCode { loinc, vital: named(name), place, display }
}
