//! Narratives: txt-1 (basic HTML and nothing that acts) and txt-2 (something to read)
//! (<https://hl7.org/fhir/R4/narrative.html>).
//!
//! The text is read as strict XML, and also refused where an HTML parser would see another document than we do: what
//! a browser makes of it must be what was checked. Nothing is cleaned; a narrative is taken as it is or not at all.

mod attribute;
mod xhtml;

use std::sync::LazyLock;

use vitals_fhir::json::Value;

use crate::{
    place::{Issues, Place},
    types::rows,
};

/// What is wrong with a narrative, and at which byte of it.
#[derive(Debug)]
struct Fault {
    key: &'static str,
    message: &'static str,
    at: usize,
}

/// Checks the `div` of a Narrative.
pub(crate) fn check(narrative: Value<'_>, place: &Place<'_>, issues: &mut Issues) {
    let Some(div) = narrative.get("div").and_then(Value::string) else { return };
    if let Err(fault) = xhtml::check(&div) {
        issues.broken(fault.key, &place.child("div"), &format!("{} (at byte {})", fault.message, fault.at));
    }
}

/// The elements that are allowed, in order, each with its own attributes; the first is `*` with those of all.
static ALLOWED: LazyLock<Vec<(&str, Vec<&str>)>> = LazyLock::new(|| {
    let table = rows(include_str!("../data/narrative.tsv"));
    let mut all: Vec<_> =
        table.map(|[element, own]: [&'static str; 2]| (element, own.split_ascii_whitespace().collect())).collect();
    all.sort_unstable();
    all
});

fn is_element(name: &str) -> bool {
    name != "*" && own_attributes(name).is_some()
}

fn is_attribute(element: &str, name: &str) -> bool {
    ["*", element].into_iter().filter_map(own_attributes).any(|own| own.contains(&name))
}

fn own_attributes(element: &str) -> Option<&'static [&'static str]> {
    let at = ALLOWED.binary_search_by(|(name, _)| (*name).cmp(element)).ok()?;
    Some(&ALLOWED[at].1)
}

#[cfg(test)]
mod tests;
