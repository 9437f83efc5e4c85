//! Profiles that somebody asks for by their canonical URL, as `$validate` lets them.

use vitals_fhir::{json::Value, outcome::Issue, resource::ResourceType};

use crate::{
    judged,
    profile::{ProfileSet, TABLE},
};

/// What the URLs of R4's own definitions begin with.
const R4: &str = "http://hl7.org/fhir/StructureDefinition/";
/// The version that may stand behind a URL.
const VERSION: &str = "4.0.1";

/// A profile that is known here, with the profiles it is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nominated(ProfileSet);

impl Nominated {
    /// The definition of the type itself, which every resource follows anyway.
    pub const TYPE: Self = Self(0);

    /// The profile on a type with this canonical URL, `|` and R4's version behind it or not.
    pub fn find(canonical: &str, resource: ResourceType) -> Option<Self> {
        let url = match canonical.split_once('|') {
            Some((url, VERSION)) => url,
            Some(_) => return None,
            None => canonical,
        };
        if url.strip_prefix(R4) == Some(resource.name()) {
            return Some(Self::TYPE);
        }
        let at = TABLE.list.iter().position(|profile| profile.url == url && url.starts_with(R4))?;
        (resource == ResourceType::Observation).then(|| Self(TABLE.with_bases(at)))
    }

    /// The canonical URLs that are known for a type.
    pub fn urls(resource: ResourceType) -> Vec<String> {
        let profiles = TABLE.list.iter().filter(|_| resource == ResourceType::Observation);
        let own = profiles.map(|profile| profile.url).filter(|url| url.starts_with(R4)).map(str::to_owned);
        std::iter::once(format!("{R4}{resource}")).chain(own).collect()
    }
}

/// As [`validate`](crate::validate), with one profile more.
pub fn validate_as(root: Value<'_>, resource: ResourceType, nominated: Nominated) -> Vec<Issue> {
    judged(root, resource, nominated.0)
}
