//! The key a tenant signs its own tokens with (ES256).

use std::{cmp::Ordering, fmt};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::hash::sha256;

/// Half the order of P-256 (FIPS 186-5, appendix A).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether a P-256 signature (r and s, 32 bytes each) is in its lower form. Of any ECDSA signature (r, s) anyone can
/// make (r, n - s), which verifies as well; our own keys sign only the lower form, so the other one is a forgery of
/// form. RFC 7518 asks outside issuers for neither.
pub(crate) fn is_low_s(signature: &[u8]) -> bool {
    signature.len() == 64 && signature[32..].cmp(&HALF_ORDER) != Ordering::Greater
}

/// The bytes are no P-256 private key in PKCS #8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 private key in PKCS #8")]
pub struct KeyRefused;

/// A private ES256 key with its id.
pub struct SigningKey {
    kid: String,
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

impl SigningKey {
    /// Makes a new key; its id is its thumbprint (RFC 7638).
    ///
    /// # Panics
    /// When aws-lc cannot make a key, which means that it does not work at all.
    pub fn generate_es256() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("aws-lc makes P-256 keys");
        let mut key = Self::from_pkcs8("", document.as_ref()).expect("a key just made can be read");
        key.kid = key.thumbprint();
        key
    }

    /// Reads a key from PKCS #8 DER.
    pub fn from_pkcs8(kid: &str, pkcs8: &[u8]) -> Result<Self, KeyRefused> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| KeyRefused)?;
        Ok(Self { kid: kid.to_owned(), pair, pkcs8: pkcs8.to_vec() })
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The private key in PKCS #8 DER, to be sealed.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as a JWK.
    pub fn public_jwk(&self) -> String {
        let (x, y) = self.point();
        let kid = serde_json::Value::from(self.kid.as_str());
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","use":"sig","alg":"ES256","kid":{kid}}}"#)
    }

    /// Signs claims into an access token (`typ: at+jwt`, RFC 9068).
    ///
    /// # Panics
    /// When aws-lc cannot sign with a key it has taken, which means that it does not work at all.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        let header = serde_json::json!({ "alg": "ES256", "kid": self.kid, "typ": "at+jwt" });
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = loop {
            let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).expect("a loaded P-256 key signs");
            // Each try draws a new nonce, so one in two is in the lower form.
            if is_low_s(signature.as_ref()) {
                break signature;
            }
        };
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        token
    }

    fn point(&self) -> (String, String) {
        let point = self.pair.public_key().as_ref();
        (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]))
    }

    fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(sha256(&[canonical.as_bytes()]))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}
