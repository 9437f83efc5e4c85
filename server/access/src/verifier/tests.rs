//! The world the tests of the verifier share, and what a good token gives.

use std::sync::LazyLock;

use serde_json::{Value, json};
use vitals_fhir::{interaction::Letter, resource::ResourceType};

use super::*;
use crate::{
    api_key::StoredApiKey,
    directory::{DirectoryParts, MAX_LIFETIME},
    forge::{Forge, NOW, StoppedClock},
    grant::Grant,
    keys::{ACCESS_TOKEN, AllowedAlgorithms, KeySet, SigningAlgorithm, SigningKey},
    predicate::Visible,
    proof::RequestOrigin,
    refusal::ProofNonce,
    revocations::{RevocationKind, Revocations},
};

mod api_keys;
mod attacks;
mod delegated;
mod memory;
mod proofs;
mod providers;

const PUBLIC: &str = "https://vitals.example";
const A: &str = "https://a.example";
/// The address that is asked.
const URL: &str = "https://vitals.example/t/mercy/fhir/Patient/p1";

/// An RSA key of 1,024 bits, and a token signed with it.
const SMALL_MODULUS: &str = "ubTHOegNAhygC15uGIKd2ZROfltBABZC1cRrxbNPWRPfBjzckRt1kEha92sBOH1poLvIaVvMbIyje5E3iGssIVRAsKmGW\
    UcCfkS_6kkN_NzdFR9Dm_-FQZ_c_Gtg2mPxBQdj48yVlC7qQBKibyH68io85SCk7QnG4MKezfZ6wmM";
const SMALL_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEtMTAyNCIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZS\
    IsInN1YiI6Im51cnNlIiwiYXVkIjoiaHR0cHM6Ly92aXRhbHMuZXhhbXBsZSIsImV4cCI6MTgwMDAwMDYwMCwiaWF0IjoxODAwMDAwMDAwLCJzY29wZSI6I\
    nN5c3RlbS8qLmNydWRzIn0.dqdCOkRGWafJgBEJsVXvYdSLIU3pPdufebl7rlgBmgboMj9zcWI189vZGXOnXDtGWbCqKGTJP9pFesiyHOb_lVzOG28C16JR-\
    i0K8jQeeWZpVjlFYI1eHJlfLRb0CDlZ0nDyy2DJj-K6ToI1eBMEVs3et3gaYBzm4hqowWCvjLU";

/// Keys, made once: RSA takes its time.
struct Keys {
    p256: Forge,
    p384: Forge,
    rsa: Forge,
    rsa384: Forge,
    ed: Forge,
    /// Another issuer's P-256 key.
    other: Forge,
    own: SigningKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    p256: Forge::p256(),
    p384: Forge::p384(),
    rsa: Forge::rsa(),
    rsa384: Forge::rsa(),
    ed: Forge::ed(),
    other: Forge::p256(),
    own: SigningKey::generate(SigningAlgorithm::Es256),
});

/// What a directory is built from, to be changed before it is.
struct World {
    tenants: Vec<Tenant>,
    issuers: Vec<Issuer>,
    own_keys: Vec<(TenantRole, KeySet)>,
    api_keys: Vec<StoredApiKey>,
    revoked: Vec<Revoked>,
    grants: Vec<Grant>,
    clock: Arc<StoppedClock>,
    verifier: Verifier,
}

fn tenant(name: &str, number: i32, status: TenantStatus) -> Tenant {
    Tenant {
        role: TenantRole::generate(),
        number,
        name: name.parse().unwrap(),
        login: 0,
        status,
        version: 1,
        tier: "basic".to_owned(),
        display: name.to_owned(),
        created: chrono::DateTime::UNIX_EPOCH,
        settings: crate::settings::Settings::default(),
    }
}

fn keys(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(&json!({ "keys": keys }).to_string()).0
}

fn issuer(url: &str, keys: KeySet, tenants: &[&Tenant]) -> Issuer {
    let tenants = tenants.iter().map(|tenant| tenant.role.clone()).collect();
    Issuer {
        url: url.to_owned(),
        keys,
        tenants,
        strict: false,
        max_lifetime: MAX_LIFETIME,
        may_set_tier: false,
        algorithms: AllowedAlgorithms::default(),
        mapping: Arc::default(),
    }
}

fn verifier(clock: &Arc<StoppedClock>) -> Verifier {
    Verifier::new(Arc::clone(clock) as Arc<dyn Clock>, DpopNonces::new(&[7; 32]))
}

/// A request over the network, without a certificate.
fn asked(base: &Base) -> Circumstances<'_> {
    Circumstances { base, method: "GET", url: URL, certificate: None, origin: RequestOrigin::Network }
}

/// Whose, what, which and when.
type Revoked = (TenantRole, RevocationKind, String, i64);

fn revoked(tenant: &Tenant, kind: RevocationKind, subject: &str, at: i64) -> Revoked {
    (tenant.role.clone(), kind, subject.to_owned(), at)
}

fn with(mut jwk: Value, name: &str, value: &str) -> Value {
    jwk[name] = json!(value);
    jwk
}

impl World {
    fn new() -> Self {
        let mercy = tenant("mercy", 1, TenantStatus::Active);
        let grace = tenant("grace", 2, TenantStatus::Active);
        let closed = tenant("closed", 3, TenantStatus::Suspended);
        let a = keys(&[
            KEYS.p256.jwk("a-es"),
            KEYS.p384.jwk("a-p384"),
            KEYS.rsa.jwk("a-rsa"),
            with(KEYS.rsa384.jwk("a-rs384"), "alg", "RS384"),
            KEYS.ed.jwk("a-ed"),
            json!({ "kty": "RSA", "kid": "a-1024", "n": SMALL_MODULUS, "e": "AQAB" }),
            with(with(KEYS.rsa.jwk("a-one"), "e", "AQ"), "alg", "RS256"),
            with(KEYS.rsa.jwk("a-enc"), "use", "enc"),
            json!({ "kty": "RSA", "kid": "a-ops", "n": KEYS.rsa.jwk("x")["n"], "e": "AQAB", "key_ops": ["encrypt"] }),
            json!({ "kty": "oct", "kid": "a-oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "alg": "HS256" }),
        ]);
        let strict =
            Issuer { strict: true, ..issuer("https://strict.example", keys(&[KEYS.p256.jwk("s")]), &[&mercy]) };
        let issuers = vec![
            issuer(A, a.clone(), &[&mercy]),
            // The same key id as A's, another key.
            issuer("https://b.example", keys(&[KEYS.other.jwk("a-es")]), &[&grace]),
            issuer("https://hub.example", keys(&[KEYS.p256.jwk("h")]), &[&mercy, &grace]),
            issuer("https://closed.example", keys(&[KEYS.p256.jwk("c")]), &[&closed]),
            // Publishes B's key as its own.
            issuer("https://thief.example", keys(&[KEYS.other.jwk("mine")]), &[&mercy]),
            issuer("https://nobody.example", keys(&[KEYS.p256.jwk("n")]), &[]),
            strict,
        ];
        let own = KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, KEYS.own.public_jwk())).0;
        let own_keys = vec![(mercy.role.clone(), own)];
        let clock = Arc::new(StoppedClock::new());
        let verifier = verifier(&clock);
        let tenants = vec![mercy, grace, closed];
        let (api_keys, revoked, grants) = (Vec::new(), Vec::new(), Vec::new());
        Self { tenants, issuers, own_keys, api_keys, revoked, grants, clock, verifier }
    }

    fn directory(&self) -> Directory {
        let mut revocations = Revocations::default();
        for (role, kind, subject, at) in &self.revoked {
            revocations.add(role, *kind, [(subject.clone(), *at)]);
        }
        Directory::build(DirectoryParts {
            public_url: PUBLIC.to_owned(),
            tenants: self.tenants.clone(),
            issuers: self.issuers.clone(),
            own_keys: self.own_keys.clone(),
            api_keys: self.api_keys.clone(),
            grants: self.grants.clone(),
            revocations: Arc::new(revocations),
            ..DirectoryParts::default()
        })
    }

    fn verify(&self, token: &str) -> Result<Access, Refusal> {
        self.verify_at(token, &Base::Global)
    }

    fn verify_at(&self, token: &str, base: &Base) -> Result<Access, Refusal> {
        self.verifier.verify(&self.directory(), &Credential::Bearer(token), &asked(base))
    }
}

/// The word the tables use for an outcome.
fn word(outcome: &Result<Access, Refusal>) -> &'static str {
    match outcome {
        Ok(_) => "good",
        Err(Refusal::Invalid { expired: false, .. }) => "invalid",
        Err(Refusal::Invalid { expired: true, .. }) => "expired",
        Err(Refusal::UnknownIssuer(_)) => "unknown issuer",
        Err(Refusal::UnknownKey { .. } | Refusal::UnknownApiKey) => "unknown key",
        Err(Refusal::WrongTenant(_)) => "wrong tenant",
        Err(Refusal::NotDelegated(_)) => "not delegated",
        Err(Refusal::Suspended(_)) => "suspended",
        Err(Refusal::Proof { nonce: ProofNonce::Passed, .. }) => "proof",
        Err(Refusal::Proof { nonce: ProofNonce::Wanted, .. }) => "nonce",
        Err(Refusal::NoCredentials | Refusal::BadRequest(_)) => "not the verifier's",
    }
}

fn header(algorithm: &str, kid: &str) -> String {
    json!({ "alg": algorithm, "kid": kid, "typ": "at+jwt" }).to_string()
}

fn claims(issuer: &str, members: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": issuer, "sub": "nurse", "aud": PUBLIC, "iat": NOW, "exp": NOW + 600, "scope": "system/*.cruds",
    });
    for (name, value) in members {
        claims[*name] = value.clone();
    }
    claims.to_string()
}

/// A good token of A's, with these claims changed.
fn token(members: &[(&str, Value)]) -> String {
    KEYS.p256.token(&header("ES256", "a-es"), &claims(A, members))
}

#[test]
fn every_accepted_algorithm_is_accepted() {
    let world = World::new();
    for (algorithm, kid, forge) in [
        ("ES256", "a-es", &KEYS.p256),
        ("ES384", "a-p384", &KEYS.p384),
        ("RS256", "a-rsa", &KEYS.rsa),
        ("RS384", "a-rsa", &KEYS.rsa),
        ("PS256", "a-rsa", &KEYS.rsa),
        ("RS384", "a-rs384", &KEYS.rsa384),
        ("EdDSA", "a-ed", &KEYS.ed),
    ] {
        let outcome = world.verify(&forge.token(&header(algorithm, kid), &claims(A, &[])));
        assert_eq!(word(&outcome), "good", "{algorithm} {outcome:?}");
    }
    let own = claims("https://vitals.example/t/mercy/auth", &[]);
    let outcome = world.verify(&KEYS.own.sign(ACCESS_TOKEN, &serde_json::from_str(&own).unwrap()));
    assert_eq!(word(&outcome), "good", "{outcome:?}");
}

#[test]
fn a_good_token_says_who_calls() {
    let world = World::new();
    let token = token(&[
        ("scope", json!("patient/*.rs vitals:write launch/patient nonsense")),
        ("patient", json!("p1")),
        ("encounter", json!("e1")),
        ("fhirUser", json!("Practitioner/d1")),
        ("client_id", json!("app")),
        ("jti", json!("j1")),
        ("sid", json!("s1")),
        ("approval_id", json!("a1")),
        ("rate_limit_tier", json!("gold")),
        ("delegated_access", json!([{ "tenant_id": "grace", "scopes": ["vitals:read"], "expires": NOW + 60 }])),
    ]);
    for _ in 0..2 {
        let access = world.verify(&token).unwrap();
        assert_eq!(access.tenant().name.as_str(), "mercy");
        assert_eq!((access.issuer(), access.subject(), access.client()), (A, "nurse", Some("app")));
        assert_eq!((access.patient(), access.encounter(), access.jti()), (Some("p1"), Some("e1"), Some("j1")));
        assert_eq!((access.session(), access.approval()), (Some("s1"), Some("a1")));
        assert_eq!(access.issued().map(|issued| issued.timestamp()), Some(NOW));
        assert_eq!((access.bound_key(), access.bound_certificate()), (None, None));
        assert_eq!(access.fhir_user(), Some("Practitioner/d1"));
        assert_eq!(access.expires().timestamp(), NOW + 600);
        assert_eq!(access.scopes().texts(), ["patient/*.rs", "vitals:write", "launch/patient", "nonsense"]);
        assert_eq!(access.used(ResourceType::Observation, Letter::Create), ["vitals:write"]);
        assert!(access.has("launch/patient") && !access.has("nonsense"));
        assert_eq!(access.delegated().next().unwrap().tenant, "grace");
        assert_eq!(access.tier(), "basic");
        assert_eq!(access.visible(ResourceType::Patient, Letter::Delete), Visible::Nothing);
        assert!(!access.may_create_at_chosen_id(ResourceType::Observation));
        assert_eq!(format!("{access:?}"), format!("Access {{ tenant: {:?}, .. }}", access.tenant().role));
    }
    assert!(world.verify(&self::token(&[])).unwrap().may_create_at_chosen_id(ResourceType::Patient));
}

#[test]
fn the_plain_token_of_the_field_is_enough() {
    let world = World::new();
    let claims = json!({
        "iss": A, "sub": "device-7", "tenant_id": "mercy", "scopes": ["vitals.heart_rate:read", "org:self"],
        "aud": "https://vitals.example/t/mercy/fhir", "exp": NOW + 3_600,
    });
    let header = json!({ "alg": "RS256", "kid": "a-rsa" }).to_string();
    let access = world.verify(&KEYS.rsa.token(&header, &claims.to_string())).unwrap();
    assert_eq!(access.used(ResourceType::Observation, Letter::Search), ["vitals.heart_rate:read"]);
}

#[test]
fn a_record_names_the_scopes_that_reach_the_trail() {
    let world = World::new();
    let scope = json!("vitals:read system/AuditEvent.rs patient/AuditEvent.r");
    let access = world.verify(&token(&[("scope", scope), ("patient", json!("p1"))])).unwrap();
    assert_eq!(access.used_on_trail(Letter::Search), ["system/AuditEvent.rs"]);
    assert_eq!(access.used_on_trail(Letter::Read), ["system/AuditEvent.rs", "patient/AuditEvent.r"]);
    assert_eq!(access.used_on_trail(Letter::Create), [""; 0]);
}

#[test]
fn only_an_issuer_that_may_sets_the_tier() {
    let mut world = World::new();
    let token = token(&[("rate_limit_tier", json!("gold"))]);
    assert_eq!(world.verify(&token).unwrap().tier(), "basic");
    world.issuers[0].may_set_tier = true;
    assert_eq!(world.verify(&token).unwrap().tier(), "gold");
}

#[test]
fn a_base_admits_its_own_tenant_alone_and_tells_nothing_of_others() {
    let world = World::new();
    let good = token(&[("client_id", json!("chart"))]);
    let closed = KEYS.p256.token(&header("ES256", "c"), &claims("https://closed.example", &[]));
    for (token, base, expected) in [
        (&good, Some("mercy"), "good"),
        (&good, None, "good"),
        (&good, Some("grace"), "wrong tenant"),
        (&good, Some("closed"), "wrong tenant"),
        (&good, Some("no-such-tenant"), "wrong tenant"),
        (&closed, Some("closed"), "suspended"),
        (&closed, None, "suspended"),
        (&closed, Some("mercy"), "wrong tenant"),
    ] {
        let base = base.map_or(Base::Global, |name| Base::Tenant(name.parse().unwrap()));
        let outcome = world.verify_at(token, &base);
        assert_eq!(word(&outcome), expected, "{base:?}");
        if let Err(Refusal::WrongTenant(caller) | Refusal::Suspended(caller)) = outcome {
            assert_eq!(caller.subject(), "nurse");
            let of = caller.tenant().name.as_str();
            let (issuer, client) = if of == "mercy" { (A, Some("chart")) } else { ("https://closed.example", None) };
            assert_eq!((caller.issuer(), caller.client()), (issuer, client));
            assert_eq!(caller.scopes(), ["system/*.cruds"]);
            assert_eq!(format!("{caller:?}"), format!("Caller {{ tenant: {:?}, .. }}", caller.tenant().role));
        }
    }
}

#[test]
fn an_issuer_of_several_tenants_must_name_one_of_its_own() {
    let world = World::new();
    let hub =
        |members: &[(&str, Value)]| KEYS.p256.token(&header("ES256", "h"), &claims("https://hub.example", members));
    let base = |tenant: &str| format!("{PUBLIC}/t/{tenant}/fhir");
    for (members, expected) in [
        (vec![("tenant_id", json!("mercy"))], Some("mercy")),
        (vec![("tenant_id", json!("grace"))], Some("grace")),
        (vec![("tenant_id", json!("grace")), ("aud", json!(base("grace")))], Some("grace")),
        (vec![("tenant_id", json!("grace")), ("aud", json!(base("mercy")))], None),
        (vec![("tenant_id", json!("closed"))], None),
        (vec![("tenant_id", json!("Mercy"))], None),
        (vec![("tenant_id", json!("mercy "))], None),
        (vec![], None),
    ] {
        let outcome = world.verify(&hub(&members));
        assert_eq!(outcome.ok().map(|access| access.tenant().name.to_string()).as_deref(), expected, "{members:?}");
    }
    let nobody = KEYS.p256.token(&header("ES256", "n"), &claims("https://nobody.example", &[]));
    assert_eq!(word(&world.verify(&nobody)), "invalid");
}

#[test]
fn t20_a_token_issued_before_its_tenant_was_made_is_refused() {
    let mut world = World::new();
    let issued = world.clock.now();
    let token = token(&[("iat", json!(issued.timestamp()))]);
    let made_again = |world: &mut World, at| world.tenants[0].created = at;

    made_again(&mut world, issued);
    assert_eq!(word(&world.verify(&token)), "good", "in the same second");
    made_again(&mut world, issued + chrono::TimeDelta::seconds(1));
    assert_eq!(word(&world.verify(&token)), "invalid", "remembered or not");
}

#[test]
fn a_refusal_keeps_what_was_claimed_and_no_more() {
    let world = World::new();
    let outcome =
        world.verify(&token(&[("aud", json!("x")), ("tenant_id", json!("mercy")), ("client_id", json!("app"))]));
    let Err(Refusal::Invalid { claimed: Some(claimed), .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(claimed.subject.as_deref(), Some("nurse"));
    assert_eq!((claimed.tenant.as_deref(), claimed.client.as_deref()), (Some("mercy"), Some("app")));

    let outcome = world.verify(&token(&[("iss", json!("x".repeat(900)))]));
    let Err(Refusal::UnknownIssuer(name)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(name.len(), 200);
    let outcome = world.verify(&token(&[("sub", json!("a\u{1b}[31m\nb"))]));
    let Err(Refusal::Invalid { claimed: Some(claimed), .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(claimed.subject.as_deref(), Some("a\u{fffd}[31m\u{fffd}b"));
}
