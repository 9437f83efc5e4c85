//! The invariants that are more than a line of `invariants.tsv`: per-1, rng-2, tim-9 and obs-7.

use std::{borrow::Cow, collections::HashSet};

use vitals_fhir::{json::Value, temporal};

use crate::place::{Issues, Place};

/// Codes of `when` that name a meal itself, which nothing can be counted from.
const MEALS: [&str; 4] = ["C", "CM", "CD", "CV"];

/// per-1: a period ends when it begins or later. Dates of different precision are compared as far as they are known.
pub(crate) fn period(period: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let range = |name| period.get(name).and_then(Value::string).and_then(|text| temporal::date_time(&text));
    if let (Some(start), Some(end)) = (range("start"), range("end"))
        && start.low > end.high
    {
        issues.broken("per-1", place, "a period must not end before it starts: correct start or end");
    }
}

/// rng-2: the low end is not above the high one. Ends in different units are not compared.
pub(crate) fn range(range: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let (Some(low), Some(high)) = (range.get("low"), range.get("high")) else { return };
    let differ = |name| low.get(name).and_then(Value::string) != high.get(name).and_then(Value::string);
    if ["system", "code", "unit"].into_iter().any(differ) {
        return;
    }
    // Reading rounds, but never turns an order around.
    let number = |quantity: Value<'_>| quantity.get("value")?.number()?.parse::<f64>().ok();
    if let (Some(low), Some(high)) = (number(low), number(high))
        && low > high
    {
        issues.broken("rng-2", place, "the low end of a range must not be above its high end: correct one of them");
    }
}

/// tim-9: an offset is counted from an event that is no meal itself.
pub(crate) fn repeat(repeat: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let Some(when) = repeat.get("when").filter(|_| repeat.get("offset").is_some()) else { return };
    for (index, event) in when.items().enumerate() {
        if event.string().is_some_and(|event| MEALS.contains(&&*event)) {
            let sentence = "an offset cannot be counted from a meal itself: use an event before or after it";
            issues.broken("tim-9", &place.child("when").at(index), sentence);
        }
    }
}

/// obs-7: where a component has the code of the Observation itself, the value stands there.
pub(crate) fn observation(observation: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let Some(components) = observation.get("component") else { return };
    let has_value = observation.members().any(|(key, _)| key.trim_start_matches('_').starts_with("value"));
    let Some(code) = observation.get("code").filter(|_| has_value) else { return };
    let codes: HashSet<_> = codings(code).collect();
    for (index, component) in components.items().enumerate() {
        if component.get("code").is_some_and(|own| codings(own).any(|coding| codes.contains(&coding))) {
            let sentence = "a component has the code of the Observation, so the value belongs there alone: remove one";
            issues.broken("obs-7", &place.child("component").at(index).child("code"), sentence);
        }
    }
}

/// System and code of a coding; no system is an empty one.
pub(crate) type Coding<'d> = (Cow<'d, str>, Cow<'d, str>);

/// The codings of a concept that have a code.
pub(crate) fn codings(concept: Value<'_>) -> impl Iterator<Item = Coding<'_>> {
    concept.get("coding").into_iter().flat_map(Value::items).filter_map(coding)
}

/// A coding that has a code.
pub(crate) fn coding(coding: Value<'_>) -> Option<Coding<'_>> {
    let text = |name| coding.get(name).and_then(Value::string);
    Some((text("system").unwrap_or_default(), text("code")?))
}
