//! From the headers of a request to a verified caller.
//!
//! The directory may not know yet what a command did a moment ago: an issuer or key that is not found makes it look
//! once more before the request is refused.

use std::sync::Arc;

use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use vitals_access::{
    access::Access,
    directory::Directory,
    proof::{Circumstances, Credential, RequestOrigin},
    refusal::Refusal,
    verifier::{Base, Delegated},
};

use super::request::Incoming;
use crate::state::App;

/// Longest credential that is read; a token may have 8,192 bytes.
const MAX_HEADER: usize = 8_192 + 64;
/// Where a proof comes (RFC 9449, section 4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Where the nonce for the next proof goes (RFC 9449, section 8).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The credential of a request, sent in the one way there is.
pub fn credential<'h>(headers: &'h HeaderMap, query: &[(String, String)]) -> Result<Credential<'h>, Refusal> {
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
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !(is("Bearer") || is("DPoP") || is("ApiKey")) {
        return Err(Refusal::invalid("this kind of credential is not offered: send Authorization: Bearer"));
    }
    // A second credential behind a comma is a second way of sending one.
    if token.contains(',') {
        return Err(Refusal::BadRequest("send one token"));
    }
    Ok(if is("Bearer") {
        Credential::Bearer(token)
    } else if is("DPoP") {
        Credential::Dpop { token, proof: proof(headers)? }
    } else {
        Credential::ApiKey(token)
    })
}

/// The one proof of a request.
pub fn proof(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut proofs = headers.get_all(DPOP).iter();
    match (proofs.next().map(HeaderValue::to_str), proofs.next()) {
        (Some(Ok(proof)), None) => Ok(proof),
        _ => Err(Refusal::proof("a token that is bound to a key needs one proof, in a DPoP header")),
    }
}

/// Whether the request shows a proof, or a token that needs one.
pub fn uses_proof(headers: &HeaderMap) -> bool {
    if headers.contains_key(DPOP) {
        return true;
    }
    let scheme = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().get(..5));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"DPoP "))
}

/// Offers the nonce of now to who sends proofs, whatever became of the request.
pub fn offer_nonce(app: &App, response: &mut Response) {
    if let Ok(nonce) = HeaderValue::from_str(&app.verifier.nonce()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}

/// The verified caller of a request that came to a base.
pub async fn caller(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &Base,
) -> Result<Arc<Access>, Unverified> {
    let credential = credential(&incoming.headers, query).map_err(Unverified::Refused)?;
    let url = format!("{}{}", app.public_url, incoming.path);
    let circumstances = circumstances(incoming, base, &url);
    verify(app, &credential, &circumstances).await
}

/// The verified caller of a request to several tenants, and which of them let it in.
pub async fn callers(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &Base,
) -> Result<Delegated, Unverified> {
    let credential = credential(&incoming.headers, query).map_err(Unverified::Refused)?;
    let url = format!("{}{}", app.public_url, incoming.path);
    let circumstances = circumstances(incoming, base, &url);
    judged(app, |directory| app.verifier.delegated(directory, &credential, &circumstances)).await
}

fn circumstances<'a>(incoming: &'a Incoming, base: &'a Base, url: &'a str) -> Circumstances<'a> {
    Circumstances {
        base,
        method: incoming.method.as_str(),
        url,
        certificate: incoming.certificate.as_deref(),
        origin: RequestOrigin::Network,
    }
}

/// Verifies a credential in its circumstances.
pub async fn verify(
    app: &App,
    credential: &Credential<'_>,
    circumstances: &Circumstances<'_>,
) -> Result<Arc<Access>, Unverified> {
    judged(app, |directory| app.verifier.verify(directory, credential, circumstances)).await.map(Arc::new)
}

/// What is judged of a credential; by a directory that was looked at again where it knew too little.
async fn judged<T>(app: &App, judge: impl Fn(&Directory) -> Result<T, Refusal>) -> Result<T, Unverified> {
    let mut refreshed = false;
    let mut fetched = false;
    loop {
        let directory = app.directory().map_err(|_| Unverified::Unavailable)?;
        match judge(&directory) {
            Ok(judged) => return Ok(judged),
            Err(Refusal::UnknownIssuer(_) | Refusal::UnknownApiKey) if !refreshed => {
                refreshed = true;
                app.feed.refresh().await.map_err(|_| Unverified::Unavailable)?;
            }
            Err(Refusal::UnknownKey { issuer }) if !fetched => {
                fetched = true;
                app.refresh_keys(&issuer).await.map_err(|_| Unverified::Unavailable)?;
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
