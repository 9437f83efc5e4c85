//! read (<https://hl7.org/fhir/R4/http.html#read>).

use vitals_fhir::{
    interaction::Read,
    resource::{Id, Version},
};
use vitals_store::rows::{Missing, Table, Versioned};

use super::{Answer, Exchange};
use crate::failure::Failure;

/// The current version of one resource.
pub async fn read<R: Table>(cx: &mut Exchange<'_>, id: &Id<R>) -> Answer<Versioned<R>> {
    cx.note.id = Some(id.as_str().to_owned());
    let mut tenant = cx.pool.read(cx.access).await?;
    let found = tenant.allow::<R, Read>()?.get(id).await?;
    drop(tenant);
    let found = found.map_err(|missing| match missing {
        Missing::Never => Failure::not_found(id),
        Missing::Deleted => Failure::deleted(id),
    })?;
    cx.disclosed(&found);
    Ok(found)
}

/// What a caller has already of what it reads (conditional read, <https://hl7.org/fhir/R4/http.html#cread>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nothing that it said.
    #[default]
    Nothing,
    /// Whatever there is.
    Anything,
    /// These versions.
    Versions(Vec<Version>),
    /// What stood at this time, in milliseconds since 1970.
    Until(i64),
}

impl Seen {
    /// What `If-None-Match` says: `*`, or entity tags parted by commas. A tag that is none names no version.
    pub fn of_tags(text: &str) -> Self {
        let tags = || text.split(',').map(str::trim);
        if tags().any(|tag| tag == "*") {
            return Self::Anything;
        }
        let version =
            |tag: &str| Version::parse(tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?);
        Self::Versions(tags().filter_map(version).collect())
    }

    /// Whether a version is among it.
    pub fn has(&self, version: Version, last_updated: i64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::Versions(versions) => versions.contains(&version),
            Self::Until(time) => last_updated <= *time,
        }
    }
}
