//! The audit store against a PostgreSQL of our own: exactly once, never forked, never changed unseen.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests do to the database what nobody else may"
)]

#[path = "audit/proxy.rs"]
mod proxy;
#[path = "audit/sealing.rs"]
mod sealing;
#[path = "audit/trail.rs"]
mod trail;

use std::time::Duration;

use proxy::{Lose, Proxy};
use sqlx::AssertSqlSafe;
use trail::{Trail, append, now, record};
use uuid::Uuid;
use vitals_access::{
    audit::AuditRecord,
    tenant::{TenantName, TenantRole},
};
use vitals_store::{
    audit::{
        Appender, AuditReader, Claim, Direction, Durability, Leftover, OutboxSession, Outcome, Reason, Recover,
        Recovered, Unsettled, new_writer, recover,
    },
    control::{
        roles,
        tenants::{self, Isolation, NewTenant},
    },
    seal::MasterKey,
    urls,
};

const CHAIN: &str = "t_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Appends until it works, as the writer task does.
async fn append_at_last(appender: &mut Appender, records: &[AuditRecord]) {
    let records: Vec<&AuditRecord> = records.iter().collect();
    for _ in 0..200 {
        if let Ok(outcomes) = appender.append(&records).await {
            assert_eq!(outcomes, vec![Outcome::Written; records.len()]);
            return;
        }
    }
    panic!("200 attempts failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_side_by_side_make_one_chain_that_holds() {
    let mut trail = Trail::new("audit_side").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut appender = trail.appender(Durability::Prompt);
        writers.spawn(async move {
            for round in 0..10 {
                let records = [record(CHAIN, round), record("server", round), record(CHAIN, round)];
                append(&mut appender, &records).await;
            }
        });
    }
    writers.join_all().await;

    let verification = trail.verify().await;

    assert!(verification.ok, "{:?}", verification.first_bad);
    assert_eq!(verification.records, 600);
    assert_eq!(verification.heads.len(), 40);
    assert_eq!(trail.rows_and_ids().await, (600, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_tampering_is_found_and_named() {
    let mut trail = Trail::new("audit_tamper").await;
    for (index, (statement, sequence, reason)) in [
        ("UPDATE audit.record SET record = replace(record, '\"read\"', '\"edit\"') WHERE sequence = 7", 7, Reason::Changed),
        ("UPDATE audit.record SET hash = previous WHERE sequence = 7", 7, Reason::Changed),
        ("UPDATE audit.record SET previous = hash WHERE sequence = 7", 7, Reason::Changed),
        ("DELETE FROM audit.record WHERE sequence = 7", 7, Reason::Gap),
        ("DELETE FROM audit.record WHERE sequence = 1", 1, Reason::Gap),
        ("UPDATE audit.record SET sequence = 15 - sequence WHERE sequence IN (7, 8)", 7, Reason::Moved),
        ("UPDATE audit.record SET writer = writer - 1 WHERE sequence = 7", 7, Reason::Moved),
        ("UPDATE audit.record SET time = time + interval '1 ms' WHERE sequence = 7", 7, Reason::Column),
        ("UPDATE audit.record SET id = 'ffffffff-ffff-7fff-bfff-ffffffffffff' WHERE sequence = 7", 7, Reason::Column),
        (
            "INSERT INTO audit.record (chain, writer, sequence, id, time, record, previous, hash) \
             SELECT chain, writer, sequence, id, time + interval '1 s', record, previous, hash \
             FROM audit.record WHERE sequence = 7",
            7,
            Reason::Column,
        ),
        // Whoever changes a text and works its hash out again breaks the link of the next.
        (
            "UPDATE audit.record SET record = record || ' ', hash = sha256(previous || convert_to(record || ' ', 'UTF8')) \
             WHERE sequence = 7",
            8,
            Reason::Link,
        ),
        (
            "UPDATE audit.record SET previous = sha256('x'), hash = sha256(sha256('x') || convert_to(record, 'UTF8')) \
             WHERE sequence = 1",
            1,
            Reason::Beginning,
        ),
    ]
    .into_iter()
    .zip(0_u8..)
    .map(|(case, index)| (index, case))
    {
        let chain = format!("t_aaaaaaaaaaaaaaaaaaaaaaaa{}{}", char::from(b'a' + index / 8), index % 8);
        let appender = trail.written(&chain, 12).await;
        assert!(trail.verify_one(&chain).await.ok);

        let statement = statement.replace("WHERE", &format!("WHERE chain = '{chain}' AND"));
        assert!(trail.tamper(&statement).await > 0, "{statement}");

        let verification = trail.verify_one(&chain).await;
        let bad = verification.first_bad.unwrap_or_else(|| panic!("not seen: {statement}"));
        assert!(!verification.ok);
        assert_eq!((bad.sequence, bad.reason), (sequence, reason), "{statement}");
        assert_eq!(bad.tenant, chain);
        assert_eq!(bad.writer, appender.writer(), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_whole_writer_or_the_end_of_a_chain_is_found() {
    let mut trail = Trail::new("audit_ends").await;
    let first = trail.written(CHAIN, 5).await.writer();
    let second = trail.written(CHAIN, 15).await.writer();
    let whole = trail.verify().await;
    assert!(whole.ok);

    // The newest records are missed only by heads that were kept elsewhere.
    trail.tamper(&format!("DELETE FROM audit.record WHERE writer = {second} AND sequence > 5")).await;
    assert!(trail.verify().await.ok);
    let bad = trail.verify_against(&whole.heads).await.first_bad.unwrap();
    assert_eq!((bad.writer, bad.sequence, bad.reason), (second, 6, Reason::Removed));

    // The first writer's last record is the one that the second writer's first follows.
    trail.tamper(&format!("DELETE FROM audit.record WHERE writer = {first}")).await;
    let bad = trail.verify().await.first_bad.unwrap();
    assert_eq!((bad.writer, bad.sequence, bad.reason), (second, 1, Reason::Beginning));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_neither_lose_nor_double_a_record() {
    for durability in [Durability::Prompt, Durability::Strict] {
        let mut trail = Trail::new(&format!("audit_kill_{durability:?}").to_lowercase()).await;
        let mut superuser = urls::connect(&trail.urls.audit_admin().unwrap()).await.unwrap();
        let killer = tokio::spawn(async move {
            let mut killed = 0;
            for round in 0_u64.. {
                // Prime to each other, so that the moments wander over the whole of an insert.
                tokio::time::sleep(Duration::from_micros(900 + round * 7_919 % 4_001)).await;
                let (done,): (i64,) = sqlx::query_as(
                    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE datname = current_database() AND usename LIKE 'vitals_audit_%'",
                )
                .fetch_one(&mut superuser)
                .await
                .unwrap();
                killed += done;
                if killed >= 150 {
                    break;
                }
            }
        });

        let mut appender = trail.appender(durability);
        let mut sent = 0;
        while !killer.is_finished() {
            let records: Vec<AuditRecord> =
                (0..7).map(|n| record(if n % 3 == 0 { "server" } else { CHAIN }, sent + n)).collect();
            append_at_last(&mut appender, &records).await;
            sent += 7;
            if sent % 21 == 0 {
                // A flush that fails leaves everything to the next one.
                drop(appender.flush().await);
            }
        }
        killer.await.unwrap();

        assert_eq!(trail.rows_and_ids().await, (sent, sent));
        let verification = trail.verify().await;
        assert!(verification.ok, "{:?}", verification.first_bad);
        assert_eq!(verification.heads.len(), 2, "one writer stays one writer");
        append_at_last(&mut appender, &[record(CHAIN, 0)]).await;
        assert!(trail.verify().await.ok);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_no_second_record_and_a_lost_question_no_missing_one() {
    for durability in [Durability::Prompt, Durability::Strict] {
        let mut trail = Trail::new(&format!("audit_lost_{durability:?}").to_lowercase()).await;
        let proxy = Proxy::start(&trail.urls.audit_write);
        let mut urls = trail.urls.clone();
        urls.audit_write = proxy.url(&urls.audit_write);
        let mut appender = Appender::new(&urls, durability, new_writer());
        append(&mut appender, &[record(CHAIN, 0), record("server", 0)]).await;

        for round in 1..=20 {
            proxy.lose(if round % 3 == 0 { Lose::Question } else { Lose::Answer });
            let records = [record(CHAIN, round), record("server", round), record(CHAIN, round)];
            assert!(appender.append(&records.each_ref()).await.is_err());
            assert!(proxy.has_lost());
            // Whoever asked may have given up: then others come first, and the chain goes on all the same.
            let later = [record(CHAIN, round)];
            append(&mut appender, if round % 2 == 0 { &later } else { &records }).await;
            append(&mut appender, if round % 2 == 0 { &records } else { &later }).await;
        }

        assert_eq!(trail.rows_and_ids().await, (82, 82));
        let verification = trail.verify().await;
        assert!(verification.ok, "{:?}", verification.first_bad);
        assert_eq!((verification.records, verification.heads.len()), (82, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_crash_of_the_database_took_are_written_again() {
    let mut trail = Trail::new("audit_crash").await;
    let mut appender = trail.written(CHAIN, 4).await;
    appender.flush().await.unwrap();
    append(&mut appender, &[record(CHAIN, 4), record(CHAIN, 5), record(CHAIN, 6)]).await;
    assert_eq!(appender.unflushed(), 3);

    // What a crash does: the last commits are gone, and so is every session.
    trail.tamper("DELETE FROM audit.record WHERE sequence > 5").await;
    kill_writers(&mut trail).await;
    assert!(appender.check().await.is_err());
    append(&mut appender, &[record(CHAIN, 7)]).await;

    assert_eq!(trail.rows_and_ids().await, (8, 8));
    assert!(trail.verify().await.ok);
    appender.flush().await.unwrap();
    assert_eq!(appender.unflushed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_somebody_else_moved_on_meanwhile_are_not_doubled() {
    let mut trail = Trail::new("audit_elsewhere").await;
    let mut appender = trail.written(CHAIN, 2).await;
    appender.flush().await.unwrap();
    let records = [record(CHAIN, 2), record(CHAIN, 3), record(CHAIN, 4)];
    append(&mut appender, &records).await;

    // A crash takes all three; somebody finds the second in an outbox before we are back.
    trail.tamper("DELETE FROM audit.record WHERE sequence > 2").await;
    append(&mut trail.appender(Durability::Strict), &records[1..2]).await;
    kill_writers(&mut trail).await;
    assert!(appender.check().await.is_err());
    append(&mut appender, &[record(CHAIN, 5)]).await;

    assert_eq!(trail.rows_and_ids().await, (6, 6));
    let verification = trail.verify().await;
    assert!(verification.ok, "{:?}", verification.first_bad);

    // And without any crash: what is there already counts as written.
    let mut another = trail.appender(Durability::Strict);
    append(&mut another, &[record(CHAIN, 6), records[0].clone(), record(CHAIN, 7), records[2].clone()]).await;
    assert_eq!(trail.rows_and_ids().await, (8, 8));
    assert!(trail.verify().await.ok);
}

async fn kill_writers(trail: &mut Trail) {
    trail
        .tamper(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND usename = 'vitals_audit_write'",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_stored_keeps_no_other_out() {
    let trail = Trail::new("audit_unfit").await;
    let mut appender = trail.appender(Durability::Prompt);
    let mut far = record(CHAIN, 1);
    far.time = "2199-01-01T00:00:00Z".parse().unwrap();
    let mut long = record(CHAIN, 2);
    // Too long for an index, and too random to be pressed into one.
    long.chain = (0..300).map(|_| Uuid::new_v4().to_string()).collect();
    let records = [record(CHAIN, 0), far, record(CHAIN, 1), long, record("server", 2)];

    let outcomes = appender.append(&records.iter().collect::<Vec<_>>()).await.unwrap();
    appender.probe(now()).await.unwrap();

    let [yes, no] = [Outcome::Written, Outcome::Unfit];
    assert_eq!(outcomes, [yes, no, yes, no, yes]);
    let verification = trail.verify().await;
    assert!(verification.ok, "{:?}", verification.first_bad);
    assert_eq!(verification.records, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_hash_is_kept_out_and_harms_its_own_chain_alone() {
    let mut trail = Trail::new("audit_width").await;
    let writer = trail.written(CHAIN, 5).await.writer();
    for wrong in ["hash = ''", "previous = previous || '\\x00'"] {
        let update = AssertSqlSafe(format!("UPDATE audit.record SET {wrong} WHERE sequence = 5"));
        sqlx::raw_sql(update).execute(&mut trail.superuser).await.unwrap_err();
    }

    // Whoever may drop the constraint may also do this.
    trail.tamper("ALTER TABLE audit.record DROP CONSTRAINT record_hashes").await;
    for (column, sequence) in [("previous", 1), ("hash", 3), ("hash", 5)] {
        let whole = format!("WHERE chain = '{CHAIN}' AND sequence = {sequence}");
        trail.tamper(&format!("UPDATE audit.record SET {column} = substr({column}, 2) {whole}")).await;
        let bad = trail.verify().await.first_bad.unwrap();
        assert_eq!((bad.writer, bad.sequence, bad.reason), (writer, sequence, Reason::Changed));
        if sequence < 5 {
            trail.tamper(&format!("UPDATE audit.record SET {column} = '\\x00' || {column} {whole}")).await;
            if column == "hash" {
                trail
                    .tamper(&format!(
                        "UPDATE audit.record AS r SET hash = next.previous FROM audit.record AS next \
                         WHERE r.chain = '{CHAIN}' AND r.sequence = 3 AND next.chain = r.chain AND next.sequence = 4"
                    ))
                    .await;
            }
            assert!(trail.verify().await.ok);
        }
    }

    // The next writer has nothing to follow in that chain, and goes on with the others.
    let records = [record("server", 0), record(CHAIN, 6), record("server", 1), record(CHAIN, 7)];
    let mut appender = trail.appender(Durability::Prompt);
    let outcomes = appender.append(&records.iter().collect::<Vec<_>>()).await.unwrap();
    let [yes, no] = [Outcome::Written, Outcome::Unfit];
    assert_eq!(outcomes, [yes, no, yes, no]);
    assert_eq!(trail.rows_and_ids().await, (7, 7));
    assert!(trail.verify_one("server").await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_role_of_the_audit_store_can_change_or_remove_a_record() {
    let mut trail = Trail::new("audit_rights").await;
    trail.written(CHAIN, 3).await;
    let partition: String = sqlx::query_scalar("SELECT tableoid::regclass::text FROM audit.record LIMIT 1")
        .fetch_one(&mut trail.superuser)
        .await
        .unwrap();

    for url in [&trail.urls.audit_write, &trail.urls.audit_read] {
        let mut session = urls::connect(url).await.unwrap();
        for table in ["audit.record", &partition] {
            for statement in [
                format!("UPDATE {table} SET record = ''"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
                format!("DROP TABLE {table}"),
                format!("ALTER TABLE {table} ADD COLUMN x int"),
                format!("CREATE TABLE audit.other (LIKE {table})"),
                format!("CREATE TEMP TABLE record (LIKE {table})"),
            ] {
                let error = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut session).await.unwrap_err();
                let code = error
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code)
                    .unwrap_or_default()
                    .into_owned();
                assert_eq!(code, "42501", "{statement}");
            }
        }
    }
    let mut reader = urls::connect(&trail.urls.audit_read).await.unwrap();
    let insert = "INSERT INTO audit.record SELECT chain, writer, 9, id, time, record, previous, hash FROM audit.record";
    assert!(sqlx::raw_sql(insert).execute(&mut reader).await.is_err());
    let mut writer = urls::connect(&trail.urls.audit_write).await.unwrap();
    assert!(sqlx::raw_sql("SELECT record FROM audit.record").execute(&mut writer).await.is_err());
    assert_eq!(trail.rows_and_ids().await, (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_both_ways_and_miss_nothing() {
    let trail = Trail::new("audit_pages").await;
    let mut appender = trail.appender(Durability::Prompt);
    // Several records in one millisecond, and a clock that goes back.
    let records: Vec<AuditRecord> = [0, 0, 0, 5, 5, 3, 3, 9, 2].map(|millis| record(CHAIN, millis)).into();
    append(&mut appender, &records).await;
    append(&mut appender, &[record("server", 1)]).await;
    let mut reader = AuditReader::open(&trail.urls.audit_read).await.unwrap();

    let mut seen = Vec::new();
    for direction in [Direction::OldestFirst, Direction::NewestFirst] {
        let mut after = None;
        let mut way = Vec::new();
        loop {
            let page = reader.page(CHAIN, direction, after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.position);
            way.extend(page);
        }
        assert_eq!(way.len(), records.len());
        seen.push(way);
    }
    seen[1].reverse();
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].is_sorted_by_key(|stored| stored.position));
    let mut read: Vec<AuditRecord> =
        seen[0].iter().map(|stored| serde_json::from_str(&stored.record).unwrap()).collect();
    let mut written = records;
    read.sort_by_key(|record| record.id);
    written.sort_by_key(|record| record.id);
    assert_eq!(read, written);
    assert_eq!(reader.chains().await.unwrap(), ["server", CHAIN]);
}

/// A tenant, and what a request of it leaves in its outbox.
async fn tenant(trail: &Trail) -> TenantRole {
    let mut admin = urls::connect(&trail.urls.app_admin().unwrap()).await.unwrap();
    roles::replenish(&mut admin, now()).await.unwrap();
    let new = NewTenant {
        name: "north".parse::<TenantName>().unwrap(),
        display: String::new(),
        isolation: Isolation::Schema,
        tier: "default".to_owned(),
        issuer: None,
    };
    tenants::create(&mut admin, &MasterKey::generate().unwrap(), &new, now()).await.unwrap().tenant.role
}

async fn leave_in_outbox(trail: &Trail, tenant: &TenantRole, writer: i64, records: &[AuditRecord]) {
    let mut app = urls::connect(&trail.urls.app).await.unwrap();
    let role = AssertSqlSafe(format!("SET ROLE {tenant}"));
    sqlx::raw_sql(role).execute(&mut app).await.unwrap();
    for record in records {
        sqlx::query("INSERT INTO audit_outbox (id, writer, record) VALUES ($1::text::uuid, $2, $3)")
            .bind(record.id.to_string())
            .bind(writer)
            .bind(record.to_json())
            .execute(&mut app)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_is_moved_on_exactly_once() {
    let mut trail = Trail::new("audit_recover").await;
    let tenant = tenant(&trail).await;
    let dead = new_writer();
    let mut claim = Claim::hold(&trail.urls.app, dead).await.unwrap();
    claim.mark(std::slice::from_ref(&tenant)).await.unwrap();
    claim.mark(std::slice::from_ref(&tenant)).await.unwrap();
    let records: Vec<AuditRecord> = (0..40).map(|n| record(tenant.as_str(), n)).collect();
    leave_in_outbox(&trail, &tenant, dead, &records).await;
    // It died when some had been moved and not yet removed.
    append(&mut Appender::new(&trail.urls, Durability::Prompt, dead), &records[..15]).await;

    // Nobody touches the list of the living.
    let mut looker = Claim::look(&trail.urls.app).await.unwrap();
    assert_eq!(looker.of_dead().await.unwrap(), []);
    let none = recover(&trail.urls, Recover::OfDeadWriters, new_writer()).await.unwrap();
    assert_eq!(none, Recovered::default());

    drop(claim);
    let unsettled = Unsettled { writer: dead, tenant: tenant.clone() };
    while looker.of_dead().await.unwrap() != [unsettled.clone()] {
        tokio::task::yield_now().await;
    }
    let (one, other) = tokio::join!(
        recover(&trail.urls, Recover::OfDeadWriters, new_writer()),
        recover(&trail.urls, Recover::OfTenant(&tenant), new_writer()),
    );

    assert!(one.unwrap().moved + other.unwrap().moved >= 40);
    assert_eq!(trail.rows_and_ids().await, (40, 40));
    let verification = trail.verify().await;
    assert!(verification.ok, "{:?}", verification.first_bad);
    let mut outbox = OutboxSession::open(&trail.urls.app).await.unwrap();
    assert!(outbox.leftovers(&tenant, Leftover::Any, 1).await.unwrap().is_empty());
    looker.unmark(&unsettled).await.unwrap();
    assert_eq!(looker.of_dead().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn outboxes_are_read_by_age_and_writer_and_a_tenant_that_is_gone_has_none() {
    let trail = Trail::new("audit_outbox").await;
    let tenant = tenant(&trail).await;
    let records: Vec<AuditRecord> = (0..4).map(|n| record(tenant.as_str(), n)).collect();
    leave_in_outbox(&trail, &tenant, 1, &records[..2]).await;
    leave_in_outbox(&trail, &tenant, 2, &records[2..]).await;
    let mut outbox = OutboxSession::open(&trail.urls.app).await.unwrap();

    let of_two = outbox.leftovers(&tenant, Leftover::Of(2), 10).await.unwrap();
    assert_eq!(of_two.records, records[2..]);
    let before = Leftover::Before(records[3].id);
    assert_eq!(outbox.leftovers(&tenant, before, 10).await.unwrap().records, records[..3]);
    let ids: Vec<Uuid> = records[..3].iter().map(|record| record.id).collect();
    assert_eq!(outbox.remove(&tenant, &ids).await.unwrap(), 3);
    assert_eq!(outbox.remove(&tenant, &ids).await.unwrap(), 0);
    assert_eq!(outbox.leftovers(&tenant, Leftover::Any, 10).await.unwrap().records, records[3..]);

    let gone = TenantRole::generate();
    assert!(outbox.leftovers(&gone, Leftover::Any, 10).await.unwrap().is_empty());
    assert_eq!(outbox.remove(&gone, &ids).await.unwrap(), 0);
}
