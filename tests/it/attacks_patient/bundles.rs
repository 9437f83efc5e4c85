//! P30 to P32: the same by way of a Bundle. An entry is what it would be alone, and what it may not be is refused.

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, ledger};

use super::{FOREIGN, NEVER, heart_rate, mark, only, patient};
use crate::bundle_transaction::{ask, bundle, statuses, write};

async fn world() -> (Tenant, String) {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for of in ["P1", "P2"] {
        tenant.put(&format!("Patient/{of}"), &all, &patient(&tenant, of).to_string()).await.expect(201);
        let observation = heart_rate(&tenant, &format!("{of}-7"), of).to_string();
        tenant.put(&format!("Observation/{of}-7"), &all, &observation).await.expect(201);
    }
    let token = tenant.token("patient/*.cruds").patient("P1").sign();
    (tenant, token)
}

/// The entry about this patient, alone in a Bundle.
async fn send(tenant: &Tenant, token: &str, kind: &str, entry: &Value, patient: &str) -> Answer {
    let entry: Value = serde_json::from_str(&entry.to_string().replace("{}", patient)).expect("JSON");
    tenant.post("", token, &bundle(kind, &[entry])).await.sound()
}

/// The answers about the attacked patient and about nobody, in a batch and a transaction.
async fn tells_nothing(tenant: &Tenant, token: &str, label: &str, entry: &Value) -> [Answer; 2] {
    let mut answers = Vec::new();
    for kind in ["batch", "transaction"] {
        let answer = send(tenant, token, kind, entry, FOREIGN).await;
        let never = send(tenant, token, kind, entry, NEVER).await;
        assert_eq!(answer.anonymous(FOREIGN), never.anonymous(NEVER), "{label} in a {kind}");
        only(label, &answer, "");
        answers.push(answer);
    }
    answers.try_into().expect("two")
}

fn own(id: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "own" },
        "subject": { "reference": "Patient/P1" } })
}

#[tokio::test]
async fn an_entry_about_anothers_is_an_entry_about_what_never_was() {
    let (tenant, token) = world().await;
    for (label, entry, status) in [
        ("P30 read", ask("GET", "Patient/{}"), 404),
        ("P30 read of an observation", ask("GET", "Observation/{}-7"), 404),
        ("P30 read by a whole URL", ask("GET", &format!("{}/Observation/{{}}-7", tenant.base())), 404),
        ("P30 vread", ask("GET", "Observation/{}-7/_history/1"), 404),
        ("P30 history", ask("GET", "Observation/{}-7/_history"), 404),
        ("P30 history of the patient", ask("GET", "Patient/{}/_history"), 404),
        ("P30 search", ask("GET", "Observation?patient={}"), 200),
        ("P30 search by id", ask("GET", "Observation?_id={}-7"), 200),
        ("P30 count", ask("GET", "Observation?patient={}&_summary=count"), 200),
        ("P30 search of a compartment", ask("GET", "Patient/{}/Observation"), 200),
        ("P30 count of a compartment", ask("GET", "Patient/{}/Observation?_total=accurate&_count=1"), 200),
        ("P30 delete", ask("DELETE", "Observation/{}-7"), 404),
        ("P30 delete by search", ask("DELETE", "Observation?_id={}-7"), 204),
        ("P30 update", write("PUT", "Observation/{}-7", &own("{}-7")), 404),
        ("P30 update of the patient", write("PUT", "Patient/{}", &json!({"resourceType": "Patient", "id": "{}"})), 404),
        ("P30 patch", ask("PATCH", "Observation/{}-7"), 405),
        ("P30 include", ask("GET", "Observation?_include=Observation:subject&patient={}"), 400),
        ("P30 chain", ask("GET", "Observation?subject.name={}"), 400),
    ] {
        let [batch, transaction] = tells_nothing(&tenant, &token, label, &entry).await;
        assert_eq!(statuses(&batch.expect(200)), [status], "{label}");
        if status < 300 {
            let transaction = transaction.expect(200);
            assert_eq!(statuses(&transaction), [status], "{label}");
            let found = &transaction.json()["entry"][0]["resource"];
            assert!(found.is_null() || found["total"] == 0, "{label}: {found}");
        } else {
            assert_eq!(transaction.status, status, "{label}: {}", transaction.body);
        }
    }
    // The lists of all hold one's own alone.
    for (label, url, count) in [
        ("P30 search of all", "Observation", 1),
        ("P30 history of all", "Observation/_history", 1),
        ("P30 history of all patients", "Patient/_history", 1),
    ] {
        let answer = send(&tenant, &token, "transaction", &ask("GET", url), FOREIGN).await.expect(200);
        only(label, &answer, &mark(&tenant, "P1"));
        assert_eq!(answer.json()["entry"][0]["resource"]["total"], count, "{label}: {}", answer.body);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn an_entry_leads_nowhere_but_to_this_base() {
    let (tenant, token) = world().await;
    let other = Tenant::fresh().await;
    let host = tenant.server.url.replace("127.0.0.1", "localhost");
    let nested = json!({ "resourceType": "Bundle", "type": "batch",
        "entry": [{ "request": { "method": "GET", "url": "Patient/{}" } }] });
    for (label, entry, status) in [
        ("P31 another host", ask("GET", "https://elsewhere.example/fhir/Patient/{}"), 400),
        ("P31 this server by another name", ask("GET", &format!("{host}/t/{}/fhir/Patient/{{}}", tenant.name)), 400),
        ("P31 another tenant", ask("GET", &format!("{}/Patient/{{}}", other.base())), 400),
        ("P31 another tenant's path", ask("GET", &format!("/t/{}/fhir/Patient/{{}}", other.name)), 400),
        ("P31 no scheme", ask("GET", "//elsewhere.example/Patient/{}"), 400),
        ("P31 a file", ask("GET", "file:///etc/passwd"), 400),
        ("P31 up", ask("GET", "../Patient/{}"), 400),
        ("P31 up from within", ask("GET", &format!("Patient/../../../{}/fhir/Patient/{{}}", other.name)), 400),
        ("P31 up, encoded", ask("GET", "Patient/%2e%2e%2fPatient%2f{}"), 404),
        ("P31 back slashes", ask("GET", "..\\Patient\\{}"), 400),
        ("P31 fragment", ask("GET", "Patient/P1#/../{}"), 400),
        ("P31 operation of the system", ask("GET", "$export"), 404),
        ("P31 operation on a type", ask("GET", "Patient/$export"), 404),
        ("P31 operation on an instance", ask("GET", "Patient/{}/$everything"), 404),
        ("P31 operation by POST", write("POST", "Observation/$lastn", &nested), 404),
        ("P31 Bundle in a Bundle", write("POST", "Bundle", &nested), 404),
        ("P31 Bundle to the base", write("POST", "?_id={}", &nested), 400),
        ("P31 Bundle to the base by its URL", write("POST", &format!("{}/", tenant.base()), &nested), 400),
        ("P31 Bundle as an Observation", write("POST", "Observation", &nested), 400),
        ("P31 metadata", ask("GET", "metadata"), 405),
        ("P31 history of the system", ask("GET", "_history"), 405),
        ("P31 a page of somebody's", ask("GET", "Observation?_page={}"), 400),
        ("P31 a page of a history", ask("GET", "Patient/P1/_history?_page={}"), 400),
    ] {
        let [batch, transaction] = tells_nothing(&tenant, &token, label, &entry).await;
        let refused = if batch.status == 200 { statuses(&batch)[0] } else { batch.status };
        assert_eq!(refused, status, "{label}: {}", batch.body);
        assert_eq!(transaction.status, status, "{label}: {}", transaction.body);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn an_entry_brings_no_right_of_its_own() {
    let (tenant, token) = world().await;
    let hers = tenant.token("patient/*.cruds").patient(FOREIGN).sign();
    let reading = |name: &str, value: Value| {
        let mut entry = ask("GET", "Patient/{}");
        entry["request"][name] = value;
        entry
    };
    let bearer = format!("Bearer {hers}");
    // What is no element of a request is refused with the whole Bundle.
    for (label, entry) in [
        ("P32 a token of its own", reading("authorization", json!(bearer))),
        ("P32 headers of its own", reading("headers", json!([{ "name": "Authorization", "value": bearer }]))),
        ("P32 a scope of its own", reading("scope", json!("system/*.cruds"))),
    ] {
        for answer in tells_nothing(&tenant, &token, label, &entry).await {
            answer.expect_outcome(400, "structure");
        }
    }
    let condition = |name: &str, value: &str, entry: Value| {
        let mut entry = entry;
        entry["request"][name] = value.into();
        entry
    };
    let extended = reading("extension", json!([{ "url": "urn:authorization", "valueString": "system/*.cruds" }]));
    for (label, entry, status) in [
        ("P32 an extension that says so", extended, 404),
        ("P32 a version of hers", condition("ifMatch", "W/\"1\"", ask("DELETE", "Observation/{}-7")), 404),
        ("P32 no version of hers", condition("ifMatch", "W/\"9\"", ask("DELETE", "Observation/{}-7")), 404),
        (
            "P32 an update of her version",
            condition("ifMatch", "W/\"1\"", write("PUT", "Observation/{}-7", &own("{}-7"))),
            404,
        ),
        ("P32 a read of who has hers", condition("ifNoneMatch", "W/\"1\"", ask("GET", "Observation/{}-7")), 404),
        (
            "P32 a read of what changed",
            condition("ifModifiedSince", "2100-01-01T00:00:00Z", ask("GET", "Observation/{}-7")),
            404,
        ),
    ] {
        let [batch, transaction] = tells_nothing(&tenant, &token, label, &entry).await;
        assert_eq!(statuses(&batch.expect(200)), [status], "{label}");
        assert_eq!(transaction.status, status, "{label}: {}", transaction.body);
    }
    // A full URL that is hers: references to it inside of the Bundle mean the entry, and she is not touched.
    let before = tenant.get("Patient/P2/_history", &tenant.all()).await.expect(200).json();
    for url in
        [format!("{}/Observation/{{}}-7", tenant.base()), "urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000001".to_owned()]
    {
        let mut refers = own("x");
        refers["derivedFrom"] = json!([{ "reference": url }]);
        let mut entry = write("POST", "Observation", &refers);
        entry["fullUrl"] = url.as_str().into();
        let label = "P32 a full URL that is hers";
        let (one, other) = (
            send(&tenant, &token, "transaction", &entry, FOREIGN).await.expect(200),
            send(&tenant, &token, "transaction", &entry, NEVER).await.expect(200),
        );
        assert_eq!((statuses(&one), statuses(&other)), (vec![201], vec![201]), "{label}");
        only(label, &one, "");
        let twice = bundle("transaction", &[entry.clone(), entry.clone()]).replace("{}", FOREIGN);
        tenant.post("", &token, &twice).await.expect_outcome(400, "invalid");
    }
    assert_eq!(tenant.get("Patient/P2/_history", &tenant.all()).await.expect(200).json(), before);
    ledger::each_left_one_record().await;
}
