//! Bundles as they are posted to a base: batches and transactions (<https://hl7.org/fhir/R4/bundle.html>), taken apart
//! by the places of their text. Resources stay text: what is written of an entry are the bytes that came, but for the
//! references that name other entries.

mod contents;
mod links;

use std::{borrow::Cow, collections::HashMap, fmt, ops::Range};

use crate::{
    json::{self, Value},
    outcome::{Issue, IssueCode},
    structure,
};

pub use contents::{Contents, Held};
pub use links::Named;
use links::{FullUrls, Link};

/// Most entries of a Bundle.
pub const MOST_ENTRIES: usize = 5_000;
/// Most bytes of a Bundle.
pub const MOST_BYTES: usize = 50 * 1024 * 1024;
/// Most JSON values of a Bundle. An Observation has one for each 12 to 15 bytes of it, so that this is more than the
/// largest Bundle of resources needs, and keeps the memory of the parse at twice the text.
pub const MOST_VALUES: usize = 4_500_000;

/// What is to become of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleKind {
    /// Each stands for itself.
    Batch,
    /// All or none.
    Transaction,
}

impl BundleKind {
    /// The code of the interaction, and of `Bundle.type`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Transaction => "transaction",
        }
    }
}

/// Why a Bundle is not taken at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is malformed or against a rule.
    Issues(Vec<Issue>),
    /// It is more than is taken.
    TooLarge(Issue),
}

impl From<Issue> for Refused {
    fn from(issue: Issue) -> Self {
        Self::Issues(vec![issue])
    }
}

/// A batch or transaction.
pub struct Bundle {
    text: String,
    kind: BundleKind,
    entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, Default)]
pub struct Entry {
    /// What it asks for.
    pub request: Option<Request>,
    /// Where its resource stands.
    resource: Option<Range<usize>>,
    /// The id that its resource carries, if it is a text.
    pub resource_id: Option<String>,
    /// References that name other entries, or a resource by what it is found by.
    links: Vec<Link>,
}

/// `Bundle.entry.request`, unjudged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// `ifMatch`
    pub if_match: Option<String>,
    /// `ifNoneExist`
    pub if_none_exist: Option<String>,
    /// `ifNoneMatch`
    pub if_none_match: Option<String>,
    /// `ifModifiedSince`
    pub if_modified_since: Option<String>,
}

impl Bundle {
    /// Takes a body apart. `bases` are the tenant's own base URLs, without a slash at the end.
    pub fn parse(bytes: Vec<u8>, bases: &[&str]) -> Result<Self, Refused> {
        let (kind, entries) = {
            let document = json::parse_within(&bytes, MOST_VALUES).map_err(|error| match error.code {
                IssueCode::TooCostly => Refused::TooLarge(error.into()),
                _ => Refused::Issues(vec![error.into()]),
            })?;
            read(&document, bases)?
        };
        // The parse has told that it is UTF-8.
        let text = String::from_utf8(bytes)
            .map_err(|_| Issue::error(IssueCode::Structure, "the body is not UTF-8"))
            .map_err(Refused::from)?;
        Ok(Self { text, kind, entries })
    }

    /// Batch or transaction.
    pub const fn kind(&self) -> BundleKind {
        self.kind
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The resource of an entry with what its references name put in the place of the references; where `naming` knows
    /// nothing, they stay as they are.
    pub fn resource(&self, entry: usize, naming: impl Fn(&Named) -> Option<String>) -> Option<Cow<'_, str>> {
        let entry = self.entries.get(entry)?;
        let span = entry.resource.clone()?;
        Some(links::replaced(&self.text, span, &entry.links, naming))
    }

    /// What the references of an entry name.
    pub fn named(&self, entry: usize) -> impl Iterator<Item = &Named> {
        self.entries.get(entry).into_iter().flat_map(|entry| entry.links.iter().map(Link::named))
    }
}

impl fmt::Debug for Bundle {
    /// Says how much there is and nothing of what is in it: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({}, {} entries, {} bytes)", self.kind.code(), self.entries.len(), self.text.len())
    }
}

impl Entry {
    /// Whether it has a resource.
    pub const fn has_resource(&self) -> bool {
        self.resource.is_some()
    }
}

fn read(document: &json::Document<'_>, bases: &[&str]) -> Result<(BundleKind, Vec<Entry>), Refused> {
    let root = document.root();
    if root.get("entry").is_some_and(|entries| entries.items().take(MOST_ENTRIES + 1).count() > MOST_ENTRIES) {
        let diagnostics = format!("a Bundle may have {MOST_ENTRIES} entries");
        return Err(Refused::TooLarge(Issue::error(IssueCode::TooCostly, diagnostics).at("Bundle.entry")));
    }
    let issues = structure::check_envelope(document);
    if !issues.is_empty() {
        return Err(Refused::Issues(issues));
    }
    let kind = match root.get("type").and_then(Value::string).as_deref() {
        Some("batch") => BundleKind::Batch,
        Some("transaction") => BundleKind::Transaction,
        _ => {
            let diagnostics = "a Bundle that is posted to the base is a batch or a transaction";
            return Err(Issue::error(IssueCode::Invalid, diagnostics).at("Bundle.type").into());
        }
    };
    let items: Vec<Value<'_>> = root.get("entry").into_iter().flat_map(Value::items).collect();
    let urls = match kind {
        // References of a batch are nobody's business but their target's: its entries do not know each other.
        BundleKind::Batch => None,
        BundleKind::Transaction => Some(FullUrls::of(&items, bases)?),
    };
    let entries = items.iter().enumerate().map(|(place, item)| entry(place, *item, urls.as_ref())).collect();
    Ok((kind, entries))
}

fn entry(place: usize, item: Value<'_>, urls: Option<&FullUrls<'_>>) -> Entry {
    let text = |of: Value<'_>, name: &str| of.get(name).and_then(Value::string).map(Cow::into_owned);
    let request = item.get("request").map(|request| Request {
        method: text(request, "method").unwrap_or_default(),
        url: text(request, "url").unwrap_or_default(),
        if_match: text(request, "ifMatch"),
        if_none_exist: text(request, "ifNoneExist"),
        if_none_match: text(request, "ifNoneMatch"),
        if_modified_since: text(request, "ifModifiedSince"),
    });
    let resource = item.get("resource");
    Entry {
        request,
        resource: resource.map(Value::span),
        resource_id: resource.and_then(|resource| text(resource, "id")),
        links: match (resource, urls) {
            (Some(resource), Some(urls)) => urls.links(place, resource),
            _ => Vec::new(),
        },
    }
}

/// Which entry stands under which full URL.
type Places = HashMap<String, usize>;

#[cfg(test)]
mod tests;
