//! From the headers of a request to a verified caller.
//!
//! The directory may not know yet what a command did a moment ago: an issuer or key that is not found makes it look
//! once more before the request is refused.

use std::sync::Arc;

use poem::http::{HeaderMap, header};
use vitals_access::{access::Access, refusal::Refusal, verifier::Base};

use crate::state::App;

/// Longest credential that is read; a token may have 8,192 bytes.
const MAX_HEADER: usize = 8_192 + 64;

/// The token of a request, sent in the one way there is.
pub fn token<'h>(headers: &'h HeaderMap, query: &[(String, String)]) -> Result<&'h str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let in_query = query.iter().any(|(name, _)| name == "access_token");
    let Some(value) = values.next() else {
        return Err(if in_query {
            Refusal::BadRequest("send the token in the Authorization header, never in an address")
        } else {
            Refusal::NoCredentials
        });
    };
    if values.next().is_some() || in_query {
        return Err(Refusal::BadRequest("send the token once, in one Authorization header"));
    }
    if value.len() > MAX_HEADER {
        return Err(Refusal::invalid("the token is too long"));
    }
    let Ok(text) = value.to_str() else { return Err(Refusal::invalid("the token is not text")) };
    let Some((scheme, token)) = text.split_once(' ') else {
        return Err(Refusal::invalid("the Authorization header holds no token"));
    };
    if scheme.eq_ignore_ascii_case("Bearer") {
        // A second credential behind a comma is a second way of sending one.
        if token.contains(',') {
            return Err(Refusal::BadRequest("send one token"));
        }
        return Ok(token);
    }
    Err(Refusal::invalid("this kind of credential is not offered: send Authorization: Bearer"))
}

/// Verifies the caller.
pub async fn verify(app: &App, token: &str, base: &Base) -> Result<Arc<Access>, Unverified> {
    let mut refreshed = false;
    let mut fetched = false;
    loop {
        let directory = app.directory().map_err(|_| Unverified::Unavailable)?;
        match app.verifier.verify(&directory, token, base) {
            Ok(access) => return Ok(Arc::new(access)),
            Err(Refusal::UnknownIssuer(_)) if !refreshed => {
                refreshed = true;
                app.feed.refresh().await.map_err(|_| Unverified::Unavailable)?;
            }
            Err(Refusal::UnknownKey { issuer }) if !fetched => {
                fetched = true;
                app.refresh_keys(&issuer).await;
            }
            Err(Refusal::UnknownKey { issuer }) if app.keys_unavailable(&issuer) => {
                return Err(Unverified::Unavailable);
            }
            Err(refusal) => return Err(Unverified::Refused(refusal)),
        }
    }
}

/// Why there is no caller.
pub enum Unverified {
    /// The credential is missing or not good.
    Refused(Refusal),
    /// It cannot be judged now, which is no reason to let it in.
    Unavailable,
}
