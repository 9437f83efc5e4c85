//! The only outgoing HTTP: key sets of issuers, and where they are. Whoever registers an issuer chooses the address, so every fetch is
//! treated as an attempt to reach something inside.
//!
//! https only, to public addresses only (`--egress-allow` opens blocks, for plain http as well); the name is resolved
//! once, every address it has is judged, and the connection goes to those and no other; no redirects, no proxy; two
//! seconds and 256 kB at most.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chrono::TimeDelta;
use reqwest::{StatusCode, Url, header, redirect};

mod address;
mod discovery;
mod form;
mod keys;
#[cfg(test)]
mod tests;

pub use address::{Cidr, NotACidr};
pub use discovery::{Discovered, DiscoveryError};
pub use form::Form;
pub use keys::{CLIENT, FetchedKeys, IssuerAway, JwksKeeper};

use address::Reach;

/// For the whole of a fetch, from the name to the last byte.
const TIME: Duration = Duration::from_secs(2);
/// A key set of a hundred RSA keys with certificates has under 200 kB.
const MAX_BYTES: usize = 256 * 1024;
/// More addresses than any honest name has.
const MAX_ADDRESSES: usize = 16;

/// Why nothing was fetched. The texts name no address, so that an issuer's registration cannot be used to explore.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Not a URL that is fetched from at all.
    #[error("must be an https URL without user, password and fragment")]
    Url,
    /// The name has no address.
    #[error("cannot resolve the name")]
    Name,
    /// An address of the name is not public and was not allowed.
    #[error("leads to an address that is not public; --egress-allow opens it")]
    Address,
    /// Plain http to an address that was not allowed.
    #[error("must be https, unless --egress-allow opens its address")]
    Plain,
    /// No answer in time, or none at all.
    #[error("no answer within {} seconds", TIME.as_secs())]
    Time,
    /// The connection failed: refused, broken, or its certificate is not trusted.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The answer was not 200.
    #[error("answered {0}")]
    Status(u16),
    /// The answer says that it is something else than JSON, or is not text.
    #[error("did not answer with JSON")]
    Content,
    /// The answer was too long.
    #[error("answered more than {} kB", MAX_BYTES / 1024)]
    TooLong,
}

/// Chooses the one TLS library of the process. First thing in main: anything that makes a TLS configuration before
/// would find no provider, or two.
pub fn install_tls_provider() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        // Somebody was first; there is only one provider in this binary, so it is the same.
        tracing::debug!("the TLS provider was already installed");
    }
}

/// What is asked of an address.
enum Asking {
    /// Its document.
    Get,
    /// To take a form.
    Post {
        /// The form.
        body: String,
        /// The `Authorization` header.
        authorization: Option<String>,
    },
}

/// What was answered.
struct Answer {
    /// The JSON.
    text: String,
    /// How long it may be kept, where it says so (RFC 9111, section 5.2.2).
    max_age: Option<TimeDelta>,
}

/// Fetches JSON from elsewhere, within the rules above.
#[derive(Clone, Debug)]
pub struct Egress {
    allow: Vec<Cidr>,
    own: Vec<SocketAddr>,
}

impl Egress {
    /// The rules: blocks that are allowed although not public, and our own listeners, which are not.
    pub fn new(allow: Vec<Cidr>, own_listeners: Vec<SocketAddr>) -> Self {
        Self { allow, own: own_listeners }
    }

    /// Says whether a URL could be fetched from at all, without asking anybody: for the moment of registration.
    pub fn check_url(text: &str) -> Result<(), EgressError> {
        url(text).map(drop)
    }

    /// Fetches a JSON document.
    pub async fn get_json(&self, text: &str) -> Result<String, EgressError> {
        self.ask(text, Asking::Get).await.map(|answer| answer.text)
    }

    async fn ask(&self, text: &str, asking: Asking) -> Result<Answer, EgressError> {
        let url = url(text)?;
        tokio::time::timeout(TIME, self.fetch(url, asking)).await.unwrap_or(Err(EgressError::Time))
    }

    async fn fetch(&self, url: Url, asking: Asking) -> Result<Answer, EgressError> {
        let addresses = self.resolve(&url).await?;
        // Reading the system's certificates takes milliseconds of file reading and parsing.
        let (client, url) = tokio::task::spawn_blocking(move || client(&url, &addresses).map(|client| (client, url)))
            .await
            .map_err(|_| EgressError::Time)??;
        let request = match asking {
            Asking::Get => client.get(url).header(header::ACCEPT, "application/jwk-set+json, application/json"),
            Asking::Post { body, authorization } => {
                let request = client.post(url).header(header::ACCEPT, "application/json").body(body);
                let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                match authorization {
                    Some(value) => request.header(header::AUTHORIZATION, value),
                    None => request,
                }
            }
        };
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(EgressError::Status(answer.status().as_u16()));
        }
        if !answer.headers().get(header::CONTENT_TYPE).is_none_or(is_json) {
            return Err(EgressError::Content);
        }
        let max_age = max_age(answer.headers());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(EgressError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map(|text| Answer { text, max_age }).map_err(|_| EgressError::Content)
    }

    /// The addresses of the URL's host, all of them within the rules: one bad address refuses the name.
    async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, EgressError> {
        let port = url.port_or_known_default().ok_or(EgressError::Url)?;
        // The parser has already read 2130706433, 0x7f.1 and the like as the addresses they are.
        let host = url.host_str().ok_or(EgressError::Url)?;
        let addresses: Vec<SocketAddr> = match literal(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => tokio::net::lookup_host((host, port)).await.map_err(|_| EgressError::Name)?.collect(),
        };
        if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
            return Err(EgressError::Name);
        }
        for address in &addresses {
            match address::reach(address.ip(), &self.allow) {
                Reach::Refused => return Err(EgressError::Address),
                Reach::Public if self.own.contains(address) => return Err(EgressError::Address),
                Reach::Public if url.scheme() != "https" => return Err(EgressError::Plain),
                Reach::Allowed | Reach::Public => {}
            }
        }
        Ok(addresses)
    }
}

/// How long `Cache-Control` lets an answer be kept; what cannot be read says nothing.
fn max_age(headers: &header::HeaderMap) -> Option<TimeDelta> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let age = |directive: &str| match directive.trim().to_ascii_lowercase().as_str() {
        "no-store" | "no-cache" => Some(TimeDelta::zero()),
        directive => directive.strip_prefix("max-age=")?.parse::<u32>().ok().map(|age| TimeDelta::seconds(age.into())),
    };
    values.flat_map(|value| value.split(',')).filter_map(age).min()
}

/// A client for one fetch: its only way to an address is the list it was given, so what was judged is what is reached.
fn client(url: &Url, addresses: &[SocketAddr]) -> Result<reqwest::Client, EgressError> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .timeout(TIME)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("vitals/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs(url.host_str().unwrap_or_default(), addresses)
        .build()
        .map_err(failed)
}

/// The error without the URL, which an issuer chose; the time-out under its own name.
fn failed(error: reqwest::Error) -> EgressError {
    if error.is_timeout() { EgressError::Time } else { EgressError::Connection(error.without_url()) }
}

fn url(text: &str) -> Result<Url, EgressError> {
    let url = Url::parse(text).map_err(|_| EgressError::Url)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "https" | "http") && url.host_str().is_some_and(|host| !host.is_empty()) && plain {
        Ok(url)
    } else {
        Err(EgressError::Url)
    }
}

/// The address that a URL's host is, where it is not a name.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_json(value: &header::HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
