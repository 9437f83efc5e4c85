//! A measured value: a number with a unit of UCUM.

use vitals_fhir::{json::Value, outcome::IssueCode};

use crate::{
    UCUM,
    place::{Issues, Place},
    profile::Profile,
};

/// Value, unit, system and code are there, the system is UCUM's, and the code one of `units`.
pub(super) fn check(quantity: Value<'_>, units: &[&str], title: &str, place: &Place<'_>, issues: &mut Issues) {
    let mut seen = [false; NEEDED.len()];
    for (key, _) in quantity.members() {
        // An extension in the place of a value fills a cardinality.
        let name = key.strip_prefix('_').unwrap_or(&key);
        if let Some(at) = NEEDED.iter().position(|needed| *needed == name) {
            seen[at] = true;
        }
    }
    // A code without a system breaks qty-3, which has been said already.
    seen[SYSTEM] |= seen[CODE];
    for (name, _) in NEEDED.iter().zip(seen).filter(|(_, seen)| !seen) {
        let advice = match *name {
            "system" => format!(": add {UCUM}"),
            "code" => format!(": add {}", one_of(units)),
            _ => String::new(),
        };
        issues.add(IssueCode::Required, &place.child(name), format!("{title}: {name} is required{advice}"));
    }
    unit(quantity, units, title, place, issues);
}

const NEEDED: [&str; 4] = ["value", "unit", "system", "code"];
const SYSTEM: usize = 2;
const CODE: usize = 3;

/// System and code, where they are there, are UCUM's and one of `units`.
pub(super) fn unit(quantity: Value<'_>, units: &[&str], title: &str, place: &Place<'_>, issues: &mut Issues) {
    let text = |name| quantity.get(name).and_then(Value::string);
    if text("system").is_some_and(|system| system != UCUM) {
        let message = format!("{title}: the unit is of another system: use {UCUM}");
        issues.add(IssueCode::CodeInvalid, &place.child("system"), message);
    }
    if text("code").is_some_and(|code| !units.contains(&&*code)) {
        let message = format!("{title}: this unit is not allowed: use {} of UCUM", one_of(units));
        issues.add(IssueCode::CodeInvalid, &place.child("code"), message);
    }
}

/// The number is one that a measurement can have at all.
pub(super) fn possible(
    quantity: Value<'_>,
    loinc: Option<&str>,
    profile: &Profile,
    place: &Place<'_>,
    issues: &mut Issues,
) {
    let Some((limit, number)) = profile.limit(quantity, loinc) else { return };
    let (low, high) = limit.possible;
    if number < low || number > high {
        let message = format!("{}: cannot be less than {low} or more than {high} {}", profile.title, limit.unit);
        issues.add(IssueCode::BusinessRule, &place.child("value"), format!("{message}: correct the value or its unit"));
    }
}

fn one_of(units: &[&str]) -> String {
    units.join(" or ")
}
