//! What SMART App Launch wants of the endpoints beyond the RFCs they come from.

use serde_json::json;
use vitals_access::clock::Clock as _;
use vitals_server::authorization::LaunchContext;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Tenant, ledger,
    oauth::{CALLBACK, VERIFIER, app, approved, post},
    proof::{About, ProofKey},
};

const SCOPES: &str = "openid fhirUser launch patient/*.rs offline_access";

/// What a confidential app brings for its code.
fn for_code(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}

#[tokio::test]
async fn a_public_app_refreshes_without_naming_itself_and_no_other_does() {
    let tenant = Tenant::fresh().await;
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    for (authentication, status) in [(Authentication::None, 200), (Authentication::ClientSecret, 400)] {
        let registered = tenant.register(app(authentication, SCOPES)).await;
        let (id, secret) = (registered.client.id.as_str(), registered.secret.as_deref());
        let code = tenant.approve(approved(id, &user, SCOPES, None)).await;
        let mut pairs = for_code(&code).to_vec();
        pairs.push(("client_id", id));
        pairs.extend(secret.map(|secret| ("client_secret", secret)));
        let tokens = tenant.ask("token", &pairs).await.expect(200).json();
        let refresh = tokens["refresh_token"].as_str().expect("a refresh token");

        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "")];
        let answer = tenant.ask("token", &pairs).await;

        assert_eq!(answer.status, status, "{}", answer.json());
        if status == 400 {
            assert_eq!(answer.json()["error"], "invalid_client");
        }
    }
    let unknown = [("grant_type", "refresh_token"), ("refresh_token", "guessed")];
    assert_eq!(tenant.ask("token", &unknown).await.expect(400).json()["error"], "invalid_grant");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn introspection_tells_context_and_binding_to_who_shows_a_token_of_a_confidential_app() {
    let tenant = Tenant::fresh().await;
    let user = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let registered = tenant.register(app(Authentication::ClientSecret, SCOPES)).await;
    let (id, secret) = (registered.client.id.as_str(), registered.secret.as_deref());
    let key = ProofKey::generate();
    let now = tenant.server.clock.now().timestamp();
    let url = tenant.auth("token");
    let proof = key.proof(About { method: "POST", url: &url, token: None, now }, &[]);
    let mut tokens = Vec::new();
    for proof in [None, Some(proof)] {
        let mut request = approved(id, &user, SCOPES, None);
        request.context = LaunchContext {
            intent: Some("summary".to_owned()),
            need_patient_banner: Some(false),
            fhir_context: Some(json!([{ "reference": "ImagingStudy/1" }])),
            ..request.context
        };
        let code = tenant.approve(request).await;
        let asked = post(&url, &for_code(&code)).basic_auth(id, secret);
        let asked = proof.into_iter().fold(asked, |asked, proof| asked.header("dpop", proof));
        tokens.push(Answer::of(asked).await.expect(200).json()["access_token"].as_str().expect("a token").to_owned());
    }
    let [plain, bound] = tokens.as_slice() else { panic!("two tokens") };

    let told = Answer::of(post(&tenant.auth("introspect"), &[("token", bound)]).bearer_auth(plain)).await;

    let told = told.expect(200).json();
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(id)));
    assert_eq!((&told["token_type"], told["cnf"]["jkt"].is_string()), (&json!("DPoP"), true));
    assert_eq!((&told["intent"], &told["need_patient_banner"]), (&json!("summary"), &json!(false)));
    assert_eq!(told["fhirContext"], json!([{ "reference": "ImagingStudy/1" }]));
    // A bound token is no way to ask without its proof.
    Answer::of(post(&tenant.auth("introspect"), &[("token", plain)]).bearer_auth(bound)).await.expect(401);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn who_is_no_fhir_resource_is_told_as_none() {
    let tenant = Tenant::fresh().await;
    let user = tenant.user(None, "user/Patient.rs").await;
    let scopes = "openid fhirUser user/Patient.rs";
    let registered = tenant.register(app(Authentication::None, scopes)).await;
    let code = tenant.approve(approved(&registered.client.id, &user, scopes, None)).await;
    let mut pairs = for_code(&code).to_vec();
    pairs.push(("client_id", &registered.client.id));

    let body = tenant.ask("token", &pairs).await.expect(200).json();

    assert_eq!(body["scope"], "openid user/Patient.rs");
    assert!(vitals_tests::oauth::claims(body["id_token"].as_str().expect("an id_token")).get("fhirUser").is_none());
    ledger::each_left_one_record().await;
}
