//! The codes of required bindings, for documents that list them.

use crate::types::{Codes, Holds, TYPES};

/// The codes that a required binding allows for an element (`Observation.component` and a name in it). Nothing where
/// any code is allowed, and where the codes are a grammar and no list (media types, languages, currencies).
pub fn codes_of(kind: &str, element: &str) -> Option<&'static [&'static str]> {
    let kind = TYPES.get(TYPES.named(kind)?);
    match kind.find(element)?.holds {
        Holds::Bound(set) => match &TYPES.set(set).codes {
            Codes::Listed(codes) => Some(codes),
            Codes::MimeType | Codes::Language | Codes::Currency => None,
        },
        Holds::Primitive | Holds::Complex(_) | Holds::Resource => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_binding() {
        assert_eq!(codes_of("Patient", "gender"), Some(["female", "male", "other", "unknown"].as_slice()));
        assert_eq!(codes_of("Quantity", "comparator").map(<[_]>::len), Some(4));
        assert_eq!(codes_of("Patient", "language"), None);
        assert_eq!(codes_of("Observation", "code"), None);
        assert_eq!(codes_of("Cat", "code"), None);
    }
}
