//! Attacks on the trail itself (family A): by the roles the server logs in as, by whoever may do anything to the audit
//! database, by many at once and by a clock that is set back. The heads that are kept elsewhere tell.

use std::{path::Path, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_tests::{
    Answer, Options, Server, Tenant, cluster, poll,
    program::{Outside, Serving},
    samples, sql,
    tenant::client,
};

use crate::trail::chain;

/// What a superuser of the audit database does; CHAIN is that of the tenant, FIRST and SECOND are its writers.
struct Tampering {
    what: &'static str,
    statement: &'static str,
    /// Whether the records hold in themselves all the same, so that only the heads tell.
    holds_in_itself: bool,
    /// Which writer's record is named, and its number.
    named: (Writer, i64),
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    First,
    Second,
}

const CHANGED: &str = "the record was changed: its hash does not match";
const MISSING: &str = "the record is missing";
const MOVED: &str = "the record was moved: its text names another writer or sequence";
const REMOVED: &str = "the record is missing: the kept heads name it or one behind it";
const OTHER: &str = "the record is not the one that the kept heads name";

/// Each server wrote records 1 to 15 of the tenant's chain; heads were kept when it stopped.
const RECORDS: i64 = 15;

const TAMPERINGS: [Tampering; 7] = [
    Tampering {
        what: "A06 a row is changed",
        statement: "UPDATE audit.record SET record = replace(record, '\"subject\":\"vitals-cli\"', '\"subject\":\"nobody\"') \
                    WHERE chain = 'CHAIN' AND writer = FIRST AND sequence = 7",
        holds_in_itself: false,
        named: (Writer::First, 7),
        reason: CHANGED,
    },
    Tampering {
        what: "A07 a row in the middle is removed",
        statement: "DELETE FROM audit.record WHERE chain = 'CHAIN' AND writer = FIRST AND sequence = 7",
        holds_in_itself: false,
        named: (Writer::First, 7),
        reason: MISSING,
    },
    Tampering {
        what: "A08 the newest ten rows are removed",
        statement: "DELETE FROM audit.record WHERE chain = 'CHAIN' AND writer = SECOND AND sequence > 5",
        holds_in_itself: true,
        named: (Writer::Second, 6),
        reason: REMOVED,
    },
    Tampering {
        what: "A08 all that a server wrote is removed",
        statement: "DELETE FROM audit.record WHERE chain = 'CHAIN' AND writer = SECOND",
        holds_in_itself: true,
        named: (Writer::Second, 1),
        reason: REMOVED,
    },
    Tampering {
        what: "A09 two rows are swapped",
        statement: "UPDATE audit.record SET sequence = 15 - sequence \
                    WHERE chain = 'CHAIN' AND writer = FIRST AND sequence IN (7, 8)",
        holds_in_itself: false,
        named: (Writer::First, 7),
        reason: MOVED,
    },
    Tampering {
        what: "A10 the whole chain is replaced by one whose hashes are right",
        statement: include_str!("../../conformance/audit/replace_chain.sql"),
        holds_in_itself: true,
        named: (Writer::First, RECORDS),
        reason: OTHER,
    },
    Tampering {
        what: "A10 an older backup is brought back",
        statement: "TRUNCATE audit.record; INSERT INTO audit.record SELECT * FROM public.backup",
        holds_in_itself: true,
        named: (Writer::Second, 1),
        reason: REMOVED,
    },
];

/// Asks fifteen times, then stops the server.
async fn work(server: Serving, name: &str, token: &str) {
    for number in 0..RECORDS {
        let url = format!("{}/t/{name}/fhir/Patient/p{number}", server.url);
        Answer::of(client().get(url).bearer_auth(token)).await.expect(404);
    }
    server.stop().await.expect(0);
}

#[tokio::test]
async fn the_six_ways_to_tamper_are_named_at_the_first_bad_record() {
    // given two servers' records of one tenant, one after the other, and a backup of the time between
    let outside = Outside::fresh().await;
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let name = outside.tenants(1).await.remove(0);
    let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.rs"]).await.expect(0);
    let token = token.stdout.trim().to_owned();
    work(program.serve().await, &name, &token).await;
    outside.audit_sql("CREATE TABLE public.backup AS SELECT * FROM audit.record").await;
    work(program.serve().await, &name, &token).await;
    outside.audit_sql("CREATE TABLE public.kept AS SELECT * FROM audit.record").await;
    let role = outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{name}'")).await;
    let writers = outside
        .audit_sql(&format!(
            "SELECT writer FROM audit.record WHERE chain = '{role}' AND record LIKE '%\"origin\":\"http\"%' \
             GROUP BY writer ORDER BY min(time)"
        ))
        .await;
    let writers: Vec<i64> = writers.lines().map(|line| line.parse().expect("a number")).collect();
    let [first, second] = writers[..] else { panic!("two servers, two writers: {writers:?}") };
    let elsewhere = outside.program.folder.join("elsewhere").display().to_string();
    std::fs::rename(outside.program.folder.join("heads"), &elsewhere).expect("the heads can be carried away");
    let verify = async |more: &[&str]| {
        let arguments: Vec<&str> = ["audit", "verify", "--json"].iter().chain(more).copied().collect();
        let ran = program.run(&arguments).await;
        let found = ran.json();
        assert_eq!(ran.code, Some(i32::from(found["ok"] != json!(true))), "{found}");
        found
    };
    assert_eq!(verify(&["--heads", &elsewhere]).await["first_bad"], Value::Null);

    for Tampering { what, statement, holds_in_itself, named: (writer, sequence), reason } in TAMPERINGS {
        // when
        let statement = statement.replace("CHAIN", &role).replace("FIRST", &first.to_string());
        outside.audit_sql(&statement.replace("SECOND", &second.to_string())).await;
        // then
        let found = verify(&["--heads", &elsewhere]).await;
        let writer = if writer == Writer::First { first } else { second };
        let expected = json!({ "tenant": name, "writer": writer, "sequence": sequence, "reason": reason });
        let bad = &found["first_bad"];
        // Where every writer's records were replaced, that of the smallest number is named.
        let is_other = reason == OTHER && bad["tenant"] == expected["tenant"] && bad["reason"] == expected["reason"];
        assert!(*bad == expected || is_other, "{what}: {found}");
        assert_eq!(verify(&[]).await["ok"], holds_in_itself, "{what}: without the heads");
        outside.audit_sql("TRUNCATE audit.record; INSERT INTO audit.record SELECT * FROM public.kept").await;
        assert_eq!(verify(&["--heads", &elsewhere]).await["ok"], true, "{what}: undone");
    }

    // The heads themselves: one that is changed, or taken out from between two, accuses; an unknown key does.
    let file = heads_in(Path::new(&elsewhere)).into_iter().find(|path| path.contains(&first.to_string()));
    let file = file.expect("the first server kept heads");
    let text = std::fs::read_to_string(&file).expect("text");
    let hash = text.lines().last().and_then(|line| line.split("\"hash\":\"").nth(1)).expect("a hash")[..64].to_owned();
    let forged = text.replace(&hash, &"ab".repeat(32));
    std::fs::write(&file, forged).expect("it can be written");
    let found = verify(&["--heads", &elsewhere]).await;
    assert_eq!(found["first_bad"]["writer"], first, "{found}");
    assert!(found["first_bad"]["reason"].as_str().is_some_and(|reason| reason.contains("kept head")), "{found}");
    std::fs::write(&file, text).expect("it can be written");
    assert_eq!(verify(&["--heads", &elsewhere]).await["ok"], true);
    let other = program.clone().with("VITALS_MASTER_KEY", &"11".repeat(32));
    let found = other.run(&["audit", "verify", "--json", "--heads", &elsewhere]).await.expect(1).json();
    assert!(found["first_bad"]["reason"].as_str().is_some_and(|reason| reason.contains("not signed by us")), "{found}");
    // Without the key, those beside them are used, and that is said.
    let keyless = program.clone().without("VITALS_MASTER_KEY");
    let ran = keyless.run(&["audit", "verify", "--json", "--heads", &elsewhere]).await.expect(0);
    assert!(ran.stderr.contains("with the key beside them"), "{}", ran.stderr);
    program.run(&["audit", "verify", "--heads", "/nowhere"]).await.expect_sentence(1, "cannot read the heads");
}

fn heads_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    files.retain(|path| path.ends_with(".ndjson"));
    files.sort();
    files
}

#[tokio::test]
async fn a05_no_role_the_server_logs_in_as_can_change_or_remove_a_record() {
    let tenant = Tenant::fresh().await;
    tenant.get("Patient/none", &tenant.all()).await.expect(404);
    let urls = &tenant.server.cluster.urls;
    let audit_database = urls.audit_admin().expect("an administrator");
    let partition = sql::run(
        &audit_database,
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit.record'::regclass ORDER BY 1 LIMIT 1",
    )
    .await;
    let before = chain(&urls.audit_read, &tenant.role()).await;
    let database = audit_database.rsplit_once('/').map(|(_, rest)| rest.split('?').next().unwrap_or(rest).to_owned());
    let logins = (0..vitals_store::urls::LOGINS).map(|slot| {
        let url = urls.login(slot).expect("a login");
        vitals_store::urls::with_database(&url, &database.clone().expect("a database")).expect("a URL")
    });
    let all: Vec<String> = logins.chain([urls.audit_write.clone(), urls.audit_read.clone()]).collect();
    let statements = [
        "UPDATE audit.record SET record = ''".to_owned(),
        "DELETE FROM audit.record".to_owned(),
        "TRUNCATE audit.record".to_owned(),
        "DROP TABLE audit.record".to_owned(),
        "ALTER TABLE audit.record ALTER COLUMN record DROP NOT NULL".to_owned(),
        format!("UPDATE {partition} SET record = ''"),
        format!("DELETE FROM {partition}"),
        format!("DROP TABLE {partition}"),
        format!("INSERT INTO {partition} SELECT * FROM {partition}"),
        "UPDATE audit.receipt SET line = ''".to_owned(),
        "DELETE FROM audit.receipt".to_owned(),
        "INSERT INTO audit.receipt (month, chain, writer, first, latest, hash, line) \
         VALUES ('2026-01', 'server', 1, 1, '2026-01-01', sha256(''), '')"
            .to_owned(),
        "SET ROLE vitals_owner".to_owned(),
    ];
    for url in &all {
        for statement in &statements {
            let refused = sql::attempt(url, statement).await.expect_err(statement);
            let is_refusal = ["permission denied", "must be owner"].iter().any(|words| refused.contains(words));
            assert!(is_refusal, "{statement}: {refused}");
        }
    }
    let after = chain(&urls.audit_read, &tenant.role()).await;
    assert_eq!((after.len(), &after), (before.len(), &before));
}

#[tokio::test]
async fn a11_fifty_at_once_make_one_chain_without_a_fork() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (url, token) = (format!("{}/Patient/p{number}", tenant.base()), all.clone());
        asked.spawn(async move {
            for _ in 0..4 {
                let answer = client().get(&url).bearer_auth(&token).send().await.expect("an answer");
                assert_eq!(answer.status(), 404);
            }
        });
    }
    asked.join_all().await;

    let records = chain(&tenant.server.cluster.urls.audit_read, &tenant.role()).await;

    let writers: std::collections::BTreeSet<i64> =
        records.iter().map(|record| record["writer"].as_i64().expect("a number")).collect();
    assert_eq!(writers.len(), 1);
    let mut sequences: Vec<i64> = records.iter().map(|record| record["sequence"].as_i64().expect("a number")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=200).collect::<Vec<i64>>());
    crate::trail::holds(&tenant).await;
}

#[tokio::test]
async fn a14_a_clock_that_is_set_back_changes_no_order() {
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let tenant = Tenant::on(server).await;
    let mut asked = Vec::new();
    // No token is older than its tenant, so that the clock goes ahead first.
    for (number, seconds) in [10_800, -3_600, 0, 1_800, -3_600, 10].into_iter().enumerate() {
        server.clock.advance(seconds);
        let answer = tenant.get(&format!("Patient/p{number}"), &tenant.all()).await.expect(404);
        asked.push(answer.header("x-request-id").to_owned());
    }

    let mut records = chain(&server.cluster.urls.audit_read, &tenant.role()).await;
    // By time they stand in another order.
    let by_time: Vec<&str> = records.iter().filter_map(|record| record["request_id"].as_str()).collect();
    assert_ne!(by_time, asked);
    records.sort_by_key(|record| record["sequence"].as_i64());
    let by_sequence: Vec<&str> = records.iter().filter_map(|record| record["request_id"].as_str()).collect();
    assert_eq!(by_sequence, asked);
    crate::trail::holds(&tenant).await;
}

#[tokio::test]
async fn heads_are_kept_while_the_server_runs_and_when_it_stops() {
    let options = Options { heads_every: Some(Duration::from_millis(200)), ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    let tenant = Tenant::on(server).await;
    tenant.get("Patient/p1", &tenant.all()).await.expect(404);
    let (role, folder) = (tenant.role(), server.heads.clone());
    let kept = || {
        let texts = heads_in(&folder).into_iter().map(|path| std::fs::read_to_string(path).expect("text"));
        let lines: Vec<Value> =
            texts.collect::<String>().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.into_iter().filter(|line| line["chain"] == role.as_str()).collect::<Vec<Value>>()
    };
    poll::until("the first head is kept", async || !kept().is_empty()).await;
    let first = kept().remove(0);
    let names: Vec<&str> = first.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["statement", "time", "chain", "writer", "sequence", "hash", "key", "signature"]);
    assert_eq!((&first["statement"], &first["sequence"]), (&json!("head"), &json!(1)));
    let hash = format!("SELECT encode(hash, 'hex') FROM audit.record WHERE chain = '{role}' AND sequence = 1");
    assert_eq!(sql::run(&server.cluster.urls.audit_read, &hash).await, first["hash"].as_str().expect("a text"));

    // Nothing new, no new line; then the next, which carries the fingerprint of the one before.
    tenant.put("Patient/p1", &tenant.all(), &samples::patient("p1", "x").to_string()).await.expect(201);
    poll::until("the next head is kept", async || kept().len() == 2).await;
    let second = kept().remove(1);
    assert_eq!(second["sequence"], 2);
    assert!(second["previous"].as_str().is_some_and(|previous| previous.len() == 64), "{second}");
    let figures = server.app.audit.figures();
    poll::until("both are counted, once they are on disk", async || figures.heads() >= 2).await;
    assert_eq!(figures.heads_missed(), 0, "{figures:?}");

    // A folder that cannot be written harms no request; what was missed comes with the next.
    std::fs::remove_dir_all(&folder).expect("it is there");
    std::fs::write(&folder, "in the way").expect("a file can be written");
    tenant.get("Patient/p1", &tenant.all()).await.expect(200);
    poll::until("that is counted", async || figures.heads_missed() > 0).await;
    tenant.get("Patient/p1", &tenant.all()).await.expect(200);
    std::fs::remove_file(&folder).expect("it is there");
    let last = Answer::of(tenant.request(Method::GET, "Patient/p1", &tenant.all())).await.expect(200);
    assert!(last.status == 200 && server.clock.now().timestamp() > 0);
    poll::until("the last head is kept", async || kept().last().is_some_and(|line| line["sequence"] == 5)).await;
}
