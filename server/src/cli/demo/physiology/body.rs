//! How a body behaves: the day's rhythm around a patient's own baseline, and what fever and bad nights do to it.

use std::f64::consts::TAU;

use super::{Episode, Patient, chance::Chance};

/// The day on which the fever begins, counted from the first.
pub(super) const FEVER_BEGINS: u64 = 58;
/// The day in whose night oxygen saturation falls.
pub(super) const BAD_NIGHT: u64 = 71;

/// Degrees above normal on each day of the fever: up, two days high, and away.
const FEVER: [f64; 5] = [1.1, 2.3, 2.6, 1.4, 0.5];

/// What one round of the ward measures.
pub(super) struct Moment {
    pub(super) heart_rate: u32,
    pub(super) respiratory_rate: u32,
    pub(super) spo2: u32,
    pub(super) temperature: f64,
    pub(super) systolic: u32,
    pub(super) diastolic: u32,
}

/// One round at a minute of a day.
pub(super) fn measure(patient: &Patient, day: u64, minute: i64, chance: &mut Chance) -> Moment {
    let rhythm = rhythm(minute);
    let fever = fever(patient, day, rhythm);
    let drop = saturation_drop(patient, day, minute, chance);
    // Ten beats and two to three breaths a minute for each degree; a body short of oxygen answers with both.
    let heart_rate = patient.heart_rate + 6.0 * rhythm + 10.0 * fever + 1.6 * drop + chance.around(3.0);
    let respiratory_rate = patient.respiratory_rate + 1.2 * rhythm + 2.4 * fever + 0.5 * drop + chance.around(0.9);
    let spo2 = patient.spo2 - drop - 0.6 * fever.min(2.0) + chance.around(0.5);
    let temperature = 36.7 + patient.temperature + 0.35 * rhythm + fever + chance.around(0.1);
    // A dip of ten to fifteen per cent in the night, less of it where the pressure is high.
    let systolic = patient.systolic + 8.0 * rhythm - 2.0 * fever + chance.around(4.0);
    let diastolic = (patient.diastolic + 5.0 * rhythm - 1.5 * fever + chance.around(3.0)).min(systolic - 20.0);
    Moment {
        heart_rate: whole(heart_rate, 38.0, 190.0),
        respiratory_rate: whole(respiratory_rate, 8.0, 40.0),
        spo2: whole(spo2, 70.0, 100.0),
        temperature: temperature.clamp(35.0, 41.5),
        systolic: whole(systolic, 80.0, 220.0),
        diastolic: whole(diastolic, 40.0, 130.0),
    }
}

/// The weight on a day: a slow drift and what the last meals weigh.
pub(super) fn weight(patient: &Patient, day: u64, chance: &mut Chance) -> f64 {
    let weeks = f64::from(u32::try_from(day / 7).unwrap_or(0));
    patient.weight_kg + patient.weekly_gain_kg * weeks + chance.around(0.3)
}

/// From -1 at four in the morning to 1 at four in the afternoon.
fn rhythm(minute: i64) -> f64 {
    let minute = f64::from(i32::try_from(minute).unwrap_or(0));
    -((minute - 240.0) / 1_440.0 * TAU).cos()
}

/// Degrees that a fever adds: highest in the evening.
fn fever(patient: &Patient, day: u64, rhythm: f64) -> f64 {
    if patient.episode != Episode::Fever {
        return 0.0;
    }
    let on_day = day.checked_sub(FEVER_BEGINS).and_then(|since| FEVER.get(usize::try_from(since).ok()?));
    on_day.map_or(0.0, |degrees| degrees + 0.3 * rhythm)
}

/// Points of saturation that are missing in the bad night.
fn saturation_drop(patient: &Patient, day: u64, minute: i64, chance: &mut Chance) -> f64 {
    let bad = patient.episode == Episode::DesaturationNight && day == BAD_NIGHT && minute < 6 * 60;
    if bad { chance.between(9.0, 13.0) } else { 0.0 }
}

/// The nearest whole number within what a monitor shows.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to small positive numbers")]
fn whole(value: f64, low: f64, high: f64) -> u32 {
    value.clamp(low, high).round() as u32
}
