use super::*;

const LIMITS: PoolLimits = PoolLimits {
    connections: 8,
    per_tenant: 6,
    searches: 6,
    searches_beside_others: 1,
    rests_beside_others: 0,
    waiting: 4,
    checkout: Duration::from_secs(2),
};

/// A pool without connections, and the time.
struct Desk {
    state: State,
    now: Instant,
}

impl Desk {
    fn of(limits: PoolLimits) -> Self {
        Self { state: State::new(limits), now: Instant::now() }
    }

    fn ask(&mut self, role: &TenantRole, work: Work) -> Turn {
        self.state.ask(role, 0, work, self.now)
    }

    /// Whether a connection is there at once.
    fn gets(&mut self, role: &TenantRole, work: Work) -> bool {
        matches!(self.ask(role, work), Turn::Now(_))
    }

    fn waits(&mut self, role: &TenantRole, work: Work) -> oneshot::Receiver<Slot> {
        match self.ask(role, work) {
            Turn::Wait(waiting) => waiting,
            Turn::Now(_) => panic!("there was a connection"),
            Turn::InVain => panic!("sent away"),
        }
    }

    fn gives_back(&mut self, role: &TenantRole, work: Work, held: Duration) {
        drop(self.state.give_back(role, Slot::closed(), Some(held)));
        if work == Work::Search {
            drop(self.state.end_search(role));
        }
    }
}

#[test]
fn beside_others_a_tenant_runs_fewer_searches() {
    let (one, other) = (TenantRole::generate(), TenantRole::generate());
    let mut desk = Desk::of(LIMITS);
    for _ in 0..6 {
        assert!(desk.gets(&one, Work::Search), "it is alone");
    }
    for _ in 0..6 {
        desk.gives_back(&one, Work::Search, Duration::ZERO);
    }
    assert!(desk.gets(&other, Work::Other));
    assert!(desk.gets(&one, Work::Search));
    let mut search = desk.waits(&one, Work::Search);
    // A read of its own goes by, and so does a search of the other's.
    assert!(desk.gets(&one, Work::Other));
    assert!(desk.gets(&other, Work::Search));
    desk.gives_back(&one, Work::Other, Duration::ZERO);
    assert!(search.try_recv().is_err(), "its first search still runs");
    desk.gives_back(&one, Work::Search, Duration::ZERO);
    assert!(search.try_recv().is_ok());
    // When the other has been away for two seconds, it is alone again.
    desk.gives_back(&other, Work::Other, Duration::ZERO);
    desk.gives_back(&other, Work::Search, Duration::ZERO);
    desk.now += 2 * ROUND;
    assert!(desk.gets(&one, Work::Search));
}

#[test]
fn a_search_has_its_turn_until_its_answer_is_made() {
    let (one, other) = (TenantRole::generate(), TenantRole::generate());
    let mut desk = Desk::of(LIMITS);
    assert!(desk.gets(&other, Work::Other));
    assert!(desk.gets(&one, Work::Search));
    let mut search = desk.waits(&one, Work::Search);
    drop(desk.state.give_back(&one, Slot::closed(), None));
    assert!(search.try_recv().is_err(), "the connection is free, the turn is not");
    drop(desk.state.end_search(&one));
    assert!(search.try_recv().is_ok());
}

#[test]
fn tenants_that_wait_take_turns() {
    let (crowd, other) = (TenantRole::generate(), TenantRole::generate());
    let mut desk = Desk::of(PoolLimits { connections: 1, ..LIMITS });
    assert!(desk.gets(&crowd, Work::Other));
    let mut line: Vec<_> = (0..3).map(|_| desk.waits(&crowd, Work::Other)).collect();
    let mut theirs = desk.waits(&other, Work::Other);
    desk.gives_back(&crowd, Work::Other, Duration::ZERO);
    assert!(line[0].try_recv().is_ok() && theirs.try_recv().is_err());
    desk.gives_back(&crowd, Work::Other, Duration::ZERO);
    assert!(theirs.try_recv().is_ok() && line[1].try_recv().is_err());
    desk.gives_back(&other, Work::Other, Duration::ZERO);
    assert!(line[1].try_recv().is_ok());
}

#[test]
fn who_would_wait_in_vain_is_sent_away() {
    let role = TenantRole::generate();
    let mut desk = Desk::of(PoolLimits { per_tenant: 1, ..LIMITS });
    assert!(desk.gets(&role, Work::Other));
    let line: Vec<_> = (0..4).map(|_| desk.waits(&role, Work::Other)).collect();
    assert!(matches!(desk.ask(&role, Work::Other), Turn::InVain), "more wait than may");
    drop(line);

    // Each holds its connection for a second: who is fourth in line gives up before its turn.
    let mut desk = Desk::of(PoolLimits { per_tenant: 1, waiting: 100, ..LIMITS });
    assert!(desk.gets(&role, Work::Other));
    let _first = desk.waits(&role, Work::Other);
    desk.gives_back(&role, Work::Other, Duration::from_secs(1));
    let _line: Vec<_> = (0..3).map(|_| desk.waits(&role, Work::Other)).collect();
    assert!(matches!(desk.ask(&role, Work::Other), Turn::InVain));
    // Another tenant has a line of its own.
    assert!(desk.gets(&TenantRole::generate(), Work::Other));
}

#[test]
fn nothing_is_kept_of_a_tenant_that_is_gone() {
    let mut desk = Desk::of(PoolLimits { connections: 1, ..LIMITS });
    let (one, other) = (TenantRole::generate(), TenantRole::generate());
    assert!(desk.gets(&one, Work::Search));
    drop(desk.waits(&other, Work::Other));
    desk.gives_back(&one, Work::Search, Duration::from_millis(3));
    assert_eq!((desk.state.sides.len(), desk.state.turns.len(), desk.state.in_use()), (0, 0, 0));
}
