//! The scopes that the document names for each operation.

use vitals_fhir::{
    catalog::{Code, Operation},
    interaction::Letter,
    resource::ResourceType,
    vital::Vital,
};

/// The scopes of which one is enough for an operation, the plainest of each kind. One of two letters takes one scope
/// that has both; two scopes that have one each do as well, but are not listed.
pub fn sufficient(operation: &Operation) -> Vec<String> {
    let right = smart(operation);
    let mut scopes: Vec<_> = contexts(operation).iter().map(|context| format!("{context}/{right}")).collect();
    match plain(operation) {
        Some("users:read") => scopes.push("users:read".to_owned()),
        Some(right) => {
            scopes.push(format!("vitals:{right}"));
            scopes.extend(Vital::ALL.map(|vital| format!("vitals.{}:{right}", vital.name())));
        }
        None => {}
    }
    scopes
}

/// The same in a few words.
pub fn in_short(operation: &Operation) -> String {
    let smart = format!("{}/{}", contexts(operation).join("|"), smart(operation));
    match plain(operation) {
        Some("users:read") => format!("{smart}, users:read"),
        Some(right) => format!("{smart}, vitals:{right}, vitals.NAME:{right} of the vital it is"),
        None => smart,
    }
}

/// Type and letters.
fn smart(operation: &Operation) -> String {
    let letters: String = std::iter::once(operation.letter).chain(operation.also).map(name).collect();
    format!("{}.{letters}", operation.resource)
}

/// A Patient with an id that the server makes is in no compartment that a token could name.
fn contexts(operation: &Operation) -> &'static [&'static str] {
    match (operation.resource, operation.code) {
        (ResourceType::Patient, Code::Create) => &["user", "system"],
        _ => &["patient", "user", "system"],
    }
}

/// The scope of our own beside SMART's: `users:read`, or what a `vitals` scope must end with.
fn plain(operation: &Operation) -> Option<&'static str> {
    let reads = matches!(operation.letter, Letter::Read | Letter::Search);
    match operation.resource {
        _ if operation.also.is_some() => None,
        ResourceType::Observation => Some(if reads { "read" } else { "write" }),
        ResourceType::Patient => reads.then_some("users:read"),
    }
}

const fn name(letter: Letter) -> char {
    match letter {
        Letter::Create => 'c',
        Letter::Read => 'r',
        Letter::Update => 'u',
        Letter::Delete => 'd',
        Letter::Search => 's',
    }
}

#[cfg(test)]
mod tests {
    use vitals_fhir::catalog;

    use super::*;

    fn of(resource: ResourceType, code: Code) -> Vec<String> {
        sufficient(catalog::operations(resource).iter().find(|operation| operation.code == code).unwrap())
    }

    #[test]
    fn scopes_follow_the_letter() {
        let scopes = of(ResourceType::Observation, Code::SearchType);
        assert!(scopes.contains(&"patient/Observation.s".to_owned()));
        assert!(scopes.contains(&"vitals.heart_rate:read".to_owned()));
        let scopes = of(ResourceType::Patient, Code::Update);
        assert_eq!(scopes, ["patient/Patient.u", "user/Patient.u", "system/Patient.u"]);
        assert_eq!(of(ResourceType::Patient, Code::Create), ["user/Patient.c", "system/Patient.c"]);
        let scopes = of(ResourceType::Observation, Code::ConditionalDelete);
        assert_eq!(scopes, ["patient/Observation.ds", "user/Observation.ds", "system/Observation.ds"]);
    }
}
