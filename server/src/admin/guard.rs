//! Who may speak to the operator's listener at all.
//!
//! A browser on the operator's machine reaches loopback for every page it shows. Two things tell such a request from one
//! that was meant: it carries an `Origin`, or, when the page's own name was made to point here (DNS rebinding), it asks
//! for a `Host` that is none of ours.

use std::net::{IpAddr, Ipv6Addr};

use aws_lc_rs::constant_time;
use poem::http::{HeaderMap, header};

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The operator token.
    Token,
    /// The operator token, unless the caller is on this machine.
    TokenFromElsewhere,
}

/// Why a request is refused before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It comes from a page in a browser.
    Origin,
    /// It is for another host.
    Host,
    /// It carries no token.
    NoToken,
    /// It carries another token.
    WrongToken,
}

/// A request, as far as the guard looks at it.
pub struct Visitor<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The host it is for, where that does not stand in a header (HTTP/2).
    pub authority: Option<&'r str>,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
}

/// Keeps out who is not the operator.
pub struct Guard {
    token: String,
    hosts: Vec<Host>,
    /// Bound to every address of the machine, which are more than can be told.
    every_address: bool,
}

impl Guard {
    /// A guard that knows this token, and these hosts beside loopback.
    pub fn new(token: String, hosts: impl IntoIterator<Item = String>) -> Self {
        let hosts: Vec<Host> = hosts.into_iter().filter_map(|host| Host::parse(&host)).collect();
        let every_address = hosts.iter().any(|host| matches!(host, Host::Address(address) if address.is_unspecified()));
        Self { token, hosts, every_address }
    }

    /// Lets a visitor in, or says why not.
    pub fn admit(&self, door: Door, visitor: &Visitor<'_>) -> Result<(), Refused> {
        if visitor.headers.contains_key(header::ORIGIN) {
            return Err(Refused::Origin);
        }
        if !self.is_for_us(visitor) {
            return Err(Refused::Host);
        }
        match (door, visitor.peer) {
            (Door::TokenFromElsewhere, Some(peer)) if peer.to_canonical().is_loopback() => Ok(()),
            _ => self.check_token(visitor.headers),
        }
    }

    /// Every host that is named must be ours, and one must be.
    fn is_for_us(&self, visitor: &Visitor<'_>) -> bool {
        let headers = visitor.headers.get_all(header::HOST).iter().map(|value| value.to_str().ok());
        let mut named = headers.chain(visitor.authority.map(Some)).peekable();
        named.peek().is_some() && named.all(|host| host.and_then(Host::parse).is_some_and(|host| self.is_ours(&host)))
    }

    fn is_ours(&self, host: &Host) -> bool {
        match host {
            // A name can be made to point anywhere; an address in the request is the one that was dialled.
            Host::Address(address) if address.is_loopback() || self.every_address => true,
            Host::Name(name) if name == "localhost" => true,
            host => self.hosts.contains(host),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let first = sent.next().ok_or(Refused::NoToken)?;
        let token = match first.to_str().ok().and_then(|text| text.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") && sent.next().is_none() => token,
            _ => return Err(Refused::WrongToken),
        };
        constant_time::verify_slices_are_equal(token.trim_matches(' ').as_bytes(), self.token.as_bytes())
            .map_err(|_| Refused::WrongToken)
    }
}

/// A host as requests name it, without the port: whoever forwards one chooses it.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn parse(authority: &str) -> Option<Self> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (Self::Address(IpAddr::V6(address).to_canonical()), port)
        } else {
            let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (Self::named(name)?, port)
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port,
            None if port.is_empty() => "",
            None => return None,
        };
        port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host)
    }

    fn named(name: &str) -> Option<Self> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        (!name.is_empty() && name.bytes().all(sign)).then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    const TOKEN: &str = "correct-horse-battery";
    const RIGHT: &str = "Bearer correct-horse-battery";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn admit(bound: &str, door: Door, peer: &str, pairs: &[(&str, &str)]) -> Result<(), Refused> {
        let guard = Guard::new(TOKEN.to_owned(), [bound.to_owned()]);
        guard.admit(door, &Visitor { headers: &headers(pairs), authority: None, peer: peer.parse().ok() })
    }

    #[test]
    fn only_hosts_of_this_listener_are_served() {
        let loopback = "127.0.0.1:8081";
        let cases = [
            (loopback, "127.0.0.1:8081", true),
            (loopback, "127.0.0.1", true),
            (loopback, "127.0.0.1:9000", true),
            (loopback, "127.8.9.1:8081", true),
            (loopback, "localhost:8081", true),
            (loopback, "LocalHost.", true),
            (loopback, "[::1]:8081", true),
            (loopback, "[::ffff:127.0.0.1]", true),
            (loopback, "attacker.example:8081", false),
            (loopback, "localhost.attacker.example", false),
            (loopback, "127.0.0.1.attacker.example", false),
            (loopback, "attacker.example@127.0.0.1", false),
            (loopback, "127.0.0.1@attacker.example", false),
            (loopback, "127.0.0.1:8081:attacker", false),
            (loopback, "127.0.0.1, attacker.example", false),
            (loopback, "[::1", false),
            (loopback, "[::1]x", false),
            (loopback, "", false),
            (loopback, ":8081", false),
            (loopback, "10.1.2.3:8081", false),
            (loopback, "0.0.0.0:8081", false),
            ("10.1.2.3:8081", "10.1.2.3:8081", true),
            ("10.1.2.3:8081", "10.1.2.4:8081", false),
            ("10.1.2.3:8081", "localhost:8081", true),
            ("[2001:db8::1]:8081", "[2001:0db8::1]:8081", true),
            ("operator.hospital.example", "Operator.Hospital.example:8081", true),
            ("operator.hospital.example", "hospital.example", false),
            ("0.0.0.0:8081", "10.1.2.3:8081", true),
            ("[::]:8081", "[2001:db8::1]:8081", true),
            ("0.0.0.0:8081", "attacker.example", false),
        ];
        for (bound, host, served) in cases {
            let outcome = admit(bound, Door::Token, "127.0.0.1", &[("host", host), ("authorization", RIGHT)]);
            assert_eq!(outcome, if served { Ok(()) } else { Err(Refused::Host) }, "{host:?} at {bound}");
        }
    }

    #[test]
    fn every_host_that_is_named_must_be_ours() {
        let twice = [("host", "localhost"), ("host", "attacker.example"), ("authorization", RIGHT)];
        assert_eq!(admit("127.0.0.1:8081", Door::Token, "127.0.0.1", &twice), Err(Refused::Host));
        assert_eq!(admit("127.0.0.1:8081", Door::Token, "127.0.0.1", &[("authorization", RIGHT)]), Err(Refused::Host));

        let guard = Guard::new(TOKEN.to_owned(), []);
        let cases = [
            (None, "localhost:8081", Ok(())),
            (None, "attacker.example", Err(Refused::Host)),
            (Some("localhost:8081"), "attacker.example", Err(Refused::Host)),
            (Some("attacker.example"), "localhost:8081", Err(Refused::Host)),
        ];
        for (host, authority, expected) in cases {
            let mut headers = headers(&[("authorization", RIGHT)]);
            if let Some(host) = host {
                headers.insert(header::HOST, HeaderValue::from_static(host));
            }
            let visitor = Visitor { headers: &headers, authority: Some(authority), peer: None };
            assert_eq!(guard.admit(Door::Token, &visitor), expected, "{host:?} {authority}");
        }
    }

    #[test]
    fn a_page_in_a_browser_is_refused_whatever_it_carries() {
        for origin in ["http://attacker.example", "http://127.0.0.1:8081", "null", ""] {
            let pairs = [("host", "127.0.0.1:8081"), ("origin", origin), ("authorization", RIGHT)];
            for door in [Door::Token, Door::TokenFromElsewhere] {
                assert_eq!(admit("127.0.0.1:8081", door, "127.0.0.1", &pairs), Err(Refused::Origin), "{origin}");
            }
        }
    }

    #[test]
    fn the_token_is_sent_once_and_exactly() {
        let cases: [(&[&str], Result<(), Refused>); 14] = [
            (&[RIGHT], Ok(())),
            (&["bearer correct-horse-battery"], Ok(())),
            (&["Bearer  correct-horse-battery"], Ok(())),
            (&[], Err(Refused::NoToken)),
            (&["Bearer correct-horse-batter"], Err(Refused::WrongToken)),
            (&["Bearer correct-horse-batteryy"], Err(Refused::WrongToken)),
            (&["Bearer Correct-horse-battery"], Err(Refused::WrongToken)),
            (&["Bearer "], Err(Refused::WrongToken)),
            (&["Bearer"], Err(Refused::WrongToken)),
            (&["correct-horse-battery"], Err(Refused::WrongToken)),
            (&["Basic correct-horse-battery"], Err(Refused::WrongToken)),
            (&["Bearer caf\u{e9}"], Err(Refused::WrongToken)),
            (&[RIGHT, RIGHT], Err(Refused::WrongToken)),
            (&["Bearer correct-horse-battery, Bearer x"], Err(Refused::WrongToken)),
        ];
        for (sent, expected) in cases {
            let mut pairs = vec![("host", "localhost")];
            pairs.extend(sent.iter().map(|value| ("authorization", *value)));
            assert_eq!(admit("127.0.0.1:8081", Door::Token, "127.0.0.1", &pairs), expected, "{sent:?}");
        }
    }

    #[test]
    fn only_this_machine_reads_metrics_without_a_token() {
        let cases = [
            ("127.0.0.1", Door::TokenFromElsewhere, Ok(())),
            ("::1", Door::TokenFromElsewhere, Ok(())),
            ("::ffff:127.0.0.1", Door::TokenFromElsewhere, Ok(())),
            ("10.1.2.4", Door::TokenFromElsewhere, Err(Refused::NoToken)),
            ("not known", Door::TokenFromElsewhere, Err(Refused::NoToken)),
            ("127.0.0.1", Door::Token, Err(Refused::NoToken)),
        ];
        for (peer, door, expected) in cases {
            assert_eq!(admit("0.0.0.0:8081", door, peer, &[("host", "10.1.2.3:8081")]), expected, "{peer} {door:?}");
        }
    }
}
