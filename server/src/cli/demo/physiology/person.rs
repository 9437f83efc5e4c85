//! Who the patients are: names, birth dates, numbers, and the baseline each body keeps to.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Utc};

use super::{Episode, chance::Chance};

/// A patient of the demo.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The logical id.
    pub id: String,
    /// The resource as JSON, with that id, without `meta`.
    pub body: String,
    /// What stands out in these ninety days.
    pub episode: Episode,
    pub(super) seed: u64,
    pub(super) zone: FixedOffset,
    pub(super) end: DateTime<Utc>,
    pub(super) heart_rate: f64,
    pub(super) respiratory_rate: f64,
    pub(super) spo2: f64,
    /// Degrees above the usual 36.7.
    pub(super) temperature: f64,
    pub(super) systolic: f64,
    pub(super) diastolic: f64,
    pub(super) height_cm: f64,
    pub(super) weight_kg: f64,
    pub(super) weekly_gain_kg: f64,
}

#[derive(Clone, Copy)]
enum Gender {
    Female,
    Male,
}

const FAMILIES: [&str; 24] = [
    "Abara",
    "Bergström",
    "Castellano",
    "Duarte",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Haddad",
    "Ishikawa",
    "Janssen",
    "Kowalska",
    "Lindqvist",
    "Marchetti",
    "Nakagawa",
    "Okafor",
    "Petrova",
    "Quinn",
    "Rasmussen",
    "Sørensen",
    "Takahashi",
    "Ueda",
    "Vasquez",
    "Whitaker",
    "Zielinski",
];
const WOMEN: [&str; 16] = [
    "Amara", "Beatriz", "Chiara", "Dagny", "Elif", "Freya", "Greta", "Hana", "Ingrid", "Júlia", "Keiko", "Leila",
    "Maren", "Noor", "Olivia", "Renata",
];
const MEN: [&str; 16] = [
    "Anders", "Bruno", "Chidi", "Daniel", "Emil", "Farid", "Goran", "Hugo", "Ivan", "Joaquín", "Kenji", "Lars",
    "Mateo", "Niels", "Omar", "Rafael",
];
/// What stands before a patient's number, so that the demo can print it.
const NUMBER_SYSTEM: &str = "https://vitals.example";

impl Patient {
    /// Draws the patient at a place of a hospital.
    pub(super) fn draw(
        chance: &mut Chance,
        tenant: &str,
        place: usize,
        zone: FixedOffset,
        end: DateTime<Utc>,
        episode: Episode,
    ) -> Self {
        let gender = if chance.below(2) == 0 { Gender::Female } else { Gender::Male };
        // Steps that share no factor with the list: every patient of a hospital has a family name of their own.
        let family = FAMILIES[(place * 5 + tenant.len()) % FAMILIES.len()];
        let (given, word) = match gender {
            Gender::Female => (chance.one_of(&WOMEN), "female"),
            Gender::Male => (chance.one_of(&MEN), "male"),
        };
        let age = chance.between(19.0, 88.0);
        let born = birth_date(chance, age, end);
        let id = format!("{tenant}-p{:02}", place + 1);
        let number = 100_000 + chance.below(899_999);
        let body = format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"use":"usual","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}}]}},"system":"{NUMBER_SYSTEM}/{tenant}/mrn","value":"{number}"}}],"active":true,"name":[{{"use":"official","family":"{family}","given":["{given}"]}}],"gender":"{word}","birthDate":"{born}"}}"#
        );
        let height_cm = match gender {
            Gender::Female => 165.0,
            Gender::Male => 178.0,
        } + chance.around(6.0);
        let bmi = chance.between(19.5, 33.0);
        // Pressure rises with age and weight; about a third of such a group has too much of it.
        let systolic = 108.0 + 0.32 * age + 0.5 * (bmi - 22.0) + chance.around(6.0);
        // Now and then somebody with a chronic lung disease.
        let spo2 = if chance.below(10) == 0 { 93.0 } else { chance.between(96.5, 98.6) };
        Self {
            id,
            body,
            episode,
            seed: chance.next(),
            zone,
            end,
            heart_rate: 70.0 + 0.4 * (bmi - 24.0) + chance.around(6.0),
            respiratory_rate: chance.between(13.5, 17.0),
            spo2,
            temperature: chance.around(0.12),
            systolic,
            diastolic: 0.45 * systolic + 22.0 + chance.around(3.0),
            height_cm,
            weight_kg: bmi * (height_cm / 100.0).powi(2),
            weekly_gain_kg: chance.around(0.12),
        }
    }
}

/// A birth date about `age` years before the end.
fn birth_date(chance: &mut Chance, age: f64, end: DateTime<Utc>) -> NaiveDate {
    #[allow(clippy::cast_possible_truncation, reason = "an age is a small number")]
    let year = end.year() - age.ceil() as i32;
    let day = 1 + u32::try_from(chance.below(365)).unwrap_or(0);
    NaiveDate::from_yo_opt(year, day).unwrap_or(NaiveDate::MIN)
}
