//! Key sets that issuers and clients publish at a URL: fetched when they are first needed, again when they grow old, by
//! their `Cache-Control` where that is sooner, or a token names a key that is not in them, and kept for a while when the
//! issuer cannot be reached.
//!
//! One fetch at a time for each issuer, and none within thirty seconds of the last, so that tokens with made-up key ids
//! cannot make us knock at an issuer's door (and a slow issuer holds up nobody but its own tokens).

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, de::IgnoredAny};
use vitals_access::{clock::Clock, keys::KeySet};

use super::{Asking, Egress, EgressError};
use crate::telemetry::metrics::KeyFigures;

/// After a fetch, whatever came of it, there is no other for this long.
const COOLDOWN: TimeDelta = TimeDelta::seconds(30);
/// A key that an issuer took back is refused after this long (and one cooldown).
const REFRESH: TimeDelta = TimeDelta::minutes(5);
/// Keys of an issuer that cannot be reached are used for this long.
const KEEP: TimeDelta = TimeDelta::hours(1);
/// What the names of registered clients begin with among those of issuers, which are URLs.
pub const CLIENT: &str = "client:";
/// Keys in a set; see [`KeySet`].
const MAX_KEYS: usize = 100;

/// The keys of an issuer as it last published them.
#[derive(Clone, Debug)]
pub struct FetchedKeys {
    /// The usable ones.
    pub keys: KeySet,
    /// When they were fetched.
    pub fetched_at: DateTime<Utc>,
    /// How long they may be kept, where they came with a word about that.
    max_age: Option<TimeDelta>,
}

/// No keys of this issuer are known that are recent enough to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys cannot be fetched, and those it had are too old")]
pub struct IssuerAway;

/// An issuer and where it publishes its keys. Keys belong to both: another URL is another set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    issuer: String,
    url: String,
}

#[derive(Debug, Default)]
struct Slot {
    known: Mutex<Known>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Option<FetchedKeys>,
    asked_at: Option<DateTime<Utc>>,
}

/// Why keys are asked for.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// Any that are recent enough.
    Recent,
    /// A key that is not among those known.
    Another,
}

/// Keeps the key sets of issuers. Cheap to clone; clones share what they keep.
#[derive(Clone)]
pub struct JwksKeeper(Arc<Shared>);

struct Shared {
    egress: Egress,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<Source, Arc<Slot>>>,
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl JwksKeeper {
    /// A keeper that knows nothing yet.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>) -> Self {
        let (fetched, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Shared { egress, clock, slots: Mutex::default(), fetched, failed }))
    }

    /// What it fetches by.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// The keys of an issuer: those known, if they are under five minutes old; else fetched; else, for up to an hour,
    /// those it had.
    pub async fn keys_for(&self, issuer: &str, jwks_url: &str) -> Result<FetchedKeys, IssuerAway> {
        self.obtain(issuer, jwks_url, Need::Recent).await
    }

    /// The keys of an issuer after a token named one that is not among those known: fetched, unless the issuer was
    /// asked within the last thirty seconds.
    pub async fn keys_after_miss(&self, issuer: &str, jwks_url: &str) -> Result<FetchedKeys, IssuerAway> {
        self.obtain(issuer, jwks_url, Need::Another).await
    }

    /// Forgets every issuer but these (issuer, URL of its keys), after the registry changed, and every client whose keys
    /// nobody fetched for so long that they are not used any more.
    pub fn keep_only<'a>(&self, issuers: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let kept: HashSet<Source> = issuers.into_iter().map(|(issuer, url)| source(issuer, url)).collect();
        let now = self.0.clock.now();
        self.0.slots().retain(|source, slot| {
            kept.contains(source) || (source.issuer.starts_with(CLIENT) && slot.usable(source, now).is_some())
        });
    }

    /// Figures for the metrics page.
    pub fn figures(&self) -> KeyFigures {
        let slots: Vec<Arc<Slot>> = self.0.slots().values().cloned().collect();
        let now = self.0.clock.now();
        let ages: Vec<i64> = slots
            .iter()
            .filter_map(|slot| slot.known().keys.as_ref().map(|keys| (now - keys.fetched_at).num_seconds()))
            .collect();
        KeyFigures {
            issuers: ages.len().try_into().unwrap_or(u64::MAX),
            fetched: self.0.fetched.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            oldest_seconds: ages.into_iter().max().and_then(|age| age.try_into().ok()).unwrap_or(0),
        }
    }

    async fn obtain(&self, issuer: &str, jwks_url: &str, need: Need) -> Result<FetchedKeys, IssuerAway> {
        let source = source(issuer, jwks_url);
        let kept = source.clone();
        let slot = Arc::clone(self.0.slots().entry(source.clone()).or_default());
        if slot.is_due(need, self.0.clock.now()) {
            // A task of its own: a client that goes away must not take the fetch of all the others with it.
            let (shared, slot) = (Arc::clone(&self.0), Arc::clone(&slot));
            let fetch = tokio::spawn(async move { shared.fetch_in_turn(&source, &slot, need).await });
            if fetch.await.is_err() {
                tracing::error!("a fetch of keys ended abnormally");
            }
        }
        slot.usable(&kept, self.0.clock.now()).ok_or(IssuerAway)
    }
}

impl std::fmt::Debug for JwksKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwksKeeper").field("figures", &self.figures()).finish()
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<Source, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_in_turn(&self, source: &Source, slot: &Slot, need: Need) {
        let _turn = slot.turn.lock().await;
        // Whoever had the turn before may have brought what this one came for.
        if !slot.is_due(need, self.clock.now()) {
            return;
        }
        let answer = self.egress.ask(&source.url, Asking::Get).await.map_err(Unusable::from);
        let now = self.clock.now();
        match answer.and_then(|answer| Ok((read(&answer.text)?, answer.max_age))) {
            Ok(((keys, warnings), max_age)) => {
                self.fetched.fetch_add(1, Relaxed);
                for warning in warnings {
                    tracing::warn!(issuer = source.issuer, %warning, "a key of the issuer is not used");
                }
                slot.learn(Some(FetchedKeys { keys, fetched_at: now, max_age }), now);
            }
            Err(error) => {
                self.failed.fetch_add(1, Relaxed);
                tracing::warn!(issuer = source.issuer, %error, "cannot fetch the issuer's keys");
                slot.learn(None, now);
            }
        }
    }
}

impl Slot {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, need: Need, now: DateTime<Utc>) -> bool {
        let known = self.known();
        // A time in the future means that the clock was set back: it says nothing.
        let within = |span: TimeDelta, since: Option<DateTime<Utc>>| {
            since.is_some_and(|since| since <= now && now - since < span)
        };
        let recent = match need {
            Need::Recent => known.keys.as_ref().is_some_and(|keys| within(keys.fresh(), Some(keys.fetched_at))),
            Need::Another => false,
        };
        !recent && !within(COOLDOWN, known.asked_at)
    }

    fn learn(&self, keys: Option<FetchedKeys>, now: DateTime<Utc>) {
        let mut known = self.known();
        known.asked_at = Some(now);
        if keys.is_some() {
            known.keys = keys;
        }
    }

    fn usable(&self, source: &Source, now: DateTime<Utc>) -> Option<FetchedKeys> {
        self.known().keys.clone().filter(|keys| now - keys.fetched_at < keys.kept(source))
    }
}

impl FetchedKeys {
    /// How long they are used without looking whether there are others.
    fn fresh(&self) -> TimeDelta {
        self.max_age.map_or(REFRESH, |age| age.min(REFRESH))
    }

    /// How long they are used when there is nobody to ask. A client's no longer than it said (SMART App Launch,
    /// "Client authentication: asymmetric"), but for the cooldown: who makes up assertions must not make us knock.
    fn kept(&self, source: &Source) -> TimeDelta {
        match self.max_age {
            Some(age) if source.issuer.starts_with(CLIENT) => age.clamp(COOLDOWN, KEEP),
            _ => KEEP,
        }
    }
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    NotFetched(#[from] EgressError),
    #[error("not a JWK Set")]
    NotASet,
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
}

/// Reads what an issuer answered. An empty set is taken at its word; one whose keys are all unusable is not a reason to
/// forget those that worked.
fn read(text: &str) -> Result<(KeySet, Vec<String>), Unusable> {
    #[derive(Deserialize)]
    struct Envelope {
        keys: Vec<IgnoredAny>,
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|_| Unusable::NotASet)?;
    if envelope.keys.len() > MAX_KEYS {
        return Err(Unusable::TooMany);
    }
    let (keys, warnings) = KeySet::from_jwks(text);
    if keys.is_empty() && !envelope.keys.is_empty() {
        return Err(Unusable::NotASet);
    }
    Ok((keys, warnings))
}

fn source(issuer: &str, url: &str) -> Source {
    Source { issuer: issuer.to_owned(), url: url.to_owned() }
}
