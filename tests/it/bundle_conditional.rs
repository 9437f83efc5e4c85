//! Conditional create, update and delete, alone and in Bundles: decided on what the caller sees, and once
//! (<https://hl7.org/fhir/R4/http.html#ccreate>).

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples};

use crate::bundle_transaction::{ask, bundle, statuses, write};

const FHIR: &str = "application/fhir+json";

/// An Observation of a patient with an identifier, and without an id.
fn observation(patient: &str, identifier: &str) -> Value {
    let mut resource = samples::heart_rate("x", patient);
    resource.as_object_mut().expect("an object").remove("id");
    resource["identifier"] = json!([{ "system": "urn:test", "value": identifier }]);
    resource
}

async fn create(tenant: &Tenant, token: &str, criteria: &str, resource: &Value) -> Answer {
    let path = resource["resourceType"].as_str().expect("a type");
    let request = tenant.request(Method::POST, path, token).header("if-none-exist", criteria);
    Answer::of(request.header("content-type", FHIR).body(resource.to_string())).await.sound()
}

/// An entry of a conditional create.
fn entry(criteria: &str, resource: &Value) -> Value {
    let kind = resource["resourceType"].as_str().expect("a type");
    json!({ "resource": resource, "request": { "method": "POST", "url": kind, "ifNoneExist": criteria } })
}

#[tokio::test]
async fn a_conditional_create_creates_once() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let first = create(&tenant, &all, "identifier=urn:test|1", &observation("p1", "1")).await.expect(201);
    let second = create(&tenant, &all, "identifier=urn:test|1", &observation("p1", "1")).await.expect(200);
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("etag"), "W/\"1\"");
    create(&tenant, &all, "identifier=urn:test|2", &observation("p1", "1")).await.expect(201);
    create(&tenant, &all, "identifier=urn:test|1", &observation("p1", "1"))
        .await
        .expect_outcome(412, "multiple-matches");

    for (criteria, code) in [
        ("", "invalid"),
        ("unheard-of=1", "not-supported"),
        ("identifier=urn:test|3&unheard-of=1", "not-supported"),
        ("identifier=1&_count=1", "not-supported"),
        ("identifier:above=1", "not-supported"),
        ("Observation?identifier=1", "not-supported"),
    ] {
        create(&tenant, &all, criteria, &observation("p1", "3")).await.expect_outcome(400, code);
    }
    assert_eq!(tenant.get("Observation", &all).await.ids().len(), 2);
}

#[tokio::test]
async fn x34_fifty_clients_at_once_create_one() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let clients = (0..50).map(|place| {
        let (tenant, all) = (&tenant, &all);
        async move {
            if place % 2 == 0 {
                return create(tenant, all, "identifier=urn:test|1", &observation("p1", "1")).await.status;
            }
            let text = bundle("transaction", &[entry("identifier=urn:test%7C1", &observation("p1", "1"))]);
            let answer = tenant.post("", all, &text).await.expect(200);
            statuses(&answer)[0]
        }
    });
    let found = futures_util::future::join_all(clients).await;
    assert_eq!(found.iter().filter(|status| **status == 201).count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|status| **status == 200).count(), 49, "{found:?}");
    assert_eq!(tenant.get("Observation", &all).await.ids().len(), 1);
}

#[tokio::test]
async fn p27_conditions_are_decided_on_what_the_caller_sees() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let foreign = observation("p2", "1");
    tenant.post("Observation", &all, &foreign.to_string()).await.expect(201);
    tenant.post("Observation", &all, &foreign.to_string()).await.expect(201);
    let confined = tenant.token("patient/*.cruds").patient("p1").sign();
    let one = "identifier=urn:test|1";

    // Two rows of another patient's neither match nor make several.
    let created = create(&tenant, &confined, one, &observation("p1", "1")).await.expect(201);
    create(&tenant, &confined, one, &observation("p1", "1")).await.expect(200);
    let found = create(&tenant, &confined, one, &observation("p1", "1")).await.expect(200);
    assert_eq!(found.body, created.body);
    let put = |criteria: &str, resource: Value| {
        let path = format!("Observation?{criteria}");
        let (tenant, confined) = (&tenant, &confined);
        async move { tenant.put(&path, confined, &resource.to_string()).await }
    };
    let updated = put(one, observation("p1", "1")).await.expect(200);
    assert_eq!(updated.json()["id"], created.json()["id"]);
    // Neither content nor id may lead out of reach.
    put(one, observation("p2", "1")).await.expect_outcome(403, "forbidden");
    let mut with_id = observation("p1", "1");
    with_id["id"] = json!("other");
    put(one, with_id.clone()).await.expect_outcome(400, "invalid");
    put("identifier=urn:test|9", with_id).await.expect_outcome(404, "not-found");
    // A new one, for who may create it.
    put("identifier=urn:test|8", observation("p1", "8")).await.expect(201);
    let changer = tenant.token("patient/Observation.us").patient("p1").sign();
    tenant.put("Observation?identifier=urn:test|7", &changer, &observation("p1", "7").to_string()).await.expect(403);
    tenant.put("Observation?identifier=urn:test|8", &changer, &observation("p1", "8").to_string()).await.expect(200);

    // P28
    tenant.delete("Observation?patient=p2", &confined).await.expect(204);
    tenant.delete("Observation", &confined).await.expect_outcome(400, "invalid");
    tenant.delete("Observation", &all).await.expect_outcome(400, "invalid");
    tenant.delete("Observation?_count=1", &all).await.expect_outcome(400, "not-supported");
    tenant.delete("Observation?patient=p2", &all).await.expect_outcome(412, "multiple-matches");
    assert_eq!(tenant.get("Observation?patient=p2", &all).await.ids().len(), 2);
    tenant.delete(&format!("Observation?{one}"), &confined).await.expect(204);
    tenant.delete(&format!("Observation?{one}"), &confined).await.expect(204);
    let gone = format!("Observation/{}", created.json()["id"].as_str().expect("an id"));
    tenant.get(&gone, &confined).await.expect_outcome(410, "deleted");
    assert_eq!(tenant.get("Observation?patient=p2", &all).await.ids().len(), 2);
}

#[tokio::test]
async fn conditions_take_the_letter_of_search_as_well() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    create(&tenant, &all, "identifier=urn:test|1", &observation("p1", "1")).await.expect(201);
    let token = |scope: &str| tenant.token(scope).sign();
    let text = observation("p1", "1");
    for (scope, status) in [("c", 403), ("s", 403), ("cs", 200), ("crs", 200)] {
        let token = token(&format!("system/Observation.{scope}"));
        let answer = create(&tenant, &token, "identifier=urn:test|1", &text).await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.body);
        // What it may find and not read, it does not read here.
        assert_eq!(answer.body.is_empty(), scope == "cs", "{scope}: {}", answer.body);
        let batch =
            tenant.post("", &token, &bundle("batch", &[entry("identifier=urn:test|1", &text)])).await.expect(200);
        assert_eq!(statuses(&batch), [status], "{scope}: {}", batch.body);
    }
    for (scope, status) in [("u", 403), ("s", 403), ("us", 200)] {
        let token = token(&format!("system/Observation.{scope}"));
        let answer = tenant.put("Observation?identifier=urn:test|1", &token, &text.to_string()).await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.body);
    }
    for (scope, status) in [("d", 403), ("s", 403), ("ds", 204)] {
        let token = token(&format!("system/Observation.{scope}"));
        let answer = tenant.delete("Observation?identifier=urn:test|1", &token).await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.body);
    }
}

#[tokio::test]
async fn conditional_updates_say_what_they_did() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let path = "Patient?identifier=urn:test:mrn|mrn-p1";
    let patient = samples::patient("p1", "One").to_string();
    // At the id it carries, where nothing matches.
    let created = tenant.put(path, &all, &patient).await.expect(201);
    assert_eq!(created.header("location"), format!("{}/Patient/p1/_history/1", tenant.base()));
    let updated = tenant.put(path, &all, &patient).await.expect(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    // The id is taken by what is not meant.
    tenant.put("Patient?identifier=urn:test:mrn|nobody", &all, &patient).await.expect_outcome(412, "conflict");
    assert_eq!(tenant.get("Patient/p1", &all).await.json()["meta"]["versionId"], "2");
    let request = tenant.request(Method::PUT, path, &all).header("if-match", "W/\"1\"").header("content-type", FHIR);
    Answer::of(request.body(patient)).await.expect_outcome(412, "conflict");
}

#[tokio::test]
async fn conditions_in_a_transaction_name_what_its_references_mean() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/known", &all, &samples::patient("known", "x").to_string()).await.expect(201);
    let refer = |reference: &str, id: &str| {
        let mut resource = samples::heart_rate(id, "x");
        resource["subject"]["reference"] = json!(reference);
        write("PUT", &format!("Observation/{id}"), &resource)
    };
    let text = |mrn: &str| {
        let mut patient = samples::patient("x", "x");
        patient.as_object_mut().expect("an object").remove("id");
        patient["identifier"][0]["value"] = json!(mrn);
        let mut one = entry(&format!("identifier=urn:test:mrn|{mrn}"), &patient);
        one["fullUrl"] = json!("urn:uuid:1");
        bundle(
            "transaction",
            &[refer("urn:uuid:1", "o1"), one, refer("Patient?identifier=urn:test:mrn|mrn-known", "o2")],
        )
    };
    // One that stands.
    let answer = tenant.post("", &all, &text("mrn-known")).await.expect(200);
    assert_eq!(statuses(&answer), [201, 200, 201]);
    for id in ["o1", "o2"] {
        let stored = tenant.get(&format!("Observation/{id}"), &all).await.json();
        assert_eq!(stored["subject"]["reference"], "Patient/known");
    }
    // One that is created.
    let answer = tenant.post("", &all, &text("mrn-new")).await.expect(200);
    assert_eq!(statuses(&answer), [200, 201, 200]);
    let reference = tenant.get("Observation/o1", &all).await.json()["subject"]["reference"].clone();
    assert!(answer.holds(reference.as_str().expect("a reference")) && reference != "Patient/known");

    // What means nothing or several, or may not be searched for, undoes everything.
    tenant.post("Patient", &all, &samples::patient("x", "x").to_string()).await.expect(201);
    tenant.post("Patient", &all, &samples::patient("x", "x").to_string()).await.expect(201);
    for (reference, status) in [
        ("Patient?identifier=nobody", 412),
        ("Patient?identifier=mrn-x", 412),
        ("Patient?unheard-of=1", 400),
        ("Patient?", 400),
    ] {
        let answer = tenant.post("", &all, &bundle("transaction", &[refer(reference, "o3")])).await;
        assert_eq!(answer.status, status, "{reference}: {}", answer.body);
    }
    let narrow = tenant.token("system/Observation.cu").sign();
    let answer = tenant.post("", &narrow, &bundle("transaction", &[refer("Patient?identifier=mrn-known", "o3")])).await;
    answer.expect_outcome(403, "forbidden");
    tenant.get("Observation/o3", &all).await.expect(404);

    // The same criteria twice would create two.
    let twice = entry("identifier=urn:test|1", &observation("p1", "1"));
    let answer = tenant.post("", &all, &bundle("transaction", &[twice.clone(), twice.clone()])).await;
    answer.expect_outcome(412, "conflict");
    let answer = tenant.post("", &all, &bundle("batch", &[twice.clone(), twice])).await.expect(200);
    assert_eq!(statuses(&answer), [201, 412]);
    let deleted = [ask("DELETE", "Observation?identifier=urn:test|1"), ask("DELETE", "Observation?identifier=nobody")];
    let answer = tenant.post("", &all, &bundle("batch", &deleted)).await.expect(200);
    assert_eq!(statuses(&answer), [204, 204]);
}

#[tokio::test]
async fn p33_p34_references_and_contained_resources_are_no_way_to_another_patient() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    tenant.put("Patient/p2", &all, &samples::patient("p2", "x").to_string()).await.expect(201);
    let confined = tenant.token("patient/*.cruds").patient("p1").sign();
    // P33: the same answer whether the other end stands or not.
    let refers = |other: &str| {
        let mut resource = observation("p1", "1");
        resource["performer"] = json!([{ "reference": format!("Patient/{other}") }]);
        bundle("batch", &[write("POST", "Observation", &resource)])
    };
    for other in ["p2", "p9"] {
        assert_eq!(statuses(&tenant.post("", &confined, &refers(other)).await), [201]);
    }
    // P34: what is contained is stored inside and found nowhere else.
    let mut resource = observation("p1", "2");
    resource["contained"] = json!([samples::patient("p2", "y"), samples::heart_rate("inside", "p2")]);
    resource["performer"] = json!([{ "reference": "#p2" }]);
    resource["derivedFrom"] = json!([{ "reference": "#inside" }]);
    let answer = tenant.post("", &confined, &bundle("transaction", &[write("POST", "Observation", &resource)])).await;
    assert_eq!(statuses(&answer), [201], "{}", answer.body);
    assert_eq!(tenant.get("Observation?patient=p2", &all).await.ids(), Vec::<String>::new());
    tenant.get("Observation/inside", &all).await.expect(404);
    assert_eq!(tenant.get("Patient?_id=p2", &all).await.json()["entry"][0]["resource"]["meta"]["versionId"], "1");
}

#[tokio::test]
async fn a_create_with_criteria_in_its_address_is_refused_and_makes_nothing() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let patient = samples::patient("x", "Amsel");
    let refused = tenant.post("Patient?identifier=urn:test:mrn|mrn-x", &all, &patient.to_string()).await;
    let refused = refused.expect_outcome(400, "not-supported").json();
    assert_eq!(refused["issue"][0]["expression"][0], "identifier");
    let entry = write("POST", "Patient?identifier=urn:test:mrn|mrn-x", &patient);
    tenant.post("", &all, &bundle("transaction", &[entry])).await.expect_outcome(400, "not-supported");
    assert!(tenant.get("Patient", &all).await.ids().is_empty());
    tenant.post("Patient?_format=json", &all, &patient.to_string()).await.expect(201);
}
