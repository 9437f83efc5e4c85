//! The rules, without any I/O.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{Asked, Found, Outcome, Sent, Standing};

/// Everything that is against the rules L1 to L6, one sentence each.
pub(super) fn breaches(sent: &[Sent], found: &Found) -> Vec<String> {
    let mut breaches = Vec::new();
    let marked = marked(found);
    for one in sent {
        acknowledged(one, found, &mut breaches);
        written(one, &marked, &mut breaches);
        recorded(one, found, &mut breaches);
    }
    transactions(sent, &marked, &mut breaches);
    for ((kind, id), versions) in &found.versions {
        numbered(kind, id, versions, &mut breaches);
        let (sure, open) = found.writes(kind, id);
        if !(sure..=sure + open).contains(&versions.len()) {
            let count = versions.len();
            breaches.push(format!("L5 {kind}/{id}: {count} versions, {sure} writes in the trail, {open} in doubt"));
        }
    }
    breaches.extend(found.foreign.iter().map(|row| format!("L6 {row}")));
    breaches
}

/// Where each mark stands.
fn marked(found: &Found) -> HashMap<&str, Vec<&Standing>> {
    let mut marked: HashMap<&str, Vec<&Standing>> = HashMap::new();
    for standing in found.versions.values().flatten() {
        if let Some(mark) = mark(&standing.content) {
            marked.entry(mark).or_default().push(standing);
        }
    }
    marked
}

/// The mark in a resource.
fn mark(content: &Value) -> Option<&str> {
    content["identifier"].as_array()?.iter().filter_map(|identifier| identifier["value"].as_str()).next_back()
}

/// L1
fn acknowledged(one: &Sent, found: &Found, breaches: &mut Vec<String>) {
    let Outcome::Acknowledged { id, version, body, .. } = &one.outcome else { return };
    let (kind, asked) = (one.kind, one.asked);
    let standing = found.versions.get(&(kind.to_owned(), id.clone()));
    let standing = standing.and_then(|versions| versions.iter().find(|standing| standing.version == *version));
    let Some(standing) = standing else {
        breaches.push(format!("L1 {asked:?} of {kind}/{id}: version {version} is lost"));
        return;
    };
    if standing.deleted != (asked == Asked::Delete) {
        breaches.push(format!("L1 {asked:?} of {kind}/{id}: version {version} is deleted or not, the wrong way"));
    }
    if let (Some(body), Some(text)) = (body, found.texts.get(&(kind.to_owned(), id.clone(), *version)))
        && body != text
    {
        breaches.push(format!("L1 {asked:?} of {kind}/{id}: version {version} reads otherwise: {text}, not {body}"));
    }
}

/// L2
fn written(one: &Sent, marked: &HashMap<&str, Vec<&Standing>>, breaches: &mut Vec<String>) {
    if matches!(one.asked, Asked::Read | Asked::Delete) {
        return;
    }
    let found = marked.get(one.mark.as_str()).map_or(&[][..], Vec::as_slice);
    let (kind, mark) = (one.kind, &one.mark);
    match (&one.outcome, found.len()) {
        (Outcome::Refused(status), 1..) => {
            breaches.push(format!("L2 {kind} {mark}: refused with {status}, and is there"));
        }
        (_, 2..) => breaches.push(format!("L2 {kind} {mark}: is there {} times", found.len())),
        _ => {}
    }
    for standing in found {
        if plain(&standing.content) != plain(&one.content) {
            breaches.push(format!("L2 {kind} {mark}: is not whole: {}", standing.content));
        }
    }
}

/// A resource without what the server sets.
fn plain(content: &Value) -> Value {
    let mut content = content.clone();
    if let Some(members) = content.as_object_mut() {
        members.shift_remove("id");
        members.shift_remove("meta");
    }
    content
}

/// L3
fn transactions(sent: &[Sent], marked: &HashMap<&str, Vec<&Standing>>, breaches: &mut Vec<String>) {
    let mut transactions: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for one in sent {
        if let Asked::Entry(transaction) = one.asked {
            let (all, there) = transactions.entry(transaction).or_default();
            *all += 1;
            *there += usize::from(marked.contains_key(one.mark.as_str()));
        }
    }
    for (transaction, (all, there)) in transactions {
        if there != 0 && there != all {
            breaches.push(format!("L3 transaction {transaction}: {there} of {all} entries are there"));
        }
    }
}

/// L4
fn numbered(kind: &str, id: &str, versions: &[Standing], breaches: &mut Vec<String>) {
    let mut versions: Vec<(i64, &str)> =
        versions.iter().map(|standing| (standing.version, standing.last_updated.as_str())).collect();
    versions.sort_unstable();
    let numbers: Vec<i64> = versions.iter().map(|(version, _)| *version).collect();
    let newest = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
    if !numbers.iter().copied().eq(1..=newest) {
        breaches.push(format!("L4 {kind}/{id}: versions {numbers:?}"));
    }
    // Instants of one form, to the millisecond and in UTC: as texts they stand in their order.
    if !versions.windows(2).all(|pair| pair[0].1 < pair[1].1) {
        breaches.push(format!("L4 {kind}/{id}: times that do not ascend: {versions:?}"));
    }
}

/// L5
fn recorded(one: &Sent, found: &Found, breaches: &mut Vec<String>) {
    let Outcome::Acknowledged { id, version, request, .. } = &one.outcome else { return };
    let (kind, asked) = (one.kind, one.asked);
    let records = found.records.get(request).map_or(&[][..], Vec::as_slice);
    let [record] = records else {
        breaches.push(format!("L5 {asked:?} of {kind}/{id} {version}: {} records", records.len()));
        return;
    };
    let told = match asked {
        Asked::Entry(_) => record["entries"].as_array().is_some_and(|entries| {
            entries.iter().any(|entry| entry["type"] == kind && entry["id"] == id.as_str() && is_allowed(entry))
        }),
        _ => record["type"] == kind && record["id"] == id.as_str() && record["version"] == *version,
    };
    if !told || !is_allowed(record) {
        breaches.push(format!("L5 {asked:?} of {kind}/{id} {version}: the record tells another thing: {record}"));
    }
}

/// Whether a record, or an entry of one, says that something was done.
pub(super) fn is_allowed(record: &Value) -> bool {
    record["decision"] == "allowed"
}
