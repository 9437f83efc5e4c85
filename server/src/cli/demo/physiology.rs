//! Makes the demo's data: two hospitals, twenty patients each, ninety days of vital signs that look like physiology.
//!
//! Heart rate, respiration, temperature and blood pressure follow the day (lowest in the early morning,
//! <https://pubmed.ncbi.nlm.nih.gov/16484622/>), each patient keeps to a baseline of their own, one has a fever and one
//! a night of low oxygen saturation. The same seed and the same end give the same bytes. Everything conforms to the R4
//! vital-signs profiles (<https://hl7.org/fhir/R4/observation-vitalsigns.html>). No patient here exists.

use std::fmt::Write as _;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};

mod body;
mod chance;
mod person;
#[cfg(test)]
mod tests;

use body::Moment;
use chance::Chance;
pub use person::Patient;

/// Days of vital signs before the end.
pub const DAYS: u64 = 90;
/// Patients of each hospital.
pub const PATIENTS: usize = 20;

/// Where the hospitals are, by their clocks.
const EAST: FixedOffset = FixedOffset::east_opt(3_600).expect("an hour is an offset");
const WEST: FixedOffset = FixedOffset::west_opt(5 * 3_600).expect("five hours are an offset");
/// The minute of the day at which patients are weighed: before the first round.
const BEFORE_BREAKFAST: i64 = 5 * 60 + 45;

/// A hospital of the demo: what to call its tenant, and who is in it.
#[derive(Clone, Debug)]
pub struct Hospital {
    /// Name of the tenant in addresses.
    pub tenant: &'static str,
    /// Its name for people.
    pub display: &'static str,
    /// Its patients, in order of their ids.
    pub patients: Vec<Patient>,
}

/// One Observation: its logical id, and the resource as JSON (with that id, without `meta`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The logical id.
    pub id: String,
    /// The resource.
    pub body: String,
}

/// What stands out in a patient's ninety days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Episode {
    /// Nothing.
    None,
    /// Five days of fever.
    Fever,
    /// A night in which oxygen saturation falls.
    DesaturationNight,
}

/// Makes both hospitals. `end` is the last moment that anything was measured, usually now.
pub fn hospitals(seed: u64, end: DateTime<Utc>) -> [Hospital; 2] {
    let hospital = |number: u64, tenant, display, zone| {
        let patients = (0..PATIENTS).map(|place| {
            let mut chance = Chance::new(seed ^ (number << 32) ^ (place as u64 + 1).wrapping_mul(0x9E37_79B9));
            // Both episodes are in the first hospital, so that one printed line can show each.
            let episode = match (number, place) {
                (1, 2) => Episode::Fever,
                (1, 6) => Episode::DesaturationNight,
                _ => Episode::None,
            };
            Patient::draw(&mut chance, tenant, place, zone, end, episode)
        });
        Hospital { tenant, display, patients: patients.collect() }
    };
    [hospital(1, "heron-valley", "Heron Valley Hospital", EAST), hospital(2, "lakeside", "Lakeside Clinic", WEST)]
}

impl Patient {
    /// The patient's Observations, oldest first, made one after another so that nobody has to hold them all.
    pub fn observations(&self) -> impl Iterator<Item = Observation> + '_ {
        let last = self.end.with_timezone(&self.zone).date_naive();
        let first = last.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(last);
        (0..DAYS).flat_map(move |day| self.day(day, first.checked_add_days(Days::new(day)).unwrap_or(last)))
    }

    /// Everything measured on one day, in order of time.
    fn day(&self, day: u64, date: NaiveDate) -> Vec<Observation> {
        let mut chance = Chance::new(self.seed.wrapping_add(day.wrapping_mul(0xA24B_AED4_963E_E407)));
        let mut made = Vec::with_capacity(20);
        if day == 0 {
            let height = format!("{:.1}", self.height_cm);
            self.single(&mut made, &HEIGHT, "height", 0, self.at(date, BEFORE_BREAKFAST - 5), &height);
        }
        if day.is_multiple_of(7) {
            let at = self.at(date, BEFORE_BREAKFAST);
            let kilograms = body::weight(self, day, &mut chance);
            let metres = self.height_cm / 100.0;
            self.single(&mut made, &WEIGHT, "weight", day, at, &format!("{kilograms:.1}"));
            self.single(&mut made, &BMI, "bmi", day, at, &format!("{:.1}", kilograms / (metres * metres)));
        }
        for (round, minute) in self.rounds(day, &mut chance).into_iter().enumerate() {
            let at = self.at(date, minute);
            if at > self.end.with_timezone(&self.zone) {
                break;
            }
            let moment = body::measure(self, day, minute, &mut chance);
            self.round(&mut made, day * 3 + round as u64, at, &moment);
        }
        made
    }

    /// The minutes of the day at which somebody came by: three rounds, on the bad night all of them in the night.
    fn rounds(&self, day: u64, chance: &mut Chance) -> [i64; 3] {
        let hours =
            if self.episode == Episode::DesaturationNight && day == body::BAD_NIGHT { [1, 3, 4] } else { [6, 13, 20] };
        hours.map(|hour| hour * 60 + chance.below(50))
    }

    fn round(&self, made: &mut Vec<Observation>, number: u64, at: DateTime<FixedOffset>, moment: &Moment) {
        self.single(made, &HEART_RATE, "hr", number, at, &moment.heart_rate.to_string());
        self.single(made, &RESPIRATORY_RATE, "rr", number, at, &moment.respiratory_rate.to_string());
        self.single(made, &OXYGEN_SATURATION, "spo2", number, at, &moment.spo2.to_string());
        self.single(made, &TEMPERATURE, "temp", number, at, &format!("{:.1}", moment.temperature));
        let mut body = self.head(&BLOOD_PRESSURE, "bp", number, at);
        write!(
            body,
            r#","component":[{{{},{}}},{{{},{}}}]}}"#,
            code(&SYSTOLIC),
            quantity(&SYSTOLIC, &moment.systolic.to_string()),
            code(&DIASTOLIC),
            quantity(&DIASTOLIC, &moment.diastolic.to_string()),
        )
        .expect("writing to a String does not fail");
        made.push(Observation { id: self.observation_id("bp", number), body });
    }

    fn single(
        &self,
        made: &mut Vec<Observation>,
        kind: &Kind,
        short: &str,
        number: u64,
        at: DateTime<FixedOffset>,
        value: &str,
    ) {
        let mut body = self.head(kind, short, number, at);
        body.push(',');
        body.push_str(&quantity(kind, value));
        body.push('}');
        made.push(Observation { id: self.observation_id(short, number), body });
    }

    fn head(&self, kind: &Kind, short: &str, number: u64, at: DateTime<FixedOffset>) -> String {
        let mut body = String::with_capacity(720);
        write!(
            body,
            r#"{{"resourceType":"Observation","id":"{}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],{},"subject":{{"reference":"Patient/{}"}},"effectiveDateTime":"{}""#,
            self.observation_id(short, number),
            code(kind),
            self.id,
            at.format("%Y-%m-%dT%H:%M:%S%:z"),
        )
        .expect("writing to a String does not fail");
        body
    }

    fn observation_id(&self, short: &str, number: u64) -> String {
        format!("{}-{short}-{number:03}", self.id)
    }

    /// A minute of a day on the clock of the patient's ward.
    fn at(&self, date: NaiveDate, minute: i64) -> DateTime<FixedOffset> {
        let local = date.and_time(NaiveTime::MIN) + TimeDelta::minutes(minute);
        (local - TimeDelta::seconds(i64::from(self.zone.local_minus_utc()))).and_utc().with_timezone(&self.zone)
    }
}

/// What is measured: LOINC codes with their names, and the unit as UCUM and for people.
struct Kind {
    text: &'static str,
    codings: &'static [(&'static str, &'static str)],
    unit: &'static str,
    ucum: &'static str,
}

const HEART_RATE: Kind =
    Kind { text: "Heart rate", codings: &[("8867-4", "Heart rate")], unit: "beats/minute", ucum: "/min" };
const RESPIRATORY_RATE: Kind =
    Kind { text: "Respiratory rate", codings: &[("9279-1", "Respiratory rate")], unit: "breaths/minute", ucum: "/min" };
const OXYGEN_SATURATION: Kind = Kind {
    text: "Oxygen saturation",
    codings: &[
        ("2708-6", "Oxygen saturation in Arterial blood"),
        ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
    ],
    unit: "%",
    ucum: "%",
};
const TEMPERATURE: Kind =
    Kind { text: "Body temperature", codings: &[("8310-5", "Body temperature")], unit: "°C", ucum: "Cel" };
const BLOOD_PRESSURE: Kind = Kind {
    text: "Blood pressure",
    codings: &[("85354-9", "Blood pressure panel with all children optional")],
    unit: "mmHg",
    ucum: "mm[Hg]",
};
const SYSTOLIC: Kind = Kind {
    text: "Systolic blood pressure",
    codings: &[("8480-6", "Systolic blood pressure")],
    unit: "mmHg",
    ucum: "mm[Hg]",
};
const DIASTOLIC: Kind = Kind {
    text: "Diastolic blood pressure",
    codings: &[("8462-4", "Diastolic blood pressure")],
    unit: "mmHg",
    ucum: "mm[Hg]",
};
const WEIGHT: Kind = Kind { text: "Body weight", codings: &[("29463-7", "Body weight")], unit: "kg", ucum: "kg" };
const HEIGHT: Kind = Kind { text: "Body height", codings: &[("8302-2", "Body height")], unit: "cm", ucum: "cm" };
const BMI: Kind = Kind {
    text: "Body mass index",
    codings: &[("39156-5", "Body mass index (BMI) [Ratio]")],
    unit: "kg/m2",
    ucum: "kg/m2",
};

fn code(kind: &Kind) -> String {
    let codings: Vec<String> = kind
        .codings
        .iter()
        .map(|(code, display)| format!(r#"{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}"#))
        .collect();
    format!(r#""code":{{"coding":[{}],"text":"{}"}}"#, codings.join(","), kind.text)
}

fn quantity(kind: &Kind, value: &str) -> String {
    format!(
        r#""valueQuantity":{{"value":{value},"unit":"{}","system":"http://unitsofmeasure.org","code":"{}"}}"#,
        kind.unit, kind.ucum
    )
}
