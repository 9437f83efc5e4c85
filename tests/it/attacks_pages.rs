//! Attacks on people at the pages of an authorization server: family U, by number.

use vitals_access::{clock::Clock as _, settings::Settings};
use vitals_server::authorization::accounts::NewAccount;
use vitals_tests::{
    Answer, Browser, Options, Server, Tenant,
    browser::{field, returned, ticks},
    cluster, ledger,
    people::PASSWORD,
    samples,
};

const ASKED: &str = "launch/patient openid patient/Observation.rs online_access";
const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// A form: its row, its path, and what is typed.
type Form = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// A tenant with somebody and an app.
async fn ready() -> Tenant {
    let tenant = Tenant::fresh().await;
    settle(&tenant).await;
    tenant
}

async fn settle(tenant: &Tenant) {
    let body = samples::patient("p1", "Byron").to_string();
    tenant.put("Patient/p1", &tenant.all(), &body).await.expect(201);
    tenant.person("ada", "Patient/p1").await;
    tenant.app("chart", ASKED).await;
}

async fn signed_in(tenant: &Tenant, username: &str) -> Browser {
    let mut browser = Browser::at(tenant);
    let page = browser.get("manage").await.expect(200);
    browser.sign_in(&page, username, PASSWORD).await.expect(200);
    browser
}

/// A server of its own, whose clock a test may move.
async fn own_server() -> &'static Server {
    Server::for_this_test(cluster::shared(), Options::default()).await
}

fn session_of(browser: &Browser, tenant: &Tenant) -> String {
    browser.cookies.get(&format!("vitals-{}", tenant.name)).cloned().unwrap_or_default()
}

#[tokio::test]
async fn u01_names_are_texts_wherever_they_stand() {
    let tenant = Tenant::fresh().await;
    let mut admin = tenant.server.cluster.admin().await;
    let name = tenant.name.clone();
    vitals_tests::sql::run(
        &tenant.server.cluster.urls.app_admin().expect("admin"),
        &format!("UPDATE control.tenant SET display = $x${SCRIPT}$x$ WHERE name = '{name}'"),
    )
    .await;
    let settings = Settings { colour: Some("#fff;}</style><script>".to_owned()), ..Settings::default() };
    vitals_store::control::settings::set(&mut admin, &name, &settings, tenant.server.clock.now()).await.expect("set");
    let mut body = samples::patient("p1", SCRIPT);
    body["gender"] = "female".into();
    tenant.put("Patient/p1", &tenant.all(), &body.to_string()).await.expect(201);
    tenant
        .account(NewAccount {
            username: "doctor".to_owned(),
            name: SCRIPT.to_owned(),
            password: Some(PASSWORD.to_owned()),
            fhir_user: Some("Practitioner/d1".to_owned()),
            ..NewAccount::default()
        })
        .await;
    let mut app = tenant.app("plain", ASKED).await;
    (app.id, app.name) = ("chart".to_owned(), SCRIPT.to_owned());
    tenant.client(app).await;

    let mut browser = Browser::at(&tenant);
    let asked = tenant.asks("chart", ASKED, &[("login_hint", SCRIPT), ("state", SCRIPT)]);
    let signing_in = browser.get(&asked).await.expect(200);
    let failed = browser.submit(&signing_in, "sign-in", &[("username", SCRIPT), ("password", SCRIPT)]).await;
    let choosing = browser.sign_in(&failed, "doctor", PASSWORD).await.expect(200);
    let found = browser.submit(&choosing, "patients", &[("name", SCRIPT)]).await.expect(200);
    let listed = browser.submit(&choosing, "patients", &[("name", "Ada")]).await.expect(200);
    let answer = browser.submit(&listed, "patients", &[("patient", "p1")]).await;
    let consenting = browser.follow(answer).await.expect(200);
    let answer = browser.allow(&consenting).await;
    assert!(!answer.expect_redirect().contains('<'));
    let managing = browser.get("manage").await.expect(200);
    let signed_out = browser.submit(&managing, "sign-out", &[]).await.expect(200);
    let refused = browser.get(&format!("authorize?client_id={}", "%3Cscript%3E")).await.expect(400);
    let style = browser.get("page.css").await.expect(200);
    assert!(!style.body.contains('<'));
    for (row, page) in [
        ("U01 sign-in", signing_in),
        ("U01 failed sign-in", failed),
        ("U01 picker", choosing),
        ("U01 picker, found", found),
        ("U01 picker, listed", listed),
        ("U01 consent", consenting),
        ("U01 connected apps", managing),
        ("U01 signed out", signed_out),
        ("U01 error", refused),
    ] {
        assert!(!page.body.contains("<script") && !page.body.contains("<img"), "{row}: {}", page.body);
        assert!(page.body.contains("&#60;script"), "{row} does not name what it should: {}", page.body);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self'"), "{row}: {policy}");
    }
}

#[tokio::test]
async fn u02_no_other_site_sends_a_form_in_somebodys_name() {
    let tenant = ready().await;
    let mut browser = signed_in(&tenant, "ada").await;
    let consenting = browser.get(&tenant.asks("chart", ASKED, &[])).await.expect(200);
    let (form, onward) = (field(&consenting, "form").expect("a token"), field(&consenting, "onward").expect("onward"));
    let mut other = Browser::at(&tenant);
    let others = field(&other.get("sign-in").await, "form").expect("a token");
    let session = session_of(&browser, &tenant);

    let forms: [Form; 6] = [
        ("U02 sign-in", "sign-in", vec![("username", "ada"), ("password", PASSWORD)]),
        ("U02 choice", "patients", vec![("patient", "p1")]),
        ("U02 consent", "consent", vec![("decision", "allow"), ("scope-1-1", "openid")]),
        ("U02 disconnect", "manage", vec![("disconnect", "x")]),
        (
            "U02 password",
            "manage",
            vec![("current", PASSWORD), ("new", "a long password"), ("again", "a long password")],
        ),
        ("U02 sign-out", "sign-out", vec![]),
    ];
    for (row, path, typed) in &forms {
        let with = |token: Option<&'static str>| -> Vec<(&str, &str)> {
            let mut all = typed.clone();
            all.push(("onward", onward.as_str()));
            all.extend(token.map(|token| ("form", token)));
            all
        };
        let signed: Vec<(&str, &str)> = with(None).into_iter().chain([("form", form.as_str())]).collect();
        let swapped: Vec<(&str, &str)> = with(None).into_iter().chain([("form", others.as_str())]).collect();
        let cases = [
            ("no token", browser.form(path, &with(None)).header("origin", &browser.origin)),
            ("an empty token", browser.form(path, &with(Some(""))).header("origin", &browser.origin)),
            ("a made-up token", browser.form(path, &with(Some("AAAA"))).header("origin", &browser.origin)),
            ("another browser's token", browser.form(path, &swapped).header("origin", &browser.origin)),
            ("another origin", browser.form(path, &signed).header("origin", "https://evil.example")),
            ("no origin to be named", browser.form(path, &signed).header("origin", "null")),
            ("another site", browser.form(path, &signed).header("sec-fetch-site", "cross-site")),
            ("a sibling host", browser.form(path, &signed).header("sec-fetch-site", "same-site")),
        ];
        for (what, request) in cases {
            let answer = Answer::of(request).await;
            assert_eq!(answer.status, 403, "{row}, {what}: {}", answer.body);
        }
        // What changes something is never a link.
        if !matches!(*path, "sign-in" | "manage") {
            browser.get(path).await.expect(405);
        }
    }
    assert_eq!(session_of(&browser, &tenant), session);
    browser.get("manage").await.expect(200);
    let answer = browser.allow(&consenting).await;
    returned(&answer).get("code").expect("the page itself still works");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn u03_a_session_is_new_hidden_and_gone_when_it_ends() {
    let tenant = ready().await;
    let name = format!("vitals-{}", tenant.name);
    let mut browser = Browser::at(&tenant);
    // A session that somebody else put there.
    browser.cookies.insert(name.clone(), "fixed-by-somebody-else".to_owned());
    let page = browser.get("manage").await.expect(200);
    let answer = browser.submit(&page, "sign-in", &[("username", "ada"), ("password", PASSWORD)]).await;
    let line = answer.headers.get_all("set-cookie").iter().find_map(|line| {
        let line = line.to_str().expect("text");
        line.starts_with(&format!("{name}=")).then_some(line)
    });
    let line = line.expect("a cookie");
    for flag in ["; HttpOnly", "; SameSite=Lax", &format!("; Path=/t/{}/auth", tenant.name)] {
        assert!(line.contains(flag), "{flag}: {line}");
    }
    assert!(!line.contains("Domain") && !line.contains("Max-Age"), "{line}");
    let first = session_of(&browser, &tenant);
    assert!(first.len() >= 43 && first != "fixed-by-somebody-else");

    // Signing in anew gives a new one.
    let page = browser.get(&tenant.asks("chart", ASKED, &[("prompt", "login")])).await.expect(200);
    let page = browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    let second = session_of(&browser, &tenant);
    assert_ne!(first, second);
    returned(&browser.allow(&page).await).get("code").expect("a code");

    // Signing out ends it, not only the cookie, and with it what was to last as long.
    let page = browser.get("manage").await.expect(200);
    assert!(page.body.contains("App chart"), "{}", page.body);
    browser.submit(&page, "sign-out", &[]).await.expect(200);
    assert_eq!(session_of(&browser, &tenant), "");
    for kept in [&second, "", "fixed-by-somebody-else"] {
        let mut thief = Browser::at(&tenant);
        thief.cookies.insert(name.clone(), kept.to_owned());
        let page = thief.get("manage").await.expect(200);
        assert!(page.body.contains("name=\"username\"") && !page.body.contains("App chart"), "{}", page.body);
    }
    let page = browser.get("manage").await.expect(200);
    let page = browser.sign_in(&page, "ada", PASSWORD).await.expect(200);
    assert!(page.body.contains("No app is connected"), "{}", page.body);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn u03_over_https_cookies_stay_there() {
    let options = Options { public_url: Some("https://fhir.example/north".to_owned()), ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    let tenant = Tenant::on(server).await;
    tenant.person("ada", "Patient/p1").await;
    let mut browser = Browser::at(&tenant);
    browser.pages = format!("http://{}/t/{}/auth", server.address, tenant.name);
    "https://fhir.example".clone_into(&mut browser.origin);
    let page = browser.get("manage").await.expect(200);
    let answer = browser.submit(&page, "sign-in", &[("username", "ada"), ("password", PASSWORD)]).await.expect(303);
    assert_eq!(answer.header("location"), format!("https://fhir.example/north/t/{}/auth/manage", tenant.name));
    for answer in [page, answer] {
        let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
        for line in lines.filter(|line| !line.contains("Max-Age=0")) {
            assert!(line.starts_with(&format!("__Secure-vitals-{}", tenant.name)), "{line}");
            let path = format!("; Path=/north/t/{}/auth; HttpOnly; SameSite=Lax; Secure", tenant.name);
            assert!(line.contains(&path), "{line}");
        }
    }
}

#[tokio::test]
async fn u04_no_page_is_shown_within_another() {
    let tenant = ready().await;
    let mut browser = Browser::at(&tenant);
    let signing_in = browser.get(&tenant.asks("chart", ASKED, &[])).await.expect(200);
    let consenting = browser.sign_in(&signing_in, "ada", PASSWORD).await.expect(200);
    let managing = browser.get("manage").await.expect(200);
    let refused = browser.get("authorize").await.expect(400);
    for (row, page) in [
        ("U04 sign-in", signing_in),
        ("U04 consent", consenting),
        ("U04 connected apps", managing),
        ("U04 error", refused),
    ] {
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{row}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{row}");
        assert_eq!(page.header("cache-control"), "no-store", "{row}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{row}");
    }
}

#[tokio::test]
async fn u05_nobody_disconnects_what_is_somebody_elses() {
    let tenant = ready().await;
    tenant.person("eve", "Patient/p2").await;
    let mut browser = signed_in(&tenant, "ada").await;
    let page = browser.get(&tenant.asks("chart", ASKED, &[])).await.expect(200);
    returned(&browser.allow(&page).await).get("code").expect("a code");
    let managing = browser.get("manage").await.expect(200);
    let approval = managing.body.split("name=\"disconnect\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let approval = approval.expect("an approval");

    let mut eve = signed_in(&tenant, "eve").await;
    let page = eve.get("manage").await.expect(200);
    let theirs = eve.submit(&page, "manage", &[("disconnect", approval)]).await.expect(404);
    let none = eve.submit(&page, "manage", &[("disconnect", "no-such-approval")]).await.expect(404);
    // It is as if it were not there.
    let plain = |answer: &Answer| answer.anonymous(answer.header("x-request-id"));
    assert_eq!(plain(&theirs), plain(&none));
    assert!(browser.get("manage").await.expect(200).body.contains("App chart"));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn u05_nothing_of_one_tenant_opens_at_another() {
    let (one, two) = (ready().await, ready().await);
    let mut browser = signed_in(&one, "ada").await;
    let page = browser.get(&one.asks("chart", ASKED, &[])).await.expect(200);
    let onward = field(&page, "onward").expect("onward");

    // The cookie of one under the name that the other reads.
    let mut thief = Browser::at(&two);
    thief.cookies.insert(format!("vitals-{}", two.name), session_of(&browser, &one));
    let page = thief.get("manage").await.expect(200);
    assert!(page.body.contains("name=\"username\""), "{}", page.body);
    // Cookies are kept apart by path, too.
    assert!(page.header("set-cookie").contains(&format!("Path=/t/{}/auth", two.name)));
    // A request sealed for one.
    thief.get(&format!("authorize?resume={onward}")).await.expect(400);
    let page = thief.get("sign-in").await.expect(200);
    thief
        .submit(&page, "sign-in", &[("username", "ada"), ("password", PASSWORD), ("onward", &onward)])
        .await
        .expect(400);
}

#[tokio::test]
async fn u08_who_does_nothing_is_signed_out() {
    let server = own_server().await;
    let tenant = Tenant::on(server).await;
    settle(&tenant).await;
    server.clock.stop();
    let mut browser = signed_in(&tenant, "ada").await;
    let page = browser.get("manage").await.expect(200);
    assert_eq!(page.header("refresh"), "901; url=manage?idle", "the screen is cleared");
    // Fourteen minutes at a time, somebody stays.
    for _ in 0..4 {
        server.clock.advance(14 * 60);
        assert!(browser.get("manage").await.expect(200).body.contains("Connected apps"));
    }
    let consenting = browser.get(&tenant.asks("chart", ASKED, &[])).await.expect(200);
    assert!(!ticks(&consenting).is_empty());
    // A page that loads itself is nobody doing something.
    server.clock.advance(10 * 60);
    let page = browser.get("manage?idle").await.expect(200);
    assert_eq!(page.header("refresh"), "301; url=manage?idle");
    server.clock.advance(5 * 60);
    let page = browser.get("manage?idle").await.expect(200);
    assert!(page.body.contains("name=\"username\""), "{}", page.body);
    assert_eq!(page.header("refresh"), "");
    // The tenant says how long; and twelve hours are the most.
    tenant.set(&serde_json::json!({ "idle_minutes": 5 })).await;
    let mut browser = signed_in(&tenant, "ada").await;
    server.clock.advance(5 * 60);
    assert!(browser.get("manage").await.expect(200).body.contains("name=\"username\""));
    let mut browser = signed_in(&tenant, "ada").await;
    for _ in 0..(12 * 60 / 4 - 1) {
        server.clock.advance(4 * 60);
        assert!(browser.get("manage").await.expect(200).body.contains("Connected apps"));
    }
    server.clock.advance(4 * 60);
    assert!(browser.get("manage").await.expect(200).body.contains("name=\"username\""));
}

#[tokio::test]
async fn who_guesses_waits_and_learns_nothing() {
    let server = own_server().await;
    let tenant = Tenant::on(server).await;
    settle(&tenant).await;
    tenant.person("bob", "Patient/p2").await;
    server.clock.stop();
    let attempt = async |username: &str, password: &str| {
        let mut browser = Browser::at(&tenant);
        let page = browser.get("manage").await.expect(200);
        browser.submit(&page, "sign-in", &[("username", username), ("password", password)]).await
    };
    let plain = |answer: &Answer, name: &str| {
        let body = answer.body.replace(name, "<name>");
        let sealed: Vec<String> =
            ["form", "onward"].iter().filter_map(|field_name| field(answer, field_name)).collect();
        sealed.iter().fold(body, |body, sealed| body.replace(sealed.as_str(), "<sealed>"))
    };
    let wrong = attempt("ada", "a wrong password").await.expect(403);
    let unknown = attempt("nobody", "a wrong password").await.expect(403);
    assert_eq!(plain(&wrong, "ada"), plain(&unknown, "nobody"));
    for _ in 0..4 {
        attempt("ada", "a wrong password").await.expect(403);
    }
    // Five wrong ones: the right one waits for a minute, and is told just what the others were.
    let locked = attempt("ada", PASSWORD).await.expect(403);
    assert_eq!(plain(&locked, "ada"), plain(&wrong, "ada"));
    attempt("bob", PASSWORD).await.expect(303);
    server.clock.advance(61);
    attempt("ada", "a wrong password").await.expect(403);
    server.clock.advance(61);
    attempt("ada", PASSWORD).await.expect(403);
    server.clock.advance(60);
    attempt("ada", PASSWORD).await.expect(303);
    // An address that tries many names waits whatever it tries.
    for number in 0..10 {
        attempt(&format!("name-{number}"), "a wrong password").await.expect(403);
    }
    let waiting = attempt("bob", PASSWORD).await.expect(429);
    assert_eq!(waiting.header("retry-after"), "30");
    server.clock.advance(31);
    attempt("bob", PASSWORD).await.expect(303);
    ledger::each_left_one_record().await;
}
