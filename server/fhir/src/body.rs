//! A resource as it came in: judged once, and ready to be stamped with id, version and time.

mod stamp;

use std::fmt;

use crate::{
    json,
    outcome::{Issue, IssueCode},
    resource::{Id, Resource, Version},
    structure,
};

use stamp::Stamp;

/// A sound resource of type `R`: its text, its index columns and the places the server writes to.
#[derive(Clone)]
pub struct Body<R: Resource> {
    text: String,
    index: R::Index,
    id: Option<Id<R>>,
    stamp: Stamp,
}

impl<R: Resource> Body<R> {
    /// Parses and judges a body. `bases` are our own FHIR base URLs for this tenant, so that an absolute reference
    /// below one of them is the same as a relative one.
    pub fn parse(bytes: &[u8], bases: &[&str]) -> Result<Self, Vec<Issue>> {
        let document = json::parse(bytes).map_err(|error| vec![error.into()])?;
        Self::of(&document, bases)
    }

    /// Judges a document that was parsed to see what it is.
    pub fn of(document: &json::Document<'_>, bases: &[&str]) -> Result<Self, Vec<Issue>> {
        let issues = structure::check(document, R::TYPE);
        if !issues.is_empty() {
            return Err(issues);
        }
        let root = document.root();
        let id = match root.get("id").and_then(json::Value::string) {
            None => None,
            Some(text) => Some(text.parse().map_err(|error| {
                vec![Issue::error(IssueCode::Value, format!("id: {error}")).at(format!("{}.id", R::TYPE))]
            })?),
        };
        let index = R::extract(root, bases);
        let stamp = Stamp::of(root);
        Ok(Self { text: document.text().to_owned(), index, id, stamp })
    }

    /// The id in the body, if there is one.
    pub const fn id(&self) -> Option<&Id<R>> {
        self.id.as_ref()
    }

    /// The columns that searches and scopes need.
    pub const fn index(&self) -> &R::Index {
        &self.index
    }

    /// The text to store: `id`, `meta.versionId` and `meta.lastUpdated` set, every other byte as it came.
    pub fn stamped(&self, id: &Id<R>, version: Version, last_updated_millis: i64) -> String {
        self.stamp.apply(&self.text, id.as_str(), version, last_updated_millis)
    }
}

impl<R: Resource> fmt::Debug for Body<R> {
    /// Says how much there is and nothing of what is in it: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({}, {} bytes)", R::TYPE, self.text.len())
    }
}

/// Whether a body with these issues is answered 400 (it is no such resource at all: malformed, unknown elements,
/// wrong types) and not 422 (it is one, and breaks a rule).
pub fn issues_are_structural(issues: &[Issue]) -> bool {
    issues.iter().any(|issue| matches!(issue.code, IssueCode::Structure | IssueCode::Invalid))
}

#[cfg(test)]
mod tests;
