//! Introspection (RFC 7662): a confidential client of the tenant asks what a token is good for. Whatever is not good here,
//! for whatever reason, is inactive, and nothing else is said of it.

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::{Map, Value, json};
use vitals_access::access::Access;

use super::{Asked, OauthError, client_auth, form::Form};
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
    client_auth::confidential(&mut asked, &form).await?;
    let token = form.require("token")?;
    let found = match access_token(&asked, token).await? {
        Some(access) => Some(of_access_token(&asked, &access)),
        None => of_refresh_token(&asked, token).await?,
    };
    let body = found.unwrap_or_else(|| json!({ "active": false }));
    let mut response = respond::json(StatusCode::OK, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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

fn of_access_token(asked: &Asked<'_>, access: &Access) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("active", Some(json!(true)));
    put("scope", Some(json!(access.scopes().texts().join(" "))));
    put("client_id", access.client().map(|client| json!(client)));
    put("token_type", Some(json!("Bearer")));
    put("exp", Some(json!(access.expires().timestamp())));
    put("sub", Some(json!(access.subject())));
    put("aud", Some(json!(asked.app.desk.audience(asked.tenant))));
    put("iss", Some(json!(access.issuer())));
    put("jti", access.jti().map(|jti| json!(jti)));
    put("patient", access.patient().map(|id| json!(id)));
    put("encounter", access.encounter().map(|id| json!(id)));
    put("fhirUser", access.fhir_user().map(|user| json!(user)));
    Value::Object(body)
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
