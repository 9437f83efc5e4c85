//! Lists as entries of a Bundle: searches of a compartment and histories, by the same gate as alone, with links that lead
//! on by themselves and a record that tells whose data it was.

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, ledger, samples, tenant::client};

use crate::bundle_transaction::{ask, bundle, statuses, write};

/// Two patients; three heart rates of p1's, one of them in two versions, and one of p2's; one was deleted.
async fn world() -> Tenant {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["p1", "p2"] {
        tenant.put(&format!("Patient/{id}"), &all, &samples::patient(id, "Family").to_string()).await.expect(201);
    }
    for (id, patient, status) in
        [("o1", "p1", 201), ("o2", "p1", 201), ("o3", "p1", 201), ("o4", "p2", 201), ("o1", "p1", 200)]
    {
        let body = samples::heart_rate(id, patient).to_string();
        tenant.put(&format!("Observation/{id}"), &all, &body).await.expect(status);
    }
    tenant.delete("Observation/o3", &all).await.expect(204);
    tenant
}

/// What stands in the lists of an answer's entries: `id/version` of each, with `-` where it is a deletion.
fn listed(found: &Value) -> Vec<String> {
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    let name = |entry: &Value| {
        let id = entry["fullUrl"].as_str().expect("a full URL").rsplit('/').next().expect("an id").to_owned();
        let version = entry["response"]["etag"].as_str().unwrap_or("W/\"-\"").trim_matches(['W', '/', '"']).to_owned();
        let gone = if entry.get("resource").is_some() { "" } else { "-" };
        if entry["response"].is_null() { id } else { format!("{id}/{version}{gone}") }
    };
    entries.iter().filter(|entry| entry["search"]["mode"] != "outcome").map(name).collect()
}

#[tokio::test]
async fn compartments_and_histories_are_listed_as_alone() {
    let tenant = world().await;
    let all = tenant.all();
    for url in [
        "Patient/p1/Observation",
        "Patient/p1/Observation?code=8867-4&_sort=-date&_total=accurate",
        "Patient/p1/Observation?_summary=count",
        "Patient/p1/Observation?unheard-of=1",
        "Patient/p9/Observation",
        "Observation/_history",
        "Observation/_history?_count=0",
        "Patient/_history",
        "Observation/o1/_history",
        "Observation/o3/_history",
        "Observation/o1/_history?_count=0",
    ] {
        let alone = tenant.get(url, &all).await.expect(200).json();
        for kind in ["batch", "transaction"] {
            let answer = tenant.post("", &all, &bundle(kind, &[ask("GET", url)])).await.expect(200);
            assert_eq!(statuses(&answer), [200], "{url}");
            assert_eq!(answer.json()["entry"][0]["resource"], alone, "{url} in a {kind}");
        }
    }
    // By the whole URL of this base, too.
    let url = format!("{}/Observation/o1/_history", tenant.base());
    let answer = tenant.post("", &all, &bundle("batch", &[ask("GET", &url)])).await.expect(200);
    assert_eq!(listed(&answer.json()["entry"][0]["resource"]), ["o1/2", "o1/1"]);

    let refused = [
        ("Observation/unknown/_history", 404),
        ("Patient/p_1/Observation", 404),
        ("Observation/o_1/_history", 404),
        ("Patient/p1/Device", 404),
        ("Patient/p1/Observation?code:above=1", 400),
        ("Observation/_history?_count=x", 400),
        ("Observation/o1/_history?_page=x", 400),
        ("Patient/p1/Observation?_page=x", 400),
        ("_history", 405),
    ];
    let entries: Vec<Value> = refused.iter().map(|(url, _)| ask("GET", url)).collect();
    let batch = tenant.post("", &all, &bundle("batch", &entries)).await.expect(200);
    assert_eq!(statuses(&batch), refused.map(|(_, status)| status), "{}", batch.body);
    for (url, status) in refused {
        let answer = tenant.post("", &all, &bundle("transaction", &[ask("GET", url)])).await.expect(status);
        let expression = answer.json()["issue"][0]["expression"][0].clone();
        assert!(expression.as_str().is_some_and(|text| text.starts_with("Bundle.entry[0]")), "{url}: {expression}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_list_sees_what_its_transaction_wrote() {
    let tenant = world().await;
    let entries = [
        ask("GET", "Patient/p2/Observation"),
        ask("GET", "Observation/o4/_history"),
        write("PUT", "Observation/o5", &samples::heart_rate("o5", "p2")),
        ask("DELETE", "Observation/o4"),
    ];
    let answer = tenant.post("", &tenant.all(), &bundle("transaction", &entries)).await.expect(200).json();
    assert_eq!(listed(&answer["entry"][0]["resource"]), ["o5"]);
    assert_eq!(listed(&answer["entry"][1]["resource"]), ["o4/2-", "o4/1"]);
}

#[tokio::test]
async fn links_of_a_list_lead_on_by_themselves() {
    let tenant = world().await;
    let all = tenant.all();
    for (url, first, rest) in [
        ("Observation/_history?_count=4", 4, 2),
        ("Observation/o1/_history?_count=1", 1, 1),
        ("Patient/p1/Observation?_count=1", 1, 1),
    ] {
        let answer = tenant.post("", &all, &bundle("batch", &[ask("GET", url)])).await.expect(200).json();
        let found = &answer["entry"][0]["resource"];
        assert_eq!(listed(found).len(), first, "{url}");
        assert!(found["total"].is_null(), "{found}");
        let link = |relation: &str| {
            let links = found["link"].as_array().expect("links");
            let link = links.iter().find(|link| link["relation"] == relation).expect("a link");
            link["url"].as_str().expect("a URL").to_owned()
        };
        assert_eq!(link("self"), format!("{}/{url}", tenant.base()));
        let page = Answer::of(client().get(link("next")).bearer_auth(&all)).await.expect(200);
        assert_eq!(listed(&page.json()).len(), rest, "{url}");
        assert_eq!(page.link("next"), None);
        // For its caller alone.
        let other = tenant.token("system/*.rs").sign();
        Answer::of(client().get(link("next")).bearer_auth(&other)).await.expect(404);
    }
}

#[tokio::test]
async fn scopes_hold_in_lists_and_the_record_names_whose_data_it_was() {
    let tenant = world().await;
    let urls = [
        "Observation/_history",
        "Observation/o1/_history",
        "Observation/o4/_history",
        "Patient/p1/Observation",
        "Patient/p2/Observation",
    ];
    let entries = urls.map(|url| ask("GET", url));
    for (scope, expected) in [
        ("patient/Observation.rs", [200, 200, 404, 200, 200]),
        ("patient/Observation.r", [403, 200, 404, 403, 403]),
        ("patient/Observation.s", [200, 403, 403, 200, 200]),
        ("vitals.spo2:read", [200, 404, 404, 200, 200]),
        ("patient/Patient.rs", [403; 5]),
    ] {
        let token = tenant.token(scope).patient("p1").sign();
        let answer = tenant.post("", &token, &bundle("batch", &entries)).await.expect(200);
        assert_eq!(statuses(&answer), expected, "{scope}: {}", answer.body);
        assert!(!answer.holds("o4/_history/") && !answer.holds("Patient/p2\""), "{scope}: {}", answer.body);
    }
    let token = tenant.token("patient/Observation.rs").patient("p1").sign();
    let answer = tenant.post("", &token, &bundle("batch", &entries)).await.expect(200).json();
    let found = |place: usize| listed(&answer["entry"][place]["resource"]);
    assert_eq!(found(0), ["o3/2-", "o1/2", "o3/1", "o2/1", "o1/1"]);
    assert_eq!((found(3), found(4)), (vec!["o1".to_owned(), "o2".to_owned()], vec![]));

    let done = tenant.post("", &tenant.all(), &bundle("transaction", &entries)).await.expect(200);
    let record = tenant.record_of(done.header("x-request-id")).await;
    assert_eq!(
        record["entries"],
        json!([
            { "action": "history-type", "type": "Observation", "decision": "allowed", "status": 200 },
            { "action": "history-instance", "type": "Observation", "id": "o1", "decision": "allowed", "status": 200 },
            { "action": "history-instance", "type": "Observation", "id": "o4", "decision": "allowed", "status": 200 },
            { "action": "search-type", "type": "Observation", "decision": "allowed", "status": 200 },
            { "action": "search-type", "type": "Observation", "decision": "allowed", "status": 200 },
        ])
    );
    assert_eq!((&record["patients"], &record["count"]), (&json!(["p1", "p2"]), &json!(6 + 2 + 1 + 2 + 1)));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let tenant = world().await;
    let all = tenant.all();
    let reading = |url: &str, name: &str, value: &str| {
        let mut entry = ask("GET", url);
        entry["request"][name] = value.into();
        entry
    };
    // o1 is at version 2.
    for (name, value, status) in [
        ("ifNoneMatch", "W/\"2\"", 304),
        ("ifNoneMatch", "W/\"1\", W/\"2\"", 304),
        ("ifNoneMatch", "*", 304),
        ("ifNoneMatch", "W/\"1\"", 200),
        ("ifNoneMatch", "2", 200),
        ("ifModifiedSince", "2100-01-01T00:00:00Z", 304),
        ("ifModifiedSince", "2000-01-01T00:00:00Z", 200),
    ] {
        for kind in ["batch", "transaction"] {
            let entry = reading("Observation/o1", name, value);
            let answer = tenant.post("", &all, &bundle(kind, &[entry])).await.expect(200);
            assert_eq!(statuses(&answer), [status], "{name}: {value} in a {kind}");
            let entry = &answer.json()["entry"][0];
            assert_eq!(entry["response"]["etag"], "W/\"2\"");
            assert_eq!(entry.get("resource").is_some(), status == 200, "{name}: {value} in a {kind}");
        }
    }
    // Where a condition would be passed over, nothing is done.
    for url in ["Observation", "Observation/_history", "Observation/o1/_history", "Observation/o1/_history/1"] {
        let entry = reading(url, "ifNoneMatch", "W/\"1\"");
        let answer = tenant.post("", &all, &bundle("batch", &[entry])).await.expect(200);
        assert_eq!(statuses(&answer), [400], "{url}");
    }
    ledger::each_left_one_record().await;
}
