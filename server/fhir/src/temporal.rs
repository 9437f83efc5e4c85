//! FHIR dates as ranges of milliseconds (<https://hl7.org/fhir/R4/datatypes.html#dateTime>).
//!
//! A date stands for all the time it may mean: `2026-03` is every millisecond of that March. One without a zone is
//! UTC, since every reader must come to the same range whatever the server's own zone is.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};

/// From the first to the last millisecond since 1970-01-01T00:00:00Z, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first millisecond.
    pub low: i64,
    /// The last millisecond.
    pub high: i64,
}

impl Range {
    /// No date at all: 4713-01-01 BC, 38 days after the first timestamp that PostgreSQL knows. It sorts before every
    /// date.
    pub const ABSENT: Self = Self::at(-210_863_520_000_000);
    /// The start of a Period that gives none: 4000-01-01 BC, before any date FHIR can write and after [`Self::ABSENT`].
    pub const OPEN_LOW: i64 = -188_363_404_800_000;
    /// The end of a Period that gives none: 12000-01-01, after any date FHIR can write.
    pub const OPEN_HIGH: i64 = 316_516_204_800_000;

    /// One millisecond.
    pub const fn at(millis: i64) -> Self {
        Self { low: millis, high: millis }
    }

    /// Whether there is no date.
    pub const fn is_absent(self) -> bool {
        self.low == Self::ABSENT.low
    }

    /// Whether all of `inner` lies within this range.
    pub const fn contains(self, inner: Self) -> bool {
        self.low <= inner.low && inner.high <= self.high
    }
}

/// The range of a FHIR `date`, `dateTime` or `instant` as elements hold it: seconds and zone are demanded once there
/// is an hour, days must exist, there is no year 0000 and no offset beyond ±14:00.
///
/// A fraction of a second is cut to milliseconds and means that one millisecond; the leap second `:60` is the last
/// millisecond of its minute.
pub fn date_time(text: &str) -> Option<Range> {
    parse(text, Form::Element)
}

/// The range of a date in a search value (<https://hl7.org/fhir/R4/search.html#date>), which beside the forms of
/// [`date_time`] may leave out the seconds, and the zone (then UTC).
pub fn search_date(text: &str) -> Option<Range> {
    parse(text, Form::Parameter)
}

/// The instant as `meta.lastUpdated` has it: `2026-11-22T20:55:14.123Z`. Instants outside of the years 0001 to 9999,
/// which FHIR cannot write, become the nearest one that it can.
pub fn instant(millis: i64) -> String {
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_300_799_999;
    let time = DateTime::from_timestamp_millis(millis.clamp(FIRST, LAST)).unwrap_or_default();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.timestamp_subsec_millis()
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Element,
    Parameter,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn parse(text: &str, form: Form) -> Option<Range> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4, 1..=9999)?;
    if rest.is_empty() {
        return Some(Range { low: midnight(year, 1, 1)?, high: midnight(year + 1, 1, 1)? - 1 });
    }
    rest.mark(b'-')?;
    let month = rest.number(2, 1..=12)?;
    if rest.is_empty() {
        let (year_after, month_after) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        return Some(Range { low: midnight(year, month, 1)?, high: midnight(year_after, month_after, 1)? - 1 });
    }
    rest.mark(b'-')?;
    let day = midnight(year, month, rest.number(2, 1..=31)?)?;
    if rest.is_empty() {
        return Some(Range { low: day, high: day + DAY - 1 });
    }
    rest.mark(b'T')?;
    let local = time(&mut rest, form)?;
    let offset = zone(&mut rest, form)?;
    rest.is_empty().then_some(Range { low: day + local.low - offset, high: day + local.high - offset })
}

/// The range since midnight.
fn time(rest: &mut Rest<'_>, form: Form) -> Option<Range> {
    let hour = i64::from(rest.number(2, 0..=23)?);
    rest.mark(b':')?;
    let minute = hour * HOUR + i64::from(rest.number(2, 0..=59)?) * MINUTE;
    if rest.mark(b':').is_none() {
        return (form == Form::Parameter).then_some(Range { low: minute, high: minute + MINUTE - 1 });
    }
    let second = i64::from(rest.number(2, 0..=60)?);
    let fraction = if rest.mark(b'.').is_some() { Some(rest.millis()?) } else { None };
    Some(match (second, fraction) {
        (60, _) => Range::at(minute + MINUTE - 1),
        (second, Some(millis)) => Range::at(minute + second * SECOND + millis),
        (second, None) => Range { low: minute + second * SECOND, high: minute + (second + 1) * SECOND - 1 },
    })
}

/// The offset from UTC.
fn zone(rest: &mut Rest<'_>, form: Form) -> Option<i64> {
    if rest.mark(b'Z').is_some() || (rest.is_empty() && form == Form::Parameter) {
        return Some(0);
    }
    let sign = if rest.mark(b'+').is_some() {
        1
    } else {
        rest.mark(b'-')?;
        -1
    };
    let hours = rest.number(2, 0..=14)?;
    rest.mark(b':')?;
    let minutes = rest.number(2, if hours == 14 { 0..=0 } else { 0..=59 })?;
    Some(sign * (i64::from(hours) * HOUR + i64::from(minutes) * MINUTE))
}

/// The start of a day in UTC, if there is such a day.
fn midnight(year: u32, month: u32, day: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
}

/// What is still to be read.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn mark(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// A number of exactly `length` digits.
    fn number(&mut self, length: usize, allowed: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(length)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
        }
        self.0 = rest;
        allowed.contains(&number).then_some(number)
    }

    /// The digits of a fraction, at least one, cut to thousandths.
    fn millis(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let digit = |place: usize| digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        (length > 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
    }
}

#[cfg(test)]
mod tests;
