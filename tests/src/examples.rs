//! The files of real data, and the official examples among them that break a rule themselves.

use std::path::PathBuf;

use serde_json::Value;

/// An example that is refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Name of the file that it stands in.
    pub file: &'static str,
    /// Its type.
    pub resource_type: &'static str,
    /// Its id.
    pub id: &'static str,
    /// Code of the one issue.
    pub code: &'static str,
    /// Where the issue is.
    pub expression: &'static str,
    /// Why that is right.
    pub reason: &'static str,
}

/// The list that the validator's own tests have, in order.
pub fn refused() -> Vec<Refused> {
    let lines = include_str!("../../fhir-profiles/tests/refused.tsv").lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let refused = fields.map(|fields| match fields[..] {
        [file, resource_type, id, code, expression, reason] => {
            Refused { file, resource_type, id, code, expression, reason }
        }
        _ => panic!("six columns, not {fields:?}"),
    });
    let mut refused: Vec<_> = refused.collect();
    refused.sort_unstable();
    refused
}

impl Refused {
    /// Panics unless this is why a line was refused: one issue, and the one that is known.
    #[track_caller]
    pub fn is_why(&self, issues: &Value) {
        assert_eq!(issues.as_array().map(Vec::len), Some(1), "{self:?}: {issues}");
        assert_eq!(issues[0]["code"], self.code, "{self:?}: {issues}");
        assert_eq!(issues[0]["expression"][0], self.expression, "{self:?}: {issues}");
    }
}

/// The files of real data in order, each with its name and text; none where there is no folder of them.
pub fn files() -> Option<Vec<(PathBuf, String, String)>> {
    let entries = std::fs::read_dir(crate::test_data()?).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        (path, name, text)
    };
    Some(paths.into_iter().map(file).collect())
}
