//! A resource as it came in: judged once, and ready to be stamped with id, version and time.

mod stamp;

use std::fmt;

use crate::{
    json,
    outcome::{Issue, IssueCode},
    resource::{Id, Resource, ResourceType, Version},
    structure,
};

use stamp::Stamp;

/// What is asked of a resource whose structure is sound; each issue is a rule that it breaks.
pub type Rules = fn(json::Value<'_>, ResourceType) -> Vec<Issue>;

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
    pub fn parse(bytes: &[u8], bases: &[&str], rules: Rules) -> Result<Self, Vec<Issue>> {
        let document = json::parse(bytes).map_err(|error| vec![error.into()])?;
        Self::of(&document, bases, rules)
    }

    /// Judges a document that was parsed to see what it is.
    pub fn of(document: &json::Document<'_>, bases: &[&str], rules: Rules) -> Result<Self, Vec<Issue>> {
        let issues = judge(document, R::TYPE, rules);
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

    /// The text, as it came.
    pub fn text(&self) -> &str {
        &self.text
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

/// Everything that is wrong with a document as a resource of this type. Rules are asked only of what is such a resource
/// at all, and an element that is not of its type is not judged twice.
pub fn judge(
    document: &json::Document<'_>,
    resource: ResourceType,
    rules: impl FnOnce(json::Value<'_>, ResourceType) -> Vec<Issue>,
) -> Vec<Issue> {
    let mut issues = structure::check(document, resource);
    if issues_are_structural(&issues) {
        return issues;
    }
    let broken = rules(document.root(), resource);
    if issues.is_empty() {
        return broken;
    }
    let found = issues.len();
    issues.extend(broken);
    let mut at = 0;
    let expressions: Vec<_> = issues[..found].iter().map(|issue| issue.expression.clone()).collect();
    issues.retain(|issue| {
        at += 1;
        at <= found || !expressions.contains(&issue.expression)
    });
    issues
}

/// Whether a body with these issues is answered 400 (it is no such resource at all: malformed, unknown elements,
/// wrong types) and not 422 (it is one, and breaks a rule).
pub fn issues_are_structural(issues: &[Issue]) -> bool {
    issues.iter().any(|issue| matches!(issue.code, IssueCode::Structure | IssueCode::Invalid))
}

#[cfg(test)]
mod tests;
