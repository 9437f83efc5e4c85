//! References between the entries of a transaction: which there are, what they name, and how they are rewritten
//! (<https://hl7.org/fhir/R4/bundle.html#references>, <https://hl7.org/fhir/R4/http.html#trules>).

use std::{borrow::Cow, ops::Range};

use super::Places;
use crate::{
    json::{Kind, Value},
    outcome::{Issue, IssueCode},
    resource::{ResourceType, is_id},
};

/// Members that hold a URI by their type, beside `reference`: rewritten only where they are an entry's URN.
const URIS: [&str; 6] = ["url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid"];

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Another entry, or the same one; `written` is the reference without a base of ours.
    Entry {
        /// The entry's place.
        place: usize,
        /// How it is written.
        written: String,
    },
    /// The one resource of a type that meets some criteria (a conditional reference).
    Match {
        /// The type.
        resource: ResourceType,
        /// The criteria, as in a query string.
        criteria: String,
    },
}

/// A reference, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The bytes between the quotes.
    span: Range<usize>,
    named: Named,
}

impl Link {
    pub(super) const fn named(&self) -> &Named {
        &self.named
    }
}

/// The full URLs of a transaction.
pub(super) struct FullUrls<'b> {
    /// Entries by full URL; one below a base of ours stands without it.
    places: Places,
    /// Each entry's full URL without `Type/id`, where it ends so and is not ours.
    roots: Vec<Option<String>>,
    bases: &'b [&'b str],
}

impl<'b> FullUrls<'b> {
    /// Reads the full URLs; one that comes twice is refused (bdl-7).
    pub(super) fn of(items: &[Value<'_>], bases: &'b [&'b str]) -> Result<Self, Issue> {
        let mut urls = Self { places: Places::new(), roots: vec![None; items.len()], bases };
        for (place, item) in items.iter().enumerate() {
            let Some(url) = item.get("fullUrl").and_then(Value::string) else { continue };
            let key = urls.without_base(&url).to_owned();
            urls.roots[place] = root(&key).map(str::to_owned);
            if urls.places.insert(key, place).is_some() {
                let diagnostics = "two entries have the same fullUrl (bdl-7)";
                return Err(Issue::error(IssueCode::Invalid, diagnostics).at(format!("Bundle.entry[{place}].fullUrl")));
            }
        }
        Ok(urls)
    }

    fn without_base<'t>(&self, url: &'t str) -> &'t str {
        let below = |base: &&str| url.strip_prefix(*base)?.strip_prefix('/');
        self.bases.iter().find_map(below).unwrap_or(url)
    }

    /// The links of an entry's resource, in the order of their places.
    pub(super) fn links(&self, place: usize, resource: Value<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        self.walk(place, resource, &mut links);
        links
    }

    fn walk(&self, place: usize, value: Value<'_>, links: &mut Vec<Link>) {
        for (name, member) in value.members() {
            match member.kind() {
                Kind::Object | Kind::Array => self.walk(place, member, links),
                Kind::String => self.member(place, &name, member, links),
                _ => {}
            }
        }
        for item in value.items() {
            self.walk(place, item, links);
        }
    }

    fn member(&self, place: usize, name: &str, value: Value<'_>, links: &mut Vec<Link>) {
        let inside = value.span().start + 1..value.span().end - 1;
        if name == "reference" {
            let named = value.string().and_then(|text| self.named(place, &text).or_else(|| criteria(&text)));
            links.extend(named.map(|named| Link { span: inside, named }));
        } else if URIS.contains(&name) {
            let urn = value.string().filter(|text| text.starts_with("urn:"));
            let named = urn.and_then(|text| self.named(place, &text));
            links.extend(named.map(|named| Link { span: inside, named }));
        } else if name == "div" {
            self.narrative(place, value, inside.start, links);
        }
    }

    fn named(&self, place: usize, text: &str) -> Option<Named> {
        let written = self.without_base(text);
        let found = self.places.get(written).copied().or_else(|| {
            // Relative to where the entry itself stands.
            let root = self.roots.get(place)?.as_deref()?;
            is_relative(written).then(|| self.places.get(&format!("{root}{written}")).copied()).flatten()
        })?;
        Some(Named::Entry { place: found, written: written.to_owned() })
    }

    /// `href` and `src` of a narrative that are an entry's URN.
    fn narrative(&self, place: usize, value: Value<'_>, start: usize, links: &mut Vec<Link>) {
        let raw = value.raw();
        let before = links.len();
        for attribute in ["href=", "src="] {
            for (at, _) in raw.match_indices(attribute) {
                let rest = &raw[at + attribute.len()..];
                let Some(quote) = ["\\\"", "'"].into_iter().find(|quote| rest.starts_with(quote)) else { continue };
                let begin = at + attribute.len() + quote.len();
                let Some(length) = raw[begin..].find(quote) else { continue };
                let text = &raw[begin..begin + length];
                if let (true, Some(named)) = (text.starts_with("urn:"), self.named(place, text)) {
                    links.push(Link { span: start + begin..start + begin + length, named });
                }
            }
        }
        links[before..].sort_by_key(|link| link.span.start);
    }
}

/// A conditional reference: `Type?criteria`.
fn criteria(text: &str) -> Option<Named> {
    let (kind, criteria) = text.split_once('?')?;
    Some(Named::Match { resource: ResourceType::named(kind)?, criteria: criteria.to_owned() })
}

/// Whether this is `Type/id`.
fn is_relative(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, id)| {
        is_id(id)
            && kind.starts_with(|first: char| first.is_ascii_uppercase())
            && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// What stands before `Type/id` at the end of an absolute URL.
fn root(url: &str) -> Option<&str> {
    let (before, _) = url.rsplit_once('/')?;
    let (root, _) = before.rsplit_once('/')?;
    let end = root.len() + 1;
    (root.contains("://") && is_relative(&url[end..])).then(|| &url[..end])
}

/// The text of a span with the links in it replaced.
pub(super) fn replaced<'t>(
    text: &'t str,
    span: Range<usize>,
    links: &[Link],
    naming: impl Fn(&Named) -> Option<String>,
) -> Cow<'t, str> {
    let mut out = String::new();
    let mut copied = span.start;
    for link in links {
        let Some(name) = naming(&link.named) else { continue };
        if matches!(&link.named, Named::Entry { written, .. } if *written == name) {
            // It says so already, whatever base it says it with.
            continue;
        }
        out.push_str(&text[copied..link.span.start]);
        out.push_str(&name);
        copied = link.span.end;
    }
    if copied == span.start {
        return Cow::Borrowed(&text[span]);
    }
    out.push_str(&text[copied..span.end]);
    Cow::Owned(out)
}
