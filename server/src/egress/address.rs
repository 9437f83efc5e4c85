//! Which addresses may be fetched from: public ones, and those the operator allowed (`--egress-allow`).
//!
//! A list of what is public, not of what is forbidden: of IPv6 only the global unicast block that was given out
//! (2000::/3) without its special parts, so that mapped, translated (NAT64), local and future forms are refused without
//! being named (<https://www.iana.org/assignments/iana-ipv6-special-registry>).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A block of addresses, such as `10.0.0.0/8`; a single address stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// The text is not a block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACidr {
    /// Not of the form.
    #[error("must be an address or a block such as 10.0.0.0/8 or fd00::/8")]
    Form,
    /// Bits are set behind the prefix: the writer meant another block, or another prefix.
    #[error("has bits behind its prefix; the block it lies in is {0}")]
    Bits(Cidr),
}

impl Cidr {
    /// Whether the block holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => masked_v4(address, self.prefix) == network,
            (IpAddr::V6(network), IpAddr::V6(address)) => masked_v6(address, self.prefix) == network,
            _ => false,
        }
    }
}

fn masked_v4(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

fn masked_v6(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0))
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotACidr::Form)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u8>().ok().filter(|prefix| *prefix <= longest).ok_or(NotACidr::Form)?
            }
            Some(_) => return Err(NotACidr::Form),
        };
        let network = match address {
            IpAddr::V4(address) => IpAddr::V4(masked_v4(address, prefix)),
            IpAddr::V6(address) => IpAddr::V6(masked_v6(address, prefix)),
        };
        let block = Self { network, prefix };
        if network == address { Ok(block) } else { Err(NotACidr::Bits(block)) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// How an address stands to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The operator named it: plain http is allowed as well.
    Allowed,
    /// Public: https only.
    Public,
    /// Refused.
    Refused,
}

/// Judges an address. One that wraps an IPv4 address is allowed where that one is.
pub(super) fn reach(address: IpAddr, allow: &[Cidr]) -> Reach {
    if allow.iter().any(|block| block.contains(address) || block.contains(address.to_canonical())) {
        return Reach::Allowed;
    }
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if public { Reach::Public } else { Reach::Refused }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    // "This network", private, carrier's NAT, loopback, link-local (and cloud metadata).
    let inside = matches!(
        octets,
        [0 | 10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
    );
    // Protocol assignments, 6to4 relays, benchmarks, documentation.
    let special = matches!(
        octets,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _]
    );
    let multicast_or_reserved = octets[0] >= 224;
    !(inside || special || multicast_or_reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let global = segments[0] & 0xe000 == 0x2000;
    // Protocol assignments (Teredo, ORCHID) and documentation, 6to4 (which wraps IPv4), documentation.
    let special = matches!(segments, [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..]);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::{Cidr, Reach, reach};

    #[test]
    fn only_public_addresses_are_reached() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:93.184.216.34",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::5db8:d822",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff:fff::1",
            "4000::1",
        ];
        let public = [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450:4001::8a",
            "3fff:1000::1",
        ];
        for address in refused {
            assert_eq!(reach(address.parse().unwrap(), &[]), Reach::Refused, "{address}");
        }
        for address in public {
            assert_eq!(reach(address.parse().unwrap(), &[]), Reach::Public, "{address}");
        }
    }

    #[test]
    fn allowed_blocks_open_what_they_hold_and_nothing_else() {
        let allow: Vec<Cidr> = ["127.0.0.0/8", "10.1.0.0/16", "fd00::/8", "192.168.7.9"]
            .into_iter()
            .map(|block| block.parse().unwrap())
            .collect();
        let cases = [
            ("127.0.0.1", Reach::Allowed),
            ("::ffff:127.0.0.1", Reach::Allowed),
            ("10.1.255.255", Reach::Allowed),
            ("10.2.0.0", Reach::Refused),
            ("fd00::1", Reach::Allowed),
            ("fc00::1", Reach::Refused),
            ("::1", Reach::Refused),
            ("192.168.7.9", Reach::Allowed),
            ("192.168.7.10", Reach::Refused),
            ("1.1.1.1", Reach::Public),
        ];
        for (address, expected) in cases {
            assert_eq!(reach(address.parse().unwrap(), &allow), expected, "{address}");
        }
    }

    #[test]
    fn blocks_are_read_strictly() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/8", "1.2.3.4", "1.2.3.4/32", "::1/128", "fe80::/10"] {
            assert!(text.parse::<Cidr>().is_ok(), "{text}");
        }
        for text in
            ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.1/8", "fd00::1/8", "a.b.c.d"]
        {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!(!"0.0.0.0/0".parse::<Cidr>().unwrap().contains("::1".parse().unwrap()));
    }
}
