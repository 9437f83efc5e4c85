//! The second half of the attacks on tokens: times, audience, issuer, claims twice, keys of others.

use serde_json::{Value, json};
use vitals_tests::{
    Answer, Tenant,
    forge::{header, hmac, message},
    issuer::{inline, issuer, register, unique_url},
    ledger,
    tenant::client,
};

use super::{Expired, Good, Invalid, SECRET, check, row, world};

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn j21_to_j23_times() {
    let world = world().await;
    let now = world.now();
    let mut rows = Vec::new();
    let without_exp = Value::Object(world.claims_without("exp")).to_string();
    rows.push(row("J21", "no exp", world.claiming(&without_exp), Invalid));
    for exp in [
        json!((now + 600).to_string()),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(null),
        json!([now + 600]),
        json!(true),
    ] {
        rows.push(row("J21", format!("exp {exp}"), world.token(&[("exp", exp)]), Invalid));
    }
    let no_iat = |exp: i64| {
        let mut claims = world.claims_without("iat");
        claims.insert("exp".to_owned(), json!(exp));
        world.claiming(&Value::Object(claims).to_string())
    };
    let lived = |iat: i64, exp: i64| world.token(&[("iat", json!(iat)), ("exp", json!(exp))]);
    rows.extend([
        row("J21", "a day", lived(now, now + DAY), Good),
        row("J21", "a day and a second", lived(now, now + DAY + 1), Invalid),
        row("J21", "a year", lived(now, now + 365 * DAY), Invalid),
        row("J21", "a day from an iat an hour ago", lived(now - 3_600, now + DAY - 3_600), Good),
        row("J21", "more from an iat an hour ago", lived(now - 3_600, now + DAY), Invalid),
        row("J21", "iat 0", lived(0, now + 600), Invalid),
        row("J21", "no iat, a day", no_iat(now + DAY), Good),
        row("J21", "no iat, a day and 6 s", no_iat(now + DAY + 6), Invalid),
        row("J21", "no iat, a year", no_iat(now + 365 * DAY), Invalid),
        row("J22", "now - 7 s", lived(now - 60, now - 7), Expired),
        row("J22", "now - 5 s", lived(now - 60, now - 5), Expired),
        row("J22", "now - 4 s", lived(now - 60, now - 4), Good),
        row("J22", "now - 3 s", lived(now - 60, now - 3), Good),
        row("J22", "now - 3 s, without iat", no_iat(now - 3), Good),
        row("J22", "long ago", lived(now - 9_000, now - 8_000), Expired),
        row("J22", "exp 0", world.token(&[("exp", json!(0))]), Expired),
    ]);
    for name in ["nbf", "iat"] {
        for (value, expected) in [
            (json!(now), Good),
            (json!(now - 60), Good),
            (json!(now + 5), Good),
            (json!(now + 6), Invalid),
            (json!(now + 60), Invalid),
            (json!(now + 365 * DAY), Invalid),
            (json!(now.to_string()), Invalid),
            (json!(null), Invalid),
            (json!(-1), Invalid),
            (json!(1e300), Invalid),
        ] {
            rows.push(row("J23", format!("{name} {value}"), world.token(&[(name, value)]), expected));
        }
    }
    world.judge(rows).await;
}

#[tokio::test]
async fn j24_the_audience_is_ours_to_the_letter() {
    let world = world().await;
    let public = world.server.url.as_str();
    let (own, others) = (world.mercy.base(), world.grace.base());
    let mut rows =
        vec![row("J24", "missing", world.claiming(&Value::Object(world.claims_without("aud")).to_string()), Invalid)];
    let upper = public.to_uppercase();
    for (aud, expected) in [
        (json!(public), Good),
        (json!(own), Good),
        (json!(format!("{public}/fhir")), Good),
        (json!([own]), Good),
        (json!(["https://other.example", own]), Good),
        (json!([public, "account"]), Good),
        (json!(1), Invalid),
        (json!(null), Invalid),
        (json!([]), Invalid),
        (json!({}), Invalid),
        (json!({ "0": public }), Invalid),
        (json!([1, public]), Invalid),
        (json!([[public]]), Invalid),
        (json!(""), Invalid),
        (json!("https://other.example"), Invalid),
        (json!(["https://other.example"]), Invalid),
        (json!(public[..public.len() - 1]), Invalid),
        (json!(format!("{public}0")), Invalid),
        (json!(format!("{public}.evil.example")), Invalid),
        (json!(format!("{public}@evil.example")), Invalid),
        (json!(format!("{public}/")), Invalid),
        (json!(format!("{public}/fhir/")), Invalid),
        (json!(format!("{own}/")), Invalid),
        (json!(format!("{own}/Patient")), Invalid),
        (json!(others), Invalid),
        (json!([others]), Invalid),
        (json!(format!("{public}/t/{}/auth", world.mercy.name)), Invalid),
        (json!(format!("{public}/t/{}/fhir", world.mercy.name.as_str().to_uppercase())), Invalid),
        (json!(upper), Invalid),
        (json!(format!("{public} ")), Invalid),
        (json!(format!("{public} https://other.example")), Invalid),
        (json!(public.replace("http:", "https:")), Invalid),
        (json!(public.trim_start_matches("http://")), Invalid),
        (json!("*"), Invalid),
    ] {
        rows.push(row("J24", &aud, world.token(&[("aud", aud.clone())]), expected));
    }
    world.judge(rows).await;
}

#[tokio::test]
async fn j25_the_issuer_is_the_registered_one_to_the_letter() {
    let world = world().await;
    let a = world.a.as_str();
    let host = a.trim_start_matches("https://");
    let mut rows =
        vec![row("J25", "missing", world.claiming(&Value::Object(world.claims_without("iss")).to_string()), Invalid)];
    let public = &world.server.url;
    for iss in [
        json!(1),
        json!(null),
        json!([a]),
        json!({ "url": a }),
        json!(""),
        json!(format!("{a}/")),
        json!(a.to_uppercase()),
        json!(format!("https://{}", host.to_uppercase())),
        json!(format!("{a}@evil.example")),
        json!(format!("https://evil.example/{a}")),
        json!(format!("https://good@{host}")),
        json!(format!("{a}:443")),
        json!(format!("{a}?x")),
        json!(format!("{a}#x")),
        json!(format!("{a}.")),
        json!(format!("http://{host}")),
        json!(a.replace("a-", "\u{430}-")),
        json!(a.replace("https://a", "https://xn--a")),
        json!(format!(" {a}")),
        json!(format!("{a} ")),
        // The tenants' own issuers, whose keys only the server holds.
        json!(format!("{public}/t/{}/auth", world.mercy.name)),
        json!(format!("{public}/t/{}/auth", world.grace.name)),
        json!(public),
        json!(world.b),
    ] {
        rows.push(row("J25", &iss, world.token(&[("iss", iss.clone())]), Invalid));
    }
    world.judge(rows).await;
}

#[tokio::test]
async fn j26_no_claim_stands_twice() {
    let world = world().await;
    let good = world.claims(&[]);
    let rest = &good[1..];
    let mut rows = Vec::new();
    for (name, value) in [
        ("iss", json!(world.a)),
        ("sub", json!("nurse")),
        ("aud", json!(world.server.url)),
        ("exp", json!(world.now() + 600)),
        ("iat", json!(world.now())),
        ("scope", json!("system/*.cruds")),
        ("tenant_id", json!(world.mercy.name.as_str())),
        ("patient", json!("p1")),
        ("cnf", json!({})),
        ("delegated_access", json!([])),
        ("unheard_of", json!(1)),
    ] {
        let escape = |so_far: String, sign: char| so_far + &format!("\\u{:04x}", u32::from(sign));
        let escaped = name.chars().fold(String::new(), escape);
        for twice in [
            format!(r#"{{"{name}":{value},"{name}":{value},{rest}"#),
            format!(r#"{{"{name}":{value},"{escaped}":{value},{rest}"#),
            format!(r#"{{"{escaped}":{value},"{name}":{value},{rest}"#),
        ] {
            rows.push(row("J26", &twice, world.claiming(&twice), Invalid));
        }
    }
    let inside = format!(
        r#"{{"delegated_access":[{{"tenant_id":"x","tenant_id":"{}","scopes":[],"expires":1}}],{rest}"#,
        world.mercy.name
    );
    rows.push(row("J26", "inside delegated_access", world.claiming(&inside), Invalid));
    for broken in ["null", "[]", "1", "\"x\"", "{", "{}x", "{\"iss\":\"\u{1}\"}", "\u{feff}{}", ""] {
        rows.push(row("J26", broken, world.claiming(broken), Invalid));
    }
    // A proof that is not checked yet is not taken for a bearer's token either.
    for cnf in
        [json!({}), json!(null), json!("x"), json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({ "jwk": {} })]
    {
        rows.push(row("cnf", &cnf, world.token(&[("cnf", cnf.clone())]), Invalid));
    }
    world.judge(rows).await;
}

#[tokio::test]
async fn j27_an_issuer_speaks_for_the_tenants_it_is_registered_for() {
    let world = world().await;
    let mut rows = Vec::new();
    for (tenant, expected) in [
        (json!(world.mercy.name.as_str()), Good),
        (json!(world.grace.name.as_str()), Invalid),
        (json!("no-such-tenant"), Invalid),
        (json!(world.mercy.name.as_str().to_uppercase()), Invalid),
        (json!(world.mercy.role()), Invalid),
        (json!(null), Invalid),
        (json!([world.mercy.name.as_str()]), Invalid),
        (json!(""), Invalid),
    ] {
        rows.push(row("J27", &tenant, world.token(&[("tenant_id", tenant.clone())]), expected));
    }
    // A tenant's own key signs for no other either.
    let own = world.mercy.token("system/*.cruds");
    rows.push(row("J27", "own key", own.with("tenant_id", world.grace.name.as_str()).sign(), Invalid));
    let own = world.mercy.token("system/*.cruds").with("aud", world.grace.base());
    rows.push(row("J27", "own key", own.with("tenant_id", world.grace.name.as_str()).sign(), Invalid));
    world.judge(rows).await;

    // One that serves several must say for which.
    let hub = unique_url("hub");
    register(&issuer(&hub, inline(&[world.p256.jwk("h")])), &[&world.mercy, &world.grace]).await;
    let token = |tenant: Option<&Tenant>| {
        let mut claims = world.claims_of(&hub);
        if let Some(tenant) = tenant {
            claims.insert("tenant_id".to_owned(), json!(tenant.name.as_str()));
        }
        world.p256.token(&header("ES256", "h"), &Value::Object(claims).to_string())
    };
    check(&world.show(&token(None)).await, Invalid, "J27 of several tenants, none named");
    for (tenant, other) in [(&world.mercy, &world.grace), (&world.grace, &world.mercy)] {
        let token = token(Some(tenant));
        Answer::of(client().get(format!("{}/Patient", tenant.base())).bearer_auth(&token)).await.expect(200);
        let elsewhere = client().get(format!("{}/Patient", other.base())).bearer_auth(&token);
        Answer::of(elsewhere).await.expect_outcome(403, "forbidden");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j28_to_j30_keys_of_others_and_keys_for_something_else() {
    let world = world().await;
    let mut rows = Vec::new();
    for (signer, forge) in [(&world.a, &world.p256), (&world.b, &world.other)] {
        for iss in [&world.a, &world.b] {
            let claims = Value::Object(world.claims_of(iss)).to_string();
            let expected = if signer == iss { Good } else { Invalid };
            rows.push(row(
                "J28",
                format!("key of {signer}, iss {iss}"),
                forge.token(&header("ES256", "a-es"), &claims),
                expected,
            ));
        }
    }
    let of_b = world.other.token(&header("ES256", "a-es"), &Value::Object(world.claims_of(&world.b)).to_string());
    rows.push(row("J29", "B's token as it is", of_b.clone(), Good));
    let signature = of_b.rsplit_once('.').expect("three parts").1;
    for (iss, kid) in [(&world.thief, "mine"), (&world.thief, "a-es"), (&world.a, "a-es")] {
        let moved = message(&header("ES256", kid), &Value::Object(world.claims_of(iss)).to_string());
        rows.push(row("J29", format!("B's signature under {iss} {kid}"), format!("{moved}.{signature}"), Invalid));
    }
    let claims = world.claims(&[]);
    for kid in ["a-enc", "a-ops"] {
        rows.push(row("J30", kid, world.rsa.token(&header("RS256", kid), &claims), Invalid));
    }
    rows.push(row("J30", "alg differs", world.rs384.token(&header("RS256", "a-rs384"), &claims), Invalid));
    rows.push(row("J30", "oct", hmac("a-oct", &claims, SECRET), Invalid));
    world.judge(rows).await;
}
