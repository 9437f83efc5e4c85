//! Extraction of the index columns from a parsed resource.
//!
//! It runs after the structure check and is total all the same: an element that is not of its type counts as absent.
//! PostgreSQL refuses index entries of more than some 2,700 bytes, and FHIR strings may be a million characters long,
//! so forms beyond [`LONGEST_FORM`] are left out: such a value is kept and answered, only not found by search.

mod effective;
mod fold;
mod reference;
mod texts;

use std::borrow::Cow;

use texts::Texts;

pub use fold::{LONGEST_NAME, fold};
pub(crate) use reference::Target;

use crate::{
    index::{NameValue, ObservationIndex, Part, PatientIndex},
    json::Value,
    quantity::Quantity,
    search::Referrer,
    temporal::{self, Range},
    token,
    vital::{LOINC, OBSERVATION_CATEGORY, QUALIFIERS, VITAL_SIGNS, Vital, VitalClass},
};

/// The longest form, in bytes and with its letter, that goes into an index column.
pub const LONGEST_FORM: usize = 1_000;

/// `code1` of an Observation that only its `codes` can tell about.
const LOOK_IN_CODES: &str = "*";

/// The columns of a Patient. A Patient refers to nobody in its columns, so no bases are asked for.
pub fn patient(root: Value<'_>) -> PatientIndex {
    let (mut security, mut tokens, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Texts::default());
    for (name, value) in root.members() {
        match name.as_ref() {
            "meta" => security = self::security(value),
            "identifier" => identifiers(value, &mut tokens, &mut texts),
            "name" => value.items().for_each(|name| self::names(name, &mut names)),
            _ => {}
        }
    }
    once(&mut tokens);
    names.sort_unstable();
    names.dedup();
    let family = names.iter().find(|name| name.part == "family").map(|name| name.value.clone()).unwrap_or_default();
    let gender = root.get("gender").and_then(Value::string).map(Cow::into_owned);
    let birth = root.get("birthDate").and_then(Value::string).and_then(|date| temporal::date_time(&date));
    PatientIndex {
        security,
        tokens,
        names,
        family,
        gender,
        active: root.get("active").and_then(Value::boolean),
        birth: birth.unwrap_or(Range::ABSENT),
        texts: texts.joined(),
    }
}

/// The columns of an Observation; `bases` are the tenant's own base URLs, without a slash at the end.
pub fn observation(root: Value<'_>, bases: &[&str]) -> ObservationIndex {
    let mut columns = Columns::default();
    for (name, value) in root.members() {
        match name.as_ref() {
            "meta" => columns.security = security(value),
            "status" => columns.status = value.string().map(Cow::into_owned).unwrap_or_default(),
            "code" => columns.code(value),
            "contained" => columns.holds_more |= value.items().any(is_observation),
            "component" => value.items().for_each(|component| columns.component(component)),
            "category" => value.items().for_each(|category| columns.category(category)),
            "subject" => columns.subject(value, bases),
            "encounter" => refer(value, Referrer::Encounter, bases, &mut columns.tokens),
            "performer" => {
                value.items().for_each(|performer| refer(performer, Referrer::Performer, bases, &mut columns.tokens));
            }
            "device" => refer(value, Referrer::Device, bases, &mut columns.tokens),
            "identifier" => identifiers(value, &mut columns.tokens, &mut columns.texts),
            "valueQuantity" => columns.value = Quantity::of(value),
            "valueSampledData" => columns.value = Quantity::of_samples(value),
            "valueCodeableConcept" => {
                columns.texts.of_concept('v', value);
                codings(value, |system, code| both_forms('v', system, code, &mut columns.tokens));
            }
            "effectiveDateTime" | "effectiveInstant" => columns.effective = effective::moment(value),
            "effectivePeriod" => columns.effective = effective::period(value),
            "effectiveTiming" => columns.effective = effective::timing(value),
            _ => {}
        }
    }
    columns.finish()
}

/// What has been found of an Observation so far.
#[derive(Default)]
struct Columns {
    patient: Option<String>,
    /// The vitals that `code` names.
    in_code: Vitals,
    /// The vitals that the components' codes name.
    in_components: Vitals,
    /// Whether it holds something beside vitals and their qualifiers: another component, a contained Observation.
    holds_more: bool,
    /// Whether it has the vital-signs category.
    is_vital_sign: bool,
    first_code: Option<String>,
    codes: Vec<String>,
    category: Vec<String>,
    status: String,
    security: Vec<String>,
    effective: Option<Range>,
    tokens: Vec<String>,
    value: Option<Quantity>,
    parts: Vec<Part>,
    texts: Texts,
}

impl Columns {
    fn code(&mut self, concept: Value<'_>) {
        self.texts.of_concept('c', concept);
        codings(concept, |system, code| {
            self.in_code.name(system, code);
            let form = token::coding(system, code);
            if self.first_code.is_none() {
                let first = if form.len() <= LONGEST_FORM { form.clone() } else { LOOK_IN_CODES.to_owned() };
                self.first_code = Some(first);
            }
            keep(form, &mut self.codes);
            keep(token::code_alone(code), &mut self.codes);
        });
    }

    fn component(&mut self, component: Value<'_>) {
        let quantity = component.get("valueQuantity").and_then(Quantity::of);
        let quantity = quantity.or_else(|| component.get("valueSampledData").and_then(Quantity::of_samples));
        let mut forms = Vec::new();
        let mut known = false;
        if let Some(code) = component.get("code") {
            self.texts.of_concept('k', code);
            codings(code, |system, code| {
                self.in_components.name(system, code);
                known |= system == LOINC && (Vital::of_loinc(code).is_some() || QUALIFIERS.contains(&code));
                both_forms('k', system, code, &mut self.tokens);
                keep(token::coding(system, code), &mut forms);
            });
        }
        self.holds_more |= !known;
        let Some(quantity) = quantity else { return };
        once(&mut forms);
        if forms.is_empty() {
            forms.push(String::new());
        }
        self.parts.extend(forms.into_iter().map(|code| Part { code, quantity: quantity.clone() }));
    }

    fn category(&mut self, concept: Value<'_>) {
        self.texts.of_concept('g', concept);
        codings(concept, |system, code| {
            self.is_vital_sign |= system == OBSERVATION_CATEGORY && code == VITAL_SIGNS;
            keep(token::coding(system, code), &mut self.category);
            keep(token::code_alone(code), &mut self.category);
        });
    }

    fn subject(&mut self, subject: Value<'_>, bases: &[&str]) {
        let reference = subject.get("reference").and_then(Value::string);
        match reference.as_deref().map(|reference| Target::of(reference, bases)) {
            Some(Target::Local { kind: "Patient", id, .. }) => self.patient = Some(id.to_owned()),
            Some(target) => keep_target(Referrer::Subject, target, &mut self.tokens),
            None => {}
        }
        identify(subject, Referrer::Subject, &mut self.tokens);
        // What the reference itself says, or could say, of its type.
        let kind = subject.get("type").and_then(Value::string);
        let literal = self.patient.is_some() || reference.is_none();
        if literal && kind.as_deref().is_none_or(|kind| kind == "Patient") {
            identify(subject, Referrer::Patient, &mut self.tokens);
        }
    }

    fn finish(mut self) -> ObservationIndex {
        for column in [&mut self.codes, &mut self.category, &mut self.tokens] {
            once(column);
        }
        let code1 = match self.in_code {
            Vitals::One(vital) => Some(token::coding(LOINC, vital.loinc()[0])),
            Vitals::Several => Some(LOOK_IN_CODES.to_owned()),
            Vitals::None => self.first_code,
        };
        let vital = match (self.in_code, self.in_code.and(self.in_components)) {
            (Vitals::One(_), Vitals::One(vital)) if !self.holds_more => Some(VitalClass::Alone(vital)),
            (_, Vitals::None) => self.is_vital_sign.then_some(VitalClass::Other),
            // A panel of something else that holds a vital among its components is more than that vital.
            _ => Some(VitalClass::Mixed),
        };
        ObservationIndex {
            patient: self.patient,
            vital,
            code1,
            codes: self.codes,
            category: self.category,
            status: self.status,
            security: self.security,
            effective: self.effective.unwrap_or(Range::ABSENT),
            tokens: self.tokens,
            value: self.value,
            parts: self.parts,
            texts: self.texts.joined(),
        }
    }
}

/// Whether a contained resource is an Observation of its own.
fn is_observation(contained: Value<'_>) -> bool {
    contained.get("resourceType").and_then(Value::string).as_deref() == Some("Observation")
}

/// The vitals that codes name.
#[derive(Clone, Copy, Default)]
enum Vitals {
    #[default]
    None,
    One(Vital),
    Several,
}

impl Vitals {
    fn name(&mut self, system: &str, code: &str) {
        if system == LOINC
            && let Some(vital) = Vital::of_loinc(code)
        {
            *self = self.and(Self::One(vital));
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, only) | (only, Self::None) => only,
            (Self::One(one), Self::One(same)) if one == same => self,
            _ => Self::Several,
        }
    }
}

/// Calls `each` with system (empty where there is none) and code of each coding of a CodeableConcept that has a code.
fn codings(concept: Value<'_>, mut each: impl FnMut(&str, &str)) {
    let Some(list) = concept.get("coding") else { return };
    for coding in list.items() {
        pair(coding, "code", &mut each);
    }
}

/// Calls `each` with the system (empty where there is none) and the text of the member `name`, if there is one.
fn pair(value: Value<'_>, name: &str, each: &mut impl FnMut(&str, &str)) {
    if let Some(text) = value.get(name).and_then(Value::string) {
        let system = value.get("system").and_then(Value::string);
        each(system.as_deref().unwrap_or_default(), &text);
    }
}

fn identifiers(list: Value<'_>, tokens: &mut Vec<String>, texts: &mut Texts) {
    for identifier in list.items() {
        if let Some(kind) = identifier.get("type") {
            texts.of_concept('i', kind);
        }
        pair(identifier, "value", &mut |system: &str, value: &str| both_forms('i', system, value, tokens));
    }
}

fn security(meta: Value<'_>) -> Vec<String> {
    let mut forms = Vec::new();
    if let Some(list) = meta.get("security") {
        for label in list.items() {
            pair(label, "code", &mut |system: &str, code: &str| {
                keep(token::coding(system, code), &mut forms);
                keep(token::code_alone(code), &mut forms);
            });
        }
    }
    once(&mut forms);
    forms
}

/// Each part of a HumanName.
fn names(name: Value<'_>, parts: &mut Vec<NameValue>) {
    const PARTS: [&str; 5] = ["family", "given", "prefix", "suffix", "text"];
    for (member, value) in name.members() {
        let Some(part) = PARTS.into_iter().find(|part| *part == member) else { continue };
        let mut push = |text: Cow<'_, str>| {
            let value = fold::for_index(&text);
            if !value.is_empty() {
                // One letter more than a search may ask for keeps a longer text from being equal to anything.
                let written = (value != text).then(|| text.chars().take(LONGEST_NAME + 1).collect());
                parts.push(NameValue { part, value, written });
            }
        };
        if let Some(text) = value.string() {
            push(text);
        } else {
            value.items().filter_map(Value::string).for_each(push);
        }
    }
}

/// Keeps the target of a Reference, and its identifier.
fn refer(reference: Value<'_>, referrer: Referrer, bases: &[&str], tokens: &mut Vec<String>) {
    if let Some(text) = reference.get("reference").and_then(Value::string) {
        keep_target(referrer, Target::of(&text, bases), tokens);
    }
    identify(reference, referrer, tokens);
}

fn identify(reference: Value<'_>, referrer: Referrer, tokens: &mut Vec<String>) {
    if let Some(identifier) = reference.get("identifier") {
        let letter = referrer.identifier_letter();
        pair(identifier, "value", &mut |system: &str, value: &str| both_forms(letter, system, value, tokens));
    }
}

fn keep_target(referrer: Referrer, target: Target<'_>, tokens: &mut Vec<String>) {
    let letter = referrer.letter();
    match target {
        Target::Local { kind, id, .. } => keep(format!("{letter}:{kind}/{id}"), tokens),
        Target::Absolute(text) | Target::Other(text) => keep(format!("{letter}:{text}"), tokens),
        Target::Contained => {}
    }
}

fn both_forms(letter: char, system: &str, code: &str, tokens: &mut Vec<String>) {
    keep(format!("{letter}:{}", token::coding(system, code)), tokens);
    keep(format!("{letter}:{}", token::code_alone(code)), tokens);
}

fn keep(form: String, column: &mut Vec<String>) {
    if form.len() <= LONGEST_FORM {
        column.push(form);
    }
}

/// Leaves each form once. Sorted, since a body may hold tens of thousands and comparing each with each would not end.
fn once(column: &mut Vec<String>) {
    column.sort_unstable();
    column.dedup();
}

#[cfg(test)]
mod tests;
