//! Bound tokens, and what tenants ask of everybody (O25; RFC 8705, RFC 9449).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::{
    forge::{b64, certificate},
    proof::{Anchor, ClientCertificate},
};

const OTHER_URL: &str = "https://vitals.example/t/mercy/fhir/Patient/p2";

fn one(anchors: Vec<Anchor>) -> ClientCertificate {
    ClientCertificate::read(&STANDARD.decode(certificate::ONE).unwrap(), anchors).unwrap()
}

fn two(anchors: Vec<Anchor>) -> ClientCertificate {
    ClientCertificate::read(&STANDARD.decode(certificate::TWO).unwrap(), anchors).unwrap()
}

fn jkt(forge: &Forge) -> String {
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(forge.jwk("x")).unwrap();
    jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap()
}

/// A proof for a token, with these claims changed.
fn proof(forge: &Forge, token: &str, jti: &str, changed: &[(&str, Value)]) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": forge.jwk("x") });
    let ath = b64(&sha256(&[token.as_bytes()]));
    let mut claims = json!({ "jti": jti, "htm": "GET", "htu": URL, "iat": NOW, "ath": ath });
    for (name, value) in changed {
        claims[*name] = value.clone();
    }
    forge.token(&header.to_string(), &claims.to_string())
}

fn judge(world: &World, credential: &Credential<'_>, certificate: Option<&ClientCertificate>) -> &'static str {
    let circumstances = Circumstances { certificate, ..asked(&Base::Global) };
    word(&world.verifier.verify(&world.directory(), credential, &circumstances))
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_one() {
    let world = World::new();
    let bound = token(&[("cnf", json!({ "x5t#S256": one(vec![]).thumbprint_text() }))]);
    let bearer = Credential::Bearer(&bound);
    for _ in 0..2 {
        assert_eq!(judge(&world, &bearer, None), "invalid");
        assert_eq!(judge(&world, &bearer, Some(&two(vec![Anchor::Server]))), "invalid");
        // Who vouches for it is not what the token says.
        for anchors in [vec![], vec![Anchor::None], vec![Anchor::Server]] {
            assert_eq!(judge(&world, &bearer, Some(&one(anchors))), "good");
        }
        let as_dpop = Credential::Dpop { token: &bound, proof: &proof(&KEYS.other, &bound, "j", &[]) };
        assert_eq!(judge(&world, &as_dpop, Some(&one(vec![]))), "invalid", "not bound to a key");
    }
    let access = world.verifier.introspect(&world.directory(), &bound).unwrap();
    assert_eq!(access.bound_certificate(), Some(one(vec![]).thumbprint()));
    assert_eq!(access.bound_key(), None);
    // A token that is not bound is good with any certificate and without one.
    assert_eq!(judge(&world, &Credential::Bearer(&token(&[])), Some(&two(vec![]))), "good");
}

#[test]
fn a_token_bound_to_a_key_needs_a_new_proof_by_it_each_time() {
    let world = World::new();
    let (key, stranger) = (Forge::p256(), Forge::p256());
    let bound = token(&[("cnf", json!({ "jkt": jkt(&key) }))]);
    let judged = |proof: &str| judge(&world, &Credential::Dpop { token: &bound, proof }, None);

    assert_eq!(judge(&world, &Credential::Bearer(&bound), None), "invalid", "as a bearer token");
    let good = proof(&key, &bound, "j1", &[]);
    assert_eq!(judged(&good), "good");
    assert_eq!(judged(&good), "proof", "again");
    assert_eq!(judged(&proof(&key, &bound, "j1", &[("iat", json!(NOW - 1))])), "proof", "another with its id");
    assert_eq!(judged(&proof(&key, &bound, "j2", &[])), "good");
    assert_eq!(judged(&proof(&stranger, &bound, "j3", &[])), "proof", "another's key");
    assert_eq!(judged(&proof(&key, &token(&[]), "j4", &[])), "proof", "for another token");
    assert_eq!(judged(&proof(&key, &bound, "j5", &[("htm", json!("POST"))])), "proof");
    assert_eq!(judged(&proof(&key, &bound, "j6", &[("htu", json!(OTHER_URL))])), "proof");
    assert_eq!(judged(&proof(&key, &bound, "j7", &[("iat", json!(NOW - 61))])), "proof");
    assert_eq!(judged(""), "proof");
    assert_eq!(judged(&bound), "proof", "the token itself");
    // A refused proof is not remembered: its id may be used by a good one.
    assert_eq!(judged(&proof(&key, &bound, "j5", &[])), "good");
    // No nonce is demanded, but one that came has to be good.
    assert_eq!(judged(&proof(&key, &bound, "j8", &[("nonce", json!("x"))])), "nonce");
    assert_eq!(judged(&proof(&key, &bound, "j9", &[("nonce", json!(world.verifier.nonce()))])), "good");

    let unbound = token(&[]);
    let credential = Credential::Dpop { token: &unbound, proof: &proof(&key, &unbound, "j10", &[]) };
    assert_eq!(judge(&world, &credential, None), "invalid", "a token that is bound to nothing");
    let access = world.verifier.introspect(&world.directory(), &bound).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(access.bound_key().unwrap()), jkt(&key));
}

#[test]
fn a_token_bound_to_both_needs_both() {
    let world = World::new();
    let key = Forge::p256();
    let cnf = json!({ "jkt": jkt(&key), "x5t#S256": one(vec![]).thumbprint_text() });
    let bound = token(&[("cnf", cnf)]);
    let dpop = |jti: &str| proof(&key, &bound, jti, &[]);
    let judged = |jti: &str, certificate: Option<&ClientCertificate>| {
        judge(&world, &Credential::Dpop { token: &bound, proof: &dpop(jti) }, certificate)
    };
    assert_eq!(judged("j1", None), "invalid");
    assert_eq!(judged("j2", Some(&two(vec![]))), "invalid");
    assert_eq!(judge(&world, &Credential::Bearer(&bound), Some(&one(vec![]))), "invalid");
    assert_eq!(judged("j1", Some(&one(vec![]))), "good");
}

#[test]
fn a_tenant_may_ask_for_proof_of_everybody() {
    let mut world = World::new();
    world.tenants[0].settings.require_proof = true;
    let key = Forge::p256();
    let (plain, of_cert) = (token(&[]), token(&[("cnf", json!({ "x5t#S256": one(vec![]).thumbprint_text() }))]));
    let of_key = token(&[("cnf", json!({ "jkt": jkt(&key) }))]);
    assert_eq!(judge(&world, &Credential::Bearer(&plain), Some(&one(vec![Anchor::Server]))), "invalid");
    assert_eq!(judge(&world, &Credential::Bearer(&of_cert), Some(&one(vec![]))), "good");
    let judged = |jti: &str, nonce: Option<&str>| {
        let changed: Vec<(&str, Value)> = nonce.map(|nonce| ("nonce", json!(nonce))).into_iter().collect();
        let proof = proof(&key, &of_key, jti, &changed);
        judge(&world, &Credential::Dpop { token: &of_key, proof: &proof }, None)
    };
    assert_eq!(judged("j1", None), "nonce", "a nonce is demanded");
    assert_eq!(judged("j1", Some("x")), "nonce");
    assert_eq!(judged("j1", Some(&world.verifier.nonce())), "good");
    // Another tenant asks for nothing.
    let grace = KEYS.other.token(&header("ES256", "a-es"), &claims("https://b.example", &[]));
    assert_eq!(judge(&world, &Credential::Bearer(&grace), None), "good");
    // A token that never left the process needs no proof, unless it is bound to one.
    let inside = Circumstances::inside(&Base::Global);
    let verify = |token: &str| word(&world.verifier.verify(&world.directory(), &Credential::Bearer(token), &inside));
    assert_eq!((verify(&plain), verify(&of_key), verify(&of_cert)), ("good", "invalid", "invalid"));
}

#[test]
fn a_tenant_may_ask_for_a_certificate_of_everybody() {
    let mut world = World::new();
    world.tenants[0].settings.require_certificate = true;
    let (mercy, grace) = (world.tenants[0].role.clone(), world.tenants[1].role.clone());
    let plain = token(&[]);
    let bearer = Credential::Bearer(&plain);
    for (anchors, expected) in [
        (vec![Anchor::Server], "good"),
        (vec![Anchor::Tenant(mercy.clone())], "good"),
        (vec![Anchor::Tenant(grace.clone()), Anchor::Tenant(mercy)], "good"),
        (vec![Anchor::Tenant(grace)], "invalid"),
        (vec![Anchor::None], "invalid"),
        (vec![], "invalid"),
    ] {
        assert_eq!(judge(&world, &bearer, Some(&one(anchors.clone()))), expected, "{anchors:?}");
    }
    assert_eq!(judge(&world, &bearer, None), "invalid");
    let inside = Circumstances::inside(&Base::Global);
    assert_eq!(word(&world.verifier.verify(&world.directory(), &bearer, &inside)), "good");
    // One that has run out since the connection was made.
    let year = token(&[("exp", json!(NOW + 366 * 86_400)), ("iat", json!(NOW + 366 * 86_400 - 60))]);
    world.clock.set_millis((NOW + 366 * 86_400 - 30) * 1_000);
    assert_eq!(judge(&world, &Credential::Bearer(&year), Some(&one(vec![Anchor::Server]))), "invalid");
}

#[test]
fn what_is_bound_is_judged_before_the_base_is() {
    let world = World::new();
    let bound = token(&[("cnf", json!({ "x5t#S256": one(vec![]).thumbprint_text() }))]);
    let grace = Base::Tenant("grace".parse().unwrap());
    assert_eq!(word(&world.verify_at(&bound, &grace)), "invalid", "who stole it learns nothing");
    assert_eq!(word(&world.verifier.introspect(&world.directory(), &token(&[("exp", json!(NOW - 60))]))), "expired");
}
