//! The form of a signed JWT (RFC 7515, compact), judged before any cryptography: whatever kind it is, it is split here
//! and nowhere else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use vitals_fhir::json::{self, Document, Kind, Value};

/// Longest token that is read at all.
pub(crate) const MAX_TOKEN: usize = 8_192;

/// Header members that would change what is verified, or where the key comes from. `jwk` is refused where a key is
/// known beforehand.
const REFUSED_MEMBERS: [&str; 6] = ["crit", "b64", "zip", "jku", "x5u", "x5c"];

/// The algorithm of this name, if it is accepted: never `none`, never a symmetric one.
pub(crate) fn accepted_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// The names of the accepted algorithms, as documents list them.
pub const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA"];

/// A token in its parts, decoded and not verified.
#[derive(Debug)]
pub(crate) struct Jws<'t> {
    /// What is signed.
    pub(crate) message: &'t str,
    /// The signature in base64url.
    pub(crate) signature: &'t str,
    /// The signature's bytes.
    pub(crate) signature_bytes: Vec<u8>,
    header: Vec<u8>,
    claims: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Splits a token at its two dots.
    pub(crate) fn split(token: &'t str) -> Result<Self, &'static str> {
        const PARTS: &str = "the token has not three parts";
        if token.len() > MAX_TOKEN {
            return Err("the token is longer than 8,192 bytes");
        }
        let (message, signature) = token.rsplit_once('.').ok_or(PARTS)?;
        let (header, claims) = message.split_once('.').ok_or(PARTS)?;
        // A fourth part leaves a dot in one of these, which is not base64url.
        Ok(Self {
            message,
            signature,
            header: decode(header)?,
            claims: decode(claims)?,
            signature_bytes: decode(signature)?,
        })
    }

    /// The header, an object.
    pub(crate) fn header(&self) -> Result<Document<'_>, &'static str> {
        object(&self.header, "the header is not strict JSON", "the header is no object")
    }

    /// The claims, an object.
    pub(crate) fn claims(&self) -> Result<Document<'_>, &'static str> {
        object(&self.claims, "the claims are not strict JSON", "the claims are no object")
    }
}

fn object<'t>(text: &'t [u8], not_json: &'static str, no_object: &'static str) -> Result<Document<'t>, &'static str> {
    let document = json::parse(text).map_err(|_| not_json)?;
    if document.root().kind() == Kind::Object { Ok(document) } else { Err(no_object) }
}

/// Strict base64url: no padding, no white space, no loose bits at the end, not empty.
fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    match URL_SAFE_NO_PAD.decode(part) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err("a part of the token is not base64url"),
    }
}

/// Whether a key known beforehand is all that can verify a token of this header.
pub(crate) fn check_members(header: Value<'_>) -> Result<(), &'static str> {
    if header.get("jwk").is_some() {
        return Err("the header holds one of crit, b64, zip, jku, x5u, x5c, jwk");
    }
    check_members_but_jwk(header)
}

/// The same for a token that brings its key along.
pub(crate) fn check_members_but_jwk(header: Value<'_>) -> Result<(), &'static str> {
    if REFUSED_MEMBERS.iter().any(|member| header.get(member).is_some()) {
        return Err("the header holds one of crit, b64, zip, jku, x5u, x5c, jwk");
    }
    Ok(())
}

/// The algorithm a header names.
pub(crate) fn algorithm(header: Value<'_>) -> Result<Algorithm, &'static str> {
    let name = header.get("alg").and_then(Value::string);
    name.and_then(|name| accepted_algorithm(&name)).ok_or("the algorithm is not accepted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts_and_none_is_empty() {
        assert!(Jws::split("e30.e30.e30").is_ok());
        for bad in ["", "e30", "e30.e30", "e30.e30.", "e30..e30", ".e30.e30", "..", "e30.e30.e30.e30", "e30.e30.e30="] {
            assert!(Jws::split(bad).is_err(), "{bad}");
        }
        let longest = format!("e30.e30.{}", "A".repeat(MAX_TOKEN - 8));
        assert!(Jws::split(&longest).is_ok());
        assert!(Jws::split(&format!("{longest}AAAA")).is_err());
    }
}
