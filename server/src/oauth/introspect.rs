//! Introspection (RFC 7662): a confidential client of the tenant asks what a token is good for, and proves itself as at the
//! token endpoint, or by an access token of its own (SMART App Launch 2.2, "Authorization to perform Token
//! Introspection"). Whatever is not good here, for whatever reason, is inactive, and nothing else is said of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::{Map, Value, json};
use vitals_access::access::Access;

use super::{Asked, OauthError, client_auth, form::Form, userinfo};
use crate::{
    authorization::{LaunchContext, secrets},
    rest::respond,
};

/// Answers what a token is good for.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let form = Form::read(asked.incoming).await?;
    if bearer(&asked) {
        let_in(&mut asked).await?;
    } else {
        client_auth::confidential(&mut asked, &form).await?;
    }
    let token = form.require("token")?;
    let found = match access_token(&asked, token).await? {
        Some(access) => Some(of_access_token(&asked, &access).await?),
        None => of_refresh_token(&asked, token).await?,
    };
    let body = found.unwrap_or_else(|| json!({ "active": false }));
    let mut response = respond::json(StatusCode::OK, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whether the client shows an access token of its own.
fn bearer(asked: &Asked<'_>) -> bool {
    let value = asked.incoming.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = value.and_then(|value| value.split_once(' ')).map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("DPoP")
}

/// Lets in who shows a token of a confidential client of this tenant: such a client may ask, whoever uses it.
async fn let_in(asked: &mut Asked<'_>) -> Result<(), OauthError> {
    let access = userinfo::caller(asked).await?;
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let client = match access.client() {
        Some(id) => tx.client(id).await?,
        None => None,
    };
    tx.commit().await?;
    let may = client.is_some_and(|client| client.revoked.is_none() && client.authentication.is_confidential());
    if may && access.issuer() == asked.app.desk.issuer(asked.tenant) {
        return Ok(());
    }
    Err(OauthError::unauthenticated("Only the token of a confidential client of this organisation may ask."))
}

/// The caller that an access token of this tenant would make, whoever shows it.
pub(super) async fn access_token(asked: &Asked<'_>, token: &str) -> Result<Option<Access>, OauthError> {
    // It may have been signed a moment ago with a key that this server does not know yet.
    for refreshed in [false, true] {
        let directory = if refreshed { asked.app.feed.refresh().await? } else { asked.app.directory()? };
        match asked.app.verifier.introspect(&directory, token) {
            Ok(access) => return Ok(Some(access).filter(|access| access.tenant().role == asked.tenant.role)),
            Err(vitals_access::refusal::Refusal::UnknownKey { .. }) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

async fn of_access_token(asked: &Asked<'_>, access: &Access) -> Result<Value, OauthError> {
    let context = context(asked, access).await?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("active", Some(json!(true)));
    put("scope", Some(json!(access.scopes().texts().join(" "))));
    put("client_id", access.client().map(|client| json!(client)));
    put("token_type", Some(json!(if access.bound_key().is_some() { "DPoP" } else { "Bearer" })));
    put("cnf", confirmation(access));
    put("exp", Some(json!(access.expires().timestamp())));
    put("sub", Some(json!(access.subject())));
    put("aud", Some(json!(asked.app.desk.audience(asked.tenant))));
    put("iss", Some(json!(access.issuer())));
    put("jti", access.jti().map(|jti| json!(jti)));
    put("patient", access.patient().map(|id| json!(id)));
    put("encounter", access.encounter().map(|id| json!(id)));
    put("fhirUser", access.fhir_user().map(|user| json!(user)));
    put("fhirContext", context.fhir_context);
    put("intent", context.intent.map(|intent| json!(intent)));
    put("need_patient_banner", context.need_patient_banner.map(|needed| json!(needed)));
    put("smart_style_url", context.smart_style_url.map(|url| json!(url)));
    put("tenant", context.auth_time.map(|_| json!(asked.tenant.name.as_str())));
    Ok(Value::Object(body))
}

/// What the token's app was launched about: what came with the token is told with it.
async fn context(asked: &Asked<'_>, access: &Access) -> Result<LaunchContext, OauthError> {
    let Some(id) = access.approval() else { return Ok(LaunchContext::default()) };
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let approval = tx.approval(id).await?;
    tx.commit().await?;
    Ok(approval.and_then(|approval| LaunchContext::stored(&approval.context)).unwrap_or_default())
}

/// What the token is bound to: whoever lets it in has to see the proof (RFC 8705, section 3.2; RFC 9449, section 6.2).
fn confirmation(access: &Access) -> Option<Value> {
    let mut members = Map::new();
    for (name, thumbprint) in [("jkt", access.bound_key()), ("x5t#S256", access.bound_certificate())] {
        if let Some(thumbprint) = thumbprint {
            members.insert(name.to_owned(), json!(URL_SAFE_NO_PAD.encode(thumbprint)));
        }
    }
    (!members.is_empty()).then_some(Value::Object(members))
}

/// A refresh token that would be taken now.
async fn of_refresh_token(asked: &Asked<'_>, token: &str) -> Result<Option<Value>, OauthError> {
    let now = asked.app.clock.now();
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let found = tx.refresh_token(&secrets::hash(token)).await?;
    let found = found.filter(|found| !found.used_before && found.token.expires > now);
    let approval = match &found {
        Some(found) => tx.approval(&found.token.approval).await?.filter(|approval| approval.holds(now)),
        None => None,
    };
    tx.commit().await?;
    let (Some(found), Some(approval)) = (found, approval) else { return Ok(None) };
    let context = LaunchContext::stored(&approval.context).unwrap_or_default();
    let mut body = json!({
        "active": true,
        "scope": approval.scopes.join(" "),
        "client_id": approval.client,
        "exp": found.token.expires.timestamp(),
        "iat": found.token.created.timestamp(),
        "sub": approval.account,
        "iss": asked.app.desk.issuer(asked.tenant),
    });
    if let Some(patient) = context.patient {
        body["patient"] = json!(patient);
    }
    Ok(Some(body))
}
