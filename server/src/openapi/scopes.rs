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
    let Operation { resource, letter, also, .. } = *operation;
    let letters: String = std::iter::once(letter).chain(also).map(name).collect();
    let reads = matches!(letter, Letter::Read | Letter::Search);
    // A Patient with an id that the server makes is in no compartment that a token could name.
    let confined = (resource, operation.code) != (ResourceType::Patient, Code::Create);
    let contexts: &[&str] = if confined { &["patient", "user", "system"] } else { &["user", "system"] };
    let mut scopes: Vec<_> = contexts.iter().map(|context| format!("{context}/{resource}.{letters}")).collect();
    match resource {
        _ if also.is_some() => {}
        ResourceType::Observation => {
            let right = if reads { "read" } else { "write" };
            scopes.push(format!("vitals:{right}"));
            scopes.extend(Vital::ALL.map(|vital| format!("vitals.{}:{right}", vital.name())));
        }
        ResourceType::Patient if reads => scopes.push("users:read".to_owned()),
        ResourceType::Patient => {}
    }
    scopes
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
