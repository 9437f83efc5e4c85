//! Signing in at the tenant's OpenID provider (OpenID Connect Core, code flow with PKCE).

use poem::Response;

use super::{Asked, OauthError, pending::Onward};

/// Sends a browser to the provider.
pub(super) async fn begin(_asked: &mut Asked<'_>, _onward: &Onward) -> Result<Response, OauthError> {
    Err(OauthError::no_such_address())
}

/// Answers a browser that comes back.
pub(super) async fn answer(_asked: Asked<'_>) -> Result<Response, OauthError> {
    Err(OauthError::no_such_address())
}
