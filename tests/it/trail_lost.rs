//! The audit trail when something is lost: the audit store is away, or the server is killed. A write and its record
//! agree all the same (section 8 of the contract).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;
use vitals_fhir::{catalog, resource::ResourceType};
use vitals_store::embedded::EmbeddedOptions;
use vitals_tests::{
    Answer, Ask, Options, Server, Tenant,
    ask::content,
    cluster::{self, Cluster},
    poll,
    program::Outside,
    samples, sql,
    tenant::client,
};

use crate::trail::chain;

/// Records that were given up on their way are looked for after fifteen seconds, those of a dead process after eight.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
const CANARY: &str = "CANARY-of-a-lost-trail";

/// A version that was written: type, id, number.
type Written = (String, String, i64);

/// All versions that stand in the tables of a tenant.
fn versions(role: &str) -> String {
    let tables = [("Patient", "patient"), ("Observation", "observation")].map(|(kind, table)| {
        format!(
            "SELECT '{kind}', id, version FROM {role}.{table} UNION ALL \
             SELECT '{kind}', id, version FROM {role}.{table}_history"
        )
    });
    format!("{} ORDER BY 1, 2, 3", tables.join(" UNION ALL "))
}

fn read_versions(rows: &str) -> Vec<Written> {
    rows.lines()
        .map(|row| {
            let columns: Vec<&str> = row.split('|').collect();
            (columns[0].to_owned(), columns[1].to_owned(), columns[2].parse().expect("a number"))
        })
        .collect()
}

/// The versions that records say were written.
fn recorded(records: &[Value]) -> Vec<Written> {
    let mut all: Vec<Written> = records
        .iter()
        .filter(|record| record["decision"] == "allowed")
        .filter(|record| ["create", "update", "delete"].iter().any(|action| record["action"] == *action))
        .filter_map(|record| {
            let text = |name: &str| record[name].as_str().expect("a text").to_owned();
            // Deleting what is deleted makes no version.
            Some((text("type"), text("id"), record["version"].as_i64()?))
        })
        .collect();
    all.sort();
    all
}

/// Ways to lose the audit store, and to have it back.
const OUTAGES: [(&str, &str, &str); 2] = [
    (
        "it takes no records",
        "REVOKE INSERT ON audit.record FROM vitals_audit_write",
        "GRANT INSERT ON audit.record TO vitals_audit_write",
    ),
    (
        "it lets nobody in",
        "ALTER ROLE vitals_audit_write NOLOGIN; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'vitals_audit_write'",
        "ALTER ROLE vitals_audit_write LOGIN",
    ),
];

#[tokio::test]
async fn without_a_trail_nothing_is_disclosed_and_nothing_is_written() {
    // given a server on a PostgreSQL of its own
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    let cluster = cluster::runtime().spawn(Cluster::start(options)).await.expect("the cluster starts");
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let server: &'static Server = Server::for_this_test(cluster, Options::default()).await;
    let tenant = Tenant::on(server).await;
    let (all, audit) = (tenant.all(), cluster.urls.audit_admin().expect("an administrator"));
    let ready = async || Answer::of(client().get(format!("{}/readyz", server.url))).await;
    for kind in ResourceType::ALL {
        tenant.put(&format!("{kind}/a"), &all, &content(kind, "a", CANARY).to_string()).await.expect(201);
    }
    // and a caller of another tenant, whose requests leave two records
    let other = Tenant::on(server).await;
    tenant.grant(&other, "users:read").await;
    let (delegated, stranger) = (other.delegate(&[(&tenant, "system/*.rs")]).sign(), other.all());
    for (what, lose, restore) in OUTAGES {
        assert_eq!(ready().await.expect(200).json()["audit"], true);
        // when the store is lost
        sql::run(&audit, lose).await;
        // then the first to ask get nothing, though nobody knew before
        let body = samples::patient("a", CANARY).to_string();
        let (read, search, write) = tokio::join!(
            tenant.get("Patient/a", &all),
            tenant.get("Observation", &all),
            tenant.put("Patient/a", &all, &body),
        );
        for answer in [read, search, write] {
            is_unavailable(&answer, what);
        }
        poll::until("the server says that it is not ready", async || {
            let answer = ready().await;
            answer.status == 503 && answer.json()["ready"] == false && answer.json()["audit"] == false
        })
        .await;
        let before = cluster.sql(&versions(&tenant.role())).await;

        // nor does anybody else, whatever they ask
        for operation in catalog::all() {
            let answer = ask_at_once(&tenant, operation, Some(&all)).await;
            is_unavailable(&answer, what);
        }
        let refused = client().get(format!("{}/Patient/a", tenant.base()));
        is_unavailable(&Answer::of(refused).await, what);
        for token in [&delegated, &stranger] {
            is_unavailable(&tenant.get("Patient/a", token).await, what);
        }
        assert_eq!(cluster.sql(&versions(&tenant.role())).await, before, "{what}: nothing is written");

        // what needs no record goes on
        Answer::of(client().get(format!("{}/metadata", tenant.base()))).await.expect(200);
        Answer::of(client().get(format!("{}/healthz", server.url))).await.expect(200);

        // and with the store everything is back
        sql::run(&audit, restore).await;
        poll::until("the server is ready again", async || ready().await.status == 200).await;
        tenant.get("Patient/a", &all).await.expect(200);
        let answer = tenant.get("Patient/a", &delegated).await.expect(200);
        for chain in [&tenant, &other] {
            assert_eq!(chain.records_of(answer.header("x-request-id")).await.len(), 1, "{what}");
        }
        tenant.put("Observation/a", &all, &samples::heart_rate("a", "p1").to_string()).await.expect(200);
    }
    // Every version that stands has one record, those of the first moments too.
    poll::within(SETTLED_WITHIN, "writes and records agree", async || {
        let records = recorded(&chain(&cluster.urls.audit_read, &tenant.role()).await);
        records == read_versions(&cluster.sql(&versions(&tenant.role())).await)
    })
    .await;
}

async fn ask_at_once(tenant: &Tenant, operation: &catalog::Operation, token: Option<&str>) -> Answer {
    let ask = Ask::of(operation, "a", &content(operation.resource, "a", "never"));
    let mut request = client().request(ask.method.clone(), format!("{}/{}", tenant.base(), ask.path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some((media, body)) = &ask.body {
        request = request.header("content-type", *media).body(body.clone());
    }
    Answer::of(request).await
}

#[track_caller]
fn is_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.body);
    assert_eq!(answer.json()["issue"][0]["code"], "transient", "{what}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert!(!answer.holds(CANARY), "{what}: {}", answer.body);
}

/// What a server that was killed later had answered.
#[derive(Clone, Debug)]
struct Answered {
    request: String,
    method: Method,
    kind: &'static str,
    id: String,
    version: Option<i64>,
}

/// What all rounds have in common.
struct Chaos {
    token: String,
    answered: Mutex<Vec<Answered>>,
    count: AtomicUsize,
}

impl Chaos {
    /// Reads and writes until the server is gone.
    async fn work(self: Arc<Self>, base: String, worker: usize, round: usize) {
        let mut last: Option<String> = None;
        for number in 0.. {
            let id = format!("r{round}-w{worker}-n{number}");
            let (method, path, body) = match (number % 5, &last) {
                (0, _) => (Method::POST, "Observation".to_owned(), samples::heart_rate("any", "p1").to_string()),
                (2, Some(last)) => (Method::PUT, format!("Patient/{last}"), samples::patient(last, "y").to_string()),
                (3, Some(last)) => (Method::GET, format!("Patient/{last}"), String::new()),
                (4, Some(last)) => (Method::DELETE, format!("Patient/{last}"), String::new()),
                _ => (Method::PUT, format!("Patient/{id}"), samples::patient(&id, "x").to_string()),
            };
            let request = client().request(method.clone(), format!("{base}/{path}")).bearer_auth(&self.token);
            let sent = request.header("content-type", "application/fhir+json").body(body).send().await;
            let Ok(answer) = sent else { return };
            assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
            let header =
                |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let request = header("x-request-id").expect("every answer has one");
            let version = header("etag").and_then(|tag| tag.trim_matches(['W', '/', '"']).parse().ok());
            let kind = if method == Method::POST { "Observation" } else { "Patient" };
            let id = match header("location") {
                Some(location) => location.split('/').rev().nth(2).expect("…/id/_history/1").to_owned(),
                None => path.split('/').next_back().expect("an id").to_owned(),
            };
            // The head of the answer is here, and with it the promise; the body may not come any more.
            if kind == "Patient" {
                last = (method != Method::DELETE).then(|| id.clone());
            }
            self.answered.lock().expect("nobody panicked").push(Answered { request, method, kind, id, version });
            self.count.fetch_add(1, Ordering::SeqCst);
            if answer.bytes().await.is_err() {
                return;
            }
        }
    }
}

fn random(below: u128) -> u128 {
    (Uuid::new_v4().as_u128() >> 8) % below
}

#[tokio::test]
async fn a13_writes_and_records_agree_when_the_server_is_killed_at_any_moment() {
    let rounds = vitals_tests::kills();
    // given a served tenant, on a database that stays
    let outside = Outside::fresh().await;
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let name = outside.tenants(1).await.remove(0);
    let scope = ["token", "--tenant", &name, "--scope", "system/*.cruds"];
    let token = program.run(&scope).await.expect(0).stdout.trim().to_owned();
    let role = outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{name}'")).await;
    let chaos = Arc::new(Chaos { token: token.clone(), answered: Mutex::default(), count: AtomicUsize::new(0) });

    let mut server = program.serve().await;
    let mut seen = 0;
    for round in 0..rounds {
        // when it is killed in the middle of four callers' work
        let base = format!("{}/t/{name}/fhir", server.url);
        let mut callers = tokio::task::JoinSet::new();
        for worker in 0..4 {
            callers.spawn(Arc::clone(&chaos).work(base.clone(), worker, round));
        }
        let enough = seen + usize::try_from(1 + random(60)).expect("few");
        poll::until("the callers are at work", async || chaos.count.load(Ordering::SeqCst) >= enough).await;
        // Not at the end of an answer, but somewhere between two.
        tokio::time::sleep(Duration::from_micros(u64::try_from(random(5_000)).expect("few"))).await;
        server.process.kill();
        while let Some(caller) = callers.join_next().await {
            caller.expect("a caller ends with its server");
        }
        // then every write that was answered stands after the restart
        server = program.serve().await;
        let answered: Vec<Answered> = chaos.answered.lock().expect("nobody panicked")[seen..].to_vec();
        seen += answered.len();
        for Answered { method, kind, id, version, .. } in &answered {
            let Some(version) = version else { continue };
            let address = format!("{}/t/{name}/fhir/{kind}/{id}/_history/{version}", server.url);
            let read = Answer::of(client().get(&address).bearer_auth(&token)).await;
            let expected = if *method == Method::DELETE { 410 } else { 200 };
            assert_eq!(read.status, expected, "round {round}: {method} {kind}/{id} {version}: {}", read.body);
        }
    }

    // and every version has exactly one record, every record of a write its version
    let records = async || chain(&outside.urls.audit_read, &role).await;
    poll::within(SETTLED_WITHIN, "writes and records agree", async || {
        recorded(&records().await) == read_versions(&outside.sql(&versions(&role)).await)
    })
    .await;
    let mut of_request: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records().await {
        if let Some(request) = record["request_id"].as_str() {
            of_request.entry(request.to_owned()).or_default().push(record.clone());
        }
    }
    assert!(of_request.values().all(|records| records.len() == 1), "a request has one record");
    let answered = chaos.answered.lock().expect("nobody panicked").clone();
    let distinct: BTreeSet<&str> = answered.iter().map(|one| one.request.as_str()).collect();
    assert_eq!(distinct.len(), answered.len());
    println!("{} answers before {rounds} kills", answered.len());
    for Answered { request, method, kind, id, version } in &answered {
        let record = &of_request.get(request).unwrap_or_else(|| panic!("{method} {kind}/{id}: no record"))[0];
        assert_eq!((record["type"].as_str(), record["id"].as_str()), (Some(*kind), Some(id.as_str())), "{record}");
        assert_eq!(record["version"].as_i64(), *version, "{record}");
        assert_eq!(record["decision"], "allowed");
    }
    let verified = program.run(&["audit", "verify", "--json"]).await.expect(0).json();
    assert_eq!(verified["ok"], true, "{verified}");
    server.stop().await.expect(0);
}
