//! The places of a text that the server writes, found once at parse.
//!
//! Only these bytes change: the value of `id`, those of `meta.versionId` and `meta.lastUpdated`, and what must be
//! inserted where they are missing. White space, order, escapes and digits of everything else stay.

use std::ops::Range;

use crate::{json::Value, resource::Version, temporal};

/// What one edit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The value of `id`.
    Id,
    /// The value of `meta.versionId`.
    VersionId,
    /// The value of `meta.lastUpdated`.
    LastUpdated,
    /// A whole member `id`, behind another one.
    IdMember,
    /// A whole member `meta`, behind another one.
    MetaMember,
    /// Members at the start of a `meta` that holds nothing else, or others.
    MetaStart { version_id: bool, last_updated: bool, comma: bool },
}

/// The edits of one text, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    edits: Vec<(Range<usize>, What)>,
}

impl Stamp {
    /// Finds the places in a resource that the structure check has passed.
    pub fn of(root: Value<'_>) -> Self {
        let mut edits = Vec::with_capacity(4);
        let after_type = root.get("resourceType").map_or(root.span().start + 1, |member| member.span().end);
        let id = root.get("id");
        let after_id = id.map_or(after_type, |id| id.span().end);
        edits.push(id.map_or((after_type..after_type, What::IdMember), |id| (id.span(), What::Id)));
        match root.get("meta") {
            Some(meta) => Self::of_meta(meta, &mut edits),
            None => edits.push((after_id..after_id, What::MetaMember)),
        }
        // A stable sort: of two insertions at one place, `id` stays before `meta`.
        edits.sort_by_key(|(place, _)| place.start);
        Self { edits }
    }

    fn of_meta(meta: Value<'_>, edits: &mut Vec<(Range<usize>, What)>) {
        let (version_id, last_updated) = (meta.get("versionId"), meta.get("lastUpdated"));
        if version_id.is_none() || last_updated.is_none() {
            let start = meta.span().start + 1;
            edits.push((
                start..start,
                What::MetaStart {
                    version_id: version_id.is_none(),
                    last_updated: last_updated.is_none(),
                    comma: !meta.is_empty(),
                },
            ));
        }
        edits.extend(version_id.map(|value| (value.span(), What::VersionId)));
        edits.extend(last_updated.map(|value| (value.span(), What::LastUpdated)));
    }

    /// Writes the text with the edits made.
    pub fn apply(&self, text: &str, id: &str, version: Version, last_updated_millis: i64) -> String {
        let version = version.to_string();
        let last_updated = temporal::instant(last_updated_millis);
        let mut out = String::with_capacity(text.len() + 160);
        let mut copied = 0;
        for (place, what) in &self.edits {
            out.push_str(&text[copied..place.start]);
            copied = place.end;
            match what {
                What::Id => push(&mut out, ["\"", id, "\""]),
                What::VersionId => push(&mut out, ["\"", &version, "\""]),
                What::LastUpdated => push(&mut out, ["\"", &last_updated, "\""]),
                What::IdMember => push(&mut out, [",\"id\":\"", id, "\""]),
                What::MetaMember => {
                    push(&mut out, [",\"meta\":{\"versionId\":\"", &version, "\""]);
                    push(&mut out, [",\"lastUpdated\":\"", &last_updated, "\"}"]);
                }
                What::MetaStart { version_id, last_updated: time, comma } => {
                    if *version_id {
                        push(&mut out, ["\"versionId\":\"", &version, "\""]);
                    }
                    if *version_id && *time {
                        out.push(',');
                    }
                    if *time {
                        push(&mut out, ["\"lastUpdated\":\"", &last_updated, "\""]);
                    }
                    if *comma {
                        out.push(',');
                    }
                }
            }
        }
        out.push_str(&text[copied..]);
        out
    }
}

fn push(out: &mut String, parts: [&str; 3]) {
    for part in parts {
        out.push_str(part);
    }
}
