//! Where an issuer publishes its keys, as it says itself (OpenID Connect Discovery 1.0, section 4).

use serde::Deserialize;

use super::{Egress, EgressError};

/// What an issuer says of itself, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Discovered {
    /// Its name, which is the one it was asked by.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where people sign in, if they do.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where tokens are.
    #[serde(default)]
    pub token_endpoint: Option<String>,
}

/// Why an issuer could not be discovered.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Its document could not be fetched.
    #[error("the issuer's .well-known/openid-configuration: {0}")]
    Fetch(#[from] EgressError),
    /// The document is something else.
    #[error("the issuer's .well-known/openid-configuration names no issuer or no jwks_uri")]
    Form,
    /// It speaks for another issuer (section 4.3): who could answer here would vouch for tokens of that one.
    #[error("the document found there is that of another issuer, {0}: give the issuer exactly so")]
    OtherIssuer(String),
    /// Its keys are somewhere that is not fetched from.
    #[error("the jwks_uri of the issuer: {0}")]
    Keys(#[source] EgressError),
}

impl Egress {
    /// Asks an issuer where its keys are.
    pub async fn discover(&self, issuer: &str) -> Result<Discovered, DiscoveryError> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let text = self.get_json(&address).await?;
        let discovered: Discovered = serde_json::from_str(&text).map_err(|_| DiscoveryError::Form)?;
        if discovered.issuer != issuer {
            return Err(DiscoveryError::OtherIssuer(printable(&discovered.issuer)));
        }
        Self::check_url(&discovered.jwks_uri).map_err(DiscoveryError::Keys)?;
        Ok(discovered)
    }
}

/// As much of a stranger's text as a person reads.
fn printable(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(200).collect()
}
