//! A request as the FHIR endpoints use it: its parts, its body within limits.

use std::{net::IpAddr, sync::Arc, time::Duration};

use poem::{
    Body,
    http::{HeaderMap, Method, header},
};
use vitals_access::proof::ClientCertificate;
use vitals_fhir::{
    outcome::{Issue, IssueCode},
    resource::Version,
};

use super::{
    negotiate::{self, Format},
    room::{Room, Unread},
};
use crate::{
    failure::{Failure, Kind},
    interaction::read::Seen,
    limit::Admitted,
};

/// Largest body of a single resource.
pub const MAX_BODY: usize = 5 * 1024 * 1024;
/// Bodies up to this size are read without asking for room: a few thousand connections hold no more of them than memory.
const SMALL: usize = 32 * 1024;
/// Longest address.
pub const MAX_ADDRESS: usize = 16 * 1024;
/// Longest time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The parts of a request.
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unread.
    pub body: Body,
    /// The client's, as far as it is known: the peer's, or what a trusted proxy says.
    pub address: Option<IpAddr>,
    /// The client certificate, proven to us or to a trusted proxy.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The id this request goes by.
    pub request_id: String,
    /// What was seen of its caller's limits, for the headers of the answer.
    pub limits: Option<Admitted>,
    /// The memory its body takes.
    pub room: Room,
}

/// Where a request came from: what its record says whatever becomes of it.
#[derive(Clone, Debug)]
pub struct Whence {
    /// The id it goes by.
    pub request_id: String,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The thumbprint of its certificate.
    pub certificate: Option<String>,
    /// The path it asked for.
    pub path: String,
}

impl Incoming {
    /// Where it came from.
    pub fn whence(&self) -> Whence {
        Whence {
            request_id: self.request_id.clone(),
            address: self.address,
            certificate: self.certificate.as_ref().map(|certificate| certificate.thumbprint_text()),
            path: self.path.clone(),
        }
    }

    /// Reads the body, up to a limit.
    pub async fn read_body(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        let too_large = || {
            Failure::new(
                Kind::TooLarge,
                IssueCode::TooLong,
                "body too large",
                format!("The body may have at most {limit} bytes."),
            )
        };
        let announced = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > limit) {
            return Err(too_large());
        }
        let body = std::mem::replace(&mut self.body, Body::empty());
        let announced_small = announced.is_some_and(|length| length <= SMALL);
        let reading = async {
            if announced_small {
                return match body.into_bytes_limit(limit).await {
                    // The buffer as it is, where nobody else holds it.
                    Ok(bytes) => Ok(bytes.into()),
                    Err(poem::error::ReadBodyError::PayloadTooLarge) => Err(Unread::TooLarge),
                    Err(_) => Err(Unread::BrokenOff),
                };
            }
            self.room.read(body, limit).await
        };
        match tokio::time::timeout(BODY_TIME, reading).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(Unread::TooLarge)) => Err(too_large()),
            Ok(Err(Unread::NoRoom)) => Err(Failure::unavailable("large bodies at work")),
            Ok(Err(Unread::BrokenOff)) => Err(Failure::new(
                Kind::Malformed,
                IssueCode::Structure,
                "body broke off",
                "The body broke off before its end.",
            )),
            Err(_) => Err(Failure::new(
                Kind::TooSlow,
                IssueCode::TooCostly,
                "body too slow",
                "The body did not arrive in 30 seconds.",
            )),
        }
    }

    /// Reads the body as the JSON of a resource, from whichever representation it came in.
    pub async fn read_resource(&mut self) -> Result<Vec<u8>, Failure> {
        self.read_json(MAX_BODY).await
    }

    /// Reads the body as JSON of at most `limit` bytes; XML, which takes more room as it is read, only as far as a
    /// single resource may go.
    pub async fn read_json(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        let format = negotiate::body_format(&self.headers)?;
        let bytes = self.read_body(if format == Format::Json { limit } else { limit.min(MAX_BODY) }).await?;
        match format {
            Format::Json => Ok(bytes),
            Format::Xml => {
                let text = String::from_utf8(bytes)
                    .map_err(|_| Failure::malformed(Issue::error(IssueCode::Structure, "The body is not UTF-8.")))?;
                vitals_fhir_codec::xml_to_json(&text)
                    .map(String::into_bytes)
                    .map_err(|error| Failure::malformed(Issue::error(IssueCode::Structure, error.to_string())))
            }
        }
    }

    /// Whether it shows a credential, of whatever kind.
    pub fn has_credentials(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    /// Whether there is a body, as far as the head says.
    pub fn has_body(&self) -> bool {
        let announced = self.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
        announced
            || [header::TRANSFER_ENCODING, header::CONTENT_TYPE].iter().any(|name| self.headers.contains_key(name))
    }

    /// The version `If-Match` names.
    pub fn if_match(&self) -> Result<Option<Version>, Failure> {
        let mut values = self.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let version = value.to_str().ok().filter(|_| values.next().is_none()).and_then(entity_tag);
        version.map(Some).ok_or_else(no_entity_tag)
    }

    /// The criteria in `If-None-Exist`.
    pub fn if_none_exist(&self) -> Result<Option<&str>, Failure> {
        let mut values = self.headers.get_all("if-none-exist").iter();
        let Some(value) = values.next() else { return Ok(None) };
        match value.to_str().ok().filter(|_| values.next().is_none()) {
            Some(text) => Ok(Some(text)),
            None => Err(Failure::malformed(
                Issue::error(IssueCode::Value, "If-None-Exist holds the parameters of one search.")
                    .at("http.if-none-exist"),
            )),
        }
    }

    /// Whether the body is, or may be, larger than this.
    pub fn may_exceed(&self, bytes: usize) -> bool {
        let announced = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        announced.is_none_or(|length: usize| length > bytes)
    }

    /// What the caller has already, by `If-None-Match` or else by `If-Modified-Since` (RFC 9110, section 13). A date that
    /// is none is passed over, as the RFC wants; the header knows whole seconds.
    pub fn seen(&self) -> Seen {
        if self.headers.contains_key(header::IF_NONE_MATCH) {
            let values = self.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
            return Seen::of_tags(&values.collect::<Vec<_>>().join(","));
        }
        let since = self.headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
        let since =
            since.and_then(|text| chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok());
        since.map_or(Seen::Nothing, |since| Seen::Until(since.and_utc().timestamp_millis() + 999))
    }

    /// Refuses what would be passed over silently: conditions on requests that do not look at them yet.
    pub fn refuse_conditions(&self, names: &[&str]) -> Result<(), Failure> {
        match names.iter().find(|name| self.headers.contains_key(**name)) {
            None => Ok(()),
            Some(name) => Err(Failure::malformed(
                Issue::error(IssueCode::NotSupported, "This condition is not offered here; nothing was done.")
                    .at(format!("http.{name}")),
            )),
        }
    }
}

/// The version that an entity tag names (`W/"3"`).
pub fn entity_tag(text: &str) -> Option<Version> {
    let text = text.trim();
    Version::parse(text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?)
}

/// The failure of what should be one.
pub fn no_entity_tag() -> Failure {
    Failure::malformed(
        Issue::error(IssueCode::Value, "If-Match holds one version, as the ETag of an answer: W/\"3\".")
            .at("http.if-match"),
    )
}
