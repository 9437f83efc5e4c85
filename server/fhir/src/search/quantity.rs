//! Quantity values with their prefixes (<https://hl7.org/fhir/R4/search.html#quantity>).
//!
//! Equality is containment in what the digits written stand for: `5.4` is 5.35 up to, not including, 5.45. Every other
//! comparison takes the number as exact. A number in UCUM's units is compared in the unit it is stored in where that
//! is the same one, and in base units otherwise.

use super::{Prefix, Refused, value};
use crate::{
    quantity::{Canonical, Quantity, Scale, UCUM},
    token,
};

/// Most digits of a number, as in a resource.
const MOST_DIGITS: usize = 1_000;
/// Largest exponent of a number, as in a resource.
const LARGEST_EXPONENT: i32 = 400;

/// A quantity value: how the resource's bounds must lie to the number given, and in which unit.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantityTest {
    /// How.
    pub prefix: Prefix,
    /// The number.
    pub number: Bounds,
    /// Its unit.
    pub unit: Unit,
}

/// A number, and the range that its digits stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Where the range begins.
    pub low: f64,
    /// The number itself.
    pub value: f64,
    /// Where the range ends, not part of it.
    pub high: f64,
}

/// The unit of a quantity value.
#[derive(Clone, Debug, PartialEq)]
pub enum Unit {
    /// `5.4`: whatever it is.
    Any,
    /// `5.4||mg`: this code of any system, or this unit for people.
    Named(String),
    /// `5.4|system|mg`
    Coded {
        /// The form of [`token`] of system and code.
        form: String,
        /// The number in UCUM's base units, where it has them.
        canonical: Option<(Bounds, String)>,
    },
}

impl QuantityTest {
    /// Whether a resource with this quantity is found. The SQL of the store says the same.
    pub fn admits(&self, target: &Quantity) -> bool {
        let plain = || self.number.admit(self.prefix, target.low, target.high);
        match &self.unit {
            Unit::Any => plain(),
            Unit::Named(wanted) => {
                let code = target.unit.as_deref().and_then(|form| form.split_once('|')).map(|(_, code)| code);
                (code == Some(wanted) || target.name.as_deref() == Some(wanted)) && plain()
            }
            Unit::Coded { form, canonical } => {
                if target.unit.as_deref() == Some(form) {
                    return plain();
                }
                match (canonical, &target.canonical) {
                    (Some((bounds, wanted)), Some(Canonical { low, high, unit })) => {
                        wanted == unit && bounds.admit(self.prefix, *low, *high)
                    }
                    _ => false,
                }
            }
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        const FORM: Refused =
            Refused::Invalid("the value is not a quantity: a number, number|system|code or number||code");
        let (prefix, rest) = Prefix::split(text);
        if rest.starts_with("ap") {
            return Err(Refused::NotSupported("the prefix ap is not supported"));
        }
        let parts: Vec<&str> = value::parts(rest, b'|').collect();
        let number = Bounds::read(parts.first().copied().unwrap_or_default())?;
        let unit = match parts.as_slice() {
            [_] => Unit::Any,
            [_, system, code] => {
                let (system, code) = (value::unescape(system)?, value::unescape(code)?);
                if code.is_empty() {
                    return Err(FORM);
                }
                if system.is_empty() { Unit::Named(code) } else { Self::coded(number, &system, &code) }
            }
            _ => return Err(FORM),
        };
        Ok(Self { prefix, number, unit })
    }

    fn coded(number: Bounds, system: &str, code: &str) -> Unit {
        let scale = if system == UCUM { Scale::of(code) } else { None };
        let canonical = scale.and_then(|scale| {
            let (low, high) = (scale.apply(number.low)?, scale.apply(number.high)?);
            Some((Bounds { low, value: scale.apply(number.value)?, high }, scale.unit))
        });
        Unit::Coded { form: token::coding(system, code), canonical }
    }
}

impl Bounds {
    /// Whether a target of these bounds meets the comparison. A range whose ends fall on one float still holds the
    /// number itself.
    pub fn admit(self, prefix: Prefix, low: f64, high: f64) -> bool {
        let contained = self.low <= low && (high < self.high || high <= self.value);
        match prefix {
            Prefix::Eq => contained,
            Prefix::Ne => !contained,
            Prefix::Gt => high > self.value,
            Prefix::Lt => low < self.value,
            Prefix::Ge => high >= self.value,
            Prefix::Le => low <= self.value,
            Prefix::Sa => low > self.value,
            Prefix::Eb => high < self.value,
        }
    }

    /// Reads a decimal. Its range is half a unit of its last digit to either side.
    fn read(text: &str) -> Result<Self, Refused> {
        Self::of(text).ok_or(Refused::Invalid(
            "the value does not begin with a number such as 5.4 or 5.40e1, after eq, ne, gt, lt, ge, le, sa, eb or \
             nothing",
        ))
    }

    fn of(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() + fraction.len() > MOST_DIGITS || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let last = exponent - i32::try_from(fraction.len()).ok()?;
        let float = |digits: &str, power: i32| format!("{digits}e{power}").parse::<f64>().ok();
        let value = float(&digits, last)?;
        let zero = digits.bytes().all(|byte| byte == b'0');
        if !value.is_finite() || (value == 0.0 && !zero) {
            return None;
        }
        let above = float(&format!("{digits}5"), last - 1)?;
        let below = if zero { -above } else { float(&format!("{}5", one_less(&digits)), last - 1)? };
        Some(if negative {
            Self { low: -above, value: -value, high: -below }
        } else {
            Self { low: below, value, high: above }
        })
    }
}

fn exponent_of(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // A plus sign that was not escaped arrives as a space, and is no number then.
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|exponent: &i32| exponent.abs() <= LARGEST_EXPONENT)
}

/// A whole number from 1 on, less one, in as many digits.
fn one_less(digits: &str) -> String {
    let mut less = digits.as_bytes().to_vec();
    for digit in less.iter_mut().rev() {
        if *digit == b'0' {
            *digit = b'9';
        } else {
            *digit -= 1;
            break;
        }
    }
    less.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> Option<(f64, f64, f64)> {
        Bounds::of(text).map(|bounds| (bounds.low, bounds.value, bounds.high))
    }

    #[test]
    fn digits_stand_for_ranges() {
        let cases = [
            ("100", (99.5, 100.0, 100.5)),
            ("100.00", (99.995, 100.0, 100.005)),
            ("5.4", (5.35, 5.4, 5.45)),
            ("5.40", (5.395, 5.4, 5.405)),
            ("5.40e-3", (5.395e-3, 5.4e-3, 5.405e-3)),
            ("1e2", (50.0, 100.0, 150.0)),
            ("1.0E+2", (95.0, 100.0, 105.0)),
            ("0", (-0.5, 0.0, 0.5)),
            ("-0.0", (-0.05, 0.0, 0.05)),
            ("-5.4", (-5.45, -5.4, -5.35)),
            ("1", (0.5, 1.0, 1.5)),
            ("10", (9.5, 10.0, 10.5)),
            ("007", (6.5, 7.0, 7.5)),
        ];
        for (text, expected) in cases {
            assert_eq!(bounds(text), Some(expected), "{text}");
        }
        let long = format!("5.{}", "4".repeat(999));
        let stored: f64 = long.parse().expect("a number");
        assert!(Bounds::of(&long).expect("a number").admit(Prefix::Eq, stored, stored));
    }

    /// X23
    #[test]
    fn what_is_no_quantity_is_refused() {
        let long = "1".repeat(1_001);
        let cases = [
            "",
            "gt",
            "gt1e400",
            "1e309",
            "1e-400",
            "1e401",
            "1e99999999999",
            "5.4||",
            "5.4|",
            "|||",
            "||",
            "|",
            "||mg",
            "5.4|mg",
            "5.4|http://unitsofmeasure.org|",
            "5.4|a|b|c",
            "5.",
            ".5",
            "5,4",
            "+5",
            " 5",
            "5 ",
            "0x10",
            "1e",
            "1e+",
            "e5",
            "NaN",
            "inf",
            "Infinity",
            "-",
            "--5",
            "gtgt5",
            "5.4.3",
            "1_000",
            "٣",
            "5.4||m\\g",
            "GT5",
            &long,
        ];
        for text in cases {
            assert!(matches!(QuantityTest::read(text), Err(Refused::Invalid(_))), "{text}");
        }
        assert!(matches!(QuantityTest::read("ap5"), Err(Refused::NotSupported(_))));
    }

    /// Targets around 5.4: their bounds, and whether eq ne gt lt ge le sa eb find them.
    #[test]
    fn prefixes_compare_bounds() {
        let (no_low, no_high) = (f64::NEG_INFINITY, f64::INFINITY);
        let cases = [
            (5.4, 5.4, "eq ge le"),
            (5.35, 5.35, "eq lt le eb"),
            (5.449, 5.449, "eq gt ge sa"),
            (5.45, 5.45, "ne gt ge sa"),
            (5.34, 5.34, "ne lt le eb"),
            (5.36, 5.44, "eq gt lt ge le"),
            (5.0, 6.0, "ne gt lt ge le"),
            (no_low, 5.4, "ne lt ge le"),
            (no_low, 5.0, "ne lt le eb"),
            (5.4, no_high, "ne gt ge le"),
            (no_low, no_high, "ne gt lt ge le"),
        ];
        for (low, high, found_by) in cases {
            for prefix in ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"] {
                let test = QuantityTest::read(&format!("{prefix}5.4")).expect("a test");
                let expected = found_by.split(' ').any(|name| name == prefix);
                let target = Quantity { low, high, unit: None, name: None, canonical: None };
                assert_eq!(test.admits(&target), expected, "{prefix}: {low} to {high}");
            }
        }
    }

    #[test]
    fn units_are_compared_as_they_are_or_in_base_units() {
        let stored = |value: &str, unit: &str, code: &str| {
            let text = format!(r#"{{"value":{value},"unit":"{unit}","system":"{UCUM}","code":"{code}"}}"#);
            let document = crate::json::parse(text.as_bytes()).expect("a test's own JSON");
            Quantity::of(document.root()).expect("a quantity")
        };
        let fever = stored("98.6", "°F", "[degF]");
        let cases = [
            ("37|http://unitsofmeasure.org|Cel", true),
            ("ge37|http://unitsofmeasure.org|Cel", true),
            ("gt37|http://unitsofmeasure.org|Cel", false),
            ("37.00|http://unitsofmeasure.org|Cel", true),
            ("36.9|http://unitsofmeasure.org|Cel", false),
            ("310.15|http://unitsofmeasure.org|K", true),
            ("98.6|http://unitsofmeasure.org|[degF]", true),
            ("98.6||[degF]", true),
            ("98.6||°F", true),
            ("98.6||Cel", false),
            ("98.6", true),
            ("37", false),
            ("98.6|http://example.org|[degF]", false),
            ("98.6|http://unitsofmeasure.org|kg", false),
            ("ne98.6|http://unitsofmeasure.org|kg", false),
            ("ne36|http://unitsofmeasure.org|Cel", true),
        ];
        for (text, expected) in cases {
            assert_eq!(QuantityTest::read(text).expect(text).admits(&fever), expected, "{text}");
        }
        // In the unit it is stored in, the number is exact to the float.
        let weight = stored("5.4000000000001", "mg", "mg");
        assert!(QuantityTest::read("gt5.4|http://unitsofmeasure.org|mg").expect("a test").admits(&weight));
    }
}
