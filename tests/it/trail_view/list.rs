//! `/t/{tenant}/admin/audit`.

use serde_json::{Value, json};
use vitals_access::audit::Queries;
use vitals_tests::{Answer, Options, Server, Tenant, cluster, ledger, samples, tenant::client};

use super::{World, ask, ids};

/// Panics unless this is a problem with this status, whose detail holds this text.
#[track_caller]
fn problem(answer: Answer, status: u16, detail: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    assert!(answer.json()["detail"].as_str().is_some_and(|text| text.contains(detail)), "{}", answer.body);
    answer
}

#[tokio::test]
async fn a04_only_who_holds_the_scope_sees_the_trail_and_only_of_the_own_tenant() {
    let (this, other) = (World::make().await, World::make().await);
    let (a, b) = (&this.tenant, &other.tenant);
    for scope in ["audit:read", "admin:users", "audit:read system/*.rs"] {
        assert_eq!(ask(a, "audit", &a.token(scope).sign()).await.expect(200).header("cache-control"), "no-store");
    }
    for scope in ["", "system/*.cruds", "user/*.rs", "system/AuditEvent.rs", "audit:write", "org:self users:read"] {
        problem(ask(a, "audit", &a.token(scope).sign()).await, 403, "audit:read");
        problem(ask(a, "audit/018f0000-0000-7000-8000-000000000000", &a.token(scope).sign()).await, 403, "audit:read");
    }
    // A04: by address, by id, by page link, by the names that chains have inside: nothing of the other tenant's.
    let (officer, theirs) = (a.token("audit:read").sign(), b.token("audit:read").sign());
    problem(ask(a, "audit", &theirs).await, 403, "not for this address");
    let of_b = other.list("", &theirs).await;
    let never = "018f0000-0000-7000-8000-00000000abcd";
    for record in &of_b {
        let id = record["record"].as_str().expect("an id");
        let known = ask(a, &format!("audit/{id}"), &officer).await.expect(404);
        let unknown = ask(a, &format!("audit/{never}"), &officer).await;
        assert_eq!(known.anonymous(id), unknown.anonymous(never));
    }
    for reserved in ["server", b.name.as_str(), "t_server", "server%00", "..%2fserver"] {
        let answer = ask(a, &format!("audit/{reserved}"), &officer).await;
        assert!(matches!(answer.status, 403 | 404), "{reserved}: {}", answer.status);
    }
    let page = ask(b, "audit?_count=1", &theirs).await.expect(200).json()["next"].as_str().expect("more").to_owned();
    let token = page.split("_page=").nth(1).expect("a token");
    problem(ask(a, &format!("audit?_page={token}"), &officer).await, 404, "start the search again");
    // No header names another tenant.
    for (name, value) in [("x-tenant", b.name.as_str()), ("x-vitals-tenant", b.name.as_str()), ("x-operator", "true")] {
        let request = a.admin(reqwest::Method::GET, "audit?_count=1000", &officer).header(name, value);
        let records = Answer::of(request).await.expect(200).json();
        let names: Vec<_> = records["records"].as_array().expect("records").iter().map(|one| &one["tenant"]).collect();
        assert!(names.iter().all(|name| **name == json!(a.name.as_str())), "{names:?}");
    }
    // Whatever is looked for, what is found is of the own tenant.
    for query in ["?subject=dr-who", "?patient=p1", "?client=ehr&_count=1000"] {
        for record in this.list(query, &officer).await {
            assert_eq!(record["tenant"], a.name.as_str());
            assert!(record.get("chain").is_none(), "the inside name is nobody's business");
        }
    }
    ledger::each_left_one_record().await;
}

/// Whether a record is one that a list is asked for.
type Says<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

#[tokio::test]
async fn every_filter_finds_the_records_that_say_so_and_no_others() {
    let world = World::make().await;
    let officer = world.tenant.token("audit:read").with("sub", "officer").with("client_id", "desk").sign();
    let all = world.list("?_count=1000", &officer).await;
    assert!(all.len() >= 13, "{}", all.len());
    let about = |record: &Value, patient: &str| {
        let named = |one: &Value| one["patient"] == patient || (one["type"] == "Patient" && one["id"] == patient);
        let listed =
            |list: &Value, test: &dyn Fn(&Value) -> bool| list.as_array().is_some_and(|all| all.iter().any(test));
        named(record)
            || listed(&record["patients"], &|one| one == patient)
            || listed(&record["entries"], &|one| named(one))
    };
    let middle = all[all.len() / 2]["time"].as_str().expect("a time").to_owned();
    let cases: Vec<(String, Says<'_>)> = vec![
        ("subject=dr-who".to_owned(), Box::new(|record| record["subject"] == "dr-who")),
        ("subject=Dr-Who".to_owned(), Box::new(|_| false)),
        ("client=ward".to_owned(), Box::new(|record| record["client"] == "ward")),
        ("patient=p1".to_owned(), Box::new(|record| about(record, "p1"))),
        ("patient=p2".to_owned(), Box::new(|record| about(record, "p2"))),
        ("patient=p3".to_owned(), Box::new(|record| about(record, "p3"))),
        ("patient=p4".to_owned(), Box::new(|_| false)),
        ("decision=denied".to_owned(), Box::new(|record| record["decision"] == "denied")),
        ("decision=allowed&subject=nurse".to_owned(), Box::new(|record| record["subject"] == "nurse")),
        ("decision=unknown".to_owned(), Box::new(|_| false)),
        ("action=search-type".to_owned(), Box::new(|record| record["action"] == "search-type")),
        ("action=audit.read&subject=dr-who".to_owned(), Box::new(|_| false)),
        ("id=o-p2".to_owned(), Box::new(|record| record["id"] == "o-p2")),
        (
            "type=Patient&id=p1".to_owned(),
            Box::new(|record| {
                let is = |one: &Value| one["type"] == "Patient" && one["id"] == "p1";
                is(record) || record["entries"].as_array().is_some_and(|entries| entries.iter().any(is))
            }),
        ),
        ("type=Observation&action=search-type".to_owned(), Box::new(|record| record["action"] == "search-type")),
        ("address=127.0.0.1&client=ehr".to_owned(), Box::new(|record| record["client"] == "ehr")),
        ("address=192.0.2.7".to_owned(), Box::new(|_| false)),
        ("grant=none".to_owned(), Box::new(|_| false)),
        (
            format!("from={middle}&subject=dr-who"),
            Box::new(|record| record["time"].as_str() >= Some(&middle) && record["subject"] == "dr-who"),
        ),
        (format!("to={middle}"), Box::new(|record| record["time"].as_str() <= Some(&middle))),
        ("from=2001-01-01&to=2001-12-31".to_owned(), Box::new(|_| false)),
        ("acting_tenant=elsewhere".to_owned(), Box::new(|_| false)),
        ("subject=dr-who&patient=p2&action=vread".to_owned(), Box::new(|record| record["action"] == "vread")),
    ];
    for (query, says) in cases {
        let found = world.list(&format!("?{query}&_count=1000"), &officer).await;
        // The officer's own readings come on top of what there was.
        let found: Vec<Value> = found.into_iter().filter(|record| record["subject"] != "officer").collect();
        let expected: Vec<Value> =
            all.iter().filter(|record| record["subject"] != "officer" && says(record)).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{query}");
    }
    for (query, named) in [
        ("patiant=p1", "patiant"),
        ("access_token=x", "access_token"),
        ("_page=x&subject=a", "_page"),
        ("subject=a&subject=b", "subject"),
        ("subject=", "subject"),
        ("from=yesterday", "from"),
        ("to=2026-13", "to"),
        ("decision=maybe", "decision"),
        ("_count=0", "_count"),
        ("_count=-1", "_count"),
        ("_count=many", "_count"),
        ("a=%zz", "percent"),
    ] {
        problem(ask(&world.tenant, &format!("audit?{query}"), &officer).await, 400, named);
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn pages_hold_every_record_once_and_are_the_callers_own() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let officer = || tenant.token("audit:read").with("sub", "officer");
    let all = world.list("?client=ehr&_count=1000", &officer().sign()).await;
    let mut address = Some(format!("{}/t/{}/admin/audit?client=ehr&_count=3", tenant.server.url, tenant.name));
    let (mut seen, mut links) = (Vec::new(), Vec::new());
    while let Some(next) = address {
        let page = Answer::of(client().get(&next).bearer_auth(officer().sign())).await.expect(200).json();
        let records = page["records"].as_array().expect("records").clone();
        assert!(records.len() <= 3);
        seen.extend(records);
        address = page["next"].as_str().map(str::to_owned);
        links.extend(address.clone());
    }
    assert_eq!(ids(&seen), ids(&all));
    let link = links.first().expect("several pages");
    assert!(!link.contains("ehr"), "nothing shows in a link: {link}");
    // Another caller, other scopes, another list, an altered link, and one that is too old.
    let path = link.split("/admin/").nth(1).expect("an address");
    let others = [
        tenant.token("audit:read").with("sub", "somebody").sign(),
        tenant.token("audit:read admin:users").with("sub", "officer").sign(),
        officer().with("client_id", "other").sign(),
    ];
    for other in others {
        problem(ask(tenant, path, &other).await, 404, "start the search again");
    }
    let mut altered = path.to_owned();
    let last = altered.pop().expect("a sign");
    altered.push(if last == 'A' { 'B' } else { 'A' });
    problem(ask(tenant, &altered, &officer().sign()).await, 404, "start the search again");
    problem(ask(tenant, "audit?_page=x", &officer().sign()).await, 404, "start the search again");
    let event = format!("AuditEvent?{}", path.split('?').nth(1).expect("a query"));
    tenant.get(&event, &officer().sign()).await.expect_outcome(404, "not-found");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a15_reading_the_trail_is_itself_recorded_with_what_was_looked_for() {
    let world = World::make().await;
    let tenant = &world.tenant;
    let officer = tenant.token("audit:read").with("sub", "officer").sign();
    let record = world.record("read").await;
    let id = record["record"].as_str().expect("an id");
    for (path, action, query, count, patient) in [
        ("admin/audit", "audit.read", Value::Null, true, Value::Null),
        (
            "admin/audit?patient=p1&subject=dr-who&_count=5",
            "audit.read",
            json!("patient&subject&_count"),
            true,
            json!("p1"),
        ),
        (&*format!("admin/audit/{id}"), "audit.read", Value::Null, false, Value::Null),
        ("fhir/AuditEvent", "search-type", Value::Null, true, Value::Null),
        ("fhir/AuditEvent?patient=Patient/p2&date=ge2026", "search-type", json!("patient&date"), true, json!("p2")),
        (&*format!("fhir/AuditEvent/{id}"), "read", Value::Null, false, json!("p1")),
    ] {
        for accept in ["*/*", "text/csv"] {
            if accept == "text/csv" && !path.starts_with("admin/audit?") {
                continue;
            }
            let url = format!("{}/t/{}/{path}", tenant.server.url, tenant.name);
            let answer = Answer::of(client().get(url).bearer_auth(&officer).header("accept", accept)).await.expect(200);
            let left = tenant.record_of(answer.header("x-request-id")).await;
            assert_eq!((&left["action"], &left["subject"]), (&json!(action), &json!("officer")), "{path}");
            assert_eq!(left["used"], json!(["audit:read"]), "{path}");
            assert_eq!(left.get("query").unwrap_or(&Value::Null), &query, "{path}");
            assert_eq!(left.get("patient").unwrap_or(&Value::Null), &patient, "{path}");
            assert_eq!(left["count"].is_u64(), count, "{path}: {left}");
            // And it is found there.
            let found = world.list("?subject=officer&_count=1000", &tenant.administrator()).await;
            assert!(ids(&found).contains(&left["record"].as_str().expect("an id")), "{path}");
        }
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a01_whatever_becomes_of_a_request_it_is_one_record_in_the_list() {
    let world = World::make().await;
    let officer = world.tenant.token("audit:read").sign();
    let tenant = &world.tenant;
    let bare = client().get(format!("{}/Patient/p1", tenant.base()));
    let mut more = vec![Answer::of(bare).await.expect(401)];
    more.push(tenant.get("Patient/p1", "x.y.z").await.expect(401));
    more.push(ask(tenant, "clients", &officer).await.expect(403));
    more.push(ask(tenant, "clients", &tenant.administrator()).await.expect(200));
    more.push(Answer::of(client().post(format!("{}/t/{}/auth/token", tenant.server.url, tenant.name))).await.sound());
    let all = world.list("?_count=1000", &officer).await;
    for answer in world.done.iter().map(|(_, answer)| answer).chain(&more) {
        let of_it = all.iter().filter(|record| record["request_id"] == answer.header("x-request-id"));
        assert_eq!(of_it.count(), 1, "{} {}", answer.status, answer.body);
    }
    assert_eq!(all.len(), world.done.len() + more.len(), "requests = records");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn u01_what_callers_are_called_is_data_in_every_form() {
    let tenant = Tenant::fresh().await;
    let hostile = [
        ("=HYPERLINK(\"http://evil.example\",\"x\")", "<script>alert(1)</script>"),
        ("+1+1", "-2+3"),
        ("@SUM(1,2)", "\"quoted\", and more"),
        ("%cmd", "|calc"),
    ];
    for (subject, program) in hostile {
        let token = tenant.token("system/*.rs").with("sub", subject).with("client_id", program).sign();
        tenant.get("Patient", &token).await.expect(200);
    }
    let officer = tenant.token("audit:read").sign();
    let csv = tenant.admin(reqwest::Method::GET, "audit?action=search-type", &officer).header("accept", "text/csv");
    let csv = Answer::of(csv).await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("x-content-type-options"), "nosniff");
    assert!(csv.header("content-disposition").starts_with("attachment"));
    for cell in cells(&csv.body).iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '|', '%', '\t', '\r']), "{cell:?} is a formula");
    }
    let rows = cells(&csv.body);
    let place = |name: &str| rows[0].iter().position(|cell| cell == name).expect("a column");
    let subjects: Vec<&str> = rows[1..].iter().map(|row| row[place("subject")].trim_start_matches('\'')).collect();
    assert_eq!(subjects, hostile.iter().rev().map(|(subject, _)| *subject).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "no value makes a column");

    let lines = tenant.admin(reqwest::Method::GET, "audit?action=search-type", &officer);
    let lines = Answer::of(lines.header("accept", "application/x-ndjson")).await.expect(200);
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let subjects: Vec<Value> = lines
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON")["subject"].clone())
        .collect();
    assert_eq!(subjects, hostile.iter().rev().map(|(subject, _)| json!(subject)).collect::<Vec<_>>());
    let refused = tenant.admin(reqwest::Method::GET, "audit", &officer).header("accept", "text/html");
    problem(Answer::of(refused).await, 406, "text/csv");
    ledger::each_left_one_record().await;
}

/// The cells of a table, as RFC 4180 has them.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut within) = (Vec::new(), Vec::new(), String::new(), false);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, within) {
            ('"', true) if signs.peek() == Some(&'"') => cell.extend(signs.next()),
            ('"', _) => within = !within,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) if signs.peek() == Some(&'\n') => {
                signs.next();
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (sign, _) => cell.push(sign),
        }
    }
    rows
}

#[tokio::test]
async fn a02_a03_records_say_what_was_searched_and_list_the_entries_of_a_batch() {
    // A02 by default: the names alone; the patients and how many.
    let world = World::make().await;
    let record = world.record("search").await;
    assert_eq!((&record["query"], &record["patients"]), (&json!("code&_count"), &json!(["p1", "p2"])));
    assert_eq!(record["count"], 2);
    // A03: each entry, with what was asked of it and what became of it.
    let record = world.record("batch").await;
    let entries = json!([
        { "action": "read", "type": "Patient", "id": "p1", "patient": "p1", "decision": "allowed", "status": 200 },
        { "action": "read", "type": "Patient", "id": "p2", "patient": "p2", "decision": "allowed", "status": 200 },
        { "action": "search-type", "type": "Observation", "decision": "allowed", "status": 200, "query": "patient" },
    ]);
    assert_eq!(record["entries"], entries);
    assert_eq!((&record["patients"], &record["count"]), (&json!(["p2"]), &json!(3)));
    ledger::each_left_one_record().await;

    // In full: codes, dates and ids; never names, numbers, texts or values.
    let options = Options { queries: Queries::Full, ..Options::default() };
    let server: &'static Server = Server::for_this_test(cluster::shared(), options).await;
    let tenant = Tenant::on(server).await;
    let all = tenant.all();
    for (query, kept) in [
        (
            "Observation?code=http://loinc.org|8867-4&date=ge2026-01-01",
            "code=http://loinc.org|8867-4&date=ge2026-01-01",
        ),
        ("Observation?patient=p1&value-quantity=gt120", "patient=p1&value-quantity"),
        ("Patient?name=CANARY-Lovelace&birthdate=1980-02-29", "name&birthdate"),
        ("Patient?identifier=urn:x|mrn-1&family:exact=CANARY", "identifier&family:exact"),
        ("Patient?CANARY=CANARY", "unknown"),
    ] {
        let answer = tenant.get(query, &all).await.expect(200);
        assert_eq!(tenant.record_of(answer.header("x-request-id")).await["query"], kept, "{query}");
    }
    // Criteria of conditional requests are criteria too.
    let body = samples::patient("any", "x").to_string();
    let request =
        tenant.request(reqwest::Method::POST, "Patient", &all).header("content-type", "application/fhir+json");
    let made = Answer::of(request.header("if-none-exist", "identifier=urn:x|CANARY-1").body(body)).await.expect(201);
    assert_eq!(tenant.record_of(made.header("x-request-id")).await["query"], "identifier");
    let deleted = tenant.delete("Patient?_id=nobody", &all).await;
    assert_eq!(tenant.record_of(deleted.header("x-request-id")).await["query"], "_id=nobody");
    ledger::each_left_one_record().await;
}
