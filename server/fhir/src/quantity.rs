//! Quantities as searches compare them (<https://hl7.org/fhir/R4/search.html#quantity>): bounds of a number, its unit,
//! and the same bounds in UCUM's base units, so that 98.6 [degF] and 37 Cel are one value.
//!
//! Conversion is decimal, to 28 digits, before it becomes a float: what is equal on paper is equal here.

use std::sync::LazyLock;

use octofhir_ucum::Number;

use crate::{json::Value, token};

/// System URI of UCUM.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Longest unit that is kept and looked at, in bytes; longer ones name nothing that is measured.
pub const LONGEST_UNIT: usize = 255;

/// A quantity that a resource holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The least it can be; infinite for `< 5`.
    pub low: f64,
    /// The most it can be.
    pub high: f64,
    /// The form of [`token`] of the unit's system and code.
    pub unit: Option<String>,
    /// The unit for people, where it is written otherwise than the code.
    pub name: Option<String>,
    /// The same in UCUM's base units, where the unit is UCUM's and has such.
    pub canonical: Option<Canonical>,
}

/// Bounds in UCUM's base units.
#[derive(Clone, Debug, PartialEq)]
pub struct Canonical {
    /// The least it can be.
    pub low: f64,
    /// The most it can be.
    pub high: f64,
    /// The product of base units: `K`, `g.m-1.s-2`.
    pub unit: String,
}

/// What vital signs are measured in, mostly. These are evaluated once and not for every value: reading a body takes 5.0 µs
/// so, 7.0 otherwise.
const COMMON: [&str; 12] =
    ["/min", "%", "Cel", "mm[Hg]", "kg", "cm", "kg/m2", "[degF]", "[lb_av]", "[in_i]", "g", "{beats}/min"];

static SCALES: LazyLock<[Option<Scale>; COMMON.len()]> = LazyLock::new(|| COMMON.map(Scale::evaluated));

/// How a unit becomes a product of UCUM's base units.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    factor: Number,
    offset: Number,
    pub(crate) unit: String,
}

impl Scale {
    /// The scale of a UCUM code; none for what is no unit or, as a logarithm, has no linear one.
    pub(crate) fn of(code: &str) -> Option<Self> {
        match COMMON.iter().position(|common| *common == code) {
            Some(place) => SCALES[place].clone(),
            None if code.len() > LONGEST_UNIT => None,
            None => Self::evaluated(code),
        }
    }

    fn evaluated(code: &str) -> Option<Self> {
        // Evaluated first, since the other function would search for corrections to what is no unit.
        octofhir_ucum::evaluate(&octofhir_ucum::parse_expression(code).ok()?).ok()?;
        let canonical = octofhir_ucum::get_canonical_units(code).ok()?;
        Some(Self { factor: canonical.factor, offset: canonical.offset, unit: canonical.unit })
    }

    /// A value in base units; infinite where it has no end.
    pub(crate) fn apply(&self, value: f64) -> Option<f64> {
        if value.is_infinite() {
            return Some(value);
        }
        let number = Number::parse(&format!("{value:e}"))?;
        Some(number.checked_mul(self.factor)?.checked_add(self.offset)?.to_f64())
    }
}

impl Quantity {
    /// A FHIR Quantity, if it has a value.
    pub(crate) fn of(quantity: Value<'_>) -> Option<Self> {
        let value: f64 = quantity.get("value").and_then(Value::number)?.parse().ok()?;
        let comparator = quantity.get("comparator").and_then(Value::string);
        let (low, high) = match comparator.as_deref() {
            Some("<") => (f64::NEG_INFINITY, value.next_down()),
            Some("<=") => (f64::NEG_INFINITY, value),
            Some(">") => (value.next_up(), f64::INFINITY),
            Some(">=") => (value, f64::INFINITY),
            _ => (value, value),
        };
        Some(Self::between(low, high, quantity))
    }

    /// A FHIR SampledData: the bounds of its samples, as R4 wants them searched.
    pub(crate) fn of_samples(samples: Value<'_>) -> Option<Self> {
        let number = |name| samples.get(name).and_then(Value::number).and_then(|text| text.parse::<f64>().ok());
        let origin = samples.get("origin")?;
        let zero: f64 = origin.get("value").and_then(Value::number)?.parse().ok()?;
        let factor = number("factor").unwrap_or(1.0);
        let data = samples.get("data").and_then(Value::string)?;
        let values = data.split_ascii_whitespace().filter_map(|sample| match sample {
            "L" => number("lowerLimit"),
            "U" => number("upperLimit"),
            sample => sample.parse::<f64>().ok().filter(|sample| sample.is_finite()).map(|s| zero + s * factor),
        });
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        (low <= high).then(|| Self::between(low, high, origin))
    }

    fn between(low: f64, high: f64, unit: Value<'_>) -> Self {
        let text = |name| unit.get(name).and_then(Value::string).filter(|text| text.len() <= LONGEST_UNIT);
        let (system, code, name) = (text("system"), text("code"), text("unit"));
        let canonical = code.as_deref().filter(|_| system.as_deref() == Some(UCUM)).and_then(Scale::of);
        let canonical = canonical.and_then(|scale| {
            let lowest = scale.apply(low)?;
            let highest = if low.to_bits() == high.to_bits() { lowest } else { scale.apply(high)? };
            Some(Canonical { low: lowest, high: highest, unit: scale.unit })
        });
        Self {
            low,
            high,
            name: name.filter(|name| Some(name) != code.as_ref()).map(std::borrow::Cow::into_owned),
            unit: code.map(|code| token::coding(system.as_deref().unwrap_or_default(), &code)),
            canonical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn of(text: &str) -> Option<Quantity> {
        Quantity::of(json::parse(text.as_bytes()).expect("a test's own JSON").root())
    }

    fn ucum(value: &str, code: &str) -> Option<(f64, String)> {
        let text = format!(r#"{{"value":{value},"system":"{UCUM}","code":"{code}"}}"#);
        of(&text)?.canonical.map(|canonical| (canonical.low, canonical.unit))
    }

    #[test]
    fn what_is_equal_on_paper_is_equal_in_base_units() {
        let cases = [
            ("98.6", "[degF]", "37", "Cel"),
            ("150", "[lb_av]", "68.0388555", "kg"),
            ("70", "[in_i]", "177.8", "cm"),
            ("72", "{beats}/min", "1.2", "Hz"),
            ("16", "kPa", "160", "hPa"),
            ("97", "%", "0.97", "1"),
            ("120.00", "mm[Hg]", "12", "cm[Hg]"),
            ("-40", "Cel", "-40", "[degF]"),
            ("1e3", "g", "1", "kg"),
        ];
        for (one, unit, other, its) in cases {
            assert!(ucum(one, unit).is_some(), "{one} {unit}");
            assert_eq!(ucum(one, unit), ucum(other, its), "{one} {unit}, {other} {its}");
        }
        for (value, code) in [("1", "xx"), ("7", "[pH]"), ("1", ""), ("1", "kg m"), ("1", &"m".repeat(300))] {
            assert_eq!(ucum(value, code), None, "{code}");
        }
    }

    #[test]
    fn common_units_are_units() {
        assert!(COMMON.into_iter().all(|code| Scale::of(code).is_some()));
    }

    #[test]
    fn a_quantity_has_bounds_and_units() {
        let both = of(r#"{"value":72,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}"#);
        let both = both.expect("a quantity");
        assert_eq!((both.low, both.high), (72.0, 72.0));
        assert_eq!((both.unit.as_deref(), both.name.as_deref()), (Some("~u|/min"), Some("beats/minute")));
        let same = of(r#"{"value":1,"unit":"kg","code":"kg"}"#).expect("a quantity");
        assert_eq!((same.unit.as_deref(), same.name, same.canonical), (Some("|kg"), None, None));
        let bounds = |comparator: &str| {
            let quantity = of(&format!(r#"{{"value":5,"comparator":"{comparator}"}}"#)).expect("a quantity");
            (quantity.low, quantity.high)
        };
        assert_eq!(bounds("<="), (f64::NEG_INFINITY, 5.0));
        assert_eq!(bounds(">="), (5.0, f64::INFINITY));
        assert!(bounds("<").1 < 5.0 && bounds(">").0 > 5.0);
        assert_eq!(of(r#"{"unit":"kg"}"#), None);
    }

    #[test]
    fn samples_have_the_bounds_of_their_values() {
        let bounds = |rest: &str| {
            let text = format!(r#"{{"origin":{{"value":100,"code":"mV"}},"period":10,"dimensions":1{rest}}}"#);
            let document = json::parse(text.as_bytes()).expect("a test's own JSON");
            Quantity::of_samples(document.root()).map(|quantity| (quantity.low, quantity.high))
        };
        assert_eq!(bounds(r#","data":"1 -2 E 5""#), Some((98.0, 105.0)));
        assert_eq!(bounds(r#","factor":2,"lowerLimit":90,"upperLimit":300,"data":"1 L U""#), Some((90.0, 300.0)));
        assert_eq!(bounds(r#","data":"E""#), None);
        assert_eq!(bounds(""), None);
    }
}
