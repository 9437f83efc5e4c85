//! Who the user is (OpenID Connect Core, section 5.3): asked with an access token that has `openid`.

use std::sync::Arc;

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::json;
use vitals_access::{access::Access, refusal::Refusal};

use super::{Asked, OauthError};
use crate::rest::{
    FhirBase,
    credentials::{self, Unverified},
    limits, respond, trail,
};

/// Answers who the user of the token is.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if !matches!(asked.incoming.method, Method::GET | Method::POST) {
        return Err(OauthError::not_offered("GET, POST"));
    }
    let access = caller(&mut asked).await?;
    if !access.has("openid") || access.issuer() != asked.app.desk.issuer(asked.tenant) {
        let error = OauthError::named(StatusCode::FORBIDDEN, "insufficient_scope", "The token does not have openid.");
        let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\", scope=\"openid\"");
        return Err(error.with(header::WWW_AUTHENTICATE, challenge));
    }
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let account = tx.account(access.subject()).await?;
    tx.commit().await?;
    let mut body = json!({ "sub": access.subject() });
    if let Some(user) = access.fhir_user().filter(|_| access.has("fhirUser")) {
        body["fhirUser"] = json!(user);
    }
    if let Some(account) = account.filter(|_| access.has("profile")) {
        body["name"] = json!(account.name);
        body["preferred_username"] = json!(account.username);
    }
    let mut response = respond::json(StatusCode::OK, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Who shows an access token here.
pub(super) async fn caller(asked: &mut Asked<'_>) -> Result<Arc<Access>, OauthError> {
    let query = super::form::Form::of(&asked.incoming.query)?;
    let base = FhirBase::Tenant(asked.tenant.name.clone()).for_verifier();
    match credentials::caller(asked.app, asked.incoming, query.pairs(), &base).await {
        Ok(access) => {
            asked.record.by(&access);
            let charge = asked.app.limiter.costs().auth();
            limits::admit(asked.app, &access, charge, &mut asked.incoming.limits).await?;
            Ok(access)
        }
        Err(Unverified::Unavailable) => Err(OauthError::unavailable()),
        Err(Unverified::Refused(refusal)) => {
            trail::refused(asked.record, &refusal);
            Err(refused(&refusal))
        }
    }
}

/// The refusal with the challenge of RFC 6750.
fn refused(refusal: &Refusal) -> OauthError {
    let challenge = |text| (header::WWW_AUTHENTICATE, HeaderValue::from_static(text));
    let (status, error, challenge) = match refusal {
        Refusal::NoCredentials => (StatusCode::UNAUTHORIZED, "invalid_token", challenge("Bearer")),
        Refusal::BadRequest(_) => {
            (StatusCode::BAD_REQUEST, "invalid_request", challenge("Bearer error=\"invalid_request\""))
        }
        Refusal::WrongTenant(_) | Refusal::NotDelegated(_) | Refusal::Suspended(_) => {
            (StatusCode::FORBIDDEN, "access_denied", challenge("Bearer"))
        }
        _ => (StatusCode::UNAUTHORIZED, "invalid_token", challenge("Bearer error=\"invalid_token\"")),
    };
    OauthError::named(status, error, "An access token of this organisation is needed.").with(challenge.0, challenge.1)
}
