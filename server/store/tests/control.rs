//! The control schema and the migrations, against a PostgreSQL of our own: started once for this binary, with fsync
//! off, and a database for each test.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "looks behind the back of what it tests, and a variable says whether to write the schemas"
)]

#[path = "control/by_tenant.rs"]
mod by_tenant;
#[path = "control/cluster.rs"]
mod cluster;
#[path = "control/grants.rs"]
mod grants;

use std::{
    path::Path,
    str::FromStr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use cluster::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use vitals_access::{
    access::Access,
    clock::Clock,
    keys::{SigningAlgorithm, SigningKey},
    tenant::{TenantName, TenantStatus},
};
use vitals_fhir::{interaction::Letter, resource::ResourceType};
use vitals_store::{
    control::{
        ControlError,
        issuers::{self, IssuerError, IssuerKeys, NewIssuer},
        jobs, keys,
        poll::{DirectoryFeed, FeedOptions, Stale},
        roles, servers,
        tenants::{self, Isolation, NewTenant},
    },
    dump,
    migrate::{self, MigrateError, MigrationRow, Only, SchemaVersions, Served, State, Up},
    seal::{MasterKey, SealError},
    urls::{self, Urls},
};

fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn name(text: &str) -> TenantName {
    TenantName::from_str(text).unwrap()
}

fn tenant(text: &str) -> NewTenant {
    NewTenant {
        name: name(text),
        display: text.to_owned(),
        isolation: Isolation::Schema,
        tier: "default".to_owned(),
        issuer: None,
    }
}

fn issuer(url: &str, keys: &IssuerKeys) -> NewIssuer {
    NewIssuer::new(url, keys.clone())
}

fn some_keys() -> IssuerKeys {
    IssuerKeys::Inline(format!(r#"{{"keys":[{}]}}"#, SigningKey::generate(SigningAlgorithm::Es256).public_jwk()))
}

async fn run(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await.unwrap();
}

async fn up(database: &Database, jobs: usize) -> Vec<MigrationRow> {
    let admin_url = database.urls.app_admin().unwrap();
    let request = Up { admin_url: &admin_url, jobs, only: Only::Everyone, now: now() };
    migrate::up(&request, &|_| ()).await.unwrap()
}

async fn status(database: &mut Database) -> Vec<MigrationRow> {
    migrate::status(&mut database.admin, &Only::Everyone).await.unwrap()
}

fn states(rows: &[MigrationRow]) -> Vec<State> {
    rows.iter().map(|row| row.state).collect()
}

/// Takes a tenant back by two versions, to 5.
async fn rewind(database: &mut Database, tenant: &str) {
    let role = role(database, tenant).await;
    let text = format!(
        "DROP INDEX IF EXISTS {role}.observation_last_updated, {role}.patient_last_updated,
             {role}.observation_code_date;
         DELETE FROM control.migration WHERE tenant = '{role}' AND version > 5;
         UPDATE control.tenant SET version = 5 WHERE role = '{role}'"
    );
    run(&mut database.admin, text).await;
}

async fn role(database: &mut Database, tenant: &str) -> String {
    tenants::find(&mut database.admin, &name(tenant)).await.unwrap().unwrap().role.to_string()
}

#[tokio::test]
async fn a_tenant_lives_from_create_to_delete_and_comes_back_new() {
    let mut database = cluster::database("life").await;
    let master = MasterKey::generate().unwrap();

    let first = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    let row = tenants::show(&mut database.admin, &name("st-mary")).await.unwrap().unwrap();
    assert_eq!(tenants::list(&mut database.admin).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!((row.id.as_str(), row.status.as_str(), row.isolation.as_str()), ("st-mary", "active", "schema"));
    assert_eq!((row.version, row.created.as_str()), (SchemaVersions::newest(), "2026-11-22T12:00:00.000Z"));
    let taken = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap_err();
    assert!(matches!(taken, ControlError::Taken(_)), "{taken}");

    let suspended = tenants::suspend(&mut database.admin, &name("st-mary"), now()).await.unwrap();
    assert!(suspended > first.seq);
    let found = tenants::find(&mut database.admin, &name("st-mary")).await.unwrap().unwrap();
    assert_eq!(found.status, TenantStatus::Suspended);
    tenants::resume(&mut database.admin, &name("st-mary"), now()).await.unwrap();

    let unconfirmed = tenants::delete(&mut database.admin, &name("st-mary"), "st-mari", now()).await.unwrap_err();
    assert!(matches!(unconfirmed, ControlError::NotConfirmed(_)), "{unconfirmed}");
    tenants::delete(&mut database.admin, &name("st-mary"), "st-mary", now()).await.unwrap();
    assert_eq!(tenants::show(&mut database.admin, &name("st-mary")).await.unwrap(), None);
    let gone = tenants::delete(&mut database.admin, &name("st-mary"), "st-mary", now()).await.unwrap_err();
    assert!(matches!(gone, ControlError::Unknown(_)), "{gone}");

    let second = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    assert_ne!(second.tenant.role, first.tenant.role);
    assert_ne!(second.tenant.number, first.tenant.number);
    let left: (i64, i64, i64, bool) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM control.key), (SELECT count(*) FROM control.migration WHERE scope = 'tenant'),
                (SELECT count(*) FROM control.spare_role WHERE state = 'discarded'),
                EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
    )
    .bind(first.tenant.role.as_str())
    .fetch_one(&mut database.admin)
    .await
    .unwrap();
    assert_eq!(left, (1, i64::from(SchemaVersions::newest()), 1, false));

    assert_eq!(roles::drop_discarded(&mut database.admin).await.unwrap(), 1);
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(first.tenant.role.as_str())
        .fetch_one(&mut database.admin)
        .await
        .unwrap();
    assert!(!there);
}

#[tokio::test]
async fn create_is_quick_and_other_isolations_are_not_offered() {
    let mut database = cluster::database("quick").await;
    let master = MasterKey::generate().unwrap();
    let mut times = Vec::new();
    for number in 0..7 {
        let began = Instant::now();
        tenants::create(&mut database.admin, &master, &tenant(&format!("tenant-{number}")), now()).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    println!("tenant create: {times:?}");
    assert!(times[3] < Duration::from_millis(150), "{times:?}");
    for other in ["database", "pooled", "Schema", ""] {
        assert!(matches!(Isolation::parse(other), Err(ControlError::Isolation(_))), "{other}");
    }
}

#[tokio::test]
async fn a_deleted_tenant_leaves_no_audit_record_behind() {
    let mut database = cluster::database("outbox").await;
    let master = MasterKey::generate().unwrap();
    tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    let role = role(&mut database, "st-mary").await;
    let record = format!(
        "INSERT INTO {role}.audit_outbox (id, writer, record) VALUES ('019350d0-0000-7000-8000-000000000000', 7, '{{}}')"
    );
    run(&mut database.admin, record).await;

    let kept = tenants::delete(&mut database.admin, &name("st-mary"), "st-mary", now()).await.unwrap_err();
    assert!(matches!(kept, ControlError::Unsettled { records: 1, .. }), "{kept}");
    assert_eq!(tenants::show(&mut database.admin, &name("st-mary")).await.unwrap().unwrap().status, "suspended");

    run(&mut database.admin, format!("DELETE FROM {role}.audit_outbox")).await;
    tenants::delete(&mut database.admin, &name("st-mary"), "st-mary", now()).await.unwrap();
}

#[tokio::test]
async fn roles_run_out_and_are_made_anew() {
    let mut database = cluster::database("roles").await;
    let master = MasterKey::generate().unwrap();
    run(&mut database.admin, "DELETE FROM control.spare_role".to_owned()).await;
    tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    let spare: i64 =
        sqlx::query_scalar("SELECT count(*) FROM control.spare_role").fetch_one(&mut database.admin).await.unwrap();
    assert_eq!(spare, 199);

    // Six commands at once, none of which finds a role.
    run(&mut database.admin, "DELETE FROM control.spare_role".to_owned()).await;
    let admin_url = database.urls.app_admin().unwrap();
    let made = futures_util::future::join_all((0..6).map(|number| {
        let (admin_url, master) = (&admin_url, &master);
        async move {
            let mut admin = urls::connect(admin_url).await.unwrap();
            tenants::create(&mut admin, master, &tenant(&format!("at-once-{number}")), now()).await
        }
    }))
    .await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let spare: i64 =
        sqlx::query_scalar("SELECT count(*) FROM control.spare_role").fetch_one(&mut database.admin).await.unwrap();
    assert_eq!(spare, 194);

    // Slot 0 is full but for fifty: the batch goes over two logins.
    run(
        &mut database.admin,
        "DELETE FROM control.spare_role;
         INSERT INTO control.spare_role (role, login, state, created)
         SELECT 't_' || repeat('a', 22) || translate(lpad(number::text, 4, '0'), '0189', 'zyxw'), 0, 'discarded', now()
         FROM generate_series(1, 943) AS number"
            .to_owned(),
    )
    .await;
    roles::replenish(&mut database.admin, now()).await.unwrap();
    let by_login: Vec<(i16, i64)> = sqlx::query_as(
        "SELECT login, count(*) FROM control.spare_role WHERE state = 'spare' GROUP BY login ORDER BY login",
    )
    .fetch_all(&mut database.admin)
    .await
    .unwrap();
    assert_eq!(by_login, [(0, 50), (1, 150)]);
}

#[tokio::test]
async fn an_administrator_need_not_be_a_superuser() {
    let first = cluster::database("administrator").await;
    let mut superuser = urls::connect(&first.urls.admin().unwrap()).await.unwrap();
    run(&mut superuser, "CREATE ROLE operator LOGIN NOINHERIT CREATEROLE CREATEDB PASSWORD 'pass'".to_owned()).await;
    let admin = urls::with_user(first.urls.admin.as_deref().unwrap(), "operator").unwrap();
    let admin = admin.replacen(&password(&admin), ":pass@", 1);
    let mut database = cluster::set_up(Urls { admin: Some(admin), ..cluster::addresses("administered").await }).await;

    let master = MasterKey::generate().unwrap();
    tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    rewind_as_owner(&mut database, "st-mary").await;
    assert_eq!(states(&up(&database, 1).await), [State::Current]);
    tenants::delete(&mut database.admin, &name("st-mary"), "st-mary", now()).await.unwrap();
    assert_eq!(roles::drop_discarded(&mut database.admin).await.unwrap(), 1);
    let mut audit = urls::connect(&database.urls.audit_admin().unwrap()).await.unwrap();
    for _ in 0..2 {
        migrate::audit(&mut audit, now()).await.unwrap();
    }
    assert!(migrate::shared_are_current(&mut database.admin, &mut audit).await.unwrap());
    assert_eq!(migrate::months_ahead(&mut audit, now()).await.unwrap(), 25);
    assert!(migrate::trail_is_ahead(&mut audit, now()).await.unwrap());
    let later = now() + chrono::TimeDelta::days(500);
    assert!(!migrate::trail_is_ahead(&mut audit, later).await.unwrap());
}

fn password(url: &str) -> String {
    let (_, rest) = url.split_once("operator").unwrap();
    rest[..=rest.find('@').unwrap()].to_owned()
}

async fn rewind_as_owner(database: &mut Database, tenant: &str) {
    run(&mut database.admin, "SET ROLE vitals_owner".to_owned()).await;
    rewind(database, tenant).await;
    run(&mut database.admin, "RESET ROLE".to_owned()).await;
}

#[tokio::test]
async fn the_tenant_role_reaches_its_own_tables_and_no_more() {
    let mut database = cluster::database("rights").await;
    let master = MasterKey::generate().unwrap();
    let one = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap().tenant.role;
    let other = tenants::create(&mut database.admin, &master, &tenant("st-john"), now()).await.unwrap().tenant.role;
    let mut app = urls::connect(&database.urls.app).await.unwrap();
    run(&mut app, format!("SET ROLE {one}")).await;

    for allowed in ["SELECT FROM patient", "DELETE FROM observation", "SELECT FROM observation_history"] {
        run(&mut app, allowed.to_owned()).await;
    }
    for refused in [
        "UPDATE patient_history SET version = 0".to_owned(),
        "DELETE FROM observation_history".to_owned(),
        "SELECT FROM audit_outbox".to_owned(),
        "CREATE TABLE x ()".to_owned(),
        "DROP TABLE patient".to_owned(),
        "TRUNCATE patient".to_owned(),
        "SELECT FROM control.tenant".to_owned(),
        format!("SELECT FROM {other}.patient"),
    ] {
        let error = sqlx::raw_sql(AssertSqlSafe(refused.clone())).execute(&mut app).await.unwrap_err();
        let code =
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned();
        assert!(code == "42501" || refused.starts_with("CREATE"), "{refused}: {error}");
    }
    run(&mut app, "SET ROLE NONE".to_owned()).await;
    run(&mut app, "SELECT FROM control.tenant".to_owned()).await;
    for refused in [
        "UPDATE control.tenant SET status = 'active'",
        "UPDATE control.tenant SET settings = '{}'",
        "UPDATE control.change SET subject = ''",
        "DELETE FROM control.change",
        "UPDATE control.key SET sealed_private = ''",
        "UPDATE control.api_key SET scopes = ''",
        "DELETE FROM control.key",
        "UPDATE control.grant SET scopes = '{}'",
        "UPDATE control.grant SET expires = 'infinity'",
        "UPDATE control.grant SET grantee = grantor",
        "DELETE FROM control.grant",
    ] {
        let error = sqlx::raw_sql(refused).execute(&mut app).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{refused}: {error}");
    }
}

#[tokio::test]
async fn forty_tenants_are_current_and_nothing_is_done_twice() {
    let mut database = cluster::database("forty").await;
    database.tenants(40).await;

    let began = Instant::now();
    let rows = status(&mut database).await;
    println!("status over 40 tenants: {:?}", began.elapsed());
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.state == State::Current && row.version == row.target && row.error.is_none()));
    assert!(rows.is_sorted_by(|a, b| a.tenant < b.tenant));

    let seq = database.newest_change().await;
    let began = Instant::now();
    assert_eq!(up(&database, 4).await, rows);
    let took = began.elapsed();
    println!("up over 40 tenants with nothing to do: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(database.newest_change().await, seq);

    let admin_url = database.urls.app_admin().unwrap();
    let only = Only::Tenant(name("nobody"));
    let request = Up { admin_url: &admin_url, jobs: 1, only, now: now() };
    assert!(matches!(migrate::up(&request, &|_| ()).await, Err(MigrateError::UnknownTenant(_))));
    assert_eq!(serde_json::to_value(&rows[0]).unwrap()["state"], "current");
}

#[tokio::test]
async fn pending_tenants_are_brought_up_and_servers_hear_of_it() {
    let mut database = cluster::database("pending").await;
    database.tenants(6).await;
    for tenant in ["t-01", "t-04"] {
        rewind(&mut database, tenant).await;
    }
    let rows = status(&mut database).await;
    assert_eq!(rows.iter().filter(|row| row.state == State::Pending && row.version == 5).count(), 2);
    assert_eq!(SchemaVersions::judge(SchemaVersions::newest() - 1), Served::Yes);
    assert_eq!(SchemaVersions::judge(SchemaVersions::newest() - 2), Served::Behind);
    assert_eq!(SchemaVersions::judge(SchemaVersions::newest() + 1), Served::Ahead);

    let seq = database.newest_change().await;
    let heard = Mutex::new(Vec::new());
    let admin_url = database.urls.app_admin().unwrap();
    let request = Up { admin_url: &admin_url, jobs: 2, only: Only::Tenant(name("t-01")), now: now() };
    migrate::up(&request, &|row| heard.lock().unwrap().push(row.tenant.clone())).await.unwrap();
    assert_eq!(heard.into_inner().unwrap(), ["t-01"]);
    assert_eq!(database.newest_change().await, seq + 2);

    // The registry only repeats the ledger, and is set right.
    run(&mut database.admin, "UPDATE control.tenant SET version = 1 WHERE name = 't-02'".to_owned()).await;
    let rows = up(&database, 2).await;
    assert!(states(&rows).iter().all(|state| *state == State::Current));
    assert_eq!(
        tenants::find(&mut database.admin, &name("t-02")).await.unwrap().unwrap().version,
        SchemaVersions::newest()
    );
}

#[tokio::test]
async fn changed_missing_and_newer_migrations_are_refused_for_their_tenant_alone() {
    let mut database = cluster::database("changed").await;
    database.tenants(4).await;
    for tenant in ["t-00", "t-03"] {
        rewind(&mut database, tenant).await;
    }
    let (changed, missing, newer) =
        (role(&mut database, "t-00").await, role(&mut database, "t-01").await, role(&mut database, "t-02").await);
    run(
        &mut database.admin,
        format!(
            "UPDATE control.migration SET checksum = 'other' WHERE tenant = '{changed}' AND version = 2;
             DELETE FROM control.migration WHERE tenant = '{missing}' AND version = 2;
             INSERT INTO control.migration SELECT scope, tenant, 8, description, checksum, state, error, 0, applied_at
             FROM control.migration WHERE tenant = '{newer}' AND version = 7"
        ),
    )
    .await;

    let rows = up(&database, 2).await;
    assert_eq!(states(&rows), [State::Failed, State::Failed, State::Failed, State::Current]);
    let reasons: Vec<&str> = rows.iter().filter_map(|row| row.error.as_deref()).collect();
    assert_eq!(
        reasons,
        [
            "migration 0002 was changed after it had been applied",
            "migration 0002 was never applied, but 0003 was",
            "it is at version 8, newer than this program's 7",
        ]
    );
    assert_eq!(rows[0].version, 5, "nothing was done to it");
    assert_eq!(states(&status(&mut database).await), states(&rows));
}

#[tokio::test]
async fn a_changed_control_migration_stops_the_run() {
    let mut database = cluster::database("changed_control").await;
    run(&mut database.admin, "UPDATE control.migration SET checksum = 'other' WHERE scope = 'control'".to_owned())
        .await;
    let admin_url = database.urls.app_admin().unwrap();
    let request = Up { admin_url: &admin_url, jobs: 2, only: Only::Everyone, now: now() };
    assert!(matches!(migrate::up(&request, &|_| ()).await, Err(MigrateError::Changed(1))));
}

#[tokio::test]
async fn a_failing_tenant_is_reported_and_the_others_are_done() {
    let mut database = cluster::database("failing").await;
    database.tenants(8).await;
    for number in 0..8 {
        rewind(&mut database, &format!("t-0{number}")).await;
    }
    let broken = role(&mut database, "t-05").await;
    // What the step makes second is there already: what it made first must not stay.
    run(&mut database.admin, format!("CREATE INDEX patient_last_updated ON {broken}.patient (id)")).await;

    let rows = up(&database, 3).await;
    assert_eq!(rows.iter().filter(|row| row.state == State::Current).count(), 7);
    assert_eq!((rows[5].state, rows[5].version), (State::Failed, 5));
    let reason = rows[5].error.as_deref().unwrap();
    assert!(reason.contains("0006") && reason.contains("already exists"), "{reason}");
    assert_eq!(status(&mut database).await[5].error.as_deref(), Some(reason));
    let half: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!("{broken}.observation_last_updated"))
        .fetch_one(&mut database.admin)
        .await
        .unwrap();
    assert!(!half);

    run(&mut database.admin, format!("DROP INDEX {broken}.patient_last_updated")).await;
    assert!(states(&up(&database, 3).await).iter().all(|state| *state == State::Current));
    assert!(states(&status(&mut database).await).iter().all(|state| *state == State::Current));
}

#[tokio::test]
async fn two_runners_at_once_do_each_step_once() {
    let mut database = cluster::database("two_runners").await;
    database.tenants(10).await;
    for number in 0..10 {
        rewind(&mut database, &format!("t-0{number}")).await;
    }
    let seq = database.newest_change().await;
    let (one, other) = tokio::join!(up(&database, 3), up(&database, 3));
    for rows in [one, other, status(&mut database).await] {
        assert_eq!(rows.len(), 10);
        assert!(rows.iter().all(|row| row.state == State::Current), "{rows:?}");
    }
    assert_eq!(database.newest_change().await, seq + 20);
}

#[tokio::test]
async fn a_lock_delays_its_tenant_alone_and_readers_hardly() {
    let mut database = cluster::database("locked").await;
    database.tenants(4).await;
    for number in 0..4 {
        rewind(&mut database, &format!("t-0{number}")).await;
    }
    let locked = role(&mut database, "t-01").await;
    let mut holder = urls::connect(&database.urls.app_admin().unwrap()).await.unwrap();
    let mut reader = urls::connect(&database.urls.app_admin().unwrap()).await.unwrap();
    let mut tx = holder.begin().await.unwrap();
    run(&mut tx, format!("LOCK TABLE {locked}.observation IN ROW EXCLUSIVE MODE")).await;

    let done = Mutex::new(Vec::new());
    let admin_url = database.urls.app_admin().unwrap();
    let request = Up { admin_url: &admin_url, jobs: 2, only: Only::Everyone, now: now() };
    let notify = |row: &MigrationRow| done.lock().unwrap().push(row.tenant.clone());
    let read = format!("SELECT count(*) FROM {locked}.observation; DELETE FROM {locked}.observation");
    let traffic = async {
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < Duration::from_millis(1_500) {
            let one = Instant::now();
            run(&mut reader, read.clone()).await;
            slowest = slowest.max(one.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tx.rollback().await.unwrap();
        slowest
    };
    let (rows, slowest) = tokio::join!(migrate::up(&request, &notify), traffic);
    assert!(rows.unwrap().iter().all(|row| row.state == State::Current));
    assert_eq!(done.into_inner().unwrap().last().map(String::as_str), Some("t-01"));
    println!("slowest statement behind a waiting migration: {slowest:?}");
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
}

#[tokio::test]
async fn a_killed_runner_leaves_no_half_applied_tenant() {
    let mut database = cluster::database("killed").await;
    database.tenants(6).await;
    let admin_url = database.urls.app_admin().unwrap();
    for round in 0_u64..25 {
        for number in 0..6 {
            let tenant = format!("t-0{number}");
            let left = tenants::find(&mut database.admin, &name(&tenant)).await.unwrap().unwrap();
            if left.version == SchemaVersions::newest() {
                rewind(&mut database, &tenant).await;
            }
        }
        let request = Up { admin_url: &admin_url, jobs: 2, only: Only::Everyone, now: now() };
        // Dropped in the middle of whatever it is doing, its connections are cut.
        let killed = tokio::time::timeout(Duration::from_millis(10 + 7 * round), migrate::up(&request, &|_| ())).await;
        drop(killed);
        // A transaction that was cut off may still be rolling back.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let whole: Vec<(i32, bool, bool, bool, i64)> = sqlx::query_as(
            "SELECT t.version, to_regclass(t.role || '.observation_last_updated') IS NOT NULL,
                    to_regclass(t.role || '.patient_last_updated') IS NOT NULL,
                    to_regclass(t.role || '.observation_code_date') IS NOT NULL,
                    (SELECT count(*) FROM control.migration m
                     WHERE m.tenant = t.role AND m.version > 5 AND m.state = 'applied')
             FROM control.tenant t",
        )
        .fetch_all(&mut database.admin)
        .await
        .unwrap();
        for (version, one, other, next, noted) in whole {
            assert_eq!((one, other, next), (version > 5, version > 5, version > 6));
            assert_eq!(noted, i64::from(version - 5));
        }
    }
    assert!(up(&database, 2).await.iter().all(|row| row.state == State::Current));
}

#[tokio::test]
async fn an_issuer_has_one_spelling_and_one_set_of_keys() {
    let mut database = cluster::database("issuers").await;
    let master = MasterKey::generate().unwrap();
    let keys = some_keys();
    let shared = issuer("https://idp.example/realms/a", &keys);
    let alone = issuer("https://other.example", &IssuerKeys::Url("https://other.example/jwks".to_owned()));
    let mut first = tenant("st-mary");
    first.issuer = Some(shared.clone());
    tenants::create(&mut database.admin, &master, &first, now()).await.unwrap();
    tenants::create(&mut database.admin, &master, &tenant("st-john"), now()).await.unwrap();

    for spelling in ["https://idp.example/realms/a/", "https://IDP.example:443/realms/%61"] {
        let error = issuers::add(&mut database.admin, &name("st-john"), &issuer(spelling, &keys), now()).await;
        assert!(matches!(error, Err(ControlError::Issuer(IssuerError::SecondSpelling { .. }))), "{error:?}");
    }
    let error = issuers::add(&mut database.admin, &name("st-john"), &issuer(&shared.url, &some_keys()), now()).await;
    assert!(matches!(error, Err(ControlError::Issuer(IssuerError::Differs { .. }))), "{error:?}");
    let error = issuers::add(&mut database.admin, &name("nobody"), &shared, now()).await;
    assert!(matches!(error, Err(ControlError::Unknown(_))), "{error:?}");

    issuers::add(&mut database.admin, &name("st-john"), &shared, now()).await.unwrap();
    issuers::add(&mut database.admin, &name("st-john"), &alone, now()).await.unwrap();
    let rows = issuers::list(&mut database.admin, &name("st-john")).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].tenants, ["st-john", "st-mary"]);

    let useless =
        issuer("https://weak.example", &IssuerKeys::Inline(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#.to_owned()));
    let added = issuers::add(&mut database.admin, &name("st-john"), &useless, now()).await.unwrap();
    assert_eq!(added.warnings.len(), 2, "{:?}", added.warnings);
    issuers::remove(&mut database.admin, &name("st-john"), &useless.url, now()).await.unwrap();
    let error = issuers::remove(&mut database.admin, &name("st-john"), &useless.url, now()).await;
    assert!(matches!(error, Err(ControlError::Issuer(IssuerError::Unknown { .. }))), "{error:?}");

    tenants::delete(&mut database.admin, &name("st-john"), "st-john", now()).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("SELECT url FROM control.issuer").fetch_all(&mut database.admin).await.unwrap();
    assert_eq!(left, [shared.url.as_str()]);
}

#[tokio::test]
async fn signing_keys_open_under_their_master_key_and_in_their_row_only() {
    let mut database = cluster::database("keys").await;
    let master = MasterKey::generate().unwrap();
    let one = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap().tenant;
    let other = tenants::create(&mut database.admin, &master, &tenant("st-john"), now()).await.unwrap().tenant;
    let mut app = urls::connect(&database.urls.app).await.unwrap();
    assert_eq!(keys::check_all(&mut app, &master).await.unwrap(), 2);
    let key = keys::signing(&mut app, &master, &one).await.unwrap();
    assert_eq!(keys::signing_for(&mut database.admin, &master, &one.name).await.unwrap().kid(), key.kid());

    let wrong = keys::check_all(&mut app, &MasterKey::generate().unwrap()).await.unwrap_err();
    assert!(matches!(wrong, ControlError::Seal { source: SealError::Closed, .. }), "{wrong}");
    let moved = format!(
        "UPDATE control.key SET (kid, sealed_private) =
             (SELECT kid, sealed_private FROM control.key WHERE tenant = '{}') WHERE tenant = '{}'",
        one.role, other.role
    );
    run(&mut database.admin, moved).await;
    assert!(matches!(keys::signing(&mut app, &master, &other).await, Err(ControlError::Seal { .. })));
}

struct StandStill;

impl Clock for StandStill {
    fn now(&self) -> DateTime<Utc> {
        now()
    }
}

async fn feed(database: &Database) -> DirectoryFeed {
    let options = FeedOptions {
        database_url: database.urls.app.clone(),
        public_url: "https://vitals.example".to_owned(),
        writer: 7,
        clock: Arc::new(StandStill),
    };
    DirectoryFeed::start(options).await.unwrap()
}

#[tokio::test]
async fn a_server_hears_of_changes_at_once_when_it_asks_and_within_a_second_when_not() {
    let mut database = cluster::database("feed").await;
    let master = MasterKey::generate().unwrap();
    let feed = feed(&database).await;
    assert!(feed.current().unwrap().tenant(&name("st-mary")).is_none());

    let created = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap();
    let (one, other) = tokio::join!(feed.refresh(), feed.refresh());
    for directory in [one.unwrap(), other.unwrap()] {
        assert_eq!(**directory.tenant(&name("st-mary")).unwrap(), created.tenant);
        let own = directory.issuer("https://vitals.example/t/st-mary/auth").unwrap();
        assert_eq!(own.keys.len(), 1);
    }

    let began = Instant::now();
    let seq = tenants::suspend(&mut database.admin, &name("st-mary"), now()).await.unwrap();
    assert!(servers::caught_up(&mut database.admin, seq, now()).await.unwrap());
    println!("a suspension bites after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1));
    let directory = feed.current().unwrap();
    assert_eq!(directory.tenant(&name("st-mary")).unwrap().status, TenantStatus::Suspended);

    let error = issuers::add(
        &mut database.admin,
        &name("st-mary"),
        &issuer("https://VITALS.example/t/st-mary/auth", &some_keys()),
        now(),
    )
    .await;
    assert!(matches!(error, Err(ControlError::Issuer(IssuerError::OwnAddress(_)))), "{error:?}");

    feed.stop().await;
    assert!(servers::running(&mut database.admin, now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn fetched_keys_count_as_long_as_their_source_is_registered() {
    let mut database = cluster::database("fetched").await;
    let master = MasterKey::generate().unwrap();
    let mut new = tenant("st-mary");
    let url = "https://idp.example";
    new.issuer = Some(issuer(url, &IssuerKeys::Url("https://idp.example/jwks".to_owned())));
    tenants::create(&mut database.admin, &master, &new, now()).await.unwrap();
    let feed = feed(&database).await;
    let (source, fetched) = feed.key_sources().remove(0);
    assert_eq!(fetched, None);

    let IssuerKeys::Inline(jwks) = some_keys() else { unreachable!() };
    feed.set_fetched_keys(&source, vitals_access::keys::KeySet::from_jwks(&jwks).0, now());
    assert_eq!(feed.current().unwrap().issuer(url).unwrap().keys.len(), 1);
    assert_eq!(feed.key_sources(), [(source.clone(), Some(now()))]);

    issuers::remove(&mut database.admin, &name("st-mary"), url, now()).await.unwrap();
    let moved = issuer(url, &IssuerKeys::Url("https://idp.example/other".to_owned()));
    issuers::add(&mut database.admin, &name("st-mary"), &moved, now()).await.unwrap();
    assert!(feed.refresh().await.unwrap().issuer(url).unwrap().keys.is_empty());
    feed.stop().await;
}

#[tokio::test]
async fn a_server_cut_off_from_the_control_schema_says_so_and_recovers() {
    let database = cluster::database("cut_off").await;
    let feed = feed(&database).await;
    let mut beside = urls::connect(&database.urls.admin().unwrap()).await.unwrap();
    run(&mut beside, "ALTER DATABASE cut_off ALLOW_CONNECTIONS false".to_owned()).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = 'cut_off' AND usename = 'vitals_app'";
    run(&mut beside, cut.to_owned()).await;
    let began = Instant::now();
    // What it knows still counts for a while; that somebody is not in it tells nothing.
    assert_eq!(feed.refresh().await.err(), Some(Stale));
    assert!(feed.current().is_ok() && feed.catch_up().await.is_ok(), "after {:?}", began.elapsed());
    while feed.current().is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "it still serves");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(2), "after {:?}", began.elapsed());
    run(&mut beside, "ALTER DATABASE cut_off ALLOW_CONNECTIONS true".to_owned()).await;
    assert!(feed.refresh().await.is_ok());
    feed.stop().await;
}

#[tokio::test]
async fn a_job_acts_as_its_row_says_until_it_is_finished() {
    let mut database = cluster::database("jobs").await;
    let master = MasterKey::generate().unwrap();
    let made = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap().tenant;
    let mut app = urls::connect(&database.urls.app).await.unwrap();
    let id = uuid::Uuid::now_v7();
    let job = jobs::NewJob { id, tenant: &made, kind: "import", subject: "cli", scopes: "system/Patient.c" };

    let ticket = jobs::open(&mut app, &job, now()).await.unwrap();
    let access: Access = ticket.access();
    assert_eq!(**access.tenant(), made);
    assert!(!format!("{:?}", access.visible(ResourceType::Patient, Letter::Create)).contains("Nothing"));
    assert!(format!("{:?}", access.visible(ResourceType::Patient, Letter::Read)).contains("Nothing"));
    assert_eq!(jobs::resume(&mut app, id).await.unwrap().unwrap().id(), id);

    jobs::finish(&mut app, id, now() + TimeDelta::minutes(1)).await.unwrap();
    assert!(jobs::resume(&mut app, id).await.unwrap().is_none());
}

#[tokio::test]
async fn the_audit_schema_has_partitions_for_two_years() {
    let database = cluster::database("audit").await;
    let mut admin = urls::connect(&database.urls.audit_admin().unwrap()).await.unwrap();
    for _ in 0..2 {
        migrate::audit(&mut admin, now()).await.unwrap();
    }
    let (count, first, last): (i64, String, String) = sqlx::query_as(
        "SELECT count(*), min(inhrelid::regclass::text), max(inhrelid::regclass::text)
         FROM pg_inherits WHERE inhparent = 'audit.record'::regclass",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!((count, first.as_str(), last.as_str()), (26, "audit.record_2026_10", "audit.record_2028_11"));
    migrate::audit(&mut admin, now() + TimeDelta::days(31)).await.unwrap();

    let insert = "INSERT INTO audit.record (chain, writer, sequence, id, time, record, previous, hash)
                  VALUES ('server', 1, 1, '019350d0-0000-7000-8000-000000000000', '2026-11-22Z', '{}', sha256(''),
                          sha256(''))";
    let mut writer = urls::connect(&database.urls.audit_write).await.unwrap();
    sqlx::raw_sql(insert).execute(&mut writer).await.unwrap();
    for refused in ["UPDATE audit.record SET record = ''", "DELETE FROM audit.record_2026_11", "TRUNCATE audit.record"]
    {
        sqlx::raw_sql(refused).execute(&mut writer).await.unwrap_err();
    }
}

/// With `VITALS_WRITE_SCHEMAS=1` writes the files instead of comparing.
#[tokio::test]
async fn the_schemas_are_what_the_migrations_make() {
    let mut database = cluster::database("schemas").await;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut database.admin).await.unwrap();
    let pg_dump = Path::new("pg_dump");
    let program = std::process::Command::new(pg_dump).arg("--version").output();
    let program = program.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if !version.starts_with("15.") || !program.contains(" 15.") {
        println!("skipped: schemas/ is written by PostgreSQL 15, this is {version} with {program}");
        return;
    }
    let master = MasterKey::generate().unwrap();
    let made = tenants::create(&mut database.admin, &master, &tenant("st-mary"), now()).await.unwrap().tenant;
    let mut audit = urls::connect(&database.urls.audit_admin().unwrap()).await.unwrap();
    migrate::audit(&mut audit, now()).await.unwrap();

    let (admin, audit) = (database.urls.app_admin().unwrap(), database.urls.audit_admin().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (file, text) in [
        ("control.sql", dump::control(pg_dump, &admin).await.unwrap()),
        ("tenant.sql", dump::tenant(pg_dump, &admin, &made).await.unwrap()),
        ("audit.sql", dump::audit(pg_dump, &audit).await.unwrap()),
    ] {
        if std::env::var_os("VITALS_WRITE_SCHEMAS").is_some() {
            std::fs::write(folder.join(file), text).unwrap();
        } else {
            let kept = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(kept == text, "schemas/{file} is not what the migrations make: see migrations/README.md");
        }
    }
}
