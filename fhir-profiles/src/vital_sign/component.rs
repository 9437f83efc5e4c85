//! The components of a vital sign: systolic and diastolic pressure above all.

use vitals_fhir::{
    json::{Kind, Value},
    outcome::IssueCode,
    vital::LOINC,
};

use crate::{
    place::{Issues, Place},
    profile::{AnyOf, Component, Profile, ProfileSet, TABLE},
    rule::codings,
};

use super::quantity;

/// Checks each component against the profiles that apply, and whether the required ones are there.
pub(super) fn check(root: Value<'_>, set: ProfileSet, place: &Place<'_>, issues: &mut Issues) {
    let place = place.child("component");
    let mut seen = 0_u64;
    for (index, component) in root.get("component").into_iter().flat_map(Value::items).enumerate() {
        if issues.is_full() {
            return;
        }
        let place = place.at(index);
        for any in TABLE.each(set).flat_map(|profile| &profile.component_any) {
            any_of(component, any, &place, issues);
        }
        match rule_of(component, set) {
            Some((profile, rule)) => {
                if seen & rule.bit != 0 {
                    let message = format!("{}: {} stands once: remove this component", profile.title, rule.display);
                    issues.add(IssueCode::BusinessRule, &place, message);
                }
                seen |= rule.bit;
                measured(component, profile, rule, &place, issues);
            }
            None => other(component, set, &place, issues),
        }
    }
    for profile in TABLE.each(set) {
        for rule in profile.components.iter().filter(|rule| rule.required && seen & rule.bit == 0) {
            let message = format!("{}: add a component with LOINC {} ({})", profile.title, rule.loinc, rule.display);
            issues.add(IssueCode::Required, &place, message);
        }
    }
}

/// What the profiles of a set say about a component with these codes.
pub(crate) fn rule_of(component: Value<'_>, set: ProfileSet) -> Option<(&'static Profile, &'static Component)> {
    let mut all = component.get("code").into_iter().flat_map(codings).filter(|(system, _)| system == LOINC);
    all.find_map(|(_, code)| {
        let mut rules = TABLE.each(set).flat_map(|profile| profile.components.iter().map(move |rule| (profile, rule)));
        rules.find(|(_, rule)| rule.loinc == code)
    })
}

fn any_of(component: Value<'_>, any: &AnyOf, place: &Place<'_>, issues: &mut Issues) {
    let has = component.members().any(|(key, _)| {
        let name = key.strip_prefix('_').unwrap_or(&key);
        any.elements.split(' ').any(|element| match element.strip_suffix("[x]") {
            Some(stem) => name.starts_with(stem),
            None => name == element,
        })
    });
    if !has {
        let first = any.elements.split(' ').next().unwrap_or_default();
        issues.broken(any.key, &place.child(first), any.sentence);
    }
}

/// A component that the profile names: its value is a Quantity in its own unit.
fn measured(component: Value<'_>, profile: &Profile, rule: &Component, place: &Place<'_>, issues: &mut Issues) {
    for (key, value) in component.members() {
        let name = key.strip_prefix('_').unwrap_or(&key);
        if name == "valueQuantity" {
            if value.kind() == Kind::Object {
                let place = place.child("valueQuantity");
                quantity::check(value, &rule.units, rule.display, &place, issues);
                quantity::possible(value, Some(rule.loinc), profile, &place, issues);
            }
        } else if name.starts_with("value") {
            let message = format!("{}: its value is a Quantity: use valueQuantity", rule.display);
            issues.add(IssueCode::BusinessRule, &place.child(name), message);
        }
    }
}

/// Any other component: its unit, where it has a code, is of the common ones. R4 binds it so (required); US Core 8
/// lets counts go without a code, and so do we.
fn other(component: Value<'_>, set: ProfileSet, place: &Place<'_>, issues: &mut Issues) {
    let Some(value) = component.get("valueQuantity") else { return };
    for profile in TABLE.each(set).filter(|profile| !profile.component_units.is_empty()) {
        quantity::unit(value, &profile.component_units, profile.title, &place.child("valueQuantity"), issues);
    }
}
