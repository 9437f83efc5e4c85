//! The types that options are parsed into, each with an error that says what would have been right and never repeats
//! a value that may be a secret.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// Why a value is not what its option takes; the option's name is added where it is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub(super) String);

impl BadValue {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// When an answer may leave, seen from its audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuditDurability {
    /// The record is committed and outlives this process.
    #[default]
    Prompt,
    /// The record is on disk.
    Strict,
}

impl FromStr for AuditDurability {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "prompt" => Ok(Self::Prompt),
            "strict" => Ok(Self::Strict),
            _ => Err(BadValue::new("must be prompt or strict")),
        }
    }
}

/// Where a syslog takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// Over UDP, by host and port.
    Udp(String),
    /// Over TCP, by host and port.
    Tcp(String),
    /// At a socket of this machine.
    Socket(PathBuf),
}

impl FromStr for SyslogAddress {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wrong =
            || BadValue::new("must be udp://HOST:PORT, tcp://HOST:PORT or the path of a socket, such as /dev/log");
        let with_port = |peer: &str| {
            let port = peer.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
            if matches!(port, Some(Ok(_))) { Ok(peer.to_owned()) } else { Err(wrong()) }
        };
        match text.split_once("://") {
            Some(("udp", peer)) => with_port(peer).map(Self::Udp),
            Some(("tcp", peer)) => with_port(peer).map(Self::Tcp),
            None if text.starts_with('/') => Ok(Self::Socket(text.into())),
            _ => Err(wrong()),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people at a terminal.
    Pretty,
}

impl FromStr for LogFormat {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(BadValue::new("must be json or pretty")),
        }
    }
}

/// Reads the address of a listener: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
pub(super) fn listener_address(text: &str) -> Result<SocketAddr, BadValue> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| BadValue::new("the port must be a number from 0 to 65535"))?;
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| BadValue::new("must be ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080"))
}

/// The URL by which clients reach the public listener: `http` or `https`, a host, no query, no slash at the end.
/// Every URL in an answer begins with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The URL of a listener that is reached by its own address, without TLS.
    pub fn of_listener(address: SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }

    /// The URL of a listener that is reached by its own address, over TLS.
    pub fn of_tls_listener(address: SocketAddr) -> Self {
        Self(format!("https://{address}"))
    }

    /// The URL, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let url = reqwest::Url::parse(text)
            .map_err(|_| BadValue::new("must be a URL, such as https://fhir.hospital.example"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(BadValue::new("must be an http or https URL with a host"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadValue::new("must have no query and no fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadValue::new("must hold no user name and no password"));
        }
        // Kept as the parser writes it (host in lower case, default port left out), because clients compare it exactly
        // with what a browser or another library would write.
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a span of time: a whole number and `s`, `m`, `h` or `d` (`90s`, `15m`, `1h`, `90d`).
pub fn duration(text: &str) -> Result<Duration, BadValue> {
    let wrong = || BadValue::new("must be a whole number followed by s, m, h or d, such as 15m or 1h");
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// Whether `text` is the URL of a PostgreSQL database, without looking further.
pub(super) fn is_database_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether a database URL carries a password, in its user part or as a parameter.
pub(super) fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let in_user_part = authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty());
    let in_query = rest
        .split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("password=") && pair != "password="));
    in_user_part || in_query
}
