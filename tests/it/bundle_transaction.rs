//! Transactions: all or nothing, in R4's order, references between entries, and who may do what
//! (<https://hl7.org/fhir/R4/http.html#transaction>).

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, poll, samples};

/// A Bundle of entries.
pub fn bundle(kind: &str, entries: &[Value]) -> String {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
}

/// An entry without a resource.
pub fn ask(method: &str, url: &str) -> Value {
    json!({ "request": { "method": method, "url": url } })
}

/// An entry with a resource.
pub fn write(method: &str, url: &str, resource: &Value) -> Value {
    json!({ "resource": resource, "request": { "method": method, "url": url } })
}

/// The same entry with something more in it.
fn with(mut entry: Value, name: &str, value: impl Into<Value>) -> Value {
    entry[name] = value.into();
    entry
}

/// The statuses of the entries of an answer.
pub fn statuses(answer: &Answer) -> Vec<u16> {
    let json = answer.json();
    let entries = json["entry"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| entry["response"]["status"].as_str().expect("a status").parse().expect("a number"))
        .collect()
}

/// How many resources of a type there are.
async fn count(tenant: &Tenant, kind: &str) -> usize {
    tenant.get(&format!("{kind}?_count=1000"), &tenant.all()).await.expect(200).ids().len()
}

const URN: &str = "urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-000000000001";

#[tokio::test]
async fn entries_are_done_together_and_answered_in_their_order() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (path, resource) in [
        ("Patient/old", samples::patient("old", "Old")),
        ("Observation/gone", samples::heart_rate("gone", "old")),
        ("Observation/kept", samples::heart_rate("kept", "old")),
    ] {
        tenant.put(path, &all, &resource.to_string()).await.expect(201);
    }
    let observation = samples::heart_rate("x", "x").to_string().replace("Patient/x", URN).replace("72.0", "72.00");
    let mut observation: Value = serde_json::from_str(&observation).expect("JSON");
    observation.as_object_mut().expect("an object").remove("id");
    let text = bundle(
        "transaction",
        &[
            ask("GET", "Observation?patient=old"),
            write("PUT", "Observation/kept", &samples::heart_rate("kept", "old")),
            with(
                write("POST", "Observation", &observation),
                "fullUrl",
                "urn:uuid:6c9f0c1e-8e6e-4f0e-9f7c-00000000000f",
            ),
            with(write("POST", "Patient", &samples::patient("ignored", "New")), "fullUrl", URN),
            write("PUT", "Patient/chosen", &samples::patient("chosen", "Chosen")),
            ask("DELETE", "Observation/gone"),
            ask("GET", "Patient/chosen"),
        ],
    );

    let answer = tenant.post("", &all, &text).await.expect(200);

    assert_eq!(answer.json()["type"], "transaction-response");
    assert_eq!(statuses(&answer), [200, 200, 201, 201, 201, 204, 200]);
    let entries = answer.json()["entry"].clone();
    // The search sees what was deleted before it and what was written.
    assert_eq!(entries[0]["resource"]["total"], 1, "{}", answer.body);
    assert_eq!(entries[1]["response"]["etag"], "W/\"2\"");
    assert_eq!(entries[6]["resource"]["name"][0]["family"], "Chosen");
    for (place, version) in [(2, 1), (3, 1), (4, 1), (1, 2)] {
        let response = &entries[place]["response"];
        let location = response["location"].as_str().expect("a location");
        assert!(location.starts_with(&tenant.base()) && location.ends_with(&format!("/_history/{version}")));
        assert!(response["lastModified"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert!(entries[place].get("resource").is_none());
    }
    // The reference names the patient that was created in its place.
    let id = |place: usize| {
        let location = entries[place]["response"]["location"].as_str().expect("a location").to_owned();
        location.split("/_history").next().expect("a place").rsplit('/').next().expect("an id").to_owned()
    };
    let stored = tenant.get(&format!("Observation/{}", id(2)), &all).await.expect(200);
    assert_eq!(stored.json()["subject"]["reference"], format!("Patient/{}", id(3)));
    let found = tenant.get(&format!("Observation?patient={}", id(3)), &all).await.expect(200);
    assert_eq!(found.ids(), [id(2)]);
    tenant.get("Observation/gone", &all).await.expect_outcome(410, "deleted");
    tenant.get("Patient/ignored", &all).await.expect_outcome(404, "not-found");
}

#[tokio::test]
async fn what_is_written_comes_back_to_the_byte_but_for_the_references() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let resource = format!(
        "{{\"resourceType\" : \"Observation\",\n  \"status\":\"final\", \"code\":{{\"text\":\"\\u00e9 \\/ x\"}},\
         \"subject\":{{ \"reference\" : \"{URN}\", \"display\":\"{URN}\"}},\"valueQuantity\":{{\"value\":120.00}}}}"
    );
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
        {{"resource":{resource},"request":{{"method":"POST","url":"Observation"}}}},
        {{"fullUrl":"{URN}","resource":{{"resourceType":"Patient","id":"p"}},"request":{{"method":"PUT","url":"Patient/p"}}}}]}}"#
    );
    let request = tenant.request(reqwest::Method::POST, "", &all).header("prefer", "return=representation");
    let answer = Answer::of(request.header("content-type", "application/fhir+json").body(text)).await.expect(200);
    let entry = &answer.json()["entry"][0];
    let path =
        entry["fullUrl"].as_str().expect("a full URL").strip_prefix(&format!("{}/", tenant.base())).expect("ours");
    let stored = tenant.get(path, &all).await.expect(200);
    let tail = resource.split_once("\"Observation\"").expect("a type").1;
    let tail = tail.replacen(URN, "Patient/p", 1);
    assert!(stored.body.ends_with(&tail), "{} is not {tail}", stored.body);
    assert!(answer.holds(&stored.body));
}

#[tokio::test]
async fn a_refused_entry_undoes_the_whole_transaction() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/p1", &all, &samples::patient("p1", "One").to_string()).await.expect(201);
    let good = write("POST", "Observation", &samples::heart_rate("x", "p1"));
    let patient = samples::patient("p1", "Two");
    let mut bad_status = samples::heart_rate("x", "p1");
    bad_status["status"] = json!(1);
    let mut no_code = samples::heart_rate("x", "p1");
    no_code.as_object_mut().expect("an object").remove("code");
    let cases = [
        (ask("GET", "Patient/unknown"), 404, "not-found", "Bundle.entry[1]"),
        (ask("DELETE", "Observation/unknown"), 404, "not-found", "Bundle.entry[1]"),
        (write("POST", "Observation", &bad_status), 400, "structure", "Bundle.entry[1].resource.status"),
        (write("POST", "Observation", &no_code), 422, "required", "Bundle.entry[1].resource.code"),
        (write("PUT", "Patient/other", &patient), 400, "invalid", "Bundle.entry[1].resource.id"),
        (
            with(
                write("PUT", "Patient/p1", &patient),
                "request",
                json!({"method":"PUT","url":"Patient/p1","ifMatch":"W/\"7\""}),
            ),
            412,
            "conflict",
            "Bundle.entry[1].request.ifMatch",
        ),
        // P31: what an entry may not ask for.
        (ask("GET", "https://elsewhere.example/fhir/Patient/p1"), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", &format!("{}/t/other/fhir/Patient/p1", tenant.server.url)), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", "/Patient/p1"), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", "../other/fhir/Patient/p1"), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", "Patient/../Patient/p1"), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", "Patient/p1/$everything"), 404, "not-supported", "Bundle.entry[1]"),
        (ask("GET", "$export"), 404, "not-supported", "Bundle.entry[1]"),
        (ask("GET", "metadata"), 405, "not-supported", "Bundle.entry[1]"),
        (ask("GET", "Device/1"), 404, "not-supported", "Bundle.entry[1]"),
        (ask("GET", "Patient/p1#x"), 400, "invalid", "Bundle.entry[1]"),
        (ask("GET", "Patient/p%31"), 404, "not-found", "Bundle.entry[1]"),
        (
            write("POST", "Bundle", &json!({"resourceType":"Bundle","type":"batch"})),
            404,
            "not-supported",
            "Bundle.entry[1]",
        ),
        (write("POST", "?", &json!({"resourceType":"Bundle","type":"batch"})), 400, "invalid", "Bundle.entry[1]"),
        (write("PATCH", "Patient/p1", &patient), 405, "not-supported", "Bundle.entry[1]"),
        (ask("TRACE", "Patient/p1"), 400, "value", "Bundle.entry[1]"),
        (ask("POST", "Patient"), 400, "required", "Bundle.entry[1]"),
        (write("DELETE", "Patient/p1", &patient), 400, "invalid", "Bundle.entry[1]"),
        (ask("DELETE", "Observation"), 400, "invalid", "Bundle.entry[1]"),
        (ask("DELETE", "Observation?unheard-of=1"), 400, "not-supported", "Bundle.entry[1]"),
        (json!({"fullUrl": "urn:uuid:1"}), 400, "required", "Bundle.entry[1]"),
        (write("PUT", "Patient/a_b", &patient), 400, "value", "Bundle.entry[1]"),
    ];
    for (entry, status, code, expression) in cases {
        let answer = tenant.post("", &all, &bundle("transaction", &[good.clone(), entry.clone()])).await;
        let found = answer.expect_outcome(status, code).json()["issue"][0]["expression"][0].clone();
        assert!(found.as_str().is_some_and(|found| found.starts_with(expression)), "{entry}: {found}");
    }
    assert_eq!(count(&tenant, "Observation").await, 0);
    assert_eq!(tenant.get("Patient/p1", &all).await.json()["meta"]["versionId"], "1");
}

#[tokio::test]
async fn one_resource_comes_once_in_a_transaction() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/p1", &all, &samples::patient("p1", "One").to_string()).await.expect(201);
    let put = write("PUT", "Patient/p1", &samples::patient("p1", "Two"));
    let matching = write("PUT", "Patient?identifier=mrn-p1", &samples::patient("p1", "Two"));
    for (one, other) in [
        (put.clone(), put.clone()),
        (put.clone(), ask("DELETE", "Patient/p1")),
        (put.clone(), matching.clone()),
        (put.clone(), ask("DELETE", "Patient?identifier=mrn-p1")),
        (ask("DELETE", "Patient/p1"), ask("DELETE", "Patient?identifier=mrn-p1")),
    ] {
        let answer = tenant.post("", &all, &bundle("transaction", &[one, other])).await;
        answer.expect_outcome(400, "invalid");
    }
    // P32: a full URL that comes twice.
    let created = with(write("POST", "Patient", &samples::patient("x", "X")), "fullUrl", URN);
    let answer = tenant.post("", &all, &bundle("transaction", &[created.clone(), created])).await;
    answer.expect_outcome(400, "invalid");
    assert_eq!(tenant.get("Patient?_count=9", &all).await.ids(), ["p1"]);
    assert_eq!(tenant.get("Patient/p1", &all).await.json()["meta"]["versionId"], "1");
}

#[tokio::test]
async fn p29_what_one_entry_may_not_do_undoes_the_others_and_tells_nothing() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["p1", "p2"] {
        tenant.put(&format!("Patient/{id}"), &all, &samples::patient(id, "CANARY").to_string()).await.expect(201);
        tenant.put(&format!("Observation/{id}"), &all, &samples::heart_rate(id, id).to_string()).await.expect(201);
    }
    let own = write("POST", "Observation", &samples::heart_rate("x", "p1"));
    let confined = tenant.token("patient/*.cruds").patient("p1").sign();
    for (entry, status) in [
        (ask("GET", "Patient/p2"), 404),
        (ask("GET", "Patient/p2/_history/1"), 404),
        (ask("GET", "Observation/p2"), 404),
        (ask("DELETE", "Observation/p2"), 404),
        (write("PUT", "Observation/p2", &samples::heart_rate("p2", "p1")), 404),
        (write("PUT", "Observation/p1", &samples::heart_rate("p1", "p2")), 403),
        (write("POST", "Observation", &samples::heart_rate("x", "p2")), 403),
        (write("PUT", "Patient/p3", &samples::patient("p3", "x")), 404),
        // P40: an ETag guess is no oracle.
        (json!({"request": {"method": "DELETE", "url": "Observation/p2", "ifMatch": "W/\"1\""}}), 404),
        (json!({"request": {"method": "DELETE", "url": "Observation/p2", "ifMatch": "W/\"9\""}}), 404),
    ] {
        let answer = tenant.post("", &confined, &bundle("transaction", &[own.clone(), entry.clone()])).await;
        assert_eq!(answer.status, status, "{entry}: {}", answer.body);
        assert!(!answer.holds("CANARY"));
    }
    // A search finds what is in reach alone.
    let found = tenant.post("", &confined, &bundle("transaction", &[ask("GET", "Observation")])).await.expect(200);
    assert_eq!(found.json()["entry"][0]["resource"]["total"], 1, "{}", found.body);
    assert_eq!(count(&tenant, "Observation").await, 2);

    // Letters count entry by entry.
    let creator = tenant.token("system/Observation.c").sign();
    tenant.post("", &creator, &bundle("transaction", std::slice::from_ref(&own))).await.expect(200);
    let both = [own.clone(), ask("GET", "Observation/p1")];
    tenant.post("", &creator, &bundle("transaction", &both)).await.expect_outcome(403, "forbidden");
    assert_eq!(count(&tenant, "Observation").await, 3);
    // Nothing at all is refused before the body is read.
    for scope in ["", "openid launch", "org:self"] {
        tenant.post("", &tenant.token(scope).sign(), "no JSON").await.expect_outcome(403, "forbidden");
    }
}

#[tokio::test]
async fn a_bundle_leaves_one_record_that_lists_its_entries() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let entries = [
        write("PUT", "Patient/p1", &samples::patient("p1", "One")),
        write("PUT", "Observation/o1", &samples::heart_rate("o1", "p1")),
        ask("GET", "Observation?patient=p1"),
    ];
    let done = tenant.post("", &all, &bundle("transaction", &entries)).await.expect(200);
    let refused = tenant.post("", &all, &bundle("transaction", &[entries[1].clone(), ask("GET", "Patient/x")])).await;
    assert_eq!(refused.status, 404);
    let batch = tenant.post("", &all, &bundle("batch", &[ask("GET", "Patient/x"), ask("GET", "Patient/p1")])).await;
    assert_eq!(statuses(&batch), [404, 200]);

    let record = tenant.record_of(done.header("x-request-id")).await;
    assert_eq!((record["action"].as_str(), record["decision"].as_str()), (Some("transaction"), Some("allowed")));
    assert_eq!(
        record["entries"],
        json!([
            { "action": "update", "type": "Patient", "id": "p1", "patient": "p1", "decision": "allowed", "status": 201 },
            { "action": "update", "type": "Observation", "id": "o1", "patient": "p1", "decision": "allowed", "status": 201 },
            {
                "action": "search-type", "type": "Observation", "decision": "allowed", "status": 200, "query": "patient",
            },
        ])
    );
    assert_eq!((&record["patients"], &record["count"]), (&json!(["p1"]), &json!(1)));

    let record = tenant.record_of(refused.header("x-request-id")).await;
    assert_eq!((record["action"].as_str(), record["decision"].as_str()), (Some("transaction"), Some("denied")));
    assert_eq!(record["status"], 404);
    let decisions: Vec<_> =
        record["entries"].as_array().expect("entries").iter().map(|entry| &entry["decision"]).collect();
    assert_eq!(decisions, ["denied", "denied"]);

    let record = tenant.record_of(batch.header("x-request-id")).await;
    assert_eq!(
        record["entries"],
        json!([
            { "action": "read", "type": "Patient", "id": "x", "decision": "denied", "status": 404 },
            { "action": "read", "type": "Patient", "id": "p1", "patient": "p1", "decision": "allowed", "status": 200 },
        ])
    );
}

#[tokio::test]
async fn five_thousand_entries_are_written_and_one_more_is_refused_unread() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let entries = |count: usize| -> Vec<Value> {
        let entry = |place: usize| {
            let id = format!("o{place}");
            match place % 2 {
                0 => write("PUT", &format!("Observation/{id}"), &samples::heart_rate(&id, "p1")),
                _ => write("POST", "Observation", &samples::heart_rate(&id, "p1")),
            }
        };
        (0..count).map(entry).collect()
    };
    let refused = tenant.post("", &all, &bundle("transaction", &entries(5_001))).await;
    refused.expect_outcome(413, "too-costly");
    assert_eq!(count(&tenant, "Observation").await, 0);

    let answer = tenant.post("", &all, &bundle("transaction", &entries(5_000))).await.expect(200);
    assert_eq!(statuses(&answer), [201; 5_000]);
    assert_eq!(count(&tenant, "Observation").await, 1_000);
    // Again: the ones at chosen ids are replaced.
    let answer = tenant.post("", &all, &bundle("transaction", &entries(10))).await.expect(200);
    assert_eq!(statuses(&answer), [200, 201, 200, 201, 200, 201, 200, 201, 200, 201]);
}

#[tokio::test]
async fn two_transactions_about_the_same_resources_do_not_stop_each_other() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let puts = |order: &[usize]| {
        let put = |place: &usize| {
            let id = format!("o{place}");
            write("PUT", &format!("Observation/{id}"), &samples::heart_rate(&id, "p1"))
        };
        bundle("transaction", &order.iter().map(put).collect::<Vec<_>>())
    };
    let forth: Vec<usize> = (0..20).collect();
    let back: Vec<usize> = (0..20).rev().collect();
    let (forth, back) = (puts(&forth), puts(&back));
    let (one, other, third) =
        tokio::join!(tenant.post("", &all, &forth), tenant.post("", &all, &back), tenant.post("", &all, &forth));
    for answer in [one, other, third] {
        answer.expect(200);
    }
    poll::until("every resource has three versions", || async {
        tenant.get("Observation/o7", &all).await.json()["meta"]["versionId"] == "3"
    })
    .await;
}
