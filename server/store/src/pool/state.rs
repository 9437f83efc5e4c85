//! Who holds what and who waits: the pool's bookkeeping, without any I/O.
//!
//! Connections that have to be closed are handed out to be dropped after the lock is released.

use std::collections::{HashMap, VecDeque};

use sqlx::PgConnection;
use tokio::sync::oneshot;
use vitals_access::tenant::TenantRole;

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

/// The answer to a request for a connection.
pub(super) enum Turn {
    Now(Slot),
    Wait(oneshot::Receiver<Slot>),
}

struct Waiter {
    login: u16,
    answer: oneshot::Sender<Slot>,
}

pub(super) struct State {
    connections: usize,
    per_tenant: usize,
    /// Oldest first.
    idle: Vec<Idle>,
    in_use: usize,
    held: HashMap<TenantRole, usize>,
    waiting: HashMap<TenantRole, VecDeque<Waiter>>,
    /// Tenants with waiters, in the order in which they are served next.
    turns: VecDeque<TenantRole>,
}

impl State {
    pub(super) fn new(connections: usize, per_tenant: usize) -> Self {
        Self {
            connections,
            per_tenant,
            idle: Vec::new(),
            in_use: 0,
            held: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.idle.len() + self.in_use
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().flatten().filter(|waiter| !waiter.answer.is_closed()).count()
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    fn may_take(&self, role: &TenantRole) -> bool {
        self.in_use < self.connections && self.held.get(role).copied().unwrap_or(0) < self.per_tenant
    }

    pub(super) fn ask(&mut self, role: &TenantRole, login: u16) -> Turn {
        let first_in_line = !self.waiting.contains_key(role);
        if first_in_line && self.may_take(role) {
            return Turn::Now(self.take(role, login));
        }
        let (answer, receiver) = oneshot::channel();
        self.waiting.entry(role.clone()).or_default().push_back(Waiter { login, answer });
        if first_in_line {
            self.turns.push_back(role.clone());
        }
        Turn::Wait(receiver)
    }

    fn take(&mut self, role: &TenantRole, login: u16) -> Slot {
        let full = self.open() >= self.connections;
        self.in_use += 1;
        *self.held.entry(role.clone()).or_default() += 1;
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

    /// Takes a slot back and serves who waits. Returns connections to drop once the lock is released.
    #[must_use]
    pub(super) fn give_back(&mut self, role: &TenantRole, mut slot: Slot) -> Vec<Slot> {
        self.in_use -= 1;
        if let Some(held) = self.held.get_mut(role) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(role);
            }
        }
        if let Some(idle) = slot.take() {
            self.idle.push(idle);
        }
        self.serve_waiting()
    }

    fn serve_waiting(&mut self) -> Vec<Slot> {
        let mut closed = Vec::new();
        let mut skipped = 0;
        while self.in_use < self.connections && skipped < self.turns.len() {
            let Some(role) = self.turns.pop_front() else { break };
            if !self.may_take(&role) {
                self.turns.push_back(role);
                skipped += 1;
                continue;
            }
            let waiter = self.waiting.get_mut(&role).and_then(VecDeque::pop_front);
            let more = self.waiting.get(&role).is_some_and(|line| !line.is_empty());
            if more {
                self.turns.push_back(role.clone());
            } else {
                self.waiting.remove(&role);
            }
            let Some(waiter) = waiter else { continue };
            if waiter.answer.is_closed() {
                continue;
            }
            let slot = self.take(&role, waiter.login);
            if let Err(slot) = waiter.answer.send(slot) {
                self.in_use -= 1;
                if let Some(held) = self.held.get_mut(&role) {
                    *held -= 1;
                }
                closed.push(slot);
            }
            skipped = 0;
        }
        closed
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
