//! Heads that were kept elsewhere, held against the records of a chain.

use std::collections::{HashMap, HashSet};

use super::{Reason, Stretch, link::Fault};
use crate::audit::{
    Head,
    row::{Hash, parse_hash},
};

/// The heads of one chain that have not been met yet.
pub(super) struct Kept {
    waiting: HashSet<(i64, i64, Hash)>,
    /// Those that can never be met: they name no hash, or another one than the receipt for a sealed month.
    never: Vec<(i64, i64)>,
}

impl Kept {
    /// Those of a chain. What a good receipt stands for is met already, or never: the months before were held against
    /// their heads when they were sealed.
    pub(super) fn of(heads: &[Head], chain: &str, stretches: &[Stretch]) -> Self {
        let mut kept = Self { waiting: HashSet::new(), never: Vec::new() };
        for head in heads.iter().filter(|head| head.chain == chain) {
            let sealed = stretches.iter().filter(|stretch| stretch.is_good && stretch.writer == head.writer);
            let sealed = sealed.into_iter().find(|stretch| (stretch.first..=stretch.last).contains(&head.sequence));
            match (parse_hash(&head.hash), sealed) {
                (Some(hash), None) => {
                    kept.waiting.insert((head.writer, head.sequence, hash));
                }
                (Some(hash), Some(stretch)) if head.sequence < stretch.last || hash == stretch.hash => {}
                _ => kept.never.push((head.writer, head.sequence)),
            }
        }
        kept
    }

    /// A record was met.
    pub(super) fn meet(&mut self, writer: i64, sequence: i64, hash: &Hash) {
        if !self.waiting.is_empty() {
            self.waiting.remove(&(writer, sequence, *hash));
        }
    }

    /// The heads that were not met when all records had been seen, as faults of the records they name; where those are
    /// gone, of the first that is.
    pub(super) fn missed(&mut self, ends: &[(i64, i64, Hash)]) -> impl Iterator<Item = Fault> {
        let ends: HashMap<i64, i64> = ends.iter().map(|(writer, sequence, _)| (*writer, *sequence)).collect();
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(writer, sequence, _)| (writer, sequence));
        let missed = waiting.chain(std::mem::take(&mut self.never));
        missed.map(move |(writer, sequence)| {
            let end = ends.get(&writer).copied().unwrap_or_default();
            if sequence > end {
                Fault { writer, sequence: end + 1, reason: Reason::Removed }
            } else {
                Fault { writer, sequence, reason: Reason::Head }
            }
        })
    }
}
