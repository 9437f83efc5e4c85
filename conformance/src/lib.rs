//! Whether a resource came back as it was written: to the digit, member by member and in the same order.
//!
//! The server keeps what it is given and sets `id` (where there was none), `meta.versionId` and `meta.lastUpdated`;
//! everything else is the writer's. Numbers are compared as texts, because `120.00` says more than `120.0` and both
//! are the same to a computer. This is written on `serde_json` and not on the server's own parser, so that a fault
//! there does not hide itself.

mod json;
mod ndjson;
mod refused;

use std::fmt;

use json::{Json, Member};
pub use ndjson::{Line, LineError, last_of_each, lines};
pub use refused::{EXCEPTIONS, Exception, Issue, Judged, Refusal, exceptions, judge, refusals};

/// The members of `meta` that are the server's.
const SET_BY_SERVER: [&str; 2] = ["versionId", "lastUpdated"];

/// One place where what was read is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, such as `Observation.component[1].valueQuantity.value`.
    pub path: String,
    /// What.
    pub kind: Kind,
}

/// How a place differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was written and did not come back.
    Lost,
    /// It came back and was not written.
    Added,
    /// A member came back twice.
    Twice,
    /// Members came back in another order.
    Reordered,
    /// Its value differs: as written, and as read.
    Changed(String, String),
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Lost => write!(formatter, "{} did not come back", self.path),
            Kind::Added => write!(formatter, "{} was not written", self.path),
            Kind::Twice => write!(formatter, "{} came back twice", self.path),
            Kind::Reordered => write!(formatter, "the members of {} came back in another order", self.path),
            Kind::Changed(written, read) => write!(formatter, "{} was {written} and is {read}", self.path),
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Where the texts differ.
    pub differences: Vec<Difference>,
    /// How many numbers came back to the digit.
    pub numbers: usize,
}

/// Compares a resource as it was written with what was read back.
pub fn compare(written: &str, read: &str) -> Result<Comparison, serde_json::Error> {
    let (written, read) = (Json::parse(written)?, Json::parse(read)?);
    let mut comparison = Comparison::default();
    let (Json::Object(mut written), Json::Object(mut read)) = (written, read) else {
        comparison.add("resource", Kind::Changed("an object".to_owned(), "something else".to_owned()));
        return Ok(comparison);
    };
    let kind = written.iter().find(|member| member.name == "resourceType").map(|member| member.value);
    let path = kind.map_or("resource", |text| text.trim_matches('"')).to_owned();
    let has_id = written.iter().any(|member| member.name == "id");
    read.retain(|member| has_id || member.name != "id");
    let metas = (take_meta(&mut written)?, take_meta(&mut read)?);
    comparison.members(&path, &written, &read)?;
    comparison.members(&format!("{path}.meta"), &metas.0, &metas.1)?;
    Ok(comparison)
}

/// Takes `meta` out and returns what in it is the writer's.
fn take_meta<'a>(members: &mut Vec<Member<'a>>) -> Result<Vec<Member<'a>>, serde_json::Error> {
    let Some(at) = members.iter().position(|member| member.name == "meta") else { return Ok(Vec::new()) };
    let Json::Object(mut meta) = Json::parse(members[at].value)? else { return Ok(Vec::new()) };
    members.remove(at);
    meta.retain(|member| !SET_BY_SERVER.contains(&member.name.as_str()));
    Ok(meta)
}

impl Comparison {
    fn add(&mut self, path: &str, kind: Kind) {
        self.differences.push(Difference { path: path.to_owned(), kind });
    }

    fn members(&mut self, path: &str, written: &[Member<'_>], read: &[Member<'_>]) -> Result<(), serde_json::Error> {
        let find = |members: &[Member<'_>], name: &str| members.iter().position(|member| member.name == name);
        let mut order = Vec::new();
        for member in written {
            let below = format!("{path}.{}", member.name);
            match find(read, &member.name) {
                None => self.add(&below, Kind::Lost),
                Some(at) => {
                    order.push(at);
                    self.value(&below, member.value, read[at].value)?;
                }
            }
        }
        for (at, member) in read.iter().enumerate() {
            let below = format!("{path}.{}", member.name);
            if find(read, &member.name) != Some(at) {
                self.add(&below, Kind::Twice);
            } else if find(written, &member.name).is_none() {
                self.add(&below, Kind::Added);
            }
        }
        if !order.is_sorted() {
            self.add(path, Kind::Reordered);
        }
        Ok(())
    }

    fn value(&mut self, path: &str, written: &str, read: &str) -> Result<(), serde_json::Error> {
        match (Json::parse(written)?, Json::parse(read)?) {
            (Json::Object(written), Json::Object(read)) => self.members(path, &written, &read)?,
            (Json::Array(written), Json::Array(read)) => {
                for (at, written) in written.iter().enumerate() {
                    let below = format!("{path}[{at}]");
                    match read.get(at) {
                        None => self.add(&below, Kind::Lost),
                        Some(read) => self.value(&below, written, read)?,
                    }
                }
                for at in written.len()..read.len() {
                    self.add(&format!("{path}[{at}]"), Kind::Added);
                }
            }
            // The same characters, whichever way they were escaped.
            (Json::String(written), Json::String(read)) if written == read => {}
            (Json::Number(written), Json::Number(read)) if written == read => self.numbers += 1,
            (Json::Word(written), Json::Word(read)) if written == read => {}
            _ => self.add(path, Kind::Changed(short(written), short(read))),
        }
        Ok(())
    }
}

/// A value for people, cut where it is long.
fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
