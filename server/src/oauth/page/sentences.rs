//! What an app asks for, in plain sentences, each with what it stands for when somebody unticks it.
//!
//! A scope that means several things (reading and changing, one type of record and another) is shown as its parts, so
//! that each can be left out. Where all of them stay, the scope is granted as it was asked.

use vitals_access::scope::{About, Meaning, MeaningLimit, Whose, describe};
use vitals_fhir::{interaction::Letter, vital::Vital};

/// How records are called for whoever reads the sentences.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// The patient in context, as the reader would say it: `your`, `Ada Lovelace's`.
    pub patient: Option<String>,
    /// Whose records `user/` scopes reach: the reader's own, or those of patients in their care.
    pub reach: Reach,
    /// The tenant's name.
    pub organisation: &'a str,
}

/// Whose records a user reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Their own.
    Own,
    /// Those of every patient of the tenant.
    All,
}

/// A tick box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The scopes it stands for, separated by spaces.
    pub value: String,
    /// What it says.
    pub sentence: String,
}

/// Tick boxes under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// What stands under it.
    pub items: Vec<Item>,
}

/// Scopes that steer a launch: nothing to be asked about.
const STEERING: [&str; 3] = ["launch", "launch/patient", "launch/encounter"];
const IDENTITY: [&str; 3] = ["openid", "fhirUser", "profile"];

/// The types that `*` stands for.
const TYPES: [&str; 2] = ["Patient", "Observation"];

/// What is asked, as people read it.
pub fn groups(scopes: &[String], reader: &Reader<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = ["See", "Add or change", "Other", "How long"]
        .into_iter()
        .map(|title| Group { title, items: Vec::new() })
        .collect();
    for part in scopes.iter().flat_map(|scope| parts(scope)) {
        let Some((place, sentence)) = sentence(&part, reader) else { continue };
        let items = &mut groups[place].items;
        match items.iter_mut().find(|item| item.sentence == sentence) {
            Some(item) if item.value.split(' ').any(|known| known == part) => {}
            Some(item) => item.value = format!("{} {part}", item.value),
            None => items.push(Item { value: part, sentence }),
        }
    }
    groups.retain(|group| !group.items.is_empty());
    groups
}

/// What is left of scopes when only these parts were ticked, in the order asked.
pub fn narrowed(scopes: &[String], ticked: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    for scope in scopes {
        let parts = parts(scope);
        let steering = STEERING.contains(&scope.as_str());
        let kept: Vec<&String> = parts.iter().filter(|part| steering || ticked.contains(part)).collect();
        let kept = if kept.len() == parts.len() { vec![scope] } else { kept };
        for scope in kept {
            if !left.contains(scope) {
                left.push(scope.clone());
            }
        }
    }
    left
}

/// The scopes that a scope consists of, each a sentence of its own.
fn parts(scope: &str) -> Vec<String> {
    let (head, query) =
        scope.split_once('?').map_or((scope, String::new()), |(head, query)| (head, format!("?{query}")));
    let Some((context, rest)) = head.split_once('/') else { return vec![scope.to_owned()] };
    let Some((name, may)) = rest.split_once('.') else { return vec![scope.to_owned()] };
    let types = if name == "*" { TYPES.to_vec() } else { vec![name] };
    let letters = |wanted: &str| -> String { may.chars().filter(|letter| wanted.contains(*letter)).collect() };
    let permissions = match may {
        "read" | "write" => vec![may.to_owned()],
        "*" => vec!["read".to_owned(), "write".to_owned()],
        _ => [letters("rs"), letters("cud")].into_iter().filter(|letters| !letters.is_empty()).collect(),
    };
    let each = |name: &&str| -> Vec<String> {
        permissions.iter().map(|permission| format!("{context}/{name}.{permission}{query}")).collect()
    };
    types.iter().flat_map(each).collect()
}

/// Where a sentence stands, and what it says.
fn sentence(scope: &str, reader: &Reader<'_>) -> Option<(usize, String)> {
    if STEERING.contains(&scope) {
        return None;
    }
    if IDENTITY.contains(&scope) {
        return Some((2, "know who you are".to_owned()));
    }
    let organisation = reader.organisation;
    let said = match scope {
        "offline_access" => return Some((3, "keep doing this until you disconnect it".to_owned())),
        "online_access" => return Some((3, "keep doing this while you are signed in".to_owned())),
        "admin:users" => format!("manage apps, people, keys and sessions of {organisation}"),
        "audit:read" => format!("read the audit log of {organisation}"),
        "analytics:read" => format!("see statistics of {organisation}"),
        "export:bulk" => "export in bulk what it may read".to_owned(),
        "org:self" => format!("use records of {organisation}"),
        "org:delegated" => format!("use records that other organisations share with {organisation}"),
        _ => {
            let meaning = describe(scope)?;
            let place = usize::from(meaning.writes());
            return Some((place, data(&meaning, reader)));
        }
    };
    Some((2, said))
}

/// The sentence of a scope over data: `read your heart rate and weight`.
fn data(meaning: &Meaning, reader: &Reader<'_>) -> String {
    let verbs = list(verbs(&meaning.letters).into_iter().map(str::to_owned).collect());
    let records = records(meaning);
    let limits: String = meaning.limits.iter().filter_map(limit).collect();
    let of = match (&reader.patient, meaning.whose, reader.reach) {
        (Some(patient), Whose::Patient | Whose::Ours, _) => return format!("{verbs} {patient} {records}{limits}"),
        (_, Whose::User | Whose::Ours | Whose::Patient, Reach::Own) => {
            return format!("{verbs} your {records}{limits}");
        }
        (_, Whose::User | Whose::Ours | Whose::Patient, Reach::All) => "all patients you may see".to_owned(),
        (_, Whose::System, _) => format!("every patient of {}", reader.organisation),
    };
    format!("{verbs} the {records} of {of}{limits}")
}

fn verbs(letters: &[Letter]) -> Vec<&'static str> {
    let mut verbs = Vec::new();
    let mut say = |letter: &[Letter], verb| {
        if letters.iter().any(|has| letter.contains(has)) {
            verbs.push(verb);
        }
    };
    say(&[Letter::Read, Letter::Search], "read");
    say(&[Letter::Create], "add to");
    say(&[Letter::Update], "change");
    say(&[Letter::Delete], "delete");
    verbs
}

fn records(meaning: &Meaning) -> String {
    match &meaning.about {
        About::AllTypes => "records".to_owned(),
        About::Users => "name, birth date and contact details".to_owned(),
        About::Vitals => "vital signs".to_owned(),
        About::Vital(name) => Vital::named(name).map_or("vital signs", vital).to_owned(),
        About::Type(name) if name == "Patient" => "name, birth date and contact details".to_owned(),
        About::Type(name) if name == "Observation" => observations(&meaning.limits),
        About::Type(name) if meaning.is_offered() => format!("{} records", words(name)),
        About::Type(name) => format!("{} records (none are kept here)", words(name)),
    }
}

/// What kind of observations the limits leave.
fn observations(limits: &[MeaningLimit]) -> String {
    let codes = limits.iter().filter(|limit| limit.parameter == "code").flat_map(|limit| &limit.values);
    let named: Vec<String> = codes
        .map(|(_, code)| {
            Vital::of_loinc(code).map_or_else(|| format!("measurements of code {code}"), |of| vital(of).to_owned())
        })
        .collect();
    if !named.is_empty() {
        return list(named);
    }
    let categories = limits.iter().filter(|limit| limit.parameter == "category").flat_map(|limit| &limit.values);
    let named: Vec<String> = categories
        .map(|(_, code)| match code.as_str() {
            "vital-signs" => "vital signs".to_owned(),
            "laboratory" => "laboratory results".to_owned(),
            "survey" => "answers to questionnaires".to_owned(),
            "social-history" => "social history".to_owned(),
            other => format!("observations of category {other}"),
        })
        .collect();
    if named.is_empty() { "measurements and other observations".to_owned() } else { list(named) }
}

/// A limit that the kind of record does not say yet.
fn limit(limit: &MeaningLimit) -> Option<String> {
    let values = || list(limit.values.iter().map(|(_, code)| code.clone()).collect());
    match limit.parameter {
        "status" => Some(format!(", only those with status {}", values())),
        "_security" => Some(format!(", only those labelled {}", values())),
        _ => None,
    }
}

const fn vital(vital: Vital) -> &'static str {
    match vital {
        Vital::HeartRate => "heart rate",
        Vital::RespiratoryRate => "breathing rate",
        Vital::Spo2 => "oxygen saturation",
        Vital::BloodPressure => "blood pressure",
        Vital::BodyTemperature => "body temperature",
        Vital::BodyWeight => "weight",
        Vital::BodyHeight => "height",
        Vital::Bmi => "body mass index",
        Vital::HeadCircumference => "head circumference",
    }
}

/// `MedicationRequest` as `medication request`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for sign in name.chars() {
        if sign.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(sign.to_ascii_lowercase());
    }
    text
}

/// `one, two and three`.
fn list(mut items: Vec<String>) -> String {
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

#[cfg(test)]
mod tests;
