//! Pushed authorization requests (RFC 9126): a client leaves its request here, proven, and sends its user with a handle.

use chrono::TimeDelta;
use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde_json::json;
use vitals_fhir::search::form_text;
use vitals_store::authorization::PushedRequest;

use super::{
    Asked, OauthError, client_auth,
    form::Form,
    request::{AuthorizationRequest, Bad, REQUEST_URI},
};
use crate::{authorization::secrets, rest::respond};

/// How long a user may take from the app to here.
const LIFE: TimeDelta = TimeDelta::seconds(90);
/// What proves the client, and is no part of its request.
const PROOFS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// Takes a request.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let form = Form::read(asked.incoming).await?;
    let client = client_auth::client(&mut asked, &form).await?;
    AuthorizationRequest::judge(asked.app, asked.tenant, &form, &client).await.map_err(Bad::into_error)?;
    let kept: Vec<_> = form.pairs().iter().filter(|(name, _)| !PROOFS.contains(&name.as_str())).cloned().collect();
    let now = asked.app.clock.now();
    let handle = secrets::random();
    let pushed = PushedRequest {
        hash: secrets::hash(&handle),
        client: client.id,
        parameters: form_text(&kept),
        expires: now + LIFE,
    };
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    tx.insert_pushed_request(&pushed, now).await?;
    tx.commit().await?;
    let body = json!({ "request_uri": format!("{REQUEST_URI}{handle}"), "expires_in": LIFE.num_seconds() });
    let mut response = respond::json(StatusCode::CREATED, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
