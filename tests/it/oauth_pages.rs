//! The pages of an authorization server as people and apps meet them: signing in, choosing a patient, consenting, and
//! taking it back.

use vitals_server::authorization::accounts::NewAccount;
use vitals_tests::{
    Answer, Browser, Tenant,
    browser::{field, returned, ticks, unescaped},
    ledger,
    people::{CALLBACK, PASSWORD},
    samples,
};

const ASKED: &str = "launch/patient openid fhirUser offline_access patient/Observation.rs?category=vital-signs";

/// What stands on a page, as people read it.
fn text(page: &Answer) -> String {
    unescaped(&page.body)
}

async fn patient(tenant: &Tenant, id: &str, family: &str) {
    let body = samples::patient(id, family).to_string();
    tenant.put(&format!("Patient/{id}"), &tenant.all(), &body).await.expect(201);
}

/// The scopes of the newest approval of an account.
async fn approved(tenant: &Tenant, account: &str) -> Vec<String> {
    let (account, now) = (account.to_owned(), vitals_access::clock::Clock::now(&tenant.server.clock));
    let approvals = tenant
        .authorization(move |mut tx| async move {
            let approvals = tx.approvals_of(&account, now).await.expect("approvals");
            (tx, approvals)
        })
        .await;
    approvals.into_iter().next().map(|approval| approval.scopes).unwrap_or_default()
}

#[tokio::test]
async fn a_patient_signs_in_consents_and_comes_back_with_a_code() {
    let tenant = Tenant::fresh().await;
    patient(&tenant, "p1", "Byron").await;
    let account = tenant.person("ada", "Patient/p1").await;
    tenant.app("chart", ASKED).await;
    let mut browser = Browser::at(&tenant);

    let page = browser.get(&tenant.asks("chart", ASKED, &[])).await.expect(200);
    assert!(text(&page).contains("to continue to <strong>App chart</strong>"), "{}", page.body);
    let page = browser.sign_in(&page, " ADA ", PASSWORD).await.expect(200);
    let shown = text(&page);
    for sentence in ["read your vital signs", "know who you are", "keep doing this until you disconnect it"] {
        assert!(shown.contains(sentence), "{sentence}: {shown}");
    }
    let answer = browser.allow(&page).await;
    assert!(answer.expect_redirect().starts_with(CALLBACK));
    let returned = returned(&answer);
    assert_eq!(returned["state"], "state-of-the-app");
    assert_eq!(returned["iss"], format!("{}/t/{}/auth", tenant.server.url, tenant.name));
    assert!(returned["code"].len() >= 43);
    assert_eq!(approved(&tenant, &account.id).await.join(" "), ASKED);

    let page = browser.get("manage").await.expect(200);
    assert!(text(&page).contains("App chart") && text(&page).contains("read your vital signs"), "{}", page.body);
    let approval = page.body.split("name=\"disconnect\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let page = browser.submit(&page, "manage", &[("disconnect", approval.expect("a button"))]).await.expect(200);
    assert!(text(&page).contains("No app is connected"), "{}", page.body);
    assert!(approved(&tenant, &account.id).await.is_empty());
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_clinician_chooses_a_patient_first() {
    let tenant = Tenant::fresh().await;
    for (id, family) in [("p1", "Byron"), ("p2", "Babbage")] {
        patient(&tenant, id, family).await;
    }
    let account = tenant.person("doctor", "Practitioner/d1").await;
    tenant.app("chart", "launch/patient patient/*.rs user/Observation.rs").await;
    let asked = tenant.asks("chart", "launch/patient patient/Observation.rs user/Observation.rs", &[]);
    let mut browser = Browser::at(&tenant);

    let page = browser.get(&asked).await.expect(200);
    let page = browser.sign_in(&page, "doctor", PASSWORD).await.expect(200);
    assert!(text(&page).contains("Choose a patient"), "{}", page.body);
    let none = browser.submit(&page, "patients", &[("name", "Nobody"), ("birthdate", "")]).await.expect(200);
    assert!(text(&none).contains("No patient was found"), "{}", none.body);
    let found = browser.submit(&page, "patients", &[("name", "byr"), ("birthdate", "1980-02")]).await.expect(200);
    let shown = text(&found);
    assert!(shown.contains("Ada Byron") && shown.contains("born 1980-02-29") && !shown.contains("Babbage"), "{shown}");
    for unknown in ["p9", "../p1", "p1,p2", "<script>"] {
        let answer = browser.submit(&found, "patients", &[("patient", unknown)]).await;
        let page = browser.follow(answer).await.expect(200);
        assert!(text(&page).contains("Choose a patient"), "{unknown}: {}", page.body);
    }
    let answer = browser.submit(&found, "patients", &[("patient", "p1")]).await;
    let page = browser.follow(answer).await.expect(200);
    let shown = text(&page);
    assert!(shown.contains("read Ada Byron’s measurements"), "{shown}");
    assert!(shown.contains("of all patients you may see"), "{shown}");
    returned(&browser.allow(&page).await).get("code").expect("a code");
    assert_eq!(approved(&tenant, &account.id).await.len(), 3);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn the_picker_goes_on_page_by_page() {
    let tenant = Tenant::fresh().await;
    for number in 0..12 {
        patient(&tenant, &format!("p{number}"), "Byron").await;
    }
    tenant.person("doctor", "Practitioner/d1").await;
    tenant.app("chart", "patient/Patient.rs").await;
    let mut browser = Browser::at(&tenant);

    let page = browser.get(&tenant.asks("chart", "patient/Patient.rs", &[])).await;
    let page = browser.sign_in(&page, "doctor", PASSWORD).await.expect(200);
    let first = browser.submit(&page, "patients", &[("name", "Byron")]).await.expect(200);
    let after = first.body.split("name=\"after\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let after = after.expect("a second page");
    let second = browser.submit(&first, "patients", &[("name", "Byron"), ("after", after)]).await.expect(200);
    let count = |page: &Answer| page.body.matches("name=\"patient\"").count();
    assert_eq!((count(&first), count(&second)), (10, 2));
    // Somebody else's place in a list is none.
    let again = browser.submit(&first, "patients", &[("name", "Byron"), ("after", "AAAA")]).await.expect(200);
    assert_eq!(count(&again), 10);
}

#[tokio::test]
async fn who_stands_for_others_chooses_among_them() {
    let tenant = Tenant::fresh().await;
    for (id, family) in [("c1", "Byron"), ("c2", "Babbage"), ("p9", "Other")] {
        patient(&tenant, id, family).await;
    }
    let of = |username: &str, patients: &[&str]| NewAccount {
        username: username.to_owned(),
        name: "Mother".to_owned(),
        password: Some(PASSWORD.to_owned()),
        fhir_user: Some("RelatedPerson/r1".to_owned()),
        patients: patients.iter().map(|id| (*id).to_owned()).collect(),
        ..NewAccount::default()
    };
    tenant.account(of("two", &["c1", "c2"])).await;
    tenant.account(of("one", &["c1"])).await;
    tenant.account(of("none", &[])).await;
    tenant.app("chart", "launch/patient patient/Observation.rs").await;
    let asked = tenant.asks("chart", "launch/patient patient/Observation.rs", &[]);

    let mut browser = Browser::at(&tenant);
    let page = browser.get(&asked).await;
    let page = browser.sign_in(&page, "two", PASSWORD).await.expect(200);
    let shown = text(&page);
    assert!(shown.contains("Ada Byron") && shown.contains("Ada Babbage") && !shown.contains("Ada Other"), "{shown}");
    let answer = browser.submit(&page, "patients", &[("patient", "p9")]).await;
    let again = browser.follow(answer).await.expect(200);
    assert!(text(&again).contains("Choose a patient"), "{}", again.body);
    let answer = browser.submit(&page, "patients", &[("patient", "c2")]).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(text(&page).contains("read Ada Babbage’s"), "{}", page.body);

    let mut browser = Browser::at(&tenant);
    let page = browser.get(&asked).await;
    let page = browser.sign_in(&page, "one", PASSWORD).await.expect(200);
    assert!(text(&page).contains("read Ada Byron’s"), "{}", page.body);

    let mut browser = Browser::at(&tenant);
    let page = browser.get(&asked).await;
    let answer = browser.sign_in(&page, "none", PASSWORD).await;
    assert_eq!(returned(&answer)["error"], "access_denied");
}

#[tokio::test]
async fn what_is_unticked_refused_or_not_held_is_not_granted() {
    let tenant = Tenant::fresh().await;
    patient(&tenant, "p1", "Byron").await;
    let account = tenant.person("ada", "Patient/p1").await;
    tenant.app("chart", "openid patient/*.cruds offline_access").await;
    let mut browser = Browser::at(&tenant);
    // A patient holds no writing, the app is not allowed system scopes, and nobody knows the last.
    let asked = "openid patient/*.cruds system/*.rs admin:users offline_access nonsense";
    let page = browser.get(&tenant.asks("chart", asked, &[])).await;
    let page = browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    let boxes = ticks(&page);
    let values: Vec<&str> = boxes.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["patient/Patient.rs", "patient/Observation.rs", "openid", "offline_access"]);

    let only: Vec<(&str, &str)> = boxes
        .iter()
        .filter(|(_, value)| value == "patient/Observation.rs" || value == "openid")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([("decision", "allow"), ("scope-9-9", "patient/*.cruds system/*.rs")])
        .collect();
    returned(&browser.submit(&page, "consent", &only).await).get("code").expect("a code");
    assert_eq!(approved(&tenant, &account.id).await, ["openid", "patient/Observation.rs"]);

    let answer = browser.submit(&page, "consent", &[("decision", "allow")]).await;
    assert_eq!(returned(&answer)["error"], "access_denied", "nothing ticked");
    let answer = browser.submit(&page, "consent", &[("decision", "deny")]).await;
    assert_eq!(returned(&answer)["error"], "access_denied");
    assert_eq!(returned(&answer)["state"], "state-of-the-app");
    browser.submit(&page, "consent", &[]).await.expect(400);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn an_app_that_asks_without_pages_gets_none() {
    let tenant = Tenant::fresh().await;
    patient(&tenant, "p1", "Byron").await;
    tenant.person("ada", "Patient/p1").await;
    let mut app = tenant.app("chart", ASKED).await;
    app.id = "kept".to_owned();
    app.authentication = vitals_store::authorization::Authentication::ClientSecret;
    tenant.client(app).await;
    let silent = |client: &str, scopes: &str| tenant.asks(client, scopes, &[("prompt", "none")]);
    let mut browser = Browser::at(&tenant);

    let answer = browser.get(&silent("kept", ASKED)).await;
    assert_eq!(returned(&answer)["error"], "login_required");
    let page = browser.get("sign-in").await.expect(200);
    browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    let answer = browser.get(&silent("kept", ASKED)).await;
    assert_eq!(returned(&answer)["error"], "consent_required");
    for client in ["kept", "chart"] {
        let page = browser.get(&tenant.asks(client, ASKED, &[])).await.expect(200);
        returned(&browser.allow(&page).await).get("code").expect("a code");
    }
    returned(&browser.get(&silent("kept", ASKED)).await).get("code").expect("a code");
    // One that cannot prove who it is may be another.
    let answer = browser.get(&silent("chart", ASKED)).await;
    assert_eq!(returned(&answer)["error"], "consent_required");
    // Who is signed in has to sign in again where the app wants that.
    let page = browser.get(&tenant.asks("kept", ASKED, &[("prompt", "login")])).await.expect(200);
    assert!(field(&page, "onward").is_some() && page.body.contains("type=\"password\""), "{}", page.body);
    let page = browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    assert!(!ticks(&page).is_empty(), "{}", page.body);
    let stale = browser.get(&tenant.asks("kept", ASKED, &[("max_age", "0"), ("prompt", "none")])).await;
    assert_eq!(returned(&stale)["error"], "login_required");
}

#[tokio::test]
async fn a_request_that_an_app_posts_goes_on_as_one_with_cookies() {
    let tenant = Tenant::fresh().await;
    patient(&tenant, "p1", "Byron").await;
    tenant.person("ada", "Patient/p1").await;
    tenant.app("chart", ASKED).await;
    let mut browser = Browser::at(&tenant);
    let page = browser.get("sign-in").await.expect(200);
    browser.sign_in(&page, "ada", PASSWORD).await.expect(200);

    let asked = tenant.asks("chart", ASKED, &[]);
    let body = asked.split_once('?').expect("a query").1.to_owned();
    let stranger = Browser::at(&tenant);
    let answer = Answer::of(stranger.form("authorize", &[]).body(body)).await;
    assert_eq!(answer.status, 303);
    let page = browser.follow(answer).await.expect(200);
    assert!(text(&page).contains("App chart would like to"), "{}", page.body);
}

#[tokio::test]
async fn a_launch_of_an_ehr_brings_its_patient_for_its_user_once() {
    let tenant = Tenant::fresh().await;
    for (id, family) in [("p1", "Byron"), ("p2", "Babbage")] {
        patient(&tenant, id, family).await;
    }
    let doctor = tenant.person("doctor", "Practitioner/d1").await;
    tenant.person("other", "Practitioner/d2").await;
    tenant.app("chart", "launch launch/encounter patient/Observation.rs").await;
    tenant.launch("handle", "chart", &doctor, r#"{"patient":"p2","encounter":"e1","intent":"order"}"#).await;
    let asked = tenant.asks("chart", "launch launch/encounter patient/Observation.rs", &[("launch", "handle")]);

    let mut browser = Browser::at(&tenant);
    let page = browser.get(&asked).await;
    let answer = browser.sign_in(&page, "other", PASSWORD).await;
    assert_eq!(returned(&answer)["error"], "access_denied", "another user's launch");

    let mut browser = Browser::at(&tenant);
    let page = browser.get(&asked).await;
    let page = browser.sign_in(&page, "doctor", PASSWORD).await.expect(200);
    assert!(text(&page).contains("read Ada Babbage’s"), "{}", page.body);
    returned(&browser.allow(&page).await).get("code").expect("a code");
    let answer = browser.allow(&page).await;
    assert_eq!(returned(&answer)["error"], "access_denied", "a launch that was used");
    let answer = browser.get(&asked).await;
    assert_eq!(returned(&answer)["error"], "invalid_request", "a launch that was used");
}

#[tokio::test]
async fn a_request_whose_app_or_address_is_in_doubt_leads_nowhere() {
    let tenant = Tenant::fresh().await;
    tenant.app("chart", ASKED).await;
    let mut browser = Browser::at(&tenant);
    for (what, more) in [
        ("an unknown app", vec![("client_id", "nobody")]),
        ("another address", vec![("redirect_uri", "https://app.example/callback/x")]),
        ("a plain challenge", vec![("code_challenge_method", "plain")]),
    ] {
        let page = browser.get(&tenant.asks("chart", ASKED, &more)).await.expect(400);
        assert!(page.header("content-type").starts_with("text/html"), "{what}: {}", page.body);
        assert!(page.header("location").is_empty(), "{what}");
    }
    let answer = browser.get(&tenant.asks("chart", ASKED, &[("aud", "https://elsewhere.example/fhir")])).await;
    assert_eq!(returned(&answer)["error"], "invalid_request");
    assert_eq!(returned(&answer)["iss"], format!("{}/t/{}/auth", tenant.server.url, tenant.name));
    let answer = browser.get("authorize?resume=AAAA").await.expect(400);
    assert!(answer.body.contains("too old"), "{}", answer.body);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let tenant = Tenant::fresh().await;
    tenant.person("ada", "Patient/p1").await;
    let mut browser = Browser::at(&tenant);
    let page = browser.get("manage").await.expect(200);
    let page = browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    let new = "another horse altogether";
    let change = |current: &'static str, new: &'static str, again: &'static str| {
        [("current", current), ("new", new), ("again", again)]
    };
    for (what, typed) in [
        ("a wrong one", change("wrong horse battery", new, new)),
        ("two that differ", change(PASSWORD, new, "another horse altogethe")),
        ("a short one", change(PASSWORD, "short", "short")),
    ] {
        let answer = browser.submit(&page, "manage", &typed).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
    }
    let mut elsewhere = Browser::at(&tenant);
    let other = elsewhere.get("manage").await;
    elsewhere.sign_in(&other, "ada", PASSWORD).await.expect(200);
    let answer = browser.submit(&page, "manage", &change(PASSWORD, new, new)).await.expect(303);
    let page = browser.follow(answer).await.expect(200);
    assert!(text(&page).contains("Your password is changed"), "{}", page.body);
    // Whoever was signed in by the old one is not any more.
    assert!(elsewhere.get("manage").await.expect(200).body.contains("name=\"username\""));
    let mut browser = Browser::at(&tenant);
    let page = browser.get("manage").await;
    browser.sign_in(&page, "ada", PASSWORD).await.expect(403);
    let page = browser.get("manage").await;
    browser.sign_in(&page, "ada", new).await.expect(200);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_pushed_request_is_good_once_and_its_page_can_be_loaded_again() {
    let tenant = Tenant::fresh().await;
    patient(&tenant, "p1", "Byron").await;
    tenant.person("ada", "Patient/p1").await;
    tenant.app("chart", ASKED).await;
    let mut browser = Browser::at(&tenant);
    let asked = tenant.asks("chart", ASKED, &[]);
    let body = asked.split_once('?').expect("a query").1.to_owned();
    let pushed = Answer::of(browser.form("par", &[]).body(body)).await.expect(201).json();
    let uri = pushed["request_uri"].as_str().expect("a request_uri").replace(':', "%3A");
    let path = format!("authorize?client_id=chart&request_uri={uri}");

    let answer = browser.get(&path).await.expect(303);
    let location = answer.header("location").to_owned();
    for _ in 0..2 {
        let page = browser.open(&location).await.expect(200);
        assert!(text(&page).contains("to continue to <strong>App chart</strong>"), "{}", page.body);
    }
    browser.get(&path).await.expect(400);
    ledger::each_left_one_record().await;
}
