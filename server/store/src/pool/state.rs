//! Who holds what and who waits: the pool's bookkeeping, without any I/O.
//!
//! Connections that have to be closed are handed out to be dropped after the lock is released.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::sync::oneshot;
use vitals_access::tenant::TenantRole;

use super::PoolLimits;

/// A connection nobody uses, still bound to the tenant that used it last.
pub(super) struct Idle {
    pub(super) connection: PgConnection,
    pub(super) role: TenantRole,
    login: u16,
}

/// The right to one connection: an idle one, or the right to open one.
pub(super) struct Slot(Option<Idle>);

impl Slot {
    pub(super) fn take(&mut self) -> Option<Idle> {
        self.0.take()
    }

    pub(super) fn clean(connection: PgConnection, role: TenantRole, login: u16) -> Self {
        Self(Some(Idle { connection, role, login }))
    }

    pub(super) fn closed() -> Self {
        Self(None)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A statement over many rows that only reads.
    Search,
    /// Anything else.
    Other,
}

/// The answer to a request for a connection.
pub(super) enum Turn {
    Now(Slot),
    Wait(oneshot::Receiver<Slot>),
    /// The line is too long to wait in.
    InVain,
}

struct Waiter {
    login: u16,
    answer: oneshot::Sender<Slot>,
}

/// What a tenant holds and who of it waits.
#[derive(Default)]
struct Side {
    held: usize,
    searching: usize,
    searches: VecDeque<Waiter>,
    others: VecDeque<Waiter>,
    /// How long its connections are held, on the average of the last dozen, in microseconds.
    holds: u64,
}

impl Side {
    fn waiting(&self) -> usize {
        self.searches.len() + self.others.len()
    }

    fn line(&mut self, work: Work) -> &mut VecDeque<Waiter> {
        match work {
            Work::Search => &mut self.searches,
            Work::Other => &mut self.others,
        }
    }

    fn took(&mut self, work: Work) {
        self.held += 1;
        self.searching += usize::from(work == Work::Search);
    }
}

pub(super) struct State {
    limits: PoolLimits,
    /// Oldest first.
    idle: Vec<Idle>,
    in_use: usize,
    sides: HashMap<TenantRole, Side>,
    /// Tenants with waiters, in the order in which they are served next.
    turns: VecDeque<TenantRole>,
    seen: Seen,
}

/// Which tenants asked in this second and the one before.
struct Seen {
    since: Instant,
    now: HashSet<TenantRole>,
    before: HashSet<TenantRole>,
}

impl Seen {
    fn note(&mut self, role: &TenantRole, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= ROUND {
            self.before = std::mem::take(&mut self.now);
            if passed >= 2 * ROUND {
                self.before.clear();
            }
            self.since = now;
        }
        if !self.now.contains(role) {
            self.now.insert(role.clone());
        }
    }

    fn is_alone(&self, role: &TenantRole) -> bool {
        let others = |set: &HashSet<TenantRole>| set.len() > usize::from(set.contains(role));
        !others(&self.now) && !others(&self.before)
    }
}

/// How long a tenant is there after it asked: at least so long, at most twice.
const ROUND: Duration = Duration::from_secs(1);

impl State {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: Vec::new(),
            in_use: 0,
            sides: HashMap::new(),
            turns: VecDeque::new(),
            seen: Seen { since: Instant::now(), now: HashSet::new(), before: HashSet::new() },
        }
    }

    /// Whether no other tenant is there.
    pub(super) fn is_alone(&self, role: &TenantRole) -> bool {
        self.seen.is_alone(role)
    }

    pub(super) fn open(&self) -> usize {
        self.idle.len() + self.in_use
    }

    pub(super) fn waiting(&self) -> usize {
        let waiters = self.sides.values().flat_map(|side| side.searches.iter().chain(&side.others));
        waiters.filter(|waiter| !waiter.answer.is_closed()).count()
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    fn may_take(&self, role: &TenantRole, work: Work) -> bool {
        let (held, searching) = self.sides.get(role).map_or((0, 0), |side| (side.held, side.searching));
        let beside = if self.seen.is_alone(role) { usize::MAX } else { self.limits.searches_beside_others };
        let searches = self.limits.searches.min(beside);
        self.in_use < self.limits.connections
            && held < self.limits.per_tenant
            && (work == Work::Other || searching < searches)
    }

    pub(super) fn ask(&mut self, role: &TenantRole, login: u16, work: Work, now: Instant) -> Turn {
        self.seen.note(role, now);
        let first_in_line = self.sides.get_mut(role).is_none_or(|side| side.line(work).is_empty());
        if first_in_line && self.may_take(role, work) {
            return Turn::Now(self.take(role, login, work));
        }
        if self.is_in_vain(role) {
            return Turn::InVain;
        }
        let (answer, receiver) = oneshot::channel();
        let side = self.sides.entry(role.clone()).or_default();
        let first = side.waiting() == 0;
        side.line(work).push_back(Waiter { login, answer });
        if first {
            self.turns.push_back(role.clone());
        }
        Turn::Wait(receiver)
    }

    /// Whether a further request of a tenant would wait in vain: more wait than may, or so many that by how long they
    /// take none of its turns comes before it gives up.
    fn is_in_vain(&self, role: &TenantRole) -> bool {
        let Some(side) = self.sides.get(role) else { return false };
        let waiting = side.waiting();
        let lanes = (self.limits.connections / self.turns.len().max(1)).clamp(1, self.limits.per_tenant);
        let turns = u64::try_from(waiting / lanes).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(side.holds.saturating_mul(turns));
        waiting >= self.limits.waiting || wait > self.limits.checkout
    }

    fn take(&mut self, role: &TenantRole, login: u16, work: Work) -> Slot {
        let full = self.open() >= self.limits.connections;
        self.in_use += 1;
        self.sides.entry(role.clone()).or_default().took(work);
        // The most recently used of the tenant's own is the warmest.
        if let Some(place) = self.idle.iter().rposition(|idle| idle.role == *role) {
            return Slot(Some(self.idle.remove(place)));
        }
        if !full {
            return Slot(None);
        }
        if let Some(place) = self.idle.iter().position(|idle| idle.login == login) {
            return Slot(Some(self.idle.remove(place)));
        }
        // Every idle connection is of another login: the oldest makes room. It closes when dropped here, which sends
        // one message and does not wait.
        if !self.idle.is_empty() {
            drop(self.idle.remove(0));
        }
        Slot(None)
    }

    /// Takes a slot back and serves who waits; a search still has its turn. Returns connections to drop once the lock is
    /// released.
    #[must_use]
    pub(super) fn give_back(&mut self, role: &TenantRole, mut slot: Slot, held: Option<Duration>) -> Vec<Slot> {
        self.in_use -= 1;
        if let Some(side) = self.sides.get_mut(role) {
            side.held -= 1;
            if let Some(held) = held.and_then(|held| u64::try_from(held.as_micros()).ok()) {
                side.holds = if side.holds == 0 { held } else { (side.holds * 11 + held) / 12 };
            }
        }
        self.tidy(role);
        if let Some(idle) = slot.take() {
            self.idle.push(idle);
        }
        self.serve_waiting()
    }

    /// Ends the turn of a search and serves who waits, as [`State::give_back`] does.
    #[must_use]
    pub(super) fn end_search(&mut self, role: &TenantRole) -> Vec<Slot> {
        if let Some(side) = self.sides.get_mut(role) {
            side.searching -= 1;
        }
        self.tidy(role);
        self.serve_waiting()
    }

    /// Forgets a tenant that holds nothing and waits for nothing.
    fn tidy(&mut self, role: &TenantRole) {
        if self.sides.get(role).is_some_and(|side| (side.held, side.searching, side.waiting()) == (0, 0, 0)) {
            self.sides.remove(role);
        }
    }

    fn serve_waiting(&mut self) -> Vec<Slot> {
        let mut closed = Vec::new();
        let mut skipped = 0;
        while self.in_use < self.limits.connections && skipped < self.turns.len() {
            let Some(role) = self.turns.pop_front() else { break };
            let Some((waiter, work)) = self.next_of(&role) else {
                if self.sides.get(&role).is_some_and(|side| side.waiting() > 0) {
                    self.turns.push_back(role);
                    skipped += 1;
                } else {
                    self.tidy(&role);
                }
                continue;
            };
            if self.sides.get(&role).is_some_and(|side| side.waiting() > 0) {
                self.turns.push_back(role.clone());
            }
            if waiter.answer.is_closed() {
                self.tidy(&role);
                continue;
            }
            let slot = self.take(&role, waiter.login, work);
            if let Err(slot) = waiter.answer.send(slot) {
                self.in_use -= 1;
                if let Some(side) = self.sides.get_mut(&role) {
                    side.held -= 1;
                    side.searching -= usize::from(work == Work::Search);
                }
                self.tidy(&role);
                closed.push(slot);
            }
            skipped = 0;
        }
        closed
    }

    /// The waiter of a tenant whose turn it is: of the longer line, unless that may not run now.
    fn next_of(&mut self, role: &TenantRole) -> Option<(Waiter, Work)> {
        let (search, other) = (self.may_take(role, Work::Search), self.may_take(role, Work::Other));
        let side = self.sides.get_mut(role)?;
        let searches_first = side.searches.len() > side.others.len();
        let order = if searches_first { [Work::Search, Work::Other] } else { [Work::Other, Work::Search] };
        order.into_iter().find_map(|work| {
            let may = if work == Work::Search { search } else { other };
            let waiter = if may { side.line(work).pop_front() } else { None };
            Some((waiter?, work))
        })
    }

    /// Gives out the idle connections of a tenant, to be closed.
    #[must_use]
    pub(super) fn forget(&mut self, role: &TenantRole) -> Vec<Idle> {
        let (gone, kept) = std::mem::take(&mut self.idle).into_iter().partition(|idle| idle.role == *role);
        self.idle = kept;
        gone
    }

    /// Gives out every idle connection: after one was found dead, the others are suspect.
    #[must_use]
    pub(super) fn forget_idle(&mut self) -> Vec<Idle> {
        std::mem::take(&mut self.idle)
    }
}

#[cfg(test)]
mod tests;
