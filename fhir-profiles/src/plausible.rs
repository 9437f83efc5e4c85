//! Doubts about measured values: a heart rate of 400 is a slip far more often than a heart.

use vitals_fhir::{
    json::Value,
    outcome::{Issue, IssueCode},
    resource::ResourceType,
    vital::LOINC,
};

use crate::{
    place::{Issues, Place},
    profile::{Limit, Profile, TABLE},
    rule::codings,
    vital_sign,
};

/// Warnings about values of a vital sign that are possible but improbable; none for anything else.
///
/// Never a reason to refuse. What cannot be a measurement at all, [`validate`](crate::validate) refuses, and it is
/// not said again here.
pub fn plausibility(root: Value<'_>) -> Vec<Issue> {
    let mut issues = Issues::default();
    let place = Place::root(ResourceType::Observation.name());
    let is_observation = root.get("resourceType").and_then(Value::string).is_some_and(|name| name == "Observation");
    let set = if is_observation { vital_sign::applying(root) } else { 0 };
    if set == 0 {
        return issues.into_list();
    }
    for profile in TABLE.each(set) {
        if let Some(value) = root.get("valueQuantity") {
            doubt(value, None, profile, &place, &mut issues);
        }
    }
    let place = place.child("component");
    for (index, component) in root.get("component").into_iter().flat_map(Value::items).enumerate() {
        if let (Some((profile, rule)), Some(value)) =
            (vital_sign::rule_of(component, set), component.get("valueQuantity"))
        {
            doubt(value, Some(rule.loinc), profile, &place.at(index), &mut issues);
        }
    }
    inverted(root, &place, &mut issues);
    issues.into_list()
}

fn doubt(value: Value<'_>, loinc: Option<&str>, profile: &Profile, place: &Place<'_>, issues: &mut Issues) {
    let Some((limit, number)) = profile.limit(value, loinc) else { return };
    let (least, most) = limit.plausible;
    let is_possible = limit.possible.0 <= number && number <= limit.possible.1;
    if is_possible && (number < least || number > most) {
        let message = format!(
            "{}: less than {least} or more than {most} {} is improbable: check the value and its unit",
            profile.title, limit.unit
        );
        issues.warn(IssueCode::BusinessRule, &place.child("valueQuantity").child("value"), message);
    }
}

/// A systolic pressure below the diastolic one: the two have been swapped.
fn inverted(root: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let number = |wanted: &str| {
        let all = root.get("component")?.items().enumerate();
        let mut with = all.filter(|(_, component)| {
            component
                .get("code")
                .is_some_and(|code| codings(code).any(|coding| coding.0 == LOINC && coding.1 == wanted))
        });
        let (index, component) = with.next()?;
        Some((index, component.get("valueQuantity")?.get("value")?.number()?.parse::<f64>().ok()?))
    };
    if let (Some((index, systolic)), Some((_, diastolic))) = (number("8480-6"), number("8462-4"))
        && systolic < diastolic
    {
        let message = "Blood pressure: the systolic value is below the diastolic one: check whether they are swapped";
        issues.warn(IssueCode::BusinessRule, &place.at(index).child("valueQuantity").child("value"), message);
    }
}

impl Profile {
    /// The limit for a quantity in its unit, and its number.
    pub(crate) fn limit(&self, quantity: Value<'_>, loinc: Option<&str>) -> Option<(&Limit, f64)> {
        let unit = quantity.get("code").and_then(Value::string)?;
        let limit = self.limits.iter().find(|limit| limit.loinc == loinc && limit.unit == unit)?;
        Some((limit, quantity.get("value")?.number()?.parse().ok()?))
    }
}
