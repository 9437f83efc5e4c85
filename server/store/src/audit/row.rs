//! Records given their place in a chain.

use std::collections::{BTreeSet, HashMap};

use vitals_access::audit::{self, AuditRecord};

use super::{Derived, Head};
use crate::millis::Millis;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What the first record of an empty chain follows.
pub(crate) const NOTHING: Hash = [0; 32];

/// A record with its place, as it is inserted.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) chain: String,
    pub(crate) sequence: i64,
    pub(crate) id: String,
    pub(crate) time: Millis,
    pub(crate) record: String,
    pub(crate) keys: Vec<i64>,
    pub(crate) previous: Hash,
    pub(crate) hash: Hash,
}

/// Where a chain of this writer ends.
#[derive(Clone, Copy)]
struct End {
    sequence: i64,
    hash: Hash,
}

/// The ends of all chains that this writer has begun.
pub(crate) struct Chains {
    writer: i64,
    ends: HashMap<String, End>,
    /// Chains whose ends moved since somebody last asked for the heads.
    moved: BTreeSet<String>,
}

impl Chains {
    /// No chain begun.
    pub(crate) fn new(writer: i64) -> Self {
        Self { writer, ends: HashMap::new(), moved: BTreeSet::new() }
    }

    /// Whether this writer has begun the chain.
    pub(crate) fn has_begun(&self, chain: &str) -> bool {
        self.ends.contains_key(chain)
    }

    /// Begins a chain behind the record with this hash.
    pub(crate) fn begin(&mut self, chain: &str, follows: Hash) {
        self.ends.insert(chain.to_owned(), End { sequence: 0, hash: follows });
    }

    /// The rows of these records, in order. All chains must have begun; the ends stay where they are until the rows
    /// are known to be in the database ([`Chains::advance`]).
    pub(crate) fn draft(&self, records: &[&AuditRecord]) -> Vec<Row> {
        let mut ends: HashMap<&str, End> = HashMap::new();
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let end = ends
                .entry(&record.chain)
                .or_insert_with(|| self.ends.get(&record.chain).copied().unwrap_or(End { sequence: 0, hash: NOTHING }));
            let sequence = end.sequence + 1;
            let text = record.canonical(self.writer, sequence);
            let hash = audit::hash(&end.hash, &text);
            rows.push(Row {
                chain: record.chain.clone(),
                sequence,
                id: record.id.to_string(),
                time: Millis(record.time.timestamp_millis()),
                record: text,
                keys: Derived::of(record).keys,
                previous: end.hash,
                hash,
            });
            *end = End { sequence, hash };
        }
        rows
    }

    /// Notes that these rows are in the database.
    pub(crate) fn advance(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(end) = self.ends.get_mut(&row.chain) {
                *end = End { sequence: row.sequence, hash: row.hash };
                if !self.moved.contains(&row.chain) {
                    self.moved.insert(row.chain.clone());
                }
            }
        }
    }

    /// Whether some chain's end moved since the heads were last taken.
    pub(crate) fn have_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// The ends that moved since the last time.
    pub(crate) fn take_heads(&mut self) -> Vec<Head> {
        let moved = std::mem::take(&mut self.moved);
        let ends = moved.iter().filter_map(|chain| Some((chain, self.ends.get(chain)?)));
        let written = ends.filter(|(_, end)| end.sequence > 0);
        written.map(|(chain, end)| Head::new(chain, self.writer, end.sequence, &end.hash)).collect()
    }

    /// Notes that these rows, the ends of their chains, are not in the database after all.
    pub(crate) fn retreat(&mut self, rows: &[&Row]) {
        for row in rows.iter().rev() {
            self.ends.insert(row.chain.clone(), End { sequence: row.sequence - 1, hash: row.previous });
            self.moved.insert(row.chain.clone());
        }
    }
}

/// A hash from hexadecimal digits.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}
