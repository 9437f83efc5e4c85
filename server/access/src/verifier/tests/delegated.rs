//! A caller of one tenant (mercy) at the base of another (grace) that granted it something: each of the four conditions
//! by itself, and what such a caller is.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::{
    api_key::NewApiKey,
    forge::{b64, certificate},
    predicate::{AllOf, Term},
    proof::{Anchor, ClientCertificate},
};

const MERCY: usize = 0;
const GRACE: usize = 1;
const CLOSED: usize = 2;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

impl World {
    /// A grant by one tenant to mercy, standing from a minute ago for two.
    fn granted(&mut self, id: &str, grantor: usize, scope: &str) -> &mut Grant {
        self.grants.push(Grant {
            id: id.to_owned(),
            grantor: self.tenants[grantor].role.clone(),
            grantee: self.tenants[MERCY].role.clone(),
            scopes: scope.split(' ').map(str::to_owned).collect(),
            purpose: "HRESCH".to_owned(),
            not_before: at(NOW - 60),
            expires: at(NOW + 60),
            revoked: false,
        });
        self.grants.last_mut().unwrap()
    }

    fn at_grace(&self, token: &str) -> Result<Access, Refusal> {
        self.verify_at(token, &fhir("grace"))
    }
}

fn fhir(name: &str) -> Base {
    Base::Fhir(name.parse().unwrap())
}

fn entry(tenant: &str, scope: &str, expires: i64) -> Value {
    json!({ "tenant_id": tenant, "scopes": scope.split(' ').collect::<Vec<_>>(), "expires": expires })
}

fn delegated(scope: &str, entries: &[Value]) -> String {
    token(&[("scope", json!(scope)), ("delegated_access", json!(entries))])
}

/// A good token for what grace granted.
fn good() -> String {
    delegated("org:delegated", &[entry("grace", "system/*.rs", NOW + 600)])
}

/// Why not, and under which grant.
fn why(outcome: Result<Access, Refusal>) -> (&'static str, Option<String>) {
    match outcome {
        Err(Refusal::NotDelegated(refused)) => (refused.reason, refused.grant.clone()),
        other => panic!("{other:?}"),
    }
}

fn g(reason: &'static str) -> (&'static str, Option<String>) {
    (reason, Some("g".to_owned()))
}

#[test]
fn each_condition_alone_keeps_a_caller_out() {
    let outcome = |token: &str, change: fn(&mut World)| {
        let mut world = World::new();
        world.granted("g", GRACE, "vitals:read");
        change(&mut world);
        // What was judged once is remembered, and judged again.
        let (first, again) = (world.at_grace(token), world.at_grace(token));
        assert_eq!(word(&first), word(&again));
        again.map_err(|refusal| why(Err(refusal)))
    };
    let refused = |token: &str, change: fn(&mut World)| outcome(token, change).unwrap_err();
    let good = good();
    assert!(outcome(&good, |_| {}).is_ok());

    // The grant.
    assert_eq!(refused(&good, |world| world.grants.clear()), ("no grant stands", None));
    assert_eq!(refused(&good, |world| world.grants[0].grantor = world.tenants[CLOSED].role.clone()).1, None);
    assert_eq!(refused(&good, |world| world.grants[0].grantee = world.tenants[CLOSED].role.clone()).1, None);
    assert_eq!(refused(&good, |world| world.grants[0].revoked = true), g("the grant has ended"));
    assert_eq!(refused(&good, |world| world.grants[0].expires = at(NOW)), g("the grant has ended"));
    assert!(outcome(&good, |world| world.grants[0].expires = at(NOW + 1)).is_ok());
    assert_eq!(refused(&good, |world| world.grants[0].not_before = at(NOW + 1)), g("the grant has not begun"));
    assert!(outcome(&good, |world| world.grants[0].not_before = at(NOW)).is_ok());
    // Its parties.
    assert_eq!(
        refused(&good, |world| world.tenants[GRACE].status = TenantStatus::Suspended),
        g("the tenant that granted is suspended")
    );
    assert_eq!(
        refused(&good, |world| world.tenants[MERCY].status = TenantStatus::Suspended),
        g("the caller's tenant is suspended")
    );
    assert_eq!(refused(&good, |world| drop(world.tenants.remove(GRACE))), ("no grant stands", None));
    // The token's word.
    let said = |scope| delegated(scope, &[entry("grace", "system/*.rs", NOW + 600)]);
    let not_said = g("the token does not say org:delegated");
    assert_eq!(refused(&said("system/*.cruds org:self"), |_| {}), not_said);
    assert_eq!(refused(&said("org:delegated2"), |_| {}), not_said);
    assert!(outcome(&said("system/*.cruds org:delegated"), |_| {}).is_ok());
    // Its entry.
    let no_entry = g("the token has no delegated_access entry for the tenant that has not ended");
    for entries in [
        vec![],
        vec![entry("Grace", "system/*.rs", NOW + 600)],
        vec![entry("closed", "system/*.rs", NOW + 600), entry("mercy", "system/*.rs", NOW + 600)],
        vec![entry("grace", "system/*.rs", NOW)],
    ] {
        assert_eq!(refused(&delegated("org:delegated", &entries), |_| {}), no_entry, "{entries:?}");
    }
    for entries in [
        vec![entry("grace", "system/*.rs", NOW + 1)],
        vec![entry("closed", "system/*.rs", NOW + 1), entry("grace", "system/*.rs", NOW + 1)],
        vec![entry("grace", "system/*.rs", NOW), entry("grace", "vitals:read", NOW + 1)],
    ] {
        assert!(outcome(&delegated("org:delegated", &entries), |_| {}).is_ok(), "{entries:?}");
    }
    // A scope in both.
    let nothing = g("the token and the grant have no scope in common");
    for scope in ["users:read", "vitals:write", "patient/*.rs", "user/*.rs", "org:delegated", ""] {
        let token = delegated("org:delegated", &[entry("grace", scope, NOW + 600)]);
        assert_eq!(refused(&token, |_| {}), nothing, "{scope}");
    }
    // Whose ids it speaks of.
    let patient = token(&[
        ("scope", json!("org:delegated")),
        ("patient", json!("p1")),
        ("delegated_access", json!([entry("grace", "system/*.rs", NOW + 600)])),
    ]);
    assert_eq!(refused(&patient, |_| {}), g("a token for one patient reaches no other tenant"));
}

#[test]
fn a_grants_time_has_no_leeway() {
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    let token = delegated("org:delegated", &[entry("grace", "system/*.rs", NOW + 30)]);
    for (millis, expected) in
        [(NOW * 1_000, "good"), ((NOW + 30) * 1_000 - 1, "good"), ((NOW + 30) * 1_000, "not delegated")]
    {
        world.clock.set_millis(millis);
        assert_eq!(word(&world.at_grace(&token)), expected, "{millis}");
    }
    for (millis, expected) in [((NOW + 60) * 1_000 - 1, "good"), ((NOW + 60) * 1_000, "not delegated")] {
        world.clock.set_millis(millis);
        assert_eq!(word(&world.at_grace(&good())), expected, "{millis}");
    }
}

#[test]
fn only_a_fhir_base_lets_others_in_and_the_token_is_judged_first() {
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    let good = good();
    for (base, expected) in [
        (fhir("grace"), "good"),
        (Base::Tenant("grace".parse().unwrap()), "wrong tenant"),
        (fhir("mercy"), "good"),
        (Base::Tenant("mercy".parse().unwrap()), "good"),
        (Base::Global, "good"),
        (fhir("closed"), "not delegated"),
        (fhir("nobody"), "not delegated"),
        (Base::Tenant("nobody".parse().unwrap()), "wrong tenant"),
    ] {
        let outcome = world.verify_at(&good, &base);
        assert_eq!(word(&outcome), expected, "{base:?}");
        if let Ok(access) = outcome {
            let elsewhere = base == fhir("grace");
            assert_eq!(access.grant().is_some(), elsewhere, "{base:?}");
            assert_eq!(access.tenant().name.as_str(), if elsewhere { "grace" } else { "mercy" });
        }
    }
    let Err(Refusal::NotDelegated(refused)) = world.verify_at(&good, &fhir("nobody")) else { panic!("refused") };
    assert_eq!((refused.asked.as_str(), refused.caller.subject()), ("nobody", "nurse"));
    assert_eq!(Refusal::NotDelegated(refused).to_string(), "no grant stands");
    // What ends the token ends the request: expiry, revocation of its own tenant's, another audience.
    let token = |members: &[(&str, Value)]| {
        let entries = json!([entry("grace", "system/*.rs", NOW + 600)]);
        let usual = [("scope", json!("org:delegated")), ("delegated_access", entries), ("jti", json!("j1"))];
        super::token(&[&usual[..], members].concat())
    };
    assert_eq!(word(&world.at_grace(&token(&[]))), "good");
    assert_eq!(word(&world.at_grace(&token(&[("aud", json!(format!("{PUBLIC}/t/grace/fhir")))]))), "invalid");
    assert_eq!(word(&world.at_grace(&token(&[("exp", json!(NOW - 60))]))), "expired");
    assert_eq!(word(&world.at_grace(&token(&[("tenant_id", json!("grace"))]))), "invalid");
    world.revoked.push(revoked(&world.tenants[GRACE], RevocationKind::Token, "j1", NOW));
    assert_eq!(word(&world.at_grace(&token(&[]))), "good", "another tenant's revocation");
    world.revoked.push(revoked(&world.tenants[MERCY], RevocationKind::Token, "j1", NOW));
    assert_eq!(word(&world.at_grace(&token(&[]))), "invalid");
}

#[test]
fn a_delegated_caller_reads_in_one_tenant_and_is_of_another() {
    let mut world = World::new();
    world.tenants[GRACE].tier = "gold".to_owned();
    world.granted("g", GRACE, "system/Observation.cruds users:read admin:users");
    let token = token(&[
        ("scope", json!("system/*.cruds org:delegated admin:users")),
        ("encounter", json!("e1")),
        ("client_id", json!("app")),
        (
            "delegated_access",
            json!([
                entry("grace", "nonsense vitals:read", NOW + 600),
                entry("closed", "system/*.rs", NOW + 600),
                entry("grace", "vitals:write system/Observation.s admin:users", NOW + 600),
            ]),
        ),
    ]);
    let access = world.at_grace(&token).unwrap();
    assert_eq!((access.tenant().name.as_str(), access.acting().name.as_str()), ("grace", "mercy"));
    assert_eq!(access.grant().map(|grant| grant.id.as_str()), Some("g"));
    assert_eq!((access.subject(), access.client(), access.issuer()), ("nurse", Some("app"), A));
    assert_eq!(access.scopes().texts(), ["system/*.cruds", "org:delegated", "admin:users"]);
    assert_eq!(access.tier(), "basic", "limits are its own tenant's");
    assert_eq!(access.encounter(), None);
    let elsewhere = ["nonsense", "vitals:read", "vitals:write", "system/Observation.s", "admin:users"];
    assert_eq!(access.delegated_scopes(), elsewhere);
    for plain in ["org:delegated", "admin:users"] {
        assert!(!access.has(plain), "{plain}");
    }
    let any = Visible::AnyOf(vec![AllOf(vec![Term::VitalAny])]);
    for (resource, letter, visible, used) in [
        (ResourceType::Observation, Letter::Read, any, vec!["vitals:read"]),
        (ResourceType::Observation, Letter::Search, Visible::Everything, vec!["vitals:read", "system/Observation.s"]),
        (ResourceType::Observation, Letter::Create, Visible::Nothing, vec![]),
        (ResourceType::Observation, Letter::Update, Visible::Nothing, vec![]),
        (ResourceType::Observation, Letter::Delete, Visible::Nothing, vec![]),
        (ResourceType::Patient, Letter::Read, Visible::Nothing, vec![]),
        (ResourceType::Patient, Letter::Search, Visible::Nothing, vec![]),
        (ResourceType::Patient, Letter::Update, Visible::Nothing, vec![]),
    ] {
        assert_eq!(access.visible(resource, letter), visible, "{resource} {letter:?}");
        assert_eq!(access.used(resource, letter), used, "{resource} {letter:?}");
    }
    assert!(!access.may_create_at_chosen_id(ResourceType::Observation));
    assert_eq!((access.trail(Letter::Read), access.used_on_trail(Letter::Read).len()), (&Visible::Nothing, 0));

    let own = world.verify(&token).unwrap();
    assert_eq!((own.tenant().name.as_str(), own.acting().name.as_str()), ("mercy", "mercy"));
    assert!(own.grant().is_none() && own.delegated_scopes().is_empty());
    assert_eq!(own.encounter(), Some("e1"));
    assert!(own.has("org:delegated") && own.has("admin:users"));
    assert_eq!(own.used(ResourceType::Patient, Letter::Create), ["system/*.cruds"]);
    let entries: Vec<&str> = own.delegated().map(|entry| entry.tenant.as_str()).collect();
    assert_eq!(entries, ["grace", "closed", "grace"]);
    let asking = own.asking(ResourceType::Patient, Letter::Read);
    assert!(asking.grant().is_none() && asking.tenant().name == own.tenant().name);
}

#[test]
fn a_request_is_made_under_one_grant_the_newest_that_reaches_what_it_asks_for() {
    let mut world = World::new();
    world.granted("g1", GRACE, "vitals.spo2:read users:read");
    world.granted("g3", GRACE, "vitals.heart_rate:read");
    world.granted("g2", GRACE, "vitals.bmi:read users:read");
    world.granted("g4", GRACE, "vitals:write");
    world.granted("g5", GRACE, "users:read").revoked = true;
    let access = world.at_grace(&good()).unwrap();
    let of = |access: &Access| access.grant().unwrap().id.clone();
    assert_eq!(of(&access), "g3");
    let vital = |name| Visible::AnyOf(vec![AllOf(vec![Term::VitalIn(vec![name])])]);
    let observations = access.asking(ResourceType::Observation, Letter::Search);
    assert_eq!(
        (of(&observations), observations.visible(ResourceType::Observation, Letter::Search)),
        ("g3".to_owned(), vital("heart_rate"))
    );
    let patients = access.asking(ResourceType::Patient, Letter::Read);
    assert_eq!(of(&patients), "g2");
    assert_eq!(patients.visible(ResourceType::Patient, Letter::Read), Visible::Everything);
    assert_eq!(patients.visible(ResourceType::Observation, Letter::Read), vital("bmi"), "one grant, not their union");
    assert_eq!(of(&patients.asking(ResourceType::Observation, Letter::Read)), "g3");
    // What none reaches is refused under the newest.
    assert_eq!(of(&patients.asking(ResourceType::Observation, Letter::Create)), "g3");
}

#[test]
fn the_newest_sixteen_grants_between_two_tenants_are_looked_at() {
    for (others, expected) in [(15, "good"), (16, "not delegated")] {
        let mut world = World::new();
        world.granted("a", GRACE, "vitals:read");
        for place in 0..others {
            world.granted(&format!("b{place:02}"), GRACE, "vitals:write");
        }
        // Those that ended do not count.
        for place in 0..20 {
            world.granted(&format!("c{place:02}"), GRACE, "vitals:read").revoked = true;
        }
        assert_eq!(word(&world.at_grace(&good())), expected, "{others}");
    }
}

#[test]
fn a_refusal_names_the_grant_that_was_the_last() {
    let mut world = World::new();
    world.granted("g1", GRACE, "vitals:read").revoked = true;
    world.granted("g2", GRACE, "vitals:read").not_before = at(NOW + 1);
    assert_eq!(why(world.at_grace(&good())), ("the grant has not begun", Some("g2".to_owned())));
    world.grants[1].revoked = true;
    assert_eq!(why(world.at_grace(&good())), ("the grant has ended", Some("g2".to_owned())));
    world.granted("g0", GRACE, "users:read");
    let other = delegated("org:delegated", &[entry("grace", "vitals:read", NOW + 600)]);
    assert_eq!(why(world.at_grace(&other)), ("the token and the grant have no scope in common", Some("g0".to_owned())));
}

#[test]
fn entries_take_room_in_the_memory() {
    let room = |token: &str| {
        let world = World::new();
        assert_eq!(word(&world.verify(token)), "good");
        world.verifier.known.run_pending_tasks();
        world.verifier.known.weighted_size() - token.len() as u64
    };
    let two = delegated("org:delegated", &[entry("grace", "a", NOW), entry("closed", "a", NOW)]);
    assert_eq!(room(&two), room(&token(&[])) + 2 * 1_024);
}

#[test]
fn what_another_tenant_asks_of_everybody_it_asks_of_others_callers() {
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    let (mercy, grace) = (world.tenants[MERCY].role.clone(), world.tenants[GRACE].role.clone());
    world.tenants[GRACE].settings.require_certificate = true;
    let show = |world: &World, token: &str, certificate: Option<&ClientCertificate>| {
        let base = fhir("grace");
        let circumstances = Circumstances { certificate, ..asked(&base) };
        world.verifier.verify(&world.directory(), &Credential::Bearer(token), &circumstances)
    };
    let certificate =
        |anchor| ClientCertificate::read(&STANDARD.decode(certificate::ONE).unwrap(), vec![anchor]).unwrap();
    assert!(why(show(&world, &good(), None)).0.contains("certificate"));
    assert!(why(show(&world, &good(), Some(&certificate(Anchor::Tenant(mercy))))).0.contains("certificate"));
    assert_eq!(word(&show(&world, &good(), Some(&certificate(Anchor::Tenant(grace))))), "good");
    assert_eq!(word(&show(&world, &good(), Some(&certificate(Anchor::Server)))), "good");
    assert_eq!(word(&world.verify(&good())), "good", "its own tenant asks for nothing");
    let base = fhir("grace");
    let inside = Circumstances::inside(&base);
    let within = |world: &World| world.verifier.verify(&world.directory(), &Credential::Bearer(&good()), &inside);
    assert_eq!(word(&within(&world)), "good");

    world.tenants[GRACE].settings.require_certificate = false;
    world.tenants[GRACE].settings.require_proof = true;
    let (reason, grant) = why(show(&world, &good(), None));
    assert!(reason.contains("bound"), "{reason}");
    assert_eq!(grant.as_deref(), Some("g"));
    assert_eq!(word(&within(&world)), "good");
    let bound = |confirmation: Value| {
        token(&[
            ("scope", json!("org:delegated")),
            ("delegated_access", json!([entry("grace", "system/*.rs", NOW + 600)])),
            ("cnf", confirmation),
        ])
    };
    let of_certificate = bound(json!({ "x5t#S256": certificate(Anchor::None).thumbprint_text() }));
    assert_eq!(word(&show(&world, &of_certificate, Some(&certificate(Anchor::None)))), "good");
    let key = Forge::p256();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.jwk("x")).unwrap();
    let of_key = bound(json!({ "jkt": jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap() }));
    let judged = |world: &World, jti: &str, nonce: Option<&str>| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk("x") });
        let ath = b64(&sha256(&[of_key.as_bytes()]));
        let mut claims = json!({ "jti": jti, "htm": "GET", "htu": URL, "iat": NOW, "ath": ath });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let proof = key.token(&header.to_string(), &claims.to_string());
        let credential = Credential::Dpop { token: &of_key, proof: &proof };
        let own =
            word(&world.verifier.delegated(&world.directory(), &credential, &asked(&Base::Global)).map(|all| all.own));
        let proof = key.token(&header.to_string(), &{
            claims["jti"] = json!(format!("{jti}-2"));
            claims.to_string()
        });
        let credential = Credential::Dpop { token: &of_key, proof: &proof };
        (own, word(&world.verifier.verify(&world.directory(), &credential, &asked(&fhir("grace")))))
    };
    let nonce = world.verifier.nonce();
    assert_eq!(judged(&world, "j1", None), ("good", "nonce"), "grace asks for a nonce, mercy does not");
    assert_eq!(judged(&world, "j2", Some("x")), ("nonce", "nonce"));
    assert_eq!(judged(&world, "j3", Some(&nonce)), ("good", "good"));
    world.tenants[GRACE].settings.require_proof = false;
    assert_eq!(judged(&world, "j4", None), ("good", "good"));
}

#[test]
fn a_caller_is_told_every_tenant_that_lets_it_read_by_name() {
    let mut world = World::new();
    for (place, name) in ["zoe", "abc", "withheld"].into_iter().enumerate() {
        world.tenants.push(tenant(name, 10 + i32::try_from(place).unwrap(), TenantStatus::Active));
    }
    world.tenants[5].settings.require_proof = true;
    for grantor in 1..6 {
        world.granted(&format!("g{grantor}"), grantor, "vitals:read");
    }
    let all = |world: &World, token: &str| {
        let base = Base::Tenant("mercy".parse().unwrap());
        world.verifier.delegated(&world.directory(), &Credential::Bearer(token), &asked(&base))
    };
    let names = |told: &[Access]| told.iter().map(|access| access.tenant().name.to_string()).collect::<Vec<_>>();
    let every = ["grace", "closed", "zoe", "abc", "withheld"].map(|name| entry(name, "system/*.rs", NOW + 600));
    let token = delegated("org:delegated", &every);
    let told = all(&world, &token).unwrap();
    assert_eq!(told.own.tenant().name.as_str(), "mercy");
    assert!(told.own.grant().is_none());
    assert_eq!(names(&told.grantors), ["abc", "grace", "zoe"], "one is suspended, one asks for a proof");
    assert!(told.grantors.iter().all(|access| access.acting().name.as_str() == "mercy" && access.grant().is_some()));
    let withheld = |told: &Delegated| -> Vec<(String, Option<String>, &'static str)> {
        let all = told.withheld.iter();
        all.map(|one| {
            assert!(one.tenant.as_ref().is_none_or(|tenant| tenant.name == one.asked));
            (one.asked.to_string(), one.grant.clone(), one.reason)
        })
        .collect()
    };
    let suspended = ("closed".to_owned(), Some("g2".to_owned()), "the tenant that granted is suspended");
    let [first, unproven] = withheld(&told).try_into().unwrap();
    assert_eq!(first, suspended);
    assert_eq!((unproven.0.as_str(), unproven.1.as_deref()), ("withheld", Some("g5")));
    assert!(unproven.2.contains("bound"), "{unproven:?}");
    // The same judgement as at each base.
    world.grants[0].revoked = true;
    let narrower = delegated("org:delegated", &every[..3]);
    let told = all(&world, &narrower).unwrap();
    assert_eq!(names(&told.grantors), ["zoe"]);
    let ended = ("grace".to_owned(), Some("g1".to_owned()), "the grant has ended");
    assert_eq!(withheld(&told), [suspended, ended]);
    world.grants.clear();
    // Only whom the token means, whether they exist or not: nobody else, not itself, and nothing that is no name.
    let meant = ["zoe", "nobody", "mercy", "Not A Name", "zoe"].map(|name| entry(name, "system/*.rs", NOW + 600));
    let told = all(&world, &delegated("org:delegated", &meant)).unwrap();
    assert!(told.grantors.is_empty());
    let none = |name: &str| (name.to_owned(), None, "no grant stands");
    assert_eq!(withheld(&told), [none("nobody"), none("zoe")]);
    assert_eq!(told.withheld.iter().map(|one| one.tenant.is_some()).collect::<Vec<_>>(), [false, true]);

    let refused = all(&world, &delegated("system/*.rs", &every)).map(|all| all.own);
    assert_eq!(why(refused), ("the token does not say org:delegated", None));
    world.tenants[MERCY].status = TenantStatus::Suspended;
    assert_eq!(word(&all(&world, &token).map(|all| all.own)), "suspended");
    let expired = super::token(&[("exp", json!(NOW - 60)), ("scope", json!("org:delegated"))]);
    assert_eq!(word(&all(&world, &expired).map(|all| all.own)), "expired");
}

#[test]
fn a_base_of_another_tenant_is_no_place_to_ask_all_of_them() {
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    let base = Base::Tenant("grace".parse().unwrap());
    let told = world.verifier.delegated(&world.directory(), &Credential::Bearer(&good()), &asked(&base));
    assert_eq!(word(&told.map(|all| all.own)), "wrong tenant");
}

#[test]
fn an_api_key_reaches_no_other_tenant() {
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    world.tenants[MERCY].settings.api_keys = true;
    let key = NewApiKey::generate();
    world.api_keys.push(StoredApiKey {
        tenant: world.tenants[MERCY].role.clone(),
        id: "k1".to_owned(),
        hash: key.hash,
        name: "notebook".to_owned(),
        scopes: "org:delegated system/*.rs".to_owned(),
        patient: None,
        created: at(NOW - 100),
        expires: at(NOW + 100),
    });
    let credential = Credential::ApiKey(&key.text);
    let refused = world.verifier.verify(&world.directory(), &credential, &asked(&fhir("grace")));
    assert_eq!(why(refused), g("the token has no delegated_access entry for the tenant that has not ended"));
    let told = world.verifier.delegated(&world.directory(), &credential, &asked(&Base::Global)).unwrap();
    assert!(told.grantors.is_empty() && told.withheld.is_empty());
    assert_eq!(told.own.subject(), "k1");
    assert_eq!(world.verifier.take_used_keys().len(), 1);
}

#[test]
fn a_record_of_a_delegated_request_has_a_copy_in_the_callers_own_chain() {
    use crate::audit::{AuditRecord, Origin};
    let mut world = World::new();
    world.granted("g", GRACE, "vitals:read");
    let (mercy, grace) = (world.tenants[MERCY].role.to_string(), world.tenants[GRACE].role.to_string());
    let record = || AuditRecord::new(Origin::Http, "read", at(NOW));
    let told = |record: &AuditRecord| {
        let text = |name: &Option<String>| name.clone().unwrap_or_default();
        (record.chain.clone(), text(&record.tenant), text(&record.acting_tenant), text(&record.grant))
    };
    let named = |chain: &str, tenant: &str, acting: &str, grant: &str| {
        (chain.to_owned(), tenant.to_owned(), acting.to_owned(), grant.to_owned())
    };

    let mut allowed = record();
    allowed.by(&world.at_grace(&good()).unwrap());
    allowed.allowed(200);
    assert_eq!(told(&allowed), named(&grace, "grace", "mercy", "g"));
    let copy = allowed.take_copy().unwrap();
    assert_eq!(told(&copy), named(&mercy, "grace", "mercy", "g"));
    assert_ne!(copy.id, allowed.id);
    assert_eq!(allowed.take_copy(), None);
    let same = AuditRecord { id: allowed.id, chain: grace.clone(), ..copy };
    assert_eq!(same, allowed);

    let mut own = record();
    own.by(&world.verify(&good()).unwrap());
    assert_eq!(told(&own), named(&mercy, "mercy", "mercy", ""));
    assert_eq!(own.take_copy(), None);

    world.grants[0].revoked = true;
    for (name, grant) in [("grace", "g"), ("nobody", "")] {
        let Err(Refusal::NotDelegated(refused)) = world.verify_at(&good(), &fhir(name)) else { panic!("refused") };
        let mut denied = record();
        denied.by_not_delegated(&refused);
        assert_eq!(told(&denied), named("server", "", "mercy", grant), "the chain is the base's");
        assert_eq!(told(&denied.take_copy().unwrap()), named(&mercy, name, "mercy", grant));
    }
    // Who asks all of them asks at its own base: that is one record.
    let refused = world.verifier.delegated(
        &world.directory(),
        &Credential::Bearer(&delegated("system/*.rs", &[])),
        &asked(&Base::Global),
    );
    let Err(Refusal::NotDelegated(refused)) = refused else { panic!("refused") };
    let mut denied = record();
    denied.by_not_delegated(&refused);
    assert_eq!(denied.take_copy(), None);
}
