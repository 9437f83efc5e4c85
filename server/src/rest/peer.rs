//! Who is at the other end of a request: the peer itself, or, where the peer is one of our proxies (`--trusted-proxy`),
//! whoever that proxy says.
//!
//! Proxies hand on a client's certificate in one of two forms: `Client-Cert` with `Client-Cert-Chain` (RFC 9440), or
//! nginx's `X-SSL-Client-Verify` with `X-SSL-Client-Cert`. A proxy that knows one form passes the other on from its
//! client, so a request with both is refused. From everybody else all of this is taken away before anyone reads it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::http::{HeaderMap, HeaderName};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use vitals_access::proof::{Anchor, ClientCertificate};

use crate::{state::App, tls};

/// What proxies say about their clients. Nobody but this module reads any of it.
const TOLD: [&str; 4] = ["forwarded", "client-cert", "client-cert-chain", "x-real-ip"];
const TOLD_BEGINS: [&str; 2] = ["x-forwarded-", "x-ssl-client-"];

/// The other end of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: Option<IpAddr>,
    /// The certificate it showed.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

/// What a proxy says about a certificate cannot be believed.
#[derive(Debug)]
pub(super) struct Unbelievable;

/// Finds out who is there, and takes away what proxies say.
pub(super) fn of(app: &App, headers: &mut HeaderMap, direct: Peer) -> Result<Peer, Unbelievable> {
    let told = take(headers);
    let is_proxy = |address: &IpAddr| app.trusted_proxies.iter().any(|block| block.contains(address.to_canonical()));
    if !direct.address.as_ref().is_some_and(is_proxy) {
        let now = app.clock.now();
        let certificate = direct.certificate.filter(|certificate| certificate.is_valid_at(now));
        return Ok(Peer { certificate, ..direct });
    }
    // A certificate of the connection is the proxy's own.
    let address = client(&told, is_proxy).or(direct.address);
    let Some(shown) = shown(&told)? else { return Ok(Peer { address, certificate: None }) };
    Ok(Peer { address, certificate: Some(Arc::new(judged(app, &shown)?)) })
}

fn take(headers: &mut HeaderMap) -> HeaderMap {
    let is_told = |name: &&HeaderName| {
        TOLD.contains(&name.as_str()) || TOLD_BEGINS.iter().any(|begins| name.as_str().starts_with(begins))
    };
    let names: Vec<HeaderName> = headers.keys().filter(is_told).cloned().collect();
    let mut told = HeaderMap::new();
    for name in names {
        if let poem::http::header::Entry::Occupied(values) = headers.entry(&name) {
            for value in values.remove_entry_mult().1 {
                told.append(&name, value);
            }
        }
    }
    told
}

/// The client that our proxies saw: from the last on, the first address that is none of theirs. `X-Forwarded-For`
/// where there is one, since that is what proxies append to; else `Forwarded` (RFC 7239).
fn client(told: &HeaderMap, is_proxy: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    let (name, read): (_, fn(&str) -> Option<IpAddr>) =
        if told.contains_key("x-forwarded-for") { ("x-forwarded-for", node) } else { ("forwarded", forwarded_for) };
    let values: Vec<&str> = told.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut last = None;
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        // What is no address was written by nobody we believe.
        let Some(address) = read(hop.trim()) else { return last };
        if !is_proxy(&address) {
            return Some(address);
        }
        last = Some(address);
    }
    last
}

/// An address, with or without a port. Nobody's client is the machine that it asks: who is on this one is let in at
/// places where others are not, and no header makes anybody that.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let address = address.map(|address: IpAddr| address.to_canonical());
    address.filter(|address| !address.is_loopback() && !address.is_unspecified())
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node(value.trim().trim_matches('"'))).flatten()
    })
}

/// A certificate as it was handed on, with its chain.
struct Shown {
    end: CertificateDer<'static>,
    rest: Vec<CertificateDer<'static>>,
}

fn shown(told: &HeaderMap) -> Result<Option<Shown>, Unbelievable> {
    let standard = ["client-cert", "client-cert-chain"].iter().any(|name| told.contains_key(*name));
    let nginx = told.keys().any(|name| name.as_str().starts_with("x-ssl-client-"));
    match (standard, nginx) {
        (true, true) => Err(Unbelievable),
        (true, false) => of_standard(told).map(Some),
        (false, true) => of_nginx(told),
        (false, false) => Ok(None),
    }
}

/// RFC 9440, section 2: a byte sequence, and a list of them.
fn of_standard(told: &HeaderMap) -> Result<Shown, Unbelievable> {
    let bytes = |item: &str| -> Result<CertificateDer<'static>, Unbelievable> {
        let text = item.trim_matches(' ').strip_prefix(':').and_then(|text| text.strip_suffix(':'));
        let der = text.and_then(|text| STANDARD.decode(text).ok()).ok_or(Unbelievable)?;
        Ok(der.into())
    };
    let end = bytes(single(told, "client-cert")?.ok_or(Unbelievable)?)?;
    let mut rest = Vec::new();
    for value in told.get_all("client-cert-chain") {
        for item in value.to_str().map_err(|_| Unbelievable)?.split(',') {
            rest.push(bytes(item)?);
        }
    }
    Ok(Shown { end, rest })
}

/// `$ssl_client_verify` and `$ssl_client_escaped_cert`.
fn of_nginx(told: &HeaderMap) -> Result<Option<Shown>, Unbelievable> {
    if single(told, "x-ssl-client-verify")? != Some("SUCCESS") {
        return Ok(None);
    }
    let text = single(told, "x-ssl-client-cert")?.ok_or(Unbelievable)?;
    let pem = unescaped(text).ok_or(Unbelievable)?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    let (Some(Ok(end)), None) = (certificates.next(), certificates.next()) else { return Err(Unbelievable) };
    Ok(Some(Shown { end, rest: Vec::new() }))
}

/// The value of a header that may stand once.
fn single<'h>(told: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Unbelievable> {
    let mut values = told.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(value) if values.next().is_none() => Ok(Some(value)),
        _ => Err(Unbelievable),
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digit =
                    |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(bytes.next())? * 16 + digit(bytes.next())?
            }
            byte => byte,
        });
    }
    Some(plain)
}

/// The proxy vouches for the chain, as an authority of the server's would, and its dates are looked at here. What we know
/// better counts: an authority of a tenant's own vouches at that tenant alone, although the proxy may believe it, and
/// what such an authority revoked or does not allow is nobody's.
fn judged(app: &App, shown: &Shown) -> Result<ClientCertificate, Unbelievable> {
    let known = app.trust.authorities().judge(&shown.end, &shown.rest, tls::unix(&*app.clock));
    let anchors = match known {
        Ok(known) => known.anchors().to_vec(),
        // Of no authority that we know, or of one that only has the name of such.
        Err(error) if tls::is_of_nobody(&error) => vec![Anchor::Server],
        Err(_) => return Err(Unbelievable),
    };
    let certificate = ClientCertificate::read(&shown.end, anchors).map_err(|_| Unbelievable)?;
    if certificate.is_valid_at(app.clock.now()) { Ok(certificate) } else { Err(Unbelievable) }
}

#[cfg(test)]
mod tests;
