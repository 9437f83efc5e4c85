//! That each request left its one record in the audit trail: what a test asked through
//! [`Answer::of`](crate::Answer::of) or [`raw::exchange`](crate::raw::exchange) is noted, and looked for in the trail of
//! the server that answered.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use serde_json::Value;
use vitals_access::tenant::TenantName;

use crate::{Answer, oracle, sql, tenant::client};

/// A request that was answered.
struct Asked {
    /// The public URL of the server.
    server: String,
    request_id: String,
    method: String,
    /// As the request line has it; the query does not matter.
    target: String,
    with_credentials: bool,
    /// A browser's question about CORS, answered.
    preflight: bool,
    /// Refused for its address, which is told together with others of the minute.
    flood: bool,
    status: u16,
}

/// A server, as its requests are looked after.
#[derive(Clone)]
struct Served {
    /// Where its trail is read.
    trail: String,
    operator_url: String,
}

thread_local! {
    // A test has a thread of its own, on which its own requests are asked.
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
}

/// By public URL.
static SERVED: Mutex<BTreeMap<String, Served>> = Mutex::new(BTreeMap::new());

/// Makes a server known.
pub(crate) fn served(url: &str, operator_url: &str, trail: &str) {
    let served = Served { trail: trail.to_owned(), operator_url: operator_url.to_owned() };
    SERVED.lock().expect("nobody panicked").insert(url.to_owned(), served);
}

/// Notes an answered request.
pub(crate) fn note(request: &reqwest::Request, answer: &Answer) {
    let url = request.url();
    add(Asked {
        server: url.origin().ascii_serialization(),
        request_id: answer.header("x-request-id").to_owned(),
        method: request.method().to_string(),
        target: url.path().to_owned(),
        with_credentials: request.headers().contains_key("authorization"),
        preflight: answer.status == 204 && request.headers().contains_key("access-control-request-method"),
        flood: answer.status == 429 && answer.body.contains("the limit address:"),
        status: answer.status,
    });
}

/// Notes a request that was sent as it was written. What hyper itself refuses has no id and leaves no record.
pub(crate) fn note_raw(server: &str, request: &[u8], answer: &Answer) {
    let request_id = answer.header("x-request-id").to_owned();
    if request_id.is_empty() {
        assert!(matches!(answer.status, 400 | 431) && answer.body.is_empty(), "no request id: {answer:?}");
        return;
    }
    let head = String::from_utf8_lossy(request);
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    add(Asked {
        server: server.to_owned(),
        request_id,
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        with_credentials: lines.any(|line| line.to_ascii_lowercase().starts_with("authorization:")),
        preflight: false,
        flood: answer.status == 429 && answer.body.contains("the limit address:"),
        status: answer.status,
    });
}

fn add(asked: Asked) {
    ASKED.with_borrow_mut(|all| all.push(asked));
}

impl Asked {
    /// How many records it owes. Whoever shows a credential is noted, wherever that is. Without one: a request below a
    /// FHIR base or for a token asked for something of somebody's; public documents are anybody's, and where nothing
    /// is nothing was asked for.
    fn owes(&self) -> usize {
        if self.flood {
            return 0;
        }
        // A whole URL is about what its path says.
        let target = self
            .target
            .split_once("://")
            .map_or(self.target.as_str(), |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
        let path = target.split('?').next().unwrap_or_default();
        if matches!(path, "/healthz" | "/readyz" | "/openapi.json" | "/openapi.plain.json" | "/docs") {
            return 0;
        }
        usize::from(self.with_credentials || (!self.preflight && asks_of_somebody(path)))
    }

    /// Whether it was about several tenants: at the base over those that granted something, or to make or end a grant.
    fn is_over_tenants(&self) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix("/t/").and_then(|rest| rest.split_once('/')).map_or("", |(_, below)| below);
        below.starts_with("delegated/fhir") || below.starts_with("admin/grants")
    }

    /// Whether a record says that a verified caller asked for another tenant's data: then both tenants have one.
    fn is_of_another(&self, record: &Value) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let at = path.strip_prefix("/t/").and_then(|rest| rest.split_once('/'));
        let asked = at.filter(|(_, below)| *below == "fhir" || below.starts_with("fhir/")).map(|(name, _)| name);
        let acting = record["acting_tenant"].as_str().filter(|_| record["unverified"] != true);
        matches!((asked, acting), (Some(asked), Some(acting)) if asked != acting)
    }
}

/// Panics unless each tenant that a request was about has one record of it, the caller's own among them: of the others, one
/// that names the grant or that none stood; and in the caller's, where data was asked for, an entry that says the same.
#[track_caller]
fn several_fit(records: &[Value], what: &str) {
    let chains: BTreeSet<&str> = records.iter().map(|record| record["chain"].as_str().expect("a chain")).collect();
    assert_eq!(chains.len(), records.len(), "records of {what}");
    if records.iter().all(|record| record["action"].as_str().is_some_and(|action| action.starts_with("grant."))) {
        assert!(records.len() == 2 && records[0]["grant"] == records[1]["grant"], "records of {what}");
        return;
    }
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["tenant"] == record["acting_tenant"]);
    let [own] = own.as_slice() else { panic!("the caller's own record of {what}: {own:?}") };
    for other in others {
        assert!(other.get("grant").is_some() || other["decision"] == "denied", "{what}: {other}");
        let entries = own["entries"].as_array().expect("entries");
        let said = entries.iter().find(|entry| entry["tenant"] == other["tenant"]);
        let said = said.unwrap_or_else(|| panic!("{what}: no entry for {}", other["tenant"]));
        for member in ["grant", "decision", "status", "count", "patients", "type", "action"] {
            assert_eq!(said.get(member), other.get(member), "{member} of {what}");
        }
    }
}

/// What a record and its copy in the chain of the caller's own tenant have in common. The tenant asked for is not always
/// named: to the server's own chain it may be nobody's name.
fn shared(record: &Value) -> Value {
    let mut shared = record.clone();
    let members = shared.as_object_mut().expect("a record is an object");
    for own in ["writer", "sequence", "record", "chain", "tenant"] {
        members.shift_remove(own);
    }
    shared
}

/// The endpoints of a tenant's authorization server that are no documents.
const AUTH: [&str; 14] = [
    "authorize",
    "par",
    "token",
    "introspect",
    "revoke",
    "register",
    "userinfo",
    "launch",
    "manage",
    "sign-in",
    "sign-out",
    "patients",
    "consent",
    "callback",
];

fn asks_of_somebody(path: &str) -> bool {
    if let Some(below) = path.strip_prefix("/fhir") {
        let private = !matches!(below, "/metadata" | "/.well-known/smart-configuration");
        return private && (below.is_empty() || below.starts_with('/'));
    }
    let Some((name, below)) = path.strip_prefix("/t/").and_then(|rest| rest.split_once('/')) else { return false };
    if name.parse::<TenantName>().is_err() {
        return false;
    }
    if let Some(asked) = below.strip_prefix("auth/") {
        return AUTH.contains(&asked);
    }
    if below == "admin" || below.starts_with("admin/") {
        return true;
    }
    let below = below.strip_prefix("delegated/").unwrap_or(below);
    let Some(below) = below.strip_prefix("fhir") else { return false };
    (below.is_empty() || below.starts_with('/')) && !matches!(below, "/metadata" | "/.well-known/smart-configuration")
}

/// Panics unless every request of this test so far left as many records as it owes: one, or none where a public
/// document was read. Looks through the metrics pages of the servers that were asked, too. Says how many requests it
/// looked at.
pub async fn each_left_one_record() -> usize {
    let asked = ASKED.take();
    let count = asked.len();
    let mut by_server: HashMap<String, Vec<Asked>> = HashMap::new();
    for one in asked {
        by_server.entry(one.server.clone()).or_default().push(one);
    }
    for (server, asked) in by_server {
        // What is no server of ours (its operator listener, an issuer of the test's) leaves other records or none.
        let Some(served) = SERVED.lock().expect("nobody panicked").get(&server).cloned() else { continue };
        let ids: Vec<&str> = asked.iter().map(|one| one.request_id.as_str()).collect();
        let found = sql::run(
            &served.trail,
            &format!(
                "SELECT record FROM audit.record \
                 WHERE substring(record FROM '\"request_id\":\"([^\"]+)\"') = ANY ('{{{}}}')",
                ids.join(","),
            ),
        )
        .await;
        let mut left: HashMap<String, Vec<Value>> = HashMap::new();
        for line in found.lines() {
            let record: Value = serde_json::from_str(line).expect("a record is JSON");
            left.entry(record["request_id"].as_str().expect("an id").to_owned()).or_default().push(record);
        }
        for one in &asked {
            let records = left.remove(&one.request_id).unwrap_or_default();
            let Asked { method, target, with_credentials, status, .. } = one;
            let what = format!("{method} {target} ({status}, credentials {with_credentials})");
            match records.as_slice() {
                several if several.len() > 1 && one.is_over_tenants() => several_fit(several, &what),
                [first, second] if one.is_of_another(first) => {
                    assert_eq!(shared(first), shared(second), "records of {what}");
                    assert_ne!(first["chain"], second["chain"], "records of {what}");
                }
                records => {
                    assert_eq!(records.len(), one.owes(), "records of {what}");
                    assert!(!records.iter().any(|record| one.is_of_another(record)), "no copy of that of {what}");
                }
            }
        }
        Answer::of(client().get(format!("{}/metrics", served.operator_url))).await.expect(200);
    }
    oracle::silent();
    count
}
