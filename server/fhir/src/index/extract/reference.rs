//! What a reference points at: a resource of this tenant, or something elsewhere
//! (<https://hl7.org/fhir/R4/references.html#literal>).

use crate::resource::is_id;

/// The target of a literal reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'t> {
    /// A resource of this tenant: relative, or absolute under one of its own bases; of one version or of whichever
    /// is current.
    Local {
        /// Its type's name; any, not only those that are offered here.
        kind: &'t str,
        /// Its logical id.
        id: &'t str,
        /// The version that is meant, if one is.
        version: Option<&'t str>,
    },
    /// A URL or URN that is not under the tenant's own bases in the form of a resource's address.
    Absolute(&'t str),
    /// A contained resource, which nothing outside of its container can reach.
    Contained,
    /// Anything else, conditional references among it.
    Other(&'t str),
}

impl<'t> Target<'t> {
    /// Reads a reference. A base counts only as a whole and with the same letters: `https://a/fhir2/Patient/x` is not
    /// under `https://a/fhir`.
    pub(crate) fn of(reference: &'t str, bases: &[&str]) -> Self {
        if reference.starts_with('#') {
            return Self::Contained;
        }
        let below = bases.iter().find_map(|base| reference.strip_prefix(*base)?.strip_prefix('/'));
        if let Some(local) = local(below.unwrap_or(reference)) {
            local
        } else if is_absolute(reference) {
            Self::Absolute(reference)
        } else {
            Self::Other(reference)
        }
    }
}

/// Reads `Type/id` or `Type/id/_history/version`.
fn local(text: &str) -> Option<Target<'_>> {
    let mut segments = text.split('/');
    let (kind, id) = (segments.next()?, segments.next()?);
    let version = match (segments.next(), segments.next(), segments.next()) {
        (None, ..) => None,
        (Some("_history"), Some(version), None) if is_id(version) => Some(version),
        _ => return None,
    };
    (is_type_name(kind) && is_id(id)).then_some(Target::Local { kind, id, version })
}

fn is_type_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether the text begins with a URI scheme.
fn is_absolute(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASES: [&str; 2] = ["https://a.test/t/x/fhir", "https://a.test/fhir"];

    #[test]
    fn own_resources_are_told_from_others() {
        let local = |kind, id| Target::Local { kind, id, version: None };
        let cases = [
            ("Patient/p1", local("Patient", "p1")),
            ("Patient/p1/_history/3", Target::Local { kind: "Patient", id: "p1", version: Some("3") }),
            ("Group/g", local("Group", "g")),
            ("https://a.test/t/x/fhir/Patient/p1", local("Patient", "p1")),
            ("https://a.test/fhir/Patient/p1", local("Patient", "p1")),
            (
                "https://a.test/fhir/Patient/p1/_history/1",
                Target::Local { kind: "Patient", id: "p1", version: Some("1") },
            ),
            ("https://a.test/t/y/fhir/Patient/p1", Target::Absolute("https://a.test/t/y/fhir/Patient/p1")),
            ("https://a.test/fhir2/Patient/p1", Target::Absolute("https://a.test/fhir2/Patient/p1")),
            ("https://a.test/fhirPatient/p1", Target::Absolute("https://a.test/fhirPatient/p1")),
            ("https://a.test/fhir//Patient/p1", Target::Absolute("https://a.test/fhir//Patient/p1")),
            ("https://A.test/fhir/Patient/p1", Target::Absolute("https://A.test/fhir/Patient/p1")),
            ("http://a.test/fhir/Patient/p1", Target::Absolute("http://a.test/fhir/Patient/p1")),
            ("https://a.test/fhir/Patient/p1?x=1", Target::Absolute("https://a.test/fhir/Patient/p1?x=1")),
            ("https://a.test/fhir/Patient/p1/", Target::Absolute("https://a.test/fhir/Patient/p1/")),
            ("urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000001", {
                Target::Absolute("urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000001")
            }),
            ("#p1", Target::Contained),
            ("#", Target::Contained),
            ("", Target::Other("")),
            ("p1", Target::Other("p1")),
            ("Patient", Target::Other("Patient")),
            ("Patient/", Target::Other("Patient/")),
            ("/Patient/p1", Target::Other("/Patient/p1")),
            ("patient/p1", Target::Other("patient/p1")),
            ("Patient/p1/_history", Target::Other("Patient/p1/_history")),
            ("Patient/p1/_history/", Target::Other("Patient/p1/_history/")),
            ("Patient/p1/_history/1/2", Target::Other("Patient/p1/_history/1/2")),
            ("Patient/p1/_versions/1", Target::Other("Patient/p1/_versions/1")),
            ("Patient/p%31", Target::Other("Patient/p%31")),
            ("Patient?identifier=1", Target::Other("Patient?identifier=1")),
            ("://", Target::Other("://")),
            ("é:x", Target::Other("é:x")),
        ];
        for (reference, target) in cases {
            assert_eq!(Target::of(reference, &BASES), target, "{reference}");
        }
    }
}
