//! Windows in this process's memory, by tenant, category, tier and client.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use vitals_access::{limits::Category, tenant::TenantRole};

use super::{
    reading::{Level, Reading, Span, Who},
    window::Window,
};

/// Locks that share the tenants, so that two requests seldom wait for one another.
const SHARDS: usize = 64;
/// Tiers and clients of one tenant and category whose windows are kept: what claims more names than these is a crowd, and
/// the tenant's own windows hold it.
const MOST_NAMES: usize = 10_000;

/// The windows of one name.
#[derive(Debug, Default)]
struct Windows([Window; 3]);

impl Windows {
    fn is_idle(&self, now: u64) -> bool {
        self.0.iter().zip(Span::ALL).all(|(window, span)| window.is_idle(now, span.millis()))
    }
}

/// What is counted in one category of a tenant.
#[derive(Debug, Default)]
struct Counted {
    own: Windows,
    tiers: HashMap<Box<str>, Windows>,
    clients: HashMap<Box<str>, Windows>,
}

impl Counted {
    fn is_idle(&self, now: u64) -> bool {
        self.own.is_idle(now) && self.tiers.is_empty() && self.clients.is_empty()
    }
}

/// By category.
type Tenant = [Counted; 6];

/// The windows of this process.
#[derive(Debug)]
pub struct Local {
    shards: Vec<Mutex<HashMap<TenantRole, Box<Tenant>>>>,
    hasher: RandomState,
}

impl Default for Local {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, hasher: RandomState::new() }
    }
}

impl Local {
    /// Counts so many units in every window that these levels have, if they fit in all of them; else in none. With no
    /// units it only looks.
    pub fn decide(
        &self,
        tenant: &TenantRole,
        category: Category,
        levels: &[Level<'_>],
        units: u64,
        now: u64,
    ) -> Vec<Reading> {
        let mut shard = self.shard(tenant);
        let Some(counted) = counted(&mut shard, tenant, category) else { return Vec::new() };
        let mut readings = Vec::with_capacity(9);
        for level in levels {
            let windows = counted.windows(level, now);
            for (span, limit) in level.windows() {
                let (window, length) = (&mut windows.0[span as usize], span.millis());
                let used = window.used(now, length);
                let wait = if units == 0 { None } else { window.wait(length, limit, units.min(limit)) };
                readings.push(Reading { who: level.who, span, limit, used, eases: window.eases(length), wait });
            }
        }
        if units == 0 || readings.iter().any(|reading| reading.wait.is_some()) {
            return readings;
        }
        let mut places = readings.iter_mut();
        for level in levels {
            let windows = counted.windows(level, now);
            for ((span, limit), reading) in level.windows().zip(places.by_ref()) {
                let (window, length) = (&mut windows.0[span as usize], span.millis());
                window.add(length, limit, units.min(limit));
                reading.used += units.min(limit);
                reading.eases = window.eases(length);
            }
        }
        readings
    }

    /// Counts units that somebody else admitted.
    pub fn note(&self, tenant: &TenantRole, category: Category, levels: &[Level<'_>], units: u64, now: u64) {
        let mut shard = self.shard(tenant);
        let Some(counted) = counted(&mut shard, tenant, category) else { return };
        for level in levels {
            let windows = counted.windows(level, now);
            for (span, limit) in level.windows() {
                let window = &mut windows.0[span as usize];
                window.used(now, span.millis());
                window.add(span.millis(), limit, units.min(limit));
            }
        }
    }

    /// The clients of a tenant that are counted in a category.
    pub fn clients(&self, tenant: &TenantRole, category: Category) -> Vec<String> {
        let shard = self.shard(tenant);
        let counted = shard.get(tenant).map(|tenant| &tenant[category as usize]);
        let mut clients: Vec<String> =
            counted.into_iter().flat_map(|counted| counted.clients.keys()).map(ToString::to_string).collect();
        clients.sort_unstable();
        clients
    }

    /// Forgets whose windows are empty.
    pub fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, tenant| {
                for counted in tenant.iter_mut() {
                    counted.tiers.retain(|_, windows| !windows.is_idle(now));
                    counted.clients.retain(|_, windows| !windows.is_idle(now));
                }
                !tenant.iter().all(|counted| counted.is_idle(now))
            });
        }
    }

    fn shard(&self, tenant: &TenantRole) -> MutexGuard<'_, HashMap<TenantRole, Box<Tenant>>> {
        let place = usize::try_from(self.hasher.hash_one(tenant)).unwrap_or(0) % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted of a tenant; looked up by reference, since nearly always it is there.
fn counted<'s>(
    shard: &'s mut HashMap<TenantRole, Box<Tenant>>,
    tenant: &TenantRole,
    category: Category,
) -> Option<&'s mut Counted> {
    if !shard.contains_key(tenant) {
        shard.insert(tenant.clone(), Box::default());
    }
    shard.get_mut(tenant).map(|tenant| &mut tenant[category as usize])
}

impl Counted {
    fn windows(&mut self, level: &Level<'_>, now: u64) -> &mut Windows {
        let names = match level.who {
            Who::Tenant => return &mut self.own,
            Who::Tier => &mut self.tiers,
            Who::Client => &mut self.clients,
        };
        if !names.contains_key(level.name) {
            if names.len() >= MOST_NAMES {
                make_room(names, now);
            }
            names.insert(level.name.into(), Windows::default());
        }
        names.get_mut(level.name).unwrap_or(&mut self.own)
    }
}

/// Forgets whose windows are empty, or else anybody: what claims so many names is held by the tenant's own windows.
fn make_room(names: &mut HashMap<Box<str>, Windows>, now: u64) {
    names.retain(|_, windows| !windows.is_idle(now));
    if names.len() >= MOST_NAMES
        && let Some(some) = names.keys().next().cloned()
    {
        names.remove(&some);
    }
}

#[cfg(test)]
mod tests {
    use vitals_access::limits::Quotas;

    use super::*;

    const START: u64 = 1_772_323_200_000;

    fn level(who: Who, name: &str, sustained: u64) -> Level<'_> {
        Level { who, name, quotas: Quotas { sustained: Some(sustained), ..Quotas::NONE } }
    }

    fn fits(readings: &[Reading]) -> bool {
        readings.iter().all(|reading| reading.wait.is_none())
    }

    #[test]
    fn a_client_takes_its_own_part_and_no_more() {
        let (local, tenant) = (Local::default(), TenantRole::generate());
        let ask = |client: &str| {
            let levels = [level(Who::Tenant, "", 10), level(Who::Client, client, 4)];
            fits(&local.decide(&tenant, Category::Read, &levels, 1, START))
        };
        assert_eq!((0..6).filter(|_| ask("one")).count(), 4);
        // What was refused for the client was not taken from the tenant.
        assert_eq!((0..6).filter(|_| ask("two")).count(), 4);
        assert_eq!((0..6).filter(|_| ask("three")).count(), 2);
        assert_eq!(local.clients(&tenant, Category::Read), ["one", "three", "two"]);
        assert_eq!(local.clients(&tenant, Category::Write), Vec::<String>::new());
    }

    #[test]
    fn categories_and_tenants_are_counted_apart() {
        let local = Local::default();
        let (one, two) = (TenantRole::generate(), TenantRole::generate());
        let levels = [level(Who::Tenant, "", 1)];
        assert!(fits(&local.decide(&one, Category::Read, &levels, 1, START)));
        assert!(!fits(&local.decide(&one, Category::Read, &levels, 1, START)));
        assert!(fits(&local.decide(&one, Category::Write, &levels, 1, START)));
        assert!(fits(&local.decide(&two, Category::Read, &levels, 1, START)));
    }

    #[test]
    fn names_are_bounded_and_what_is_idle_is_forgotten() {
        let (local, tenant) = (Local::default(), TenantRole::generate());
        for number in 0..MOST_NAMES + 50 {
            let name = format!("client-{number}");
            local.decide(&tenant, Category::Read, &[level(Who::Client, &name, 4)], 1, START);
        }
        assert_eq!(local.clients(&tenant, Category::Read).len(), MOST_NAMES);
        local.sweep(START + 59_999);
        assert_eq!(local.clients(&tenant, Category::Read).len(), MOST_NAMES);
        local.sweep(START + 60_000);
        assert!(local.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
