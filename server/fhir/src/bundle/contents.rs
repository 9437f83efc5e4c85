//! What a Bundle of any kind holds, for those who load it: each resource with the references to others in the Bundle
//! rewritten to what these are called.

use std::{borrow::Cow, fmt, ops::Range};

use super::{
    Named,
    links::{self, FullUrls, Link},
};
use crate::{
    json::{Document, Value},
    outcome::{Issue, IssueCode},
    structure,
};

/// The types whose entries are resources as they stand. A history holds several versions of one, the answer to a batch
/// may hold none, and what a document or a message says is more than its resources.
const TYPES: [&str; 4] = ["transaction", "batch", "collection", "searchset"];

/// The resources of a Bundle.
pub struct Contents<'t> {
    text: &'t str,
    entries: Vec<Held>,
}

/// One entry.
#[derive(Debug)]
pub struct Held {
    resource: Option<Range<usize>>,
    links: Vec<Link>,
    /// The type of its resource.
    pub resource_type: Option<String>,
    /// The id that its resource carries, if it is a text.
    pub resource_id: Option<String>,
    /// The method of what it asks for.
    pub method: Option<String>,
    /// The address of what it asks for.
    pub url: Option<String>,
    /// Whether it is to be created only if nothing meets a condition.
    pub if_none_exist: bool,
}

impl<'t> Contents<'t> {
    /// Takes a Bundle apart. `bases` are the tenant's own base URLs, without a slash at the end.
    pub fn of(document: &Document<'t>, bases: &[&str]) -> Result<Self, Vec<Issue>> {
        let issues = structure::check_envelope(document);
        if !issues.is_empty() {
            return Err(issues);
        }
        let root = document.root();
        if !root.get("type").and_then(Value::string).is_some_and(|kind| TYPES.contains(&&*kind)) {
            let diagnostics = format!("Bundles of these types can be loaded, of no other: {}.", TYPES.join(", "));
            return Err(vec![Issue::error(IssueCode::NotSupported, diagnostics).at("Bundle.type")]);
        }
        let items: Vec<Value<'_>> = root.get("entry").into_iter().flat_map(Value::items).collect();
        let urls = FullUrls::of(&items, bases).map_err(|issue| vec![issue])?;
        let entries = items.iter().enumerate().map(|(place, item)| Held::of(place, *item, &urls)).collect();
        Ok(Self { text: document.text(), entries })
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Held] {
        &self.entries
    }

    /// The resource of an entry with what its references name put in the place of the references; where `naming` knows
    /// nothing, they stay as they are.
    pub fn resource(&self, entry: &Held, naming: impl Fn(&Named) -> Option<String>) -> Option<Cow<'t, str>> {
        let span = entry.resource.clone()?;
        Some(links::replaced(self.text, span, &entry.links, naming))
    }
}

impl fmt::Debug for Contents<'_> {
    /// Says how much there is and nothing of what is in it: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} entries, {} bytes)", self.entries.len(), self.text.len())
    }
}

impl Held {
    fn of(place: usize, item: Value<'_>, urls: &FullUrls<'_>) -> Self {
        let text = |of: Option<Value<'_>>, name: &str| of?.get(name)?.string().map(Cow::into_owned);
        let (resource, request) = (item.get("resource"), item.get("request"));
        Self {
            resource: resource.map(Value::span),
            links: resource.map(|resource| urls.links(place, resource)).unwrap_or_default(),
            resource_type: text(resource, "resourceType"),
            resource_id: text(resource, "id"),
            method: text(request, "method"),
            url: text(request, "url"),
            if_none_exist: request.is_some_and(|request| request.get("ifNoneExist").is_some()),
        }
    }

    /// Whether a reference asks for the one resource that meets some criteria, which only a search can tell.
    pub fn refers_by_criteria(&self) -> bool {
        self.links.iter().any(|link| matches!(link.named(), Named::Match { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read(text: &str) -> Result<Vec<Option<String>>, Vec<Issue>> {
        let document = json::parse(text.as_bytes()).unwrap();
        let contents = Contents::of(&document, &["http://here/fhir"])?;
        let name = |place: usize| {
            let held = &contents.entries()[place];
            Some(format!("{}/{}", held.resource_type.as_deref()?, held.resource_id.as_deref()?))
        };
        let naming = |named: &Named| if let Named::Entry { place, .. } = named { name(*place) } else { None };
        Ok(contents.entries().iter().map(|held| contents.resource(held, naming).map(Cow::into_owned)).collect())
    }

    #[test]
    fn references_inside_become_what_the_resources_are_called_whatever_the_type_of_the_bundle() {
        for kind in TYPES {
            let text = format!(
                r#"{{"resourceType":"Bundle","type":"{kind}","entry":[
                {{"fullUrl":"urn:uuid:1","resource":{{"resourceType":"Patient","id":"p"}}}},
                {{"fullUrl":"http://there/fhir/Patient/q","resource":{{"resourceType":"Patient","id":"q"}}}},
                {{"resource":{{"resourceType":"Observation","subject":{{"reference":"urn:uuid:1"}}}}}},
                {{"resource":{{"resourceType":"Observation","subject":{{"reference":"http://there/fhir/Patient/q"}}}}}},
                {{"resource":{{"resourceType":"Observation","subject":{{"reference":"urn:uuid:2"}}}}}},
                {{"fullUrl":"urn:uuid:3"}}]}}"#
            );
            let subject = |reference: &str| {
                Some(format!(r#"{{"resourceType":"Observation","subject":{{"reference":"{reference}"}}}}"#))
            };
            let read = read(&text).unwrap();
            assert_eq!(read[2..], [subject("Patient/p"), subject("Patient/q"), subject("urn:uuid:2"), None], "{kind}");
        }
    }

    #[test]
    fn what_is_no_bundle_of_resources_is_refused_as_a_whole() {
        let kinds = ["history", "document", "message", "transaction-response", "batch-response"];
        for kind in kinds {
            let issues = read(&format!(r#"{{"resourceType":"Bundle","type":"{kind}"}}"#)).unwrap_err();
            assert_eq!(issues[0].expression.as_deref(), Some("Bundle.type"), "{kind}");
        }
        for text in [
            r#"{"resourceType":"Bundle"}"#,
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"shoe":1}]}"#,
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1"},{"fullUrl":"urn:uuid:1"}]}"#,
        ] {
            assert_eq!(read(text).unwrap_err().len(), 1, "{text}");
        }
    }
}
