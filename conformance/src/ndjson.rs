//! Files of resources, one a line.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A resource on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which line it is, counted from one.
    pub number: usize,
    /// Its type.
    pub resource_type: String,
    /// Its id; without one it cannot be asked for again.
    pub id: Option<String>,
    /// The line.
    pub text: &'a str,
}

impl Line<'_> {
    /// `Type/id`, where it has an id.
    pub fn address(&self) -> Option<String> {
        self.id.as_ref().map(|id| format!("{}/{id}", self.resource_type))
    }
}

/// A line that is no resource.
#[derive(Debug, thiserror::Error)]
#[error("line {number} is no resource")]
pub struct LineError {
    /// Which, counted from one.
    pub number: usize,
    #[source]
    source: serde_json::Error,
}

/// Reads the lines of a file; empty ones are passed over.
pub fn lines(text: &str) -> Result<Vec<Line<'_>>, LineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        resource_type: String,
        id: Option<String>,
    }

    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    written
        .map(|(at, line)| {
            let head: Head = serde_json::from_str(line).map_err(|source| LineError { number: at + 1, source })?;
            Ok(Line { number: at + 1, resource_type: head.resource_type, id: head.id, text: line })
        })
        .collect()
}

/// The lines that can be asked for again, by `Type/id`; of several with one address the last, which replaced the others.
pub fn last_of_each<'a>(lines: &[Line<'a>]) -> BTreeMap<String, &'a str> {
    lines.iter().filter_map(|line| Some((line.address()?, line.text))).collect()
}
