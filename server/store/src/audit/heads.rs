//! The ends of chains, to be kept outside the database: only they show that the newest records were removed, or that
//! a whole chain was written anew.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use vitals_access::witness::{self, Disbelief, Witness, WitnessKeys};

use super::row::Hash;

/// Where a writer's part of a chain ended when it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain: a tenant's role, or `server`.
    pub chain: String,
    /// The writer.
    pub writer: i64,
    /// The number of its last record.
    pub sequence: i64,
    /// The hash of that record, in hexadecimal digits.
    pub hash: String,
}

impl Head {
    pub(super) fn new(chain: &str, writer: i64, sequence: i64, hash: &Hash) -> Self {
        Self { chain: chain.to_owned(), writer, sequence, hash: witness::hexadecimal(hash) }
    }
}

/// The word that tells a head from other signed statements.
const HEAD: &str = "head";

/// A head as it is kept: one signed line (see [`vitals_access::witness`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    statement: String,
    time: String,
    chain: String,
    writer: i64,
    sequence: i64,
    hash: String,
    /// The fingerprint of the line that the same writer signed before this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    previous: Option<String>,
}

/// Signs heads, one after the other: each line carries the fingerprint of the one before, so that none can be taken
/// out from between two.
#[derive(Debug)]
pub struct HeadSigner {
    witness: Witness,
    previous: Option<String>,
}

impl HeadSigner {
    /// For one writer that has signed nothing yet.
    pub fn new(witness: Witness) -> Self {
        Self { witness, previous: None }
    }

    /// The key it signs with.
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// The next line.
    pub fn sign(&mut self, head: &Head, now: DateTime<Utc>) -> String {
        let line = self.witness.sign(&Line {
            statement: HEAD.to_owned(),
            time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            chain: head.chain.clone(),
            writer: head.writer,
            sequence: head.sequence,
            hash: head.hash.clone(),
            previous: self.previous.take(),
        });
        self.previous = Some(witness::fingerprint(&line));
        line
    }
}

/// What is wrong with a head that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// It is not signed by us, or was changed since.
    Signature,
    /// The line that its writer signed before it is gone, or was changed.
    Previous,
}

/// Heads that were kept, read back.
#[derive(Clone, Debug, Default)]
pub struct KeptHeads {
    /// Those to be believed.
    pub heads: Vec<Head>,
    /// Those that are not, and why. They are named by what they say themselves.
    pub faults: Vec<(Head, HeadFault)>,
    /// How many lines are none: what a process that was killed left half written.
    pub broken: usize,
    previous: HashMap<i64, String>,
}

impl KeptHeads {
    /// Takes the lines of one file. Files of the same writer have to come in the order they were begun.
    pub fn read(&mut self, text: &str, keys: &WitnessKeys) {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let Some(said) = witness::read::<Line>(line).filter(|said| said.statement == HEAD) else {
                self.broken += 1;
                continue;
            };
            let head = Head { chain: said.chain, writer: said.writer, sequence: said.sequence, hash: said.hash };
            // Files of long ago may have been cleared away: the first line that is there follows whatever it follows.
            let before = self.previous.insert(head.writer, witness::fingerprint(line));
            let follows = before.is_none() || before == said.previous;
            match keys.judge(line) {
                Ok(()) if follows => self.heads.push(head),
                Ok(()) => self.faults.push((head, HeadFault::Previous)),
                Err(Disbelief::Form) => self.broken += 1,
                Err(Disbelief::Key | Disbelief::Signature) => self.faults.push((head, HeadFault::Signature)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(writer: i64, sequence: i64) -> Head {
        Head { chain: "t_a".to_owned(), writer, sequence, hash: "ab".repeat(32) }
    }

    #[test]
    fn lines_are_read_back_and_one_that_was_changed_or_taken_out_is_named() {
        let now = DateTime::from_timestamp_millis(1_800_000_000_000).unwrap();
        let witness = || Witness::derived(&[7; 32]).unwrap();
        let (mut signer, mut other) = (HeadSigner::new(witness()), HeadSigner::new(witness()));
        let mut lines: Vec<String> = (1..=4).map(|sequence| signer.sign(&head(1, sequence), now)).collect();
        lines.insert(2, other.sign(&head(2, 1), now));
        let read = |lines: &[String]| {
            let mut kept = KeptHeads::default();
            kept.read(&lines.join("\n"), &witness().keys());
            kept
        };

        let whole = read(&lines);
        assert_eq!((whole.heads.len(), whole.faults.len(), whole.broken), (5, 0, 0));
        assert_eq!(whole.heads[0], head(1, 1));

        let mut without = lines.clone();
        without.remove(1);
        assert_eq!(read(&without).faults, [(head(1, 3), HeadFault::Previous)]);

        let mut changed = lines.clone();
        changed[1] = changed[1].replace(r#""sequence":2"#, r#""sequence":9"#);
        let faults = read(&changed).faults;
        assert_eq!(faults, [(head(1, 9), HeadFault::Signature), (head(1, 3), HeadFault::Previous)]);

        let mut torn = lines;
        let half = torn[4].len() / 2;
        torn[4].truncate(half);
        let torn = read(&torn);
        assert_eq!((torn.heads.len(), torn.faults.len(), torn.broken), (4, 0, 1));
    }
}
