//! The keys that a tenant signs with: made when they are needed, replaced with an overlap.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use vitals_access::{
    keys::{SigningAlgorithm, SigningKey},
    tenant::Tenant,
};
use vitals_store::control::keys;

use super::{Desk, ending::DeskError};

/// How long a replaced key is good for what it signed: the longest life of a token, and the leeway on both sides.
const OVERLAP: TimeDelta = TimeDelta::seconds(24 * 3_600 + 60);

/// What becomes of the keys that are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// What they signed stays good until it ends.
    UntilTokensEnd,
    /// Nothing they signed is taken any more: somebody else may have them.
    None,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The ids of the keys that sign from now on.
    pub kids: Vec<String>,
    /// How many keys they replaced.
    pub replaced: u64,
    /// From when on the replaced ones are not taken.
    pub until: DateTime<Utc>,
    /// The number of the change.
    pub seq: i64,
}

/// Replaces every key of a tenant by a new one of its algorithm.
pub async fn rotate(desk: &Desk, tenant: &Arc<Tenant>, overlap: Overlap) -> Result<Rotated, DeskError> {
    let now = desk.clock.now();
    let mut conn = desk.control().await?;
    let standing = keys::list(&mut conn, tenant).await?;
    let signs = |algorithm: &SigningAlgorithm| {
        standing.iter().any(|key| key.algorithm == algorithm.name() && key.retired.is_none())
    };
    let mut algorithms = vec![SigningAlgorithm::Es256];
    algorithms.extend(Some(SigningAlgorithm::Rs256).filter(signs));
    let mut fresh = Vec::with_capacity(algorithms.len());
    for algorithm in algorithms {
        fresh.push(generate(algorithm).await);
    }
    let until = if overlap == Overlap::None { now } else { now + OVERLAP };
    let (seq, replaced) = keys::replace(&mut conn, &desk.master_key, tenant, &fresh, until, now).await?;
    desk.settled(seq).await?;
    Ok(Rotated { kids: fresh.iter().map(|key| key.kid().to_owned()).collect(), replaced, until, seq })
}

/// The key a tenant signs with by an algorithm; made now if it has none.
pub(super) async fn signing(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    algorithm: SigningAlgorithm,
) -> Result<SigningKey, DeskError> {
    let mut conn = desk.control().await?;
    if let Some(key) = keys::signing_by(&mut conn, &desk.master_key, tenant, algorithm).await? {
        return Ok(key);
    }
    let key = [generate(algorithm).await];
    let now = desk.clock.now();
    // Of two that are made at once the later one replaces the other, which stays good for what it signs meanwhile.
    let (seq, _) = keys::replace(&mut conn, &desk.master_key, tenant, &key, now + OVERLAP, now).await?;
    desk.settled(seq).await?;
    let [key] = key;
    Ok(key)
}

/// Sees to it that a tenant can sign id_tokens as every client can read them (OpenID Connect Core, section 15.1).
pub async fn ensure_rs256(desk: &Desk, tenant: &Arc<Tenant>) -> Result<(), DeskError> {
    signing(desk, tenant, SigningAlgorithm::Rs256).await.map(drop)
}

/// An RSA key takes a good part of a second to make, which would hold up other requests on this thread.
async fn generate(algorithm: SigningAlgorithm) -> SigningKey {
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    made.unwrap_or_else(|_| SigningKey::generate(algorithm))
}
