//! No connection goes from one tenant to another with anything of the first still on it: not after a client that went
//! away at whatever moment, a statement that failed, or one that took too long. On a PostgreSQL of its own, so that
//! every session there is one of ours.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::OnceCell,
    task::JoinSet,
};
use vitals_store::{embedded::EmbeddedOptions, pool::PoolLimits};
use vitals_tests::{
    Answer, Chance, Options, Server, Tenant,
    cluster::{self, Cluster},
    poll, raw, samples, sql,
    tenant::client,
};

/// Clients that go away.
const DISCONNECTS: usize = 1_000;
/// Clients at a time.
const AT_ONCE: usize = 6;
/// Clients at a time of the crowd.
const CROWD: usize = 500;
/// Requests at work at a time, those of clients that are gone among them: more would only wait for a connection, and
/// it is in the middle of statements that a client has to go.
const AT_WORK: usize = 8;
/// A client in a hurry goes away after so long at the most.
const HURRY: Duration = Duration::from_millis(20);
/// One in three is in none, and has its answer within this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Resources of each tenant that are updated, under the same ids in both.
const CONTENDED: usize = 5;

/// A server of few connections on the PostgreSQL of this file.
async fn server(connections: usize) -> &'static Server {
    static CLUSTER: OnceCell<&'static Cluster> = OnceCell::const_new();
    let cluster = CLUSTER
        .get_or_init(|| async {
            let options = EmbeddedOptions { fsync: false, max_connections: 100 };
            let started = cluster::runtime().spawn(Cluster::start(options)).await.expect("the cluster starts");
            &*Box::leak(Box::new(started))
        })
        .await;
    // Waiting longer than usual for a connection: a busy machine is no failure here.
    let pool = PoolLimits {
        connections,
        per_tenant: connections,
        checkout: Duration::from_secs(20),
        waiting: usize::MAX,
        ..PoolLimits::default()
    };
    Server::for_this_test(cluster, Options { pool, ..Options::default() }).await
}

fn canary(tenant: &Tenant) -> String {
    format!("CANARY-{}-END", tenant.name)
}

fn observation(tenant: &Tenant, id: &str, mark: usize) -> Value {
    let mut observation = samples::heart_rate(id, "p1");
    observation["note"] = json!([{ "text": canary(tenant) }]);
    observation["identifier"] = json!([{ "system": "urn:test:marks", "value": format!("mark-{mark}") }]);
    observation
}

/// How many sessions of the server's stand in a transaction and do nothing; `psql` is a test that holds a lock.
async fn idle_in_transaction(server: &Server) -> String {
    let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE state LIKE 'idle in transaction%' AND application_name <> 'psql'";
    server.cluster.sql(count).await
}

/// What was acknowledged: tenant, id and version to the text of the answer.
type Acknowledged = BTreeMap<(usize, String, i64), String>;

struct Storm {
    tenants: Vec<Tenant>,
    tokens: Vec<String>,
    acknowledged: Mutex<Acknowledged>,
    /// Answers that arrived before their client went away, and clients that went without one.
    answered: AtomicUsize,
    unanswered: AtomicUsize,
}

impl Storm {
    /// One client: connects, asks, and is gone within 20 ms, answered or not, unless it is a patient one.
    async fn client(&self, number: usize) {
        let mut chance = Chance(number as u64);
        let whose = number % self.tenants.len();
        let (tenant, token) = (&self.tenants[whose], &self.tokens[whose]);
        let contended = format!("same-{}", chance.below(CONTENDED as u64));
        let (method, path, body) = match chance.below(5) {
            0 => ("GET", format!("Observation/{contended}"), String::new()),
            1 => ("GET", "Observation?_count=20".to_owned(), String::new()),
            2 => ("POST", "Observation".to_owned(), observation(tenant, "x", number).to_string()),
            _ => ("PUT", format!("Observation/{contended}"), observation(tenant, &contended, number).to_string()),
        };
        let request = format!(
            "{method} /t/{}/fhir/{path} HTTP/1.1\r\nhost: vitals.test\r\nauthorization: Bearer {token}\r\n\
             content-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n{body}",
            tenant.name,
            body.len(),
        );
        let hurry = Duration::from_micros(chance.below(u64::try_from(HURRY.as_micros()).expect("small")));
        let patience = if chance.below(3) == 0 { PATIENCE } else { hurry };
        let mut stream = raw::connect(tenant.server).await;
        let mut received = Vec::new();
        let asked = async {
            if stream.write_all(request.as_bytes()).await.is_err() {
                return None;
            }
            loop {
                if let Some(answer) = raw::parse(&received) {
                    return Some(answer);
                }
                if stream.read_buf(&mut received).await.ok()? == 0 {
                    return None;
                }
            }
        };
        // Dropped at this moment, wherever the server is with it.
        let Ok(Some(answer)) = tokio::time::timeout(patience, asked).await else {
            assert!(patience < PATIENCE, "no answer within {PATIENCE:?}");
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.judge(whose, method, answer);
    }

    fn judge(&self, whose: usize, method: &str, answer: Answer) {
        for (place, other) in self.tenants.iter().enumerate() {
            assert!(place == whose || !answer.holds(&canary(other)), "a foreign row: {}", answer.body);
        }
        // Some hundreds that wait for two connections do not all get one in time.
        if answer.status == 503 && self.tenants.len() > 2 {
            assert!(!answer.header("retry-after").is_empty(), "{}", answer.body);
            return;
        }
        assert!(matches!(answer.status, 200 | 201), "{method}: {} {}", answer.status, answer.body);
        if method == "GET" {
            return;
        }
        let written = answer.json();
        let id = written["id"].as_str().expect("an id").to_owned();
        let version = written["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).expect("a version");
        let key = (whose, id, version);
        let before = self.acknowledged.lock().expect("nobody panicked").insert(key.clone(), answer.body);
        assert!(before.is_none(), "version acknowledged twice: {key:?}");
    }
}

impl Storm {
    async fn over(server: &'static Server, tenants: usize) -> &'static Self {
        let mut storm = Self {
            tenants: Vec::new(),
            tokens: Vec::new(),
            acknowledged: Mutex::default(),
            answered: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
        };
        for _ in 0..tenants {
            let tenant = Tenant::on(server).await;
            for place in 0..CONTENDED {
                let id = format!("same-{place}");
                let body = observation(&tenant, &id, 0).to_string();
                tenant.put(&format!("Observation/{id}"), &tenant.all(), &body).await.expect(201);
            }
            storm.tokens.push(tenant.all());
            storm.tenants.push(tenant);
        }
        Box::leak(Box::new(storm))
    }

    /// What must be so when the last client is gone.
    async fn settles(&self, server: &'static Server) {
        poll::until("the work of those who went ends", || async {
            server.app.working.load(Ordering::Relaxed) == 0 && server.app.pool.load().1 == 0
        })
        .await;
        poll::until("no session is left in a transaction", || async { idle_in_transaction(server).await == "0" }).await;
        assert_eq!(server.app.pool.figures().foreign_rows.load(Ordering::Relaxed), 0);
        assert!(server.app.pool.load().0 <= 2);

        // Every acknowledged version stands, to the byte.
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().expect("nobody panicked"));
        assert!(acknowledged.len() > DISCONNECTS / 10, "only {} writes were acknowledged", acknowledged.len());
        for ((whose, id, version), body) in acknowledged {
            let tenant = &self.tenants[whose];
            let path = format!("Observation/{id}/_history/{version}");
            assert_eq!(tenant.get(&path, &self.tokens[whose]).await.expect(200).body, body, "{path}");
        }
        for tenant in &self.tenants {
            whole(tenant, &self.tenants).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_clients_that_go_away_at_any_moment_leak_and_lose_nothing() {
    let server = server(2).await;
    let storm = Storm::over(server, 2).await;
    let mut clients = JoinSet::new();
    let mut number = 0;
    // Until 1,000 went away unanswered.
    while storm.unanswered.load(Ordering::Relaxed) < DISCONNECTS {
        assert!(number < 50 * DISCONNECTS, "hardly any client went away unanswered");
        if clients.len() >= AT_ONCE {
            clients.join_next().await.expect("a client").expect("no panic");
        }
        number += 1;
        poll::until("some work ends", || async { server.app.working.load(Ordering::Relaxed) < AT_WORK }).await;
        clients.spawn(storm.client(number));
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no panic");
    }
    let answered = storm.answered.load(Ordering::Relaxed);
    println!("{number} clients, {answered} answered");
    assert!(answered > DISCONNECTS / 5, "only {answered} clients were answered");
    storm.settles(server).await;
}

/// The same with many tenants and a crowd that waits, over and over. As long as `VITALS_TEST_STORM_SECONDS` says, which
/// is 60 for the attack as it is written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_a_crowd_of_ten_tenants_over_two_connections_leaks_and_loses_nothing() {
    let server = server(2).await;
    let storm = Storm::over(server, 10).await;
    let end = Instant::now() + Duration::from_secs(vitals_tests::storm_seconds());
    let mut clients = JoinSet::new();
    let mut number = 0;
    while Instant::now() < end {
        if clients.len() >= CROWD {
            clients.join_next().await.expect("a client").expect("no panic");
        }
        number += 1;
        clients.spawn(storm.client(number));
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no panic");
    }
    let (answered, unanswered) = (storm.answered.load(Ordering::Relaxed), storm.unanswered.load(Ordering::Relaxed));
    println!("{number} clients, {answered} answered, {unanswered} went away");
    assert!(number > CROWD && unanswered > 0, "no crowd");
    storm.settles(server).await;
}

/// Every resource of a tenant is its own, and its versions have no gap.
async fn whole(tenant: &Tenant, tenants: &[Tenant]) {
    let token = tenant.all();
    let mut page = Some(format!("{}/Observation?_count=500", tenant.base()));
    let mut ids = Vec::new();
    while let Some(url) = page {
        let answer = Answer::of(client().get(&url).bearer_auth(&token)).await.expect(200);
        assert!(tenants.iter().all(|other| other.name == tenant.name || !answer.holds(&canary(other))));
        ids.extend(answer.ids());
        page = answer.link("next");
    }
    let found = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), found, "an id twice");
    for id in ids.iter().filter(|id| id.starts_with("same-")) {
        let mut versions: Vec<i64> = Vec::new();
        let mut page = Some(format!("{}/Observation/{id}/_history?_count=500", tenant.base()));
        while let Some(url) = page {
            let answer = Answer::of(client().get(&url).bearer_auth(&token)).await.expect(200);
            for entry in answer.json()["entry"].as_array().expect("entries") {
                assert_eq!(entry["resource"]["note"][0]["text"], json!(canary(tenant)));
                let version = entry["resource"]["meta"]["versionId"].as_str().expect("a version");
                versions.push(version.parse().expect("a number"));
            }
            page = answer.link("next");
        }
        let newest = i64::try_from(versions.len()).expect("few");
        assert!(versions.iter().copied().eq((1..=newest).rev()), "{id}: {versions:?}");
    }
}

/// A tenant with a patient `p1` and an observation `o1`.
async fn planted(server: &'static Server) -> Tenant {
    let tenant = Tenant::on(server).await;
    let all = tenant.all();
    let patient = samples::patient("p1", &canary(&tenant)).to_string();
    tenant.put("Patient/p1", &all, &patient).await.expect(201);
    tenant.put("Observation/o1", &all, &observation(&tenant, "o1", 1).to_string()).await.expect(201);
    tenant
}

/// Reads and writes as a tenant nobody attacked.
async fn serves(tenant: &Tenant, other: &Tenant) {
    let all = tenant.all();
    for path in ["Patient/p1", "Observation/o1", "Observation", "Patient?name=canary"] {
        let answer = tenant.get(path, &all).await.expect(200);
        assert!(answer.holds(&canary(tenant)) && !answer.holds(&canary(other)), "{path}: {}", answer.body);
    }
    tenant.put("Observation/o1", &all, &observation(tenant, "o1", 2).to_string()).await.expect(200);
    tenant.post("Observation", &all, &observation(tenant, "x", 3).to_string()).await.expect(201);
}

#[tokio::test]
async fn t17_a_statement_that_fails_leaves_the_connection_clean_for_the_next_tenant() {
    let server = server(1).await;
    let (a, b) = (planted(server).await, planted(server).await);
    let role = a.role();
    let body = observation(&a, "o1", 9).to_string();
    for (what, breaks, mends) in [
        ("reads are not permitted", "REVOKE SELECT ON {}.observation FROM {}", "GRANT SELECT ON {}.observation TO {}"),
        (
            "updates are not permitted",
            "REVOKE UPDATE ON {}.observation FROM {}",
            "GRANT UPDATE ON {}.observation TO {}",
        ),
        (
            "inserts are not permitted",
            "REVOKE INSERT ON {}.observation FROM {}",
            "GRANT INSERT ON {}.observation TO {}",
        ),
        ("the outbox is shut", "REVOKE INSERT ON {}.audit_outbox FROM {}", "GRANT INSERT ON {}.audit_outbox TO {}"),
        (
            "a column is gone",
            "ALTER TABLE {}.observation RENAME body TO kept",
            "ALTER TABLE {}.observation RENAME kept TO body",
        ),
        ("the table is gone", "ALTER TABLE {}.observation RENAME TO kept", "ALTER TABLE {}.kept RENAME TO observation"),
        (
            "a constraint does not hold",
            "ALTER TABLE {}.observation ADD CONSTRAINT never CHECK (status = 'never') NOT VALID",
            "ALTER TABLE {}.observation DROP CONSTRAINT never",
        ),
    ] {
        server.cluster.sql(&breaks.replace("{}", &role)).await;
        let all = a.all();
        let answers = [
            a.get("Observation/o1", &all).await,
            a.put("Observation/o1", &all, &body).await,
            a.post("Observation", &all, &body).await,
            a.delete("Observation/unknown", &all).await,
        ];
        // Told as what it is, in words that tell nothing (the harness looks).
        let failed: Vec<&Answer> = answers.iter().filter(|answer| answer.status >= 500).collect();
        assert!(!failed.is_empty(), "{what}: nothing failed");
        for answer in failed {
            assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{what}: {}", answer.body);
        }
        serves(&b, &a).await;
        server.cluster.sql(&mends.replace("{}", &role)).await;
        serves(&a, &b).await;
    }
    assert_eq!(server.app.pool.figures().foreign_rows.load(Ordering::Relaxed), 0);
    poll::until("no session is left in a transaction", || async { idle_in_transaction(server).await == "0" }).await;
}

#[tokio::test]
async fn t18_a_statement_that_takes_too_long_leaves_the_connection_clean_for_the_next_tenant() {
    let server = server(1).await;
    let (a, b) = (planted(server).await, planted(server).await);
    let role = a.role();
    // Whoever looks at the table now waits for half a minute; statements have two seconds, or ten.
    let slow = "ALTER TABLE {}.observation RENAME TO kept; \
                CREATE VIEW {}.observation AS SELECT * FROM {}.kept WHERE (SELECT pg_sleep(30)) IS NOT NULL; \
                ALTER VIEW {}.observation OWNER TO vitals_owner; GRANT SELECT ON {}.observation TO {}";
    server.cluster.sql(&slow.replace("{}", &role)).await;
    for (path, at_most) in [("Observation/o1", 8), ("Observation", 20)] {
        let began = Instant::now();
        let answer = a.get(path, &a.all()).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(began.elapsed() < Duration::from_secs(at_most), "{path}: {:?}", began.elapsed());
        serves(&b, &a).await;
    }
    let mend = "DROP VIEW {}.observation; ALTER TABLE {}.kept RENAME TO observation";
    server.cluster.sql(&mend.replace("{}", &role)).await;
    serves(&a, &b).await;

    // A lock that is not let go of: the write gives up and leaves no transaction behind.
    let mut holder = sql::Session::open(&server.cluster.urls.app_admin().expect("an administrator"));
    holder.run(&format!("BEGIN; LOCK TABLE {role}.observation IN SHARE MODE"));
    let answer = a.put("Observation/o1", &a.all(), &observation(&a, "o1", 4).to_string()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    serves(&b, &a).await;
    drop(holder);
    serves(&a, &b).await;
    assert_eq!(server.app.pool.figures().foreign_rows.load(Ordering::Relaxed), 0);
    poll::until("no session is left in a transaction", || async { idle_in_transaction(server).await == "0" }).await;
}

#[tokio::test]
async fn who_waits_for_a_connection_is_on_the_metrics_page() {
    let server = server(1).await;
    let tenant: &'static Tenant = Box::leak(Box::new(planted(server).await));
    let figure = async |name: &str| {
        let page = client().get(format!("{}/metrics", server.operator_url));
        let page = Answer::of(page).await.expect(200).body;
        let figure = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        figure.expect("the figure is there")
    };
    assert_eq!(figure("db_client_connection_max").await, 1);
    assert_eq!(figure("db_client_connection_pending_requests").await, 0);

    // One reader holds the connection and waits for the table; the others wait for the connection.
    let mut holder = sql::Session::open(&server.cluster.urls.app_admin().expect("an administrator"));
    holder.run(&format!("BEGIN; LOCK TABLE {}.observation IN ACCESS EXCLUSIVE MODE", tenant.role()));
    let mut readers = JoinSet::new();
    for _ in 0..8 {
        readers.spawn(async { tenant.get("Observation/o1", &tenant.all()).await });
    }
    poll::until("some wait", || async { figure("db_client_connection_pending_requests").await > 0 }).await;
    assert_eq!(figure("db_client_connection_count{state=\"used\"}").await, 1);
    holder.run("ROLLBACK");
    readers.join_all().await;
    assert_eq!(figure("db_client_connection_pending_requests").await, 0);
}
