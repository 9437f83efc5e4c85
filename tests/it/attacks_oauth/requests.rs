//! Authorization requests (O12, O13, O17) and launches (O18), as `par` judges them: the same code that `authorize` asks.

use serde_json::json;
use vitals_server::authorization::ApproveError;
use vitals_store::authorization::Authentication;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, ledger,
    oauth::{CALLBACK, CHALLENGE, VERIFIER, app, approved, post},
};

use super::{World, refused, request, resource_server, text};

async fn push(world: &World, otherwise: &[(&str, &str)]) -> Answer {
    let pairs = request(&world.tenant, &world.app, otherwise);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    world.tenant.ask("par", &pairs).await
}

#[tokio::test]
async fn a_request_is_for_us_with_a_challenge_to_an_address_to_the_letter() {
    let (world, other) = (World::new().await, Tenant::fresh().await);
    let foreign = other.base();
    let near = [world.tenant.base().to_uppercase(), format!("{}x", world.tenant.base())];
    for (label, name, value, error) in [
        ("O12 no challenge", "code_challenge", "", "invalid_request"),
        ("O12 no method", "code_challenge_method", "", "invalid_request"),
        ("O12 plain", "code_challenge_method", "plain", "invalid_request"),
        ("O12 a short challenge", "code_challenge", &CHALLENGE[..42], "invalid_request"),
        ("O13 prefix", "redirect_uri", "https://app.example/callbackx", "invalid_request"),
        ("O13 shorter", "redirect_uri", "https://app.example/", "invalid_request"),
        ("O13 sub-domain", "redirect_uri", "https://x.app.example/callback", "invalid_request"),
        ("O13 extra path", "redirect_uri", "https://app.example/callback/x", "invalid_request"),
        ("O13 extra query", "redirect_uri", "https://app.example/callback?x=1", "invalid_request"),
        ("O13 fragment", "redirect_uri", "https://app.example/callback#x", "invalid_request"),
        ("O13 dots", "redirect_uri", "https://app.example/x/../callback", "invalid_request"),
        ("O13 user", "redirect_uri", "https://app.example@attacker.example/callback", "invalid_request"),
        ("O13 case", "redirect_uri", "https://APP.example/callback", "invalid_request"),
        ("O13 scheme", "redirect_uri", "http://app.example/callback", "invalid_request"),
        ("O13 localhost", "redirect_uri", "http://localhost:4000/callback", "invalid_request"),
        ("O13 none", "redirect_uri", "", "invalid_request"),
        ("O17 no aud", "aud", "", "invalid_request"),
        ("O17 another tenant's", "aud", foreign.as_str(), "invalid_request"),
        ("O17 another server's", "aud", "https://attacker.example/fhir", "invalid_request"),
        ("O17 in capitals", "aud", near[0].as_str(), "invalid_request"),
        ("O17 longer", "aud", near[1].as_str(), "invalid_request"),
        ("O17 another resource beside it", "resource", foreign.as_str(), "invalid_request"),
        ("O12 another response type", "response_type", "token", "unsupported_response_type"),
        ("O12 no response type", "response_type", "", "invalid_request"),
        ("O12 fragment mode", "response_mode", "fragment", "invalid_request"),
        ("O12 a request object", "request", "eyJ", "request_not_supported"),
        ("O12 another request", "request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"),
        ("O12 no scope", "scope", "", "invalid_scope"),
        ("O12 unknown scopes", "scope", "everything patient/Observation.sr", "invalid_scope"),
        ("O12 prompt none with login", "prompt", "none login", "invalid_request"),
        ("O12 no age", "max_age", "-1", "invalid_request"),
        ("O12 no thumbprint", "dpop_jkt", "x", "invalid_request"),
        ("O18 launch without its scope", "launch", "forged", "invalid_request"),
        ("O18 the scope without a launch", "scope", "launch patient/*.rs", "invalid_request"),
    ] {
        refused(label, push(&world, &[(name, value)]).await, error);
    }
    for aud in [world.tenant.base(), format!("{}/", world.tenant.base())] {
        push(&world, &[("aud", &aud)]).await.expect(201);
        push(&world, &[("aud", ""), ("resource", &aud)]).await.expect(201);
    }
    let twice = [("client_id", world.app.as_str()), ("state", "a"), ("state", "b")];
    refused("O12 a parameter twice", world.tenant.ask("par", &twice).await, "invalid_request");
    let pushed = push(&world, &[]).await.expect(201).json();
    assert!(text(&pushed, "request_uri").starts_with("urn:ietf:params:oauth:request_uri:"));
    assert_eq!(pushed["expires_in"], 90);
    ledger::each_left_one_record().await;
}

/// A tenant with an EHR, its id and secret.
async fn with_ehr(tenant: &Tenant) -> (String, String) {
    let mut new = app(Authentication::ClientSecret, "");
    new.redirect_uris.clear();
    new.ehr = true;
    let registered = tenant.register(new).await;
    (registered.client.id, registered.secret.expect("a secret"))
}

async fn announce(tenant: &Tenant, ehr: &(String, String), pairs: &[(&str, &str)]) -> Answer {
    Answer::of(post(&tenant.auth("launch"), pairs).basic_auth(&ehr.0, Some(&ehr.1))).await.sound()
}

#[tokio::test]
async fn o18_a_launch_is_of_one_app_and_one_user_once() {
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let tenant = Tenant::on(server).await;
    let ehr = with_ehr(&tenant).await;
    let mut new = app(Authentication::None, "launch patient/*.rs user/*.rs");
    new.launch_uri = Some("https://app.example/launch?version=2".to_owned());
    let app_id = tenant.register(new).await.client.id;
    let stranger = tenant.register(app(Authentication::None, "launch patient/*.rs")).await.client.id;
    let doctor = tenant.user(Some("Practitioner/d1"), "patient/*.rs user/*.rs").await;
    let nurse = tenant.user(Some("Practitioner/n1"), "patient/*.rs").await;
    let patient = tenant.user(Some("Patient/p1"), "patient/*.rs").await;
    let about =
        [("app", app_id.as_str()), ("user", &doctor), ("patient", "p2"), ("encounter", "e1"), ("intent", "review")];

    let launched = announce(&tenant, &ehr, &about).await.expect(201).json();
    assert_eq!(launched["expires_in"], 300);
    let handle = text(&launched, "launch").to_owned();
    let url = text(&launched, "launch_url");
    assert!(url.starts_with("https://app.example/launch?version=2&iss="), "{url}");
    let json = vitals_tests::tenant::client()
        .post(tenant.auth("launch"))
        .basic_auth(&ehr.0, Some(&ehr.1))
        .header("content-type", "application/json")
        .body(
            json!({
                "app": app_id, "user": doctor, "patient": "p2", "need_patient_banner": false,
                "fhirContext": [{ "reference": "ImagingStudy/1" }],
            })
            .to_string(),
        );
    let second = text(&Answer::of(json).await.expect(201).json(), "launch").to_owned();

    for (label, pairs, error) in [
        ("O18 no such app", vec![("app", "nobody"), ("user", &doctor)], "invalid_request"),
        ("O18 no such user", vec![("app", &app_id), ("user", "nobody")], "invalid_request"),
        (
            "O18 a patient about another",
            vec![("app", &app_id), ("user", &patient), ("patient", "p2")],
            "invalid_request",
        ),
        ("O18 no id", vec![("app", &app_id), ("user", &doctor), ("patient", "Patient/p2")], "invalid_request"),
    ] {
        refused(label, announce(&tenant, &ehr, &pairs).await, error);
    }
    let plain = resource_server(&tenant).await;
    refused("O18 no EHR", announce(&tenant, &plain, &about).await, "unauthorized_client");
    tenant.ask("launch", &[("client_id", &app_id), ("app", &app_id), ("user", &doctor)]).await.expect(401);

    let push = async |client: &str, launch: &str| {
        let otherwise = [("launch", launch), ("scope", "launch patient/*.rs")];
        let pairs = request(&tenant, client, &otherwise);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        tenant.ask("par", &pairs).await
    };
    refused("O18 forged", push(&app_id, "forged").await, "invalid_request");
    refused("O18 another app's", push(&stranger, &handle).await, "invalid_request");
    push(&app_id, &handle).await.expect(201);

    let attempt = async |client: &str, user: &str, handle: &str| {
        let mut request = approved(client, user, "launch patient/*.rs", Some("p9"));
        request.launch = Some(handle.to_owned());
        tenant
            .at_desk(
                |desk, tenant| async move { vitals_server::authorization::approve(&desk, &tenant, &request).await },
            )
            .await
    };
    for (label, client, user, handle) in [
        ("O18 another user's", &app_id, &nurse, handle.as_str()),
        ("O18 another app's", &stranger, &doctor, handle.as_str()),
        ("O18 forged", &app_id, &doctor, "forged"),
    ] {
        assert!(matches!(attempt(client, user, handle).await, Err(ApproveError::Launch)), "{label}");
    }
    let code = attempt(&app_id, &doctor, &handle).await.expect("approved");
    assert!(matches!(attempt(&app_id, &doctor, &handle).await, Err(ApproveError::Launch)), "O18 reused");
    refused("O18 reused", push(&app_id, &handle).await, "invalid_request");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", &app_id),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let body = tenant.ask("token", &pairs).await.expect(200).json();
    let told = ["patient", "encounter", "intent", "tenant"].map(|name| text(&body, name));
    assert_eq!(told, ["p2", "e1", "review", tenant.name.as_str()], "the EHR's context, not the one asked for");

    server.clock.advance(301);
    assert!(matches!(attempt(&app_id, &doctor, &second).await, Err(ApproveError::Launch)), "O18 too late");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn registration_is_off_unless_switched_on_and_needs_its_token() {
    let tenant = Tenant::fresh().await;
    let url = tenant.auth("register");
    let wanted = json!({
        "client_name": "Self-made",
        "redirect_uris": ["https://self.example/callback"],
        "token_endpoint_auth_method": "none",
        "scope": "openid patient/*.cruds system/*.rs",
    });
    let send = async |token: Option<&str>, wanted: &serde_json::Value| {
        let mut asked = vitals_tests::tenant::client()
            .post(&url)
            .header("content-type", "application/json")
            .body(wanted.to_string());
        if let Some(token) = token {
            asked = asked.bearer_auth(token);
        }
        Answer::of(asked).await.sound()
    };
    send(Some("x"), &wanted).await.expect(404);
    tenant.set(&json!({ "registration": true })).await;
    send(None, &wanted).await.expect(401);
    send(Some("x"), &wanted).await.expect(401);
    let token = tenant.registration_token("openid patient/*.rs").await;
    let other = Tenant::fresh().await;
    other.set(&json!({ "registration": true })).await;
    let elsewhere = vitals_tests::tenant::client()
        .post(other.auth("register"))
        .header("content-type", "application/json")
        .body(wanted.to_string())
        .bearer_auth(&token);
    Answer::of(elsewhere).await.expect(401);

    let made = send(Some(&token), &wanted).await.expect(201).json();
    assert_eq!(made["scope"], "openid patient/*.rs", "no more than the token allows");
    assert!(made.get("client_secret").is_none());
    assert_eq!(made["token_endpoint_auth_method"], "none");
    let secret = json!({ "redirect_uris": ["https://self.example/callback"], "grant_types": ["authorization_code"] });
    let made = send(Some(&token), &secret).await.expect(201).json();
    assert_eq!(
        (text(&made, "token_endpoint_auth_method"), &made["client_secret_expires_at"]),
        ("client_secret_basic", &json!(0))
    );
    let pairs = [("grant_type", "client_credentials"), ("scope", "system/*.rs")];
    let own =
        post(&tenant.auth("token"), &pairs).basic_auth(text(&made, "client_id"), Some(text(&made, "client_secret")));
    refused("O21 a grant it did not register", Answer::of(own).await, "unauthorized_client");
    for (label, member, value, error) in [
        ("O13 a wildcard", "redirect_uris", json!(["https://*.example/"]), "invalid_redirect_uri"),
        ("O13 plain http", "redirect_uris", json!(["http://self.example/"]), "invalid_redirect_uri"),
        ("O13 a script", "redirect_uris", json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
        ("O21 an unknown method", "token_endpoint_auth_method", json!("client_secret_jwt"), "invalid_client_metadata"),
        ("O21 an unknown grant", "grant_types", json!(["password"]), "invalid_client_metadata"),
        ("O21 a wrong type", "scope", json!(["openid"]), "invalid_client_metadata"),
        ("O21 a statement", "software_statement", json!("eyJ"), "invalid_software_statement"),
        ("O21 no name", "client_name", json!(" "), "invalid_client_metadata"),
        ("O21 a key set within", "jwks_uri", json!("https://127.0.0.1:1/x#y"), "invalid_client_metadata"),
    ] {
        let mut wanted = wanted.clone();
        wanted[member] = value;
        let answer = send(Some(&token), &wanted).await.expect(400);
        assert_eq!(answer.json()["error"], error, "{label}: {}", answer.body);
    }
    ledger::each_left_one_record().await;
}

/// Sends a user's browser to `authorize`.
async fn visit(tenant: &Tenant, pairs: &[(String, String)]) -> Answer {
    let url = format!("{}?{}", tenant.auth("authorize"), vitals_fhir::search::form_text(pairs));
    Answer::of(vitals_tests::tenant::client().get(url)).await.sound()
}

#[tokio::test]
async fn authorize_sends_nobody_to_an_address_that_it_does_not_trust() {
    let world = World::new().await;
    for (label, name, value) in [
        ("O12 no challenge", "code_challenge", ""),
        ("O12 plain", "code_challenge_method", "plain"),
        ("O13 prefix", "redirect_uri", "https://app.example/callbackx"),
        ("O13 attacker", "redirect_uri", "https://attacker.example/callback"),
        ("O13 localhost", "redirect_uri", "http://localhost:4000/callback"),
        ("O13 none", "redirect_uri", ""),
        ("O13 no such app", "client_id", "nobody"),
    ] {
        let answer = visit(&world.tenant, &request(&world.tenant, &world.app, &[(name, value)])).await.expect(400);
        assert_eq!(answer.header("location"), "", "{label}");
    }
    let foreign = Tenant::fresh().await.base();
    for (label, name, value, error) in [
        ("O17 another base", "aud", foreign.as_str(), "invalid_request"),
        ("O17 none", "aud", "", "invalid_request"),
        ("O18 forged", "launch", "forged", "invalid_request"),
        ("O12 another response type", "response_type", "token", "unsupported_response_type"),
    ] {
        let answer = visit(&world.tenant, &request(&world.tenant, &world.app, &[(name, value)])).await;
        assert!((302..=303).contains(&answer.status), "{label}: {}", answer.status);
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{CALLBACK}?error={error}&")), "{label}: {location}");
        assert!(location.contains("state=s-1") && location.contains("iss="), "{label}: {location}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_pushed_request_is_good_once_for_its_app_at_its_tenant() {
    let world = World::new().await;
    let stranger = world.tenant.register(app(Authentication::None, "patient/*.rs")).await.client.id;
    let other = World::new().await;
    let pushed = push(&world, &[]).await.expect(201).json();
    let uri = text(&pushed, "request_uri");
    let with = |client: &str, uri: &str| {
        vec![("client_id".to_owned(), client.to_owned()), ("request_uri".to_owned(), uri.to_owned())]
    };
    let unknown = visit(&other.tenant, &with(&other.app, "urn:ietf:params:oauth:request_uri:never-was")).await;
    let foreign = visit(&other.tenant, &with(&other.app, uri)).await;
    assert_eq!((foreign.status, &foreign.body.len()), (400, &unknown.body.len()));
    visit(&world.tenant, &with(&stranger, uri)).await.expect(400);
    let mut beside = with(&world.app, uri);
    beside.push(("redirect_uri".to_owned(), "https://attacker.example/".to_owned()));
    // What stands beside it counts for nothing: the user goes on with what was pushed.
    let page = visit(&world.tenant, &beside).await;
    assert!(page.status < 400 && !page.holds("attacker.example"), "{}: {}", page.status, page.body);
    visit(&world.tenant, &with(&world.app, uri)).await.expect(400);
    ledger::each_left_one_record().await;
}
