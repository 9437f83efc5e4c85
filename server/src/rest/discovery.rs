//! `.well-known/smart-configuration` (<https://hl7.org/fhir/smart-app-launch/conformance.html>) and the authorization
//! server's metadata (RFC 8414): what a client can expect here, true to what the tenant has switched on. An endpoint that
//! is not there is left out, so that a client finds out here and not at a 404.

use serde_json::{Map, Value, json};
use vitals_access::settings::Settings;
use vitals_fhir::{catalog::audit_event::AUDIT_EVENT, resource::ResourceType, vital::Vital};

/// How a client may prove who it is at the token endpoint, and where else it must.
const CLIENT_AUTHENTICATION: [&str; 6] = [
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
];

/// Algorithms of client assertions and DPoP proofs.
const ALGORITHMS: [&str; 6] = ["ES256", "ES384", "RS256", "RS384", "PS256", "EdDSA"];

/// SMART's capabilities of an authorization server that is switched on.
const CAPABILITIES: [&str; 18] = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
];

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
    /// Where an authorization request is left ahead.
    pub par: Option<String>,
    /// Who the user is.
    pub userinfo: Option<String>,
}

impl AuthEndpoints {
    /// What answers at a tenant that has this switched on. `base` is its `…/auth` URL without a slash at its end.
    pub fn of(base: &str, settings: &Settings) -> Self {
        let keys = Self { issuer: Some(base.to_owned()), jwks: Some(format!("{base}/jwks")), ..Self::default() };
        if !settings.authorization_server {
            return keys;
        }
        let at = |name: &str| Some(format!("{base}/{name}"));
        Self {
            authorize: at("authorize"),
            token: at("token"),
            register: at("register").filter(|_| settings.registration),
            manage: at("manage"),
            introspect: at("introspect"),
            revoke: at("revoke"),
            par: at("par"),
            userinfo: at("userinfo"),
            ..keys
        }
    }

    /// What both documents say.
    fn common(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, url) in [
            ("issuer", &self.issuer),
            ("jwks_uri", &self.jwks),
            ("authorization_endpoint", &self.authorize),
            ("token_endpoint", &self.token),
            ("registration_endpoint", &self.register),
            ("introspection_endpoint", &self.introspect),
            ("revocation_endpoint", &self.revoke),
            ("pushed_authorization_request_endpoint", &self.par),
            ("userinfo_endpoint", &self.userinfo),
        ] {
            if let Some(url) = url {
                fields.insert(name.to_owned(), Value::from(url.as_str()));
            }
        }
        let on = self.authorize.is_some() && self.token.is_some();
        let mut list = |name: &str, values: &[&str]| {
            fields.insert(name.to_owned(), if on { json!(values) } else { json!([]) });
        };
        list("grant_types_supported", &["authorization_code", "refresh_token", "client_credentials"]);
        list("code_challenge_methods_supported", &["S256"]);
        list("response_types_supported", &["code"]);
        list("token_endpoint_auth_methods_supported", &CLIENT_AUTHENTICATION);
        list("token_endpoint_auth_signing_alg_values_supported", &ALGORITHMS);
        fields.insert("scopes_supported".to_owned(), scopes_supported(on).into());
        fields
    }
}

/// The SMART configuration as JSON.
pub fn smart_configuration(endpoints: &AuthEndpoints) -> String {
    let mut fields = endpoints.common();
    if let Some(url) = &endpoints.manage {
        fields.insert("management_endpoint".to_owned(), Value::from(url.as_str()));
    }
    let on = endpoints.authorize.is_some() && endpoints.token.is_some();
    let capabilities: Vec<&str> = CAPABILITIES
        .into_iter()
        .filter(|name| on || (name.starts_with("permission-") && !name.ends_with("line")))
        .collect();
    fields.insert("capabilities".to_owned(), json!(capabilities));
    Value::Object(fields).to_string()
}

/// The authorization server's metadata as JSON (RFC 8414, OpenID Connect Discovery, RFC 8705, RFC 9126, RFC 9207, RFC
/// 9449). `base` is its `…/auth` URL.
pub fn server_metadata(base: &str, settings: &Settings) -> String {
    let endpoints = AuthEndpoints::of(base, settings);
    let mut fields = endpoints.common();
    if endpoints.authorize.is_some() {
        let confidential = &CLIENT_AUTHENTICATION[1..];
        for (name, value) in [
            ("response_modes_supported", json!(["query"])),
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["RS256", "ES256"])),
            ("claims_supported", json!(["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser", "name"])),
            ("introspection_endpoint_auth_methods_supported", json!(confidential)),
            ("introspection_endpoint_auth_signing_alg_values_supported", json!(ALGORITHMS)),
            ("revocation_endpoint_auth_methods_supported", json!(CLIENT_AUTHENTICATION)),
            ("revocation_endpoint_auth_signing_alg_values_supported", json!(ALGORITHMS)),
            ("dpop_signing_alg_values_supported", json!(ALGORITHMS)),
            ("tls_client_certificate_bound_access_tokens", json!(true)),
            ("authorization_response_iss_parameter_supported", json!(true)),
            ("require_pushed_authorization_requests", json!(false)),
            ("request_parameter_supported", json!(false)),
            ("request_uri_parameter_supported", json!(false)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    Value::Object(fields).to_string()
}

/// The scopes a client may ask for. Finer ones (`…/Observation.rs?category=vital-signs`) are understood as well.
fn scopes_supported(sign_in: bool) -> Vec<String> {
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
    for context in ["patient", "user", "system"] {
        scopes.extend(["rs", "read"].map(|rights| format!("{context}/{AUDIT_EVENT}.{rights}")));
    }
    scopes.extend(["users:read", "org:self", "org:delegated", "admin:users", "audit:read"].map(str::to_owned));
    if sign_in {
        let words = ["openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "offline_access"];
        scopes.extend(words.into_iter().chain(["online_access"]).map(str::to_owned));
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(settings: &Settings) -> Value {
        serde_json::from_str(&smart_configuration(&AuthEndpoints::of("https://x/t/north/auth", settings))).unwrap()
    }

    fn endpoints(document: &Value) -> Vec<&str> {
        let names = document.as_object().unwrap().keys().filter(|name| name.ends_with("_endpoint"));
        names.map(String::as_str).collect()
    }

    #[test]
    fn what_is_switched_off_is_not_listed() {
        let off = parsed(&Settings { authorization_server: false, ..Settings::default() });
        assert_eq!(off["issuer"], "https://x/t/north/auth");
        assert_eq!(off["jwks_uri"], "https://x/t/north/auth/jwks");
        assert_eq!(endpoints(&off), Vec::<&str>::new());
        assert_eq!(off["grant_types_supported"], json!([]));
        assert!(!off["capabilities"].as_array().unwrap().contains(&json!("launch-ehr")));
        assert!(!endpoints(&parsed(&Settings::default())).contains(&"registration_endpoint"));
    }

    #[test]
    fn what_is_switched_on_is_listed() {
        let on = parsed(&Settings { registration: true, ..Settings::default() });
        assert_eq!(on["authorization_endpoint"], "https://x/t/north/auth/authorize");
        assert_eq!(on["registration_endpoint"], "https://x/t/north/auth/register");
        assert_eq!(on["code_challenge_methods_supported"], json!(["S256"]));
        let server: Value =
            serde_json::from_str(&server_metadata("https://x/t/north/auth", &Settings::default())).unwrap();
        assert_eq!(server["issuer"], on["issuer"]);
        assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    }
}
