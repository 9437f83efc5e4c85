//! The token endpoint as apps and services use it: what they get, and what it is good for.

use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster,
    forge::Forge,
    ledger,
    oauth::{CALLBACK, VERIFIER, app, approved, assertion, assertion_claims, claims, header, post, service, shows},
    proof::{About, ProofKey},
    samples,
    tenant::client,
};

/// What an app brings for a code.
fn for_code<'c>(id: &'c str, code: &'c str) -> [(&'c str, &'c str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

#[tokio::test]
async fn a_public_app_gets_tokens_for_its_code_and_reads_its_patient_alone() {
    let tenant = Tenant::fresh().await;
    for id in ["p1", "p2"] {
        tenant.put(&format!("Patient/{id}"), &tenant.all(), &samples::patient(id, id).to_string()).await.expect(201);
    }
    let registered =
        tenant.register(app(Authentication::None, "openid fhirUser launch/patient patient/*.rs offline_access")).await;
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let mut request =
        approved(&registered.client.id, &user, "openid fhirUser launch/patient patient/*.rs offline_access", None);
    request.nonce = Some("n-1".to_owned());
    let code = tenant.approve(request).await;

    let answer = tenant.ask("token", &for_code(&registered.client.id, &code)).await.expect(200);

    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "openid fhirUser launch/patient patient/*.rs offline_access");
    assert_eq!(body["patient"], "p1");
    let token = body["access_token"].as_str().expect("a token");
    let said = claims(token);
    assert_eq!(said["sub"], user.as_str());
    assert_eq!(said["fhirUser"], format!("{}/Patient/p1", tenant.base()));
    assert_eq!(header(token)["typ"], "at+jwt");
    let id_token = body["id_token"].as_str().expect("an id_token");
    let identity = claims(id_token);
    assert_eq!(header(id_token)["alg"], "RS256");
    assert_eq!((&identity["aud"], &identity["nonce"]), (&json!(registered.client.id), &json!("n-1")));
    assert_eq!(identity["fhirUser"], format!("{}/Patient/p1", tenant.base()));
    tenant.get("Patient/p1", token).await.expect(200);
    tenant.get("Patient/p2", token).await.expect(404);
    // An id_token is no access token (J20).
    tenant.get("Patient/p1", id_token).await.expect(401);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_may_narrow() {
    let tenant = Tenant::fresh().await;
    let registered = tenant.register(app(Authentication::ClientSecret, "patient/*.rs offline_access")).await;
    let secret = registered.secret.as_deref().expect("a secret");
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let id = registered.client.id.as_str();
    let code = tenant.approve(approved(id, &user, "patient/*.rs offline_access", None)).await;
    let mut pairs = for_code(id, &code).to_vec();
    pairs.push(("client_secret", secret));
    let first = tenant.ask("token", &pairs).await.expect(200).json();

    let refresh = first["refresh_token"].as_str().expect("a refresh token").to_owned();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "patient/Patient.r")];
    let second = post(&tenant.auth("token"), &pairs).basic_auth(id, Some(secret));
    let second = Answer::of(second).await.expect(200).json();
    assert_eq!(second["scope"], "patient/Patient.r");
    assert_ne!(second["refresh_token"], first["refresh_token"]);

    // The narrower access token does not narrow what was approved.
    let refresh = second["refresh_token"].as_str().expect("a refresh token");
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let third = post(&tenant.auth("token"), &pairs).basic_auth(id, Some(secret));
    let third = Answer::of(third).await.expect(200).json();
    assert_eq!(third["scope"], "patient/*.rs offline_access");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn each_renewal_gives_three_months_as_long_as_they_are_used() {
    // A clock of its own, which is moved by years.
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let tenant = Tenant::on(server).await;
    let registered = tenant.register(app(Authentication::None, "patient/*.rs offline_access")).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let code = tenant.approve(approved(id, &user, "patient/*.rs offline_access", None)).await;
    let mut tokens = tenant.ask("token", &for_code(id, &code)).await.expect(200).json();
    let renew = async |tokens: &Value| {
        let token = tokens["refresh_token"].as_str().expect("a refresh token");
        let pairs = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
        tenant.ask("token", &pairs).await
    };
    // Beyond the year that consent alone gives.
    for _ in 0..5 {
        server.clock.advance(91 * 86_400);
        tokens = renew(&tokens).await.expect(200).json();
    }
    server.clock.advance(93 * 86_400);
    assert_eq!(renew(&tokens).await.expect(400).json()["error"], "invalid_grant", "not used for three months");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_service_gets_five_minutes_by_its_key() {
    let tenant = Tenant::fresh().await;
    for (key, algorithm) in [(Forge::p384(), "ES384"), (Forge::rsa(), "RS384"), (Forge::p256(), "ES256")] {
        let id = tenant.register(service(&key, "system/Patient.rs vitals:read")).await.client.id;
        let jwt = assertion(&key, algorithm, &assertion_claims(&tenant, &id));
        let mut pairs =
            vec![("grant_type", "client_credentials"), ("scope", "system/*.rs system/Patient.cruds openid")];
        pairs.extend(shows(&jwt));
        let body = tenant.ask("token", &pairs).await.expect(200).json();
        assert_eq!(body["expires_in"], 300, "{algorithm}");
        assert_eq!(body["scope"], "system/Patient.rs", "{algorithm}");
        assert!(body.get("refresh_token").is_none() && body.get("patient").is_none(), "{body}");
        let token = body["access_token"].as_str().expect("a token");
        assert_eq!(claims(token)["sub"], id.as_str());
        tenant.get("Patient", token).await.expect(200);
        tenant.get("Observation", token).await.expect(403);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn dpop_binds_tokens_to_a_key() {
    let tenant = Tenant::fresh().await;
    let registered = tenant.register(app(Authentication::None, "patient/*.rs offline_access")).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let (prover, thief) = (ProofKey::generate(), ProofKey::generate());
    let now = tenant.server.clock.now().timestamp();
    let url = tenant.auth("token");
    let prove = |by: &ProofKey| by.proof(About { method: "POST", url: &url, token: None, now }, &[]);
    let code = tenant.approve(approved(id, &user, "patient/*.rs offline_access", None)).await;
    let asked = post(&url, &for_code(id, &code)).header("dpop", prove(&prover));
    let answer = Answer::of(asked).await.expect(200);
    assert!(!answer.header("dpop-nonce").is_empty());
    let body = answer.json();
    assert_eq!(body["token_type"], "DPoP");
    let token = body["access_token"].as_str().expect("a token");
    assert!(claims(token)["cnf"]["jkt"].is_string());

    // As Bearer it is worth nothing; with a proof of its key it is.
    tenant.get("Patient", token).await.expect(401);
    let resource = format!("{}/Patient", tenant.base());
    let asked = |by: &ProofKey| {
        let proof = by.proof(About { method: "GET", url: &resource, token: Some(token), now }, &[]);
        client().get(&resource).header("authorization", format!("DPoP {token}")).header("dpop", proof)
    };
    Answer::of(asked(&prover)).await.expect(200);
    Answer::of(asked(&thief)).await.expect(401);

    // The refresh token of a public client is bound to the key as well.
    let refresh = body["refresh_token"].as_str().expect("a refresh token");
    let pairs = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", refresh)];
    let stolen = post(&url, &pairs).header("dpop", prove(&thief));
    assert_eq!(Answer::of(stolen).await.expect(400).json()["error"], "invalid_grant");
    let unproven = post(&url, &pairs);
    assert_eq!(Answer::of(unproven).await.expect(400).json()["error"], "invalid_grant");
    Answer::of(post(&url, &pairs).header("dpop", prove(&prover))).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_tenant_that_wants_proof_issues_nothing_without_and_asks_for_its_nonce() {
    let tenant = Tenant::fresh().await;
    tenant.set(&json!({ "require_proof": true })).await;
    let key = Forge::p384();
    let id = tenant.register(service(&key, "system/*.rs")).await.client.id;
    let prover = ProofKey::generate();
    let url = tenant.auth("token");
    let ask = async |proof: Option<String>| {
        let jwt = assertion(&key, "ES384", &assertion_claims(&tenant, &id));
        let mut pairs = vec![("grant_type", "client_credentials"), ("scope", "system/*.rs")];
        pairs.extend(shows(&jwt));
        let mut asked = post(&url, &pairs);
        if let Some(proof) = proof {
            asked = asked.header("dpop", proof);
        }
        Answer::of(asked).await
    };
    let now = tenant.server.clock.now().timestamp();
    let prove = |nonce: Value| prover.proof(About { method: "POST", url: &url, token: None, now }, &[("nonce", nonce)]);

    assert_eq!(ask(None).await.expect(400).json()["error"], "invalid_dpop_proof");
    let told = ask(Some(prove(Value::Null))).await.expect(400);
    assert_eq!(told.json()["error"], "use_dpop_nonce");
    assert_eq!(ask(Some(prove(json!("made-up")))).await.expect(400).json()["error"], "use_dpop_nonce");
    let good = prove(json!(told.header("dpop-nonce")));
    assert_eq!(ask(Some(good.clone())).await.expect(200).json()["token_type"], "DPoP");
    assert_eq!(ask(Some(good)).await.expect(400).json()["error"], "invalid_dpop_proof", "a proof is good once");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn online_access_ends_with_the_session_and_offline_access_does_not() {
    let tenant = Tenant::fresh().await;
    let allowed = "patient/*.rs offline_access online_access";
    let registered = tenant.register(app(Authentication::None, allowed)).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let session = tenant.session(&user).await;
    let mut tokens = Vec::new();
    for granted in ["patient/*.rs online_access", "patient/*.rs offline_access"] {
        let mut request = approved(id, &user, granted, None);
        request.session = Some(session.clone());
        let code = tenant.approve(request).await;
        tokens.push(tenant.ask("token", &for_code(id, &code)).await.expect(200).json());
    }
    let refresh = async |tokens: &Value| {
        let token = tokens["refresh_token"].as_str().expect("a refresh token");
        let pairs = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
        tenant.ask("token", &pairs).await
    };
    let access = |tokens: &Value| tokens["access_token"].as_str().expect("a token").to_owned();
    let [online, offline] =
        [refresh(&tokens[0]).await.expect(200).json(), refresh(&tokens[1]).await.expect(200).json()];
    assert_eq!(claims(&access(&online))["sid"], session.as_str());
    tenant.get("Patient", &access(&online)).await.expect(200);

    let ended = tenant.at_desk(|desk, tenant| async move { desk.end_session(&tenant, &session).await }).await;
    assert!(ended.expect("ended"));

    assert_eq!(refresh(&online).await.expect(400).json()["error"], "invalid_grant");
    tenant.get("Patient", &access(&online)).await.expect(401);
    tenant.get("Patient", &access(&offline)).await.expect(200);
    refresh(&offline).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_code_may_be_bound_to_a_key_beforehand() {
    let tenant = Tenant::fresh().await;
    let registered = tenant.register(app(Authentication::None, "patient/*.rs")).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let (key, thief) = (ProofKey::generate(), ProofKey::generate());
    let mut request = approved(id, &user, "patient/*.rs", None);
    request.jkt = Some(key.jkt());
    let code = tenant.approve(request).await;
    let (url, now) = (tenant.auth("token"), tenant.server.clock.now().timestamp());
    let proof = |by: &ProofKey| by.proof(About { method: "POST", url: &url, token: None, now }, &[]);
    let pairs = for_code(id, &code);
    for asked in [post(&url, &pairs), post(&url, &pairs).header("dpop", proof(&thief))] {
        assert_eq!(Answer::of(asked).await.expect(400).json()["error"], "invalid_grant");
    }
    let good = Answer::of(post(&url, &pairs).header("dpop", proof(&key))).await.expect(200).json();
    assert_eq!(claims(good["access_token"].as_str().expect("a token"))["cnf"], json!({ "jkt": key.jkt() }));
    let elsewhere = key.proof(About { method: "POST", url: &tenant.auth("revoke"), token: None, now }, &[]);
    let twice = post(&url, &pairs).header("dpop", elsewhere);
    assert_eq!(Answer::of(twice).await.expect(400).json()["error"], "invalid_dpop_proof");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn the_record_says_who_got_what_and_who_only_says_so() {
    let tenant = Tenant::fresh().await;
    let registered = tenant.register(app(Authentication::None, "patient/*.rs")).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let code = tenant.approve(approved(id, &user, "patient/*.rs", None)).await;
    let good = tenant.ask("token", &for_code(id, &code)).await.expect(200);
    let record = tenant.record_of(good.header("x-request-id")).await;
    assert_eq!(
        (&record["action"], &record["client"], &record["subject"], &record["patient"], &record["decision"]),
        (&json!("token"), &json!(id), &json!(user), &json!("p1"), &json!("allowed"))
    );
    assert_eq!(record["scopes"], json!(["patient/*.rs"]));
    let refused = tenant.ask("token", &[("grant_type", "refresh_token"), ("client_id", "nobody")]).await.expect(400);
    let record = tenant.record_of(refused.header("x-request-id")).await;
    assert_eq!(
        (&record["client"], &record["unverified"], &record["reason"], &record["decision"]),
        (&json!("nobody"), &json!(true), &json!("invalid_client"), &json!("denied"))
    );
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn an_app_may_want_its_id_tokens_by_es256() {
    let tenant = Tenant::fresh().await;
    let mut new = app(Authentication::None, "openid patient/*.rs");
    new.metadata = json!({ "id_token_signed_response_alg": "ES256" }).to_string();
    let registered = tenant.register(new).await;
    let id = registered.client.id.as_str();
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let code = tenant.approve(approved(id, &user, "openid patient/*.rs", None)).await;
    let tokens = tenant.ask("token", &for_code(id, &code)).await.expect(200).json();
    let said = header(tokens["id_token"].as_str().expect("an id_token"));
    assert_eq!(said["alg"], "ES256");
    let published = Answer::of(client().get(tenant.auth("jwks"))).await.expect(200).json();
    assert!(published["keys"].as_array().expect("keys").iter().any(|key| key["kid"] == said["kid"]));
    ledger::each_left_one_record().await;
}
