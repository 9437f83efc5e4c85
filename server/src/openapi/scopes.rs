//! The scopes that the document names for each operation.

use vitals_fhir::{interaction::Letter, resource::ResourceType, vital::Vital};

/// The scopes of which one is enough for an interaction, the plainest of each kind. An interaction of two letters takes
/// one scope that has both; two scopes that have one each do as well, but are not listed.
pub fn sufficient(resource: ResourceType, letter: Letter, also: Option<Letter>) -> Vec<String> {
    let letters: String = std::iter::once(letter).chain(also).map(name).collect();
    let reads = matches!(letter, Letter::Read | Letter::Search);
    let mut scopes = ["patient", "user", "system"].map(|context| format!("{context}/{resource}.{letters}")).to_vec();
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
    use super::*;

    #[test]
    fn scopes_follow_the_letter() {
        let scopes = sufficient(ResourceType::Observation, Letter::Search, None);
        assert!(scopes.contains(&"patient/Observation.s".to_owned()));
        assert!(scopes.contains(&"vitals.heart_rate:read".to_owned()));
        let scopes = sufficient(ResourceType::Patient, Letter::Update, None);
        assert_eq!(scopes, ["patient/Patient.u", "user/Patient.u", "system/Patient.u"]);
        let scopes = sufficient(ResourceType::Observation, Letter::Delete, Some(Letter::Search));
        assert_eq!(scopes, ["patient/Observation.ds", "user/Observation.ds", "system/Observation.ds"]);
    }
}
