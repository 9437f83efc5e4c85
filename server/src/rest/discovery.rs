//! `.well-known/smart-configuration` (<https://hl7.org/fhir/smart-app-launch/conformance.html>): what a client can
//! expect here, true to what works.
//!
//! SMART requires these fields: `token_endpoint`, `grant_types_supported`, `capabilities` and
//! `code_challenge_methods_supported`; `authorization_endpoint` with a launch capability; `issuer` and `jwks_uri`
//! with OpenID Connect. An endpoint that is not there is left out rather than invented, so that a client finds out
//! here and not at a 404; the two lists that describe endpoints are then empty.

use serde_json::{Map, Value, json};
use vitals_fhir::{resource::ResourceType, vital::Vital};

/// The addresses of a tenant's authorization server that answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthEndpoints {
    /// Its identifier, as in the `iss` of its tokens.
    pub issuer: Option<String>,
    /// Its keys.
    pub jwks: Option<String>,
    /// Where a person signs in and consents.
    pub authorize: Option<String>,
    /// Where codes and assertions become tokens.
    pub token: Option<String>,
    /// Where clients register.
    pub register: Option<String>,
    /// Where a person sees and ends what was granted.
    pub manage: Option<String>,
    /// Where a resource server asks about a token.
    pub introspect: Option<String>,
    /// Where a client gives a token back.
    pub revoke: Option<String>,
}

impl AuthEndpoints {
    /// What answers today: the key set, and a token endpoint that supports no grant yet and says so (RFC 6749,
    /// section 5.2). `base` is the tenant's `…/auth` URL without a slash at its end.
    pub fn of(base: &str) -> Self {
        Self {
            issuer: Some(base.to_owned()),
            jwks: Some(format!("{base}/jwks")),
            token: Some(format!("{base}/token")),
            ..Self::default()
        }
    }
}

/// The configuration as JSON.
pub fn smart_configuration(endpoints: &AuthEndpoints) -> String {
    let mut fields = Map::new();
    for (name, url) in [
        ("issuer", &endpoints.issuer),
        ("jwks_uri", &endpoints.jwks),
        ("authorization_endpoint", &endpoints.authorize),
        ("token_endpoint", &endpoints.token),
        ("registration_endpoint", &endpoints.register),
        ("management_endpoint", &endpoints.manage),
        ("introspection_endpoint", &endpoints.introspect),
        ("revocation_endpoint", &endpoints.revoke),
    ] {
        if let Some(url) = url {
            fields.insert(name.to_owned(), Value::from(url.as_str()));
        }
    }
    let sign_in = endpoints.authorize.is_some() && endpoints.token.is_some();
    fields.insert("grant_types_supported".to_owned(), if sign_in { json!(["authorization_code"]) } else { json!([]) });
    fields.insert("code_challenge_methods_supported".to_owned(), if sign_in { json!(["S256"]) } else { json!([]) });
    fields.insert("scopes_supported".to_owned(), scopes_supported().into());
    fields.insert(
        "capabilities".to_owned(),
        json!(["permission-patient", "permission-user", "permission-v1", "permission-v2"]),
    );
    Value::Object(fields).to_string()
}

/// The scopes a client may ask for. Finer ones (`…/Observation.rs?category=vital-signs`) are understood as well.
fn scopes_supported() -> Vec<String> {
    let mut scopes = Vec::new();
    for context in ["patient", "user", "system"] {
        for name in ResourceType::ALL.into_iter().map(ResourceType::name).chain(["*"]) {
            scopes.extend(["rs", "cruds", "read", "write"].map(|rights| format!("{context}/{name}.{rights}")));
        }
    }
    for name in ["vitals".to_owned(), "vitals.all".to_owned()]
        .into_iter()
        .chain(Vital::ALL.map(|vital| format!("vitals.{}", vital.name())))
    {
        scopes.extend(["read", "write"].map(|right| format!("{name}:{right}")));
    }
    scopes.extend(["users:read", "org:self"].map(str::to_owned));
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(endpoints: &AuthEndpoints) -> Value {
        serde_json::from_str(&smart_configuration(endpoints)).unwrap()
    }

    #[test]
    fn endpoints_that_do_not_exist_are_not_listed() {
        let found = parsed(&AuthEndpoints::of("https://x/t/north/auth"));
        assert_eq!(found["issuer"], "https://x/t/north/auth");
        assert_eq!(found["jwks_uri"], "https://x/t/north/auth/jwks");
        let names: Vec<_> = found.as_object().unwrap().keys().filter(|name| name.ends_with("_endpoint")).collect();
        assert_eq!(names, ["token_endpoint"]);
        assert_eq!(found["grant_types_supported"], json!([]));
    }

    #[test]
    fn endpoints_that_exist_are_listed_with_what_they_support() {
        let endpoints = AuthEndpoints {
            authorize: Some("https://x/a".to_owned()),
            token: Some("https://x/t".to_owned()),
            ..AuthEndpoints::default()
        };
        let found = parsed(&endpoints);
        assert_eq!(found["authorization_endpoint"], "https://x/a");
        assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
        assert!(found.get("issuer").is_none());
    }
}
