//! O25: a token that is bound to a key or a certificate is worth nothing to whoever steals it (RFC 8705, RFC 9449).

use std::net::Ipv4Addr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    pki::{Authority, Holder},
    proof::{About, ProofKey},
    tenant::client,
};

const ALGORITHMS: &str = "algs=\"RS256 RS384 PS256 ES256 ES384 EdDSA\"";

/// The challenge of RFC 9449, section 7.1.
fn challenge(error: &str) -> String {
    format!("DPoP error=\"{error}\", {ALGORITHMS}")
}

fn bound(tenant: &Tenant, key: &ProofKey) -> String {
    tenant.token("system/*.rs").with("cnf", json!({ "jkt": key.jkt() })).sign()
}

fn about<'a>(tenant: &Tenant, url: &'a str, token: &'a str) -> About<'a> {
    About { method: "GET", url, token: Some(token), now: tenant.server.clock.now().timestamp() }
}

async fn show(url: &str, token: &str, proofs: &[&str]) -> Answer {
    let mut request = client().get(url).header("authorization", format!("DPoP {token}"));
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    Answer::of(request).await.sound()
}

#[tokio::test]
async fn o25_a_token_bound_to_a_key_needs_a_new_proof_with_each_request() {
    let tenant = Tenant::fresh().await;
    let (key, stranger) = (ProofKey::generate(), ProofKey::generate());
    let token = bound(&tenant, &key);
    let url = format!("{}/Patient", tenant.base());
    let about = about(&tenant, &url, &token);
    let other = tenant.all();

    let good = key.proof(about, &[]);
    let answer = show(&url, &token, &[&good]).await.expect(200);
    let nonce = answer.header("dpop-nonce").to_owned();
    assert_eq!(nonce.len(), 22, "a nonce is offered");
    for (number, what, proofs) in [
        ("O25", "replayed", vec![good.clone()]),
        ("O25", "none", vec![]),
        ("O25", "two", vec![key.proof(about, &[]), key.proof(about, &[])]),
        ("O25", "no token at all", vec!["x".to_owned()]),
        ("O25", "another method", vec![key.proof(about, &[("htm", json!("POST"))])]),
        ("O25", "no method", vec![key.proof(about, &[("htm", Value::Null)])]),
        ("O25", "another address", vec![key.proof(about, &[("htu", json!(format!("{url}/x")))])]),
        ("O25", "another host", vec![key.proof(about, &[("htu", json!("https://evil.example/Patient"))])]),
        ("O25", "for another token", vec![key.proof(About { token: Some(&other), ..about }, &[])]),
        ("O25", "for no token", vec![key.proof(about, &[("ath", Value::Null)])]),
        ("O25", "by another key", vec![stranger.proof(about, &[])]),
        ("O25", "old", vec![key.proof(About { now: about.now - 65, ..about }, &[])]),
        ("O25", "of tomorrow", vec![key.proof(About { now: about.now + 86_400, ..about }, &[])]),
        ("O25", "without an id", vec![key.proof(about, &[("jti", Value::Null)])]),
        ("O25", "with an id too long", vec![key.proof(about, &[("jti", json!("j".repeat(129)))])]),
    ] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let answer = show(&url, &token, &proofs).await.expect_outcome(401, "login");
        assert_eq!(answer.header("www-authenticate"), challenge("invalid_dpop_proof"), "{number} {what}");
        assert_eq!(answer.header("dpop-nonce"), nonce, "{number} {what}");
        assert!(!answer.holds(&token), "{number} {what}");
    }
    // Not as a bearer token, with a proof or without one.
    let bearer = tenant.get("Patient", &token).await.expect_outcome(401, "login");
    assert_eq!(bearer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    assert_eq!(bearer.header("dpop-nonce"), "");
    let request = tenant.request(Method::GET, "Patient", &token).header("dpop", key.proof(about, &[]));
    Answer::of(request).await.expect(401);
    // A token that is bound to nothing is not better for a proof.
    let about_other = About { token: Some(&other), ..about };
    let answer = show(&url, &other, &[&key.proof(about_other, &[])]).await.expect_outcome(401, "login");
    assert_eq!(answer.header("www-authenticate"), challenge("invalid_token"));
    // However the address is spelled, and whatever is searched for.
    for spelled in [url.replacen("http", "HTTP", 1), format!("{url}?name=x")] {
        let proof = key.proof(about, &[("htu", json!(spelled))]);
        show(&format!("{url}?_count=1"), &token, &[&proof]).await.expect(200);
    }
    // In whatever case the scheme is, and at the common base.
    let common = format!("{}/fhir/Patient", tenant.server.url);
    let proof = key.proof(About { url: &common, ..about }, &[("nonce", json!(nonce))]);
    let request = client().get(&common).header("authorization", format!("dpop {token}")).header("dpop", proof);
    Answer::of(request).await.expect(200);
    let proof = key.proof(about, &[("nonce", json!("x".repeat(22)))]);
    let answer = show(&url, &token, &[&proof]).await.expect_outcome(401, "login");
    assert_eq!(answer.header("www-authenticate"), challenge("use_dpop_nonce"), "O25 another's nonce");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn o25_a_tenant_that_asks_for_proof_takes_no_token_without_one() {
    let tenant = Tenant::fresh().await;
    let key = ProofKey::generate();
    let (token, plain) = (bound(&tenant, &key), tenant.all());
    let url = format!("{}/Patient", tenant.base());
    let about = about(&tenant, &url, &token);
    tenant.get("Patient", &plain).await.expect(200);
    tenant.set(&json!({ "require_proof": true })).await;

    let refused = tenant.get("Patient", &plain).await.expect_outcome(401, "login");
    assert_eq!(refused.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    // It demands a nonce, which is had by asking.
    let answer = show(&url, &token, &[&key.proof(about, &[])]).await.expect_outcome(401, "login");
    assert_eq!(answer.header("www-authenticate"), challenge("use_dpop_nonce"));
    let nonce = json!(answer.header("dpop-nonce"));
    show(&url, &token, &[&key.proof(about, &[("nonce", nonce.clone())])]).await.expect(200);
    for nonce in [json!("x".repeat(22)), json!("")] {
        let answer = show(&url, &token, &[&key.proof(about, &[("nonce", nonce.clone())])]).await;
        answer.expect(401);
    }
    // Another tenant does not.
    let other = Tenant::fresh().await;
    other.get("Patient", &other.all()).await.expect(200);
    // The record says who it claimed to be.
    let record = tenant.record_of(refused.header("x-request-id")).await;
    assert_eq!((&record["decision"], &record["subject"]), (&json!("denied"), &json!("tester")), "{record}");
    ledger::each_left_one_record().await;
}

/// A tenant behind a proxy at 127.0.0.2 that hands client certificates on.
async fn behind_a_proxy() -> Tenant {
    let options = Options { trusted_proxies: vec!["127.0.0.2/32"], ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    Tenant::on(server).await
}

async fn through(peer: Ipv4Addr, tenant: &Tenant, token: &str, certificate: Option<&Holder>) -> Answer {
    let from = reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from(peer));
    let url = format!("{}/Patient", tenant.base());
    let mut request = from.build().expect("a client").get(url).bearer_auth(token);
    if let Some(holder) = certificate {
        request = request.header("client-cert", format!(":{}:", STANDARD.encode(&holder.chain[0])));
    }
    Answer::of(request).await.sound()
}

#[tokio::test]
async fn o25_a_token_bound_to_a_certificate_needs_that_one_and_no_header_makes_it() {
    const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    let tenant = behind_a_proxy().await;
    let authority = Authority::named("Partners");
    let (own, other) = (authority.client("app"), authority.client("other"));
    let token = tenant.token("system/*.rs").with("cnf", json!({ "x5t#S256": own.thumbprint() })).sign();
    for (number, what, peer, certificate, status) in [
        ("O25", "its certificate", PROXY, Some(&own), 200),
        ("O25", "none", PROXY, None, 401),
        ("O25", "another", PROXY, Some(&other), 401),
        ("O25", "a header of the client's own", CLIENT, Some(&own), 401),
        ("O25", "none at all", CLIENT, None, 401),
    ] {
        let answer = through(peer, &tenant, &token, certificate).await;
        assert_eq!(answer.status, status, "{number} {what}: {}", answer.body);
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{number} {what}");
        }
    }
    // A tenant may ask everybody for one.
    let plain = tenant.all();
    assert_eq!(through(PROXY, &tenant, &plain, None).await.status, 200);
    tenant.set(&json!({ "require_certificate": true })).await;
    assert_eq!(through(PROXY, &tenant, &plain, None).await.status, 401);
    assert_eq!(through(CLIENT, &tenant, &plain, Some(&own)).await.status, 401);
    assert_eq!(through(PROXY, &tenant, &plain, Some(&other)).await.status, 200);
    ledger::each_left_one_record().await;
}
