//! E17: an operator who forgot a transaction, with locks in it.

use std::{sync::Arc, time::Duration};

use vitals_tests::{
    Bystander, Chance, Checker, Options, Server, Tenant,
    checker::{Crowd, Place},
    cluster, fault_rounds, fault_seed, poll, samples, sql,
};

/// Callers of the tenant whose tables are locked: more than it may have connections.
const CALLERS: usize = 20;
/// Where nothing keeps them waiting, fewer do as much.
const FEW: usize = 4;
/// How long the lock is held: longer than any time-out of one statement and of three tries at it.
const HELD: Duration = Duration::from_secs(7);
/// How long anybody else may wait on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the service may take to come back by itself.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Sessions of ours that stand in a transaction; `psql` is the operator.
const IDLE: &str = "SELECT count(*) FROM pg_stat_activity \
                    WHERE state LIKE 'idle in transaction%' AND application_name <> 'psql'";

/// Who waits at a lock, and what for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurts {
    /// The tenant alone.
    Tenant,
    /// Everybody, for as long as it is held.
    All,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e17_a_forgotten_transaction_of_an_operator_hurts_nobody_else_and_leaves_nothing_behind() {
    let seed = fault_seed("E17");
    let cluster = cluster::alone().await;
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let (tenant, other) = (Tenant::on(server).await, Tenant::on(server).await);
    tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Family").to_string()).await.expect(201);
    let (place, checker, mut chance) = (Place::of(&tenant), Arc::new(Checker::default()), Chance(seed));
    let role = tenant.role();
    let (tables, trail) = (place.tables.clone(), cluster.urls.audit_admin().expect("an administrator"));
    let locks = [
        ("E17 a table, for everybody", Hurts::Tenant, &tables, format!("LOCK TABLE {role}.patient")),
        ("E17 a table, for who writes", Hurts::Tenant, &tables, format!("LOCK TABLE {role}.patient IN SHARE MODE")),
        ("E17 a row", Hurts::Tenant, &tables, format!("SELECT 1 FROM {role}.patient WHERE id = 'p1' FOR UPDATE")),
        ("E17 the outbox", Hurts::Tenant, &tables, format!("LOCK TABLE {role}.audit_outbox")),
        ("E17 the registry", Hurts::All, &tables, "LOCK TABLE control.tenant, control.change".to_owned()),
        ("E17 the trail", Hurts::All, &trail, "LOCK TABLE audit.record".to_owned()),
    ];
    for round in 0..fault_rounds(1) {
        for (what, hurts, url, lock) in &locks {
            let name = format!("r{round}-{}", what.replace([' ', ','], ""));
            let callers = if what.contains("a table") || what.contains("outbox") { CALLERS } else { FEW };
            let crowd = Crowd::of(&checker, &place, callers, &name, seed.wrapping_add(round));
            crowd.acknowledged(usize::try_from(chance.below(100)).expect("few")).await;
            let bystander = (*hurts == Hurts::Tenant).then(|| Bystander::of(&other));
            // when an operator goes to lunch
            let mut operator = sql::Session::open(url);
            operator.run(&format!("BEGIN; {lock}"));
            tokio::time::sleep(HELD).await;
            // then whoever needs what is locked is told so, in time
            let write = tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "Other").to_string()).await;
            assert_eq!(write.status, 503, "{what}: {}", write.body);
            assert!(!write.header("retry-after").is_empty(), "{what}");
            operator.run("ROLLBACK");
            // and nobody else has noticed
            if let Some(bystander) = bystander {
                bystander.ends().await.undisturbed(PATIENCE, what);
            }
            for tenant in [&tenant, &other] {
                poll::within(BACK_WITHIN, what, async || {
                    let patient = samples::patient("p1", "Family").to_string();
                    tenant.put("Patient/p1", &tenant.all(), &patient).await.status < 300
                })
                .await;
            }
            crowd.leave().await;
            poll::until("no session of ours is in a transaction", async || {
                cluster.sql(IDLE).await == "0" && server.app.pool.load().1 == 0
            })
            .await;
        }
    }
    let (acknowledged, unknown) = checker.count();
    println!("E17: {acknowledged} acknowledged, {unknown} in doubt");
    checker.nothing_is_lost(&place, "E17").await;
}
