//! The keys a tenant signs with: ES256 for its access tokens, RS256 for the ID tokens of clients that know no other.

use std::{cmp::Ordering, fmt};

use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::hash::sha256;

/// Half the order of P-256 (FIPS 186-5, appendix A).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Bytes of the modulus of our own RSA keys: 2,048 bits.
const MODULUS: usize = 256;

/// Whether a P-256 signature (r and s, 32 bytes each) is in its lower form. Of any ECDSA signature (r, s) anyone can
/// make (r, n - s), which verifies as well; our own keys sign only the lower form, so the other one is a forgery of
/// form. RFC 7518 asks outside issuers for neither.
pub(crate) fn is_low_s(signature: &[u8]) -> bool {
    signature.len() == 64 && signature[32..].cmp(&HALF_ORDER) != Ordering::Greater
}

/// The bytes are no private key of the algorithm in PKCS #8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key of this algorithm in PKCS #8")]
pub struct KeyRefused;

/// What a tenant's own keys sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA over P-256: short tokens, quickly signed.
    Es256,
    /// RSA of 2,048 bits: what every OpenID client can verify (OpenID Connect Core, section 15.1).
    Rs256,
}

impl SigningAlgorithm {
    /// The name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A private key with its id.
pub struct SigningKey {
    kid: String,
    pair: Pair,
    pkcs8: Vec<u8>,
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Makes a new key; its id is its thumbprint (RFC 7638).
    ///
    /// # Panics
    /// When aws-lc cannot make a key, which means that it does not work at all.
    pub fn generate(algorithm: SigningAlgorithm) -> Self {
        let pkcs8 = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                    .expect("aws-lc makes P-256 keys")
                    .as_ref()
                    .to_vec()
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("aws-lc makes RSA keys");
                pair.as_der().expect("a key just made can be written").as_ref().to_vec()
            }
        };
        let mut key = Self::from_pkcs8("", algorithm, &pkcs8).expect("a key just made can be read");
        key.kid = key.thumbprint();
        key
    }

    /// Reads a key from PKCS #8 DER.
    pub fn from_pkcs8(kid: &str, algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyRefused> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                .map(|pair| Pair::Es256(Box::new(pair)))
                .map_err(|_| KeyRefused)?,
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8)
                .ok()
                .filter(|pair| rsa_parts(pair).is_some())
                .map(|pair| Pair::Rs256(Box::new(pair)))
                .ok_or(KeyRefused)?,
        };
        Ok(Self { kid: kid.to_owned(), pair, pkcs8: pkcs8.to_vec() })
    }

    /// The P-256 key whose private number these bytes are: the same bytes always give the same key. None where they are
    /// no such number (zero, or not below the order of the group), which one in four thousand million are not.
    ///
    /// # Panics
    /// When aws-lc cannot read a key it has just made, which means that it does not work at all.
    pub fn derived(private: &[u8; 32]) -> Option<Self> {
        let number = agreement::PrivateKey::from_private_key(&ECDH_P256, private).ok()?;
        let public = number.compute_public_key().ok()?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, private, public.as_ref());
        let pkcs8 = pair.ok()?.to_pkcs8v1().ok()?;
        let mut key =
            Self::from_pkcs8("", SigningAlgorithm::Es256, pkcs8.as_ref()).expect("a key just made can be read");
        key.kid = key.thumbprint();
        Some(key)
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self.pair {
            Pair::Es256(_) => SigningAlgorithm::Es256,
            Pair::Rs256(_) => SigningAlgorithm::Rs256,
        }
    }

    /// The private key in PKCS #8 DER, to be sealed.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as a JWK.
    pub fn public_jwk(&self) -> String {
        let kid = serde_json::Value::from(self.kid.as_str());
        let algorithm = self.algorithm().name();
        let key = match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = point(pair);
                format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#)
            }
            Pair::Rs256(pair) => {
                let (modulus, exponent) = rsa_members(pair);
                format!(r#""kty":"RSA","n":"{modulus}","e":"{exponent}""#)
            }
        };
        format!(r#"{{{key},"use":"sig","alg":"{algorithm}","kid":{kid}}}"#)
    }

    /// Signs claims into a token of this `typ`: `at+jwt` for an access token (RFC 9068), `JWT` for an ID token.
    ///
    /// # Panics
    /// When aws-lc cannot sign with a key it has taken, which means that it does not work at all.
    pub fn sign(&self, typ: &str, claims: &serde_json::Value) -> String {
        let header = serde_json::json!({ "alg": self.algorithm().name(), "kid": self.kid, "typ": typ });
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signature(token.as_bytes());
        token.push('.');
        token.push_str(&signature);
        token
    }

    /// The signature of a message alone, as it stands in a token (base64url).
    pub(crate) fn signature(&self, message: &[u8]) -> String {
        let signature = match &self.pair {
            Pair::Es256(pair) => sign_low(pair, message),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("a loaded RSA key signs");
                signature
            }
        };
        URL_SAFE_NO_PAD.encode(signature)
    }

    fn thumbprint(&self) -> String {
        let canonical = match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = point(pair);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Pair::Rs256(pair) => {
                let (modulus, exponent) = rsa_members(pair);
                format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#)
            }
        };
        URL_SAFE_NO_PAD.encode(sha256(&[canonical.as_bytes()]))
    }
}

fn sign_low(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    loop {
        let signature = pair.sign(&SystemRandom::new(), message).expect("a loaded P-256 key signs");
        // Each try draws a new nonce, so one in two is in the lower form.
        if is_low_s(signature.as_ref()) {
            return signature.as_ref().to_vec();
        }
    }
}

fn point(pair: &EcdsaKeyPair) -> (String, String) {
    let point = pair.public_key().as_ref();
    (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]))
}

fn rsa_members(pair: &RsaKeyPair) -> (String, String) {
    let (modulus, exponent) = rsa_parts(pair).expect("the key was looked at when it was read");
    (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent))
}

/// Modulus and exponent, where it is a key of the one form that we make: RSAPublicKey (RFC 8017, appendix A.1.1) of
/// 2,048 bits and the exponent 65,537 has every part at its place.
fn rsa_parts(pair: &RsaKeyPair) -> Option<(&[u8], &[u8])> {
    const BEFORE: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    let rest = pair.public_key().as_ref().strip_prefix(&BEFORE)?;
    let (modulus, rest) = rest.split_at_checked(MODULUS)?;
    let exponent = rest.strip_prefix(&[0x02, 0x03])?;
    (exponent == [1, 0, 1]).then_some((modulus, exponent))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
