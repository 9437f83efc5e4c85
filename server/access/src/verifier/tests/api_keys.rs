//! Keys for development, for tenants that take them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::{
    api_key::NewApiKey,
    forge::certificate,
    proof::{Anchor, ClientCertificate},
};

/// A world whose first tenant takes keys, and one of its keys.
fn world(scopes: &str, patient: Option<&str>) -> (World, String) {
    let mut world = World::new();
    world.tenants[0].settings.api_keys = true;
    let key = NewApiKey::generate();
    world.api_keys.push(StoredApiKey {
        tenant: world.tenants[0].role.clone(),
        id: "k1".to_owned(),
        hash: key.hash,
        name: "notebook".to_owned(),
        scopes: scopes.to_owned(),
        patient: patient.map(str::to_owned),
        created: DateTime::from_timestamp(NOW - 100, 0).unwrap(),
        expires: DateTime::from_timestamp(NOW + 100, 0).unwrap(),
    });
    (world, key.text)
}

fn judge(world: &World, key: &str) -> Result<Access, Refusal> {
    world.verifier.verify(&world.directory(), &Credential::ApiKey(key), &asked(&Base::Global))
}

#[test]
fn a_key_says_who_holds_it_and_reaches_what_its_scopes_do() {
    let (world, key) = world("vitals:read user/*.rs", Some("p1"));
    let access = judge(&world, &key).unwrap();
    assert_eq!(access.tenant().name.as_str(), "mercy");
    assert_eq!((access.issuer(), access.subject()), ("urn:vitals:api-key", "k1"));
    assert_eq!((access.client(), access.patient(), access.jti()), (Some("notebook"), Some("p1"), None));
    assert_eq!(access.used(ResourceType::Observation, Letter::Read), ["vitals:read"]);
    assert_eq!(access.visible(ResourceType::Patient, Letter::Read), Visible::Nothing, "nobody signed in");
    assert_eq!(access.expires().timestamp(), NOW + 100);
    assert_eq!(access.issued().map(|issued| issued.timestamp()), Some(NOW - 100));
    let grace = Base::Tenant("grace".parse().unwrap());
    let elsewhere = world.verifier.verify(&world.directory(), &Credential::ApiKey(&key), &asked(&grace));
    assert_eq!(word(&elsewhere), "wrong tenant");
}

#[test]
fn a_key_is_refused_where_it_is_not_taken() {
    let outcome = |change: fn(&mut World)| {
        let (mut world, key) = world("system/*.rs", None);
        change(&mut world);
        word(&judge(&world, &key))
    };
    assert_eq!(outcome(|_| {}), "good");
    assert_eq!(outcome(|world| world.tenants[0].settings.api_keys = false), "invalid");
    assert_eq!(outcome(|world| world.tenants[0].settings.production = true), "invalid");
    assert_eq!(outcome(|world| world.tenants[0].settings.require_proof = true), "invalid");
    assert_eq!(outcome(|world| world.tenants[0].settings.require_certificate = true), "invalid");
    assert_eq!(outcome(|world| world.tenants[0].status = TenantStatus::Suspended), "suspended");
    assert_eq!(outcome(|world| world.api_keys.clear()), "unknown key");
    assert_eq!(outcome(|world| drop(world.tenants.remove(0))), "unknown key");
    assert_eq!(outcome(|world| world.clock.set_millis((NOW + 100) * 1_000 - 1)), "good");
    assert_eq!(outcome(|world| world.clock.set_millis((NOW + 100) * 1_000)), "expired");
    let ended =
        |world: &mut World, at| world.revoked = vec![revoked(&world.tenants[0], RevocationKind::Tenant, "*", at)];
    let (mut world, key) = world("system/*.rs", None);
    ended(&mut world, NOW - 101);
    assert_eq!(word(&judge(&world, &key)), "good", "made after everything was ended");
    ended(&mut world, NOW - 100);
    assert_eq!(word(&judge(&world, &key)), "invalid");
}

#[test]
fn a_text_that_is_no_key_is_told_from_one_that_is_not_known() {
    let (world, key) = world("system/*.rs", None);
    assert_eq!(word(&judge(&world, &NewApiKey::generate().text)), "unknown key");
    for bad in ["", "vk_", &key[..44], &key.to_uppercase(), &token(&[])] {
        assert_eq!(word(&judge(&world, bad)), "invalid", "{bad}");
    }
    let bearer = world.verifier.verify(&world.directory(), &Credential::Bearer(&key), &asked(&Base::Global));
    assert_eq!(word(&bearer), "invalid", "a key is no token");
    let as_key = judge(&world, &token(&[]));
    assert_eq!(word(&as_key), "invalid", "a token is no key");
}

#[test]
fn a_key_may_be_asked_for_with_a_certificate() {
    let (mut world, key) = world("system/*.rs", None);
    world.tenants[0].settings.require_certificate = true;
    for (anchor, expected) in [(Anchor::Server, "good"), (Anchor::None, "invalid")] {
        let certificate = ClientCertificate::read(&STANDARD.decode(certificate::ONE).unwrap(), vec![anchor]).unwrap();
        let circumstances = Circumstances { certificate: Some(&certificate), ..asked(&Base::Global) };
        let outcome = world.verifier.verify(&world.directory(), &Credential::ApiKey(&key), &circumstances);
        assert_eq!(word(&outcome), expected);
    }
}

#[test]
fn the_last_use_of_a_key_is_told_once() {
    let (world, key) = world("system/*.rs", None);
    assert_eq!(world.verifier.take_used_keys(), []);
    judge(&world, &key).unwrap();
    world.clock.set_millis((NOW + 7) * 1_000);
    judge(&world, &key).unwrap();
    let at = DateTime::from_timestamp(NOW + 7, 0).unwrap();
    let used = UsedKey { tenant: world.tenants[0].role.clone(), id: "k1".to_owned(), at };
    assert_eq!(world.verifier.take_used_keys(), [used]);
    assert_eq!(world.verifier.take_used_keys(), []);
    world.clock.set_millis((NOW + 100) * 1_000);
    judge(&world, &key).unwrap_err();
    assert_eq!(world.verifier.take_used_keys(), [], "a refused one was not used");
}
