//! The form of a token, judged before any cryptography (RFC 7515, RFC 8725, RFC 9068).
//!
//! jsonwebtoken lets through `crit`, `b64: false`, any `typ`, `jku`, an embedded `jwk`, members twice and tokens of any
//! size. So header and claims are read here, once, by the strict reader that all JSON enters through, and the library
//! is left with the signature alone.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use vitals_fhir::json::{self, Kind, Value};

use crate::{
    claims::Claims,
    keys::MAX_KID,
    refusal::{Claimed, Refusal},
};

/// Longest token that is read at all.
pub const MAX_TOKEN: usize = 8_192;

/// Header members that would change what is verified, or with which key.
const REFUSED_MEMBERS: [&str; 7] = ["crit", "b64", "zip", "jku", "x5u", "x5c", "jwk"];

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

/// Opens a token whose length was checked.
pub(crate) fn open(token: &str) -> Result<Presented<'_>, Refusal> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::invalid("the token has not three parts"))?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::invalid("the token has not three parts"))?;
    // A fourth part leaves a dot in one of these, which is not base64url.
    let header = decode(header)?;
    let payload = decode(payload)?;
    let signature_bytes = decode(signature)?;
    let header = json::parse(&header).map_err(|_| Refusal::invalid("the header is not strict JSON"))?;
    let payload = json::parse(&payload).map_err(|_| Refusal::invalid("the claims are not strict JSON"))?;
    if payload.root().kind() != Kind::Object {
        return Err(Refusal::invalid("the claims are no object"));
    }
    let claimed = Claimed::of(payload.root());
    let header = read_header(header.root()).map_err(|reason| Refusal::invalid_of(reason, claimed.clone()))?;
    let claims = Claims::read(payload.root()).map_err(|reason| Refusal::invalid_of(reason, claimed.clone()))?;
    Ok(Presented { header, claims, claimed, message, signature, signature_bytes })
}

/// Strict base64url: no padding, no white space, no loose bits at the end, not empty.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    match URL_SAFE_NO_PAD.decode(part) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Refusal::invalid("a part of the token is not base64url")),
    }
}

fn read_header(header: Value<'_>) -> Result<Header, &'static str> {
    if header.kind() != Kind::Object {
        return Err("the header is no object");
    }
    if REFUSED_MEMBERS.iter().any(|member| header.get(member).is_some()) {
        return Err("the header holds one of crit, b64, zip, jku, x5u, x5c, jwk");
    }
    let algorithm = header.get("alg").and_then(Value::string).and_then(|name| accepted_algorithm(&name));
    let kid = header.get("kid").and_then(Value::string);
    let kid = kid.filter(|kid| (1..=MAX_KID).contains(&kid.len()));
    Ok(Header {
        algorithm: algorithm.ok_or("the algorithm is not accepted")?,
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
