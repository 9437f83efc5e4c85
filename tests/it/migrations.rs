//! `vitals migrate` over many tenants: killed, locked out, twice at once, beside a server that goes on serving. Each
//! test has a database of its own; the runner is the real program.

use std::{
    future::ready,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use vitals_store::{control::tenants, dump, migrate::SchemaVersions, urls};
use vitals_tests::{
    Answer, poll,
    program::{Outside, Process, Ran, Serving},
    samples,
    sql::Session,
    tenant::client,
};

use crate::commands::members;

/// What each step makes in a tenant's schema.
const STEPS: [(i32, &[&str], &str); 7] = [
    (1, &["patient", "patient_name", "patient_history"], "TABLE"),
    (2, &["observation", "observation_history"], "TABLE"),
    (3, &["audit_outbox"], "TABLE"),
    (4, &["import", "import_batch"], "TABLE"),
    (
        5,
        &[
            "registration_token",
            "seen",
            "pushed_request",
            "launch",
            "refresh_token",
            "code",
            "approval",
            "session",
            "account",
            "client",
        ],
        "TABLE",
    ),
    (6, &["observation_last_updated", "patient_last_updated"], "INDEX"),
    (7, &["observation_code_date"], "INDEX"),
];

/// How long a command may take that is not asked to hurry.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Takes tenants back to a version, as if they had not been migrated since. Servers hear of it as of any change.
fn rewound(names: &[String], to: i32) -> String {
    assert_eq!(SchemaVersions::newest(), 7, "the steps above are not those of migrations/tenant any more");
    let later = STEPS.iter().rev().filter(|(version, ..)| *version > to);
    let undo: Vec<String> = later.map(|(_, made, kind)| format!("DROP {kind} IF EXISTS {}", made.join(", "))).collect();
    let undo = undo.join("; ");
    let names = names.join("','");
    format!(
        "SET client_min_messages = warning;
         DO $$
         DECLARE t record;
         BEGIN
             FOR t IN SELECT role FROM control.tenant WHERE name IN ('{names}') AND version > {to} LOOP
                 DELETE FROM control.migration WHERE scope = 'tenant' AND tenant = t.role AND version > {to};
                 UPDATE control.tenant SET version = {to} WHERE role = t.role;
                 PERFORM pg_advisory_xact_lock(7311, 1);
                 INSERT INTO control.change (tenant, kind, subject, at) VALUES (t.role, 'tenant', 'version', now());
                 EXECUTE format('SET LOCAL search_path = %I', t.role);
                 EXECUTE '{undo}';
                 RESET search_path;
             END LOOP;
         END $$"
    )
}

async fn rewind(outside: &Outside, names: &[String], to: i32) {
    outside.sql(&rewound(names, to)).await;
}

/// What a tenant has and its version does not, or lacks and its version has; nothing where all are whole.
fn not_whole() -> String {
    let made =
        STEPS.iter().flat_map(|(version, made, _)| made.iter().map(move |object| format!("({version}, '{object}')")));
    format!(
        "SELECT format('%s at %s: %s', t.name, t.version, made.object)
         FROM control.tenant AS t CROSS JOIN (VALUES {}) AS made (version, object)
         WHERE (to_regclass(t.role || '.' || made.object) IS NOT NULL) <> (t.version >= made.version)
         UNION ALL
         SELECT format('%s at %s: the ledger does not agree', t.name, t.version)
         FROM control.tenant AS t
         WHERE t.version <> (SELECT count(*) FROM control.migration AS m
                             WHERE m.scope = 'tenant' AND m.tenant = t.role AND m.state = 'applied')",
        made.collect::<Vec<_>>().join(", ")
    )
}

/// Panics if a tenant is half applied.
async fn expect_whole(outside: &Outside) {
    assert_eq!(outside.sql(&not_whole()).await, "", "half applied");
}

async fn up(outside: &Outside) -> Ran {
    outside.program.run(&["migrate", "up", "--json"]).await
}

async fn status(outside: &Outside) -> Ran {
    outside.program.run(&["migrate", "status", "--json"]).await
}

async fn runner(outside: &Outside, jobs: &str) -> Process {
    outside.program.start(&["migrate", "up", "--json", "--jobs", jobs]).await
}

/// The states of a report, by tenant.
#[track_caller]
fn states(report: &Value) -> Vec<&str> {
    let rows = report.as_array().expect("an array");
    rows.iter().map(|row| row["state"].as_str().expect("a state")).collect()
}

/// The row of one tenant.
#[track_caller]
fn row<'r>(report: &'r Value, tenant: &str) -> &'r Value {
    let rows = report.as_array().expect("an array");
    rows.iter().find(|row| row["tenant"] == tenant).expect("the tenant is there")
}

async fn role(outside: &Outside, name: &str) -> String {
    outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{name}'")).await
}

/// How many tenants are at the newest version.
async fn done(outside: &Outside) -> usize {
    let newest = SchemaVersions::newest();
    let count = outside.sql(&format!("SELECT count(*) FROM control.tenant WHERE version = {newest}")).await;
    count.parse().expect("a number")
}

fn session(outside: &Outside) -> Session {
    Session::open(&outside.urls.app_admin().expect("admin"))
}

/// A token for a tenant of an outside installation that is served.
async fn token(outside: &Outside, tenant: &str) -> String {
    let ran = outside.program.run(&["token", "--tenant", tenant, "--scope", "system/*.cruds"]).await.expect(0);
    ran.stdout.trim_end().to_owned()
}

async fn ask(server: &Serving, method: Method, tenant: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
    let mut request = client().request(method, format!("{}/t/{tenant}/fhir/{path}", server.url)).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("content-type", "application/fhir+json").body(body.to_string());
    }
    Answer::of(request).await
}

#[tokio::test]
async fn two_hundred_tenants_are_reported_one_by_one_and_nothing_is_done_twice() {
    let outside = Outside::fresh().await;
    let began = Instant::now();
    let names = outside.tenants(200).await;
    println!("200 tenants are made: {:?}", began.elapsed());
    let newest = SchemaVersions::newest();

    let began = Instant::now();
    let report = status(&outside).await.expect(0).json();
    println!("status over 200 tenants: {:?}", began.elapsed());
    let changes = outside.sql("SELECT max(seq) FROM control.change").await;
    let began = Instant::now();
    let again = up(&outside).await.expect(0);
    println!("up over 200 tenants that are current: {:?}", began.elapsed());
    let people = outside.program.run(&["migrate", "status"]).await.expect(0);

    let rows = report.as_array().expect("an array");
    assert_eq!(rows.iter().map(|row| row["tenant"].as_str().expect("a name")).collect::<Vec<_>>(), names);
    for row in rows {
        assert_eq!(members(row), ["duration_ms", "error", "state", "target", "tenant", "version"]);
        assert_eq!((&row["version"], &row["target"]), (&json!(newest), &json!(newest)));
        assert_eq!((&row["state"], &row["error"]), (&json!("current"), &Value::Null));
    }
    assert_eq!(again.json(), report);
    assert_eq!(outside.sql("SELECT max(seq) FROM control.change").await, changes);
    assert_eq!(people.stdout.lines().count(), 201);
    assert_eq!(people.stderr, "vitals: 200 tenants, 200 current\n");
}

#[tokio::test]
async fn tenants_that_are_behind_are_pending_until_up_brings_them() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(6).await;
    rewind(&outside, &names[..2], 5).await;
    rewind(&outside, &names[2..3], 0).await;

    let before = status(&outside).await.expect(0).json();
    let one = outside.program.run(&["migrate", "up", "--tenant", "t-000", "--json"]).await.expect(0).json();
    let between = status(&outside).await.expect(0).json();
    let all = up(&outside).await.expect(0).json();

    assert_eq!(states(&before), ["pending", "pending", "pending", "current", "current", "current"]);
    assert_eq!((&row(&before, "t-002")["version"], &row(&before, "t-001")["version"]), (&json!(0), &json!(5)));
    assert_eq!((states(&one), &one[0]["tenant"]), (vec!["current"], &json!("t-000")));
    assert_eq!(states(&between), ["current", "pending", "pending", "current", "current", "current"]);
    assert_eq!(states(&all), ["current"; 6]);
    expect_whole(&outside).await;
    assert_eq!(done(&outside).await, 6);
}

#[tokio::test]
async fn what_the_migrations_make_is_what_the_schemas_say() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(1).await;
    // A tenant that was brought here is like one that was born here.
    rewind(&outside, &names, 0).await;
    up(&outside).await.expect(0);
    let pg_dump = Path::new("pg_dump");
    let said = Command::new(pg_dump).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = outside.sql("SHOW server_version").await;
    if !version.starts_with("15.") || !String::from_utf8_lossy(&said).contains(" 15.") {
        println!("skipped: schemas/ is written by PostgreSQL 15");
        return;
    }
    let (admin, audit) = (outside.urls.app_admin().expect("admin"), outside.urls.audit_admin().expect("admin"));
    let mut connection = urls::connect(&admin).await.expect("a connection");
    let name = names[0].parse().expect("a tenant name");
    let tenant = tenants::find(&mut connection, &name).await.expect("the registry").expect("the tenant");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    for (file, made) in [
        ("control.sql", dump::control(pg_dump, &admin).await.expect("a dump")),
        ("tenant.sql", dump::tenant(pg_dump, &admin, &tenant).await.expect("a dump")),
        ("audit.sql", dump::audit(pg_dump, &audit).await.expect("a dump")),
    ] {
        let kept = std::fs::read_to_string(folder.join(file)).expect("the file is there");
        assert!(kept == made, "schemas/{file} is not what the migrations make: see migrations/README.md");
    }
}

#[tokio::test]
async fn a_runner_killed_at_fifty_moments_leaves_every_tenant_whole() {
    const ROUNDS: usize = 50;
    let outside = Outside::fresh().await;
    let names = outside.tenants(4).await;
    let steps = names.len() * STEPS.len();
    let mut look = session(&outside);

    let (mut killed, mut half_way) = (0, 0);
    for round in 0..ROUNDS {
        look.run(&rewound(&names, 0));
        let mut runner = runner(&outside, "2").await;
        // Each round ends at another step.
        let wanted = round * steps / ROUNDS;
        let done = |look: &mut Session| -> usize {
            look.run("SELECT sum(version) FROM control.tenant").parse().expect("a number")
        };
        let far_enough = || ready(done(&mut look) >= wanted || !runner.is_running());
        poll::until("the runner is far enough", far_enough).await;
        killed += usize::from(runner.is_running());
        runner.kill();
        drop(runner);
        let sessions = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'vitals'";
        poll::until("its sessions are gone", || ready(look.run(sessions) == "0")).await;
        half_way += usize::from((1..steps).contains(&done(&mut look)));
        assert_eq!(look.run(&not_whole()), "", "round {round}");
    }
    println!("{ROUNDS} rounds: {killed} killed, {half_way} half way");
    assert!(half_way >= ROUNDS / 2, "{half_way}");

    assert_eq!(states(&up(&outside).await.expect(0).json()), ["current"; 4]);
    expect_whole(&outside).await;
    outside.program.run(&["audit", "verify"]).await.expect(0);
}

#[tokio::test]
async fn a_broken_tenant_is_reported_and_the_others_are_done() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(8).await;
    rewind(&outside, &names, 5).await;
    let broken = role(&outside, "t-005").await;
    // What the step makes second is there already: what it made first must not stay.
    outside.sql(&format!("CREATE INDEX patient_last_updated ON {broken}.patient (id)")).await;

    let failed = up(&outside).await.expect(1).json();
    let told = status(&outside).await.expect(1).json();
    let people = outside.program.run(&["migrate", "up"]).await.expect(1);

    assert_eq!(states(&failed).iter().filter(|state| **state == "current").count(), 7);
    for report in [&failed, &told] {
        let row = row(report, "t-005");
        assert_eq!((&row["state"], &row["version"]), (&json!("failed"), &json!(5)));
        let reason = row["error"].as_str().expect("a reason");
        assert!(reason.contains("0006") && reason.contains("already exists"), "{reason}");
    }
    assert_eq!(people.stderr, "vitals: 8 tenants, 7 current, 1 failed\n");
    assert_eq!(outside.sql(&format!("SELECT to_regclass('{broken}.observation_last_updated') IS NULL")).await, "t");

    outside.sql(&format!("DROP INDEX {broken}.patient_last_updated")).await;
    assert_eq!(states(&up(&outside).await.expect(0).json()), ["current"; 8]);
    assert_eq!(row(&status(&outside).await.expect(0).json(), "t-005")["error"], Value::Null);
    expect_whole(&outside).await;
}

#[tokio::test]
async fn a_locked_tenant_is_tried_again_later_and_the_others_are_done_meanwhile() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(5).await;
    rewind(&outside, &names, SchemaVersions::newest() - 1).await;
    let locked = role(&outside, "t-000").await;
    let mut holder = session(&outside);
    holder.run(&format!("BEGIN; LOCK TABLE {locked}.observation IN ACCESS EXCLUSIVE MODE"));

    let mut runner = runner(&outside, "1").await;
    poll::until("the others are done", async || done(&outside).await == 4).await;
    assert!(runner.is_running(), "it gave up on the locked tenant");
    holder.run("ROLLBACK");
    let ran = runner.end(ENDS_WITHIN).await.expect(0);

    assert_eq!(states(&ran.json()), ["current"; 5]);
    expect_whole(&outside).await;
}

#[tokio::test]
async fn a_lock_that_nobody_gives_up_fails_its_tenant_alone_until_the_next_run() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(3).await;
    rewind(&outside, &names, SchemaVersions::newest() - 1).await;
    let locked = role(&outside, "t-001").await;
    let mut holder = session(&outside);
    holder.run(&format!("BEGIN; LOCK TABLE {locked}.observation IN ACCESS EXCLUSIVE MODE"));

    let began = Instant::now();
    let failed = up(&outside).await.expect(1).json();
    println!("given up after {:?}", began.elapsed());
    let told = status(&outside).await.expect(1).json();
    drop(holder);
    let retried = up(&outside).await.expect(0).json();

    for report in [&failed, &told] {
        assert_eq!(states(report), ["current", "failed", "current"]);
        let reason = row(report, "t-001")["error"].as_str().expect("a reason");
        assert!(reason.contains("held a lock"), "{reason}");
    }
    assert_eq!(states(&retried), ["current"; 3]);
    expect_whole(&outside).await;
}

#[tokio::test]
async fn traffic_goes_on_beside_a_migration_that_waits_for_a_lock() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(3).await;
    let server = outside.program.serve().await;
    let token = token(&outside, "t-000").await;
    rewind(&outside, &names, SchemaVersions::newest() - 1).await;
    let busy = role(&outside, "t-000").await;
    let mut holder = session(&outside);
    // Somebody's long write: reads and writes go on beside it, an index has to wait for it.
    holder.run(&format!("BEGIN; LOCK TABLE {busy}.observation IN ROW EXCLUSIVE MODE"));

    let mut runner = runner(&outside, "2").await;
    let (mut slowest_read, mut slowest_write, mut rounds) = (Duration::ZERO, Duration::ZERO, 0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let id = format!("o-{rounds}");
        let observation = samples::heart_rate(&id, "p1");
        let one = Instant::now();
        ask(&server, Method::PUT, "t-000", &format!("Observation/{id}"), &token, Some(&observation)).await.expect(201);
        slowest_write = slowest_write.max(one.elapsed());
        let one = Instant::now();
        ask(&server, Method::GET, "t-000", "Observation?patient=p1&_count=1", &token, None).await.expect(200);
        slowest_read = slowest_read.max(one.elapsed());
        rounds += 1;
    }
    println!("{rounds} rounds, slowest read {slowest_read:?}, slowest write {slowest_write:?}");
    assert_eq!(done(&outside).await, 2);
    assert!(runner.is_running(), "it gave up");
    // The lock_timeout of 0.3 s, and what a busy machine adds.
    assert!(slowest_read < Duration::from_secs(2) && slowest_write < Duration::from_secs(2));
    holder.run("ROLLBACK");
    runner.end(ENDS_WITHIN).await.expect(0);
    ask(&server, Method::GET, "t-000", "Observation/o-0", &token, None).await.expect(200);
    expect_whole(&outside).await;
}

#[tokio::test]
async fn two_runners_at_once_do_each_step_once() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(10).await;
    rewind(&outside, &names, 1).await;
    let newest = "SELECT max(seq) FROM control.change";
    let before: i64 = outside.sql(newest).await.parse().expect("a number");

    let (one, other) = (runner(&outside, "3").await, runner(&outside, "3").await);
    let (one, other) = (one.end(ENDS_WITHIN).await.expect(0), other.end(ENDS_WITHIN).await.expect(0));

    for report in [one.json(), other.json(), status(&outside).await.expect(0).json()] {
        assert_eq!(states(&report), ["current"; 10]);
    }
    let after: i64 = outside.sql(newest).await.parse().expect("a number");
    assert_eq!(after - before, 10 * i64::from(SchemaVersions::newest() - 1));
    expect_whole(&outside).await;
}

#[tokio::test]
async fn tenants_that_come_and_go_during_a_run_do_not_disturb_it() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(12).await;
    rewind(&outside, &names, 0).await;

    let runner = runner(&outside, "1").await;
    let (made, gone) = tokio::join!(
        outside.program.run(&["tenant", "create", "newcomer"]),
        outside.program.run(&["tenant", "delete", "t-011", "--confirm", "t-011"]),
    );
    let ran = runner.end(ENDS_WITHIN).await;

    made.expect(0);
    gone.expect(0);
    ran.expect(0);
    let report = status(&outside).await.expect(0).json();
    assert_eq!(states(&report), ["current"; 12]);
    assert_eq!(row(&report, "newcomer")["version"], SchemaVersions::newest());
    expect_whole(&outside).await;
}

#[tokio::test]
async fn a_server_serves_the_newest_version_and_the_one_before_and_goes_on_with_the_others() {
    let outside = Outside::fresh().await;
    outside.tenants(4).await;
    let server = outside.program.serve().await;
    let [current, near, far, ahead] = ["t-000", "t-001", "t-002", "t-003"];
    let mut tokens = Vec::new();
    for tenant in [current, near, far, ahead] {
        let token = token(&outside, tenant).await;
        let patient = samples::patient("p1", "Amsel");
        ask(&server, Method::PUT, tenant, "Patient/p1", &token, Some(&patient)).await.expect(201);
        tokens.push(token);
    }
    let read = async |tenant: usize| {
        ask(&server, Method::GET, [current, near, far, ahead][tenant], "Patient/p1", &tokens[tenant], None).await
    };

    let newest = SchemaVersions::newest();
    rewind(&outside, &[near.to_owned()], newest - 1).await;
    rewind(&outside, &[far.to_owned()], newest - 2).await;
    outside
        .sql(&format!(
            "INSERT INTO control.migration (scope, tenant, version, description, checksum, state, duration_ms, applied_at)
             SELECT 'tenant', role, {newest} + 1, 'of tomorrow', '\\x00', 'applied', 0, now()
             FROM control.tenant WHERE name = '{ahead}';
             UPDATE control.tenant SET version = {newest} + 1 WHERE name = '{ahead}';
             INSERT INTO control.change (tenant, kind, subject, at)
             SELECT role, 'tenant', 'version', now() FROM control.tenant WHERE name = '{ahead}'"
        ))
        .await;
    poll::within(Duration::from_secs(3), "the server knows", async || read(3).await.status == 503).await;

    for (tenant, served) in [(0, true), (1, true), (2, false), (3, false)] {
        let answer = read(tenant).await;
        if served {
            answer.expect(200);
            let name = [current, near][tenant];
            let heart_rate = samples::heart_rate("o1", "p1");
            ask(&server, Method::PUT, name, "Observation/o1", &tokens[tenant], Some(&heart_rate)).await.expect(201);
        } else {
            let answer = answer.expect_outcome(503, "transient");
            assert!(answer.header("retry-after").parse::<u32>().is_ok());
        }
    }
    Answer::of(client().get(format!("{}/readyz", server.url))).await.expect(200);

    let told = status(&outside).await.expect(1).json();
    let ran = up(&outside).await.expect(1).json();
    poll::within(Duration::from_secs(3), "the server knows", async || read(2).await.status == 200).await;
    read(1).await.expect(200);
    read(3).await.expect_outcome(503, "transient");
    assert_eq!(states(&told), ["current", "pending", "pending", "failed"]);
    assert_eq!(states(&ran), ["current", "current", "current", "failed"]);
    let reason = row(&ran, ahead)["error"].as_str().expect("a reason");
    assert!(reason.contains(&format!("newer than this program's {newest}")), "{reason}");
}

#[tokio::test]
async fn a_ledger_that_does_not_fit_the_files_is_refused_for_its_tenant_alone() {
    let outside = Outside::fresh().await;
    let names = outside.tenants(4).await;
    rewind(&outside, &names, 5).await;
    let (changed, missing) = (role(&outside, "t-001").await, role(&outside, "t-002").await);
    outside
        .sql(&format!(
            "UPDATE control.migration SET checksum = '\\x00' WHERE tenant = '{changed}' AND version = 2;
             DELETE FROM control.migration WHERE tenant = '{missing}' AND version = 2"
        ))
        .await;

    let ran = up(&outside).await.expect(1).json();

    assert_eq!(states(&ran), ["current", "failed", "failed", "current"]);
    assert_eq!(row(&ran, "t-001")["error"], "migration 0002 was changed after it had been applied");
    assert_eq!(row(&ran, "t-002")["error"], "migration 0002 was never applied, but 0003 was");
    for broken in [&changed, &missing] {
        assert_eq!(outside.sql(&format!("SELECT to_regclass('{broken}.patient_last_updated') IS NULL")).await, "t");
    }
    outside.sql("UPDATE control.migration SET checksum = '\\x00' WHERE scope = 'control' AND version = 1").await;
    let ran = outside.program.run(&["migrate", "up"]).await;
    ran.expect_sentence(1, "migration 0001 was changed after it had been applied");
}
