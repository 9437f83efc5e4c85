//! For tests: keys of every accepted type, tokens really signed with them, and a clock that stands still.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::Clock;

/// The second at which the tests' clock stands, if nobody moves it.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A clock that stands still, in milliseconds.
pub(crate) struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(NOW * 1_000))
    }

    pub(crate) fn set_millis(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A private key of an outside issuer.
pub(crate) enum Forge {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Forge {
    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as a JWK with this id.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::P256(pair) => point("P-256", pair.public_key().as_ref()),
            Self::P384(pair) => point("P-384", pair.public_key().as_ref()),
            Self::Rsa(_) => json!({ "kty": "RSA", "n": b64(&self.modulus()), "e": "AQAB" }),
            Self::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) }),
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    /// The modulus of a 2,048-bit key, cut out of its DER form.
    pub(crate) fn modulus(&self) -> Vec<u8> {
        let Self::Rsa(pair) = self else { panic!("not RSA") };
        pair.public_key().as_ref()[9..265].to_vec()
    }

    /// The public key in its DER form.
    pub(crate) fn der(&self) -> Vec<u8> {
        let Self::Rsa(pair) = self else { panic!("not RSA") };
        pair.public_key().as_ref().to_vec()
    }

    /// Signs with the key's own kind of signature; `algorithm` chooses among RSA's.
    pub(crate) fn sign(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        }
    }

    /// Signs with P-256 in ASN.1 form, as certificates have it.
    pub(crate) fn sign_asn1(&self, message: &str) -> Vec<u8> {
        let Self::P256(pair) = self else { panic!("not P-256") };
        let document = pair.to_pkcs8v1().unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
        pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
    }

    /// A token of this header and these claims, both as they are written.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let algorithm = serde_json::from_str::<Value>(header).ok();
        let algorithm = algorithm.as_ref().and_then(|header| header["alg"].as_str()).unwrap_or("RS256");
        let signature = self.sign(algorithm, &message);
        format!("{message}.{}", b64(&signature))
    }
}

/// What is signed.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()))
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The other form of a P-256 signature: `n - s` for `s`.
pub(crate) fn other_s(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut flipped = signature.to_vec();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(ORDER[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        flipped[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    flipped
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y) })
}

/// Two self-signed certificates, made by openssl (`-days 365`, from 2026-11-26 on), in base64 of their DER.
pub(crate) mod certificate {
    pub(crate) const ONE: &str = "\
        MIIBcjCCARegAwIBAgIUGT0xh5zssf+oOMTtd5bKEVJRz3MwCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDb25lMB4XDTI2MTEyNjEyNDU1OVoXDT\
        I3MTEyNjEyNDU1OVowDjEMMAoGA1UEAwwDb25lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+ERrrhQx141b0hHGFbHAIsStMBo/o3dD0Ld9\
        0b0/zqzraMx2M/A7jdLygWvchn1Bp2V/F8g2Z89Sw4oC7MIgh6NTMFEwHQYDVR0OBBYEFNiC4VJk6hfB2vx69dMPgrPiE1bVMB8GA1UdIwQYMB\
        aAFNiC4VJk6hfB2vx69dMPgrPiE1bVMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhANBZYLu2xTtBii7nosXy72c96OZg6U9k\
        jrKQib2rRsOVAiEAupzlNZ7WTYrdzh+QwEwauTF6Yf42/s2A0e3OcqG8oNk=";
    pub(crate) const TWO: &str = "\
        MIIBcjCCARegAwIBAgIUVu2Dc9iG+GMKjQZAwmGzWVQWSkowCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDdHdvMB4XDTI2MTEyNjEyNDU1OVoXDT\
        I3MTEyNjEyNDU1OVowDjEMMAoGA1UEAwwDdHdvMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuLwycB9IxnZOL4BCUa5zKjzz9HNpJkeoS6h4\
        mdHAcUej/c46s/qrVtWDL7E8RggR/iQQXCbASv/DINyYyc4k8qNTMFEwHQYDVR0OBBYEFLRdhC8I1sufR4VZ6TI9nVGxMr6pMB8GA1UdIwQYMB\
        aAFLRdhC8I1sufR4VZ6TI9nVGxMr6pMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAKr4t7ru6N7m6oH63KOPgz0t2cnBpjP6\
        xn1FbJRtT9+kAiEA1x7F5zKpYQTFhV1QH8G3rN4zazh0gAYPxIoAIdWzq14=";
}
