//! What a decision saw: each window that counted, by name, with how much is left; and what is told of it.

use std::fmt::Write as _;

use vitals_access::limits::{Category, Quotas};

/// The windows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// A second.
    Burst,
    /// A minute.
    Sustained,
    /// 24 hours.
    Daily,
}

impl Span {
    /// All of them, shortest first.
    pub const ALL: [Self; 3] = [Self::Burst, Self::Sustained, Self::Daily];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::Sustained => "sustained",
            Self::Daily => "daily",
        }
    }

    /// Its length in milliseconds.
    pub const fn millis(self) -> u64 {
        match self {
            Self::Burst => 1_000,
            Self::Sustained => 60_000,
            Self::Daily => 86_400_000,
        }
    }

    /// What quotas say of it.
    pub const fn of(self, quotas: &Quotas) -> Option<u64> {
        match self {
            Self::Burst => quotas.burst,
            Self::Sustained => quotas.sustained,
            Self::Daily => quotas.daily,
        }
    }
}

/// Whose requests a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody's of the tenant.
    Tenant,
    /// Those with tokens that name one tier.
    Tier,
    /// Those of one client.
    Client,
}

/// What a decision looks at: whose, and how much they may.
#[derive(Clone, Copy, Debug)]
pub struct Level<'n> {
    /// Whose requests.
    pub who: Who,
    /// Which tier or client; empty for the tenant.
    pub name: &'n str,
    /// How much.
    pub quotas: Quotas,
}

impl Level<'_> {
    /// Its windows with their limits.
    pub fn windows(&self) -> impl Iterator<Item = (Span, u64)> + '_ {
        Span::ALL.into_iter().filter_map(|span| Some((span, span.of(&self.quotas)?)))
    }
}

/// One window after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose requests it counts.
    pub who: Who,
    /// Its length.
    pub span: Span,
    /// Its limit.
    pub limit: u64,
    /// Units it holds.
    pub used: u64,
    /// Milliseconds until it holds fewer.
    pub eases: u64,
    /// Milliseconds until the request fits, where it does not.
    pub wait: Option<u64>,
}

impl Reading {
    /// Its name: `{tenant}:{category}:{window}`, with `tier` or `client` before the window where it counts less than all.
    pub fn name(&self, tenant: &str, category: Category) -> String {
        let (category, span) = (category.name(), self.span.name());
        match self.who {
            Who::Tenant => format!("{tenant}:{category}:{span}"),
            Who::Tier => format!("{tenant}:{category}:tier:{span}"),
            Who::Client => format!("{tenant}:{category}:client:{span}"),
        }
    }

    /// Units that are left.
    pub const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Whole seconds that are not too short.
pub const fn seconds(millis: u64) -> u64 {
    let seconds = millis.div_ceil(1_000);
    if seconds == 0 { 1 } else { seconds }
}

/// What a decision saw, to be told in the headers of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    tenant: String,
    category: Category,
    readings: Vec<Reading>,
}

impl Admitted {
    /// What was seen for a tenant.
    pub fn new(tenant: &str, category: Category, readings: Vec<Reading>) -> Self {
        Self { tenant: tenant.to_owned(), category, readings }
    }

    /// Nothing is limited, so nothing is told.
    pub const fn unlimited() -> Self {
        Self { tenant: String::new(), category: Category::Read, readings: Vec::new() }
    }

    /// The windows.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), lists of structured fields; none
    /// where nothing is limited. Names of tenants are plain, so nothing in them has to be escaped.
    pub fn fields(&self) -> Option<(String, String)> {
        if self.readings.is_empty() {
            return None;
        }
        let (mut policy, mut state) = (String::with_capacity(160), String::with_capacity(160));
        for (place, reading) in self.readings.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            let name = reading.name(&self.tenant, self.category);
            let window = reading.span.millis() / 1_000;
            let until = seconds(reading.wait.unwrap_or(reading.eases));
            let left = if reading.wait.is_some() { 0 } else { reading.left() };
            let written = write!(policy, "{separator}\"{name}\";q={};w={window}", reading.limit)
                .and_then(|()| write!(state, "{separator}\"{name}\";r={left};t={until}"));
            debug_assert!(written.is_ok(), "a text takes what is written to it");
        }
        Some((policy, state))
    }
}

/// A request that is over a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The limit that was hit.
    pub name: String,
    /// Seconds until it fits, if nobody else comes.
    pub retry_after: u64,
    /// What was seen.
    pub seen: Admitted,
}

impl Limited {
    /// Of what was seen, where a window has no room: the one that takes longest.
    pub fn of(seen: &Admitted) -> Option<Self> {
        let longest = seen.readings.iter().filter_map(|reading| Some((reading.wait?, reading))).max_by_key(|(w, _)| *w);
        let (wait, reading) = longest?;
        Some(Self { name: reading.name(&seen.tenant, seen.category), retry_after: seconds(wait), seen: seen.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_what_is_told_names_the_limit_and_no_other_tenant() {
        let reading = |who, span, limit, used, wait| Reading { who, span, limit, used, eases: 1, wait };
        let seen = Admitted::new(
            "ward",
            Category::Search,
            vec![
                reading(Who::Tenant, Span::Burst, 10, 4, None),
                reading(Who::Tenant, Span::Daily, 1_000, 1_000, Some(7_001)),
                reading(Who::Client, Span::Sustained, 100, 99, Some(2_000)),
            ],
        );
        let limited = Limited::of(&seen).unwrap();
        assert_eq!((limited.name.as_str(), limited.retry_after), ("ward:search:daily", 8));
        let (policy, state) = seen.fields().unwrap();
        assert_eq!(
            policy,
            "\"ward:search:burst\";q=10;w=1, \"ward:search:daily\";q=1000;w=86400, \
             \"ward:search:client:sustained\";q=100;w=60"
        );
        assert_eq!(
            state,
            "\"ward:search:burst\";r=6;t=1, \"ward:search:daily\";r=0;t=8, \"ward:search:client:sustained\";r=0;t=2"
        );
        assert_eq!(Admitted::unlimited().fields(), None);
    }
}
