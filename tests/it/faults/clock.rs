//! E22: the server's clock jumps. (What the clock of a whole machine does to PostgreSQL is none of ours: no time comes
//! from there.)

use std::sync::Arc;

use serde_json::json;
use vitals_tests::{
    Answer, Checker, Options, Server, Tenant,
    checker::{Caller, Place},
    cluster, fault_seed, samples,
};

const HOUR: i64 = 3_600;

/// Requests after each jump: more than any burst that a limit of its own kind lets through by chance.
const REQUESTS: usize = 60;

fn last_updated(answer: &Answer) -> String {
    answer.json()["meta"]["lastUpdated"].as_str().expect("a time").to_owned()
}

#[tokio::test]
async fn e22_a_clock_that_jumps_judges_tokens_sanely_and_never_takes_time_back_from_a_resource() {
    let seed = fault_seed("E22");
    let cluster = cluster::alone().await;
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    // A tenant has been there for longer than any clock here is wrong: no token is older than its tenant.
    server.clock.advance(-3 * HOUR);
    let tenant = Tenant::on(server).await;
    server.clock.advance(3 * HOUR);
    let (checker, mut times) = (Arc::new(Checker::default()), Vec::new());
    let patient = samples::patient("p1", "Family").to_string();
    let page = tenant.get("Patient?_count=0", &tenant.all()).await.expect(200);
    assert!(page.link("self").is_some());
    times.push(last_updated(&tenant.put("Patient/p1", &tenant.all(), &patient).await.expect(201)));
    for (number, (what, jump)) in [
        ("E22 an hour ahead", HOUR),
        ("E22 an hour back", -HOUR),
        ("E22 another hour back", -HOUR),
        ("E22 to where it was", HOUR),
        ("E22 a leap second", 1),
        ("E22 a leap second taken back", -1),
        ("E22 slewed ahead", 3),
        ("E22 slewed back", -3),
    ]
    .into_iter()
    .enumerate()
    {
        // given a token from before
        let before = tenant.all();
        tenant.get("Patient/p1", &before).await.expect(200);
        // when the clock jumps
        server.clock.advance(jump);
        // then a token is good as long as the clock says, and one from the future is not yet
        let answer = tenant.get("Patient/p1", &before).await;
        if jump.abs() < 5 {
            answer.expect(200);
        } else if jump > 0 {
            answer.expect_outcome(401, "expired");
        } else {
            answer.expect_outcome(401, "login");
        }
        let now = tenant.all();
        for _ in 0..REQUESTS {
            tenant.get("Patient/p1", &now).await.expect(200);
        }
        // and a resource is never older than it was
        times.push(last_updated(&tenant.put("Patient/p1", &now, &patient).await.expect(200)));
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {times:?}");
        // and nothing that is written meanwhile is lost
        let place = Place { token: now.clone(), ..Place::of(&tenant) };
        let mut caller = Caller::new(&checker, &place.base, &now, &format!("c{number}"), seed + number as u64);
        for _ in 0..25 {
            assert!(caller.step().await, "{what}: somebody was not answered");
        }
        checker.nothing_is_lost(&place, what).await;
    }
    // A revocation is judged by its order, not by its time: it bites whatever the clock says.
    let token = tenant.token("system/*.cruds").with("jti", "taken-back").sign();
    tenant.get("Patient/p1", &token).await.expect(200);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn e22_a_limit_is_neither_lifted_nor_stuck_when_the_clock_jumps() {
    const LIMIT: usize = 5;
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    server.clock.advance(-3 * HOUR);
    let tenant = Tenant::on(server).await;
    server.clock.advance(3 * HOUR);
    server.clock.stop();
    tenant.set(&json!({ "limits": { "tenant": { "read": { "sustained": LIMIT } } } })).await;
    let read = async || tenant.get("Patient/none", &tenant.all()).await;
    for (what, jump) in [("E22 an hour back", -HOUR), ("E22 an hour ahead", HOUR), ("E22 two hours back", -2 * HOUR)] {
        // given a window that is full
        for _ in 0..LIMIT {
            read().await.expect(404);
        }
        read().await.expect(429);
        // when the clock jumps
        server.clock.advance(jump);
        if jump < 0 {
            // then time that did not pass makes no room, and none that is to come twice takes it away
            let limited = read().await.expect(429);
            let wait: i64 = limited.header("retry-after").parse().expect("seconds");
            assert!((1..=60).contains(&wait), "{what}: {wait}");
            server.clock.advance(wait);
        }
        read().await.expect(404);
        server.clock.advance(120);
    }
}
