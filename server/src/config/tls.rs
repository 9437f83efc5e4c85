//! The options of TLS, which stand together: a certificate has a key, and what is said of clients needs both.

use std::{path::PathBuf, str::FromStr};

use super::{BadValue, ConfigError, Flags, sources::Sources};

/// The files of a listener that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whose client certificates are accepted for every tenant, if any are.
    pub clients: Option<ClientAuthorities>,
}

/// The authorities of client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthorities {
    /// Their certificates.
    pub certificates: PathBuf,
    /// Their revocation lists.
    pub revoked: Option<PathBuf>,
    /// Whether a connection needs a certificate.
    pub auth: ClientAuth,
}

/// Whether a connection needs a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Every connection.
    #[default]
    Required,
    /// Whoever has one shows it; tenants and tokens may ask for it.
    Optional,
}

impl FromStr for ClientAuth {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            _ => Err(BadValue("must be required or optional".to_owned())),
        }
    }
}

/// The files, where TLS is asked for.
pub(super) fn files(sources: &Sources<'_>, flags: &Flags) -> Result<Option<TlsFiles>, ConfigError> {
    let path = |name, flag: &Option<String>| -> Result<Option<PathBuf>, ConfigError> {
        Ok(sources.pick(name, flag.as_deref())?.map(|given| given.text.into()))
    };
    let missing = |option, why| Err(ConfigError::Missing { option, why });
    let (certificate, key) = (path("tls-cert", &flags.tls_cert)?, path("tls-key", &flags.tls_key)?);
    let authorities = path("tls-client-ca", &flags.tls_client_ca)?;
    let revoked = path("tls-client-crl", &flags.tls_client_crl)?;
    let auth = sources.pick("tls-client-auth", flags.tls_client_auth.as_deref())?;
    let auth = auth.map(|given| given.parse::<ClientAuth>()).transpose()?;
    let clients = match authorities {
        Some(certificates) => Some(ClientAuthorities { certificates, revoked, auth: auth.unwrap_or_default() }),
        None if revoked.is_some() => return missing("--tls-client-ca", "with --tls-client-crl"),
        None if auth.is_some() => return missing("--tls-client-ca", "with --tls-client-auth"),
        None => None,
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key, clients })),
        (Some(_), None) => missing("--tls-key", "with --tls-cert"),
        (None, Some(_)) => missing("--tls-cert", "with --tls-key"),
        (None, None) if clients.is_some() => missing("--tls-cert", "with --tls-client-ca"),
        (None, None) => Ok(None),
    }
}
