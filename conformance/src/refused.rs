//! Official examples that break a rule themselves have to be refused, for the reason that is known, and nothing else.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::Line;

/// An example that has to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception<'a> {
    /// Name of its file.
    pub file: &'a str,
    /// Its address, such as `Observation/f202`.
    pub address: String,
    /// Code of the one issue.
    pub code: &'a str,
    /// Where the issue is.
    pub expression: &'a str,
}

/// The list of the validator's own tests, in which each has its reason.
pub const EXCEPTIONS: &str = include_str!("../../fhir-profiles/tests/refused.tsv");

/// Reads such a list; a line that is not of six columns is none.
pub fn exceptions(list: &str) -> Vec<Exception<'_>> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(exception).collect()
}

fn exception(line: &str) -> Option<Exception<'_>> {
    let fields: Vec<_> = line.split('\t').collect();
    let [file, kind, id, code, expression, _reason] = fields[..] else { return None };
    Some(Exception { file, address: format!("{kind}/{id}"), code, expression })
}

/// A line that an import refused, as its errors file has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Refusal {
    /// The file as it was named.
    pub file: String,
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub issues: Vec<Issue>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Issue {
    /// Its code.
    pub code: String,
    /// Where: the one place of a list, as an OperationOutcome has it.
    #[serde(default)]
    pub expression: Vec<String>,
}

/// Reads an errors file.
pub fn refusals(text: &str) -> Result<Vec<Refusal>, serde_json::Error> {
    text.lines().map(serde_json::from_str).collect()
}

/// Of one file, what had to be refused and was; and what was refused or taken against expectation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Why each was refused, by its address.
    pub refused: BTreeMap<String, String>,
    /// What should not be.
    pub faults: Vec<String>,
}

/// Holds what was refused of a file against what had to be.
pub fn judge(file: &str, lines: &[Line<'_>], refusals: &[Refusal], exceptions: &[Exception<'_>]) -> Judged {
    let name = Path::new(file).file_name().unwrap_or_default();
    let mut judged = Judged::default();
    for refusal in refusals.iter().filter(|refusal| refusal.file == file) {
        let line = lines.iter().find(|line| line.number == refusal.line);
        let address = line.and_then(Line::address).unwrap_or_default();
        let issues: Vec<_> = refusal.issues.iter().map(ToString::to_string).collect();
        let known = exceptions.iter().any(|exception| {
            name == exception.file && address == exception.address && issues == [exception.to_string()]
        });
        let why = issues.join(", ");
        if known {
            judged.refused.insert(address, why);
        } else {
            judged.faults.push(format!("{file} line {}: {address} was refused: {why}", refusal.line));
        }
    }
    for exception in exceptions.iter().filter(|exception| name == exception.file) {
        if !judged.refused.contains_key(&exception.address) {
            judged.faults.push(format!("{file}: {} was not refused for {exception}", exception.address));
        }
    }
    judged
}

impl std::fmt::Display for Issue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.code, self.expression.join(" "))
    }
}

impl std::fmt::Display for Exception<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.code, self.expression)
    }
}
