//! The token endpoint (RFC 6749, section 3.2; SMART App Launch 2.2).

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::{Map, Value, json};
use vitals_access::tenant::Tenant;
use vitals_store::authorization::Client;

use super::{Asked, OauthError, binding, client_auth, form::Form};
use crate::{
    authorization::{
        DeskError, secrets,
        tokens::{self, Asking, Binding, BroughtCode, Issued, TokenError},
    },
    rest::respond,
};

/// Answers a request for a token.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let form = Form::read(asked.incoming).await?;
    let grant = form.require("grant_type")?.to_owned();
    let form = if grant == "refresh_token" { named(&asked, form).await? } else { form };
    let now = asked.app.clock.now();
    let client = client_auth::client(&mut asked, &form).await?;
    if !may_use(&client, &grant) {
        return Err(OauthError::unauthorized_client("The client did not register this grant_type."));
    }
    let binding = binding::of(&asked, &client).await?;
    let asking = Asking { client: &client, binding: &binding, now };
    let (desk, tenant) = (&asked.app.desk, asked.tenant);
    let issued = match grant.as_str() {
        "authorization_code" => {
            let brought = BroughtCode {
                code: form.require("code")?,
                redirect_uri: form.require("redirect_uri")?,
                verifier: form.require("code_verifier")?,
            };
            tokens::for_code(desk, tenant, asking, brought).await
        }
        "refresh_token" => {
            tokens::for_refresh_token(desk, tenant, asking, form.require("refresh_token")?, form.get("scope")).await
        }
        "client_credentials" => tokens::for_service(desk, tenant, asking, form.get("scope")).await,
        _ => return Err(OauthError::unsupported_grant_type("This grant_type is not supported.")),
    }?;
    asked.record.subject = Some(issued.subject.clone());
    asked.record.scopes.clone_from(&issued.scopes);
    asked.record.patient.clone_from(&issued.context.patient);
    asked.record.encounter.clone_from(&issued.context.encounter);
    let mut response = respond::json(StatusCode::OK, body(tenant, &binding, &issued));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// A refresh that does not say which client it is of is its token's: SMART's request for it has no `client_id`, and npm
/// `fhirclient` sends none. A client that can prove who it is still has to.
async fn named(asked: &Asked<'_>, form: Form) -> Result<Form, OauthError> {
    let says = form.get("client_id").or(form.get("client_assertion")).is_some();
    let Some(token) = form.get("refresh_token") else { return Ok(form) };
    if says || asked.incoming.headers.contains_key(header::AUTHORIZATION) {
        return Ok(form);
    }
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let found = tx.refresh_token(&secrets::hash(token)).await?;
    let approval = match found {
        Some(found) => tx.approval(&found.token.approval).await?,
        None => None,
    };
    tx.commit().await?;
    let client = approval.ok_or(TokenError::Grant("the refresh token is not good"))?.client;
    Ok(form.with("client_id", client))
}

/// Whether a client that registered its grants registered this one (RFC 7591, section 2). What it refreshes was granted.
fn may_use(client: &Client, grant: &str) -> bool {
    let metadata: Value = serde_json::from_str(&client.metadata).unwrap_or_default();
    let registered = metadata["grant_types"].as_array();
    grant == "refresh_token" || registered.is_none_or(|grants| grants.iter().any(|registered| registered == grant))
}

/// The tokens and the launch context (<https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>).
fn body(tenant: &Tenant, binding: &Binding, issued: &Issued) -> String {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("access_token", Some(json!(issued.access_token)));
    put("token_type", Some(json!(if binding.jkt.is_some() { "DPoP" } else { "Bearer" })));
    put("expires_in", Some(json!(issued.life.num_seconds())));
    put("scope", Some(json!(issued.scopes.join(" "))));
    put("refresh_token", issued.refresh_token.as_ref().map(|token| json!(token)));
    put("id_token", issued.id_token.as_ref().map(|token| json!(token)));
    let context = &issued.context;
    put("patient", context.patient.as_ref().map(|id| json!(id)));
    put("encounter", context.encounter.as_ref().map(|id| json!(id)));
    put("fhirContext", context.fhir_context.clone());
    put("intent", context.intent.as_ref().map(|intent| json!(intent)));
    put("need_patient_banner", context.need_patient_banner.map(|needed| json!(needed)));
    put("smart_style_url", context.smart_style_url.as_ref().map(|url| json!(url)));
    put("tenant", context.auth_time.map(|_| json!(tenant.name.as_str())));
    Value::Object(body).to_string()
}

impl From<TokenError> for OauthError {
    fn from(error: TokenError) -> Self {
        let sentence = |reason: &str| {
            let mut letters = reason.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        };
        match error {
            TokenError::Grant(reason) => Self::invalid_grant(sentence(reason)),
            TokenError::Scope(reason) => Self::invalid_scope(sentence(reason)),
            TokenError::Client(reason) => Self::unauthorized_client(sentence(reason)),
            TokenError::Desk(error) => error.into(),
        }
    }
}

impl From<DeskError> for OauthError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Stale(_) | DeskError::Connect(_) => Self::unavailable(),
            DeskError::Control(error) => {
                tracing::error!(%error, "the control schema refused a change of the authorization server");
                Self::unavailable()
            }
        }
    }
}
