//! Family J of the attack list by its numbers, as far as a crate without a network can be attacked. Every token here is
//! really signed, unless its row is about the signature.

use super::*;
use crate::forge::{b64, message, other_s};

/// Number, what, token, outcome.
type Row = (&'static str, String, String, &'static str);

fn judge(rows: Vec<Row>) {
    let world = World::new();
    for (number, what, token, expected) in rows {
        let outcome = world.verify(&token);
        assert_eq!(word(&outcome), expected, "{number} {what}: {outcome:?}");
        // The same again, now that it may be remembered.
        assert_eq!(word(&world.verify(&token)), expected, "{number} {what}, again");
    }
}

fn row(number: &'static str, what: impl std::fmt::Display, token: String, expected: &'static str) -> Row {
    (number, what.to_string(), token, expected)
}

/// A token of A's with this header as it is written, signed with the P-256 key.
fn headed(header: &str) -> String {
    KEYS.p256.token(header, &claims(A, &[]))
}

/// A token of A's with these claims as they are written.
fn claiming(claims: &str) -> String {
    KEYS.p256.token(&header("ES256", "a-es"), claims)
}

/// Signed by HMAC, as a library that takes any key for a secret would check it.
fn hmac(kid: &str, secret: &[u8]) -> String {
    let message = message(&header("HS256", kid), &claims(A, &[]));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref()))
}

fn unsigned(header: &str) -> [String; 2] {
    let message = message(header, &claims(A, &[]));
    [format!("{message}."), format!("{message}.AAAA")]
}

#[test]
fn j01_to_j08_algorithms_and_parts() {
    let mut rows = Vec::new();
    for (number, name) in [("J01", "none"), ("J02", "None"), ("J02", "nOnE"), ("J02", "NONE"), ("J03", "")] {
        let header = json!({ "alg": name, "kid": "a-es", "typ": "at+jwt" }).to_string();
        rows.extend(unsigned(&header).map(|token| row(number, name, token, "invalid")));
        rows.push(row(number, name, headed(&header), "invalid"));
    }
    for (number, header) in [
        ("J03", r#"{"kid":"a-es","typ":"at+jwt"}"#),
        ("J03", r#"{"alg":null,"kid":"a-es"}"#),
        ("J03", r#"{"alg":["ES256"],"kid":"a-es"}"#),
        ("J03", r#"{"alg":"es256","kid":"a-es"}"#),
        ("J03", r#"{"alg":"ES256 ","kid":"a-es"}"#),
        ("J03", r#"{"Alg":"ES256","kid":"a-es"}"#),
        ("J03", r#"["ES256","a-es"]"#),
        ("J04", r#"{"alg":"ES256","alg":"ES256","kid":"a-es"}"#),
        ("J04", r#"{"alg":"none","alg":"ES256","kid":"a-es"}"#),
        ("J04", r#"{"alg":"ES256","\u0061lg":"none","kid":"a-es"}"#),
    ] {
        rows.push(row(number, header, headed(header), "invalid"));
    }
    let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", b64(&KEYS.rsa.der()));
    rows.extend([
        row("J05", "PEM", hmac("a-rsa", pem.as_bytes()), "invalid"),
        row("J05", "DER", hmac("a-rsa", &KEYS.rsa.der()), "invalid"),
        row("J05", "n", hmac("a-rsa", &KEYS.rsa.modulus()), "invalid"),
        row("J05", "n as text", hmac("a-rsa", b64(&KEYS.rsa.modulus()).as_bytes()), "invalid"),
        row("J05", "a symmetric key of the set", hmac("a-oct", b"secret-secret-secret-secret"), "invalid"),
        row("J06", "empty secret", hmac("a-es", b""), "invalid"),
    ]);
    let good = token(&[]);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    for (number, token) in [
        ("J07", format!("{message}.")),
        ("J08", message.to_owned()),
        ("J08", header.to_owned()),
        ("J08", String::new()),
        ("J08", ".".to_owned()),
        ("J08", "..".to_owned()),
        ("J08", format!("{good}.")),
        ("J08", format!(".{good}")),
        ("J08", format!("{good}.{signature}")),
        ("J08", format!("{header}..{signature}")),
        ("J08", format!(".{payload}.{signature}")),
        ("J08", format!("{header}.{header}.{payload}.{payload}.{signature}")),
    ] {
        rows.push(row(number, &token, token.clone(), "invalid"));
    }
    judge(rows);
}

#[test]
fn j09_to_j15_signatures_and_keys() {
    let mut rows = Vec::new();
    let good = token(&[]);
    let (message_part, signature) = good.rsplit_once('.').unwrap();
    for end in ["=", "==", " ", "\n", "\r\n", "\t", "\0", "%3D", "."] {
        rows.push(row("J09", format!("{end:?} behind"), format!("{good}{end}"), "invalid"));
        rows.push(row("J09", format!("{end:?} inside"), format!("{message_part}{end}.{signature}"), "invalid"));
        rows.push(row("J09", format!("{end:?} before"), format!("{end}{good}"), "invalid"));
    }
    // 64 bytes are 86 characters, the last of which holds four loose bits: all 63 others must be refused.
    let signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (body, last) = good.split_at(good.len() - 1);
    for sign in signs.chars().filter(|sign| !last.starts_with(*sign)) {
        rows.push(row("J10", sign, format!("{body}{sign}"), "invalid"));
    }
    let standard = good.replace(['-', '_'], "+");
    rows.push(row(
        "J10",
        "the other alphabet",
        if standard == good { format!("{body}+") } else { standard },
        "invalid",
    ));

    let message = message(&header("ES256", "a-es"), &claims(A, &[]));
    let with_signature = |bytes: &[u8]| format!("{message}.{}", b64(bytes));
    let fixed = KEYS.p256.sign("ES256", &message);
    let order = other_s(&[0; 64]);
    for (number, what, bytes) in [
        ("J11", "r = s = 0", vec![0; 64]),
        ("J11", "r = 0", [&[0; 32], &fixed[32..]].concat()),
        ("J11", "s = 0", [&fixed[..32], &[0; 32]].concat()),
        ("J11", "r = s = n", [&order[32..], &order[32..]].concat()),
        ("J11", "r = s = 2^256 - 1", vec![255; 64]),
        ("J12", "DER", KEYS.p256.sign_asn1(&message)),
        ("J12", "a zero before each half", [&[0], &fixed[..32], &[0], &fixed[32..]].concat()),
        ("J12", "a byte less", fixed[..63].to_vec()),
        ("J12", "a byte more", [&fixed[..], &[0]].concat()),
    ] {
        rows.push(row(number, what, with_signature(&bytes), "invalid"));
    }
    // Our own keys sign the lower form only, so the other form is refused. RFC 7518 lets outside issuers sign either.
    let own = KEYS
        .own
        .sign(ACCESS_TOKEN, &serde_json::from_str(&claims("https://vitals.example/t/mercy/auth", &[])).unwrap());
    let (own_message, own_signature) = own.rsplit_once('.').unwrap();
    let own_signature =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, own_signature).unwrap();
    rows.push(row(
        "J12",
        "high s of an own key",
        format!("{own_message}.{}", b64(&other_s(&own_signature))),
        "invalid",
    ));
    rows.push(row("J12", "own key", own.clone(), "good"));
    rows.push(row("J12", "either s of an outside key", with_signature(&fixed), "good"));
    rows.push(row("J12", "either s of an outside key", with_signature(&other_s(&fixed)), "good"));

    rows.push(row("J13", "RSA of 1,024 bits", SMALL_TOKEN.to_owned(), "unknown key"));
    rows.push(row("J14", "e = 1", exponent_one(), "unknown key"));
    for (algorithm, kid) in [
        ("PS256", "a-rs384"),
        ("RS256", "a-rs384"),
        ("RS256", "a-es"),
        ("ES384", "a-es"),
        ("ES256", "a-p384"),
        ("EdDSA", "a-es"),
        ("ES256", "a-rsa"),
        ("ES256", "a-ed"),
    ] {
        for forge in [&KEYS.rsa384, &KEYS.rsa, &KEYS.p256, &KEYS.p384, &KEYS.ed] {
            let token = forge.token(&header(algorithm, kid), &claims(A, &[]));
            rows.push(row("J15", format!("{algorithm} with {kid}"), token, "invalid"));
        }
    }
    for algorithm in ["RS512", "PS384", "PS512", "HS384", "HS512", "ES512", "ES256K", "Ed25519", "dir", "RSA-OAEP"] {
        let token = KEYS.rsa.token(&header(algorithm, "a-rsa"), &claims(A, &[]));
        rows.push(row("J15", algorithm, token, "invalid"));
    }
    judge(rows);
}

/// What RSA with e = 1 takes for a signature: the padded hash itself, which anybody can write.
fn exponent_one() -> String {
    const SHA256_INFO: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let message = message(&header("RS256", "a-one"), &claims(A, &[]));
    let hash = sha256(&[message.as_bytes()]);
    let padded = [&[0, 1], [0xff; 202].as_slice(), &[0], &SHA256_INFO, &hash].concat();
    assert_eq!(padded.len(), 256);
    format!("{message}.{}", b64(&padded))
}

#[test]
fn j16_to_j20_headers() {
    let mut rows = Vec::new();
    for kid in ["../../dev/null", "' OR 1=1--", "https://evil.example/jwks", "A-ES", "a-es ", "a-es\0", "\u{1f600}"] {
        let expected = if kid.contains('\0') { "invalid" } else { "unknown key" };
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
        rows.push(row("J16", kid, headed(&header), expected));
    }
    for (what, header) in [
        ("absent", r#"{"alg":"ES256","typ":"at+jwt"}"#.to_owned()),
        ("number", r#"{"alg":"ES256","kid":1}"#.to_owned()),
        ("null", r#"{"alg":"ES256","kid":null}"#.to_owned()),
        ("list", r#"{"alg":"ES256","kid":["a-es"]}"#.to_owned()),
        ("empty", r#"{"alg":"ES256","kid":""}"#.to_owned()),
        ("long", json!({ "alg": "ES256", "kid": "k".repeat(2_000) }).to_string()),
        ("10 kB", json!({ "alg": "ES256", "kid": "k".repeat(10_000) }).to_string()),
        ("twice", r#"{"alg":"ES256","kid":"a-es","kid":"a-es"}"#.to_owned()),
        ("twice, escaped", r#"{"alg":"ES256","kid":"a-es","\u006bid":"a-rsa"}"#.to_owned()),
    ] {
        rows.push(row("J16", what, headed(&header), "invalid"));
    }
    let extra = |name: &str, value: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "a-es", "typ": "at+jwt" });
        header[name] = value;
        headed(&header.to_string())
    };
    let jwk = KEYS.p256.jwk("a-es");
    for (number, name, value) in [
        ("J17", "jku", json!("http://127.0.0.1:9/jwks")),
        ("J17", "jku", json!(null)),
        ("J17", "x5u", json!("http://127.0.0.1:9/chain.pem")),
        ("J18", "jwk", jwk),
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
        rows.push(row(number, format!("{name} {value}"), extra(name, value), "invalid"));
    }
    for (name, value) in [
        ("cty", json!("x")),
        ("x5t", json!("abc")),
        ("url", json!(5)),
        ("nonce", json!({ "a": 1 })),
        ("ver", json!(1.5)),
    ] {
        rows.push(row("J19", format!("harmless {name}"), extra(name, value), "good"));
    }
    rows.push(row("J19", "a member twice", headed(r#"{"alg":"ES256","kid":"a-es","ver":1,"ver":1}"#), "invalid"));
    for (typ, expected) in [
        (json!("at+jwt"), "good"),
        (json!("AT+JWT"), "good"),
        (json!("application/at+jwt"), "good"),
        (json!("Application/At+Jwt"), "good"),
        (json!("JWT"), "good"),
        (json!("jwt"), "good"),
        (json!("rt+jwt"), "invalid"),
        (json!("refresh"), "invalid"),
        (json!("dpop+jwt"), "invalid"),
        (json!("client-assertion"), "invalid"),
        (json!("client-authentication+jwt"), "invalid"),
        (json!("logout+jwt"), "invalid"),
        (json!("secevent+jwt"), "invalid"),
        (json!("application/jwt"), "invalid"),
        (json!("at+jwt "), "invalid"),
        (json!(""), "invalid"),
        (json!(null), "invalid"),
        (json!(["at+jwt"]), "invalid"),
    ] {
        rows.push(row("J20", format!("typ {typ}"), extra("typ", typ), expected));
    }
    rows.push(row("J20", "no typ", headed(r#"{"alg":"ES256","kid":"a-es"}"#), "good"));
    for (typ, expected) in [
        (r#","typ":"at+jwt""#, "good"),
        (r#","typ":"application/at+JWT""#, "good"),
        (r#","typ":"JWT""#, "invalid"),
        ("", "invalid"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"s"{typ}}}"#);
        let token = KEYS.p256.token(&header, &claims("https://strict.example", &[]));
        rows.push(row("J20", format!("strict {typ}"), token, expected));
    }
    for name in ["nonce", "at_hash", "c_hash"] {
        let mut claims: Value = serde_json::from_str(&claims(A, &[(name, json!("x"))])).unwrap();
        claims.as_object_mut().unwrap().remove("scope");
        rows.push(row("J20", format!("ID token with {name}"), claiming(&claims.to_string()), "invalid"));
    }
    judge(rows);
}

#[test]
fn j21_to_j23_times() {
    let mut rows = Vec::new();
    let removed = |name: &str| {
        let mut claims: Value = serde_json::from_str(&claims(A, &[])).unwrap();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    rows.push(row("J21", "no exp", claiming(&removed("exp").to_string()), "invalid"));
    for exp in [
        json!("1800000600"),
        json!(-1),
        json!(-1_800_000_600),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(null),
        json!([NOW + 600]),
        json!(true),
    ] {
        rows.push(row("J21", format!("exp {exp}"), token(&[("exp", exp)]), "invalid"));
    }
    let raw = claims(A, &[]).replace(&format!("\"exp\":{}", NOW + 600), "\"exp\":1.8e9");
    rows.push(row("J21", "exp with an exponent", claiming(&raw), "invalid"));
    let day = 24 * 60 * 60;
    let no_iat = |exp: i64| {
        let mut claims = removed("iat");
        claims["exp"] = json!(exp);
        claiming(&claims.to_string())
    };
    rows.extend([
        row("J21", "a day", token(&[("exp", json!(NOW + day))]), "good"),
        row("J21", "a day and a second", token(&[("exp", json!(NOW + day + 1))]), "invalid"),
        row(
            "J21",
            "a day and a bit",
            token(&[("exp", json!(format!("{}.25", NOW + day).parse::<f64>().unwrap()))]),
            "invalid",
        ),
        row("J21", "a year", token(&[("exp", json!(NOW + 365 * day))]), "invalid"),
        row(
            "J21",
            "a day from an iat an hour ago",
            token(&[("iat", json!(NOW - 3_600)), ("exp", json!(NOW + day - 3_600))]),
            "good",
        ),
        row(
            "J21",
            "more from an iat an hour ago",
            token(&[("iat", json!(NOW - 3_600)), ("exp", json!(NOW + day))]),
            "invalid",
        ),
        row("J21", "iat 0", token(&[("iat", json!(0))]), "invalid"),
        row("J21", "no iat, a day", no_iat(NOW + day), "good"),
        row("J21", "no iat, a day and 6 s", no_iat(NOW + day + 6), "invalid"),
        row("J21", "no iat, a year", no_iat(NOW + 365 * day), "invalid"),
        row("J22", "now - 7 s", token(&[("exp", json!(NOW - 7))]), "expired"),
        row("J22", "now - 5 s", token(&[("exp", json!(NOW - 5))]), "expired"),
        row("J22", "now - 4.5 s", token(&[("iat", json!(NOW - 60)), ("exp", json!(1_799_999_995.5))]), "good"),
        row("J22", "now - 3 s", token(&[("iat", json!(NOW - 60)), ("exp", json!(NOW - 3))]), "good"),
        row("J22", "now - 3 s, without iat", no_iat(NOW - 3), "good"),
        row("J22", "long ago", token(&[("iat", json!(NOW - 9_000)), ("exp", json!(NOW - 8_000))]), "expired"),
        row("J22", "exp 0", token(&[("exp", json!(0))]), "expired"),
    ]);
    for name in ["nbf", "iat"] {
        for (value, expected) in [
            (json!(NOW), "good"),
            (json!(NOW - 60), "good"),
            (json!(NOW + 5), "good"),
            (json!(NOW + 6), "invalid"),
            (json!(NOW + 60), "invalid"),
            (json!(NOW + 365 * day), "invalid"),
            (json!(NOW.to_string()), "invalid"),
            (json!(null), "invalid"),
            (json!(-1), "invalid"),
            (json!(1e300), "invalid"),
        ] {
            rows.push(row("J23", format!("{name} {value}"), token(&[(name, value)]), expected));
        }
    }
    judge(rows);
}

#[test]
fn j24_to_j27_audience_issuer_and_claims_twice() {
    let mut rows = Vec::new();
    let own = format!("{PUBLIC}/t/mercy/fhir");
    let mut missing: Value = serde_json::from_str(&claims(A, &[])).unwrap();
    missing.as_object_mut().unwrap().remove("aud");
    rows.push(row("J24", "missing", claiming(&missing.to_string()), "invalid"));
    for (aud, expected) in [
        (json!(PUBLIC), "good"),
        (json!(own), "good"),
        (json!(format!("{PUBLIC}/fhir")), "good"),
        (json!([own]), "good"),
        (json!(["https://other.example", own]), "good"),
        (json!([PUBLIC, "account"]), "good"),
        (json!(1), "invalid"),
        (json!(null), "invalid"),
        (json!([]), "invalid"),
        (json!({}), "invalid"),
        (json!({ "0": PUBLIC }), "invalid"),
        (json!([1, PUBLIC]), "invalid"),
        (json!([[PUBLIC]]), "invalid"),
        (json!(""), "invalid"),
        (json!("https://other.example"), "invalid"),
        (json!(["https://other.example"]), "invalid"),
        (json!("https://vitals.exampl"), "invalid"),
        (json!("https://vitals.example.evil"), "invalid"),
        (json!("https://vitals.example@evil"), "invalid"),
        (json!(format!("{PUBLIC}/")), "invalid"),
        (json!(format!("{PUBLIC}/fhir/")), "invalid"),
        (json!(format!("{own}/")), "invalid"),
        (json!(format!("{own}/Patient")), "invalid"),
        (json!(format!("{PUBLIC}/t/grace/fhir")), "invalid"),
        (json!(format!("{PUBLIC}/t/mercy/auth")), "invalid"),
        (json!(format!("{PUBLIC}/t/MERCY/fhir")), "invalid"),
        (json!(PUBLIC.to_uppercase()), "invalid"),
        (json!(format!("{PUBLIC} ")), "invalid"),
        (json!(format!("{PUBLIC} https://other.example")), "invalid"),
        (json!("http://vitals.example"), "invalid"),
        (json!("vitals.example"), "invalid"),
        (json!("*"), "invalid"),
    ] {
        rows.push(row("J24", &aud, token(&[("aud", aud.clone())]), expected));
    }
    for (iss, expected) in [
        (json!(1), "invalid"),
        (json!(null), "invalid"),
        (json!([A]), "invalid"),
        (json!({ "url": A }), "invalid"),
        (json!(""), "invalid"),
        (json!("https://a.example/"), "unknown issuer"),
        (json!("HTTPS://A.EXAMPLE"), "unknown issuer"),
        (json!("https://A.example"), "unknown issuer"),
        (json!("https://a.example@evil.example"), "unknown issuer"),
        (json!("https://evil.example/https://a.example"), "unknown issuer"),
        (json!("https://a.example:443"), "unknown issuer"),
        (json!("http://a.example"), "unknown issuer"),
        (json!("https://а.example"), "unknown issuer"),
        (json!("https://xn--80a.example"), "unknown issuer"),
        (json!(" https://a.example"), "unknown issuer"),
        (json!("https://vitals.example/t/mercy/auth"), "unknown key"),
        (json!("https://vitals.example/t/grace/auth"), "unknown issuer"),
    ] {
        rows.push(row("J25", &iss, token(&[("iss", iss.clone())]), expected));
    }
    let mut missing: Value = serde_json::from_str(&claims(A, &[])).unwrap();
    missing.as_object_mut().unwrap().remove("iss");
    rows.push(row("J25", "missing", claiming(&missing.to_string()), "invalid"));

    let good = claims(A, &[]);
    for (name, value) in [
        ("iss", json!(A)),
        ("sub", json!("nurse")),
        ("aud", json!(PUBLIC)),
        ("exp", json!(NOW + 600)),
        ("iat", json!(NOW)),
        ("scope", json!("system/*.cruds")),
        ("tenant_id", json!("mercy")),
        ("patient", json!("p1")),
        ("cnf", json!({})),
        ("delegated_access", json!([])),
        ("unheard_of", json!(1)),
    ] {
        let escaped: String =
            name.chars().flat_map(|sign| format!("\\u{:04x}", u32::from(sign)).into_bytes()).map(char::from).collect();
        let rest = &good[1..];
        for twice in [
            format!(r#"{{"{name}":{value},"{name}":{value},{rest}"#),
            format!(r#"{{"{name}":{value},"{escaped}":{value},{rest}"#),
            format!(r#"{{"{escaped}":{value},{rest}"#).replace(rest, &format!(r#""{name}":{value},{rest}"#)),
        ] {
            rows.push(row("J26", &twice, claiming(&twice), "invalid"));
        }
    }
    let inside = good
        .replace('{', r#"{"delegated_access":[{"tenant_id":"grace","tenant_id":"mercy","scopes":[],"expires":1}],"#);
    rows.push(row("J26", "inside delegated_access", claiming(&inside), "invalid"));
    for broken in ["null", "[]", "1", "\"x\"", "{", "{}x", "{\"iss\":\"\u{1}\"}", "\u{feff}{}"] {
        rows.push(row("J26", broken, claiming(broken), "invalid"));
    }
    for (tenant, expected) in [
        (json!("mercy"), "good"),
        (json!("grace"), "invalid"),
        (json!("no-such"), "invalid"),
        (json!("MERCY"), "invalid"),
        (json!(null), "invalid"),
        (json!(["mercy"]), "invalid"),
        (json!(""), "invalid"),
    ] {
        rows.push(row("J27", &tenant, token(&[("tenant_id", tenant.clone())]), expected));
    }
    judge(rows);
}

#[test]
fn j28_to_j30_keys_of_others() {
    let mut rows = Vec::new();
    let b = "https://b.example";
    for (signer, forge) in [(A, &KEYS.p256), (b, &KEYS.other)] {
        for issuer in [A, b] {
            let token = forge.token(&header("ES256", "a-es"), &claims(issuer, &[]));
            let expected = if signer == issuer { "good" } else { "invalid" };
            rows.push(row("J28", format!("key of {signer}, iss {issuer}"), token, expected));
        }
    }
    let of_b = KEYS.other.token(&header("ES256", "a-es"), &claims(b, &[]));
    rows.push(row("J29", "B's token as it is", of_b.clone(), "good"));
    let signature = of_b.rsplit_once('.').unwrap().1;
    for kid in ["a-es", "mine"] {
        let moved = message(&header("ES256", kid), &claims("https://thief.example", &[]));
        let expected = if kid == "mine" { "invalid" } else { "unknown key" };
        rows.push(row("J29", "B's signature under another iss", format!("{moved}.{signature}"), expected));
    }
    for kid in ["a-enc", "a-ops"] {
        let token = KEYS.rsa.token(&header("RS256", kid), &claims(A, &[]));
        rows.push(row("J30", kid, token, "unknown key"));
    }
    rows.push(row(
        "J30",
        "alg of the key differs",
        KEYS.rsa384.token(&header("RS256", "a-rs384"), &claims(A, &[])),
        "invalid",
    ));
    rows.push(row("J30", "oct", hmac("a-oct", b"secret-secret-secret-secret"), "invalid"));
    judge(rows);
}

#[test]
fn j31_rotation_is_a_matter_of_the_directory() {
    let mut world = World::new();
    let new = Forge::p256();
    let fresh = new.token(&header("ES256", "a-new"), &claims(A, &[]));
    let old = token(&[]);
    assert_eq!((word(&world.verify(&fresh)), word(&world.verify(&old))), ("unknown key", "good"));
    world.issuers[0].keys = keys(&[KEYS.p256.jwk("a-es"), new.jwk("a-new")]);
    assert_eq!((word(&world.verify(&fresh)), word(&world.verify(&old))), ("good", "good"));
    world.issuers[0].keys = keys(&[new.jwk("a-new")]);
    assert_eq!((word(&world.verify(&fresh)), word(&world.verify(&old))), ("good", "unknown key"));
}

#[test]
fn j34_lengths() {
    let base = token(&[("pad", json!(""))]).len();
    let mut lengths = Vec::new();
    let mut rows = Vec::new();
    // Base64 grows by four characters for three bytes, so pads around the limit give tokens on both sides of it.
    let near = (crate::jws::MAX_TOKEN - base) / 4 * 3;
    for pad in near - 12..near + 12 {
        let token = token(&[("pad", json!("x".repeat(pad)))]);
        lengths.push(token.len());
        let expected = if token.len() <= crate::jws::MAX_TOKEN { "good" } else { "invalid" };
        rows.push(row("J34", token.len(), token, expected));
    }
    assert!(
        lengths.contains(&crate::jws::MAX_TOKEN) && lengths.iter().any(|length| *length > crate::jws::MAX_TOKEN),
        "{lengths:?}"
    );
    for size in [1 << 20, 20 << 20] {
        rows.push(row("J34", size, "a".repeat(size), "invalid"));
    }
    judge(rows);
}
