//! The token endpoint: how many services a second get a token by an assertion (`private_key_jwt`), and what verifying
//! access tokens costs. Beside each stands what the same cryptography takes alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey};
use serde_json::json;
use vitals_access::{
    clock::Clock as _,
    keys::{SigningAlgorithm, SigningKey},
};
use vitals_fhir::search::form_text;
use vitals_server::clock::SystemClock;
use vitals_tests::forge::{Forge, unb64};

use crate::{
    connection::Connection,
    process,
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

mod verification;

/// The tenant whose authorization server is asked.
const TENANT: &str = "tokens";
/// Connections at once.
const CONNECTIONS: usize = 32;
/// Assertions that are signed beforehand: each is good once.
const ASSERTIONS: usize = 6_000;
/// No longer than this, however many are left.
const MEASURED: Duration = Duration::from_secs(6);
/// Rounds of the cryptography alone.
const ALONE: u32 = 500;
/// What the project asks of itself.
const ASKED: f64 = 300.0;

/// Runs the part.
pub async fn run(program: &Program, folder: &Folder, server: &Serving, table: &mut Table) {
    program.run(folder, &["tenant", "create", TENANT]);
    for (algorithm, key) in [("ES384", Forge::p384()), ("RS384", Forge::rsa())] {
        let client = format!("service-{}", algorithm.to_lowercase());
        let file = folder.path().join(format!("{client}.json"));
        std::fs::write(&file, json!({ "keys": [key.jwk("k")] }).to_string()).expect("a file can be written");
        let file = file.display().to_string();
        let made = ["client", "create", "--tenant", TENANT, "--id", &client, "--scope", "system/*.rs", "--jwks", &file];
        program.run(folder, &made);
        let audience = format!("http://{}/t/{TENANT}/auth", server.public);
        let assertions: Vec<String> = (0..ASSERTIONS).map(|_| assertion(&key, algorithm, &client, &audience)).collect();
        let alone = alone(&key, algorithm, &assertions[0]);
        let asked = assertions.iter().map(|jwt| request(jwt)).collect();
        let before = process::time_of(server.process());
        let (count, took, latencies) = drive(server, asked).await;
        let cost = process::time_of(server.process()).saturating_sub(before).as_secs_f64() * 1e3 / count;
        let what = format!("tokens by an assertion, {algorithm}");
        table.row(&what, count / took.as_secs_f64(), "/s", &Limit::Asked(ASKED));
        table.row(&format!("{what}: median of {CONNECTIONS} at once"), latencies.median(), "ms", &Limit::None);
        let its = "verifying and signing alone";
        table.row(&format!("{what}: processor time of each"), cost, "ms", &Limit::Measured(alone, its));
    }
    verification::run(table);
}

fn assertion(key: &Forge, algorithm: &str, client: &str, audience: &str) -> String {
    let expires = SystemClock.now().timestamp() + 280;
    let claims = json!({
        "iss": client, "sub": client, "aud": audience, "exp": expires, "jti": uuid::Uuid::new_v4().to_string(),
    });
    key.token(&json!({ "alg": algorithm, "kid": "k", "typ": "JWT" }).to_string(), &claims.to_string())
}

fn request(assertion: &str) -> Vec<u8> {
    let pairs = [
        ("grant_type", "client_credentials"),
        ("scope", "system/Observation.rs"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    let body = form_text(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let length = body.len();
    format!(
        "POST /t/{TENANT}/auth/token HTTP/1.1\r\nhost: bench\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends each request once, over so many connections: how many were answered well, in what time, and how long each took.
async fn drive(server: &Serving, requests: Vec<Vec<u8>>) -> (f64, Duration, Samples) {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let (began, address) = (Instant::now(), server.public);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut samples = Samples::default();
                while let Some(request) = requests.get(next.fetch_add(1, Relaxed))
                    && began.elapsed() < MEASURED
                {
                    let sent = Instant::now();
                    let answer = connection.ask(request).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    samples.add(sent.elapsed());
                }
                samples
            })
        })
        .collect();
    let mut all = Samples::default();
    for task in tasks {
        all.append(task.await.expect("a connection is served to its end"));
    }
    (f64::from(all.count()), began.elapsed(), all)
}

/// Milliseconds that verifying an assertion and signing an access token take alone.
fn alone(key: &Forge, algorithm: &str, assertion: &str) -> f64 {
    let (message, signature) = assertion.rsplit_once('.').expect("three parts");
    let signature = unb64(signature);
    let signer = SigningKey::generate(SigningAlgorithm::Es256);
    let claims = json!({ "iss": "https://fhir.example/t/tokens/auth", "scope": "system/Observation.rs" });
    let began = Instant::now();
    for _ in 0..ALONE {
        let good = match algorithm {
            "RS384" => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, key.der()).verify(message.as_bytes(), &signature)
            }
            _ => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.point()).verify(message.as_bytes(), &signature),
        };
        good.expect("a good signature");
        std::hint::black_box(signer.sign("at+jwt", &claims));
    }
    began.elapsed().as_secs_f64() * 1e3 / f64::from(ALONE)
}
