//! Authorities and certificates of a test's own, files of them, and clients that show them.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use vitals_server::config::{ClientAuth, ClientAuthorities, TlsFiles};

/// Whoever signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Itself and those above it, but for the root.
    chain: Vec<CertificateDer<'static>>,
}

/// A certificate, what is sent behind it, and its key.
#[derive(Clone)]
pub struct Holder {
    /// The certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    key: Arc<KeyPair>,
    serial: SerialNumber,
}

fn params(name: &str) -> CertificateParams {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SERIAL.fetch_add(1, Ordering::Relaxed).into());
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Authority {
    /// One that nobody is above.
    pub fn named(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(name), key()).expect("a certificate");
        Self { issuer, chain: Vec::new() }
    }

    /// One below this.
    pub fn below(&self, name: &str) -> Self {
        let issuer = CertifiedIssuer::signed_by(authority(name), key(), &self.issuer).expect("a certificate");
        let chain = [vec![issuer.der().clone()], self.chain.clone()].concat();
        Self { issuer, chain }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate of a server on this machine.
    pub fn server(&self) -> Holder {
        self.sign("server", |params| {
            params.subject_alt_names = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("names")
                .subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    /// Signs a certificate of a client.
    pub fn client(&self, name: &str) -> Holder {
        self.sign(name, |_| ())
    }

    /// Signs a certificate of a client that is otherwise.
    pub fn sign(&self, name: &str, otherwise: impl FnOnce(&mut CertificateParams)) -> Holder {
        let (mut params, key) = (params(name), key());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        otherwise(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = [vec![certificate.der().clone()], self.chain.clone()].concat();
        Holder { chain, key: Arc::new(key), serial: params.serial_number.expect("it was set") }
    }

    /// Its own certificate as somebody's.
    pub fn itself(&self) -> Holder {
        let key = KeyPair::try_from(self.issuer.key().serialized_der()).expect("the same key");
        Holder { chain: vec![self.issuer.der().clone()], key: Arc::new(key), serial: 0.into() }
    }

    /// The list of those it revoked, good until the year 2200.
    pub fn revoking(&self, holders: &[&Holder]) -> String {
        self.revoking_until(holders, 2200)
    }

    /// The same, good until the end of a year.
    pub fn revoking_until(&self, holders: &[&Holder], year: i32) -> String {
        let revoked = |holder: &&Holder| RevokedCertParams {
            serial_number: holder.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 12, 31),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: holders.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer: &Issuer<'_, KeyPair> = &self.issuer;
        list.signed_by(issuer).expect("a list").pem().expect("PEM")
    }

    /// What a client checks a server by.
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        roots
    }

    /// A client that trusts this authority's servers and shows a certificate, if it has one.
    pub fn config(&self, holder: Option<&Holder>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(self.roots());
        match holder {
            None => builder.with_no_client_auth(),
            Some(holder) => builder.with_client_cert_resolver(holder.resolver()),
        }
    }

    /// The same as an HTTP client, which takes the best version.
    pub fn http(&self, holder: Option<&Holder>) -> reqwest::Client {
        self.http_with(holder, |builder| builder)
    }

    /// The same, with something else about it.
    pub fn http_with(
        &self,
        holder: Option<&Holder>,
        with: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> reqwest::Client {
        let mut config = self.config(holder, &[&rustls::version::TLS13, &rustls::version::TLS12]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        with(builder.tls_backend_preconfigured(config)).build().expect("a client")
    }
}

impl Holder {
    /// One that signs itself.
    pub fn of_itself(name: &str) -> Self {
        Self::of_itself_with(name, |_| ())
    }

    /// One that signs itself and is otherwise.
    pub fn of_itself_with(name: &str, otherwise: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (params(name), key());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        otherwise(&mut params);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { chain: vec![certificate.der().clone()], key: Arc::new(key), serial: 0.into() }
    }

    /// This certificate with another's key.
    #[must_use]
    pub fn with_the_key_of(mut self, other: &Self) -> Self {
        self.key = Arc::clone(&other.key);
        self
    }

    /// SHA-256 of the certificate in base64url, as tokens and records have it.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(aws_lc_rs_digest(&self.chain[0]))
    }

    /// The certificate and its chain in PEM.
    pub fn pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// The key in PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Whether or not the key is that of the certificate.
    fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialized_der().to_vec()));
        let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(self.chain.clone(), key)))
    }
}

fn aws_lc_rs_digest(bytes: &[u8]) -> Vec<u8> {
    ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

/// DER in PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A folder for files of TLS, gone when it is dropped.
pub struct Folder(PathBuf);

impl Default for Folder {
    fn default() -> Self {
        let path = std::env::temp_dir().join(format!("vitals-test-tls-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Folder {
    /// Writes a file that only we can read, as an operator replaces one: beside, then into its place.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, beside) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).expect("a file");
        file.write_all(text.as_bytes()).expect("it is written");
        std::fs::rename(&beside, &path).expect("it is put into place");
        path
    }

    /// The files of a server that asks nobody for a certificate.
    pub fn server(&self, server: &Holder) -> TlsFiles {
        let certificate = self.write("server.pem", &server.pem());
        TlsFiles { certificate, key: self.write("server.key", &server.key_pem()), clients: None }
    }

    /// The files of a server whose clients have certificates of an authority; `revoked` are its lists, if there are any.
    pub fn server_with(
        &self,
        server: &Holder,
        clients: &Authority,
        auth: ClientAuth,
        revoked: Option<&str>,
    ) -> TlsFiles {
        let clients = ClientAuthorities {
            certificates: self.write("clients.pem", &clients.pem()),
            revoked: revoked.map(|lists| self.write("clients.crl", lists)),
            auth,
        };
        TlsFiles { clients: Some(clients), ..self.server(server) }
    }
}
