//! Batches: each entry for itself (<https://hl7.org/fhir/R4/http.html#batch>), and what no Bundle may be.

use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples, tenant::client};

use crate::bundle_transaction::{ask, bundle, statuses, write};

const FHIR: &str = "application/fhir+json";

#[tokio::test]
async fn entries_of_a_batch_are_answered_as_single_requests_are() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["p1", "p2"] {
        tenant.put(&format!("Patient/{id}"), &all, &samples::patient(id, "CANARY").to_string()).await.expect(201);
        tenant.put(&format!("Observation/{id}"), &all, &samples::heart_rate(id, id).to_string()).await.expect(201);
    }
    tenant.delete("Observation/p1", &all).await.expect(204);
    let mut bad = samples::heart_rate("x", "p1");
    bad["unheardOf"] = json!(1);
    let confined = tenant.token("patient/Observation.cruds patient/Patient.r").patient("p1").sign();
    let cases = [
        (write("POST", "Observation", &samples::heart_rate("x", "p1")), 201),
        (write("POST", "Observation", &samples::heart_rate("x", "p2")), 403),
        (write("POST", "Observation", &bad), 400),
        (write("POST", "Patient", &samples::patient("x", "x")), 403),
        (ask("GET", "Patient/p1"), 200),
        (ask("GET", "Patient?_id=p1"), 403),
        // P30: what is out of reach is not there.
        (ask("GET", "Patient/p2"), 404),
        (ask("GET", "Patient/p9"), 404),
        (ask("GET", "Observation/p2"), 404),
        (ask("GET", "Observation/p1"), 410),
        (ask("GET", "Observation/p1/_history/1"), 200),
        (ask("GET", "Observation/p2/_history/1"), 404),
        (ask("GET", "Observation?patient=p2"), 200),
        (ask("GET", "Observation?code:above=1"), 400),
        (ask("GET", "Observation/p1/_history"), 200),
        (ask("DELETE", "Observation/p2"), 404),
        (ask("DELETE", "Observation/p1"), 204),
        (write("PUT", "Observation/p2", &samples::heart_rate("p2", "p1")), 404),
        (write("PUT", "Observation/p3", &samples::heart_rate("p3", "p1")), 404),
        (ask("GET", "https://elsewhere.example/Patient/p1"), 400),
        (ask("GET", &format!("{}/Patient/p1", tenant.base())), 200),
        (ask("FETCH", "Patient/p1"), 400),
    ];
    let entries: Vec<Value> = cases.iter().map(|(entry, _)| entry.clone()).collect();
    let answer = tenant.post("", &confined, &bundle("batch", &entries)).await.expect(200);
    assert_eq!(answer.json()["type"], "batch-response");
    let expected: Vec<u16> = cases.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses(&answer), expected, "{}", answer.body);
    for (place, (entry, status)) in cases.iter().enumerate() {
        let answered = &answer.json()["entry"][place];
        assert_eq!(answered["response"].get("outcome").is_some(), *status >= 400, "{entry}: {answered}");
        assert!(*status == 200 || !answered.to_string().contains("CANARY"), "{entry}: {answered}");
    }
    // As a single request says it.
    for path in ["Patient/p2", "Observation/p2", "Observation/p1"] {
        let single = tenant.get(path, &confined).await;
        let batch = tenant.post("", &confined, &bundle("batch", &[ask("GET", path)])).await;
        assert_eq!(batch.json()["entry"][0]["response"]["outcome"], single.json(), "{path}");
        assert_eq!(statuses(&batch), [single.status]);
    }
}

#[tokio::test]
async fn a_batch_may_write_a_resource_several_times_and_knows_no_references() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let mut observation = samples::heart_rate("x", "x");
    observation["subject"]["reference"] = json!("urn:uuid:1");
    let mut patient = write("PUT", "Patient/p1", &samples::patient("p1", "One"));
    patient["fullUrl"] = json!("urn:uuid:1");
    let entries = [
        patient,
        write("PUT", "Patient/p1", &samples::patient("p1", "Two")),
        write("PUT", "Observation/o1", &{
            observation["id"] = json!("o1");
            observation
        }),
        ask("DELETE", "Patient/p1"),
        ask("GET", "Patient/p1"),
    ];
    let answer = tenant.post("", &all, &bundle("batch", &entries)).await.expect(200);
    assert_eq!(statuses(&answer), [201, 200, 201, 404, 200], "{}", answer.body);
    assert_eq!(answer.json()["entry"][4]["resource"]["name"][0]["family"], "Two");
    assert_eq!(tenant.get("Observation/o1", &all).await.json()["subject"]["reference"], "urn:uuid:1");
}

#[tokio::test]
async fn prefer_decides_what_comes_back_and_nobody_reads_through_it() {
    let tenant = Tenant::fresh().await;
    let text = bundle("batch", &[write("PUT", "Patient/p1", &samples::patient("p1", "One")), ask("GET", "Patient/p1")]);
    for (scope, prefer, resource, outcome) in [
        ("system/*.cruds", "return=representation", true, false),
        ("system/*.cruds", "return=minimal", false, false),
        ("system/*.cruds", "return=OperationOutcome", false, true),
        ("system/*.cruds", "x=y", false, false),
        ("system/*.cu", "return=representation", false, false),
    ] {
        let request = tenant.request(reqwest::Method::POST, "", &tenant.token(scope).sign()).header("prefer", prefer);
        let answer = Answer::of(request.header("content-type", FHIR).body(text.clone())).await.expect(200);
        let entry = &answer.json()["entry"][0];
        assert_eq!(entry.get("resource").is_some(), resource, "{scope} {prefer}: {}", answer.body);
        assert_eq!(entry["response"].get("outcome").is_some(), outcome, "{scope} {prefer}: {}", answer.body);
        let read = if scope.contains('r') && scope.contains("cruds") { 200 } else { 403 };
        assert_eq!(statuses(&answer)[1], read, "{}", answer.body);
    }
}

#[tokio::test]
async fn pages_of_a_search_in_a_bundle_go_on_by_themselves() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for id in ["p1", "p2", "p3"] {
        tenant.put(&format!("Patient/{id}"), &all, &samples::patient(id, "x").to_string()).await.expect(201);
    }
    let answer =
        tenant.post("", &all, &bundle("batch", &[ask("GET", "Patient?_count=2&unheard-of=1")])).await.expect(200);
    let found = answer.json()["entry"][0]["resource"].clone();
    assert_eq!((&found["resourceType"], &found["type"]), (&json!("Bundle"), &json!("searchset")));
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(3), "two and a warning: {found}");
    let next = found["link"].as_array().expect("links").iter().find(|link| link["relation"] == "next").expect("more");
    let next = next["url"].as_str().expect("a URL");
    let page = Answer::of(client().get(next).bearer_auth(&all)).await.expect(200);
    assert_eq!(page.ids().len(), 1);
    // The link is not followed inside of a Bundle.
    let url = next.strip_prefix(&format!("{}/", tenant.base())).expect("ours");
    assert_eq!(statuses(&tenant.post("", &all, &bundle("batch", &[ask("GET", url)])).await), [400]);
}

#[tokio::test]
async fn both_bases_take_bundles_in_json_and_xml() {
    let tenant = Tenant::fresh().await;
    let text = bundle("transaction", &[write("POST", "Patient", &samples::patient("x", "x"))]);
    for base in [tenant.base(), format!("{}/", tenant.base()), format!("{}/fhir", tenant.server.url)] {
        let request = client().post(&base).bearer_auth(tenant.all()).header("content-type", FHIR).body(text.clone());
        let answer = Answer::of(request).await.expect(200);
        let location = answer.json()["entry"][0]["response"]["location"].as_str().expect("a location").to_owned();
        assert!(location.starts_with(base.trim_end_matches('/')), "{location}");
    }
    let xml = "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"batch\"/><entry><resource><Patient><active value=\"true\"/>\
               </Patient></resource><request><method value=\"POST\"/><url value=\"Patient\"/></request></entry></Bundle>";
    let request = client().post(tenant.base()).bearer_auth(tenant.all()).header("content-type", "application/fhir+xml");
    let answer = Answer::of(request.header("accept", "application/fhir+xml").body(xml)).await.expect(200);
    assert!(
        answer.holds("<type value=\"batch-response\"/>") && answer.holds("<status value=\"201\"/>"),
        "{}",
        answer.body
    );
    let empty = tenant.post("", &tenant.all(), r#"{"resourceType":"Bundle","type":"batch"}"#).await.expect(200);
    assert_eq!(empty.body, r#"{"resourceType":"Bundle","type":"batch-response"}"#);
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = Answer::of(client().request(method, tenant.base()).bearer_auth(tenant.all())).await;
        assert_eq!(answer.expect_outcome(405, "not-supported").header("allow"), "POST");
    }
}

#[tokio::test]
async fn x_what_is_no_bundle_is_refused_whole() {
    let tenant = Tenant::fresh().await;
    let entry = |resource: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{resource},"request":{{"method":"POST","url":"Patient"}}}}]}}"#
        )
    };
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let cases = [
        // X16
        ("", 400),
        ("null", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"resourceType":"Patient"}"#, 400),
        (r#"{"resourceType":"Bundle","type":"batch"} {}"#, 400),
        (r#"{"resourceType":"Bundle","type":"collection"}"#, 400),
        (r#"{"resourceType":"Bundle"}"#, 422),
        // X06
        (&entry(&deep(65)), 400),
        (&entry(&deep(10_000)), 400),
        (&deep(1_000_000), 400),
        // X09
        (&entry(r#"{"resourceType":"Patient","id":"a","id":"b"}"#), 400),
        (r#"{"resourceType":"Bundle","type":"batch","\u0074ype":"transaction"}"#, 400),
        // X10
        (&entry(r#"{"resourceType":"Patient","multipleBirthInteger":01}"#), 400),
        (&entry(r#"{"resourceType":"Patient","multipleBirthInteger":1e401}"#), 400),
        (&entry(r#"{"resourceType":"Patient","multipleBirthInteger":NaN}"#), 400),
        // X11, X12
        (&entry(r#"{"resourceType":"Patient","gender":"\u0000"}"#), 400),
        (&entry(r#"{"resourceType":"Patient","gender":"\ud800"}"#), 400),
        ("\u{feff}{\"resourceType\":\"Bundle\",\"type\":\"batch\"}", 400),
    ];
    for (text, status) in cases {
        let answer = tenant.post("", &tenant.all(), text).await;
        assert_eq!(answer.status, status, "{text:.80}: {}", answer.body);
        assert_eq!(answer.json()["resourceType"], "OperationOutcome");
    }
    // X14, X15: what breaks a rule inside one entry is that entry's.
    for (resource, status) in [
        (r#"{"resourceType":"Patient","gender":" male"}"#, 422),
        (r#"{"resourceType":"Patient","gender":"a\u0001"}"#, 422),
        (r#"{"resourceType":"Observation"}"#, 400),
        (r#"{"resourceType":"Bundle","type":"batch"}"#, 400),
        (r#"{"resourceType":"Patient","id":"a/b"}"#, 422),
    ] {
        let answer = tenant.post("", &tenant.all(), &entry(resource)).await.expect(200);
        assert_eq!(statuses(&answer), [status], "{resource}: {}", answer.body);
    }
    assert_eq!(tenant.get("Patient", &tenant.all()).await.ids(), Vec::<String>::new());
}

#[tokio::test]
async fn x01_more_than_fifty_megabytes_are_refused_before_anything_is_done() {
    let tenant = Tenant::fresh().await;
    let entry = write("POST", "Patient", &samples::patient("x", "x")).to_string();
    let whole = |length: usize| {
        let head = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entry}]"#);
        format!("{head}{}}}", " ".repeat(length - head.len() - 1))
    };
    let limit = 50 * 1024 * 1024;
    tenant.post("", &tenant.all(), &whole(limit + 1)).await.expect_outcome(413, "too-long");
    assert_eq!(tenant.get("Patient", &tenant.all()).await.ids().len(), 0);
    tenant.post("", &tenant.all(), &whole(limit)).await.expect(200);
    assert_eq!(tenant.get("Patient", &tenant.all()).await.ids().len(), 1);
    // Values without end, each a byte or two.
    let values = format!(r#"{{"resourceType":"Bundle","type":"batch","x":[1{}]}}"#, ",1".repeat(20_000_000));
    tenant.post("", &tenant.all(), &values).await.expect_outcome(413, "too-costly");
}

#[tokio::test]
async fn at_most_four_large_bundles_are_read_at_once() {
    let server: &'static vitals_tests::Server =
        vitals_tests::Server::for_this_test(vitals_tests::cluster::shared(), vitals_tests::Options::default()).await;
    let tenant = Tenant::on(server).await;
    let small = bundle("batch", &[ask("GET", "Patient")]);
    let large = format!("{small}{}", " ".repeat(2 * 1024 * 1024));
    let held = server.app.large_bundles.try_acquire_many(4).expect("nobody else is here");
    let answer = tenant.post("", &tenant.all(), &large).await.expect_outcome(503, "transient");
    assert_ne!(answer.header("retry-after"), "");
    tenant.post("", &tenant.all(), &small).await.expect(200);
    drop(held);
    tenant.post("", &tenant.all(), &large).await.expect(200);
}
