//! The ends of chains, to be kept outside the database: only they show that the newest records were removed, or that
//! a whole chain was written anew.

use serde::{Deserialize, Serialize};

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
        Self { chain: chain.to_owned(), writer, sequence, hash: hexadecimal(hash) }
    }

    /// Whether the record at this place has the hash it had then.
    pub(super) fn holds(&self, hash: &Hash) -> bool {
        self.hash.eq_ignore_ascii_case(&hexadecimal(hash))
    }
}

fn hexadecimal(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
