//! Section 4.3 of RFC 9449, rule by rule. Every proof is really signed, by the key it shows unless its row is about that.

use serde_json::{Value as Json, json};

use super::*;
use crate::forge::{Forge, NOW, b64, message};

const URL: &str = "https://v.example/t/mercy/fhir/Patient/p1";
const TOKEN: &str = "the.access.token";

fn header(forge: &Forge, algorithm: &str) -> Json {
    let mut jwk = forge.jwk("x");
    jwk.as_object_mut().unwrap().remove("kid");
    json!({ "typ": "dpop+jwt", "alg": algorithm, "jwk": jwk })
}

fn claims() -> Json {
    let ath = b64(&sha256(&[TOKEN.as_bytes()]));
    json!({ "jti": "j1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath })
}

fn with(mut object: Json, name: &str, value: Json) -> Json {
    object[name] = value;
    object
}

fn without(mut object: Json, name: &str) -> Json {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn judged(proof: &str) -> Result<DpopProof, DpopError> {
    let expected = DpopExpected {
        method: "GET",
        url: URL,
        now: DateTime::from_timestamp(NOW, 0).unwrap(),
        access_token: Some(TOKEN),
        nonce: &|nonce| ["", "good"].contains(&nonce),
    };
    check(proof, &expected)
}

fn is_invalid(outcome: &Result<DpopProof, DpopError>) -> bool {
    matches!(outcome, Err(DpopError::Invalid(_)))
}

#[test]
fn a_good_proof_shows_its_key_whatever_its_algorithm() {
    let rsa = Forge::rsa();
    for (forge, algorithm) in [
        (&Forge::p256(), "ES256"),
        (&Forge::p384(), "ES384"),
        (&Forge::ed(), "EdDSA"),
        (&rsa, "RS256"),
        (&rsa, "RS384"),
        (&rsa, "PS256"),
    ] {
        let proof = judged(&forge.token(&header(forge, algorithm).to_string(), &claims().to_string())).unwrap();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(forge.jwk("x")).unwrap();
        let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
        assert_eq!((proof.jkt_text(), proof.jti.as_str(), proof.issued), (thumbprint, "j1", NOW * 1_000));
        assert!(proof.is_by(&proof.jkt) && !proof.is_by(&[0; 32]));
    }
}

#[test]
fn a_header_that_is_not_a_proofs_is_refused() {
    let (key, other, rsa) = (Forge::p256(), Forge::p256(), Forge::rsa());
    let good = header(&key, "ES256");
    let token = |header: &Json| key.token(&header.to_string(), &claims().to_string());
    for typ in ["DPoP+JWT", "dpop+jwt"] {
        assert!(judged(&token(&with(good.clone(), "typ", json!(typ)))).is_ok(), "{typ}");
    }
    assert!(judged(&token(&with(good.clone(), "kid", json!("k")))).is_ok(), "a harmless member");
    let jwk = |name: &str, value: Json| with(good.clone(), "jwk", with(good["jwk"].clone(), name, value));
    let bad = [
        without(good.clone(), "typ"),
        with(good.clone(), "typ", json!("JWT")),
        with(good.clone(), "typ", json!("at+jwt")),
        with(good.clone(), "typ", json!(["dpop+jwt"])),
        without(good.clone(), "alg"),
        with(good.clone(), "alg", json!("none")),
        with(good.clone(), "alg", json!("HS256")),
        with(good.clone(), "alg", json!("ES384")),
        with(good.clone(), "alg", json!("RS256")),
        without(good.clone(), "jwk"),
        with(good.clone(), "jwk", json!(null)),
        with(good.clone(), "jwk", json!({})),
        with(good.clone(), "jwk", json!("k")),
        with(good.clone(), "jwk", json!({ "kty": "oct", "k": "c2VjcmV0" })),
        with(good.clone(), "jwk", other.jwk("x")),
        with(good.clone(), "jwk", rsa.jwk("x")),
        jwk("d", json!("AAAA")),
        jwk("use", json!("enc")),
        jwk("alg", json!("ES384")),
        jwk("y", good["jwk"]["x"].clone()),
        with(good.clone(), "crit", json!(["exp"])),
        with(good.clone(), "b64", json!(false)),
        with(good.clone(), "zip", json!("DEF")),
        with(good.clone(), "jku", json!("https://evil.example")),
        with(good.clone(), "x5u", json!("https://evil.example")),
        with(good.clone(), "x5c", json!([])),
        json!([]),
    ];
    for header in bad {
        let outcome = judged(&token(&header));
        assert!(is_invalid(&outcome), "{header}: {outcome:?}");
    }
    let twice = good.to_string().replacen('{', r#"{"typ":"dpop+jwt","#, 1);
    assert!(is_invalid(&judged(&key.token(&twice, &claims().to_string()))), "a member twice");
}

#[test]
fn a_proof_is_for_one_request_at_one_moment_with_one_token() {
    let key = Forge::p256();
    let header = header(&key, "ES256").to_string();
    let outcome = |claims: &Json| judged(&key.token(&header, &claims.to_string()));
    let good = [
        with(claims(), "htu", json!(format!("{URL}?x=y"))),
        with(claims(), "htu", json!("HTTPS://V.example:443/t/mercy/fhir/Patient/p1#x")),
        with(claims(), "iat", json!(NOW - 60)),
        with(claims(), "iat", json!(NOW + 60)),
        with(claims(), "iat", json!(1_800_000_000.5)),
        with(claims(), "jti", json!("j".repeat(MAX_JTI))),
        with(claims(), "nonce", json!("good")),
        with(claims(), "exp", json!(NOW - 1_000)),
        with(claims(), "unheard_of", json!(1)),
    ];
    for claims in good {
        assert!(outcome(&claims).is_ok(), "{claims}");
    }
    let bad = [
        without(claims(), "htm"),
        with(claims(), "htm", json!("POST")),
        with(claims(), "htm", json!("get")),
        with(claims(), "htm", json!(["GET"])),
        without(claims(), "htu"),
        with(claims(), "htu", json!("https://v.example/t/mercy/fhir/Patient/p2")),
        with(claims(), "htu", json!("https://v.example/t/grace/fhir/Patient/p1")),
        with(claims(), "htu", json!("/t/mercy/fhir/Patient/p1")),
        with(claims(), "htu", json!(null)),
        without(claims(), "iat"),
        with(claims(), "iat", json!(NOW - 61)),
        with(claims(), "iat", json!(NOW + 61)),
        with(claims(), "iat", json!(NOW.to_string())),
        with(claims(), "iat", json!(1e300)),
        without(claims(), "jti"),
        with(claims(), "jti", json!("")),
        with(claims(), "jti", json!(1)),
        with(claims(), "jti", json!("j".repeat(MAX_JTI + 1))),
        without(claims(), "ath"),
        with(claims(), "ath", json!("")),
        with(claims(), "ath", json!(b64(&sha256(&[b"another"])))),
        with(claims(), "ath", json!(TOKEN)),
        with(claims(), "nonce", json!(1)),
        with(claims(), "nonce", json!(null)),
        json!([]),
    ];
    for claims in bad {
        let outcome = outcome(&claims);
        assert!(is_invalid(&outcome), "{claims}: {outcome:?}");
    }
    assert_eq!(outcome(&with(claims(), "nonce", json!("old"))), Err(DpopError::UseNonce));
    // Who gets a new nonce for a proof that is bad anyhow would try for ever.
    let both = with(with(claims(), "nonce", json!("old")), "htm", json!("PUT"));
    assert!(is_invalid(&outcome(&both)));
}

#[test]
fn without_a_token_there_is_no_ath_to_see() {
    let key = Forge::p256();
    let proof = key.token(&header(&key, "ES256").to_string(), &without(claims(), "ath").to_string());
    let asked = std::cell::RefCell::new(Vec::new());
    let nonce = |nonce: &str| {
        asked.borrow_mut().push(nonce.to_owned());
        false
    };
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    let expected = DpopExpected { method: "GET", url: URL, now, access_token: None, nonce: &nonce };
    assert_eq!(check(&proof, &expected), Err(DpopError::UseNonce), "a nonce is demanded");
    assert_eq!(*asked.borrow(), [""]);
    assert!(check(&proof, &DpopExpected { nonce: &|_| true, ..expected }).is_ok());
}

#[test]
fn what_is_no_signed_token_is_refused() {
    let key = Forge::p256();
    let good = key.token(&header(&key, "ES256").to_string(), &claims().to_string());
    assert!(judged(&good).is_ok());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let unsigned = message(&header(&key, "ES256").to_string(), &claims().to_string());
    let body = &good[..good.len() - 1];
    for bad in [
        String::new(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{unsigned}."),
        format!("{good}."),
        format!("{good}="),
        format!("{good} "),
        format!("{good}.{signature}"),
        format!("{signed}.{}", b64(&[0; 64])),
        body.to_owned(),
        "a".repeat(9_000),
    ] {
        assert!(is_invalid(&judged(&bad)), "{bad}");
    }
}
