//! How an outside issuer names the claims that this server reads: an identity provider that a hospital keeps does not
//! change its tokens for us.
//!
//! What the mapping does not name is read under the names of the contract. A path is a text, `realm_access.roles`, or a
//! list of names where one holds a dot; a name that is a URL is taken whole, as Auth0 and others write their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vitals_fhir::json::{Kind, Value};

use super::{Read, texts};

/// Longest path: no provider nests deeper.
const MAX_STEPS: usize = 8;

/// The names of claims in an issuer's tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    /// Where the tenant stands, if not in `tenant_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<MappedTenant>,
    /// Where the patient in context stands, if not in `patient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<ClaimPath>,
    /// Where the user's own resource stands, if not in `fhirUser`.
    #[serde(rename = "fhirUser", skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<ClaimPath>,
    /// Where the program stands, if not in `client_id` or `azp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClaimPath>,
    /// Where the tier stands, if not in `rate_limit_tier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<ClaimPath>,
    /// Where scopes stand, if not in `scope`, `scopes` and `scp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<MappedScopes>,
}

/// The tenant's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedTenant {
    /// Where it stands.
    pub claim: ClaimPath,
    /// The tenant's name for each value. Where there are any, a value that is not among them names no tenant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// The claims that scopes are read from, as one set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappedScopes {
    /// Claims that hold scopes, as texts or lists. What `values` does not name is taken as it stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimPath>,
    /// Claims that hold roles or groups: what `values` does not name says nothing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<ClaimPath>,
    /// Scopes, separated by spaces, for a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// The place of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPath", into = "WrittenPath")]
pub struct ClaimPath(Vec<String>);

/// A path as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenPath {
    Text(String),
    Names(Vec<String>),
}

/// The text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a claim is named by its name, by names joined with dots, or by a list of names, none of them empty")]
pub struct NotAPath;

impl TryFrom<WrittenPath> for ClaimPath {
    type Error = NotAPath;

    fn try_from(written: WrittenPath) -> Result<Self, NotAPath> {
        let names: Vec<String> = match written {
            WrittenPath::Text(text) if text.contains("://") => vec![text],
            WrittenPath::Text(text) => text.split('.').map(str::to_owned).collect(),
            WrittenPath::Names(names) => names,
        };
        let good = (1..=MAX_STEPS).contains(&names.len()) && names.iter().all(|name| !name.is_empty());
        if good { Ok(Self(names)) } else { Err(NotAPath) }
    }
}

impl From<ClaimPath> for WrittenPath {
    fn from(path: ClaimPath) -> Self {
        Self::Names(path.0)
    }
}

impl ClaimPath {
    fn find<'d>(&self, claims: Value<'d>) -> Option<Value<'d>> {
        self.0.iter().try_fold(claims, |value, name| value.get(name))
    }

    /// The one text there, which some providers wrap into a list.
    pub(super) fn one(&self, claims: Value<'_>) -> Option<Read<String>> {
        let value = self.find(claims)?;
        let mut items = value.items();
        let only = match (value.kind(), items.next(), items.next()) {
            (Kind::Array, Some(only), None) => only,
            _ => value,
        };
        Some(super::as_text(only))
    }
}

impl MappedTenant {
    /// The tenant that the claims name.
    pub(super) fn read(&self, claims: Value<'_>) -> Read<Option<String>> {
        let Some(value) = self.claim.one(claims).transpose()? else { return Ok(None) };
        if self.values.is_empty() {
            return Ok(Some(value));
        }
        self.values.get(&value).cloned().map(Some).ok_or("the token names a tenant that is not in the mapping")
    }
}

impl MappedScopes {
    /// Every scope in the claims, in the order of the mapping.
    pub(super) fn read(&self, claims: Value<'_>) -> Read<Vec<String>> {
        let mut scopes = Vec::new();
        for (paths, is_role) in [(&self.claims, false), (&self.roles, true)] {
            for value in paths.iter().filter_map(|path| path.find(claims)) {
                for name in several(value, is_role)? {
                    match self.values.get(&name) {
                        Some(meaning) => scopes.extend(super::split(meaning)),
                        None if is_role => {}
                        None => scopes.push(name),
                    }
                }
            }
        }
        Ok(scopes)
    }
}

/// The members of a list; a text of scopes is split, one of roles is one, for the names of roles may hold spaces.
fn several(value: Value<'_>, is_role: bool) -> Read<Vec<String>> {
    const WRONG: &str = "the scopes are not of their type";
    match (value.kind(), is_role) {
        (Kind::Array, _) => texts(value).ok_or(WRONG),
        (_, true) => Ok(vec![value.string().ok_or(WRONG)?.into_owned()]),
        (_, false) => Ok(super::split(&value.string().ok_or(WRONG)?)),
    }
}

#[cfg(test)]
mod tests;
