//! The certificates of clients: what one of a trusted authority has to say, and which ones a client signs itself (RFC
//! 8705, section 2).

use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

/// Members of a JWK that are nobody else's business (RFC 7518, section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// What a certificate has to say of its holder (RFC 8705, section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateName<'n> {
    /// Its subject, as RFC 4514 writes it.
    Subject(&'n str),
    /// A host among its other names.
    Dns(&'n str),
    /// A URI among its other names.
    Uri(&'n str),
    /// An address of the network among its other names.
    Ip(std::net::IpAddr),
    /// An address of electronic mail among its other names.
    Email(&'n str),
}

impl<'n> CertificateName<'n> {
    /// Reads it as it is registered: `subject_dn:CN=…`, `san_dns:…`, `san_uri:…`, `san_ip:…`, `san_email:…`.
    pub fn read(text: &'n str) -> Option<Self> {
        let (kind, value) = text.split_once(':').filter(|(_, value)| !value.is_empty() && value.len() <= 1_000)?;
        match kind {
            "subject_dn" => Some(Self::Subject(value)),
            "san_dns" => Some(Self::Dns(value)),
            "san_uri" => Some(Self::Uri(value)),
            "san_ip" => value.parse().ok().map(Self::Ip),
            "san_email" => Some(Self::Email(value)),
            _ => None,
        }
    }
}

fn keys(jwks: &str) -> Vec<Value> {
    let document: Option<Value> = serde_json::from_str(jwks).ok();
    document.and_then(|mut set| set["keys"].as_array_mut().map(std::mem::take)).unwrap_or_default()
}

/// Whether a key set holds what must never leave its owner.
pub(super) fn holds_private_keys(jwks: &str) -> bool {
    keys(jwks).iter().any(|key| PRIVATE.iter().any(|member| key.get(member).is_some()))
}

/// The thumbprints (`x5t#S256`) of the certificates in a key set: the first of each `x5c`.
pub(super) fn thumbprints(jwks: &str) -> Vec<String> {
    let first = |key: &Value| STANDARD.decode(key["x5c"][0].as_str()?).ok();
    let certificates = keys(jwks).iter().filter_map(first).collect::<Vec<_>>();
    certificates.iter().map(|der| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, der))).collect()
}

/// Whether a certificate is one of a key set, by its thumbprint in base64url.
pub fn is_registered(jwks: &str, thumbprint: &str) -> bool {
    thumbprints(jwks).iter().any(|registered| crate::authorization::secrets::same(registered, thumbprint))
}
