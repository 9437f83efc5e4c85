//! Client assertions: how a program shows at the token endpoint that it holds its registered key (RFC 7523, section 3;
//! <https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html>).

use chrono::{DateTime, Utc};
use vitals_fhir::json::Value;

use crate::{
    claims::{audiences, numeric_date, text},
    jws::{self, Jws},
    keys::{KeySet, MAX_KID},
};

/// Difference allowed between a client's clock and ours, in milliseconds.
const LEEWAY: i64 = 5_000;
/// Longest life that an assertion has left, in milliseconds: SMART allows five minutes.
const LIFETIME: i64 = 300_000;
/// Longest `jti`: it is remembered.
const MAX_JTI: usize = 255;

/// What an assertion has to say.
#[derive(Clone, Copy, Debug)]
pub struct AssertionExpected<'a> {
    /// The client that it speaks for.
    pub client_id: &'a str,
    /// Whom it may be meant for: the token endpoint's address, or the issuer.
    pub audiences: &'a [String],
    /// The address that the client registered for its keys, which `jku` may repeat and nothing else.
    pub jwks_url: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What a good assertion leaves to be seen to: that its `jti` is new for this client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Its id.
    pub jti: String,
    /// When it ends: it has to be remembered until then.
    pub expires: DateTime<Utc>,
}

/// Why an assertion is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It breaks a rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// The client's keys do not hold the one it names; they may have been published since they were fetched.
    #[error("the client has no such key")]
    UnknownKey,
}

/// The client that an assertion says it is of, before anything is verified: to find its keys by.
pub fn claimed_client(jwt: &str) -> Option<String> {
    let jws = Jws::split(jwt).ok()?;
    text(jws.claims().ok()?.root(), "iss")?.ok()
}

/// Judges an assertion by the keys of its client.
pub fn check(jwt: &str, keys: &KeySet, expected: &AssertionExpected<'_>) -> Result<Assertion, AssertionError> {
    let invalid = AssertionError::Invalid;
    let jws = Jws::split(jwt).map_err(invalid)?;
    let (header, claims) = (jws.header().map_err(invalid)?, jws.claims().map_err(invalid)?);
    let (header, claims) = (header.root(), claims.root());
    check_header(header, expected.jwks_url).map_err(invalid)?;
    let algorithm = jws::algorithm(header).map_err(invalid)?;
    let kid = header.get("kid").and_then(Value::string).filter(|kid| (1..=MAX_KID).contains(&kid.len()));
    let kid = kid.ok_or(invalid("the assertion names no key"))?;
    let Some(key) = keys.find(&kid, algorithm) else {
        return Err(if keys.knows(&kid) {
            invalid("the key is not for this algorithm")
        } else {
            AssertionError::UnknownKey
        });
    };
    if !key.verifies(algorithm, jws.message, jws.signature) {
        return Err(invalid("the assertion's signature is not good"));
    }
    read(claims, expected).map_err(invalid)
}

fn check_header(header: Value<'_>, jwks_url: Option<&str>) -> Result<(), &'static str> {
    if ["jwk", "crit", "b64", "zip", "x5u", "x5c"].iter().any(|member| header.get(member).is_some()) {
        return Err("the header holds one of crit, b64, zip, x5u, x5c, jwk");
    }
    if let Some(jku) = header.get("jku")
        && (jwks_url.is_none() || jku.string().as_deref() != jwks_url)
    {
        return Err("jku is not the registered address of the client's keys");
    }
    // An access token, a proof or an ID token must not do for an assertion (RFC 8725, section 3.12).
    let kind = header.get("typ").map(|typ| typ.string().unwrap_or_default());
    if kind.is_some_and(|typ| !["JWT", "client-authentication+jwt"].iter().any(|good| typ.eq_ignore_ascii_case(good))) {
        return Err("the token is not a client assertion");
    }
    Ok(())
}

fn read(claims: Value<'_>, expected: &AssertionExpected<'_>) -> Result<Assertion, &'static str> {
    let is_client = |name| matches!(text(claims, name), Some(Ok(client)) if client == expected.client_id);
    if !is_client("iss") || !is_client("sub") {
        return Err("iss and sub are not the client");
    }
    if !audiences(claims)?.iter().any(|audience| expected.audiences.contains(audience)) {
        return Err("the assertion is for another audience");
    }
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.number().and_then(numeric_date).map(Some).ok_or("a time is no date"),
    };
    let now = expected.now.timestamp_millis();
    let expires = time("exp")?.ok_or("exp is missing")?;
    if now >= expires.saturating_add(LEEWAY) {
        return Err("the assertion has expired");
    }
    if expires > now.saturating_add(LIFETIME + LEEWAY) {
        return Err("the assertion lives longer than five minutes");
    }
    if time("nbf")?.is_some_and(|begin| begin > now + LEEWAY) || time("iat")?.is_some_and(|made| made > now + LEEWAY) {
        return Err("the assertion is not good yet");
    }
    let jti = text(claims, "jti").and_then(Result::ok).filter(|jti| jti.len() <= MAX_JTI);
    let expires = DateTime::from_timestamp_millis(expires.saturating_add(LEEWAY)).ok_or("exp is no date")?;
    Ok(Assertion { jti: jti.ok_or("jti is missing or too long")?, expires })
}

#[cfg(test)]
mod tests;
