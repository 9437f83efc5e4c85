//! The audit trail as it is left by requests (section 8 of the contract): one record for each, with what it must say
//! and nothing that it must not. What happens when the trail or the server is away is in `trail_lost.rs`.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;
use vitals_access::{audit::SERVER_CHAIN, clock::Clock as _};
use vitals_fhir::{
    catalog::{self, Code},
    resource::ResourceType,
};
use vitals_server::clock::SystemClock;
use vitals_store::{
    audit::{AuditReader, Direction, Verify, verify},
    control::tenants,
};
use vitals_tests::{Answer, Ask, Tenant, ask::content, poll, raw, samples, sql, tenant::client};

/// Everything a record may say.
const FIELDS: [&str; 31] = [
    "writer",
    "sequence",
    "record",
    "chain",
    "origin",
    "time",
    "tenant",
    "acting_tenant",
    "issuer",
    "subject",
    "client",
    "unverified",
    "certificate",
    "scopes",
    "used",
    "action",
    "type",
    "id",
    "version",
    "query",
    "patient",
    "patients",
    "count",
    "encounter",
    "decision",
    "reason",
    "status",
    "request_id",
    "address",
    "grant",
    "purpose",
];

#[test]
fn every_member_of_a_record_is_documented() {
    let document = include_str!("../../conformance/audit/README.md");
    let rows: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let missing: Vec<&str> = FIELDS
        .into_iter()
        .chain(["entries", "unverified"])
        .filter(|name| !rows.iter().any(|row| row.split(" | ").next().is_some_and(|cell| cell.contains(name))))
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

/// All records of a chain, in the order of their times.
pub async fn chain(read_url: &str, chain: &str) -> Vec<Value> {
    let mut reader = AuditReader::open(read_url).await.expect("the audit database can be read");
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = reader.page(chain, Direction::OldestFirst, after, 1_000).await.expect("a page");
        let Some(last) = page.last() else { return records };
        after = Some(last.position);
        records.extend(page.iter().map(|stored| serde_json::from_str::<Value>(&stored.record).expect("JSON")));
    }
}

async fn records(tenant: &Tenant) -> Vec<Value> {
    chain(&tenant.server.cluster.urls.audit_read, &tenant.role()).await
}

/// The records that an answer left, in the chain of a tenant and in the server's own.
async fn left_by(tenant: &Tenant, answer: &Answer) -> Vec<Value> {
    let mut all = records(tenant).await;
    all.extend(chain(&tenant.server.cluster.urls.audit_read, SERVER_CHAIN).await);
    all.retain(|record| record["request_id"] == answer.header("x-request-id"));
    all
}

/// The one record that an answer left.
async fn one_left_by(tenant: &Tenant, answer: &Answer) -> Value {
    let mut all = left_by(tenant, answer).await;
    assert_eq!(all.len(), 1, "{} {}: {all:?}", answer.status, answer.body);
    all.remove(0)
}

/// A record without what every one has and no two share; that is looked at here.
#[track_caller]
fn essence(record: &Value, began: DateTime<Utc>) -> Value {
    let mut record: Map<String, Value> = record.as_object().expect("a record is an object").clone();
    assert!(record.keys().all(|name| FIELDS.contains(&name.as_str())), "{record:?}");
    let time = record["time"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok()).expect("a time");
    assert!((began..=SystemClock.now()).contains(&time.to_utc()), "{time}");
    assert!(record["writer"].as_i64().is_some_and(|writer| writer > 0));
    assert!(record["sequence"].as_i64().is_some_and(|sequence| sequence > 0));
    assert!(Uuid::parse_str(record["record"].as_str().expect("an id")).is_ok_and(|id| id.get_version_num() == 7));
    assert!(Uuid::parse_str(record["request_id"].as_str().expect("an id")).is_ok());
    for name in ["writer", "sequence", "record", "time", "request_id"] {
        record.shift_remove(name);
    }
    Value::Object(record)
}

/// Now, and a little before it: records are cut to milliseconds.
fn now(tenant: &Tenant) -> DateTime<Utc> {
    tenant.server.clock.now() - chrono::TimeDelta::milliseconds(1)
}

/// What every record says of a verified caller.
fn by_tester(tenant: &Tenant, scope: &str) -> Map<String, Value> {
    let fields = json!({
        "chain": tenant.role(),
        "origin": "http",
        "tenant": tenant.name.as_str(),
        "acting_tenant": tenant.name.as_str(),
        "issuer": format!("{}/t/{}/auth", tenant.server.url, tenant.name),
        "subject": "tester",
        "client": "tests",
        "scopes": scope.split(' ').collect::<Vec<_>>(),
        "encounter": "e1",
        "address": "127.0.0.1",
    });
    fields.as_object().expect("an object").clone()
}

fn with(mut record: Map<String, Value>, more: &Value) -> Value {
    record.extend(more.as_object().expect("an object").clone());
    Value::Object(record)
}

/// What a record says of a history of this type: the versions told, and whom they are about.
fn told(answer: &Answer, kind: ResourceType) -> Value {
    let answer = answer.json();
    let entries = answer["entry"].as_array().expect("entries");
    let about = |entry: &Value| match kind {
        ResourceType::Patient => {
            let address = entry["fullUrl"].as_str().expect("an address");
            address.rsplit('/').next().expect("an id").to_owned()
        }
        ResourceType::Observation => "p1".to_owned(),
    };
    let patients: BTreeSet<String> = entries.iter().map(about).collect();
    json!({ "patients": patients, "count": entries.len() })
}

#[tokio::test]
async fn every_interaction_leaves_one_record_that_says_who_did_what_to_whom() {
    const SCOPE: &str = "system/Patient.cruds system/Observation.cruds vitals:read nonsense/scope";
    let tenant = Tenant::fresh().await;
    let token = || tenant.token(SCOPE).with("encounter", "e1").sign();
    for operation in catalog::all() {
        for base in [tenant.base(), format!("{}/fhir", tenant.server.url)] {
            let kind = operation.resource;
            let id = Uuid::new_v4().to_string();
            let body = content(kind, &id, "x");
            tenant.put(&format!("{kind}/{id}"), &tenant.all(), &body.to_string()).await.expect(201);
            let began = now(&tenant);
            let answer = Ask::of(operation, &id, &body).send(&base, Some(&token())).await;
            assert!(answer.status < 300, "{}", answer.body);

            let patient = if kind == ResourceType::Patient { id.as_str() } else { "p1" };
            let what = match operation.code {
                Code::Validate => json!({}),
                Code::Read | Code::Vread | Code::ValidateInstance => {
                    json!({ "id": id, "version": 1, "patient": patient })
                }
                Code::HistoryInstance => json!({ "id": id, "patients": [patient], "count": 1 }),
                Code::SearchType | Code::SearchTypePost | Code::SearchCompartment => {
                    json!({ "patients": [patient], "count": 1, "query": "_id" })
                }
                Code::HistoryType => told(&answer, kind),
                Code::Create => {
                    let made = answer.json()["id"].clone();
                    let patient = if kind == ResourceType::Patient { made.clone() } else { json!("p1") };
                    json!({ "id": made, "version": 1, "patient": patient })
                }
                Code::Update | Code::Delete => json!({ "id": id, "version": 2, "patient": patient }),
                Code::ConditionalUpdate | Code::ConditionalDelete => {
                    json!({ "id": id, "version": 2, "patient": patient, "query": "_id" })
                }
            };
            let reads = !matches!(
                operation.code,
                Code::Create
                    | Code::Validate
                    | Code::Update
                    | Code::Delete
                    | Code::ConditionalUpdate
                    | Code::ConditionalDelete
            );
            let used = if reads && kind == ResourceType::Observation {
                json!(["system/Observation.cruds", "vitals:read"])
            } else {
                json!([format!("system/{kind}.cruds")])
            };
            let common = json!({
                "used": used,
                "action": operation.code.fhir(),
                "type": kind.name(),
                "decision": "allowed",
                "status": answer.status,
            });
            let expected =
                with(with(by_tester(&tenant, SCOPE), &common).as_object().expect("an object").clone(), &what);
            let record = one_left_by(&tenant, &answer).await;
            assert_eq!(essence(&record, began), expected, "{} at {base}", operation.path);
        }
    }
}

#[tokio::test]
async fn writes_that_change_nothing_leave_their_record_too() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let text = samples::patient("a", "x").to_string();
    tenant.put("Patient/a", &all, &text).await.expect(201);
    tenant.delete("Patient/a", &all).await.expect(204);
    // Deleted already.
    let again = tenant.delete("Patient/a", &all).await.expect(204);
    let record = one_left_by(&tenant, &again).await;
    assert_eq!((&record["decision"], &record["status"], &record["id"]), (&json!("allowed"), &json!(204), &json!("a")));
    assert!(record.get("version").is_none(), "no version was made: {record}");
    // Made again.
    let made = tenant.put("Patient/a", &all, &text).await.expect(201);
    let record = one_left_by(&tenant, &made).await;
    assert_eq!((&record["version"], &record["status"]), (&json!(3), &json!(201)));
    // HEAD is a read.
    let head = Answer::of(tenant.request(Method::HEAD, "Patient/a", &all)).await.expect(200);
    let record = one_left_by(&tenant, &head).await;
    assert_eq!((&record["action"], &record["version"]), (&json!("read"), &json!(3)));
}

#[tokio::test]
async fn searches_and_histories_list_the_patients_they_disclose() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (number, patient) in ["p3", "p1", "p1", "p2", "p1"].into_iter().enumerate() {
        let id = format!("o{number}");
        tenant
            .put(&format!("Observation/{id}"), &all, &samples::heart_rate(&id, patient).to_string())
            .await
            .expect(201);
    }
    let mut nobody = samples::heart_rate("o5", "p1");
    nobody["subject"] = json!({ "reference": "Group/g1" });
    tenant.put("Observation/o5", &all, &nobody.to_string()).await.expect(201);

    let disclosed = async |answer: &Answer| {
        let record = one_left_by(&tenant, answer).await;
        assert_eq!(record["decision"], "allowed");
        (record.get("patients").cloned().unwrap_or(json!([])), record["count"].clone())
    };
    let whole = tenant.get("Observation", &all).await.expect(200);
    assert_eq!(disclosed(&whole).await, (json!(["p1", "p2", "p3"]), json!(6)));
    let some = tenant.get("Observation?patient=p2,p3,p9", &all).await.expect(200);
    assert_eq!(disclosed(&some).await, (json!(["p2", "p3"]), json!(2)));
    let none = tenant.get("Observation?code=nothing", &all).await.expect(200);
    assert_eq!(disclosed(&none).await, (json!([]), json!(0)));
    // Of each page, what was on it.
    let mut address = Some(format!("{}/Observation?_id=o0,o1,o2,o3&_sort=date&_count=2", tenant.base()));
    let mut seen = Vec::new();
    while let Some(next) = address {
        let page = Answer::of(client().get(&next).bearer_auth(&all)).await.expect(200);
        seen.push(disclosed(&page).await);
        address = page.link("next");
    }
    assert_eq!(seen, [(json!(["p1", "p2"]), json!(2)), (json!(["p1", "p3"]), json!(2))]);
    // What a confined caller gets.
    let confined = tenant.token("patient/Observation.rs").patient("p1").sign();
    let own = tenant.get("Observation", &confined).await.expect(200);
    assert_eq!(disclosed(&own).await, (json!(["p1"]), json!(3)));

    // A version that was about somebody else discloses that patient as well.
    tenant.put("Observation/o0", &all, &samples::heart_rate("o0", "p2").to_string()).await.expect(200);
    let history = tenant.get("Observation/o0/_history", &all).await.expect(200);
    assert_eq!(disclosed(&history).await, (json!(["p2", "p3"]), json!(2)));
    let old = tenant.get("Observation/o0/_history/1", &all).await.expect(200);
    assert_eq!(one_left_by(&tenant, &old).await["patient"], "p3");
}

/// A request that is refused: its record's chain, and some of its fields.
struct Refused {
    answer: Answer,
    fields: Value,
}

#[tokio::test]
async fn every_refusal_leaves_one_record_that_says_why() {
    let (tenant, other) = (Tenant::fresh().await, Tenant::fresh().await);
    let all = tenant.all();
    tenant.put("Patient/gone", &all, &samples::patient("gone", "x").to_string()).await.expect(201);
    tenant.delete("Patient/gone", &all).await.expect(204);
    tenant.put("Patient/a", &all, &samples::patient("a", "x").to_string()).await.expect(201);
    tenant.put("Patient/u", &all, &samples::patient("u", "\u{fffe}").to_string()).await.expect(201);
    let before = records(&tenant).await.len();

    let read = json!({ "action": "read", "type": "Patient", "id": "a", "subject": "tester" });
    let search = json!({ "action": "search-type", "type": "Patient", "subject": "tester" });
    let nobody = json!({ "action": "read", "type": "Patient", "id": "a" });
    let text = samples::patient("a", "x").to_string();
    let request =
        |method: Method, path: &str| tenant.request(method, path, &all).header("content-type", "application/fhir+json");
    let bare = |path: &str| Answer::of(client().get(format!("{}/{path}", tenant.base())));
    let expired = tenant.token("system/*.cruds").with("exp", 1_000_000_000).with("iat", 999_999_000).sign();
    let bearer = |token: &str| Answer::of(client().get(format!("{}/Patient/a", tenant.base())).bearer_auth(token));
    let limited = tenant.token("system/Observation.c?code=http://loinc.org|2708-6").sign();
    let heart_rate = samples::heart_rate("any", "a").to_string();
    let announced = format!(
        "POST /t/{}/fhir/Patient HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {all}\r\n\
         content-type: application/fhir+json\r\ncontent-length: 6000000\r\n\r\n",
        tenant.name
    );
    let too_large = raw::exchange(tenant.server, announced).await.expect("an answer");
    let broken = format!("{}AAAA", &all[..all.len() - 4]);

    let mut cases = vec![
        // Of callers that are not known.
        (401, bare("Patient/a").await, nobody.clone()),
        (401, bearer("x.y.z").await, nobody.clone()),
        (
            401,
            bearer(&expired).await,
            json!({ "subject": "tester", "unverified": true, "acting_tenant": tenant.name.as_str() }),
        ),
        (401, bearer(&broken).await, nobody.clone()),
        (400, bare(&format!("Patient/a?access_token={all}")).await, nobody.clone()),
        // Of callers that may not.
        (
            403,
            bearer(&other.all()).await,
            json!({ "subject": "tester", "acting_tenant": other.name.as_str(), "tenant": tenant.name.as_str() }),
        ),
        (403, bearer(&tenant.token("system/Observation.rs").sign()).await, read.clone()),
        (
            403,
            tenant.post("Observation", &limited, &heart_rate).await,
            json!({ "action": "create", "type": "Observation" }),
        ),
        // Of what is not there, or cannot be understood.
        (404, tenant.get("Patient/none", &all).await, json!({ "action": "read", "id": "none", "type": "Patient" })),
        (
            404,
            tenant.get("Patient/a", &tenant.token("patient/Patient.r").patient("b").sign()).await,
            json!({ "id": "a" }),
        ),
        (410, tenant.get("Patient/gone", &all).await, json!({ "id": "gone" })),
        (404, tenant.get("Device/a", &all).await, json!({ "subject": "tester" })),
        (404, tenant.get("Patient?_page=x", &all).await, search.clone()),
        (405, Answer::of(request(Method::PATCH, "Patient/a")).await, json!({ "subject": "tester", "id": "a" })),
        (406, Answer::of(request(Method::GET, "Patient/a").header("accept", "text/html")).await, read.clone()),
        // Found, and not told: XML cannot say it.
        (
            406,
            Answer::of(request(Method::GET, "Patient?_id=u").header("accept", "application/xml")).await,
            search.clone(),
        ),
        (400, tenant.get("Patient?name:above=x", &all).await, search.clone()),
        (400, tenant.get("Patient?name=%zz", &all).await, search.clone()),
        (414, tenant.get(&format!("Patient?x={}", "y".repeat(17_000)), &all).await, json!({ "action": "search-type" })),
        (400, tenant.post("Patient", &all, "{").await, json!({ "action": "create" })),
        (
            422,
            tenant.post("Observation", &all, r#"{"resourceType":"Observation","status":"final"}"#).await,
            json!({ "action": "create" }),
        ),
        (413, too_large, json!({ "action": "create" })),
        (
            415,
            Answer::of(tenant.request(Method::POST, "Patient", &all).header("content-type", "text/plain").body("x"))
                .await,
            json!({ "action": "create" }),
        ),
        (
            412,
            Answer::of(request(Method::PUT, "Patient/a").header("if-match", "W/\"9\"").body(text)).await,
            json!({ "action": "update", "id": "a" }),
        ),
        (404, tenant.delete("Patient/none", &all).await, json!({ "action": "delete", "id": "none" })),
    ];
    let refused: Vec<Refused> =
        cases.drain(..).map(|(status, answer, fields)| Refused { answer: answer.expect(status), fields }).collect();

    for Refused { answer, fields } in &refused {
        let record = one_left_by(&tenant, answer).await;
        assert_eq!(record["decision"], "denied", "{record}");
        assert_eq!(record["status"], answer.status);
        assert!(record["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{record}");
        assert_eq!((&record["chain"], &record["tenant"]), (&json!(tenant.role()), &json!(tenant.name.as_str())));
        assert_eq!(record["address"], "127.0.0.1");
        for (name, value) in fields.as_object().expect("an object") {
            assert_eq!(&record[name], value, "{name}: {record}");
        }
        assert!(record.get("count").is_none() && record.get("patients").is_none(), "nothing was disclosed: {record}");
        // Nobody's word is taken for who they are.
        let known = record.get("subject").is_some() && record.get("unverified").is_none();
        assert_eq!(known, record.get("scopes").is_some(), "{record}");
    }
    let after = records(&tenant).await.len();
    assert_eq!(after - before, refused.len(), "one each");
    // Documents for everybody leave none.
    bare("metadata").await.expect(200);
    bare(".well-known/smart-configuration").await.expect(200);
    assert_eq!(records(&tenant).await.len(), after);
    // Unless a credential is shown, which nobody judges there.
    let answer = tenant.get("metadata", "x.y.z").await.expect(200);
    let record = one_left_by(&tenant, &answer).await;
    assert_eq!((&record["action"], &record["decision"]), (&json!("document"), &json!("allowed")));
    assert!(record.get("subject").is_none(), "{record}");
}

#[tokio::test]
async fn requests_for_no_tenant_stand_in_the_servers_chain() {
    let tenant = Tenant::fresh().await;
    let nowhere = format!("{}/t/nobody-{}/fhir/Patient/a", tenant.server.url, tenant.name);
    let common = format!("{}/fhir/Patient/a", tenant.server.url);
    for (address, token, status, fields) in [
        (&nowhere, None, 404, json!({ "action": "read" })),
        (&nowhere, Some("x.y.z".to_owned()), 401, json!({ "action": "read" })),
        (&nowhere, Some(tenant.all()), 403, json!({ "subject": "tester", "acting_tenant": tenant.name.as_str() })),
        (&common, None, 401, json!({ "action": "read" })),
        (&common, Some("x.y.z".to_owned()), 401, json!({ "action": "read" })),
    ] {
        let mut request = client().get(address.as_str());
        if let Some(token) = &token {
            request = request.bearer_auth(token);
        }
        let answer = Answer::of(request).await.expect(status);
        let (own, mut all): (Vec<Value>, Vec<Value>) =
            left_by(&tenant, &answer).await.into_iter().partition(|record| record["chain"] == tenant.role());
        // Who asks for another tenant's data is seen by their own, which does not learn whether there is such a tenant.
        let asked_of_another = status == 403;
        assert_eq!((own.len(), all.len()), (usize::from(asked_of_another), 1), "{own:?} {all:?}");
        assert!(own.iter().all(|record| record["tenant"] == format!("nobody-{}", tenant.name)), "{own:?}");
        let record = all.remove(0);
        assert_eq!(record["chain"], "server", "{record}");
        assert!(record.get("tenant").is_none(), "{record}");
        assert_eq!((&record["decision"], &record["status"]), (&json!("denied"), &json!(status)));
        for (name, value) in fields.as_object().expect("an object") {
            assert_eq!(&record[name], value, "{name}: {record}");
        }
    }
}

#[tokio::test]
async fn credentials_that_are_shown_where_nothing_is_leave_a_record() {
    let tenant = Tenant::fresh().await;
    tenant.get("Patient", &tenant.all()).await.expect(200);
    let (own, role) = (format!("/t/{}/nothing", tenant.name), tenant.role());
    for (path, chain) in [
        (own.as_str(), role.as_str()),
        ("/nothing", "server"),
        ("/t/PUBLIC/fhir/Patient/a", "server"),
        ("/t/nobody-of-this-name/auth/nothing", "server"),
    ] {
        let request = || client().get(format!("{}{path}", tenant.server.url));
        let answer = Answer::of(request().bearer_auth(tenant.all())).await.expect_outcome(404, "not-found");
        let record = one_left_by(&tenant, &answer).await;
        assert_eq!((&record["chain"], &record["decision"]), (&json!(chain), &json!("denied")), "{path}");
        let answer = Answer::of(request()).await.expect_outcome(404, "not-found");
        assert!(left_by(&tenant, &answer).await.is_empty(), "{path}: nobody asked for anything");
    }
}

#[tokio::test]
async fn requests_to_a_suspended_tenant_stand_in_its_chain() {
    let tenant = Tenant::fresh().await;
    let mut admin = tenant.server.cluster.admin().await;
    tenants::suspend(&mut admin, &tenant.name, tenant.server.clock.now()).await.expect("suspended");
    poll::until("the tenant is suspended", async || tenant.get("Patient", &tenant.all()).await.status == 403).await;
    let answer = tenant.get("Patient/a", &tenant.all()).await.expect_outcome(403, "forbidden");
    let record = one_left_by(&tenant, &answer).await;
    assert_eq!(record["chain"], tenant.role());
    assert_eq!((&record["subject"], &record["reason"]), (&json!("tester"), &json!("tenant suspended")));
}

#[tokio::test]
async fn a_request_that_is_abandoned_leaves_its_record() {
    let tenant = Tenant::fresh().await;
    tenant.get("Patient", &tenant.all()).await.expect(200);
    let (cluster, role) = (tenant.server.cluster, tenant.role());
    // given a write and a read that the server works at
    let mut session = sql::Session::open(&cluster.urls.app_admin().expect("an administrator"));
    session.run(&format!("BEGIN; LOCK TABLE {role}.patient IN ACCESS EXCLUSIVE MODE"));
    let body = samples::patient("a", "x").to_string();
    let mut streams = Vec::new();
    for (method, path, body) in [("PUT", "Patient/a", body.as_str()), ("GET", "Patient?_id=a", "")] {
        let text = format!(
            "{method} /t/{}/fhir/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n{body}",
            tenant.name,
            tenant.all(),
            body.len()
        );
        let mut stream = raw::connect(tenant.server).await;
        stream.write_all(text.as_bytes()).await.expect("the server listens");
        streams.push(stream);
    }
    let waiting = format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{role}.patient'::regclass");
    poll::until("both wait for the lock", async || cluster.sql(&waiting).await == "2").await;
    // when their clients go away
    drop(streams);
    session.run("ROLLBACK");
    // then both are done all the same, and in the trail
    poll::until("the write stands", async || tenant.get("Patient/a", &tenant.all()).await.status == 200).await;
    let of = |records: &[Value], action: &str| records.iter().filter(|record| record["action"] == action).count();
    poll::until("both records stand", async || {
        let records = records(&tenant).await;
        // The first search is the one that opened the tenant.
        of(&records, "update") == 1 && of(&records, "search-type") == 2
    })
    .await;
}

#[tokio::test]
async fn records_hold_no_health_values_and_no_tokens() {
    const CANARY: &str = "CANARY-of-the-trail";
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let mut patient = samples::patient("a", CANARY);
    patient["identifier"] = json!([{ "system": format!("urn:{CANARY}"), "value": CANARY }]);
    let mut observation = samples::heart_rate("o", "a");
    observation["note"] = json!([{ "text": CANARY }]);
    observation["code"] = json!({ "coding": [{ "system": format!("urn:{CANARY}"), "code": CANARY }], "text": CANARY });
    observation["valueQuantity"] = json!({ "value": 123.456_789, "unit": CANARY });
    for (path, body) in [("Patient/a", &patient), ("Observation/o", &observation)] {
        tenant.put(path, &all, &body.to_string()).await.expect(201);
        tenant.put(path, &all, &body.to_string()).await.expect(200);
        tenant.get(&format!("{path}/_history"), &all).await.expect(200);
        tenant.get(&format!("{path}/_history/1"), &all).await.expect(200);
    }
    for query in [
        format!("Patient?name={CANARY}"),
        format!("Patient?identifier=urn:{CANARY}%7C{CANARY}"),
        format!("Patient?{CANARY}={CANARY}"),
        format!("Patient?name:exact={CANARY}"),
        format!("Observation?code={CANARY}&category={CANARY}"),
        format!("Observation?date={CANARY}"),
        format!("Observation?subject=https://{CANARY}.example/Patient/1"),
        format!("Observation?_page={CANARY}"),
    ] {
        tenant.get(&query, &all).await.sound();
    }
    let mut wrong = patient.clone();
    wrong[CANARY] = json!(CANARY);
    tenant.put("Patient/a", &all, &wrong.to_string()).await.expect(400);
    tenant
        .put("Patient/a", &all, &patient.to_string().replace("\"1980-02-29\"", &format!("\"{CANARY}\"")))
        .await
        .expect(400);
    Answer::of(tenant.request(Method::GET, "Patient/a", &all).header("accept", CANARY)).await.expect(406);
    tenant.delete("Observation/o", &all).await.expect(204);

    let records = records(&tenant).await;
    assert_eq!(records.len(), 20);
    for record in records {
        let text = record.to_string();
        for secret in [CANARY, "123.456", &all, all.rsplit('.').next().expect("a signature"), "1980-02-29"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn the_trail_of_many_callers_at_once_is_whole() {
    let tenant = Tenant::fresh().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60 {
        let id = format!("o{number}");
        let (token, address) = (tenant.all(), format!("{}/Observation/{id}", tenant.base()));
        tasks.spawn(async move {
            let body = samples::heart_rate(&id, "p1").to_string();
            let put = client().put(&address).bearer_auth(&token).header("content-type", "application/fhir+json");
            Answer::of(put.body(body)).await.expect(201);
            Answer::of(client().get(&address).bearer_auth(&token)).await.expect(200);
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task ends");
    }
    let records = records(&tenant).await;
    assert_eq!(records.len(), 120);
    // Each writer counts on its own from 1, without a gap.
    let mut sequences: HashMap<i64, Vec<i64>> = HashMap::new();
    for record in &records {
        let writer = record["writer"].as_i64().expect("a writer");
        sequences.entry(writer).or_default().push(record["sequence"].as_i64().expect("a sequence"));
    }
    for (writer, mut found) in sequences {
        found.sort_unstable();
        assert_eq!(found, (1..=i64::try_from(found.len()).expect("few")).collect::<Vec<_>>(), "of {writer}");
    }
    assert_eq!(holds(&tenant).await, 120);
}

/// Panics unless the chain of a tenant holds; how many records it has.
pub async fn holds(tenant: &Tenant) -> u64 {
    let role = tenant.role();
    let names = HashMap::from([(role.clone(), tenant.name.to_string())]);
    let what = Verify { only: Some(&role), ..Verify::everything(&names) };
    let verified = verify(&tenant.server.cluster.urls.audit_read, what).await.expect("it can be read");
    assert!(verified.ok, "{:?}", verified.first_bad);
    verified.records
}
