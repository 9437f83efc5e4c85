//! The `fhirUser` claim: who a `user/` scope speaks for
//! (<https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-identity-data>).

use vitals_fhir::resource::is_id;

use crate::{directory::Directory, scope::reach::User, scope::types, tenant::Tenant};

impl User {
    /// Reads the claim. A reference that cannot be read might be a patient's, so it reaches nothing; so does a Patient
    /// of another server, who is nobody here.
    pub(crate) fn of(claim: Option<&str>, directory: &Directory, tenant: &Tenant) -> Self {
        let Some(reference) = claim else { return Self::Whole };
        let (local, reference) = match (reference.contains("://"), directory.below_base(reference, tenant)) {
            (_, Some(below)) => (true, Some(below)),
            (false, None) => (true, Some(reference)),
            (true, None) => (false, last_segments(reference)),
        };
        let Some((kind, id)) = reference.and_then(|reference| reference.split_once('/')) else { return Self::Nobody };
        match kind {
            _ if !is_id(id) => Self::Nobody,
            "Patient" if local => Self::Patient(id.to_owned()),
            "Patient" => Self::Nobody,
            "RelatedPerson" => Self::Related,
            other if types::is_r4(other) => Self::Whole,
            _ => Self::Nobody,
        }
    }
}

/// `Type/id` at the end of an absolute URL.
fn last_segments(url: &str) -> Option<&str> {
    let (before, _) = url.rsplit_once('/')?;
    let start = before.rfind('/')? + 1;
    url.get(start..)
}
