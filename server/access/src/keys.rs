//! Public keys of issuers, and the keys tenants sign with themselves.
//!
//! A key fixes the algorithms it may be used with, by its own type and its `alg`; a token's header only chooses among
//! them (RFC 8725, section 3.1). Keys that cannot be used are skipped with a warning, never used (RFC 7517, section 5).

use std::{fmt, sync::Arc};

use jsonwebtoken::{Algorithm, DecodingKey};
use vitals_fhir::json;

use crate::jws::{ALGORITHMS, accepted_algorithm};

mod jwk;
mod signing;

pub(crate) use jwk::{MAX_KID, read_alone};
pub(crate) use signing::is_low_s;
pub use signing::{KeyRefused, SigningAlgorithm, SigningKey};

/// The `typ` of an access token (RFC 9068).
pub const ACCESS_TOKEN: &str = "at+jwt";

/// Keys taken from one set. The widest sets of the field hold a dozen; more than this is an attack on our memory.
const MAX_KEYS: usize = 100;

/// The algorithms an issuer's tokens may be signed by: all that are accepted, unless its registration says fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedAlgorithms(Vec<Algorithm>);

impl Default for AllowedAlgorithms {
    fn default() -> Self {
        Self(ALGORITHMS.into_iter().filter_map(accepted_algorithm).collect())
    }
}

impl AllowedAlgorithms {
    /// Those of these names, if all are accepted and there is one.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let algorithms: Vec<Algorithm> = names.into_iter().map(accepted_algorithm).collect::<Option<_>>()?;
        (!algorithms.is_empty()).then_some(Self(algorithms))
    }

    pub(crate) fn allow(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

/// One public key of an issuer.
pub struct VerifyingKey {
    kid: String,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
    fingerprint: [u8; 32],
}

impl VerifyingKey {
    /// Its id within the issuer.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether it may be used with this algorithm.
    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// SHA-256 over the key itself, so that the same key is known again in a later directory.
    pub(crate) fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Whether `signature` (base64url) over `message` was made with this key by this algorithm.
    ///
    /// Only the signature: jsonwebtoken's own reading of header and claims is not used at all, so that no two readers
    /// can understand one token differently.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        self.allows(algorithm)
            && matches!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm), Ok(true))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// The usable keys of an issuer. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Arc<[VerifyingKey]>,
    text: Arc<str>,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517). What cannot be used is left out and named in the warnings; a text that is no JWK Set
    /// gives an empty set and says why.
    pub fn from_jwks(text: &str) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let Ok(document) = json::parse(text.as_bytes()) else {
            return (Self::default(), vec!["not a JWK Set: malformed JSON, or a member twice".to_owned()]);
        };
        let Some(members) = document.root().get("keys").filter(|keys| keys.kind() == json::Kind::Array) else {
            return (Self::default(), vec!["not a JWK Set: no array \"keys\"".to_owned()]);
        };
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for (place, member) in members.items().enumerate() {
            if place == MAX_KEYS {
                warnings.push(format!("more than {MAX_KEYS} keys: the rest are not read"));
                break;
            }
            match jwk::read(member) {
                Ok(key) if keys.iter().any(|other| other.clashes_with(&key)) => {
                    warnings.push(format!("key {}: skipped, an earlier key has the same kid", place + 1));
                }
                Ok(key) => keys.push(key),
                Err(reason) => warnings.push(format!("key {}: skipped, {reason}", place + 1)),
            }
        }
        (Self { keys: keys.into(), text: text.into() }, warnings)
    }

    /// The JWK Set as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether no key is usable.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys are usable.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The usable keys.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// Whether some key has this id, for whatever algorithm.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// The key of this id for this algorithm.
    pub(crate) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid && key.allows(algorithm))
    }
}

impl VerifyingKey {
    fn clashes_with(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithms.iter().any(|algorithm| other.allows(*algorithm))
    }
}

#[cfg(test)]
mod tests;
