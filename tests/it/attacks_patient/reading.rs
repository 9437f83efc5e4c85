//! P01 to P08, P22, P37, P40 and P41: reads of what is another patient's, in every form there is.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use vitals_tests::{Answer, Tenant, ledger, tenant::client};

use super::{FOREIGN, Row, get, heart_rate, mark, only, patient, row};

/// Observations of each patient.
const EACH: usize = 200;
const PATIENTS: [&str; 5] = ["P1", "P2", "P3", "P4", "P5"];

/// Two tenants with the same ids, to be read only.
struct World {
    a: Tenant,
    b: Tenant,
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    let make = async || {
        let world = World { a: Tenant::fresh().await, b: Tenant::fresh().await };
        fill(&world.a).await;
        fill(&world.b).await;
        world
    };
    WORLD.get_or_init(make).await
}

/// Five patients with 200 heart rates each; of the first of each, two versions.
async fn fill(tenant: &Tenant) {
    let put =
        |path: String, resource: Value| json!({ "resource": resource, "request": { "method": "PUT", "url": path } });
    let mut entries = Vec::new();
    for of in PATIENTS {
        entries.push(put(format!("Patient/{of}"), patient(tenant, of)));
        for number in 0..EACH {
            let id = format!("{of}-{number}");
            entries.push(put(format!("Observation/{id}"), heart_rate(tenant, &id, of)));
        }
    }
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    tenant.post("", &tenant.all(), &bundle.to_string()).await.expect(200);
    for of in PATIENTS {
        let id = format!("{of}-0");
        let again = heart_rate(tenant, &id, of).to_string();
        tenant.put(&format!("Observation/{id}"), &tenant.all(), &again).await.expect(200);
    }
}

/// What reads one thing, in every way: each is the 404 of what never was.
fn single_reads() -> Vec<Row> {
    let mut rows = vec![
        get("P01 read of a patient", "Patient/{}"),
        get("P01 read of an observation", "Observation/{}-7"),
        get("P02 vread of a patient", "Patient/{}/_history/1"),
        get("P02 vread of an old version", "Observation/{}-0/_history/1"),
        get("P02 vread of the current version", "Observation/{}-0/_history/2"),
        get("P02 vread of no version", "Observation/{}-0/_history/9"),
        get("P03 history of a patient", "Patient/{}/_history"),
        get("P03 history of an observation", "Observation/{}-0/_history"),
        get("P03 history by pages", "Observation/{}-0/_history?_count=1"),
        get("P03 history of no entries", "Observation/{}-0/_history?_count=0"),
    ];
    let heads: Vec<Row> = rows.iter().map(|of| Row { label: "P06 HEAD", method: Method::HEAD, ..of.clone() }).collect();
    rows.extend(heads);
    for path in ["Patient/{}", "Observation/{}-7", "Observation/{}-0/_history/1"] {
        rows.extend([
            get("P07 read of who has version 1", path).with("if-none-match", "W/\"1\""),
            get("P07 read of who has any", path).with("if-none-match", "*"),
            get("P07 read of who has several", path).with("if-none-match", "W/\"1\", W/\"2\""),
            get("P07 read of what changed since tomorrow", path)
                .with("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
            get("P07 read of what changed since 1970", path).with("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            get("P08 elements of a read", &format!("{path}?_elements=id,identifier")),
            get("P08 summary of a read", &format!("{path}?_summary=true")),
            get("P08 count of a read", &format!("{path}?_summary=count")),
            get("P37 read as XML by _format", &format!("{path}?_format=xml")),
            get("P37 read as JSON by _format", &format!("{path}?_format=application/fhir%2Bjson")),
            get("P37 read, pretty", &format!("{path}?_pretty=true")),
            get("P37 read as XML by Accept", path).with("accept", "application/fhir+xml"),
            get("P37 read as whatever there is", path).with("accept", "text/html;q=0.1, */*"),
            get("P37 read with another's id beside it", &format!("{path}?_id=P1&patient=P1")),
        ]);
    }
    rows
}

#[tokio::test]
async fn reads_of_anothers_are_reads_of_what_never_was() {
    let World { a, .. } = world().await;
    let token = a.token("patient/*.rs").patient("P1").sign();
    for row in single_reads() {
        let answer = row.tells_nothing(a, &token, "").await;
        assert_eq!(answer.status, 404, "{}: {}", row.label, answer.body);
    }
    // The same requests about one's own find it.
    for path in ["Patient/P1", "Observation/P1-7", "Observation/P1-0/_history/1", "Observation/P1-0/_history"] {
        let own = a.get(path, &token).await.expect(200);
        only(path, &own, &mark(a, "P1"));
        assert!(own.holds(&mark(a, "P1")), "{path}");
    }
    ledger::each_left_one_record().await;
}

/// Every id on every page of a list, and each page looked through.
async fn all_pages(label: &str, path: &str, tenant: &Tenant, token: &str, own: &str) -> Vec<String> {
    let (mut found, mut address) = (Vec::new(), format!("{}/{path}", tenant.base()));
    loop {
        let page = Answer::of(client().get(&address).bearer_auth(token)).await.expect(200);
        only(label, &page, own);
        let json = page.json();
        let entries = json["entry"].as_array().cloned().unwrap_or_default();
        found.extend(entries.iter().filter_map(|entry| entry["resource"]["id"].as_str().map(str::to_owned)));
        let Some(next) = page.link("next") else { return found };
        address = next;
    }
}

#[tokio::test]
async fn lists_hold_what_is_ones_own_and_count_nothing_else() {
    let World { a, b } = world().await;
    for (tenant, other) in [(a, b), (b, a)] {
        let token = tenant.token("patient/*.rs").patient("P1").sign();
        let own = mark(tenant, "P1");
        let expected: BTreeSet<String> = (0..EACH).map(|number| format!("P1-{number}")).collect();
        for (label, path, count) in [
            ("P04 history of all observations", "Observation/_history?_count=1000", EACH + 1),
            ("P04 history of all observations by pages", "Observation/_history?_count=90", EACH + 1),
            ("P08 elements of all", "Observation?_elements=identifier,note,text&_count=1000", EACH),
            ("P37 search with _format", "Observation?_format=json&_count=1000", EACH),
            ("P37 search, pretty", "Observation?_pretty=true&_count=150", EACH),
        ] {
            let found = all_pages(label, path, tenant, &token, &own).await;
            assert_eq!(found.len(), count, "{label}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{label}");
        }
        let patients = all_pages("P04 history of all patients", "Patient/_history", tenant, &token, &own).await;
        assert_eq!(patients, ["P1"]);
        for (label, path, total) in [
            ("P08 count of all observations", "Observation?_summary=count", EACH),
            ("P08 count of all patients", "Patient?_summary=count", 1),
            ("P08 count of another's", "Observation?_summary=count&patient=P2", 0),
            ("P19 total of all", "Observation?_count=1&_total=accurate", EACH),
            ("P19 total of another's", "Observation?_count=1&_total=accurate&patient=P2", 0),
            ("P19 total of both", "Observation?_count=1&_total=accurate&patient=P1,P2", EACH),
        ] {
            let answer = tenant.get(path, &token).await.expect(200);
            only(label, &answer, &own);
            assert_eq!(answer.json()["total"], total, "{label}");
        }
        // In XML the same stands.
        for path in ["Observation?_count=1000", "Observation/_history?_count=1000", "Patient/P1/Observation"] {
            let request = tenant.request(Method::GET, path, &token).header("accept", "application/fhir+xml");
            let answer = Answer::of(request).await.expect(200);
            only("P37 list as XML", &answer, &own);
            assert!(answer.holds(&own) && !answer.holds(other.name.as_str()), "{path}");
        }
    }
    ledger::each_left_one_record().await;
}

/// The contract offers no interaction with the whole system but Bundles: these are 405 where the list of attacks
/// expects them filtered.
#[tokio::test]
async fn lists_of_the_whole_system_are_not_offered() {
    let World { a, .. } = world().await;
    let token = a.token("patient/*.rs").patient("P1").sign();
    for row in [
        get("P05 history of the system", "_history"),
        get("P05 history of the system by pages", "_history?_count=1000"),
        row("P05 history of the system, HEAD", Method::HEAD, "_history"),
        get("P37 search of several types", "?_type=Patient,Observation"),
        get("P37 search of several types about another", "?_type=Patient,Observation&patient={}"),
        get("P37 search of the system", "_search?_type=Patient,Observation&_id={}"),
        get("P37 search of the system as XML", "?_type=Patient,Observation&_format=xml"),
    ] {
        let answer = row.tells_nothing(a, &token, "").await;
        assert_eq!(answer.status, 405, "{}: {}", row.label, answer.body);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_refusal_says_what_the_caller_sent_and_nothing_more() {
    let World { a, .. } = world().await;
    let token = a.token("patient/*.rs").patient("P1").sign();
    let strict = |label, path| get(label, path).with("prefer", "handling=strict");
    for row in [
        strict("P41 unknown parameter of another's id", "Observation?{}=1"),
        strict("P41 unknown parameter with markup", "Observation?%3Cb%3E{}%3C/b%3E=1"),
        strict("P41 unknown parameter, long", &format!("Observation?{}=1", "{}".repeat(200))),
        get("P41 unknown modifier of another's id", "Observation?patient:{}=1"),
        get("P41 unknown sort key", "Observation?_sort=patient.{}&patient={}"),
        get("P41 no such prefix", "Observation?date={}"),
        get("P41 criteria that mean nothing", "Observation?code-value-quantity={}$x"),
        get("P41 unknown type", "Device/{}"),
        get("P41 no id", "Patient/{}_x"),
    ] {
        let answer = row.tells_nothing(a, &token, &mark(a, "P1")).await;
        assert!(answer.status >= 400 || row.label.contains("sort"), "{}: {}", row.label, answer.body);
        assert_eq!(answer.header("content-type"), "application/fhir+json; charset=utf-8", "{}", row.label);
        // Not even as part of what the caller sent is a value told.
        let issue = answer.json()["issue"][0].clone();
        assert!(issue["diagnostics"].as_str().is_none_or(|text| text.len() < 700), "{}: {issue}", row.label);
        assert!(issue["expression"][0].as_str().is_none_or(|text| text.len() <= 70), "{}: {issue}", row.label);
    }
    ledger::each_left_one_record().await;
}

/// A patient that is gone, and one that was merged into another: both are as if they had never been.
#[tokio::test]
async fn what_became_of_another_patient_is_not_told() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["P1", "P2", "P4"] {
        tenant.put(&format!("Patient/{id}"), &all, &patient(&tenant, id).to_string()).await.expect(201);
        let observation = heart_rate(&tenant, &format!("{id}-7"), id).to_string();
        tenant.put(&format!("Observation/{id}-7"), &all, &observation).await.expect(201);
    }
    // P2 is gone with everything of hers; P4 is one and the same as P1 by now.
    for path in ["Observation/P2-7", "Patient/P2"] {
        tenant.delete(path, &all).await.expect(204);
    }
    let mut merged = patient(&tenant, "P4");
    merged["active"] = json!(false);
    merged["link"] = json!([{ "other": { "reference": "Patient/P1" }, "type": "replaced-by" }]);
    tenant.put("Patient/P4", &all, &merged.to_string()).await.expect(200);
    let mut refers = patient(&tenant, "P1");
    refers["link"] = json!([{ "other": { "reference": "Patient/P4" }, "type": "replaces" }]);
    tenant.put("Patient/P1", &all, &refers.to_string()).await.expect(200);

    let token = tenant.token("patient/*.rs").patient("P1").sign();
    for row in [
        get("P22 read of a deleted patient", "Patient/{}"),
        get("P22 vread of a deleted patient", "Patient/{}/_history/1"),
        get("P22 vread of the deletion", "Patient/{}/_history/2"),
        get("P22 history of a deleted patient", "Patient/{}/_history"),
        get("P22 read of a deleted observation", "Observation/{}-7"),
        get("P22 history of a deleted observation", "Observation/{}-7/_history"),
        row("P22 HEAD of a deleted patient", Method::HEAD, "Patient/{}"),
    ] {
        let answer = row.tells_nothing(&tenant, &token, "").await.expect(404);
        let merged = row.about("P4", &tenant, &token).await;
        assert_eq!(merged.anonymous("P4"), answer.anonymous(FOREIGN), "{}", row.label);
    }
    // What was hers, was deleted and is P1's by now: its history does not tell of a deletion.
    tenant.put("Observation/P2-7", &all, &heart_rate(&tenant, "P2-7", "P1").to_string()).await.expect(201);
    let history = tenant.get("Observation/P2-7/_history", &token).await.expect(200);
    only("P22 history of what was another's", &history, &mark(&tenant, "P1"));
    let entries = history.json()["entry"].clone();
    assert_eq!((entries[0]["response"]["status"].as_str(), entries[1].is_null()), (Some("200"), true), "{entries}");
    tenant.put("Observation/P2-7", &all, &heart_rate(&tenant, "P2-7", "P2").to_string()).await.expect(200);
    tenant.delete("Observation/P2-7", &all).await.expect(204);
    // Her own token is told.
    let hers = tenant.token("patient/*.rs").patient("P2").sign();
    tenant.get("Patient/P2", &hers).await.expect_outcome(410, "deleted");
    tenant.get("Observation/P2-7", &hers).await.expect_outcome(410, "deleted");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_guessed_version_is_no_oracle() {
    let World { a, .. } = world().await;
    let token = a.token("patient/*.cruds").patient("P1").sign();
    for tag in ["W/\"1\"", "W/\"2\"", "W/\"9\"", "\"1\"", "*", "x"] {
        for (kind, body) in [
            ("Patient/{}", patient(a, "{}")),
            ("Observation/{}-0", {
                let mut own = heart_rate(a, "{}-0", "P1");
                own["note"] = json!([{ "text": "own" }]);
                own
            }),
        ] {
            let body: Value = serde_json::from_str(&body.to_string().replace("CANARY", "own")).expect("JSON");
            for row in [
                row("P40 update under a guessed version", Method::PUT, kind)
                    .with("if-match", tag)
                    .sending(body.clone()),
                row("P40 delete under a guessed version", Method::DELETE, kind).with("if-match", tag),
            ] {
                let answer = row.tells_nothing(a, &token, "").await;
                let expected = if tag.starts_with(['*', 'x']) { 400 } else { 404 };
                assert_eq!(answer.status, expected, "{} {tag} {kind}: {}", row.label, answer.body);
            }
        }
    }
    ledger::each_left_one_record().await;
}
