//! Limits: how much of each kind of request a tenant, a client or an address may make (contract, section 7). Decisions
//! are made here, on verified callers alone; what is told of them stands where answers are written.
//!
//! One process counts in memory. With Redis (`--redis-url`) all servers count together, by its clock. While it is away
//! each server lets its part of the quotas through (the quota by the number of servers that run), the authorization
//! server answers 503 to who asks for tokens, `vitals.limit.redis.away` is 1 and the log says so once; when it answers
//! again, nothing has to be done. What comes without good credentials each server counts by itself, always.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use vitals_access::{
    access::Access,
    audit::AuditRecord,
    limits::{Category, Quotas},
    tenant::Tenant,
};

mod address;
mod cost;
mod local;
mod reading;
pub mod settings;
mod shared;
mod tally;
mod window;

use self::{
    address::Addresses,
    local::Local,
    reading::Level,
    settings::{Costs, LimitSettings},
    shared::{Away, Shared},
    tally::Tally,
};
pub use self::{
    address::{Network, TooMany},
    cost::Charge,
    reading::{Admitted, Limited, Reading, Span, Who, seconds},
    shared::{ANSWER_WITHIN, NotARedisUrl, check_url},
};

/// The reason of refusals by the address limit: the trail has one record for many of them.
pub const ADDRESS_LIMIT: &str = "address limit";
/// Longest name of a client that is kept; a longer one is cut, and shares its windows with others so cut.
const LONGEST_NAME: usize = 200;

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is over a limit.
    Limited(Box<Limited>),
    /// Whether it is cannot be found out, and it is one that is refused then.
    Away,
}

/// What was decided so far, for metrics.
#[derive(Debug, Default)]
pub struct LimitFigures {
    /// Requests that were admitted where something is limited.
    pub admitted: AtomicU64,
    /// Requests over a limit of their tenant or client.
    pub limited: AtomicU64,
    /// Requests over the limit of their address.
    pub address_limited: AtomicU64,
    /// Decisions that were made by this server alone although Redis is configured.
    pub alone: AtomicU64,
}

/// Decides.
#[derive(Debug)]
pub struct Limiter {
    settings: LimitSettings,
    local: Local,
    shared: Option<Arc<Shared>>,
    addresses: Addresses,
    tally: Tally,
    servers: AtomicUsize,
    figures: LimitFigures,
}

impl Limiter {
    /// A limiter that counts in this process.
    pub fn new(settings: LimitSettings) -> Self {
        Self {
            addresses: Addresses::new(settings.address),
            settings,
            local: Local::default(),
            shared: None,
            tally: Tally::default(),
            servers: AtomicUsize::new(1),
            figures: LimitFigures::default(),
        }
    }

    /// A limiter that shares its windows through Redis.
    pub async fn sharing(settings: LimitSettings, url: &str, within: Duration) -> Result<Self, NotARedisUrl> {
        Ok(Self { shared: Some(Shared::start(url, within).await?), ..Self::new(settings) })
    }

    /// What requests cost.
    pub const fn costs(&self) -> &Costs {
        &self.settings.costs
    }

    /// What the operator said.
    pub const fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// What was decided so far.
    pub const fn figures(&self) -> &LimitFigures {
        &self.figures
    }

    /// Decisions that Redis made and that it did not; none without Redis.
    pub fn shared_figures(&self) -> Option<(u64, u64, bool)> {
        let shared = self.shared.as_ref()?;
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Some((read(&shared.figures.decided), read(&shared.figures.failed), shared.is_away()))
    }

    /// Notes how many servers run: while Redis is away each lets its part through.
    pub fn set_servers(&self, servers: usize) {
        self.servers.store(servers.max(1), Ordering::Relaxed);
    }

    /// Admits a verified caller's request, or not. Nothing is counted of what is not admitted.
    pub async fn admit(&self, access: &Access, charge: Charge, now: i64) -> Result<Admitted, Denied> {
        let tenant = access.acting();
        let client = access.client().unwrap_or_else(|| access.subject());
        let claimed = Some(access.tier()).filter(|tier| *tier != tenant.tier);
        self.decide(tenant, claimed, client, charge, now).await
    }

    /// The same for a client of the tenant's authorization server that proved who it is.
    pub async fn admit_client(
        &self,
        tenant: &Tenant,
        client: &str,
        charge: Charge,
        now: i64,
    ) -> Result<Admitted, Denied> {
        self.decide(tenant, None, client, charge, now).await
    }

    async fn decide(
        &self,
        tenant: &Tenant,
        claimed: Option<&str>,
        client: &str,
        charge: Charge,
        now: i64,
    ) -> Result<Admitted, Denied> {
        let Charge { category, units } = charge;
        // Who gets tokens while nobody counts could get any number of them.
        if category == Category::Auth && self.shared.as_ref().is_some_and(|shared| shared.is_away()) {
            return Err(Denied::Away);
        }
        let levels = self.levels(tenant, claimed, client, category);
        if levels.is_empty() {
            return Ok(Admitted::unlimited());
        }
        let readings = match &self.shared {
            None => self.local.decide(&tenant.role, category, &levels, units, moment(now)),
            Some(shared) => match shared.decide(&tenant.role, category, &levels, units).await {
                Ok(readings) => {
                    if readings.iter().all(|reading| reading.wait.is_none()) {
                        // Should Redis go away, what came to this server is known.
                        self.local.note(&tenant.role, category, &levels, units, moment(now));
                    }
                    readings
                }
                Err(Away) if category == Category::Auth => return Err(Denied::Away),
                Err(Away) => {
                    self.figures.alone.fetch_add(1, Ordering::Relaxed);
                    let levels = self.parts(&levels);
                    self.local.decide(&tenant.role, category, &levels, units, moment(now))
                }
            },
        };
        let seen = Admitted::new(tenant.name.as_str(), category, readings);
        if let Some(limited) = Limited::of(&seen) {
            self.figures.limited.fetch_add(1, Ordering::Relaxed);
            return Err(Denied::Limited(Box::new(limited)));
        }
        self.figures.admitted.fetch_add(1, Ordering::Relaxed);
        Ok(seen)
    }

    /// What limits a caller: the tenant's quotas, those of the tier that its token names, those of each client. A token's
    /// tier never gives more than the tenant has, because the tenant's own windows count as well.
    fn levels<'n>(
        &self,
        tenant: &Tenant,
        claimed: Option<&'n str>,
        client: &'n str,
        category: Category,
    ) -> Vec<Level<'n>> {
        let settings = &self.settings;
        let whole = settings.of_tenant(tenant, category);
        let each = settings.of_client(tenant, category);
        let claimed = claimed.map(|name| (name, settings.of_tier(name, category)));
        let mut levels = Vec::new();
        let mut add = |who, name, quotas: Quotas| {
            if !quotas.is_none() {
                levels.push(Level { who, name, quotas });
            }
        };
        add(Who::Tenant, "", whole);
        if let Some((name, quotas)) = claimed {
            add(Who::Tier, name, if quotas.is_none() { quotas } else { quotas.within(whole) });
        }
        add(Who::Client, cut(client), each);
        levels
    }

    /// This server's part of the quotas.
    fn parts<'n>(&self, levels: &[Level<'n>]) -> Vec<Level<'n>> {
        let servers = u64::try_from(self.servers.load(Ordering::Relaxed)).unwrap_or(1).max(1);
        let part = |quota: Option<u64>| quota.map(|quota| (quota / servers).max(1));
        let of = |quotas: Quotas| Quotas {
            burst: part(quotas.burst),
            sustained: part(quotas.sustained),
            daily: part(quotas.daily),
        };
        levels.iter().map(|level| Level { quotas: of(level.quotas), ..*level }).collect()
    }

    /// What a tenant used of its quotas in a category, and each of its clients that came to this server.
    pub async fn usage(&self, tenant: &Tenant, category: Category, now: i64) -> Usage {
        let whole = self.settings.of_tenant(tenant, category);
        let each = self.settings.of_client(tenant, category);
        let mut usage = Usage::default();
        if !whole.is_none() {
            usage.tenant = self.look(tenant, category, Level { who: Who::Tenant, name: "", quotas: whole }, now).await;
        }
        if !each.is_none() {
            for client in self.local.clients(&tenant.role, category) {
                let level = Level { who: Who::Client, name: &client, quotas: each };
                let readings = self.look(tenant, category, level, now).await;
                usage.clients.push((client, readings));
            }
        }
        usage
    }

    async fn look(&self, tenant: &Tenant, category: Category, level: Level<'_>, now: i64) -> Vec<Reading> {
        if let Some(shared) = &self.shared
            && let Ok(readings) = shared.decide(&tenant.role, category, &[level], 0).await
        {
            return readings;
        }
        self.local.decide(&tenant.role, category, &[level], 0, moment(now))
    }

    /// Counts a request without good credentials, unless too many came from its network.
    pub fn count_address(&self, from: Network, now: i64) -> Result<(), TooMany> {
        let counted = self.addresses.count(from, moment(now));
        if counted.is_err() {
            self.figures.address_limited.fetch_add(1, Ordering::Relaxed);
        }
        counted
    }

    /// Adds a refusal by the address limit to the one record it shares.
    pub fn tally(&self, record: AuditRecord, from: Network) {
        self.tally.add(record, from.to_string());
    }

    /// The shared records of minutes that are over, to be written; and forgets what is idle.
    pub fn over(&self, now: i64) -> Vec<AuditRecord> {
        self.local.sweep(moment(now));
        self.tally.over(now)
    }

    /// All shared records, for a server that stops.
    pub fn rest(&self) -> Vec<AuditRecord> {
        self.tally.all()
    }
}

/// What was used of a category.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// By the tenant.
    pub tenant: Vec<Reading>,
    /// By each client.
    pub clients: Vec<(String, Vec<Reading>)>,
}

fn moment(now: i64) -> u64 {
    u64::try_from(now).unwrap_or(0)
}

fn cut(name: &str) -> &str {
    let end = name.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_NAME).unwrap_or(name.len());
    &name[..end]
}

#[cfg(test)]
mod tests;
