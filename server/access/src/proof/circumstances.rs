//! What a request shows: its credential, and what the credential may be bound to.

use super::ClientCertificate;
use crate::verifier::Base;

/// A credential as it was sent.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// `Authorization: Bearer` (RFC 6750).
    Bearer(&'a str),
    /// `Authorization: DPoP` (RFC 9449).
    Dpop {
        /// The access token.
        token: &'a str,
        /// The proof in the `DPoP` header.
        proof: &'a str,
    },
    /// `Authorization: ApiKey`.
    ApiKey(&'a str),
}

/// Nothing of what is secret.
impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Dpop { .. } => "DPoP",
            Self::ApiKey(_) => "ApiKey",
        })
    }
}

/// The request around a credential.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The base it came to.
    pub base: &'a Base,
    /// Its method.
    pub method: &'a str,
    /// Its address below the public URL, without the query.
    pub url: &'a str,
    /// The client certificate of its connection.
    pub certificate: Option<&'a ClientCertificate>,
    /// Whether it came over the network.
    pub origin: RequestOrigin,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// From a client.
    Network,
    /// From ourselves, with a token that was signed a moment ago and never left the process: what a tenant demands of
    /// those who come over the network is not demanded of it. What the token itself is bound to is.
    Inside,
}

impl<'a> Circumstances<'a> {
    /// Those of a token that we signed for our own use, such as a page that shows a person their patients.
    pub const fn inside(base: &'a Base) -> Self {
        Self { base, method: "GET", url: "", certificate: None, origin: RequestOrigin::Inside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_shows_its_kind_alone() {
        let shown = [
            Credential::Bearer("secret"),
            Credential::Dpop { token: "secret", proof: "secret" },
            Credential::ApiKey("secret"),
        ]
        .map(|credential| format!("{credential:?}"));
        assert_eq!(shown, ["Bearer", "DPoP", "ApiKey"]);
    }
}
