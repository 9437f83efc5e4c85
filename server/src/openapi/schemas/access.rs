//! Schemas of the authorization servers and of administration.

use serde_json::{Map, Value, json};

use super::{list, object, reference};

/// Every schema by its name.
pub fn schemas() -> Map<String, Value> {
    authorization().into_iter().chain(administration()).collect()
}

fn authorization() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let texts = || list(&text());
    let number = || json!({ "type": "integer" });
    let truth = || json!({ "type": "boolean" });
    let mut schemas = Map::new();
    let mut put = |name: &str, properties: &[(&str, Value)], required: &[&str]| {
        schemas.insert(name.to_owned(), object(properties, required));
    };
    put(
        "ServerMetadata",
        &[
            ("issuer", text()),
            ("authorization_endpoint", text()),
            ("token_endpoint", text()),
            ("jwks_uri", text()),
            ("grant_types_supported", texts()),
            ("scopes_supported", texts()),
        ],
        &["issuer"],
    );
    put("AuthorizationError", &[("error", text()), ("error_description", text())], &["error"]);
    put("PushedRequest", &[("request_uri", text()), ("expires_in", number())], &["request_uri", "expires_in"]);
    put(
        "TokenAnswer",
        &[
            ("access_token", text()),
            ("token_type", json!({ "type": "string", "enum": ["Bearer", "DPoP"] })),
            ("expires_in", number()),
            ("scope", text()),
            ("refresh_token", text()),
            ("id_token", text()),
            ("patient", text()),
            ("encounter", text()),
            ("need_patient_banner", truth()),
            ("smart_style_url", text()),
            ("intent", text()),
            ("tenant", text()),
        ],
        &["access_token", "token_type", "expires_in", "scope"],
    );
    put(
        "Introspection",
        &[
            ("active", truth()),
            ("scope", text()),
            ("client_id", text()),
            ("sub", text()),
            ("iss", text()),
            ("exp", number()),
            ("patient", text()),
            ("fhirUser", text()),
        ],
        &["active"],
    );
    put("Userinfo", &[("sub", text()), ("name", text()), ("fhirUser", text())], &["sub"]);
    put("Launch", &[("launch", text()), ("expires_in", number()), ("launch_url", text())], &["launch", "expires_in"]);
    schemas
}

fn administration() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let texts = || list(&text());
    let number = || json!({ "type": "integer" });
    let truth = || json!({ "type": "boolean" });
    let mut schemas = Map::new();
    let mut put = |name: &str, properties: &[(&str, Value)], required: &[&str]| {
        schemas.insert(name.to_owned(), object(properties, required));
    };
    put(
        "ClientMetadata",
        &[
            ("client_id", text()),
            ("client_name", text()),
            ("client_secret", text()),
            ("scope", text()),
            ("token_endpoint_auth_method", text()),
            ("redirect_uris", texts()),
            ("launch_uri", text()),
            ("jwks", reference("schemas", "KeySet")),
            ("jwks_uri", text()),
            ("tls_client_auth_subject_dn", text()),
            ("ehr", truth()),
            ("require_proof", truth()),
        ],
        &[],
    );
    put("Clients", &[("clients", list(&reference("schemas", "ClientMetadata")))], &["clients"]);
    put(
        "User",
        &[
            ("id", text()),
            ("username", text()),
            ("name", text()),
            ("password", text()),
            ("issuer", text()),
            ("subject", text()),
            ("fhirUser", text()),
            ("patients", texts()),
            ("scope", text()),
        ],
        &[],
    );
    put("Users", &[("users", list(&reference("schemas", "User")))], &["users"]);
    put(
        "Issuer",
        &[
            ("issuer", text()),
            ("jwks", reference("schemas", "KeySet")),
            ("jwks_uri", text()),
            ("strict", truth()),
            ("max_lifetime", number()),
        ],
        &["issuer"],
    );
    put("Issuers", &[("issuers", list(&reference("schemas", "Issuer")))], &["issuers"]);
    put(
        "ApiKey",
        &[
            ("id", text()),
            ("key", text()),
            ("name", text()),
            ("scope", text()),
            ("patient", text()),
            ("days", number()),
            ("expires", text()),
            ("last_used", text()),
        ],
        &[],
    );
    put("ApiKeys", &[("api_keys", list(&reference("schemas", "ApiKey")))], &["api_keys"]);
    put("Rotation", &[("now", truth())], &[]);
    put(
        "SigningKeys",
        &[("keys", list(&object(&[("kid", text()), ("algorithm", text()), ("created", text())], &["kid"])))],
        &["keys"],
    );
    put(
        "Sessions",
        &[
            ("sessions", list(&object(&[("id", text())], &["id"]))),
            ("approvals", list(&object(&[("id", text())], &["id"]))),
        ],
        &["sessions", "approvals"],
    );
    schemas
}
