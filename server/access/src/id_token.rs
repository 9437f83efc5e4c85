//! ID tokens of an outside OpenID provider: who signed in there (OpenID Connect Core 1.0, section 3.1.3.7).

use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use vitals_fhir::json::Value;

use crate::{
    claims::{audiences, numeric_date, text},
    jws::{self, Jws},
    keys::{KeySet, VerifyingKey},
};

/// Difference allowed between a provider's clock and ours, in milliseconds: it is not ours to set.
const LEEWAY: i64 = 60_000;

/// What an ID token has to say.
#[derive(Clone, Copy, Debug)]
pub struct IdTokenExpected<'a> {
    /// The provider, to the letter.
    pub issuer: &'a str,
    /// Our client there.
    pub client_id: &'a str,
    /// The `nonce` of the request it answers.
    pub nonce: &'a str,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Why an ID token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// It breaks a rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// The provider's keys do not hold the one it names; it may have been published since they were fetched.
    #[error("the provider has no such key")]
    UnknownKey,
}

/// Judges an ID token by the keys of its provider; the answer is its `sub`.
pub fn check(jwt: &str, keys: &KeySet, expected: &IdTokenExpected<'_>) -> Result<String, IdTokenError> {
    let invalid = IdTokenError::Invalid;
    let jws = Jws::split(jwt).map_err(invalid)?;
    let (header, claims) = (jws.header().map_err(invalid)?, jws.claims().map_err(invalid)?);
    let (header, claims) = (header.root(), claims.root());
    jws::check_members(header).map_err(invalid)?;
    // An access token must not do for an ID token (RFC 8725, section 3.12).
    let kind = header.get("typ").map(|typ| typ.string().unwrap_or_default());
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT")) {
        return Err(invalid("the token is not an ID token"));
    }
    let algorithm = jws::algorithm(header).map_err(invalid)?;
    let key = key(header, algorithm, keys)?;
    if !key.verifies(algorithm, jws.message, jws.signature) {
        return Err(invalid("the ID token's signature is not good"));
    }
    read(claims, expected).map_err(invalid)
}

/// The key a header names; where it names none, the only one there is for its algorithm.
fn key<'k>(header: Value<'_>, algorithm: Algorithm, keys: &'k KeySet) -> Result<&'k VerifyingKey, IdTokenError> {
    let Some(kid) = header.get("kid") else {
        let mut fitting = keys.iter().filter(|key| key.allows(algorithm));
        return match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(IdTokenError::Invalid("the ID token does not say which key signed it")),
        };
    };
    let kid = kid.string().unwrap_or_default();
    keys.find(&kid, algorithm).ok_or(IdTokenError::UnknownKey)
}

fn read(claims: Value<'_>, expected: &IdTokenExpected<'_>) -> Result<String, &'static str> {
    let says = |name, value: &str| matches!(text(claims, name), Some(Ok(said)) if said == value);
    if !says("iss", expected.issuer) {
        return Err("the ID token is another issuer's");
    }
    let audiences = audiences(claims)?;
    if !audiences.iter().any(|audience| audience == expected.client_id) {
        return Err("the ID token is for another client");
    }
    if (audiences.len() > 1 || claims.get("azp").is_some()) && !says("azp", expected.client_id) {
        return Err("the ID token was issued to another client");
    }
    if !says("nonce", expected.nonce) {
        return Err("the ID token answers another request");
    }
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.number().and_then(numeric_date).map(Some).ok_or("a time is no date"),
    };
    let now = expected.now.timestamp_millis();
    if now >= time("exp")?.ok_or("exp is missing")?.saturating_add(LEEWAY) {
        return Err("the ID token has expired");
    }
    if time("iat")?.ok_or("iat is missing")? > now + LEEWAY || time("nbf")?.is_some_and(|begin| begin > now + LEEWAY) {
        return Err("the ID token is not good yet");
    }
    text(claims, "sub").ok_or("sub is missing")?
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        forge::Forge,
        keys::{SigningAlgorithm, SigningKey},
    };

    const NOW: i64 = 1_800_000_000;

    /// What is changed, and whether it is still taken.
    type Case = (&'static str, fn(&mut Value), bool);

    fn claims() -> Value {
        json!({ "iss": "https://id.example", "sub": "s1", "aud": "us", "exp": NOW + 60, "iat": NOW, "nonce": "n" })
    }

    fn judged(jwt: &str, keys: &[&SigningKey]) -> Result<String, IdTokenError> {
        let jwks: Vec<String> = keys.iter().map(|key| key.public_jwk()).collect();
        let (keys, warnings) = KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, jwks.join(",")));
        assert_eq!(warnings, Vec::<String>::new());
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let expected = IdTokenExpected { issuer: "https://id.example", client_id: "us", nonce: "n", now };
        check(jwt, &keys, &expected)
    }

    #[test]
    fn only_what_the_provider_says_to_us_now_is_taken() {
        let key = SigningKey::generate(SigningAlgorithm::Es256);
        let cases: [Case; 19] = [
            ("as it is", |_| {}, true),
            (
                "to several, issued to us",
                |claims| {
                    claims["aud"] = json!(["x", "us"]);
                    claims["azp"] = "us".into();
                },
                true,
            ),
            ("within the leeway", |claims| claims["exp"] = (NOW - 59).into(), true),
            ("begun at the very edge", |claims| claims["iat"] = (NOW + 60).into(), true),
            ("begun beyond it", |claims| claims["iat"] = (NOW + 61).into(), false),
            ("good from the very edge on", |claims| claims["nbf"] = (NOW + 60).into(), true),
            ("another issuer", |claims| claims["iss"] = "https://id.example/".into(), false),
            ("another client", |claims| claims["aud"] = "them".into(), false),
            ("no audience", |claims| claims["aud"] = Value::Null, false),
            ("to several, issued to whom", |claims| claims["aud"] = json!(["us", "x"]), false),
            ("issued to another", |claims| claims["azp"] = "them".into(), false),
            ("another request", |claims| claims["nonce"] = "m".into(), false),
            (
                "no request",
                |claims| {
                    claims.as_object_mut().unwrap().remove("nonce");
                },
                false,
            ),
            ("expired", |claims| claims["exp"] = (NOW - 60).into(), false),
            ("no end", |claims| claims["exp"] = Value::Null, false),
            ("not yet issued", |claims| claims["iat"] = (NOW + 61).into(), false),
            (
                "no beginning",
                |claims| {
                    claims.as_object_mut().unwrap().remove("iat");
                },
                false,
            ),
            ("not yet good", |claims| claims["nbf"] = (NOW + 61).into(), false),
            ("nobody", |claims| claims["sub"] = "".into(), false),
        ];
        for (what, change, good) in cases {
            let mut claims = claims();
            change(&mut claims);
            assert_eq!(judged(&key.sign("JWT", &claims), &[&key]).is_ok(), good, "{what}");
        }
        assert_eq!(judged(&key.sign("JWT", &claims()), &[&key]), Ok("s1".to_owned()));
    }

    #[test]
    fn only_keys_of_the_provider_sign_and_only_id_tokens() {
        let (key, other) =
            (SigningKey::generate(SigningAlgorithm::Es256), SigningKey::generate(SigningAlgorithm::Rs256));
        assert!(judged(&other.sign("JWT", &claims()), &[&key, &other]).is_ok());
        assert_eq!(judged(&other.sign("JWT", &claims()), &[&key]), Err(IdTokenError::UnknownKey));
        for kind in ["at+jwt", "dpop+jwt", "logout+jwt"] {
            assert!(matches!(judged(&key.sign(kind, &claims()), &[&key]), Err(IdTokenError::Invalid(_))), "{kind}");
        }
        let token = key.sign("JWT", &claims());
        let (message, _) = token.rsplit_once('.').unwrap();
        let others = key.sign("JWT", &json!({}));
        let (_, signature) = others.rsplit_once('.').unwrap();
        assert!(judged(&format!("{message}.{signature}"), &[&key]).is_err());
    }

    #[test]
    fn a_key_without_a_name_is_the_only_one_there_is() {
        let (key, other, rsa) = (Forge::p256(), Forge::p256(), Forge::rsa());
        let token = key.token(r#"{"alg":"ES256","typ":"JWT"}"#, &claims().to_string());
        let judged = |keys: &[Value]| {
            let (keys, _) = KeySet::from_jwks(&json!({ "keys": keys }).to_string());
            let now = DateTime::from_timestamp(NOW, 0).unwrap();
            check(&token, &keys, &IdTokenExpected { issuer: "https://id.example", client_id: "us", nonce: "n", now })
        };
        assert_eq!(judged(&[key.jwk("a"), rsa.jwk("b")]), Ok("s1".to_owned()), "the other is of another kind");
        for keys in [&[key.jwk("a"), other.jwk("b")][..], &[other.jwk("a")], &[]] {
            assert!(matches!(judged(keys), Err(IdTokenError::Invalid(_))), "{keys:?}");
        }
    }
}
