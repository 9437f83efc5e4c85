//! A chunk of a file into batches of resources that are good, and lines that tell what is wrong with the others.

use std::fmt::Write as _;

use vitals_fhir::{
    bundle::{Contents, Held, MOST_VALUES, Named},
    json::{self, Document, Value},
    outcome::{self, Issue, IssueCode},
    resource::{ResourceType, is_id},
};
use vitals_store::imports::{Place, Tally};

use super::{
    chunks::{Chunk, Content, Line},
    files::Namer,
};
use crate::job::load::{self, Batch, Parsed};

/// Resources in one transaction, with one audit record.
const PART: u64 = 1_000;
/// Issues of one resource that are told: whoever repairs these finds the others.
const MOST_ISSUES: usize = 20;

/// Resources that are judged, and what was wrong with others among them.
#[derive(Debug)]
pub struct Judged {
    /// Where in the files they stand.
    pub place: Place,
    /// The good ones.
    pub batch: Batch,
    /// How many of each.
    pub tally: Tally,
    /// What was refused and why, as lines of JSON.
    pub errors: String,
}

/// Judges what stands in the lines of one file.
pub struct Judge<'j> {
    /// The tenant's own base URLs.
    pub bases: &'j [String],
    /// How the file is called.
    pub name: &'j str,
    /// Its number.
    pub file: i32,
    /// Names what has no id.
    pub namer: Namer,
}

impl Judge<'_> {
    /// Judges a chunk. Whoever judges it again gets the same batches.
    pub fn chunk(&self, chunk: &Chunk) -> Vec<Judged> {
        let mut parts = Parts { judge: self, chunk: chunk.number, batches: Vec::new() };
        for line in &chunk.lines {
            match chunk.content(line) {
                Content::Text(text) => self.text(line, text, &mut parts),
                Content::TooLong(most) => {
                    let diagnostics = format!("This is longer than {most} MB: write one resource in each line.");
                    parts.refuse(line, None, &[Issue::error(IssueCode::TooLong, diagnostics)]);
                }
                Content::BreaksOff => {
                    let diagnostics = "The gzip stream breaks off or is broken here: nothing more of the file can be \
                                       read. What stands before was loaded.";
                    parts.refuse(line, None, &[Issue::error(IssueCode::Structure, diagnostics)]);
                }
            }
        }
        let all = i32::try_from(parts.batches.len()).unwrap_or(i32::MAX);
        for part in &mut parts.batches {
            part.place.parts = all;
        }
        parts.batches
    }

    fn text(&self, line: &Line, text: &[u8], parts: &mut Parts<'_>) {
        let document = match json::parse_within(text, MOST_VALUES) {
            Ok(document) => document,
            Err(error) => return parts.refuse(line, None, &[error.into()]),
        };
        if document.root().get("resourceType").and_then(Value::string).as_deref() == Some("Bundle") {
            return self.bundle(line, &document, parts);
        }
        parts.take(line, None, load::judge(&document, self.bases, || self.namer.id(line.number, None)));
    }

    fn bundle(&self, line: &Line, document: &Document<'_>, parts: &mut Parts<'_>) {
        let bases: Vec<&str> = self.bases.iter().map(String::as_str).collect();
        let contents = match Contents::of(document, &bases) {
            Ok(contents) => contents,
            Err(issues) => return parts.refuse(line, None, &issues),
        };
        // What each is called, whether it is good or not: it may come in another file.
        let name = |(place, held): (usize, &Held)| {
            let kind = held.resource_type.as_deref().and_then(ResourceType::named)?;
            let id = match &held.resource_id {
                Some(id) if is_id(id) => id.clone(),
                Some(_) => return None,
                None => self.namer.id(line.number, Some(place)),
            };
            Some(format!("{kind}/{id}"))
        };
        let names: Vec<Option<String>> = contents.entries().iter().enumerate().map(name).collect();
        let naming = |named: &Named| match named {
            Named::Entry { place, .. } => names.get(*place).cloned().flatten(),
            Named::Match { .. } => None,
        };
        for (place, held) in contents.entries().iter().enumerate() {
            let Some(text) = contents.resource(held, naming) else {
                let diagnostics = "The entry has no resource, and an import does nothing but load resources.";
                parts.refuse(line, Some(place), &[Issue::error(IssueCode::NotSupported, diagnostics)]);
                continue;
            };
            if let Some(issue) = against(held) {
                parts.refuse(line, Some(place), &[issue]);
                continue;
            }
            let judged = json::parse(text.as_bytes())
                .map_err(|error| vec![Issue::from(error)])
                .and_then(|document| load::judge(&document, self.bases, || self.namer.id(line.number, Some(place))));
            parts.take(line, Some(place), judged);
        }
    }
}

/// What an entry asks for that an import would do wrong: it puts resources at their ids, whatever stands elsewhere.
fn against(held: &Held) -> Option<Issue> {
    held.resource_type.as_deref().and_then(ResourceType::named)?;
    let refuse = |diagnostics: &str, expression: &str| {
        Some(Issue::error(IssueCode::NotSupported, diagnostics).at(expression.to_owned()))
    };
    let url = held.url.as_deref().unwrap_or_default();
    match held.method.as_deref() {
        None | Some("POST" | "PUT") => {}
        Some(_) => {
            return refuse("An import loads what is posted or put; send the rest to the base.", "Bundle.entry.request");
        }
    }
    if held.if_none_exist || held.refers_by_criteria() || held.method.as_deref() == Some("PUT") && url.contains('?') {
        return refuse(
            "This hangs on what a search finds, which an import does not ask; send it to the base as a transaction.",
            "Bundle.entry",
        );
    }
    let id = url.rsplit('/').next().unwrap_or_default();
    if held.method.as_deref() == Some("PUT") && held.resource_id.as_deref() != Some(id) {
        return refuse("The resource has another id than the address it is put to.", "Bundle.entry.request.url");
    }
    None
}

/// The batches of a chunk while they fill.
struct Parts<'j> {
    judge: &'j Judge<'j>,
    chunk: i32,
    /// All but the last are full.
    batches: Vec<Judged>,
}

impl Parts<'_> {
    /// The batch that has room for one more.
    fn room(&mut self) -> &mut Judged {
        if self.batches.last().is_none_or(|part| part.tally.read >= PART) {
            let part = i32::try_from(self.batches.len()).unwrap_or(i32::MAX);
            self.batches.push(Judged {
                place: Place { file: self.judge.file, chunk: self.chunk, part, parts: 0 },
                batch: Batch::default(),
                tally: Tally::default(),
                errors: String::new(),
            });
        }
        let last = self.batches.len() - 1;
        &mut self.batches[last]
    }

    fn take(&mut self, line: &Line, entry: Option<usize>, judged: Result<Parsed, Vec<Issue>>) {
        match judged {
            Ok(parsed) => {
                let part = self.room();
                part.tally.read += 1;
                part.tally.loaded += 1;
                part.batch.push(parsed);
            }
            Err(issues) => self.refuse(line, entry, &issues),
        }
    }

    fn refuse(&mut self, line: &Line, entry: Option<usize>, issues: &[Issue]) {
        let name = self.judge.name;
        let part = self.room();
        part.tally.read += 1;
        part.tally.refused += 1;
        part.errors.push_str("{\"file\":");
        outcome::push_string(&mut part.errors, name);
        // Writing to a text does not fail.
        write!(part.errors, ",\"line\":{}", line.number).ok();
        if let Some(entry) = entry {
            write!(part.errors, ",\"entry\":{entry}").ok();
        }
        part.errors.push_str(",\"issues\":");
        outcome::push_issues(&mut part.errors, &issues[..issues.len().min(MOST_ISSUES)]);
        part.errors.push_str("}\n");
    }
}

#[cfg(test)]
mod tests;
