//! What verifying an access token costs in this process: one that is remembered, and new ones by RS256 and ES384.

use std::{hint::black_box, sync::Arc, time::Instant};

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use serde_json::json;
use vitals_access::{
    clock::Clock,
    directory::{Directory, DirectoryParts, Issuer, MAX_LIFETIME},
    dpop::DpopNonces,
    keys::KeySet,
    proof::{Circumstances, Credential, RequestOrigin},
    settings::Settings,
    tenant::{Tenant, TenantRole, TenantStatus},
    verifier::{Base, Verifier},
};
use vitals_server::clock::SystemClock;
use vitals_tests::forge::{self, Forge, unb64};

use crate::table::{Limit, Table};

/// New tokens that are verified, and times that one is verified again.
const NEW: u32 = 1_000;
const AGAIN: u32 = 200_000;
const PUBLIC: &str = "https://fhir.example";
const ISSUER: &str = "https://issuer.example";

/// Runs it.
pub fn run(table: &mut Table) {
    for (algorithm, key, asked) in [("RS256", Forge::rsa(), 0.2), ("ES384", Forge::p384(), 2.0)] {
        let (directory, base) = directory(&key);
        let verifier = Verifier::new(Arc::new(SystemClock), DpopNonces::new(&[7; 32]));
        let tokens: Vec<String> = (0..NEW).map(|number| token(&key, algorithm, number)).collect();
        let judge = |token: &str| {
            let circumstances = Circumstances {
                base: &base,
                method: "GET",
                url: "https://fhir.example/t/mercy/fhir/Patient",
                certificate: None,
                origin: RequestOrigin::Network,
            };
            black_box(verifier.verify(&directory, &Credential::Bearer(token), &circumstances)).expect("a good token");
        };
        let new = timed(NEW, |number| judge(&tokens[number]));
        let alone = timed(NEW, |number| signature(&key, algorithm, &tokens[number]));
        table.row(&format!("verifying a new token, {algorithm}"), new, "ms", &Limit::Asked(asked));
        table.row(
            &format!("verifying a new token, {algorithm}"),
            new,
            "ms",
            &Limit::Measured(alone, "its signature alone"),
        );
        if algorithm == "RS256" {
            let again = timed(AGAIN, |_| judge(&tokens[0]));
            let hash = timed(AGAIN, |_| {
                black_box(digest::digest(&digest::SHA256, tokens[0].as_bytes()));
            });
            table.row("verifying a remembered token", again * 1e3, "us", &Limit::Asked(10.0));
            table.row(
                "verifying a remembered token",
                again * 1e3,
                "us",
                &Limit::Measured(hash * 1e3, "its hash alone"),
            );
        }
    }
}

/// Milliseconds that each round takes.
fn timed(rounds: u32, mut round: impl FnMut(usize)) -> f64 {
    let began = Instant::now();
    (0..rounds as usize).for_each(&mut round);
    began.elapsed().as_secs_f64() * 1e3 / f64::from(rounds)
}

fn signature(key: &Forge, algorithm: &str, token: &str) {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let (message, signature) = (message.as_bytes(), unb64(signature));
    let good = match algorithm {
        "RS256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.der()).verify(message, &signature),
        _ => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.point()).verify(message, &signature),
    };
    good.expect("a good signature");
}

fn token(key: &Forge, algorithm: &str, number: u32) -> String {
    let now = SystemClock.now().timestamp();
    let claims = json!({
        "iss": ISSUER, "sub": format!("user-{number}"), "aud": "https://fhir.example/t/mercy/fhir", "iat": now,
        "exp": now + 3_600, "jti": format!("{number}"), "client_id": "app", "scope": "patient/*.rs openid fhirUser",
        "patient": "p1", "fhirUser": "Patient/p1",
    });
    key.token(&forge::header(algorithm, "k"), &claims.to_string())
}

fn directory(key: &Forge) -> (Directory, Base) {
    let role = TenantRole::generate();
    let name = "mercy".parse().expect("a tenant name");
    let base = Base::Tenant(name);
    let Base::Tenant(name) = base.clone() else { unreachable!("it was just made") };
    let tenant = Tenant {
        role: role.clone(),
        number: 1,
        name,
        login: 0,
        status: TenantStatus::Active,
        version: 1,
        tier: "default".to_owned(),
        display: "Mercy".to_owned(),
        created: chrono::DateTime::UNIX_EPOCH,
        settings: Settings::default(),
    };
    let issuer = Issuer {
        url: ISSUER.to_owned(),
        keys: KeySet::from_jwks(&json!({ "keys": [key.jwk("k")] }).to_string()).0,
        tenants: vec![role],
        strict: true,
        max_lifetime: MAX_LIFETIME,
        may_set_tier: false,
        algorithms: vitals_access::keys::AllowedAlgorithms::default(),
        mapping: Arc::default(),
    };
    let parts = DirectoryParts {
        public_url: PUBLIC.to_owned(),
        tenants: vec![tenant],
        issuers: vec![issuer],
        ..DirectoryParts::default()
    };
    (Directory::build(parts), base)
}
