//! J16 to J20: what a header may not choose.

use serde_json::{Value, json};
use vitals_tests::forge::Forge;

use super::{Good, Invalid, row, with, world};

#[tokio::test]
async fn j16_to_j20_headers_choose_nothing_but_a_known_key() {
    let world = world().await;
    let mut rows = Vec::new();
    for kid in [
        "../../dev/null",
        "' OR 1=1--",
        "a-es' UNION SELECT 'x",
        "https://evil.example/jwks",
        "file:///etc/passwd",
        "A-ES",
        "a-es ",
        "a-es\0",
        "\u{1f600}",
        "",
    ] {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
        rows.push(row("J16", kid, world.headed(&header), Invalid));
    }
    for (what, header) in [
        ("absent", r#"{"alg":"ES256","typ":"at+jwt"}"#.to_owned()),
        ("number", r#"{"alg":"ES256","kid":1}"#.to_owned()),
        ("null", r#"{"alg":"ES256","kid":null}"#.to_owned()),
        ("array", r#"{"alg":"ES256","kid":["a-es"]}"#.to_owned()),
        ("long", json!({ "alg": "ES256", "kid": "k".repeat(2_000) }).to_string()),
        ("10 kB", json!({ "alg": "ES256", "kid": "k".repeat(10_000) }).to_string()),
        ("twice", r#"{"alg":"ES256","kid":"a-es","kid":"a-es"}"#.to_owned()),
        ("twice, escaped", r#"{"alg":"ES256","kid":"a-es","\u006bid":"a-rsa"}"#.to_owned()),
    ] {
        rows.push(row("J16", what, world.headed(&header), Invalid));
    }
    let extra = |name: &str, value: Value| {
        world.headed(&with(json!({ "alg": "ES256", "kid": "a-es", "typ": "at+jwt" }), name, value).to_string())
    };
    for (number, name, value) in [
        ("J18", "jwk", world.p256.jwk("a-es")),
        ("J18", "jwk", Forge::p256().jwk("a-es")),
        ("J18", "jwk", json!({})),
        ("J18", "x5c", json!(["MIIB"])),
        ("J18", "x5c", json!([])),
        ("J19", "crit", json!(["exp"])),
        ("J19", "crit", json!(["unknown"])),
        ("J19", "crit", json!([])),
        ("J19", "crit", json!(null)),
        ("J19", "b64", json!(false)),
        ("J19", "b64", json!(true)),
        ("J19", "zip", json!("DEF")),
        ("J19", "zip", json!("")),
    ] {
        rows.push(row(number, format!("{name} {value}"), extra(name, value), Invalid));
    }
    for (name, value) in [("cty", json!("x")), ("x5t", json!("abc")), ("url", json!(5)), ("nonce", json!({ "a": 1 }))] {
        rows.push(row("J19", format!("harmless {name}"), extra(name, value), Good));
    }
    for (typ, expected) in [
        (json!("at+jwt"), Good),
        (json!("AT+JWT"), Good),
        (json!("application/at+jwt"), Good),
        (json!("JWT"), Good),
        (json!("jwt"), Good),
        (json!("rt+jwt"), Invalid),
        (json!("refresh"), Invalid),
        (json!("dpop+jwt"), Invalid),
        (json!("client-assertion"), Invalid),
        (json!("client-authentication+jwt"), Invalid),
        (json!("logout+jwt"), Invalid),
        (json!("application/jwt"), Invalid),
        (json!("at+jwt "), Invalid),
        (json!(""), Invalid),
        (json!(null), Invalid),
        (json!(["at+jwt"]), Invalid),
    ] {
        rows.push(row("J20", format!("typ {typ}"), extra("typ", typ), expected));
    }
    rows.push(row("J20", "no typ", world.headed(r#"{"alg":"ES256","kid":"a-es"}"#), Good));
    let of_strict = Value::Object(world.claims_of(&world.strict)).to_string();
    for (typ, expected) in [
        (r#","typ":"at+jwt""#, Good),
        (r#","typ":"application/at+JWT""#, Good),
        (r#","typ":"JWT""#, Invalid),
        ("", Invalid),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"s"{typ}}}"#);
        rows.push(row("J20", format!("strict {typ}"), world.p256.token(&header, &of_strict), expected));
    }
    for name in ["nonce", "at_hash", "c_hash"] {
        let mut claims = world.claims_without("scope");
        claims.insert(name.to_owned(), json!("x"));
        let token = world.claiming(&Value::Object(claims).to_string());
        rows.push(row("J20", format!("ID token with {name}"), token, Invalid));
    }
    world.judge(rows).await;
}
