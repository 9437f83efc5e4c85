//! P23 to P28, P33 and P34: writes that mean to reach another patient's data, or to learn whether there is any.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Tenant, ledger};

use super::{FOREIGN, get, heart_rate, mark, only, patient, row};

/// P1 and P2 with two observations each, and who may do everything with what is P1's.
async fn world() -> (Tenant, String) {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for of in ["P1", "P2"] {
        tenant.put(&format!("Patient/{of}"), &all, &patient(&tenant, of).to_string()).await.expect(201);
        for number in [0, 7] {
            let id = format!("{of}-{number}");
            let observation = heart_rate(&tenant, &id, of).to_string();
            tenant.put(&format!("Observation/{id}"), &all, &observation).await.expect(201);
        }
    }
    let token = tenant.token("patient/*.cruds").patient("P1").sign();
    (tenant, token)
}

/// Everything that is not P1's, with all its versions.
async fn not_hers(tenant: &Tenant) -> Vec<Value> {
    let mut versions = Vec::new();
    for kind in ["Patient", "Observation"] {
        let history = tenant.get(&format!("{kind}/_history?_count=1000"), &tenant.all()).await.expect(200).json();
        let entries = history["entry"].as_array().cloned().unwrap_or_default();
        let of_p1 = |entry: &Value| {
            let resource = &entry["resource"];
            let place = entry["fullUrl"].as_str().and_then(|url| url.rsplit('/').next()).expect("a place");
            place.starts_with("P1") || resource["subject"]["reference"] == "Patient/P1"
        };
        versions.extend(entries.into_iter().filter(|entry| !of_p1(entry)));
    }
    versions
}

/// One's own observation, without an id and without marks.
fn own() -> Value {
    json!({
        "resourceType": "Observation", "status": "final",
        "category": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs" }] }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
        "subject": { "reference": "Patient/P1" },
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {
            "value": 72, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min" },
    })
}

fn with(mut resource: Value, name: &str, value: Value) -> Value {
    resource[name] = value;
    resource
}

/// The contract offers no PATCH: it is 405 before anything is looked at, where the list of attacks expects 404. A
/// conditional delete that finds nothing in reach is 204, as any that finds nothing, where it expects 403 or 400.
#[tokio::test]
async fn writes_to_anothers_change_nothing_and_tell_nothing() {
    let (tenant, token) = world().await;
    let before = not_hers(&tenant).await;
    let test = json!([{ "op": "test", "path": "/subject/reference", "value": "Patient/{}" }]);
    let steal = json!([{ "op": "replace", "path": "/subject/reference", "value": "Patient/P1" }]);
    let patch = |row: super::Row| row.with("content-type", "application/json-patch+json");
    let put = |label, path| row(label, Method::PUT, path);
    for (row, status) in [
        // Whatever the new content says.
        (put("P24 update that takes it", "Observation/{}-7").sending(with(own(), "id", json!("{}-7"))), 404),
        (
            put("P24 update that leaves it where it is", "Observation/{}-7").sending(with(
                with(own(), "id", json!("{}-7")),
                "subject",
                json!({ "reference": "Patient/{}" }),
            )),
            404,
        ),
        (put("P24 update of the patient", "Patient/{}").sending(json!({ "resourceType": "Patient", "id": "{}" })), 404),
        (row("P24 delete", Method::DELETE, "Observation/{}-7"), 404),
        (row("P24 delete of the patient", Method::DELETE, "Patient/{}"), 404),
        (patch(row("P24 patch that takes it", Method::PATCH, "Observation/{}-7")).sending(steal), 405),
        (patch(row("P25 patch that only tests", Method::PATCH, "Observation/{}-7")).sending(test.clone()), 405),
        (patch(row("P25 patch that only tests the patient", Method::PATCH, "Patient/{}")).sending(test), 405),
        (put("P26 create at a chosen id", "Observation/{}-0").sending(with(own(), "id", json!("{}-0"))), 404),
        (
            row("P26 create that brings an id", Method::POST, "Observation").sending(with(own(), "id", json!("{}-0"))),
            201,
        ),
        (row("P28 delete of whatever is hers", Method::DELETE, "Observation?patient={}"), 204),
        (row("P28 delete of her patient by search", Method::DELETE, "Patient?_id={}"), 204),
        (row("P28 delete by what names her", Method::DELETE, "Observation?subject=Patient/{}&code=8867-4"), 204),
        (row("P28 delete of everything", Method::DELETE, "Observation"), 400),
        (row("P28 delete of everything, by what is not known", Method::DELETE, "Observation?x={}"), 400),
        (row("P28 delete of everything, by a page", Method::DELETE, "Observation?_count=1000"), 400),
    ] {
        let answer = row.tells_nothing(&tenant, &token, &mark(&tenant, "P1")).await;
        assert_eq!(answer.status, status, "{}: {}", row.label, answer.body);
    }
    // P25: on one's own the patch is not looked at either.
    let own = row("P25 patch of one's own", Method::PATCH, "Observation/{}-7");
    let own = own.with("content-type", "application/json-patch+json").sending(json!([]));
    assert_eq!(own.about("P1", &tenant, &token).await.status, 405);
    assert_eq!(not_hers(&tenant).await, before);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_is_ones_own_is_not_given_away() {
    let (tenant, token) = world().await;
    let before = tenant.get("Observation/P1-7/_history", &tenant.all()).await.expect(200).json()["entry"].clone();
    for (label, subject) in [
        ("P23 to a patient", json!({ "reference": "Patient/{}" })),
        ("P23 to a patient by a whole URL", json!({ "reference": format!("{}/Patient/{{}}", tenant.base()) })),
        ("P23 to a version of a patient", json!({ "reference": "Patient/{}/_history/1" })),
        ("P23 to a patient by an identifier", json!({ "identifier": { "value": "mrn-{}" } })),
        ("P23 to somebody elsewhere", json!({ "reference": "https://elsewhere.example/Patient/{}" })),
        ("P23 to a group", json!({ "reference": "Group/{}" })),
    ] {
        let moved = with(with(own(), "id", json!("P1-7")), "subject", subject);
        let put = row(label, Method::PUT, "Observation/P1-7").sending(moved.clone());
        let post = row(label, Method::POST, "Observation").sending(moved);
        for row in [put, post] {
            row.tells_nothing(&tenant, &token, "").await.expect_outcome(403, "forbidden");
        }
    }
    let after = tenant.get("Observation/P1-7/_history", &tenant.all()).await.expect(200).json()["entry"].clone();
    assert_eq!(after, before);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn conditions_that_only_anothers_rows_meet_find_nothing() {
    let (tenant, token) = world().await;
    let before = not_hers(&tenant).await;
    let criteria = format!("identifier=urn:test:marks|CANARY-{}-{{}}", tenant.name);
    for (row, status) in [
        (
            row("P27 create unless hers exists", Method::POST, "Observation")
                .with("if-none-exist", &criteria)
                .sending(own()),
            201,
        ),
        (
            row("P27 create unless her id exists", Method::POST, "Observation")
                .with("if-none-exist", "_id={}-7")
                .sending(own()),
            201,
        ),
        (
            row("P27 create unless either exists", Method::POST, "Observation")
                .with("if-none-exist", "_id={}-0,{}-7")
                .sending(own()),
            201,
        ),
        (row("P27 update of hers", Method::PUT, "Observation?_id={}-7").sending(own()), 201),
        (row("P27 delete of hers", Method::DELETE, "Observation?_id={}-7"), 204),
        (row("P27 delete of both of hers", Method::DELETE, "Observation?_id={}-0,{}-7"), 204),
    ] {
        let answer = row.tells_nothing(&tenant, &token, "").await;
        assert_eq!(answer.status, status, "{}: {}", row.label, answer.body);
    }
    // With one's own beside hers, one's own is the one match: 200 and not several.
    let mixed = row("P27 create unless one of both's exists", Method::POST, "Observation")
        .with("if-none-exist", "_id=P1-7,{}-7")
        .sending(own());
    mixed.tells_nothing(&tenant, &token, &mark(&tenant, "P1")).await.expect(200);
    let mixed = row("P27 delete of one of both's", Method::DELETE, "Observation?_id=P1-7,{}-7");
    assert_eq!(mixed.about(FOREIGN, &tenant, &token).await.status, 204);
    tenant.get("Observation/P1-7", &token).await.expect_outcome(410, "deleted");
    assert_eq!(not_hers(&tenant).await, before);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_reference_to_anothers_is_stored_whether_that_exists_or_not() {
    let (tenant, token) = world().await;
    for (label, name, value) in [
        ("P33 performer", "performer", json!([{ "reference": "Patient/{}" }])),
        ("P33 focus", "focus", json!([{ "reference": "Patient/{}" }])),
        ("P33 member", "hasMember", json!([{ "reference": "Observation/{}-7" }])),
        ("P33 origin", "derivedFrom", json!([{ "reference": "Observation/{}-7" }])),
        ("P33 encounter", "encounter", json!({ "reference": "Encounter/{}" })),
        ("P33 device", "device", json!({ "reference": "Device/{}" })),
        ("P33 whole URL", "focus", json!([{ "reference": format!("{}/Patient/{{}}", tenant.base()) }])),
        ("P33 version", "focus", json!([{ "reference": "Patient/{}/_history/1" }])),
        ("P33 extension", "extension", json!([{ "url": "urn:x", "valueReference": { "reference": "Patient/{}" } }])),
    ] {
        let create = row(label, Method::POST, "Observation").sending(with(own(), name, value.clone()));
        let created = create.tells_nothing(&tenant, &token, "").await.expect(201);
        let stored = value.to_string().replace("{}", FOREIGN);
        assert_eq!(created.json()[name].to_string(), stored, "{label}");
        // It opens nothing, and nothing follows it.
        let id = created.json()["id"].as_str().expect("an id").to_owned();
        let found = tenant.get(&format!("Observation?_id={id}"), &token).await.expect(200);
        assert_eq!(found.ids(), [id.as_str()], "{label}");
        only(label, &found, "");
        let hers = tenant.token("patient/*.rs").patient(FOREIGN).sign();
        tenant.get(&format!("Observation/{id}"), &hers).await.expect(404);
    }
    get("P33 read of what is referred to", "Observation/{}-7").tells_nothing(&tenant, &token, "").await.expect(404);
    ledger::each_left_one_record().await;
}

/// Contained resources are part of what contains them and of nothing else.
#[tokio::test]
async fn contained_resources_are_nobody_elses() {
    let (tenant, token) = world().await;
    let all = tenant.all();
    let seen = async |path: &str| -> Value {
        let mut answer = tenant.get(path, &all).await.expect(200).json();
        answer.as_object_mut().expect("an object").shift_remove("link");
        answer
    };
    let paths =
        ["Patient?_id=P2,Q7", "Patient?family=inside", "Observation?patient=P2,Q7&_sort=_lastUpdated", "Patient/P2"];
    let mut before = Vec::new();
    for path in paths {
        before.push(seen(path).await);
    }
    let inside = json!({ "resourceType": "Patient", "id": "{}", "name": [{ "family": "Inside" }] });
    let about = json!({
        "resourceType": "Observation", "id": "{}-7", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/{}" },
    });
    let rows = [
        row("P34 contained patient of her id", Method::POST, "Observation").sending(with(
            with(own(), "contained", json!([inside])),
            "performer",
            json!([{ "reference": "#{}" }]),
        )),
        row("P34 contained observation about her", Method::POST, "Observation").sending(with(
            with(own(), "contained", json!([about])),
            "derivedFrom",
            json!([{ "reference": "#{}-7" }]),
        )),
    ];
    let mut made = Vec::new();
    for row in rows {
        let created = row.tells_nothing(&tenant, &token, "").await.expect(201);
        made.push(created.json()["id"].as_str().expect("an id").to_owned());
    }
    // A subject that is inside is no patient of the tenant's: it is in nobody's compartment, so P1 may not write it.
    let subject = row("P34 contained subject of her id", Method::POST, "Observation").sending(with(
        with(own(), "contained", json!([{ "resourceType": "Patient", "id": "{}" }])),
        "subject",
        json!({ "reference": "#{}" }),
    ));
    subject.tells_nothing(&tenant, &token, "").await.expect(403);

    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(seen(path).await, *before, "{path}");
    }
    let hers = tenant.token("patient/*.rs").patient(FOREIGN).sign();
    for id in &made {
        let never = format!("x{}", &id[1..]);
        let one = tenant.get(&format!("Observation/{id}"), &hers).await.expect(404);
        let other = tenant.get(&format!("Observation/{never}"), &hers).await.expect(404);
        assert_eq!(one.anonymous(id), other.anonymous(&never));
        let own = tenant.get(&format!("Observation/{id}"), &token).await.expect(200).json();
        assert_eq!(own["contained"].as_array().map(Vec::len), Some(1));
    }
    let found = tenant.get("Observation?_count=100", &hers).await.expect(200);
    assert_eq!(found.json()["total"], 2, "{}", found.body);
    only("P34 her own search", &found, &mark(&tenant, FOREIGN));
    ledger::each_left_one_record().await;
}
