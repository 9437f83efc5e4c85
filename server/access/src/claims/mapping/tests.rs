//! What a mapping may say, and what it makes of claims.

use serde_json::{Value as Json, json};
use vitals_fhir::json;

use super::{super::Claims, *};

fn mapping(text: &Json) -> ClaimMapping {
    serde_json::from_value(text.clone()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(map: &Json, members: &Json) -> Read<Claims> {
    let mut claims = json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 1_800_000_000 });
    for (name, value) in members.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let text = claims.to_string();
    Claims::read(json::parse(text.as_bytes()).unwrap().root(), &mapping(map))
}

#[test]
fn a_path_is_a_name_names_with_dots_a_url_or_a_list() {
    let cases = [
        (json!("patient"), json!({ "patient": "p1" })),
        (json!("a.b"), json!({ "a": { "b": "p1" } })),
        (json!(["a", "b.c"]), json!({ "a": { "b.c": "p1" } })),
        (json!("https://mercy.example/a.b"), json!({ "https://mercy.example/a.b": "p1" })),
        (json!("extn.patient"), json!({ "extn": { "patient": ["p1"] } })),
    ];
    for (path, claims) in cases {
        let found = read(&json!({ "patient": path }), &claims).unwrap().patient;
        assert_eq!(found.as_deref(), Some("p1"), "{path} {claims}");
    }
    for (path, claims) in [(json!("a.b"), json!({ "a.b": "p1" })), (json!("a.b"), json!({ "a": "p1" }))] {
        assert_eq!(read(&json!({ "patient": path }), &claims).unwrap().patient, None, "{path} {claims}");
    }
    for bad in [json!(""), json!("a..b"), json!("."), json!([]), json!([""]), json!(1), json!("a.b.c.d.e.f.g.h.i")] {
        assert!(serde_json::from_value::<ClaimMapping>(json!({ "patient": bad })).is_err(), "{bad}");
    }
    for bad in [json!({ "pateint": "a" }), json!({ "tenant": "a" }), json!({ "scopes": { "claim": ["a"] } })] {
        assert!(serde_json::from_value::<ClaimMapping>(bad.clone()).is_err(), "{bad}");
    }
    let written = mapping(&json!({ "patient": "a.b", "scopes": { "claims": ["scp"] } }));
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(text, r#"{"patient":["a","b"],"scopes":{"claims":[["scp"]]}}"#);
    assert_eq!(serde_json::from_str::<ClaimMapping>(&text).unwrap(), written);
    assert_eq!(serde_json::to_string(&ClaimMapping::default()).unwrap(), "{}");
}

#[test]
fn a_mapped_claim_is_of_its_own_type_and_agrees_with_the_plain_one() {
    let patient = json!({ "patient": "ext.pid" });
    let pid = |value: Json| json!({ "ext": { "pid": value } });
    for bad in
        [json!(null), json!(1), json!(""), json!("a/b"), json!([]), json!(["p1", "p2"]), json!([["p1"]]), json!({})]
    {
        assert!(read(&patient, &pid(bad.clone())).is_err(), "{bad}");
    }
    let all = json!({
        "fhirUser": "who", "client": "appid", "tier": "plan", "tenant": { "claim": "org" }, "patient": "pid",
    });
    let claims = read(
        &all,
        &json!({ "who": "Practitioner/d", "appid": "app", "azp": "x", "plan": "gold", "org": "mercy", "pid": "p1" }),
    )
    .unwrap();
    assert_eq!(claims.fhir_user.as_deref(), Some("Practitioner/d"));
    assert_eq!(claims.client.as_deref(), Some("app"));
    assert_eq!(claims.tier.as_deref(), Some("gold"));
    assert_eq!((claims.tenant.as_deref(), claims.patient.as_deref()), (Some("mercy"), Some("p1")));

    let pairs = [("who", "fhirUser"), ("plan", "rate_limit_tier"), ("org", "tenant_id"), ("pid", "patient")];
    for (mapped, plain) in pairs {
        assert!(read(&all, &json!({ (mapped): "p1", (plain): "p1" })).is_ok(), "{mapped}");
        assert!(read(&all, &json!({ (mapped): "p1", (plain): "p2" })).is_err(), "{mapped}");
        assert!(read(&all, &json!({ (mapped): 1, (plain): "p2" })).is_err(), "{mapped}");
    }
    // The plain claim confines where the mapped one is not there.
    assert_eq!(read(&all, &json!({ "patient": "p2" })).unwrap().patient.as_deref(), Some("p2"));
    assert_eq!(read(&all, &json!({ "fhirUser": "Patient/p" })).unwrap().fhir_user.as_deref(), Some("Patient/p"));
}

#[test]
fn a_tenant_may_be_named_by_a_value() {
    let map = json!({ "tenant": { "claim": "tid", "values": { "11-22": "mercy" } } });
    let tenant = |value: Json| read(&map, &json!({ "tid": value })).map(|claims| claims.tenant);
    assert_eq!(tenant(json!("11-22")).unwrap().as_deref(), Some("mercy"));
    assert!(tenant(json!("mercy")).is_err() && tenant(json!("33")).is_err() && tenant(json!(1)).is_err());
    assert_eq!(read(&map, &json!({})).unwrap().tenant, None);
    assert!(read(&map, &json!({ "tid": "11-22", "tenant_id": "grace" })).is_err());
}

#[test]
fn scopes_come_from_several_claims_and_roles_only_through_the_mapping() {
    let map = json!({ "scopes": {
        "claims": ["scp", "permissions"],
        "roles": ["realm_access.roles", "resource_access.vitals.roles", "group"],
        "values": { "Vitals.Read": "vitals:read", "nurse": "vitals:read vitals:write", "Ward 7": "users:read" },
    } });
    let cases = [
        (json!({ "scp": "Vitals.Read patient/*.rs" }), vec!["vitals:read", "patient/*.rs"]),
        (json!({ "scp": ["Vitals.Read"], "permissions": ["audit:read"] }), vec!["vitals:read", "audit:read"]),
        (json!({ "realm_access": { "roles": ["nurse", "system/*.cruds"] } }), vec!["vitals:read", "vitals:write"]),
        (json!({ "resource_access": { "vitals": { "roles": ["nurse"] } } }), vec!["vitals:read", "vitals:write"]),
        (json!({ "group": "Ward 7" }), vec!["users:read"]),
        (json!({ "group": "Ward 8" }), vec![]),
        (json!({ "scope": "system/*.cruds", "scopes": ["system/*.rs"] }), vec![]),
        (json!({}), vec![]),
    ];
    for (claims, scopes) in cases {
        assert_eq!(read(&map, &claims).unwrap().scopes, scopes, "{claims}");
    }
    let many: Vec<String> = (0..65).map(|place| format!("s{place}")).collect();
    for bad in [
        json!({ "scp": 1 }),
        json!({ "scp": [1] }),
        json!({ "scp": {} }),
        json!({ "group": [["nurse"]] }),
        json!({ "realm_access": { "roles": null } }),
        json!({ "scp": many }),
    ] {
        assert!(read(&map, &bad).is_err(), "{bad}");
    }
}
