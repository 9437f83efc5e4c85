//! What proxies say, as tables.

use poem::http::HeaderValue;

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// 10.0.0.0/8 and 2001:db8:a:: are ours.
fn is_proxy(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[2] == 0xa,
    }
}

#[test]
fn the_client_is_the_last_that_is_no_proxy_of_ours() {
    let x = "x-forwarded-for";
    let f = "forwarded";
    for (told, client_is) in [
        (vec![(x, "203.0.113.9")], Some("203.0.113.9")),
        (vec![(x, "198.51.100.1, 203.0.113.9")], Some("203.0.113.9")),
        (vec![(x, "198.51.100.1, 203.0.113.9, 10.1.2.3")], Some("203.0.113.9")),
        (vec![(x, "198.51.100.1"), (x, "203.0.113.9,10.0.0.1")], Some("203.0.113.9")),
        (vec![(x, "10.0.0.9, 10.0.0.8")], Some("10.0.0.9")),
        (vec![(x, "203.0.113.9:4711")], Some("203.0.113.9")),
        (vec![(x, "[2001:db8::1]:4711, 2001:db8:a::7")], Some("2001:db8::1")),
        (vec![(x, "::ffff:203.0.113.9")], Some("203.0.113.9")),
        (vec![(x, "127.0.0.1")], None),
        (vec![(x, "203.0.113.9, ::1")], None),
        (vec![(x, "::ffff:127.0.0.1, 10.0.0.1")], Some("10.0.0.1")),
        (vec![(x, "0.0.0.0")], None),
        (vec![(x, "203.0.113.9, unknown")], None),
        (vec![(x, "203.0.113.9, unknown, 10.0.0.1")], Some("10.0.0.1")),
        (vec![(x, "")], None),
        (vec![(x, "203.0.113.9,")], None),
        (vec![(f, "for=203.0.113.9")], Some("203.0.113.9")),
        (vec![(f, "for=198.51.100.1, For=\"203.0.113.9:80\";proto=https;by=10.0.0.1")], Some("203.0.113.9")),
        (vec![(f, "for=\"[2001:db8::1]:80\"")], Some("2001:db8::1")),
        (vec![(f, "for=_hidden")], None),
        (vec![(f, "proto=https;host=for=1.2.3.4")], None),
        (vec![(f, "for=198.51.100.1"), (x, "203.0.113.9")], Some("203.0.113.9")),
        (vec![], None),
    ] {
        let found = client(&headers(&told), is_proxy);
        assert_eq!(found, client_is.map(|address| address.parse().unwrap()), "{told:?}");
    }
}

#[test]
fn what_proxies_say_is_taken_away() {
    let mut sent = headers(&[
        ("X-Forwarded-For", "203.0.113.9"),
        ("x-forwarded-host", "attacker.example"),
        ("forwarded", "for=1.2.3.4"),
        ("client-cert", ":AA==:"),
        ("client-cert-chain", ":AA==:"),
        ("x-ssl-client-verify", "SUCCESS"),
        ("x-ssl-client-cert", "a"),
        ("x-ssl-client-s-dn", "CN=x"),
        ("x-real-ip", "1.2.3.4"),
        ("x-request-id", "kept"),
        ("authorization", "kept"),
    ]);
    assert_eq!(take(&mut sent).len(), 9);
    let mut kept: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["authorization", "x-request-id"]);
}

#[test]
fn a_certificate_comes_in_one_form_and_whole() {
    const PEM: &str = "-----BEGIN%20CERTIFICATE-----%0AAAEC%0A-----END%20CERTIFICATE-----%0A";
    let (c, chain, verify, x) = ("client-cert", "client-cert-chain", "x-ssl-client-verify", "x-ssl-client-cert");
    // Nothing, a refusal, or the bytes of the certificate and how many are behind it.
    for (told, expected) in [
        (vec![], Ok(None)),
        (vec![(c, ":AAEC:")], Ok(Some(0))),
        (vec![(c, ":AAEC:"), (chain, ":AAEC:, :AAEC:"), (chain, ":AAEC:")], Ok(Some(3))),
        (vec![(verify, "SUCCESS"), (x, PEM)], Ok(Some(0))),
        (vec![(verify, "NONE")], Ok(None)),
        (vec![(verify, "FAILED:self signed certificate"), (x, PEM)], Ok(None)),
        (vec![(verify, "success"), (x, PEM)], Ok(None)),
        (vec![(x, PEM)], Ok(None)),
        (vec![(c, "AAEC")], Err(())),
        (vec![(c, ":AAEC")], Err(())),
        (vec![(c, ":AAE:")], Err(())),
        (vec![(c, ":AAEC:;a=b")], Err(())),
        (vec![(c, ":AAEC:"), (c, ":AAEC:")], Err(())),
        (vec![(c, ":AAEC:, :AAEC:")], Err(())),
        (vec![(chain, ":AAEC:")], Err(())),
        (vec![(c, ":AAEC:"), (chain, "AAEC")], Err(())),
        (vec![(verify, "SUCCESS")], Err(())),
        (vec![(verify, "SUCCESS"), (verify, "SUCCESS"), (x, PEM)], Err(())),
        (vec![(verify, "NONE"), (verify, "SUCCESS"), (x, PEM)], Err(())),
        (vec![(verify, "SUCCESS"), (x, PEM), (x, PEM)], Err(())),
        (vec![(verify, "SUCCESS"), (x, "-----BEGIN%2")], Err(())),
        (vec![(verify, "SUCCESS"), (x, "%zz")], Err(())),
        (vec![(verify, "SUCCESS"), (x, "AAEC")], Err(())),
        (vec![(verify, "NONE"), (c, ":AAEC:")], Err(())),
        (vec![(verify, "SUCCESS"), (x, PEM), (c, ":AAEC:")], Err(())),
    ] {
        let found = shown(&headers(&told)).map_err(drop);
        if let Ok(Some(shown)) = &found {
            assert_eq!(shown.end.as_ref(), [0, 1, 2], "{told:?}");
        }
        assert_eq!(found.map(|shown| shown.map(|shown| shown.rest.len())), expected, "{told:?}");
    }
    let twice = format!("{PEM}{PEM}");
    assert!(shown(&headers(&[(verify, "SUCCESS"), (x, &twice)])).is_err());
}
