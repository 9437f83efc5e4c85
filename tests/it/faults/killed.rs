//! E01, E02 and E05: the server is killed, or told to stop, in the middle of work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vitals_tests::{
    Caller, Chance, Checker,
    checker::{Crowd, Place},
    fault_rounds, fault_seed,
    program::{Outside, Program, STOPS_WITHIN, Serving},
};

/// Callers at work when it happens.
const CALLERS: usize = 6;
/// Entries of the transaction that it happens in.
const ENTRIES: u64 = 500;

/// A served tenant on a database that stays.
struct World {
    program: Program,
    /// None while it is down.
    server: Option<Serving>,
    place: Place,
    name: String,
}

impl World {
    async fn begin() -> Self {
        let outside = Outside::fresh().await;
        let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
        let name = outside.tenants(1).await.remove(0);
        let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.cruds"]).await.expect(0);
        let server = program.serve().await;
        let place = Place {
            base: format!("{}/t/{name}/fhir", server.url),
            token: token.stdout.trim().to_owned(),
            role: outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{name}'")).await,
            tables: outside.urls.app_admin().expect("an administrator"),
            trail: outside.urls.audit_read.clone(),
        };
        Self { program, server: Some(server), place, name }
    }

    /// Serves again, on another port.
    async fn again(&mut self) {
        let server = self.program.serve().await;
        self.place.base = format!("{}/t/{}/fhir", server.url, self.name);
        self.server = Some(server);
    }

    fn down(&mut self) -> Serving {
        self.server.take().expect("it serves")
    }

    async fn ends(mut self) {
        let verified = self.program.run(&["audit", "verify", "--json"]).await.expect(0).json();
        assert_eq!(verified["ok"], true, "{verified}");
        self.down().stop().await.expect(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_a_server_that_is_killed_in_the_middle_of_work_loses_nothing() {
    let (mut world, seed, checker) = (World::begin().await, fault_seed("E01"), Arc::new(Checker::default()));
    let mut chance = Chance(seed);
    for round in 0..fault_rounds(4) {
        let crowd = Crowd::of(&checker, &world.place, CALLERS, &format!("r{round}"), seed.wrapping_add(round));
        crowd.acknowledged(usize::try_from(1 + chance.below(60)).expect("few")).await;
        // Not at the end of an answer, but somewhere between two.
        tokio::time::sleep(Duration::from_micros(chance.below(20_000))).await;
        world.down().process.kill();
        crowd.leave().await;
        world.again().await;
    }
    let (acknowledged, unknown) = checker.count();
    println!("E01: {acknowledged} acknowledged, {unknown} in doubt");
    checker.nothing_is_lost(&world.place, "E01").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e02_a_server_that_is_killed_in_a_large_transaction_leaves_all_of_it_or_nothing() {
    let (mut world, seed, checker) = (World::begin().await, fault_seed("E02"), Arc::new(Checker::default()));
    let mut chance = Chance(seed);
    // One that is left alone says how long it takes here.
    let mut caller = Caller::new(&checker, &world.place.base, &world.place.token, "alone", seed);
    let began = Instant::now();
    assert!(caller.transaction_of(ENTRIES).await, "it is answered");
    let takes = u64::try_from(began.elapsed().as_micros()).expect("short");
    for round in 0..fault_rounds(3) {
        let (base, token) = (world.place.base.clone(), world.place.token.clone());
        let mut caller = Caller::new(&checker, &base, &token, &format!("r{round}"), seed.wrapping_add(round));
        let sent = tokio::spawn(async move { caller.transaction_of(ENTRIES).await });
        tokio::time::sleep(Duration::from_micros(chance.below(takes))).await;
        world.down().process.kill();
        println!("E02: answered {}", sent.await.expect("the caller ends"));
        world.again().await;
    }
    checker.nothing_is_lost(&world.place, "E02").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e05_a_server_that_is_told_to_stop_under_load_loses_nothing_and_is_gone_in_time() {
    let (mut world, seed, checker) = (World::begin().await, fault_seed("E05"), Arc::new(Checker::default()));
    let mut chance = Chance(seed);
    for round in 0..fault_rounds(2) {
        let crowd = Crowd::of(&checker, &world.place, CALLERS, &format!("r{round}"), seed.wrapping_add(round));
        crowd.acknowledged(usize::try_from(20 + chance.below(60)).expect("few")).await;
        let server = world.down();
        server.process.terminate();
        server.process.end(STOPS_WITHIN).await.expect(0);
        crowd.leave().await;
        world.again().await;
    }
    checker.nothing_is_lost(&world.place, "E05").await;
    world.ends().await;
}
