//! The addresses of a client: where people are sent back to, and where an EHR launches it (RFC 9700, section 4.1; RFC
//! 8252).

use url::{Host, Url};
use vitals_store::authorization::Authentication;

use super::{ClientError, NewClient};
use crate::egress::Egress;

/// Addresses that a client may have.
const MOST: usize = 20;
/// Longest address.
const MAX_URI: usize = 2_000;

/// Judges the addresses of a client.
pub(super) fn check(new: &NewClient) -> Result<(), ClientError> {
    if new.redirect_uris.len() > MOST {
        return Err(ClientError::Metadata("a client may have 20 redirect URIs".to_owned()));
    }
    for uri in &new.redirect_uris {
        let refused = |reason| ClientError::RedirectUri { uri: shown(uri), reason };
        redirect(uri, new.authentication).map_err(refused)?;
    }
    if let Some(uri) = &new.launch_uri {
        web(uri).map_err(|reason| ClientError::Metadata(format!("launch URI {}: {reason}", shown(uri))))?;
    }
    Ok(())
}

/// Judges the address of a client's keys; whether it is one we may go to is seen each time we do.
pub(super) fn check_keys(url: &str) -> Result<(), ClientError> {
    let refused = |reason: &str| ClientError::Metadata(format!("the key set's address {}: {reason}", shown(url)));
    web(url).map_err(refused)?;
    Egress::check_url(url).map_err(|error| refused(&error.to_string()))
}

/// The origin of an app's pages, if it has any.
pub(super) fn origin(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url.origin().ascii_serialization())
}

fn redirect(uri: &str, authentication: Authentication) -> Result<(), &'static str> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    if matches!(scheme, "http" | "https") {
        return web(uri);
    }
    plain(uri)?;
    // A name of the app's own, in reverse (RFC 8252, section 7.1): `javascript:` and `data:` have no dot.
    let is_reverse = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-+".contains(&byte);
    if !scheme.contains('.')
        || !scheme.starts_with(|first: char| first.is_ascii_lowercase())
        || !scheme.bytes().all(is_reverse)
    {
        return Err(
            "must be https, http on the loopback interface, or a scheme of the app's own, like org.example.app:",
        );
    }
    if authentication.is_confidential() {
        return Err("an app with a scheme of its own runs on people's devices and cannot keep a secret");
    }
    Ok(())
}

/// An address on the web: https, or http on the loopback interface.
fn web(uri: &str) -> Result<(), &'static str> {
    plain(uri)?;
    let url = Url::parse(uri).map_err(|_| "is no URL")?;
    if !url.username().is_empty() || url.password().is_some() || uri.contains('@') && url.path() == "/" {
        return Err("must not name a user");
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) | ("http", Some(Host::Domain("localhost"))) => Ok(()),
        ("http", Some(Host::Ipv4(address))) if address.is_loopback() => Ok(()),
        ("http", Some(Host::Ipv6(address))) if address.is_loopback() => Ok(()),
        ("http", _) => Err("must be https: http is for the loopback interface alone"),
        _ => Err("must be https"),
    }
}

fn plain(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_URI {
        return Err("is longer than 2,000 bytes");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be ASCII without spaces");
    }
    if uri.contains('#') {
        return Err("must have no fragment (RFC 6749, section 3.1.2)");
    }
    if uri.contains(['*', '\\']) {
        return Err("must be one address to the letter, without wildcards");
    }
    if uri.split(['/', '?']).any(|part| matches!(part, "." | "..")) {
        return Err("must have no . or .. in its path");
    }
    Ok(())
}

/// The beginning of an address that may be anything.
fn shown(uri: &str) -> String {
    uri.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
