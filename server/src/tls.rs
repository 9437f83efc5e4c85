//! TLS of the listeners: rustls with aws-lc, versions 1.2 and 1.3 with their forward-secret AEAD suites, which is all
//! that rustls has; it knows no renegotiation and no compression.
//!
//! The files are looked at every second. What changed is read again as a whole: where that fails the old stays, so that
//! a certificate whose key comes a moment later takes nobody's connection. Sessions are not resumed where client
//! certificates are asked for: a resumed session would carry the word of an authority that is believed no longer.
//! Connections that are open when the authorities change are judged again, and end where their certificate is no good
//! any more.

use std::{fmt, io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use vitals_access::{clock::Clock, proof::ClientCertificate};

mod authorities;
mod files;
mod reload;
mod trust;
mod verifier;

pub(crate) use authorities::is_of_nobody;
pub use authorities::{Authorities, Rejected};
pub use files::{Loaded, TlsError};
pub use trust::Trust;

use verifier::Clients;

/// From the opening of a connection to the end of its handshake: as long as a head may take behind it.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What we speak on top, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why there is no connection after a handshake.
#[derive(Debug)]
pub enum HandshakeError {
    /// It took too long.
    Slow,
    /// One side did not want the other.
    Failed(io::Error),
}

/// Speaks TLS.
pub struct Tls {
    /// Nobody's, where no certificates are asked for.
    trust: Option<Arc<Trust>>,
    nobody: Arc<Authorities>,
    clock: Arc<dyn Clock>,
    loaded: ArcSwap<Loaded>,
    current: ArcSwap<Current>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// A configuration with what it was made of.
struct Current {
    loaded: Arc<Loaded>,
    authorities: Arc<Authorities>,
    config: Arc<ServerConfig>,
}

/// A connection behind its handshake.
pub struct Secured {
    /// What is read and written.
    pub stream: TlsStream<TcpStream>,
    /// The client's certificate, where it showed one.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Whether that still holds.
    pub standing: Standing,
}

impl Tls {
    /// Speaks TLS with these files, and goes on looking at them. Without anybody to trust no client is asked for a
    /// certificate.
    pub fn start(loaded: Arc<Loaded>, trust: Option<Arc<Trust>>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let nobody = Arc::new(Authorities::nobody());
        let config = config(&loaded, &clock, None);
        let current = Current { loaded: Arc::clone(&loaded), authorities: Arc::clone(&nobody), config };
        let tls = Arc::new(Self {
            trust,
            nobody,
            clock,
            loaded: ArcSwap::new(loaded),
            current: ArcSwap::from_pointee(current),
        });
        tokio::spawn(reload::watch(Arc::downgrade(&tls)));
        tls
    }

    /// Takes a connection through its handshake.
    pub async fn accept(self: &Arc<Self>, stream: TcpStream) -> Result<Secured, HandshakeError> {
        let current = self.current();
        let changed = self.trust.as_ref().map(|trust| trust.changes());
        let handshake = TlsAcceptor::from(Arc::clone(&current.config)).accept(stream);
        let stream = match timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(HandshakeError::Failed(error)),
            Err(_) => return Err(HandshakeError::Slow),
        };
        let chain: Vec<CertificateDer<'static>> = stream
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|der| der.clone().into_owned())
            .collect();
        let judged = judge(&current.authorities, &chain, &*self.clock);
        let certificate =
            judged.map_err(|error| HandshakeError::Failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let certificate = certificate.map(Arc::new);
        let standing = Standing { tls: Arc::clone(self), chain, certificate: certificate.clone(), changed };
        Ok(Secured { stream, certificate, standing })
    }

    /// Who vouches for clients now.
    fn authorities(&self) -> Arc<Authorities> {
        self.trust.as_ref().map_or_else(|| Arc::clone(&self.nobody), |trust| trust.authorities())
    }

    /// The configuration of the next handshake.
    fn current(&self) -> Arc<Current> {
        let (current, loaded, authorities) = (self.current.load_full(), self.loaded.load_full(), self.authorities());
        if Arc::ptr_eq(&current.loaded, &loaded) && Arc::ptr_eq(&current.authorities, &authorities) {
            return current;
        }
        let config = config(&loaded, &self.clock, clients(&authorities));
        let current = Arc::new(Current { loaded, authorities, config });
        self.current.store(Arc::clone(&current));
        current
    }
}

fn clients(authorities: &Arc<Authorities>) -> Option<Arc<dyn ClientCertVerifier>> {
    authorities.asks().then(|| Arc::new(Clients::of(Arc::clone(authorities))) as Arc<dyn ClientCertVerifier>)
}

/// The library's cryptography, whichever was installed for the process.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

fn config(loaded: &Loaded, clock: &Arc<dyn Clock>, clients: Option<Arc<dyn ClientCertVerifier>>) -> Arc<ServerConfig> {
    let asks = clients.is_some();
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(Time(Arc::clone(clock))))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("aws-lc has suites for both versions");
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let identity = SingleCertAndKey::from(Arc::clone(loaded.identity()));
    let mut config = builder.with_cert_resolver(Arc::new(identity));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    if asks {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Arc::new(config)
}

fn judge(
    authorities: &Authorities,
    chain: &[CertificateDer<'_>],
    clock: &dyn Clock,
) -> Result<Option<ClientCertificate>, rustls::Error> {
    match chain.split_first() {
        Some((end, rest)) => authorities.judge(end, rest, unix(clock)).map(Some),
        None => Ok(None),
    }
}

/// The time as certificates are judged by it.
pub(crate) fn unix(clock: &dyn Clock) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(clock.now().timestamp().try_into().unwrap_or_default()))
}

/// Whether what a connection showed at its handshake would still be taken.
pub struct Standing {
    tls: Arc<Tls>,
    chain: Vec<CertificateDer<'static>>,
    certificate: Option<Arc<ClientCertificate>>,
    changed: Option<watch::Receiver<u64>>,
}

impl Standing {
    /// Returns when it would not.
    pub async fn lost(&mut self) {
        loop {
            let told = match &mut self.changed {
                Some(changed) => changed.changed().await.is_ok(),
                None => false,
            };
            if !told {
                return std::future::pending().await;
            }
            let authorities = self.tls.authorities();
            let still = match judge(&authorities, &self.chain, &*self.tls.clock) {
                Ok(Some(judged)) => self.certificate.as_deref() == Some(&judged),
                Ok(None) => !authorities.demands(),
                Err(_) => false,
            };
            if !still {
                return;
            }
        }
    }
}

/// Our clock as rustls reads it.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(&*self.0))
    }
}
