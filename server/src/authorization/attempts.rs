//! Back-off of addresses that fail to sign in, or whose clients fail to prove themselves, in memory: an account's own
//! lock (`accounts`) does not stop whoever tries one password on many accounts.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;
use vitals_access::tenant::{Tenant, TenantRole};

/// Failures of people that cost nothing: a ward behind one address mistypes a few times.
const FREE: u32 = 10;
/// Failures of programs that cost nothing: many run behind one address, and their secrets cannot be guessed.
const FREE_OF_CLIENTS: u32 = 100;
/// The first wait; each failure doubles it.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(15);
/// An address that does nothing for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// Addresses that are remembered: 64 bytes each.
const MOST: u64 = 100_000;

/// Who failed lately, by tenant and address.
#[derive(Debug)]
pub struct Attempts {
    free: u32,
    known: Cache<(TenantRole, Option<Block>), Failed>,
}

/// An IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has them all.
type Block = [u8; 16];

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    last: DateTime<Utc>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { free: FREE, known: Cache::builder().max_capacity(MOST).time_to_idle(FORGOTTEN).build() }
    }
}

impl Attempts {
    /// Those of programs.
    pub fn of_clients() -> Self {
        Self { free: FREE_OF_CLIENTS, ..Self::default() }
    }

    /// How long an address has to wait before it may try again.
    pub fn wait(&self, tenant: &Tenant, address: Option<IpAddr>, now: DateTime<Utc>) -> Option<TimeDelta> {
        let failed = self.known.get(&key(tenant, address))?;
        let over = failed.times.checked_sub(self.free)?;
        let wait = FIRST_WAIT.checked_mul(1 << over.min(16)).map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT));
        Some(failed.last + wait - now).filter(|rest| *rest > TimeDelta::zero())
    }

    /// Notes a failure.
    pub fn failed(&self, tenant: &Tenant, address: Option<IpAddr>, now: DateTime<Utc>) {
        let more = |entry: Option<moka::Entry<_, Failed>>| {
            let times = entry.map_or(0, |entry| entry.value().times);
            Failed { times: times.saturating_add(1), last: now }
        };
        self.known.entry(key(tenant, address)).and_upsert_with(more);
    }

    /// Notes a success: whoever knows a password is not guessing.
    pub fn succeeded(&self, tenant: &Tenant, address: Option<IpAddr>) {
        self.known.invalidate(&key(tenant, address));
    }
}

fn key(tenant: &Tenant, address: Option<IpAddr>) -> (TenantRole, Option<Block>) {
    (tenant.role.clone(), address.map(block))
}

fn block(address: IpAddr) -> Block {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let of = |text: &str| block(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
