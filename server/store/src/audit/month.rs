//! Months, as the trail is parted by them.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};

/// A month of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(NaiveDate);

/// The text is no month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a month as YYYY-MM, such as 2026-09")]
pub struct NotAMonth;

impl Month {
    /// The month that a time lies in.
    pub fn of(time: DateTime<Utc>) -> Self {
        Self(time.date_naive().with_day(1).unwrap_or_default())
    }

    /// Its first instant.
    pub fn begin(self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    /// The first instant after it.
    pub fn end(self) -> DateTime<Utc> {
        self.next().begin()
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    /// The month before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.checked_sub_months(Months::new(1)).unwrap_or(self.0))
    }

    /// The name of its partition.
    pub(super) fn partition(self) -> String {
        format!("record_{:04}_{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let is_plain = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d");
        day.ok().filter(|_| is_plain).map(Self).ok_or(NotAMonth)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_and_counted() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.partition()), ("2026-12".to_owned(), "record_2026_12".to_owned()));
        assert_eq!(month.end().to_rfc3339(), "2027-01-01T00:00:00+00:00");
        assert_eq!(month.next().before(), month);
        assert_eq!(Month::of(month.end()), month.next());
        for bad in ["", "2026", "2026-13", "2026-1", "2026-12-01", "26-12", "+026-12"] {
            assert_eq!(bad.parse::<Month>(), Err(NotAMonth), "{bad}");
        }
    }
}
