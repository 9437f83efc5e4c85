//! The token endpoint (RFC 6749, section 3.2).

use poem::{Response, http::Method};

use super::{Asked, OauthError};

/// Answers a request for a token.
pub(super) async fn answer(asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    Err(OauthError::unsupported_grant_type("This grant is not supported."))
}
