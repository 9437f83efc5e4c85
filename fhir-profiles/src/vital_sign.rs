//! The vital-signs profiles (<https://hl7.org/fhir/R4/observation-vitalsigns.html>) over one Observation.

mod component;
mod quantity;

use vitals_fhir::{json::Value, outcome::IssueCode, vital::LOINC};

use crate::{
    place::{Issues, Place},
    profile::{Profile, ProfileSet, TABLE, ValueRule},
    rule::{coding, codings},
    types::TYPES,
};

pub(crate) use component::rule_of;

/// Finds what the profiles that apply to an Observation ask for and it does not have; those of `nominated` apply whatever
/// its code and category are.
pub(crate) fn check(root: Value<'_>, nominated: ProfileSet, place: &Place<'_>, issues: &mut Issues) {
    let by_code = by_code(root);
    for profile in TABLE.each(nominated & !by_code) {
        code(profile, place, issues);
    }
    let set = by_code | by_category(root) | nominated;
    if set == 0 {
        return;
    }
    let found = Found::of(root);
    for profile in TABLE.each(set) {
        category(root, profile, place, issues);
        codes(root, profile, place, issues);
        elements(root, profile, &found, place, issues);
        value(profile, &found, place, issues);
    }
    component::check(root, set, place, issues);
}

/// The profiles that apply to an Observation.
pub(crate) fn applying(root: Value<'_>) -> ProfileSet {
    by_code(root) | by_category(root)
}

fn by_code(root: Value<'_>) -> ProfileSet {
    let all = root.get("code").into_iter().flat_map(codings);
    all.filter(|(system, _)| system == LOINC).fold(0, |set, (_, code)| set | TABLE.of_code(&code))
}

fn by_category(root: Value<'_>) -> ProfileSet {
    let all = root.get("category").into_iter().flat_map(Value::items).flat_map(codings);
    all.fold(0, |set, (system, code)| set | TABLE.of_category(&system, &code))
}

/// What an Observation has, as slots of its type, and its value under the name it has.
struct Found<'d> {
    slots: u128,
    value: Option<(&'static str, Option<Value<'d>>)>,
}

impl<'d> Found<'d> {
    fn of(root: Value<'d>) -> Self {
        let kind = TYPES.get(TYPES.observation);
        let mut found = Self { slots: 0, value: None };
        for (key, value) in root.members() {
            let name = key.strip_prefix('_').unwrap_or(&key);
            let Some(element) = kind.find(name) else { continue };
            found.slots |= 1 << element.slot;
            if name.starts_with("value") {
                let own = (key.len() == name.len()).then_some(value);
                let before = found.value.and_then(|(_, value)| value);
                found.value = Some((&element.name, own.or(before)));
            }
        }
        found
    }
}

fn category(root: Value<'_>, profile: &Profile, place: &Place<'_>, issues: &mut Issues) {
    let Some((system, code)) = profile.category else { return };
    let place = place.child("category");
    let mut count = 0;
    for (index, concept) in root.get("category").into_iter().flat_map(Value::items).enumerate() {
        if codings(concept).any(|coding| coding.0 == system && coding.1 == code) {
            count += 1;
            if count > 1 {
                let message = format!("{}: the category {code} stands once: remove this one", profile.title);
                issues.add(IssueCode::BusinessRule, &place.at(index), message);
            }
        }
    }
    if count == 0 {
        let message = format!("the code makes this a vital sign: add the category {code} of {system}");
        issues.add(IssueCode::Required, &place, message);
    }
}

/// A profile that the code does not make apply has a code of its own, or none.
fn code(profile: &Profile, place: &Place<'_>, issues: &mut Issues) {
    if let Some(first) = profile.codes.first() {
        let message = format!("{}: add a coding with LOINC {} ({})", profile.title, first.loinc, first.display);
        issues.add(IssueCode::Required, &place.child("code").child("coding"), message);
    }
}

/// The profile's code stands once in `code`; where there are several, each of them.
fn codes(root: Value<'_>, profile: &Profile, place: &Place<'_>, issues: &mut Issues) {
    if profile.codes.is_empty() {
        return;
    }
    let mut seen = 0_u64;
    let all = root.get("code").and_then(|code| code.get("coding")).into_iter().flat_map(Value::items);
    for (index, item) in all.enumerate() {
        let Some((system, code)) = coding(item).filter(|(system, _)| system == LOINC) else { continue };
        let Some(at) = profile.codes.iter().position(|own| own.loinc == code && system == LOINC) else { continue };
        if seen & (1 << at) != 0 {
            let message = format!("{}: its LOINC code stands once: remove this coding", profile.title);
            issues.add(IssueCode::BusinessRule, &place.child("code").child("coding").at(index), message);
        }
        seen |= 1 << at;
    }
}

fn elements(root: Value<'_>, profile: &Profile, found: &Found<'_>, place: &Place<'_>, issues: &mut Issues) {
    for (bit, name) in &profile.required {
        if found.slots & bit == 0 {
            issues.add(
                IssueCode::Required,
                &place.child(name),
                format!("{}: {name} is required: add it", profile.title),
            );
        }
    }
    for choice in &profile.choices {
        for name in &choice.refused {
            if root.get(name).is_some() {
                let allowed = choice.allowed.replace(' ', " or ");
                let message = format!("{}: {} must be {allowed}: change its type", profile.title, choice.slot);
                issues.add(IssueCode::BusinessRule, &place.child(name), message);
            }
        }
    }
    for (name, key) in &profile.days {
        // Four digits of a year, two of a month, two of a day and what stands between them.
        if root.get(name).and_then(Value::string).is_some_and(|date| date.len() < "YYYY-MM-DD".len()) {
            issues.broken(key, &place.child(name), "the date must be known to the day: write YYYY-MM-DD or more");
        }
    }
    for any in &profile.any {
        if found.slots & any.bits == 0 {
            let first = any.elements.split(' ').next().unwrap_or_default();
            issues.broken(any.key, &place.child(first), any.sentence);
        }
    }
}

fn value(profile: &Profile, found: &Found<'_>, place: &Place<'_>, issues: &mut Issues) {
    let Some((name, value)) = found.value else { return };
    let place = place.child(name);
    match &profile.value {
        ValueRule::Free => {}
        ValueRule::None => {
            let message = format!("{}: has no value of its own but in its parts: remove it", profile.title);
            issues.add(IssueCode::BusinessRule, &place, message);
        }
        ValueRule::Quantity(_) if name != "valueQuantity" => {
            let message = format!("{}: its value is a Quantity: use valueQuantity", profile.title);
            issues.add(IssueCode::BusinessRule, &place, message);
        }
        ValueRule::Quantity(units) => {
            if let Some(value) = value {
                quantity::check(value, units, profile.title, &place, issues);
                quantity::possible(value, None, profile, &place, issues);
            }
        }
    }
}
