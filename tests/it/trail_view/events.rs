//! AuditEvent: read and search, for the tenant's officer and for a patient's app.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use vitals_fhir::catalog::audit_event::PARAMETERS;
use vitals_fhir_codec::check_elements;
use vitals_tests::{Answer, Tenant, ledger, tenant::client};

use super::World;

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";

async fn search(tenant: &Tenant, query: &str, token: &str) -> Vec<Value> {
    let answer = tenant.get(&format!("AuditEvent{query}"), token).await.expect(200);
    assert_eq!(check_elements(&answer.body), Ok(()), "{}", answer.body);
    let entries = answer.json()["entry"].as_array().cloned().unwrap_or_default();
    entries
        .into_iter()
        .filter(|entry| entry["search"]["mode"] == "match")
        .map(|entry| entry["resource"].clone())
        .collect()
}

/// What the entities of an event refer to.
fn references(event: &Value) -> Vec<&str> {
    let entities = event["entity"].as_array().into_iter().flatten();
    entities.filter_map(|entity| entity["what"]["reference"].as_str()).collect()
}

#[tokio::test]
async fn each_interaction_is_an_event_in_the_profile_that_ihe_has_for_it() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let officer = tenant.token("audit:read").sign();
    for (what, profile, kind, subtype, action, outcome) in [
        ("read", Some("PatientRead"), "rest", "read", "R", "0"),
        ("vread", Some("PatientRead"), "rest", "vread", "R", "0"),
        ("search", Some("Query"), "rest", "search-type", "E", "0"),
        ("search-one", Some("PatientQuery"), "rest", "search-type", "E", "0"),
        ("post", Some("PatientCreate"), "rest", "create", "C", "0"),
        ("create", Some("PatientUpdate"), "rest", "update", "U", "0"),
        ("delete", Some("PatientDelete"), "rest", "delete", "D", "0"),
        ("batch", None, "rest", "batch", "E", "0"),
        ("denied", None, "110113", "delete", "D", "4"),
        ("missing", None, "rest", "read", "R", "4"),
    ] {
        let record = world.record(what).await;
        let id = record["record"].as_str().expect("an id");
        let answer = tenant.get(&format!("AuditEvent/{id}"), &officer).await.expect(200);
        assert_eq!(check_elements(&answer.body), Ok(()), "{what}: {}", answer.body);
        assert_eq!(answer.header("etag"), "W/\"1\"");
        let event = answer.json();
        assert_eq!((&event["resourceType"], &event["id"]), (&json!("AuditEvent"), &json!(id)));
        let profiles = profile.map_or(Value::Null, |name| json!([format!("{BALP}{name}")]));
        assert_eq!(event["meta"].get("profile").unwrap_or(&Value::Null), &profiles, "{what}");
        assert_eq!((&event["type"]["code"], &event["action"]), (&json!(kind), &json!(action)), "{what}");
        let subtypes: Vec<&Value> =
            event["subtype"].as_array().expect("subtypes").iter().map(|one| &one["code"]).collect();
        assert!(subtypes.contains(&&json!(subtype)), "{what}: {subtypes:?}");
        assert_eq!((&event["outcome"], &event["recorded"]), (&json!(outcome), &record["time"]), "{what}");
        let agents = event["agent"].as_array().expect("agents");
        assert_eq!(agents.iter().filter(|agent| agent["requestor"] == true).count(), 1, "{what}");
        assert_eq!(agents[0]["who"]["identifier"]["value"], record["subject"], "{what}");
        assert_eq!(agents[1]["who"]["identifier"]["value"], record["client"], "{what}");
        assert_eq!(agents[1]["network"], json!({ "address": "127.0.0.1", "type": "2" }), "{what}");
        assert_eq!(event["source"]["site"], tenant.name.as_str());
        // The same in XML.
        let xml = tenant.get(&format!("AuditEvent/{id}?_format=xml"), &officer).await.expect(200);
        assert!(xml.body.contains("<AuditEvent xmlns=\"http://hl7.org/fhir\">"), "{what}: {}", xml.body);
    }
    // What a search says of its criteria and of whom it disclosed.
    let record = world.record("search").await;
    let id = record["record"].as_str().expect("an id");
    let event = tenant.get(&format!("AuditEvent/{id}"), &officer).await.expect(200).json();
    assert_eq!(references(&event), ["Patient/p1", "Patient/p2"]);
    let query = event["entity"].as_array().expect("entities").iter().find(|entity| entity.get("query").is_some());
    let query = query.and_then(|entity| entity["query"].as_str()).expect("a query");
    assert_eq!(STANDARD.decode(query).expect("base64"), b"Observation?code&_count");
    // Conditional reads work as they do elsewhere.
    let seen = tenant.request(Method::GET, &format!("AuditEvent/{id}"), &officer).header("if-none-match", "W/\"1\"");
    Answer::of(seen).await.expect(304);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_patients_app_sees_who_looked_at_that_patients_data_and_nothing_else() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let app = || tenant.token("patient/AuditEvent.rs").with("sub", "me").with("client_id", "my-app").patient("p1");
    let events = search(tenant, "?_count=1000", &app().sign()).await;
    let mut expected = BTreeSet::new();
    for what in ["create", "read", "search", "search-one", "batch", "post"] {
        expected.insert(world.record(what).await["record"].as_str().expect("an id").to_owned());
    }
    // Of two creates of patients and two of their observations, two are about this one.
    let found: BTreeSet<String> = events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    assert!(expected.is_subset(&found), "{expected:?} {found:?}");
    assert_eq!(found.len(), 7, "{found:?}");
    for event in &events {
        let text = event.to_string();
        assert!(references(event).contains(&"Patient/p1"), "{text}");
        for hidden in ["p2", "\"address\":\"127.0.0.1\"", "cruds", "code&"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert_eq!(event["outcome"], "0", "refused attempts disclosed nothing");
        assert!(event["agent"][0]["who"]["identifier"]["value"].is_string(), "who it was: {text}");
    }
    // The batch, which was about two, is this one's part of it; the search of both is one of this patient alone.
    let batch = world.record("batch").await;
    let batch = events.iter().find(|event| event["id"] == batch["record"]).expect("the batch");
    assert_eq!(references(batch), ["Patient/p1", "Patient/p1"]);
    let of_both = world.record("search").await;
    let of_both = events.iter().find(|event| event["id"] == of_both["record"]).expect("the search");
    assert_eq!(of_both["meta"]["profile"], json!([format!("{BALP}PatientQuery")]));

    // What is about somebody else is not there, by id or by asking for it.
    for what in ["vread", "delete", "denied", "missing"] {
        let record = world.record(what).await;
        let id = record["record"].as_str().expect("an id");
        let never = "018f0000-0000-7000-8000-00000000abcd";
        let known = tenant.get(&format!("AuditEvent/{id}"), &app().sign()).await.expect_outcome(404, "not-found");
        let unknown = tenant.get(&format!("AuditEvent/{never}"), &app().sign()).await;
        assert_eq!(known.anonymous(id), unknown.anonymous(never), "{what}");
        assert!(search(tenant, &format!("?_id={id}"), &app().sign()).await.is_empty(), "{what}");
    }
    assert!(search(tenant, "?patient=p2", &app().sign()).await.iter().all(|event| {
        // What was about both is seen, and only as this patient's.
        !event.to_string().contains("p2")
    }));
    // What is not shown cannot be asked about.
    for hidden in ["address=127.0.0.1", "entity=Observation/o-p2"] {
        let answer = tenant.get(&format!("AuditEvent?{hidden}"), &app().sign()).await.expect(200);
        assert!(answer.json()["link"][0]["url"].as_str().is_some_and(|url| !url.contains('?')), "{hidden} was applied");
        let strict = tenant.request(Method::GET, &format!("AuditEvent?{hidden}"), &app().sign());
        Answer::of(strict.header("prefer", "handling=strict")).await.expect_outcome(400, "not-supported");
    }
    // The same for a user who is that patient.
    let user = tenant.token("user/AuditEvent.rs").with("fhirUser", "Patient/p1").sign();
    assert!(search(tenant, "?_count=1000", &user).await.iter().all(|event| !event.to_string().contains("p2")));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn no_wildcard_and_no_broken_scope_opens_the_trail() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let record = world.record("read").await;
    let id = record["record"].as_str().expect("an id");
    for (scope, patient, read, found) in [
        ("audit:read", None, 200, 200),
        ("admin:users", None, 200, 200),
        ("system/AuditEvent.rs", None, 200, 200),
        ("system/AuditEvent.read", None, 200, 200),
        ("system/AuditEvent.*", None, 200, 200),
        ("user/AuditEvent.rs", None, 200, 200),
        ("system/AuditEvent.r", None, 200, 403),
        ("system/AuditEvent.s", None, 403, 200),
        ("patient/AuditEvent.rs", Some("p1"), 200, 200),
        ("patient/AuditEvent.rs", Some("p2"), 404, 200),
        ("patient/AuditEvent.rs", None, 403, 403),
        ("patient/AuditEvent.cud", Some("p1"), 403, 403),
        ("system/AuditEvent.rs?code=x", None, 403, 403),
        ("system/AuditEvent.rs?_security=x", None, 403, 403),
        ("system/auditevent.rs", None, 403, 403),
        ("system/AuditEvent.sr", None, 403, 403),
        ("system/*.cruds user/*.* vitals:read users:read org:self", None, 403, 403),
        ("patient/*.rs patient/*.*", Some("p1"), 403, 403),
        ("audit:write analytics:read", None, 403, 403),
    ] {
        let mut token = tenant.token(scope);
        if let Some(patient) = patient {
            token = token.patient(patient);
        }
        let token = token.sign();
        assert_eq!(tenant.get(&format!("AuditEvent/{id}"), &token).await.status, read, "read {scope} {patient:?}");
        assert_eq!(tenant.get("AuditEvent", &token).await.status, found, "search {scope} {patient:?}");
    }
    // Nobody writes it, and nothing else of it is offered.
    let all = tenant.token("system/AuditEvent.cruds audit:read admin:users").sign();
    let body = json!({ "resourceType": "AuditEvent" }).to_string();
    for (method, path, allow) in [
        (Method::POST, "AuditEvent".to_owned(), "GET, HEAD"),
        (Method::PUT, format!("AuditEvent/{id}"), "GET, HEAD"),
        (Method::DELETE, format!("AuditEvent/{id}"), "GET, HEAD"),
        (Method::PATCH, format!("AuditEvent/{id}"), "GET, HEAD"),
        (Method::DELETE, "AuditEvent?patient=p1".to_owned(), "GET, HEAD"),
        (Method::GET, "AuditEvent/_search".to_owned(), "POST"),
        (Method::GET, format!("AuditEvent/{id}/_history"), ""),
        (Method::GET, format!("AuditEvent/{id}/_history/1"), ""),
        (Method::GET, "AuditEvent/_history".to_owned(), ""),
    ] {
        let request = tenant.request(method.clone(), &path, &all).header("content-type", "application/fhir+json");
        let answer = Answer::of(request.body(body.clone())).await.expect_outcome(405, "not-supported");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let entries = [("GET", format!("AuditEvent/{id}")), ("GET", "AuditEvent?patient=p1".to_owned())];
    let entries = entries.map(|(method, url)| json!({ "request": { "method": method, "url": url } }));
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries }).to_string();
    let both = tenant.token("system/*.rs system/AuditEvent.rs").sign();
    let answer = tenant.post("", &both, &bundle).await.expect(200).json();
    assert!(
        answer["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .all(|entry| { entry["response"]["status"].as_str().is_some_and(|status| status.starts_with("405")) })
    );
    ledger::each_left_one_record().await;
}

/// Whether an event is one that a search asks for.
type Says<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn each_search_parameter_finds_the_events_it_says() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let officer = tenant.token("audit:read").with("sub", "officer").with("client_id", "desk").sign();
    let all = search(tenant, "?agent:identifier=dr-who,nurse&_count=1000", &officer).await;
    assert_eq!(all.len(), world.done.len());
    let issuer = format!("{}/t/{}/auth", tenant.server.url, tenant.name);
    let is = |event: &Value, code: &str| {
        event["subtype"].as_array().expect("subtypes").iter().any(|one| one["code"] == code)
    };
    let refers = |event: &Value, to: &str| references(event).contains(&to);
    let first = all.last().expect("events")["recorded"].as_str().expect("a time").to_owned();
    let base = tenant.base();
    let cases: Vec<(String, Says<'_>)> = vec![
        ("altid=dr-who".to_owned(), Box::new(|event| event["agent"][0]["altId"] == "dr-who")),
        (format!("agent:identifier={issuer}|nurse"), Box::new(|event| event["agent"][0]["altId"] == "nurse")),
        ("agent:identifier=https://other.example|nurse".to_owned(), Box::new(|_| false)),
        (
            "agent:identifier=ward".to_owned(),
            Box::new(|event| event["agent"][1]["who"]["identifier"]["value"] == "ward"),
        ),
        ("patient=p1".to_owned(), Box::new(|event| refers(event, "Patient/p1"))),
        ("patient=Patient/p2".to_owned(), Box::new(|event| refers(event, "Patient/p2"))),
        (
            format!("patient={base}/Patient/p1&action=C"),
            Box::new(|event| refers(event, "Patient/p1") && event["action"] == "C"),
        ),
        ("patient=https://other.example/Patient/p1".to_owned(), Box::new(|_| false)),
        ("patient=p1,p2".to_owned(), Box::new(|event| refers(event, "Patient/p1") || refers(event, "Patient/p2"))),
        (
            "patient=p1&patient=p2".to_owned(),
            Box::new(|event| refers(event, "Patient/p1") && refers(event, "Patient/p2")),
        ),
        ("entity=Observation/o-p2".to_owned(), Box::new(|event| refers(event, "Observation/o-p2"))),
        ("action=R,D".to_owned(), Box::new(|event| event["action"] == "R" || event["action"] == "D")),
        ("outcome=0".to_owned(), Box::new(|event| event["outcome"] == "0")),
        ("outcome=4".to_owned(), Box::new(|event| event["outcome"] == "4")),
        ("outcome=8".to_owned(), Box::new(|_| false)),
        ("type=rest".to_owned(), Box::new(|event| event["type"]["code"] == "rest")),
        (
            "type=http://dicom.nema.org/resources/ontology/DCM|110113".to_owned(),
            Box::new(|event| event["type"]["code"] == "110113"),
        ),
        ("type=urn:other|rest".to_owned(), Box::new(|_| false)),
        ("subtype=search-type".to_owned(), Box::new(|event| is(event, "search-type"))),
        (
            "subtype=http://hl7.org/fhir/restful-interaction|read,vread".to_owned(),
            Box::new(|event| is(event, "read") || is(event, "vread")),
        ),
        ("subtype=AuthZ-Role".to_owned(), Box::new(|event| is(event, "AuthZ-Role"))),
        ("address=127.0.0.1".to_owned(), Box::new(|_| true)),
        ("address=192.0.2.1".to_owned(), Box::new(|_| false)),
        (format!("date=gt{first}"), Box::new(|event| event["recorded"].as_str() > Some(&first))),
        (format!("date=le{first}"), Box::new(|event| event["recorded"].as_str() <= Some(&first))),
        ("date=ge2001&date=lt2002".to_owned(), Box::new(|_| false)),
        ("date=2001,ge2002".to_owned(), Box::new(|_| true)),
    ];
    let known: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    for name in known.iter().filter(|name| !name.starts_with('_')) {
        assert!(cases.iter().any(|(query, _)| query.starts_with(name)), "{name} has a case");
    }
    for (query, says) in cases {
        let request = tenant.request(Method::GET, &format!("AuditEvent?{query}&_count=1000"), &officer);
        let answer = Answer::of(request.header("prefer", "handling=strict")).await.expect(200);
        let found = answer.json()["entry"].as_array().cloned().unwrap_or_default();
        let found: Vec<Value> = found
            .into_iter()
            .map(|entry| entry["resource"].clone())
            .filter(|event| event["agent"][0]["altId"] != "officer")
            .collect();
        let expected: Vec<&Value> = all.iter().filter(|event| says(event)).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    // By a form, in the other order, in pages.
    let mut address = Some(format!("{base}/AuditEvent?altid=dr-who,nurse&_sort=date&_count=4"));
    let mut seen = Vec::new();
    while let Some(next) = address {
        let page = Answer::of(client().get(&next).bearer_auth(&officer)).await.expect(200);
        seen.extend(page.ids());
        address = page.link("next");
    }
    let forward: Vec<&str> = all.iter().rev().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(seen, forward);
    let form = tenant.request(Method::POST, "AuditEvent/_search?_count=1000", &officer);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("altid=dr-who%2Cnurse");
    assert_eq!(Answer::of(form).await.expect(200).ids().len(), all.len());
    let common = client().get(format!("{}/fhir/AuditEvent?altid=dr-who,nurse&_count=1000", tenant.server.url));
    assert_eq!(Answer::of(common.bearer_auth(&officer)).await.expect(200).ids().len(), all.len());
    // What is not understood is told.
    let ignored = tenant.get("AuditEvent?policy=x&_count=1", &officer).await.expect(200).json();
    let warning =
        ignored["entry"].as_array().expect("entries").iter().find(|entry| entry["search"]["mode"] == "outcome");
    assert_eq!(warning.expect("a warning")["resource"]["issue"][0]["expression"], json!(["policy"]));
    for (query, code) in [
        ("date=yesterday", "invalid"),
        ("date:above=2026", "not-supported"),
        ("agent=Practitioner/1", "not-supported"),
        ("patient.name=x", "not-supported"),
        ("patient:Device=x", "not-supported"),
        ("patient=", "invalid"),
        ("_count=-1", "invalid"),
        ("_has:Patient:x:y=z", "not-supported"),
    ] {
        tenant.get(&format!("AuditEvent?{query}"), &officer).await.expect_outcome(400, code);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a04_another_tenants_events_are_not_there_in_any_way() {
    let (this, other) = (World::make().await, World::make().await);
    let (a, b) = (&this.tenant, &other.tenant);
    let (officer, theirs) = (a.token("audit:read").sign(), b.token("audit:read").sign());
    let never = "018f0000-0000-7000-8000-00000000abcd";
    for event in search(b, "?_count=1000", &theirs).await {
        let id = event["id"].as_str().expect("an id");
        let known = a.get(&format!("AuditEvent/{id}"), &officer).await.expect_outcome(404, "not-found");
        let unknown = a.get(&format!("AuditEvent/{never}"), &officer).await;
        assert_eq!(known.anonymous(id), unknown.anonymous(never), "A04 by id");
        assert!(search(a, &format!("?_id={id}"), &officer).await.is_empty(), "A04 by search");
    }
    b.get("AuditEvent", &officer).await.expect_outcome(403, "forbidden");
    let next = b.get("AuditEvent?_count=1", &theirs).await.expect(200).link("next").expect("a second page");
    let page = next.split('?').nth(1).expect("a query");
    a.get(&format!("AuditEvent?{page}"), &officer).await.expect_outcome(404, "not-found");
    for name in ["server", &b.role(), b.name.as_str()] {
        a.get(&format!("AuditEvent/{name}"), &officer).await.expect_outcome(404, "not-found");
    }
    let sites: BTreeSet<String> = search(a, "?patient=p1,p2&_count=1000", &officer)
        .await
        .iter()
        .map(|event| event["source"]["site"].as_str().expect("a site").to_owned())
        .collect();
    assert_eq!(sites, BTreeSet::from([a.name.to_string()]));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a04_no_grant_opens_another_tenants_trail() {
    let (hospital, lab) = (Tenant::fresh().await, Tenant::fresh().await);
    let scope = "system/*.rs system/AuditEvent.rs vitals:read";
    hospital.grant(&lab, scope).await;
    let token = lab
        .delegate_with(
            "audit:read admin:users system/AuditEvent.rs",
            &[(&hospital, "system/*.rs system/AuditEvent.rs audit:read")],
        )
        .sign();
    // What was granted is there; the trail, whatever the grant and the token say of it, is not.
    hospital.get("Observation", &token).await.expect(200);
    let record = search(&hospital, "?_count=1", &hospital.token("audit:read").sign()).await.remove(0);
    let id = record["id"].as_str().expect("an id");
    for path in ["AuditEvent".to_owned(), format!("AuditEvent/{id}"), "AuditEvent?patient=p1".to_owned()] {
        hospital.get(&path, &token).await.expect_outcome(403, "forbidden");
    }
    let form = hospital.request(Method::POST, "AuditEvent/_search", &token);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("patient=p1");
    Answer::of(form).await.expect_outcome(403, "forbidden");
    Answer::of(hospital.admin(Method::GET, "audit", &token)).await.expect(403);
    // The caller's own trail is open to it, and shows what it asked of the other.
    let own = search(&lab, "?_count=1000", &token).await;
    assert!(own.iter().any(|event| event["source"]["site"] == hospital.name.as_str()), "{own:?}");
    ledger::each_left_one_record().await;
}
