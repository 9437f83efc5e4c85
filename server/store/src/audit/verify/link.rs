//! Following the links of one chain, whose records come in the order of their times, which is almost, but not
//! always, that of their numbers.

use std::collections::{BTreeMap, HashMap};

use super::Reason;
use crate::audit::row::{Hash, NOTHING};

/// A record's place and its links; or those of a stretch of records that a receipt stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) writer: i64,
    pub(super) sequence: i64,
    /// The last number of the stretch; of a record, its own.
    pub(super) through: i64,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
}

/// What is wrong, at which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) writer: i64,
    pub(super) sequence: i64,
    pub(super) reason: Reason,
}

/// The records of one writer: linked up to `sequence`, and those that came before their turn.
struct Strand {
    sequence: i64,
    hash: Hash,
    early: BTreeMap<i64, Link>,
}

impl Fault {
    /// Of two faults the one at the smaller writer and sequence; the first, where both are at one place.
    pub(super) fn earlier(self, other: Self) -> Self {
        if (self.writer, self.sequence) <= (other.writer, other.sequence) { self } else { other }
    }
}

/// All writers of one chain.
pub(super) struct Links {
    strands: HashMap<i64, Strand>,
    /// What first records follow, and which writers' they are; struck out when a record with that hash is seen.
    followed: HashMap<Hash, Vec<i64>>,
    first: FirstFault,
}

impl Links {
    /// A chain whose writers' first records follow these hashes.
    pub(super) fn new(first: impl IntoIterator<Item = (i64, Hash)>) -> Self {
        let mut followed: HashMap<Hash, Vec<i64>> = HashMap::new();
        for (writer, previous) in first {
            if previous != NOTHING {
                followed.entry(previous).or_default().push(writer);
            }
        }
        Self { strands: HashMap::new(), followed, first: FirstFault::default() }
    }

    /// Takes the next record.
    pub(super) fn add(&mut self, link: Link) {
        // Nobody begins behind a record of his own.
        self.stood(link.writer, &link.hash);
        let strand = self.strands.entry(link.writer).or_insert_with(|| Strand {
            sequence: 0,
            hash: NOTHING,
            early: BTreeMap::new(),
        });
        if link.sequence <= strand.sequence || strand.early.contains_key(&link.sequence) {
            self.first.note(link.writer, link.sequence, Reason::Duplicate);
        } else if link.sequence > strand.sequence + 1 {
            strand.early.insert(link.sequence, link);
        } else {
            strand.follow(link, &mut self.first);
            strand.catch_up(link.writer, &mut self.first);
        }
    }

    /// Notes that a record with this hash, of this writer, stood where it can be seen no more.
    pub(super) fn stood(&mut self, writer: i64, hash: &Hash) {
        if let Some(writers) = self.followed.get_mut(hash) {
            writers.retain(|follower| *follower == writer);
        }
    }

    /// Notes a fault that showed in the record itself.
    pub(super) fn fault(&mut self, writer: i64, sequence: i64, reason: Reason) {
        self.first.note(writer, sequence, reason);
    }

    /// How many records of this writer wait for one that has not come.
    pub(super) fn waiting(&self, writer: i64) -> usize {
        self.strands.get(&writer).map_or(0, |strand| strand.early.len())
    }

    /// The number of the record that this writer's next ones wait for.
    pub(super) fn awaited(&self, writer: i64) -> i64 {
        self.strands.get(&writer).map_or(1, |strand| strand.sequence + 1)
    }

    /// The awaited record does not exist: notes that and goes on behind it.
    pub(super) fn give_up(&mut self, writer: i64) {
        if let Some(strand) = self.strands.get_mut(&writer) {
            strand.skip(writer, &mut self.first);
            strand.catch_up(writer, &mut self.first);
        }
    }

    /// All records have come: the first fault, and where each writer ends.
    pub(super) fn finish(mut self) -> (Option<Fault>, Vec<(i64, i64, Hash)>) {
        for (writer, strand) in &mut self.strands {
            while !strand.early.is_empty() {
                strand.skip(*writer, &mut self.first);
                strand.catch_up(*writer, &mut self.first);
            }
        }
        for writer in self.followed.into_values().flatten() {
            self.first.note(writer, 1, Reason::Beginning);
        }
        let ends = self.strands.into_iter().map(|(writer, strand)| (writer, strand.sequence, strand.hash)).collect();
        (self.first.0, ends)
    }
}

/// Of several faults, the one with the smallest writer and sequence, whatever the order they are found in.
#[derive(Default)]
struct FirstFault(Option<Fault>);

impl FirstFault {
    fn note(&mut self, writer: i64, sequence: i64, reason: Reason) {
        let fault = Fault { writer, sequence, reason };
        self.0 = Some(self.0.map_or(fault, |known| known.earlier(fault)));
    }
}

impl Strand {
    fn follow(&mut self, link: Link, first: &mut FirstFault) {
        // What the first record follows belongs to another strand.
        if link.sequence > 1 && link.previous != self.hash {
            first.note(link.writer, link.sequence, Reason::Link);
        }
        self.sequence = link.through;
        self.hash = link.hash;
    }

    fn catch_up(&mut self, writer: i64, first: &mut FirstFault) {
        while let Some(next) = self.early.first_entry().filter(|next| *next.key() <= self.sequence + 1) {
            let link = next.remove();
            if link.sequence <= self.sequence {
                // A receipt stands for it already.
                first.note(writer, link.sequence, Reason::Duplicate);
            } else {
                self.follow(link, first);
            }
        }
    }

    /// Steps over what is missing before the first of those that came early.
    fn skip(&mut self, writer: i64, first: &mut FirstFault) {
        if let Some((&sequence, link)) = self.early.first_key_value() {
            first.note(writer, self.sequence + 1, Reason::Gap);
            self.sequence = sequence - 1;
            self.hash = link.previous;
        }
    }
}
