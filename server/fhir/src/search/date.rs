//! Date values with their prefixes (<https://hl7.org/fhir/R4/search.html#prefix>).

use super::Refused;
use crate::temporal::{self, Range};

/// A date value: how the resource's range must lie to the range given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTest {
    /// How.
    pub prefix: Prefix,
    /// The range of the value.
    pub range: Range,
}

/// A comparison. *Value* is the range in the search, *target* that of the resource; both count to the millisecond, and
/// a target that is [`Range::ABSENT`] meets none of them, `ne` neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `eq` or nothing: the value contains the whole target.
    Eq,
    /// `ne`: the value does not contain the whole target.
    Ne,
    /// `gt`: some of the target lies after the value.
    Gt,
    /// `lt`: some of the target lies before the value.
    Lt,
    /// `ge`: some of the target lies after the value, or the value contains the whole target.
    Ge,
    /// `le`: some of the target lies before the value, or the value contains the whole target.
    Le,
    /// `sa`: all of the target lies after the value.
    Sa,
    /// `eb`: all of the target lies before the value.
    Eb,
}

impl Prefix {
    /// Takes the prefix from a value.
    pub(super) fn split(text: &str) -> (Self, &str) {
        match text.split_at_checked(2) {
            Some(("eq", rest)) => (Self::Eq, rest),
            Some(("ne", rest)) => (Self::Ne, rest),
            Some(("gt", rest)) => (Self::Gt, rest),
            Some(("lt", rest)) => (Self::Lt, rest),
            Some(("ge", rest)) => (Self::Ge, rest),
            Some(("le", rest)) => (Self::Le, rest),
            Some(("sa", rest)) => (Self::Sa, rest),
            Some(("eb", rest)) => (Self::Eb, rest),
            _ => (Self::Eq, text),
        }
    }
}

impl DateTest {
    /// Whether a resource with these bounds is found. The SQL of the store says the same.
    pub const fn admits(self, target: Range) -> bool {
        let value = self.range;
        !target.is_absent()
            && match self.prefix {
                Prefix::Eq => value.contains(target),
                Prefix::Ne => !value.contains(target),
                Prefix::Gt => target.high > value.high,
                Prefix::Lt => target.low < value.low,
                Prefix::Ge => target.high > value.high || value.contains(target),
                Prefix::Le => target.low < value.low || value.contains(target),
                Prefix::Sa => target.low > value.high,
                Prefix::Eb => target.high < value.low,
            }
    }

    /// Reads a value with its prefix.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let (prefix, date) = Prefix::split(text);
        if date.starts_with("ap") {
            return Err(Refused::NotSupported("the prefix ap is not supported"));
        }
        let range = temporal::search_date(date).ok_or(Refused::Invalid(
            "the value is not a date: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.fff]] with Z or an offset, \
             whose plus sign is written %2B, after eq, ne, gt, lt, ge, le, sa, eb or nothing",
        ))?;
        Ok(Self { prefix, range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets around the value 2026-03: their bounds, and whether eq ne gt lt ge le sa eb find them.
    #[test]
    fn prefixes_compare_ranges() {
        let (open_low, open_high) = (Range::OPEN_LOW, Range::OPEN_HIGH);
        let day = |text| temporal::date_time(text).expect("a test's own date");
        let value = day("2026-03");
        let cases = [
            ("within", day("2026-03-10"), "eq ge le"),
            ("the same", value, "eq ge le"),
            ("its first millisecond", Range::at(value.low), "eq ge le"),
            ("its last millisecond", Range::at(value.high), "eq ge le"),
            ("just before", Range::at(value.low - 1), "ne lt le eb"),
            ("just after", Range::at(value.high + 1), "ne gt ge sa"),
            ("before", day("2025"), "ne lt le eb"),
            ("after", day("2027"), "ne gt ge sa"),
            ("all around", day("2026"), "ne gt lt ge le"),
            ("over its start", Range { low: value.low - 5, high: value.low + 5 }, "ne lt le"),
            ("over its end", Range { low: value.high - 5, high: value.high + 5 }, "ne gt ge"),
            ("from its start on", Range { low: value.low, high: value.high + 1 }, "ne gt ge"),
            ("up to its end", Range { low: value.low - 1, high: value.high }, "ne lt le"),
            ("open end from within", Range { low: value.low + 5, high: open_high }, "ne gt ge"),
            ("open end from before", Range { low: value.low - 5, high: open_high }, "ne gt lt ge le"),
            ("open start to within", Range { low: open_low, high: value.low + 5 }, "ne lt le"),
            ("open start to before", Range { low: open_low, high: value.low - 5 }, "ne lt le eb"),
            ("absent", Range::ABSENT, ""),
        ];
        for (target, bounds, found_by) in cases {
            for prefix in ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"] {
                let test = DateTest::read(&format!("{prefix}2026-03")).expect("a date test");
                let expected = found_by.split(' ').any(|name| name == prefix);
                assert_eq!(test.admits(bounds), expected, "{prefix}: {target}");
            }
        }
    }
}
