//! What a remembered token is judged by again: everything but its signature.

use super::*;

/// Verifies a token, changes the world, verifies it again.
fn after(token: &str, change: impl FnOnce(&mut World)) -> &'static str {
    let mut world = World::new();
    let first = world.verify(token);
    assert_eq!(word(&first), "good", "{first:?}");
    world.verifier.known.run_pending_tasks();
    assert_eq!(world.verifier.remembered(), 1);
    change(&mut world);
    let again = word(&world.verify(token));
    // A verifier that remembers nothing says the same.
    world.verifier = verifier(&world.clock);
    assert_eq!(again, word(&world.verify(token)));
    again
}

#[test]
fn a_remembered_token_is_judged_by_the_directory_of_the_moment() {
    let one = token(&[("jti", json!("j1"))]);
    let hub = KEYS.p256.token(&header("ES256", "h"), &claims("https://hub.example", &[("tenant_id", json!("mercy"))]));
    let plain = KEYS.p256.token(r#"{"alg":"ES256","kid":"a-es"}"#, &claims(A, &[]));

    assert_eq!(after(&one, |_| {}), "good");
    assert_eq!(after(&one, |world| world.clock.set_millis((NOW + 600 + 5) * 1_000 - 1)), "good");
    assert_eq!(after(&one, |world| world.clock.set_millis((NOW + 600 + 5) * 1_000)), "expired");
    assert_eq!(after(&one, |world| world.clock.set_millis((NOW - 6) * 1_000)), "invalid");
    assert_eq!(after(&one, |world| world.tenants[0].status = TenantStatus::Suspended), "suspended");
    assert_eq!(after(&one, |world| drop(world.tenants.remove(0))), "invalid");
    assert_eq!(after(&one, |world| drop(world.issuers.remove(0))), "unknown issuer");
    assert_eq!(after(&one, |world| world.issuers[0].keys = keys(&[KEYS.ed.jwk("a-ed")])), "unknown key");
    assert_eq!(after(&one, |world| world.issuers[0].keys = keys(&[KEYS.other.jwk("a-es")])), "invalid");
    assert_eq!(after(&one, |world| world.issuers[0].keys = keys(&[KEYS.rsa.jwk("a-es")])), "invalid");
    assert_eq!(after(&one, |world| world.issuers[0].keys = keys(&[KEYS.ed.jwk("x"), KEYS.p256.jwk("a-es")])), "good");
    assert_eq!(after(&one, |world| world.issuers[0].max_lifetime = Duration::from_secs(599)), "invalid");
    let algorithms = |names: &[&str]| AllowedAlgorithms::named(names.iter().copied()).unwrap();
    assert_eq!(after(&one, |world| world.issuers[0].algorithms = algorithms(&["RS256"])), "invalid");
    assert_eq!(after(&one, |world| world.issuers[0].algorithms = algorithms(&["RS256", "ES256"])), "good");
    assert_eq!(after(&one, |world| world.issuers[0].strict = true), "good");
    assert_eq!(after(&plain, |world| world.issuers[0].strict = true), "invalid");
    assert_eq!(after(&hub, |world| drop(world.issuers[2].tenants.remove(0))), "invalid");
    assert_eq!(after(&hub, |world| drop(world.issuers[2].tenants.remove(1))), "good");
}

#[test]
fn a_tenant_made_again_under_the_same_name_is_another() {
    let mut world = World::new();
    let token = token(&[("fhirUser", json!("Patient/p1"))]);
    let before = world.verify(&token).unwrap();
    let again = tenant("mercy", 9, TenantStatus::Active);
    world.issuers[0].tenants = vec![again.role.clone()];
    world.tenants[0] = again;
    let after = world.verify(&token).unwrap();
    assert_ne!(before.tenant().role, after.tenant().role);
    assert_eq!(after.tenant().number, 9);
}

#[test]
fn an_issuer_that_moves_to_another_tenant_takes_no_compartment_along() {
    let mut world = World::new();
    let user = json!("https://vitals.example/t/mercy/fhir/Patient/p1");
    let token = token(&[("fhirUser", user), ("scope", json!("user/*.rs"))]);
    let reach = |world: &World| world.verify(&token).unwrap().visible(ResourceType::Patient, Letter::Read);
    assert_ne!(reach(&world), Visible::Nothing);
    world.issuers[0].tenants = vec![world.tenants[1].role.clone()];
    assert_eq!(reach(&world), Visible::Nothing);
}

#[test]
fn refused_tokens_are_not_remembered() {
    let world = World::new();
    for token in [token(&[("aud", json!("x"))]), token(&[("exp", json!(NOW - 100))]), token(&[]) + "A"] {
        assert_ne!(word(&world.verify(&token)), "good");
    }
    world.verifier.known.run_pending_tasks();
    assert_eq!(world.verifier.remembered(), 0);
}

#[test]
fn what_was_taken_back_ends_what_was_issued_until_then() {
    let token =
        token(&[("jti", json!("j1")), ("client_id", json!("app")), ("approval_id", json!("a1")), ("sid", json!("s1"))]);
    let rows: [(usize, RevocationKind, &str, i64, &str); 15] = [
        (0, RevocationKind::Token, "j1", NOW - 100, "invalid"),
        (1, RevocationKind::Token, "j1", NOW, "good"),
        (0, RevocationKind::Token, "j2", NOW, "good"),
        (0, RevocationKind::Client, "app", NOW, "invalid"),
        (0, RevocationKind::Client, "app", NOW - 1, "good"),
        (0, RevocationKind::Client, "another", NOW, "good"),
        (0, RevocationKind::User, "nurse", NOW, "invalid"),
        (0, RevocationKind::User, "nurse", NOW - 1, "good"),
        (0, RevocationKind::Approval, "a1", NOW, "invalid"),
        (0, RevocationKind::Approval, "a2", NOW, "good"),
        (0, RevocationKind::Session, "s1", NOW, "invalid"),
        (0, RevocationKind::Session, "s2", NOW, "good"),
        (0, RevocationKind::Tenant, "*", NOW, "invalid"),
        (0, RevocationKind::Tenant, "*", NOW - 1, "good"),
        (1, RevocationKind::Tenant, "*", NOW, "good"),
    ];
    for (place, kind, subject, at, expected) in rows {
        let revoke = |world: &mut World| world.revoked = vec![revoked(&world.tenants[place], kind, subject, at)];
        assert_eq!(after(&token, revoke), expected, "{kind:?} {subject} {at}");
    }
}

#[test]
fn another_mapping_reads_a_token_anew() {
    let mut world = World::new();
    let token = token(&[("patient", json!("p1")), ("roles", json!(["nurse"])), ("scope", json!("patient/*.rs"))]);
    assert_eq!(world.verify(&token).unwrap().scopes().texts(), ["patient/*.rs"]);
    let mapping = json!({ "scopes": { "roles": ["roles"], "values": { "nurse": "vitals:read" } } });
    world.issuers[0].mapping = Arc::new(serde_json::from_value(mapping).unwrap());
    assert_eq!(world.verify(&token).unwrap().scopes().texts(), ["vitals:read"]);
}

#[test]
fn it_counts_what_it_remembered_and_what_it_judged() {
    let world = World::new();
    let token = token(&[]);
    for _ in 0..3 {
        world.verify(&token).unwrap();
        world.verifier.known.run_pending_tasks();
    }
    let figures = world.verifier.figures();
    let count = |figure: &std::sync::atomic::AtomicU64| figure.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(&figures.judged), count(&figures.remembered)), (1, 2));
}
