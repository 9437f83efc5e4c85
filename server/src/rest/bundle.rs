//! Bundles around stored texts, which go in as they are (<https://hl7.org/fhir/R4/bundle.html>).

use vitals_fhir::{
    outcome::{self, push_string},
    resource::Resource,
    search::{Query, Shown},
    subset::subset,
    temporal,
};
use vitals_store::rows::{History, Page};

/// The links of a Bundle.
pub struct Links {
    /// The request as it was understood.
    pub itself: String,
    /// The page that follows.
    pub next: Option<String>,
}

impl Links {
    /// Writes them behind what a Bundle has so far.
    pub(super) fn push(&self, out: &mut String) {
        out.push_str(r#","link":[{"relation":"self","url":"#);
        push_string(out, &self.itself);
        out.push('}');
        if let Some(next) = &self.next {
            out.push_str(r#",{"relation":"next","url":"#);
            push_string(out, next);
            out.push('}');
        }
        out.push(']');
    }
}

fn open(kind: &str, total: Option<u64>, links: &Links, capacity: usize) -> String {
    let mut out = String::with_capacity(capacity);
    out.push_str(r#"{"resourceType":"Bundle","type":""#);
    out.push_str(kind);
    out.push('"');
    if let Some(total) = total {
        out.push_str(r#","total":"#);
        out.push_str(&total.to_string());
    }
    links.push(&mut out);
    out
}

/// A searchset.
pub fn searchset<R: Resource>(
    page: &Page<R>,
    base: &str,
    links: &Links,
    total: Option<u64>,
    query: &Query<R>,
) -> String {
    let warnings = &query.ignored;
    let size: usize = page.found.iter().map(|found| found.resource.body.len() + 200).sum();
    let mut out = open("searchset", total, links, size + 512);
    let mut separator = r#","entry":["#;
    for found in &page.found {
        out.push_str(separator);
        separator = ",";
        out.push_str(r#"{"fullUrl":"#);
        push_string(&mut out, &format!("{base}/{}/{}", R::TYPE, found.resource.id));
        out.push_str(r#","resource":"#);
        match &query.shown {
            Shown::Elements(elements) => match subset(&found.resource.body, R::TYPE, elements) {
                Some(part) => out.push_str(&part),
                None => out.push_str(&found.resource.body),
            },
            Shown::Whole | Shown::Count => out.push_str(&found.resource.body),
        }
        out.push_str(r#","search":{"mode":"match"}}"#);
    }
    if !warnings.is_empty() {
        out.push_str(separator);
        separator = ",";
        out.push_str(r#"{"resource":"#);
        out.push_str(&outcome::to_json(warnings));
        out.push_str(r#","search":{"mode":"outcome"}}"#);
    }
    out.push_str(if separator == "," { "]}" } else { "}" });
    out
}

/// The history of one resource or of all of a type, newest first.
pub fn history<R: Resource>(history: &History<R>, base: &str, links: &Links, total: Option<u64>) -> String {
    let size: usize = history.entries.iter().map(|entry| entry.body.as_ref().map_or(0, String::len) + 320).sum();
    let mut out = open("history", total, links, size + 512);
    let mut separator = r#","entry":["#;
    for entry in &history.entries {
        out.push_str(separator);
        separator = ",";
        let place = format!("{}/{}", R::TYPE, entry.id);
        out.push_str(r#"{"fullUrl":"#);
        push_string(&mut out, &format!("{base}/{place}"));
        if let Some(body) = &entry.body {
            out.push_str(r#","resource":"#);
            out.push_str(body);
        }
        // What a version says of its making is the request that would make it again at this id: whether the id was the
        // client's or ours is not kept, so a create is told as PUT, too.
        let (method, status) = match (&entry.body, entry.created) {
            (None, _) => ("DELETE", "204"),
            (Some(_), true) => ("PUT", "201"),
            (Some(_), false) => ("PUT", "200"),
        };
        out.push_str(r#","request":{"method":""#);
        out.push_str(method);
        out.push_str(r#"","url":"#);
        push_string(&mut out, &place);
        out.push_str(r#"},"response":{"status":""#);
        out.push_str(status);
        out.push_str(r#"","etag":"W/\""#);
        out.push_str(&entry.version.to_string());
        out.push_str(r#"\"","lastModified":""#);
        out.push_str(&temporal::instant(entry.last_updated));
        out.push_str(r#""}}"#);
    }
    out.push_str(if separator == "," { "]}" } else { "}" });
    out
}
