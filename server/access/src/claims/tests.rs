//! Tables of claims: what each may be, and what refuses the token.

use serde_json::{Value as Json, json};
use vitals_fhir::json;

use super::*;

fn read(claims: &Json) -> Read<Claims> {
    let text = claims.to_string();
    Claims::read(json::parse(text.as_bytes()).unwrap().root(), &ClaimMapping::default())
}

fn with(name: &str, value: Json) -> Json {
    let mut claims = json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 1_800_000_000 });
    claims[name] = value;
    claims
}

#[test]
fn each_claim_is_of_its_own_type() {
    let long = "x".repeat(MAX_TEXT + 1);
    for name in
        ["iss", "sub", "tenant_id", "fhirUser", "client_id", "azp", "jti", "rate_limit_tier", "approval_id", "sid"]
    {
        assert!(read(&with(name, json!("text"))).is_ok(), "{name}");
        for bad in [
            json!(null),
            json!(1),
            json!(true),
            json!([]),
            json!(["text"]),
            json!({}),
            json!(""),
            json!("a\nb"),
            json!(long),
        ] {
            assert!(read(&with(name, bad.clone())).is_err(), "{name} {bad}");
        }
    }
    for name in ["exp", "iat", "nbf"] {
        assert!(read(&with(name, json!(1_800_000_000))).is_ok(), "{name}");
        assert!(read(&with(name, json!(1_800_000_000.5))).is_ok(), "{name}");
        for bad in [
            json!(null),
            json!("1800000000"),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!([1]),
            json!({}),
            json!(true),
        ] {
            assert!(read(&with(name, bad.clone())).is_err(), "{name} {bad}");
        }
    }
    for name in ["patient", "encounter"] {
        assert!(read(&with(name, json!("a-B.9"))).is_ok(), "{name}");
        let long = "x".repeat(65);
        for bad in ["", "*", "P1,P2", "P1 ", "Patient/P1", "https://x/Patient/P1", "P1\n", "P_1", long.as_str()] {
            assert!(read(&with(name, json!(bad))).is_err(), "{name} {bad}");
        }
        for bad in [json!(null), json!(1), json!(["P1"]), json!({ "id": "P1" })] {
            assert!(read(&with(name, bad.clone())).is_err(), "{name} {bad}");
        }
    }
    for missing in ["iss", "sub", "aud", "exp"] {
        let mut claims = with("x", json!(1));
        claims.as_object_mut().unwrap().remove(missing);
        assert!(read(&claims).is_err(), "{missing}");
    }
}

#[test]
fn audiences_are_a_text_or_texts() {
    assert_eq!(read(&with("aud", json!("a"))).unwrap().audiences, ["a"]);
    assert_eq!(read(&with("aud", json!(["b", "a"]))).unwrap().audiences, ["b", "a"]);
    for bad in [json!(null), json!(1), json!([]), json!({}), json!(["a", 1]), json!([["a"]]), json!(["a", null])] {
        assert!(read(&with("aud", bad.clone())).is_err(), "{bad}");
    }
}

#[test]
fn scopes_come_from_three_claims_as_one_set() {
    let claims =
        json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 1, "scope": "b  a b", "scopes": ["c", "a"], "scp": "d e" });
    assert_eq!(read(&claims).unwrap().scopes, ["b", "a", "c", "d", "e"]);
    let scopes = |name, value| read(&with(name, value)).map(|claims| claims.scopes);
    assert_eq!(scopes("scope", json!("")), Ok(vec![]));
    assert_eq!(scopes("scope", json!("a\tb")), Ok(vec!["a\tb".to_owned()]));
    assert_eq!(scopes("scopes", json!("a b")).unwrap().len(), 2);
    assert_eq!(scopes("scopes", json!(["a b"])).unwrap(), ["a b"]);
    assert_eq!(scopes("scp", json!(["a", "b"])).unwrap().len(), 2);
    assert!(scopes("scope", json!(["a"])).is_err());
    for name in ["scope", "scopes", "scp"] {
        for bad in [json!(null), json!(1), json!({}), json!([1]), json!([["a"]])] {
            assert!(scopes(name, bad.clone()).is_err(), "{name} {bad}");
        }
    }
    let many = |count: usize| (0..count).map(|place| format!("s{place}")).collect::<Vec<_>>();
    assert_eq!(scopes("scopes", json!(many(64))).unwrap().len(), 64);
    assert_eq!(scopes("scopes", json!(many(65))).err(), Some("more than 64 scopes"));
    assert_eq!(scopes("scope", json!(many(65).join(" "))).err(), Some("more than 64 scopes"));
    assert_eq!(scopes("scope", json!("a ".repeat(200))).unwrap(), ["a"]);
    let mut spread = with("scopes", json!(many(64)));
    spread["scp"] = json!(["one-more"]);
    assert!(read(&spread).is_err());
}

#[test]
fn tokens_bound_to_what_is_not_understood_and_tokens_of_other_kinds_are_refused() {
    for cnf in [
        json!({}),
        json!(null),
        json!("x"),
        json!({ "x5t#S256": "abc" }),
        json!({ "jkt": "abc" }),
        json!({ "kid": "k" }),
        json!([]),
    ] {
        assert!(read(&with("cnf", cnf.clone())).is_err(), "{cnf}");
    }
    for name in ["at_hash", "c_hash", "nonce"] {
        assert!(read(&with(name, json!("x"))).is_err(), "{name}");
    }
    let mut claims = with("nonce", json!("x"));
    claims["scope"] = json!("openid");
    assert!(read(&claims).is_ok());
    claims["at_hash"] = json!("x");
    assert!(read(&claims).is_err());
    for (kind, good) in [("ID", false), ("refresh", false), ("Offline", false), ("Logout", false), ("Bearer", true)] {
        assert_eq!(read(&with("typ", json!(kind))).is_ok(), good, "{kind}");
    }
    assert!(read(&with("typ", json!(1))).is_ok(), "somebody's own claim");
}

#[test]
fn the_client_is_client_id_else_azp() {
    let client = |name| read(&with(name, json!("c"))).unwrap().client;
    assert_eq!(client("client_id").as_deref(), Some("c"));
    assert_eq!(client("azp").as_deref(), Some("c"));
    let mut both = with("client_id", json!("one"));
    both["azp"] = json!("two");
    assert_eq!(read(&both).unwrap().client.as_deref(), Some("one"));
}

#[test]
fn delegations_are_typed_and_bounded() {
    let entry = json!({ "tenant_id": "grace", "scopes": ["vitals:read"], "expires": 1_800_000_000 });
    let good = read(&with("delegated_access", json!([entry]))).unwrap().delegations;
    let expected =
        Delegation { tenant: "grace".to_owned(), scopes: vec!["vitals:read".to_owned()], expires: 1_800_000_000_000 };
    assert_eq!(good.first(), Some(&expected));
    assert_eq!(good.len(), 1);
    let words = json!([{ "tenant_id": "grace", "scopes": "vitals:read", "expires": "2027-01-15T08:00:00Z" }]);
    assert_eq!(read(&with("delegated_access", words)).unwrap().delegations, [expected]);
    assert_eq!(read(&with("delegated_access", json!([]))).unwrap().delegations, []);
    let many = |count: usize| json!(vec![entry.clone(); count]);
    assert_eq!(read(&with("delegated_access", many(64))).unwrap().delegations.len(), 64);
    let scoped = |count: usize| json!([{ "tenant_id": "grace", "scopes": vec!["a"; count], "expires": 1 }]);
    assert_eq!(read(&with("delegated_access", scoped(64))).unwrap().delegations[0].scopes.len(), 64);
    for bad in [
        many(65),
        scoped(65),
        scoped(66),
        json!(null),
        json!({}),
        json!("grace"),
        json!([1]),
        json!([{}]),
        json!([{ "tenant_id": "grace", "scopes": ["a"] }]),
        json!([{ "tenant_id": 1, "scopes": ["a"], "expires": 1 }]),
        json!([{ "tenant_id": "grace", "scopes": [1], "expires": 1 }]),
        json!([{ "tenant_id": "grace", "scopes": ["a"], "expires": "soon" }]),
    ] {
        assert!(read(&with("delegated_access", bad.clone())).is_err(), "{bad}");
    }
}
