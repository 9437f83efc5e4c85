//! Which keys of a set are used, and what a tenant's own key signs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::forge::{Forge, b64, message, other_s};

fn set(keys: &[Value]) -> (KeySet, Vec<String>) {
    KeySet::from_jwks(&json!({ "keys": keys }).to_string())
}

fn with(mut jwk: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        jwk[*name] = value.clone();
    }
    jwk
}

#[test]
fn keys_of_accepted_types_are_used_with_their_own_algorithms_only() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256, RS384};
    let (p256, p384, rsa, ed) = (Forge::p256(), Forge::p384(), Forge::rsa(), Forge::ed());
    let cases: [(Value, &[Algorithm]); 9] = [
        (p256.jwk("k"), &[ES256]),
        (p384.jwk("k"), &[ES384]),
        (ed.jwk("k"), &[EdDSA]),
        (rsa.jwk("k"), &[RS256, RS384, PS256]),
        (with(rsa.jwk("k"), &[("alg", json!("RS384"))]), &[RS384]),
        (with(rsa.jwk("k"), &[("alg", json!("PS256")), ("use", json!("sig"))]), &[PS256]),
        (with(p256.jwk("k"), &[("alg", json!("ES256")), ("key_ops", json!(["sign", "verify"]))]), &[ES256]),
        (
            with(rsa.jwk("k"), &[("n", json!(b64(&[&[0, 0], rsa.modulus().as_slice()].concat())))]),
            &[RS256, RS384, PS256],
        ),
        (with(ed.jwk("k"), &[("x5t", json!("abc")), ("anything", json!({"a": [1]}))]), &[EdDSA]),
    ];
    for (jwk, algorithms) in cases {
        let (keys, warnings) = set(std::slice::from_ref(&jwk));
        assert_eq!(warnings, Vec::<String>::new(), "{jwk}");
        for algorithm in [ES256, ES384, EdDSA, PS256, RS256, RS384, Algorithm::HS256, Algorithm::RS512] {
            assert_eq!(keys.find("k", algorithm).is_some(), algorithms.contains(&algorithm), "{jwk} {algorithm:?}");
        }
    }
}

#[test]
fn a_set_keeps_the_text_it_was_read_from_and_shows_names_alone() {
    let text = json!({ "keys": [Forge::p256().jwk("k")] }).to_string();
    let (keys, _) = KeySet::from_jwks(&text);
    assert_eq!((keys.text(), keys.is_empty(), keys.len()), (text.as_str(), false, 1));
    let shown = format!("{keys:?}");
    assert!(shown.contains("VerifyingKey { kid: \"k\", algorithms: [ES256], .. }"), "{shown}");
    let (none, _) = KeySet::from_jwks("{}");
    assert_eq!((none.text(), none.is_empty(), none.len()), ("", true, 0));
}

#[test]
fn unusable_keys_are_skipped_with_a_warning_and_the_rest_is_used() {
    let (p256, p384, rsa, ed) = (Forge::p256(), Forge::p384(), Forge::rsa(), Forge::ed());
    let rsa_of = |n: &[u8], e: &[u8]| with(rsa.jwk("k"), &[("n", json!(b64(n))), ("e", json!(b64(e)))]);
    let mut even = rsa.modulus();
    even[255] &= 0xfe;
    let mut off_curve = p256.jwk("k");
    off_curve["y"] = json!(b64(&[7; 32]));
    let without_kid = json!({ "kty": "OKP", "crv": "Ed25519", "x": ed.jwk("k")["x"] });
    let cases = [
        ("symmetric", json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k" })),
        ("symmetric", json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256", "use": "sig" })),
        ("use", with(rsa.jwk("k"), &[("use", json!("enc"))])),
        ("use", with(rsa.jwk("k"), &[("use", json!("SIG"))])),
        ("string", with(rsa.jwk("k"), &[("use", json!(null))])),
        ("key_ops", with(rsa.jwk("k"), &[("key_ops", json!(["encrypt"]))])),
        ("key_ops", with(rsa.jwk("k"), &[("key_ops", json!([]))])),
        ("no array", with(rsa.jwk("k"), &[("key_ops", json!("verify"))])),
        ("alg", with(rsa.jwk("k"), &[("alg", json!("RS512"))])),
        ("alg", with(rsa.jwk("k"), &[("alg", json!("RSA-OAEP"))])),
        ("alg", with(rsa.jwk("k"), &[("alg", json!("HS256"))])),
        ("alg", with(rsa.jwk("k"), &[("alg", json!("ES256"))])),
        ("alg", with(p256.jwk("k"), &[("alg", json!("ES384"))])),
        ("alg", with(p384.jwk("k"), &[("alg", json!("ES256"))])),
        ("alg", with(p256.jwk("k"), &[("alg", json!("RS256"))])),
        ("alg", with(p256.jwk("k"), &[("alg", json!("none"))])),
        ("2,048", rsa_of(&rsa.modulus()[..64], &[1, 0, 1])),
        ("2,048", rsa_of(&rsa.modulus()[..128], &[1, 0, 1])),
        ("2,048", rsa_of(&rsa.modulus()[..255], &[1, 0, 1])),
        ("2,048", rsa_of(&[&[0; 200], &rsa.modulus()[..128]].concat(), &[1, 0, 1])),
        ("2,048", rsa_of(&[&[0x7f], &rsa.modulus()[1..]].concat(), &[1, 0, 1])),
        ("8,192", rsa_of(&[255; 1_025], &[1, 0, 1])),
        ("exponent", rsa_of(&rsa.modulus(), &[1])),
        ("exponent", rsa_of(&rsa.modulus(), &[3])),
        ("exponent", rsa_of(&rsa.modulus(), &[0])),
        ("exponent", rsa_of(&rsa.modulus(), &[0, 0, 0, 1])),
        ("exponent", rsa_of(&rsa.modulus(), &[1, 0, 2])),
        ("exponent", rsa_of(&rsa.modulus(), &[1, 0, 0, 0, 1])),
        ("even", rsa_of(&even, &[1, 0, 1])),
        ("curve", off_curve),
        ("curve", with(p256.jwk("k"), &[("crv", json!("secp256k1"))])),
        ("curve", with(p256.jwk("k"), &[("crv", json!("P-521"))])),
        ("length", with(p256.jwk("k"), &[("crv", json!("P-384"))])),
        ("length", with(p256.jwk("k"), &[("y", json!(b64(&[7; 31])))])),
        ("curve", with(ed.jwk("k"), &[("crv", json!("X25519"))])),
        ("curve", with(ed.jwk("k"), &[("crv", json!("Ed448"))])),
        ("curve", with(ed.jwk("k"), &[("x", json!(b64(&[1; 31])))])),
        ("private", with(p256.jwk("k"), &[("d", json!("AQAB"))])),
        ("base64url", with(rsa.jwk("k"), &[("e", json!("AQAB="))])),
        ("missing", json!({ "kty": "RSA", "kid": "k", "e": "AQAB" })),
        ("kid", without_kid),
        ("string", with(ed.jwk("k"), &[("kid", json!(7))])),
        ("kid", with(ed.jwk("k"), &[("kid", json!(""))])),
        ("kid", with(ed.jwk("k"), &[("kid", json!("k".repeat(257)))])),
        ("kty", json!({ "kty": "XXX", "kid": "k" })),
        ("object", json!("key")),
    ];
    for (why, jwk) in cases {
        let (keys, warnings) = set(&[jwk.clone(), p384.jwk("good")]);
        assert_eq!(keys.iter().map(VerifyingKey::kid).collect::<Vec<_>>(), ["good"], "{jwk}");
        assert_eq!(warnings.len(), 1, "{jwk}");
        assert!(warnings[0].starts_with("key 1: skipped") && warnings[0].contains(why), "{} for {jwk}", warnings[0]);
    }
}

#[test]
fn the_longest_modulus_is_taken() {
    let longest = with(Forge::rsa().jwk("k"), &[("n", json!(b64(&[255; 1_024])))]);
    assert_eq!(set(&[longest]).1, Vec::<String>::new());
}

#[test]
fn a_text_that_is_no_set_gives_no_keys_and_says_so() {
    for text in
        ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#, "{\"keys\":[]} x"]
    {
        let (keys, warnings) = KeySet::from_jwks(text);
        assert!(keys.is_empty(), "{text}");
        assert_eq!(warnings.len(), 1, "{text}");
    }
    assert_eq!(KeySet::from_jwks(r#"{"keys":[]}"#).1.len(), 0);
}

#[test]
fn sets_are_bounded_and_ids_are_unambiguous() {
    let (p256, rsa) = (Forge::p256(), Forge::rsa());
    let many: Vec<Value> = (0..MAX_KEYS + 50).map(|place| p256.jwk(&format!("k{place}"))).collect();
    let (keys, warnings) = set(&many);
    assert_eq!((keys.len(), warnings.len()), (MAX_KEYS, 1));

    let other = Forge::p256();
    let (keys, warnings) = set(&[p256.jwk("k"), other.jwk("k"), rsa.jwk("k")]);
    assert_eq!((keys.len(), warnings.len()), (2, 1), "{warnings:?}");
    let message = message("{}", "{}");
    let key = keys.find("k", Algorithm::ES256).unwrap();
    assert!(key.verifies(Algorithm::ES256, &message, &b64(&p256.sign("ES256", &message))));
    assert!(!key.verifies(Algorithm::ES256, &message, &b64(&other.sign("ES256", &message))));
}

#[test]
fn a_tenants_own_key_signs_what_its_public_part_verifies() {
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    let (keys, warnings) = KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, key.public_jwk()));
    assert!(warnings.is_empty());
    for turn in 0..20 {
        let token = key.sign(ACCESS_TOKEN, &json!({ "sub": "s", "turn": turn }));
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(keys.find(key.kid(), Algorithm::ES256).unwrap().verifies(Algorithm::ES256, message, signature));
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
        assert!(is_low_s(&bytes));
        assert!(!is_low_s(&other_s(&bytes)));
    }
}

#[test]
fn a_tenants_rsa_key_signs_id_tokens_that_its_public_part_verifies() {
    let key = SigningKey::generate(SigningAlgorithm::Rs256);
    let (keys, warnings) = KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, key.public_jwk()));
    assert!(warnings.is_empty(), "{warnings:?}");
    let token = key.sign("JWT", &json!({ "sub": "s" }));
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert!(keys.find(key.kid(), Algorithm::RS256).unwrap().verifies(Algorithm::RS256, message, signature));
    assert!(keys.find(key.kid(), Algorithm::RS384).is_none());
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({ "alg": "RS256", "kid": key.kid(), "typ": "JWT" }));
}

#[test]
fn a_signing_key_survives_its_pkcs8_form_and_names_itself_by_its_thumbprint() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let key = SigningKey::generate(algorithm);
        let again = SigningKey::from_pkcs8(key.kid(), algorithm, key.pkcs8()).unwrap();
        assert_eq!((again.public_jwk(), again.algorithm()), (key.public_jwk(), algorithm));
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&key.public_jwk()).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key.kid());
        assert_eq!(SigningKey::from_pkcs8("k", algorithm, b"nonsense").err(), Some(KeyRefused));
        let debug = format!("{key:?}");
        assert!(debug.contains(key.kid()) && !debug.contains(&b64(key.pkcs8())), "{debug}");
        let odd = SigningKey::from_pkcs8("a\"b", algorithm, key.pkcs8()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&odd.public_jwk()).unwrap()["kid"], "a\"b");
        assert_eq!(SigningAlgorithm::named(algorithm.name()), Some(algorithm));
    }
    let one = SigningKey::generate(SigningAlgorithm::Es256);
    assert_eq!(SigningKey::from_pkcs8("k", SigningAlgorithm::Rs256, one.pkcs8()).err(), Some(KeyRefused));
    assert_eq!(SigningAlgorithm::named("HS256"), None);
}

#[test]
fn the_lower_form_of_a_signature_ends_at_half_the_order() {
    // n = ffffffff 00000000 ffffffff ffffffff bce6faad a7179e84 f3b9cac2 fc632551; this is its half.
    let half: [u8; 32] = [
        0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d, 0x56,
        0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
    ];
    let low = |s: [u8; 32]| is_low_s(&[[7; 32], s].concat());
    let mut one = [0; 32];
    one[31] = 1;
    let mut above = half;
    above[31] += 1;
    assert!(low(one) && low(half));
    assert!(!low(above) && !low([0xff; 32]));
    assert!(!is_low_s(&one) && !is_low_s(&[0; 65]));
}
