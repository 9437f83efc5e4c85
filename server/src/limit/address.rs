//! Requests without good credentials, by the address they come from: an IPv4 network of 256 addresses or an IPv6
//! network of one subscriber counts as one, since whoever has one address of it has them all. In this process alone.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use super::{
    reading::{Span, seconds},
    settings::AddressLimits,
    window::Window,
};

const SHARDS: usize = 16;
/// Networks that are remembered in each shard: 1.5 kB each where they are busy, 200 bytes where not.
const MOST: usize = 4_096;

/// A network that counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network([u8; 8], bool);

impl Network {
    /// The network of an address; what has no address (a test's own connection) is one network, too.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Self([a, b, c, 0, 0, 0, 0, 0], true)
            }
            Some(IpAddr::V6(address)) => {
                let mut prefix = [0; 8];
                prefix.copy_from_slice(&address.octets()[..8]);
                Self(prefix, false)
            }
            None => Self([0; 8], true),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = &self.0;
        if self.1 {
            return write!(f, "{}/24", Ipv4Addr::new(prefix[0], prefix[1], prefix[2], 0));
        }
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(prefix);
        write!(f, "{}/64", Ipv6Addr::from(octets))
    }
}

/// An address from which too much came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Which window is full.
    pub span: Span,
    /// Seconds until there is room.
    pub retry_after: u64,
}

/// What came from where.
#[derive(Debug)]
pub struct Addresses {
    limits: AddressLimits,
    shards: Vec<Mutex<HashMap<Network, [Window; 2]>>>,
    hasher: RandomState,
}

impl Addresses {
    /// Counts up to these limits.
    pub fn new(limits: AddressLimits) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { limits, shards, hasher: RandomState::new() }
    }

    /// Counts a request that showed no good credentials, unless too many came.
    pub fn count(&self, from: Network, now: u64) -> Result<(), TooMany> {
        let limits = [(Span::Burst, self.limits.per_second), (Span::Sustained, self.limits.per_minute)];
        if limits.iter().all(|(_, limit)| limit.is_none()) {
            return Ok(());
        }
        let place = usize::try_from(self.hasher.hash_one(from)).unwrap_or(0) % SHARDS;
        let mut shard = self.shards[place].lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.contains_key(&from) && shard.len() >= MOST {
            make_room(&mut shard, now);
        }
        let windows = shard.entry(from).or_default();
        let mut longest: Option<(u64, Span)> = None;
        for ((span, limit), window) in limits.iter().zip(windows.iter_mut()) {
            let Some(limit) = limit else { continue };
            window.used(now, span.millis());
            if let Some(wait) = window.wait(span.millis(), *limit, 1) {
                longest = longest.max(Some((wait, *span)));
            }
        }
        if let Some((wait, span)) = longest {
            return Err(TooMany { span, retry_after: seconds(wait) });
        }
        for ((span, limit), window) in limits.iter().zip(windows.iter_mut()) {
            if let Some(limit) = limit {
                window.add(span.millis(), *limit, 1);
            }
        }
        Ok(())
    }
}

/// Forgets whose windows are empty, or else anybody: who comes from so many networks is not held by counting them.
fn make_room(shard: &mut HashMap<Network, [Window; 2]>, now: u64) {
    shard.retain(|_, [burst, sustained]| {
        !burst.is_idle(now, Span::Burst.millis()) || !sustained.is_idle(now, Span::Sustained.millis())
    });
    let over: Vec<Network> = shard.keys().copied().take(shard.len().saturating_sub(MOST - MOST / 8)).collect();
    for network in over {
        shard.remove(&network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_772_323_200_000;

    fn network(text: &str) -> Network {
        Network::of(Some(text.parse().expect("an address")))
    }

    #[test]
    fn a_network_counts_as_one() {
        assert_eq!(network("192.0.2.1"), network("192.0.2.254"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.9"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.77").to_string(), "192.0.2.0/24");
        assert_eq!(network("2001:db8:0:7::9").to_string(), "2001:db8:0:7::/64");
    }

    #[test]
    fn r08_a_flood_is_held_at_its_own_address() {
        let addresses = Addresses::new(AddressLimits::default());
        let flood = network("192.0.2.1");
        let passed = (0..1_000).filter(|_| addresses.count(flood, START).is_ok()).count();
        assert_eq!(passed, 100);
        assert_eq!(addresses.count(flood, START), Err(TooMany { span: Span::Burst, retry_after: 1 }));
        assert_eq!(addresses.count(network("198.51.100.1"), START), Ok(()));
        let passed: usize =
            (1..60).map(|s| (0..200).filter(|_| addresses.count(flood, START + s * 1_000).is_ok()).count()).sum();
        assert_eq!(passed, 5_900);
        let minute = addresses.count(flood, START + 59_999);
        assert_eq!(minute, Err(TooMany { span: Span::Sustained, retry_after: 1 }));
    }

    #[test]
    fn many_addresses_are_bounded() {
        let addresses = Addresses::new(AddressLimits::default());
        for number in 0..200_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let from = Network::of(Some(IpAddr::from([0x20, 1, 0xd, 0xb8, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 1])));
            addresses.count(from, START).expect("the first of each");
        }
        let kept: usize = addresses.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= SHARDS * MOST, "{kept}");
    }
}
