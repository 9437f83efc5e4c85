//! What the authorization server says of itself (RFC 8414, OpenID Connect Discovery): `.well-known/openid-configuration`
//! below its issuer, and `/.well-known/oauth-authorization-server` before its path.

use poem::{
    Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{Asked, OauthError};
use crate::rest::{discovery, respond};

/// Answers with the metadata, for any origin.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Response, OauthError> {
    let mut response = match asked.incoming.method {
        Method::OPTIONS => respond::empty(StatusCode::NO_CONTENT),
        Method::GET | Method::HEAD => {
            let base = format!("{}/t/{}/auth", asked.app.public_url, asked.tenant.name);
            respond::json(StatusCode::OK, discovery::server_metadata(&base, &asked.tenant.settings))
        }
        _ => return Err(OauthError::not_offered("GET, HEAD")),
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}
