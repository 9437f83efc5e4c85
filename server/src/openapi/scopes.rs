//! The scopes that the document names for each operation.

use vitals_fhir::{interaction::Letter, resource::ResourceType, vital::Vital};

/// The scopes of which one is enough for an interaction, the plainest of each kind.
pub fn sufficient(resource: ResourceType, letter: Letter) -> Vec<String> {
    let letter_name = match letter {
        Letter::Create => 'c',
        Letter::Read => 'r',
        Letter::Update => 'u',
        Letter::Delete => 'd',
        Letter::Search => 's',
    };
    let reads = matches!(letter, Letter::Read | Letter::Search);
    let mut scopes =
        ["patient", "user", "system"].map(|context| format!("{context}/{resource}.{letter_name}")).to_vec();
    match resource {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_follow_the_letter() {
        let scopes = sufficient(ResourceType::Observation, Letter::Search);
        assert!(scopes.contains(&"patient/Observation.s".to_owned()));
        assert!(scopes.contains(&"vitals.heart_rate:read".to_owned()));
        let scopes = sufficient(ResourceType::Patient, Letter::Update);
        assert_eq!(scopes, ["patient/Patient.u", "user/Patient.u", "system/Patient.u"]);
    }
}
