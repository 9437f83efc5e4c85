//! The form of an access token, judged before any cryptography (RFC 7515, RFC 8725, RFC 9068).
//!
//! jsonwebtoken lets through `crit`, `b64: false`, any `typ`, `jku`, an embedded `jwk`, members twice and tokens of any
//! size. So header and claims are read here, once, by the strict reader that all JSON enters through, and the library
//! is left with the signature alone.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use vitals_fhir::json::Value;

use crate::{
    claims::{ClaimMapping, Claims},
    jws::{self, Jws, MAX_TOKEN},
    keys::MAX_KID,
    refusal::{Claimed, Refusal},
};

/// What the header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
    /// Whether `typ` says that this is an access token, and not merely a JWT.
    pub(crate) says_access_token: bool,
}

/// A token of good form, not verified yet.
#[derive(Debug)]
pub(crate) struct Presented<'t> {
    pub(crate) header: Header,
    pub(crate) claims: Claims,
    /// How the claims were read.
    pub(crate) mapping: Arc<ClaimMapping>,
    pub(crate) claimed: Claimed,
    /// What is signed.
    pub(crate) message: &'t str,
    /// The signature in base64url.
    pub(crate) signature: &'t str,
    /// The signature's bytes.
    pub(crate) signature_bytes: Vec<u8>,
}

/// Refuses a token that is too long to be read, or even hashed.
pub(crate) fn check_length(token: &str) -> Result<(), Refusal> {
    if token.len() > MAX_TOKEN { Err(Refusal::invalid("the token is longer than 8,192 bytes")) } else { Ok(()) }
}

/// Opens a token whose length was checked. `mapping` says how the claims of an issuer's tokens are named.
pub(crate) fn open(token: &str, mapping: impl FnOnce(&str) -> Arc<ClaimMapping>) -> Result<Presented<'_>, Refusal> {
    let jws = Jws::split(token).map_err(Refusal::invalid)?;
    let header = jws.header().map_err(Refusal::invalid)?;
    let payload = jws.claims().map_err(Refusal::invalid)?;
    let issuer = payload.root().get("iss").and_then(Value::string).unwrap_or_default();
    let mapping = mapping(&issuer);
    let claimed = Claimed::of(payload.root());
    let header = read_header(header.root()).map_err(|reason| Refusal::invalid_of(reason, claimed.clone()))?;
    let claims = Claims::read(payload.root(), &mapping);
    let claims = claims.map_err(|reason| Refusal::invalid_of(reason, claimed.clone()))?;
    let Jws { message, signature, .. } = jws;
    Ok(Presented { header, claims, mapping, claimed, message, signature, signature_bytes: jws.signature_bytes })
}

fn read_header(header: Value<'_>) -> Result<Header, &'static str> {
    jws::check_members(header)?;
    let kid = header.get("kid").and_then(Value::string);
    let kid = kid.filter(|kid| (1..=MAX_KID).contains(&kid.len()));
    Ok(Header {
        algorithm: jws::algorithm(header)?,
        kid: kid.ok_or("the header names no key")?.into_owned(),
        says_access_token: says_access_token(header)?,
    })
}

/// `at+jwt` says access token, `JWT` or nothing leaves it open, anything else is another kind of token.
fn says_access_token(header: Value<'_>) -> Result<bool, &'static str> {
    let Some(kind) = header.get("typ") else { return Ok(false) };
    let kind = kind.string().unwrap_or_default();
    if kind.eq_ignore_ascii_case("at+jwt") || kind.eq_ignore_ascii_case("application/at+jwt") {
        Ok(true)
    } else if kind.eq_ignore_ascii_case("JWT") {
        Ok(false)
    } else {
        Err("the token is not an access token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_up_to_its_longest_and_no_further() {
        assert!(check_length(&"x".repeat(MAX_TOKEN)).is_ok());
        assert!(check_length(&"x".repeat(MAX_TOKEN + 1)).is_err());
    }
}
