//! Who may vouch for client certificates at one moment: the server's authorities and those of its tenants.
//!
//! Each authority judges alone, so that a certificate carries the name of every one that vouches for it and no tenant's
//! authority lends anything to another's. Only those are asked that issued one of the certificates shown.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use rustls::{
    CertificateError, Error, RootCertStore,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, UnixTime,
        pem::{PemObject as _, SectionKind},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use vitals_access::proof::{Anchor, ClientCertificate};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use super::provider;
use crate::config::ClientAuth;

/// Certificates that a client may show: its own, six between, and the authority's, as far as paths are followed at all.
const MAX_CHAIN: usize = 8;
/// Authorities of one owner.
const MAX_AUTHORITIES: usize = 16;

/// Why a text of authorities is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not PEM.
    #[error("is not PEM")]
    NotPem,
    /// There is no certificate in it.
    #[error("holds no certificate")]
    Empty,
    /// There are too many.
    #[error("holds more than {MAX_AUTHORITIES} certificates")]
    TooMany,
    /// One of them is none.
    #[error("holds a certificate that cannot be read")]
    Certificate,
    /// A revocation list cannot be used.
    #[error("holds a revocation list that cannot be read (RFC 5280 wants version 2, with a number), or none at all")]
    RevocationList,
}

/// Authorities of one owner with their revocation lists, as PEM has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Bundle {
    certificates: Vec<Vec<u8>>,
    revoked: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads certificates, and revocation lists that stand among them.
    pub(super) fn read(pem: &[u8]) -> Result<Self, Rejected> {
        let mut bundle = Self::default();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section.map_err(|_| Rejected::NotPem)? {
                (SectionKind::Certificate, der) => bundle.certificates.push(der),
                (SectionKind::Crl, der) => bundle.revoked.push(der),
                _ => {}
            }
        }
        match bundle.certificates.len() {
            0 => Err(Rejected::Empty),
            count if count > MAX_AUTHORITIES => Err(Rejected::TooMany),
            _ => Ok(bundle),
        }
    }

    /// Whether there is nothing in it that cannot be used.
    pub(super) fn check(&self) -> Result<(), Rejected> {
        Authorities::of([(Anchor::Server, Arc::new(self.clone()))], HashSet::new(), ClientAuth::Optional).map(drop)
    }

    /// Adds the revocation lists of another text.
    pub(super) fn revoke(&mut self, pem: &[u8]) -> Result<(), Rejected> {
        let before = self.revoked.len();
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            self.revoked.push(list.map_err(|_| Rejected::NotPem)?.to_vec());
        }
        if self.revoked.len() == before { Err(Rejected::RevocationList) } else { Ok(()) }
    }
}

/// Whoever vouches for client certificates.
pub struct Authorities {
    by_subject: HashMap<Vec<u8>, Vec<Authority>>,
    /// Thumbprints of certificates that sign themselves and that a client registered.
    registered: HashSet<[u8; 32]>,
    auth: ClientAuth,
}

struct Authority {
    anchors: Vec<Anchor>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    /// No one.
    pub(super) fn nobody() -> Self {
        Self { by_subject: HashMap::new(), registered: HashSet::new(), auth: ClientAuth::Optional }
    }

    /// Puts them together: every owner's authorities judge with the owner's own revocation lists.
    pub(super) fn of(
        owners: impl IntoIterator<Item = (Anchor, Arc<Bundle>)>,
        registered: HashSet<[u8; 32]>,
        auth: ClientAuth,
    ) -> Result<Self, Rejected> {
        // Tenants of one group of hospitals may share an authority; it is asked once for all of them.
        let mut merged: BTreeMap<Bundle, Vec<Anchor>> = BTreeMap::new();
        for (anchor, bundle) in owners {
            for certificate in &bundle.certificates {
                let alone = Bundle { certificates: vec![certificate.clone()], revoked: bundle.revoked.clone() };
                let anchors = merged.entry(alone).or_default();
                if !anchors.contains(&anchor) {
                    anchors.push(anchor.clone());
                }
            }
        }
        let mut by_subject: HashMap<Vec<u8>, Vec<Authority>> = HashMap::new();
        for (alone, anchors) in merged {
            for certificate in alone.certificates {
                let subject = names(&certificate).map_err(|_| Rejected::Certificate)?.subject;
                let verifier = verifier(certificate, alone.revoked.clone())?;
                by_subject.entry(subject).or_default().push(Authority { anchors: anchors.clone(), verifier });
            }
        }
        Ok(Self { by_subject, registered, auth })
    }

    /// Whether clients are asked for a certificate. Where none could be accepted none is asked for: browsers would
    /// bother their users with the question.
    pub fn asks(&self) -> bool {
        !self.by_subject.is_empty() || !self.registered.is_empty()
    }

    /// Whether a connection needs one.
    pub fn demands(&self) -> bool {
        self.asks() && self.auth == ClientAuth::Required
    }

    /// Judges a certificate and its chain: the certificate with everybody who vouches for it, or why nobody does.
    pub fn judge(
        &self,
        end: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertificate, Error> {
        if rest.len() >= MAX_CHAIN {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let mut anchors = Vec::new();
        let mut refused: Error = CertificateError::UnknownIssuer.into();
        let mut issuers = HashSet::new();
        for shown in std::iter::once(end).chain(rest) {
            issuers.insert(names(shown)?.issuer);
        }
        for authority in issuers.iter().filter_map(|issuer| self.by_subject.get(issuer)).flatten() {
            match authority.verifier.verify_client_cert(end, rest, now) {
                Ok(_) => {
                    for anchor in &authority.anchors {
                        if !anchors.contains(anchor) {
                            anchors.push(anchor.clone());
                        }
                    }
                }
                // What an authority says of its own certificate, not what another of its name does.
                Err(error) if !is_of_nobody(&error) => refused = error,
                Err(_) => {}
            }
        }
        if anchors.is_empty() {
            return self.registered(end, now).ok_or(refused);
        }
        ClientCertificate::read(end, anchors).map_err(|_| CertificateError::BadEncoding.into())
    }

    /// A certificate that nobody but itself vouches for, where a client registered exactly this one (RFC 8705,
    /// section 2.2): its dates still count, nothing else in it does.
    fn registered(&self, end: &CertificateDer<'_>, now: UnixTime) -> Option<ClientCertificate> {
        names(end).ok().filter(|names| names.subject == names.issuer)?;
        let certificate = ClientCertificate::read(end, vec![Anchor::None]).ok()?;
        let now = i64::try_from(now.as_secs()).ok().and_then(|now| chrono::DateTime::from_timestamp(now, 0))?;
        (self.registered.contains(certificate.thumbprint()) && certificate.is_valid_at(now)).then_some(certificate)
    }
}

/// Whether a refusal says no more than that no authority asked has signed the chain.
pub(crate) fn is_of_nobody(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature))
}

fn verifier(certificate: Vec<u8>, revoked: Vec<Vec<u8>>) -> Result<Arc<dyn ClientCertVerifier>, Rejected> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.into()).map_err(|_| Rejected::Certificate)?;
    // With lists at all, every certificate below the authority needs one that is not out of date, as in OpenSSL.
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .with_crls(revoked.into_iter().map(CertificateRevocationListDer::from))
        .enforce_revocation_expiration()
        .build()
        .map_err(|_| Rejected::RevocationList)
}

/// The two names that make chains.
struct Names {
    subject: Vec<u8>,
    issuer: Vec<u8>,
}

fn names(der: &[u8]) -> Result<Names, Error> {
    let read = |der| -> Result<Names, x509_cert::der::Error> {
        let certificate = Certificate::from_der(der)?;
        let certificate = certificate.tbs_certificate();
        Ok(Names { subject: certificate.subject().to_der()?, issuer: certificate.issuer().to_der()? })
    };
    read(der).map_err(|_| CertificateError::BadEncoding.into())
}
