//! The master key, and what is kept under it: signing keys at rest and page tokens.
//!
//! AES-256-GCM under a key derived for each purpose (HKDF-SHA256, RFC 5869), with the place where the text belongs as
//! additional data: a sealed key copied to another tenant's row does not open there.

mod file;

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of the master key and of every key derived from it.
const KEY_BYTES: usize = 32;
/// Bytes that GCM adds behind the text.
const TAG_BYTES: usize = 16;

/// A failure to get at the master key, or at something under it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or written.
    #[error("the master key file {path} cannot be used")]
    File {
        /// Where it is.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others can read the key file.
    #[error("the master key file {path} can be read by others: set its mode to 0600")]
    Exposed {
        /// Where it is.
        path: String,
    },
    /// Not 32 bytes in base64 or hexadecimal.
    #[error("the master key has to be 32 bytes, written in base64 or hexadecimal")]
    Form,
    /// Sealed under another key, for another place, or altered.
    #[error("a sealed value does not open under this master key")]
    Closed,
    /// The cryptographic library refused; it does so only when the system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// The key that everything secret at rest hangs on.
#[derive(Clone)]
pub struct MasterKey([u8; KEY_BYTES]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey(hidden)")
    }
}

impl MasterKey {
    /// A key from the system's random numbers.
    pub fn generate() -> Result<Self, SealError> {
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| SealError::Random)?;
        Ok(Self(key))
    }

    /// Reads a key as it stands in a key file or in the environment: base64 or hexadecimal, white space around it.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES { hexadecimal(text) } else { STANDARD.decode(text).ok() };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(SealError::Form)
    }

    /// The text form that `parse` reads.
    fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key for one purpose.
    ///
    /// # Panics
    /// Never: 32 bytes are within what HKDF-SHA256 gives.
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        Salt::new(HKDF_SHA256, b"vitals")
            .extract(&self.0)
            .expand(&[purpose.as_bytes()], HKDF_SHA256)
            .and_then(|material| material.fill(&mut key))
            .expect("32 bytes are within what HKDF-SHA256 gives");
        key
    }

    /// Seals `plaintext` for one purpose and place; the answer is nonce, ciphertext and tag.
    pub fn seal(&self, purpose: &'static str, place: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut text = Vec::with_capacity(plaintext.len() + TAG_BYTES);
        text.extend_from_slice(plaintext);
        let nonce = self
            .cipher(purpose)?
            .seal_in_place_append_tag(Aad::from(place), &mut text)
            .map_err(|_| SealError::Random)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what `seal` made for the same purpose and place.
    pub fn open(&self, purpose: &'static str, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Closed)?;
        let mut text = text.to_vec();
        let length = self
            .cipher(purpose)?
            .open_in_place(nonce, Aad::from(place), &mut text)
            .map_err(|_| SealError::Closed)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    fn cipher(&self, purpose: &'static str) -> Result<RandomizedNonceKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.derive(purpose)).map_err(|_| SealError::Random)
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_its_own_purpose_and_place() {
        let key = MasterKey::generate().unwrap();
        let sealed = key.seal("key", b"t_a", b"secret").unwrap();
        assert_eq!(key.open("key", b"t_a", &sealed).unwrap(), b"secret");
        assert!(matches!(key.open("page", b"t_a", &sealed), Err(SealError::Closed)));
        assert!(matches!(key.open("key", b"t_b", &sealed), Err(SealError::Closed)));
        assert!(matches!(MasterKey::generate().unwrap().open("key", b"t_a", &sealed), Err(SealError::Closed)));
        for end in 0..sealed.len() {
            assert!(matches!(key.open("key", b"t_a", &sealed[..end]), Err(SealError::Closed)));
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(matches!(key.open("key", b"t_a", &altered), Err(SealError::Closed)));
        }
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let key = MasterKey::generate().unwrap();
        assert_ne!(key.seal("key", b"", b"x").unwrap(), key.seal("key", b"", b"x").unwrap());
    }

    #[test]
    fn reads_base64_and_hexadecimal_of_32_bytes_only() {
        let key = MasterKey::generate().unwrap();
        assert_eq!(MasterKey::parse(&format!(" {}\n", key.text())).unwrap().0, key.0);
        assert_eq!(MasterKey::parse(&"0a".repeat(32)).unwrap().0, [10; 32]);
        assert_eq!(MasterKey::parse(&"FF".repeat(32)).unwrap().0, [255; 32]);
        for bad in ["", "AAAA", &"0a".repeat(31), &"0g".repeat(32), &"é".repeat(32), &"A".repeat(43)] {
            assert!(matches!(MasterKey::parse(bad), Err(SealError::Form)), "{bad}");
        }
    }
}
