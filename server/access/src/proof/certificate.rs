//! A client certificate (RFC 5280) whose holder showed that the private key is theirs, to us or to a proxy that we
//! believe. Whether its chain is any good was judged before there is one of these; what it chains to stands in it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr as _,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use crate::{hash::sha256, tenant::TenantRole};

/// Who vouches for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// An authority of the server's operator, or a proxy of theirs: good for every tenant.
    Server,
    /// An authority of one tenant.
    Tenant(TenantRole),
    /// Nobody: it signs itself, and is good for nothing but a client that registered exactly this one.
    None,
}

/// A name of the certificate's holder beside the subject (subjectAltName).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A host.
    Dns(String),
    /// A URI.
    Uri(String),
    /// An address of the network.
    Ip(IpAddr),
    /// An address of electronic mail.
    Email(String),
}

/// The bytes are no certificate that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate (RFC 5280)")]
pub struct NotACertificate;

/// A client certificate, proven.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    thumbprint: [u8; 32],
    subject: String,
    names: Vec<SubjectName>,
    anchors: Vec<Anchor>,
    not_before: i64,
    not_after: i64,
}

impl ClientCertificate {
    /// Reads a certificate that was judged, with who vouches for it.
    pub fn read(der: &[u8], anchors: Vec<Anchor>) -> Result<Self, NotACertificate> {
        let certificate = Certificate::from_der(der).map_err(|_| NotACertificate)?;
        let certificate = certificate.tbs_certificate();
        let names = match certificate.get_extension::<SubjectAltName>() {
            Ok(found) => found.map(|(_, SubjectAltName(names))| names).unwrap_or_default(),
            Err(_) => return Err(NotACertificate),
        };
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| NotACertificate);
        Ok(Self {
            thumbprint: sha256(&[der]),
            subject: certificate.subject().to_string(),
            names: names.iter().filter_map(name).collect(),
            anchors,
            not_before: seconds(certificate.validity().not_before)?,
            not_after: seconds(certificate.validity().not_after)?,
        })
    }

    /// SHA-256 of the certificate (`x5t#S256`, RFC 8705 section 3.1).
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The same in base64url, as tokens and records have it.
    pub fn thumbprint_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint)
    }

    /// Whether this is the certificate of a thumbprint in base64url.
    pub fn has_thumbprint(&self, text: &str) -> bool {
        verify_slices_are_equal(self.thumbprint_text().as_bytes(), text.as_bytes()).is_ok()
    }

    /// The subject as RFC 4514 writes it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether this is its subject, however RFC 4514 lets it be written.
    pub fn has_subject(&self, text: &str) -> bool {
        !self.subject.is_empty() && Name::from_str(text).is_ok_and(|name| name.to_string() == self.subject)
    }

    /// Its holder's other names.
    pub fn names(&self) -> &[SubjectName] {
        &self.names
    }

    /// Who vouches for it.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Whether an authority vouches for it that this tenant believes: the server's, or its own.
    pub fn is_vouched_for(&self, tenant: &TenantRole) -> bool {
        self.anchors.iter().any(|anchor| match anchor {
            Anchor::Server => true,
            Anchor::Tenant(role) => role == tenant,
            Anchor::None => false,
        })
    }

    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        (self.not_before..=self.not_after).contains(&now.timestamp())
    }
}

/// The thumbprint alone: a subject may be a person's name.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.thumbprint_text()).finish()
    }
}

fn name(name: &GeneralName) -> Option<SubjectName> {
    Some(match name {
        GeneralName::DnsName(name) => SubjectName::Dns(name.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => SubjectName::Uri(uri.to_string()),
        GeneralName::Rfc822Name(address) => SubjectName::Email(address.to_string()),
        GeneralName::IpAddress(octets) => SubjectName::Ip(match *octets.as_bytes() {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
            ref bytes => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
