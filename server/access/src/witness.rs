//! Signed statements about the audit trail that are kept where its database is not: where each chain ended at a time,
//! and what a month that was taken out of it held. Whoever may do anything to the database cannot make one of these.
//!
//! A statement is one line of JSON whose last two members are `key` and `signature`. The signature (ES256: ECDSA over
//! P-256 with SHA-256, RFC 7518 section 3.4, in base64url) is over the bytes of the line before `,"signature":`. The
//! key comes from the master key, so that every server of an installation signs with the same one and none has to be
//! kept; its public half is told to whoever wants to check.

use jsonwebtoken::Algorithm;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    hash::sha256,
    keys::{KeySet, SigningKey},
};

/// What stands between the signed bytes and the signature.
const SIGNATURE: &str = r#","signature":""#;

/// Signs statements.
#[derive(Debug)]
pub struct Witness(SigningKey);

impl Witness {
    /// The key that these bytes give; none where they give none, which next to no bytes do.
    pub fn derived(secret: &[u8; 32]) -> Option<Self> {
        SigningKey::derived(secret).map(Self)
    }

    /// The id of its key: the thumbprint of the public half (RFC 7638).
    pub fn key(&self) -> &str {
        self.0.kid()
    }

    /// The public half as a JWK.
    pub fn public_jwk(&self) -> String {
        self.0.public_jwk()
    }

    /// What checks its statements.
    pub fn keys(&self) -> WitnessKeys {
        WitnessKeys::from_jwks(&format!(r#"{{"keys":[{}]}}"#, self.public_jwk()))
    }

    /// A statement as a signed line, without the end of the line.
    ///
    /// # Panics
    /// Never for statements of this crate's kind: a struct with text keys.
    pub fn sign(&self, statement: &impl Serialize) -> String {
        let text = serde_json::to_string(statement).expect("a statement has text keys only");
        let members = text.strip_suffix('}').unwrap_or(&text);
        let mut line = format!(r#"{members},"key":"{}""#, self.key());
        let signature = self.0.signature(line.as_bytes());
        line.push_str(SIGNATURE);
        line.push_str(&signature);
        line.push_str("\"}");
        line
    }
}

/// Why a line is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// It is no signed statement at all.
    #[error("it is no signed statement")]
    Form,
    /// Its key is none that we know.
    #[error("it is signed with a key that is not ours")]
    Key,
    /// Its signature is not that of its text.
    #[error("its signature is not good")]
    Signature,
}

/// The public keys that statements are checked with.
#[derive(Clone, Debug, Default)]
pub struct WitnessKeys(KeySet);

impl WitnessKeys {
    /// Those of a JWK Set; what cannot be used is left out.
    pub fn from_jwks(text: &str) -> Self {
        Self(KeySet::from_jwks(text).0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a line was signed with one of these keys, and stands as it was signed.
    pub fn judge(&self, line: &str) -> Result<(), Disbelief> {
        let (signed, rest) = line.rsplit_once(SIGNATURE).ok_or(Disbelief::Form)?;
        let signature = rest.strip_suffix("\"}").ok_or(Disbelief::Form)?;
        let (_, key) = signed.rsplit_once(r#","key":""#).ok_or(Disbelief::Form)?;
        let key = key.strip_suffix('"').ok_or(Disbelief::Form)?;
        let key = self.0.find(key, Algorithm::ES256).ok_or(Disbelief::Key)?;
        if key.verifies(Algorithm::ES256, signed, signature) { Ok(()) } else { Err(Disbelief::Signature) }
    }
}

/// What a line says, whether or not it is to be believed; none where it is no such statement.
pub fn read<T: DeserializeOwned>(line: &str) -> Option<T> {
    serde_json::from_str(line).ok()
}

/// The hash by which the next line of the same writer names this one: SHA-256, in hexadecimal digits.
pub fn fingerprint(line: &str) -> String {
    hexadecimal(&sha256(&[line.as_bytes()]))
}

/// Bytes in hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_believed_as_it_was_signed_and_no_other_way() {
        let witness = Witness::derived(&[7; 32]).unwrap();
        let line = witness.sign(&json!({ "chain": "t_a", "sequence": 12 }));
        let keys = witness.keys();
        assert_eq!(keys.judge(&line), Ok(()));
        assert!(line.starts_with(r#"{"chain":"t_a","sequence":12,"key":""#), "{line}");
        let value: serde_json::Value = read(&line).unwrap();
        assert_eq!(value["sequence"], 12);

        let other = Witness::derived(&[8; 32]).unwrap();
        for (changed, why) in [
            (line.replace("12", "13"), Disbelief::Signature),
            (line.replace("t_a", "t_b"), Disbelief::Signature),
            (other.sign(&json!({ "chain": "t_a", "sequence": 12 })), Disbelief::Key),
            (line.replace(witness.key(), other.key()), Disbelief::Key),
            (line.replace(",\"signature\"", ",\"sig\""), Disbelief::Form),
            (line[..line.len() - 1].to_owned(), Disbelief::Form),
            (String::new(), Disbelief::Form),
        ] {
            assert_eq!(keys.judge(&changed), Err(why), "{changed}");
        }
    }

    #[test]
    fn a_set_without_a_key_is_empty() {
        assert!(WitnessKeys::from_jwks("{}").is_empty());
        assert!(!Witness::derived(&[7; 32]).unwrap().keys().is_empty());
    }

    #[test]
    fn a_line_is_named_by_its_hash_in_hexadecimal_digits() {
        // FIPS 180-2, appendix B.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint("abc"), hash);
        assert_eq!(hexadecimal(&[0, 1, 0xab]), "0001ab");
    }

    #[test]
    fn the_same_secret_gives_the_same_key_and_no_number_gives_none() {
        let one = Witness::derived(&[7; 32]).unwrap();
        assert_eq!(one.key(), Witness::derived(&[7; 32]).unwrap().key());
        assert_ne!(one.key(), Witness::derived(&[8; 32]).unwrap().key());
        assert!(one.public_jwk().contains(one.key()));
        assert!(Witness::derived(&[0; 32]).is_none());
        assert!(Witness::derived(&[0xff; 32]).is_none());
    }
}
