//! What the tokens of a request are bound to: the key of its DPoP proof (RFC 9449, section 5), its client's certificate
//! (RFC 8705, section 3), or both.

use poem::http::StatusCode;
use serde_json::Value;
use vitals_access::dpop::{self, DpopError, DpopExpected, DpopProof};
use vitals_store::authorization::{Authentication, Client};

use super::{Asked, OauthError};
use crate::authorization::{secrets, tokens::Binding};

/// How long a proof may come again after it was made: the window on both sides.
const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::seconds(180);
/// Carries the proof.
const DPOP: &str = "dpop";

/// What tokens for this client are bound to, in this request.
pub(super) async fn of(asked: &Asked<'_>, client: &Client) -> Result<Binding, OauthError> {
    let is_demanded = client.require_proof || asked.tenant.settings.require_proof;
    let proof = proof(asked, is_demanded)?;
    if let Some(proof) = &proof {
        remember(asked, proof).await?;
    }
    let jkt = proof.map(|proof| proof.jkt_text());
    let x5t = thumbprint(asked, client, is_demanded && jkt.is_none())?;
    let binding = Binding { jkt, x5t };
    if is_demanded && !binding.is_bound() {
        return Err(invalid_proof("Tokens here are bound to a key: send a DPoP proof, or show a client certificate."));
    }
    Ok(binding)
}

/// The proof in the request's header, if there is one, judged but for its memory.
fn proof(asked: &Asked<'_>, needs_nonce: bool) -> Result<Option<DpopProof>, OauthError> {
    let mut values = asked.incoming.headers.get_all(DPOP).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let text = text.ok_or_else(|| invalid_proof("There may be one DPoP header."))?;
    let url = format!("{}{}", asked.app.public_url, asked.incoming.path);
    let now = asked.app.clock.now();
    let accepts = |nonce: &str| {
        if nonce.is_empty() { !needs_nonce } else { asked.app.desk.nonces.accepts(nonce, now) }
    };
    let expected =
        DpopExpected { method: asked.incoming.method.as_str(), url: &url, now, access_token: None, nonce: &accepts };
    match dpop::check(text, &expected) {
        Ok(proof) => Ok(Some(proof)),
        Err(DpopError::Invalid(reason)) => Err(invalid_proof(&format!("The DPoP proof is refused: {reason}."))),
        Err(DpopError::UseNonce) => {
            // The header stands in every answer to a request with a proof.
            let description = "The DPoP proof must hold the nonce in the header DPoP-Nonce.";
            Err(OauthError::named(StatusCode::BAD_REQUEST, "use_dpop_nonce", description))
        }
    }
}

/// A proof is good once, on every replica.
async fn remember(asked: &Asked<'_>, proof: &DpopProof) -> Result<(), OauthError> {
    let now = asked.app.clock.now();
    let mark = secrets::hash(&format!("dpop {} {}", proof.jkt_text(), proof.jti));
    let is_new = asked.app.pool.authorization_once(asked.tenant).await?.see(&mark, now + REMEMBERED, now).await?;
    if is_new { Ok(()) } else { Err(invalid_proof("The DPoP proof was used before.")) }
}

/// The thumbprint of the certificate to bind to: of a client that proves itself by it, or registered that it wants this,
/// or has to bind its tokens to something.
fn thumbprint(asked: &Asked<'_>, client: &Client, needed: bool) -> Result<Option<String>, OauthError> {
    let by_certificate =
        matches!(client.authentication, Authentication::TlsClientAuth | Authentication::SelfSignedTlsClientAuth);
    let wanted = wants_certificate_binding(client);
    let certificate = asked.incoming.certificate.as_ref();
    if wanted && certificate.is_none() {
        return Err(OauthError::invalid_request("This client's tokens are bound to its certificate: show it."));
    }
    let binds = by_certificate || wanted || needed;
    Ok(certificate.filter(|_| binds).map(|certificate| certificate.thumbprint_text()))
}

fn wants_certificate_binding(client: &Client) -> bool {
    let metadata: Value = serde_json::from_str(&client.metadata).unwrap_or_default();
    metadata["tls_client_certificate_bound_access_tokens"] == true
}

fn invalid_proof(description: &str) -> OauthError {
    OauthError::named(StatusCode::BAD_REQUEST, "invalid_dpop_proof", description)
}
