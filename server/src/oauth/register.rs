//! Dynamic registration (RFC 7591): a program registers itself with an initial access token that the tenant gave out, for
//! no more than that token allows. Off unless the tenant switches it on.

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vitals_access::scope;
use vitals_store::authorization::{Authentication, Client, RegistrationToken};

use super::{Asked, OauthError};
use crate::{
    authorization::{
        clients::{self, ClientError, NewClient, Registered},
        secrets,
    },
    rest::respond,
};

/// Largest document: a key set has at most 32 kB.
const MAX_BODY: usize = 64 * 1024;
/// What is kept of a registration besides what has a column of its own.
const KEPT: [&str; 12] = [
    "grant_types",
    "response_types",
    "client_uri",
    "logo_uri",
    "contacts",
    "tos_uri",
    "policy_uri",
    "software_id",
    "software_version",
    "token_endpoint_auth_method",
    "id_token_signed_response_alg",
    "tls_client_certificate_bound_access_tokens",
];
/// How RFC 8705, section 2.1.2, names what a certificate has to say, and how it is kept here.
const CERTIFICATE: [(&str, &str); 5] = [
    ("tls_client_auth_subject_dn", "subject_dn"),
    ("tls_client_auth_san_dns", "san_dns"),
    ("tls_client_auth_san_uri", "san_uri"),
    ("tls_client_auth_san_ip", "san_ip"),
    ("tls_client_auth_san_email", "san_email"),
];

/// What is read of a registration.
#[derive(Deserialize)]
struct Wanted {
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    scope: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    initiate_login_uri: Option<String>,
    #[serde(default)]
    dpop_bound_access_tokens: bool,
    software_statement: Option<String>,
}

/// Registers a program.
pub(super) async fn answer(asked: Asked<'_>) -> Result<Response, OauthError> {
    if !asked.tenant.settings.registration {
        return Err(OauthError::no_such_address());
    }
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let token = initial_token(&asked).await?;
    let bytes = asked.incoming.read_body(MAX_BODY).await?;
    let document: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|_| metadata("The body is no JSON object."))?;
    let wanted: Wanted = serde_json::from_value(Value::Object(document.clone()))
        .map_err(|_| metadata("A member of the registration has the wrong type."))?;
    let new = new_client(wanted, &document, &token)?;
    let registered = clients::register(&asked.app.desk, asked.tenant, new).await.map_err(refused)?;
    asked.record.client = Some(registered.client.id.clone());
    let mut response = respond::json(StatusCode::CREATED, described(&registered));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The initial access token of the request, which must be good.
async fn initial_token(asked: &Asked<'_>) -> Result<RegistrationToken, OauthError> {
    let refused = || {
        let description = "An initial access token of this organisation is needed.";
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        OauthError::named(StatusCode::UNAUTHORIZED, "invalid_token", description)
            .with(header::WWW_AUTHENTICATE, challenge)
    };
    let mut values = asked.incoming.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let (scheme, token) = value.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(refused());
    }
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let found = tx.registration_token(&secrets::hash(token), asked.app.clock.now()).await?;
    tx.commit().await?;
    found.ok_or_else(refused)
}

fn new_client(
    wanted: Wanted,
    document: &Map<String, Value>,
    token: &RegistrationToken,
) -> Result<NewClient, OauthError> {
    if wanted.software_statement.is_some() {
        let description = "Software statements are not supported: register without one.";
        return Err(OauthError::named(StatusCode::BAD_REQUEST, "invalid_software_statement", description));
    }
    let method = wanted.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
    let authentication = Some(method).filter(|method| *method != "client_secret").and_then(Authentication::named);
    let authentication = authentication.ok_or_else(|| metadata("This token_endpoint_auth_method is not supported."))?;
    let allowed = |member: &str, known: &[&str]| match document.get(member) {
        None => true,
        Some(value) => value.as_array().is_some_and(|values| {
            values.iter().all(|value| value.as_str().is_some_and(|value| known.contains(&value)))
        }),
    };
    if !allowed("grant_types", &["authorization_code", "refresh_token", "client_credentials"]) {
        return Err(metadata("The grant_types are authorization_code, refresh_token and client_credentials."));
    }
    if !allowed("response_types", &["code"]) {
        return Err(metadata("The only response type is code."));
    }
    let scopes = match &wanted.scope {
        None => token.scopes.clone(),
        Some(text) => {
            let asked: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            scope::grantable(&asked, &token.scopes, &token.scopes)
        }
    };
    let certificate =
        CERTIFICATE.iter().find_map(|(member, kind)| Some(format!("{kind}:{}", document.get(*member)?.as_str()?)));
    let kept: Map<String, Value> = document
        .iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let name = wanted.client_name.unwrap_or_else(|| "An app without a name".to_owned());
    let mut new = NewClient::named(&name, authentication, &format!("registration token {}", token.id));
    new.jwks = wanted.jwks.map(|jwks| jwks.to_string());
    new.jwks_url = wanted.jwks_uri;
    new.certificate = certificate.filter(|_| authentication == Authentication::TlsClientAuth);
    new.redirect_uris = wanted.redirect_uris;
    new.launch_uri = wanted.initiate_login_uri;
    new.scopes = scopes;
    new.require_proof = wanted.dpop_bound_access_tokens;
    new.metadata = Value::Object(kept).to_string();
    Ok(new)
}

/// The registration as it stands (RFC 7591, section 3.2.1).
fn described(registered: &Registered) -> String {
    let Registered { client, secret, .. } = registered;
    let mut body: Map<String, Value> = serde_json::from_str(&client.metadata).unwrap_or_default();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("client_id", Some(json!(client.id)));
    put("client_id_issued_at", Some(json!(client.created.timestamp())));
    put("client_secret", secret.as_ref().map(|secret| json!(secret)));
    put("client_secret_expires_at", secret.as_ref().map(|_| json!(0)));
    put("client_name", Some(json!(client.name)));
    put("redirect_uris", Some(json!(client.redirect_uris)));
    put("scope", Some(json!(client.scopes.join(" "))));
    put("jwks", client.jwks.as_ref().and_then(|jwks| serde_json::from_str(jwks).ok()));
    put("jwks_uri", client.jwks_url.as_ref().map(|url| json!(url)));
    put("initiate_login_uri", client.launch_uri.as_ref().map(|url| json!(url)));
    put("dpop_bound_access_tokens", Some(json!(client.require_proof)));
    put("token_endpoint_auth_method", Some(json!(method(client))));
    Value::Object(body).to_string()
}

fn method(client: &Client) -> String {
    let metadata: Value = serde_json::from_str(&client.metadata).unwrap_or_default();
    match (client.authentication, metadata["token_endpoint_auth_method"].as_str()) {
        (Authentication::ClientSecret, Some(method)) => method.to_owned(),
        (Authentication::ClientSecret, None) => "client_secret_basic".to_owned(),
        (other, _) => other.name().to_owned(),
    }
}

fn metadata(description: &str) -> OauthError {
    OauthError::named(StatusCode::BAD_REQUEST, "invalid_client_metadata", description)
}

fn refused(error: ClientError) -> OauthError {
    match error {
        ClientError::Desk(error) => error.into(),
        error @ ClientError::RedirectUri { .. } => {
            OauthError::named(StatusCode::BAD_REQUEST, "invalid_redirect_uri", error.to_string())
        }
        error => metadata(&error.to_string()),
    }
}
