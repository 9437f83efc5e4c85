//! What a client assertion has to be. Every one is really signed, unless its row is about the signature.

use serde_json::{Value as Json, json};

use super::*;
use crate::forge::{Forge, NOW, b64, message};

const TOKEN_ENDPOINT: &str = "https://v.example/t/mercy/auth/token";
const ISSUER: &str = "https://v.example/t/mercy/auth";
const JWKS_URL: &str = "https://partner.example/jwks";

struct World {
    p384: Forge,
    rsa: Forge,
    keys: KeySet,
    audiences: Vec<String>,
}

impl World {
    fn new() -> Self {
        let (p384, rsa) = (Forge::p384(), Forge::rsa());
        let text = json!({ "keys": [p384.jwk("es"), rsa.jwk("rs")] }).to_string();
        let audiences = vec![TOKEN_ENDPOINT.to_owned(), ISSUER.to_owned()];
        Self { keys: KeySet::from_jwks(&text).0, p384, rsa, audiences }
    }

    fn judged(&self, jwt: &str, jwks_url: Option<&str>) -> Result<Assertion, AssertionError> {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let expected = AssertionExpected { client_id: "svc", audiences: &self.audiences, jwks_url, now };
        check(jwt, &self.keys, &expected)
    }

    /// With this header and these claims, by the P-384 key.
    fn outcome(&self, header: &Json, claims: &Json) -> Result<Assertion, AssertionError> {
        self.judged(&self.p384.token(&header.to_string(), &claims.to_string()), Some(JWKS_URL))
    }
}

fn header() -> Json {
    json!({ "typ": "JWT", "alg": "ES384", "kid": "es" })
}

fn claims() -> Json {
    json!({ "iss": "svc", "sub": "svc", "aud": TOKEN_ENDPOINT, "exp": NOW + 300, "jti": "j1" })
}

fn with(mut object: Json, name: &str, value: Json) -> Json {
    object[name] = value;
    object
}

fn without(mut object: Json, name: &str) -> Json {
    object.as_object_mut().unwrap().remove(name);
    object
}

#[test]
fn both_algorithms_of_smart_are_taken() {
    let world = World::new();
    let good = Assertion { jti: "j1".to_owned(), expires: DateTime::from_timestamp(NOW + 305, 0).unwrap() };
    assert_eq!(world.outcome(&header(), &claims()), Ok(good.clone()));
    let rs384 = json!({ "alg": "RS384", "kid": "rs" }).to_string();
    let jwt = world.rsa.token(&rs384, &claims().to_string());
    assert_eq!(world.judged(&jwt, None), Ok(good));
    assert_eq!(claimed_client(&jwt).as_deref(), Some("svc"));
    for bad in ["", "..", &world.rsa.token("{}", "[]"), &world.rsa.token("{}", r#"{"iss":1}"#)] {
        assert_eq!(claimed_client(bad), None, "{bad}");
    }
}

#[test]
fn the_header_names_a_registered_key_and_nowhere_else_to_look() {
    let world = World::new();
    for good in [
        without(header(), "typ"),
        with(header(), "typ", json!("jwt")),
        with(header(), "typ", json!("client-authentication+jwt")),
        with(header(), "jku", json!(JWKS_URL)),
        with(header(), "unheard_of", json!(1)),
    ] {
        assert!(world.outcome(&good, &claims()).is_ok(), "{good}");
    }
    for bad in [
        with(header(), "typ", json!("at+jwt")),
        with(header(), "typ", json!("dpop+jwt")),
        with(header(), "typ", json!(1)),
        with(header(), "alg", json!("none")),
        with(header(), "alg", json!("HS384")),
        with(header(), "alg", json!("ES256")),
        with(header(), "alg", json!("RS384")),
        with(header(), "kid", json!("rs")),
        with(header(), "kid", json!("")),
        with(header(), "kid", json!(1)),
        without(header(), "kid"),
        with(header(), "jku", json!("https://evil.example/jwks")),
        with(header(), "jku", json!(null)),
        with(header(), "jwk", world.p384.jwk("es")),
        with(header(), "x5u", json!("https://evil.example")),
        with(header(), "x5c", json!([])),
        with(header(), "crit", json!([])),
        with(header(), "b64", json!(true)),
        with(header(), "zip", json!("DEF")),
    ] {
        let outcome = world.outcome(&bad, &claims());
        assert!(matches!(outcome, Err(AssertionError::Invalid(_))), "{bad}: {outcome:?}");
    }
    assert_eq!(world.outcome(&with(header(), "kid", json!("new")), &claims()), Err(AssertionError::UnknownKey));
    let jku = with(header(), "jku", json!(JWKS_URL)).to_string();
    let outcome = world.judged(&world.p384.token(&jku, &claims().to_string()), None);
    assert!(matches!(outcome, Err(AssertionError::Invalid(_))), "inline keys have no address: {outcome:?}");
}

#[test]
fn the_claims_are_of_this_client_for_us_and_for_minutes() {
    let world = World::new();
    for good in [
        with(claims(), "aud", json!(ISSUER)),
        with(claims(), "aud", json!(["https://other.example", TOKEN_ENDPOINT])),
        with(claims(), "exp", json!(NOW + 305)),
        with(claims(), "exp", json!(NOW - 4)),
        with(claims(), "nbf", json!(NOW + 5)),
        with(claims(), "iat", json!(NOW + 5)),
        with(claims(), "iat", json!(NOW - 60)),
        with(claims(), "jti", json!("j".repeat(MAX_JTI))),
    ] {
        assert!(world.outcome(&header(), &good).is_ok(), "{good}");
    }
    for bad in [
        without(claims(), "iss"),
        with(claims(), "iss", json!("other")),
        with(claims(), "iss", json!(["svc"])),
        without(claims(), "sub"),
        with(claims(), "sub", json!("other")),
        without(claims(), "aud"),
        with(claims(), "aud", json!([])),
        with(claims(), "aud", json!(1)),
        with(claims(), "aud", json!("https://v.example")),
        with(claims(), "aud", json!(format!("{TOKEN_ENDPOINT}/"))),
        with(claims(), "aud", json!("https://v.example/t/grace/auth/token")),
        without(claims(), "exp"),
        with(claims(), "exp", json!(NOW - 5)),
        with(claims(), "exp", json!(NOW + 306)),
        with(claims(), "exp", json!((NOW + 60).to_string())),
        with(claims(), "nbf", json!(NOW + 6)),
        with(claims(), "nbf", json!("soon")),
        with(claims(), "iat", json!(NOW + 6)),
        with(claims(), "iat", json!(null)),
        without(claims(), "jti"),
        with(claims(), "jti", json!("")),
        with(claims(), "jti", json!(7)),
        with(claims(), "jti", json!("j".repeat(MAX_JTI + 1))),
    ] {
        let outcome = world.outcome(&header(), &bad);
        assert!(matches!(outcome, Err(AssertionError::Invalid(_))), "{bad}: {outcome:?}");
    }
    let twice = claims().to_string().replacen('{', r#"{"iss":"svc","#, 1);
    let outcome = world.judged(&world.p384.token(&header().to_string(), &twice), None);
    assert!(matches!(outcome, Err(AssertionError::Invalid(_))), "a claim twice");
}

#[test]
fn the_signature_is_the_clients() {
    let world = World::new();
    let stranger = Forge::p384();
    let message = message(&header().to_string(), &claims().to_string());
    for bad in [
        stranger.token(&header().to_string(), &claims().to_string()),
        format!("{message}."),
        format!("{message}.{}", b64(&[0; 96])),
        message,
        String::new(),
        "a".repeat(9_000),
    ] {
        let outcome = world.judged(&bad, None);
        assert!(matches!(outcome, Err(AssertionError::Invalid(_))), "{bad}: {outcome:?}");
    }
}
