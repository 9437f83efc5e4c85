//! DPoP proofs (RFC 9449): a caller shows, with each request, that it holds the key its token is bound to.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use vitals_fhir::json::Value;

use crate::{
    claims::{numeric_date, text},
    hash::sha256,
    jws::{self, Jws},
    keys,
};

mod address;
mod nonces;
mod seen;

pub use nonces::DpopNonces;
pub use seen::{SeenProofs, SeenRefused};

/// How far a proof's time may be from ours, either way, in milliseconds: the nonce narrows it where that is too much.
const WINDOW: i64 = 60_000;
/// Longest `jti`: it is remembered.
const MAX_JTI: usize = 128;

/// What a proof has to be about.
pub struct DpopExpected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The address of the request as clients know it, with or without a query.
    pub url: &'a str,
    /// The time.
    pub now: DateTime<Utc>,
    /// The access token that came with it, at a resource.
    pub access_token: Option<&'a str>,
    /// Whether a nonce is one of ours and recent; asked with `""` for a proof that has none.
    pub nonce: &'a dyn Fn(&str) -> bool,
}

/// What a good proof shows. Whoever takes it has to see that `jti` is new for this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// The thumbprint of the key (RFC 7638).
    pub jkt: [u8; 32],
    /// The proof's own id.
    pub jti: String,
    /// When it was made, in milliseconds since 1970.
    pub issued: i64,
}

impl DpopProof {
    /// Whether it was made with the key of this thumbprint.
    pub fn is_by(&self, jkt: &[u8; 32]) -> bool {
        verify_slices_are_equal(&self.jkt, jkt).is_ok()
    }

    /// The thumbprint as `cnf` has it.
    pub fn jkt_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.jkt)
    }
}

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// It breaks a rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// It is good but for its nonce, which is missing, old or not ours.
    #[error("the proof needs a nonce of this server")]
    UseNonce,
}

/// Judges a proof by every rule of section 4.3 that needs no memory.
pub fn check(proof: &str, expected: &DpopExpected<'_>) -> Result<DpopProof, DpopError> {
    let (checked, nonce) = check_but_nonce(proof, expected).map_err(DpopError::Invalid)?;
    if (expected.nonce)(&nonce) { Ok(checked) } else { Err(DpopError::UseNonce) }
}

fn check_but_nonce(proof: &str, expected: &DpopExpected<'_>) -> Result<(DpopProof, String), &'static str> {
    let jws = Jws::split(proof)?;
    let (header, claims) = (jws.header()?, jws.claims()?);
    let (header, claims) = (header.root(), claims.root());
    jws::check_members_but_jwk(header)?;
    if !header.get("typ").and_then(Value::string).is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
        return Err("the proof is not of type dpop+jwt");
    }
    let algorithm = jws::algorithm(header)?;
    let jwk = header.get("jwk").ok_or("the proof shows no key")?;
    let (key, jkt) = keys::read_alone(jwk).map_err(|_| "the proof's key cannot be used")?;
    if !key.verifies(algorithm, jws.message, jws.signature) {
        return Err("the proof's signature is not good");
    }
    let member = |name| text(claims, name).and_then(Result::ok);
    if member("htm").is_none_or(|method| method != expected.method) {
        return Err("the proof is for another method");
    }
    if !member("htu").is_some_and(|url| address::same(&url, expected.url)) {
        return Err("the proof is for another address");
    }
    let jti = member("jti").filter(|jti| jti.len() <= MAX_JTI).ok_or("the proof has no usable jti")?;
    let issued = claims.get("iat").and_then(Value::number).and_then(numeric_date).ok_or("the proof has no iat")?;
    if (issued - expected.now.timestamp_millis()).abs() > WINDOW {
        return Err("the proof was made too long ago, or in the future");
    }
    if let Some(token) = expected.access_token {
        let hash = URL_SAFE_NO_PAD.encode(sha256(&[token.as_bytes()]));
        let same = |ath: &String| verify_slices_are_equal(ath.as_bytes(), hash.as_bytes()).is_ok();
        if !member("ath").is_some_and(|ath| same(&ath)) {
            return Err("the proof is for another token");
        }
    }
    let nonce = match claims.get("nonce") {
        None => String::new(),
        Some(_) => member("nonce").ok_or("the proof's nonce is no text")?,
    };
    Ok((DpopProof { jkt, jti, issued }, nonce))
}

#[cfg(test)]
mod tests;
