//! Tokens as Keycloak, Auth0 and Entra write them, with the mapping each needs. Made by us, after their documentation;
//! signed with our own keys.

use super::*;

const KEYCLOAK: &str = "https://sso.mercy.example/realms/hospital";
const AUTH0: &str = "https://mercy.eu.auth0.example/";
const ENTRA: &str = "https://sts.windows.example/72f988bf-86f1-41af-91ab-2d7cd011db47/";

/// A world in which mercy keeps this provider, whose claims are mapped so.
fn world(url: &str, mapping: &Value) -> World {
    let mut world = World::new();
    let keys = keys(&[KEYS.rsa.jwk("idp")]);
    let mapping = Arc::new(serde_json::from_value(mapping.clone()).unwrap());
    let algorithms = AllowedAlgorithms::named(["RS256"]).unwrap();
    let issuer = Issuer { algorithms, mapping, ..issuer(url, keys, &[&world.tenants[0]]) };
    world.issuers.push(issuer);
    world
}

fn signed(header: &Value, claims: &Value) -> String {
    KEYS.rsa.token(&header.to_string(), &claims.to_string())
}

fn merged(mut claims: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// The rows: what is changed in the claims, and what becomes of the token.
fn judge(world: &World, header: &Value, claims: &Value, rows: &[(Value, &str)]) {
    for (members, expected) in rows {
        let outcome = world.verify(&signed(header, &merged(claims.clone(), members)));
        assert_eq!(word(&outcome), *expected, "{members}: {outcome:?}");
    }
}

#[test]
fn a_token_of_keycloak_is_read_by_its_roles_and_attributes() {
    let world = world(
        KEYCLOAK,
        &json!({
            "patient": "patient_id", "fhirUser": "fhir_user",
            "scopes": {
                "claims": ["scope"], "roles": ["realm_access.roles", ["resource_access", "vitals.server", "roles"]],
                "values": { "nurse": "vitals:read vitals:write", "auditor": "audit:read" },
            },
        }),
    );
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "idp" });
    let claims = json!({
        "exp": NOW + 300, "iat": NOW, "auth_time": NOW - 10, "jti": "onrtac:6f2d1c1e", "iss": KEYCLOAK,
        "aud": [PUBLIC, "account"], "sub": "5b1a4e0f-1d2c-4a3b-8c9d-000000000001", "typ": "Bearer", "azp": "ward-app",
        "sid": "a4c1", "acr": "1", "allowed-origins": ["https://ward.example"],
        "realm_access": { "roles": ["default-roles-hospital", "nurse", "system/*.cruds"] },
        "resource_access": {
            "vitals.server": { "roles": ["auditor"] }, "account": { "roles": ["manage-account"] },
        },
        "scope": "openid profile email", "email_verified": false, "preferred_username": "nora",
        "fhir_user": "Practitioner/d1",
    });
    let access = world.verify(&signed(&header, &claims)).unwrap();
    assert_eq!(access.client(), Some("ward-app"));
    assert_eq!((access.fhir_user(), access.session()), (Some("Practitioner/d1"), Some("a4c1")));
    assert_eq!(access.used(ResourceType::Observation, Letter::Create), ["vitals:write"]);
    assert!(access.has("audit:read") && access.has("openid"));
    assert!(!access.scopes().texts().contains(&"system/*.cruds".to_owned()), "a role's name is no scope");
    judge(
        &world,
        &header,
        &claims,
        &[
            (json!({ "patient_id": "p1" }), "good"),
            (json!({ "patient_id": "p1,p2" }), "invalid"),
            (json!({ "typ": "ID" }), "invalid"),
            (json!({ "typ": "Refresh" }), "invalid"),
            (json!({ "at_hash": "x" }), "invalid"),
            (json!({ "aud": "account" }), "invalid"),
            (json!({ "iss": "https://sso.mercy.example/realms/other" }), "unknown issuer"),
            (json!({ "iss": format!("{KEYCLOAK}/") }), "unknown issuer"),
            (json!({ "tenant_id": "grace" }), "invalid"),
            (json!({ "realm_access": { "roles": "nurse" } }), "good"),
            (json!({ "realm_access": { "roles": { "nurse": true } } }), "invalid"),
            (json!({ "exp": NOW + 86_401 }), "invalid"),
        ],
    );
    let wide = json!({ "alg": "RS384", "typ": "JWT", "kid": "idp" });
    assert_eq!(word(&world.verify(&signed(&wide, &claims))), "invalid", "only RS256 was registered");
}

#[test]
fn a_token_of_auth0_is_read_by_namespaced_claims() {
    let space = "https://mercy.example/";
    let world = world(
        AUTH0,
        &json!({
            "patient": format!("{space}patient.id"), "tier": format!("{space}tier"),
            "scopes": { "claims": ["scope", "permissions"], "values": { "read:vitals": "vitals:read" } },
        }),
    );
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "idp" });
    let claims = json!({
        "iss": AUTH0, "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": [format!("{PUBLIC}/t/mercy/fhir"), "https://mercy.eu.auth0.example/userinfo"],
        "iat": NOW, "exp": NOW + 86_400, "scope": "openid profile offline_access", "azp": "my_client_id",
        "permissions": ["read:vitals"], (format!("{space}patient.id")): "p1",
    });
    let access = world.verify(&signed(&header, &claims)).unwrap();
    assert_eq!((access.client(), access.patient()), (Some("my_client_id"), Some("p1")));
    assert_eq!(
        access.visible(ResourceType::Observation, Letter::Read),
        Visible::AnyOf(vec![crate::predicate::AllOf(vec![
            crate::predicate::Term::PatientIs("p1".to_owned()),
            crate::predicate::Term::VitalAny
        ])])
    );
    assert_eq!(access.tier(), "basic");
    judge(
        &world,
        &header,
        &claims,
        &[
            (json!({ "sub": "my_client_id@clients", "gty": "client-credentials" }), "good"),
            (json!({ "patient": "p1" }), "good"),
            (json!({ "patient": "p2" }), "invalid"),
            (json!({ (format!("{space}patient.id")): ["p1", "p2"] }), "invalid"),
            (json!({ "aud": "https://mercy.eu.auth0.example/userinfo" }), "invalid"),
            (json!({ "aud": "my_client_id", "nonce": "n" }), "invalid"),
            (json!({ "exp": NOW + 86_401 }), "invalid"),
            (json!({ "permissions": "read:vitals" }), "good"),
            (json!({ "permissions": [{ "name": "read:vitals" }] }), "invalid"),
            (json!({ "iss": "https://mercy.eu.auth0.example" }), "unknown issuer"),
        ],
    );
    // An opaque or encrypted token, as Auth0 gives without an audience.
    let opaque = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aaaaaaaaaaaaaaaa.AAAA.aaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(word(&world.verify(opaque)), "invalid");
}

#[test]
fn a_token_of_entra_is_read_by_its_directory_scopes_and_app_roles() {
    let directory = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let world = world(
        ENTRA,
        &json!({
            "tenant": { "claim": "tid", "values": { (directory): "mercy" } }, "client": "appid",
            "fhirUser": "extn.fhirUser",
            "scopes": {
                "claims": ["scp"], "roles": ["roles"],
                "values": { "Vitals.Read": "vitals:read", "Vitals.ReadWrite.All": "system/Observation.cruds" },
            },
        }),
    );
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5t": "kg2LYs2T0CTjIfj4rt6JIynen38", "kid": "idp" });
    let claims = json!({
        "aud": PUBLIC, "iss": ENTRA, "iat": NOW, "nbf": NOW, "exp": NOW + 4_500, "acr": "1", "aio": "AXQAi/8TAAAA",
        "amr": ["pwd"], "appid": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "appidacr": "0", "ipaddr": "192.0.2.9",
        "name": "Nora", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "rh": "0.AAAA", "scp": "Vitals.Read",
        "sub": "hKbI_ZpQ", "tid": directory, "unique_name": "nora@mercy.example", "uti": "fqiBqXLPj0eQa82S",
        "ver": "1.0", "extn.fhirUser": "ignored", "extn": { "fhirUser": ["Practitioner/d1"] },
    });
    let access = world.verify(&signed(&header, &claims)).unwrap();
    assert_eq!(access.client(), Some("c44b4083-3bb0-49c1-b47d-974e53cbdf3c"));
    assert_eq!(access.fhir_user(), Some("Practitioner/d1"));
    assert_eq!(access.scopes().texts(), ["vitals:read"]);
    let app = merged(claims.clone(), &json!({ "roles": ["Vitals.ReadWrite.All", "system/*.cruds"], "idtyp": "app" }));
    let access = world.verify(&signed(&header, &app)).unwrap();
    assert_eq!(access.scopes().texts(), ["vitals:read", "system/Observation.cruds"]);
    judge(
        &world,
        &header,
        &claims,
        &[
            (json!({ "tid": "9188040d-6c67-4c5b-b112-36a304b66dad" }), "invalid"),
            (json!({ "tid": "mercy" }), "invalid"),
            (json!({ "tid": null }), "invalid"),
            (json!({ "aud": "00000003-0000-0000-c000-000000000000" }), "invalid"),
            (json!({ "aud": "api://c44b4083-3bb0-49c1-b47d-974e53cbdf3c" }), "invalid"),
            (
                json!({ "ver": "2.0", "iss": format!("https://login.windows.example/{directory}/v2.0") }),
                "unknown issuer",
            ),
            (json!({ "scp": { "a": 1 } }), "invalid"),
            (json!({ "cnf": { "kid": "pop" } }), "invalid"),
        ],
    );
    let strange = json!({ "typ": "JWT", "alg": "RS256", "x5c": ["MIIC"], "kid": "idp" });
    assert_eq!(word(&world.verify(&signed(&strange, &claims))), "invalid");
}
