//! Which proofs were shown before, for as long as they could be shown again (RFC 9449, section 11.1).
//!
//! Two generations for each tenant, so that nothing is looked through: what is older than both cannot be good any more.
//! A cache that drops what it has no room for would let a proof in twice, so a tenant that fills its share is refused.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{DpopProof, WINDOW};
use crate::{hash::sha256, tenant::TenantRole};

/// How long a generation collects, in milliseconds: a proof is good from one window before its time to one after.
const GENERATION: i64 = 2 * WINDOW + 1_000;
/// Proofs of one tenant in a generation, some 5 MB: over 800 a second.
const MOST: usize = 100_000;

/// The first half of a hash over key and id.
type Mark = [u8; 16];

/// Why a proof is refused that was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenRefused {
    /// It was shown before.
    Again,
    /// The tenant shows more proofs than can be remembered.
    TooMany,
}

/// Remembers proofs.
#[derive(Debug, Default)]
pub struct SeenProofs(Mutex<HashMap<TenantRole, Generations>>);

#[derive(Debug)]
struct Generations {
    began: i64,
    now: HashSet<Mark>,
    before: HashSet<Mark>,
}

impl SeenProofs {
    /// Takes a proof that is good, once.
    pub fn take(&self, tenant: &TenantRole, proof: &DpopProof, now: DateTime<Utc>) -> Result<(), SeenRefused> {
        let hash = sha256(&[&proof.jkt, proof.jti.as_bytes()]);
        let mut mark = Mark::default();
        mark.copy_from_slice(&hash[..16]);
        let now = now.timestamp_millis();
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = tenants.entry(tenant.clone()).or_insert_with(|| Generations::begin(now));
        seen.turn(now);
        if seen.now.contains(&mark) || seen.before.contains(&mark) {
            return Err(SeenRefused::Again);
        }
        if seen.now.len() >= MOST {
            return Err(SeenRefused::TooMany);
        }
        seen.now.insert(mark);
        Ok(())
    }
}

impl Generations {
    fn begin(now: i64) -> Self {
        Self { began: now, now: HashSet::new(), before: HashSet::new() }
    }

    /// Begins a new generation when this one is old. A clock that was set back begins none.
    fn turn(&mut self, now: i64) {
        if now - self.began >= 2 * GENERATION {
            *self = Self::begin(now);
        } else if now - self.began >= GENERATION {
            self.before = std::mem::take(&mut self.now);
            self.began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(jkt: u8, jti: &str) -> DpopProof {
        DpopProof { jkt: [jkt; 32], jti: jti.to_owned(), issued: 0 }
    }

    #[test]
    fn a_proof_is_taken_once_for_as_long_as_it_is_good() {
        let (seen, mercy, grace) = (SeenProofs::default(), TenantRole::generate(), TenantRole::generate());
        let take =
            |tenant, proof: &DpopProof, at| seen.take(tenant, proof, DateTime::from_timestamp_millis(at).unwrap());
        assert_eq!(take(&mercy, &proof(1, "a"), 0), Ok(()));
        assert_eq!(take(&mercy, &proof(1, "b"), 0), Ok(()), "another id");
        assert_eq!(take(&mercy, &proof(2, "a"), 0), Ok(()), "another key");
        assert_eq!(take(&grace, &proof(1, "a"), 0), Ok(()), "another tenant");
        // From the first moment it could be good to the last, and through the turn of a generation.
        for at in [0, 1, WINDOW, 2 * WINDOW, GENERATION - 1, GENERATION, GENERATION + 1, 2 * GENERATION - 1, -5_000] {
            assert_eq!(take(&mercy, &proof(1, "a"), at), Err(SeenRefused::Again), "{at}");
        }
        let late = proof(3, "late");
        assert_eq!(take(&mercy, &late, 2 * GENERATION - 1), Ok(()));
        for at in [2 * GENERATION, 2 * GENERATION - 1 + 2 * WINDOW] {
            assert_eq!(take(&mercy, &late, at), Err(SeenRefused::Again), "{at}");
        }
        assert_eq!(take(&mercy, &proof(1, "a"), 3 * GENERATION), Ok(()), "long past, and refused for its time");
        assert_eq!(take(&mercy, &late, 9 * GENERATION), Ok(()), "nothing of long ago is kept");
    }

    #[test]
    fn what_is_remembered_is_as_long_as_a_proof_is_good_and_not_much_longer() {
        let (seen, mercy) = (SeenProofs::default(), TenantRole::generate());
        let take = |jti: &str, at| seen.take(&mercy, &proof(1, jti), DateTime::from_timestamp_millis(at).unwrap());
        assert_eq!(take("first", 0), Ok(()));
        // The last moment of what would be a generation, were it a second too short; and a window each way later.
        assert_eq!(take("late", 118_999), Ok(()));
        assert_eq!(take("late", 118_999 + 120_000), Err(SeenRefused::Again));
        assert_eq!(take("first", 400_000), Ok(()), "memory is given back within minutes");
        // However often others come meanwhile: generations of half the length would have turned twice by the end.
        assert_eq!(take("early", 1_000_000), Ok(()));
        assert_eq!(take("kept", 1_061_000), Ok(()));
        assert_eq!(take("other", 1_061_500), Ok(()));
        assert_eq!(take("another", 1_122_600), Ok(()));
        assert_eq!(take("kept", 1_122_700), Err(SeenRefused::Again));
    }

    #[test]
    fn a_tenant_that_fills_its_share_is_refused_and_no_other() {
        let (seen, mercy, grace) = (SeenProofs::default(), TenantRole::generate(), TenantRole::generate());
        let at = DateTime::from_timestamp_millis(0).unwrap();
        for place in 0..MOST {
            assert_eq!(seen.take(&mercy, &proof(1, &place.to_string()), at), Ok(()));
        }
        assert_eq!(seen.take(&mercy, &proof(1, "one more"), at), Err(SeenRefused::TooMany));
        assert_eq!(seen.take(&mercy, &proof(1, "7"), at), Err(SeenRefused::Again));
        assert_eq!(seen.take(&grace, &proof(1, "one more"), at), Ok(()));
        let later = DateTime::from_timestamp_millis(GENERATION).unwrap();
        assert_eq!(seen.take(&mercy, &proof(1, "one more"), later), Ok(()));
    }
}
