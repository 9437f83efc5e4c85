//! The files of a listener that speaks TLS. They are read together, and what is wrong with one is said in a sentence
//! that names it.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use vitals_access::proof::ClientCertificate;

use super::{
    authorities::{Bundle, Rejected},
    provider,
};
use crate::config::{ClientAuth, TlsFiles};

/// A certificate that ends sooner is worth a word.
const ENDS_SOON: TimeDelta = TimeDelta::days(14);

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{option}: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read the key.
    #[error("--tls-key: others can read {}; make it private with chmod 600", .0.display())]
    Exposed(PathBuf),
    /// There is no certificate.
    #[error("--tls-cert: {} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The certificate cannot be read.
    #[error("--tls-cert: the certificate in {} cannot be read", .0.display())]
    Certificate(PathBuf),
    /// There is no key, or one of a kind that is not supported.
    #[error("--tls-key: {} holds no private key in PEM that can be used (RSA, ECDSA P-256, P-384 or P-521, Ed25519; without a pass phrase)", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key are of two pairs.
    #[error("--tls-key: the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        certificate: PathBuf,
    },
    /// A file about clients is no good.
    #[error("{option}: {} {why}", path.display())]
    Clients {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What it does wrong.
        why: Rejected,
    },
}

/// What tells a file from the same file after a change; nothing for one that is not there.
pub(super) type Mark = Option<(u64, u64, i64, i64)>;

/// The files as they were read.
pub struct Loaded {
    files: TlsFiles,
    /// From before they were read, so that no change goes unseen.
    marks: Vec<Mark>,
    identity: Arc<CertifiedKey>,
    /// The server's own certificate; nobody vouches for it here.
    certificate: ClientCertificate,
    clients: Option<(Arc<Bundle>, ClientAuth)>,
}

impl Loaded {
    /// Reads the files.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let marks = marks(files);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&read("--tls-cert", &files.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::NoCertificate(files.certificate.clone()))?;
        let own = chain.first().ok_or_else(|| TlsError::NoCertificate(files.certificate.clone()))?;
        let certificate =
            ClientCertificate::read(own, Vec::new()).map_err(|_| TlsError::Certificate(files.certificate.clone()))?;
        let text = read("--tls-key", &files.key)?;
        if mode("--tls-key", &files.key)? & 0o077 != 0 {
            return Err(TlsError::Exposed(files.key.clone()));
        }
        let no_key = || TlsError::NoKey(files.key.clone());
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| no_key())?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| no_key())?;
        let identity = CertifiedKey::new(chain, key);
        identity
            .keys_match()
            .map_err(|_| TlsError::Mismatch { key: files.key.clone(), certificate: files.certificate.clone() })?;
        Ok(Self { files: files.clone(), marks, identity: Arc::new(identity), certificate, clients: clients(files)? })
    }

    /// What an operator should know about the certificate, if anything.
    pub fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let path = self.files.certificate.display();
        if !self.certificate.is_valid_at(now) {
            return Some(format!("the certificate in {path} is expired or not valid yet: clients will refuse it"));
        }
        let soon = !self.certificate.is_valid_at(now + ENDS_SOON);
        soon.then(|| format!("the certificate in {path} expires within {} days", ENDS_SOON.num_days()))
    }

    /// The server's certificate and key.
    pub(super) fn identity(&self) -> &Arc<CertifiedKey> {
        &self.identity
    }

    /// The authorities of its clients, and whether each needs a certificate.
    pub(super) fn clients(&self) -> Option<(&Arc<Bundle>, ClientAuth)> {
        self.clients.as_ref().map(|(bundle, auth)| (bundle, *auth))
    }

    /// The marks of the files when it was read.
    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Where it was read from.
    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }
}

/// The mark of each file.
pub(super) fn marks(files: &TlsFiles) -> Vec<Mark> {
    let clients = files.clients.iter().flat_map(|clients| [Some(&clients.certificates), clients.revoked.as_ref()]);
    let paths = [Some(&files.certificate), Some(&files.key)].into_iter().chain(clients).flatten();
    let mark = |about: fs::Metadata| (about.ino(), about.len(), about.mtime(), about.mtime_nsec());
    paths.map(|path| fs::metadata(path).ok().map(mark)).collect()
}

fn clients(files: &TlsFiles) -> Result<Option<(Arc<Bundle>, ClientAuth)>, TlsError> {
    let Some(clients) = &files.clients else { return Ok(None) };
    let wrong = |option, path: &Path| {
        let path = path.to_owned();
        move |why| TlsError::Clients { option, path, why }
    };
    let authorities = &clients.certificates;
    let mut bundle =
        Bundle::read(&read("--tls-client-ca", authorities)?).map_err(wrong("--tls-client-ca", authorities))?;
    bundle.check().map_err(wrong("--tls-client-ca", authorities))?;
    if let Some(revoked) = &clients.revoked {
        bundle.revoke(&read("--tls-client-crl", revoked)?).map_err(wrong("--tls-client-crl", revoked))?;
        bundle.check().map_err(wrong("--tls-client-crl", revoked))?;
    }
    Ok(Some((Arc::new(bundle), clients.auth)))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { option, path: path.to_owned(), source })
}

fn mode(option: &'static str, path: &Path) -> Result<u32, TlsError> {
    let about = fs::metadata(path).map_err(|source| TlsError::Unreadable { option, path: path.to_owned(), source })?;
    Ok(about.permissions().mode())
}
