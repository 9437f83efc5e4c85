//! T08 to T15 and T24: rows of one tenant, asked for by way of another.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;
use vitals_fhir::{
    catalog::{self, ParameterKind},
    resource::ResourceType,
};
use vitals_tests::{Answer, Tenant, raw, samples, tenant::client};

use super::{canary, observation, two, without};

/// Everything a tenant holds, as its own token sees it.
async fn everything(tenant: &Tenant) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in ResourceType::ALL {
        let mut answer = tenant.get(&format!("{kind}?_count=1000"), &tenant.all()).await.expect(200).json();
        let entries = answer["entry"].take();
        for entry in entries.as_array().into_iter().flatten() {
            let id = entry["resource"]["id"].as_str().expect("an id");
            all.push(tenant.get(&format!("{kind}/{id}/_history"), &tenant.all()).await.expect(200).json());
        }
    }
    all
}

#[tokio::test]
async fn t08_ids_and_page_links_of_another_tenant_are_unknown() {
    let (a, b) = two().await;
    let id = Uuid::new_v4().to_string();
    for kind in ResourceType::ALL {
        let body = match kind {
            ResourceType::Patient => samples::patient(&id, &canary(&b)),
            ResourceType::Observation => observation(&b, &id),
        };
        b.put(&format!("{kind}/{id}"), &b.all(), &body.to_string()).await.expect(201);
    }
    let never = Uuid::new_v4().to_string();
    for route in [
        "Patient/:id",
        "Observation/:id",
        "Patient/:id/_history/1",
        "Observation/:id/_history/1",
        "Patient/:id/_history",
        "Observation/:id/_history",
        "Binary/:id",
        "$export-poll-status?_jobId=:id",
    ] {
        let known = without(a.get(&route.replace(":id", &id), &a.all()).await, &b).expect(404);
        let unknown = a.get(&route.replace(":id", &never), &a.all()).await;
        assert_eq!(known.anonymous(&id), unknown.anonymous(&never), "{route}");
    }
    let (ours, theirs) = (a.token("audit:read").sign(), b.token("audit:read").sign());
    for event in b.get("AuditEvent?_count=5", &theirs).await.expect(200).ids() {
        let known = a.get(&format!("AuditEvent/{event}"), &ours).await.expect(404);
        assert_eq!(known.anonymous(&event), a.get(&format!("AuditEvent/{never}"), &ours).await.anonymous(&never));
    }
    let next = b.get("Observation?_count=1", &b.all()).await.expect(200).link("next").expect("a second page");
    let page = next.split('?').nth(1).expect("a query");
    let known = without(a.get(&format!("Observation?{page}"), &a.all()).await, &b).expect(404);
    let unknown = a.get(&format!("Observation?_page={}", "A".repeat(page.len() - 6)), &a.all()).await;
    assert_eq!(known.anonymous(page), unknown.anonymous(page));
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t09_writes_at_ids_of_another_tenant_leave_its_rows_alone() {
    let (a, b) = two().await;
    let id = Uuid::new_v4().to_string();
    b.put(&format!("Observation/{id}"), &b.all(), &observation(&b, &id).to_string()).await.expect(201);
    let before = everything(&b).await;
    let path = format!("Observation/{id}");

    without(a.delete(&path, &a.all()).await, &b).expect(404);
    let request = a.request(Method::PATCH, &path, &a.all()).header("content-type", "application/json-patch+json");
    without(Answer::of(request.body("[]")).await, &b).expect(405);
    let body = observation(&a, &id).to_string();
    without(a.put(&path, &a.all(), &body).await, &b).expect(201);
    without(a.put(&path, &a.all(), &body).await, &b).expect(200);
    without(a.delete(&path, &a.all()).await, &b).expect(204);
    let request = client().put(format!("{}/{path}", b.base())).bearer_auth(a.all());
    without(Answer::of(request.header("content-type", "application/fhir+json").body(body)).await, &b).expect(403);

    assert_eq!(everything(&b).await, before);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t10_the_same_id_written_in_two_tenants_at_once_keeps_both_contents() {
    const TIMES: usize = 1_000;
    const AT_ONCE: usize = 12;
    let (a, b) = two().await;
    let (a, b): (&Tenant, &Tenant) = (Box::leak(Box::new(a)), Box::leak(Box::new(b)));
    let mut tasks = JoinSet::new();
    let tokens = [a.all(), b.all()];
    for time in 0..TIMES {
        for (tenant, token) in [a, b].into_iter().zip(&tokens) {
            if tasks.len() >= AT_ONCE {
                tasks.join_next().await.expect("a task").expect("no panic");
            }
            let token = token.clone();
            tasks.spawn(async move {
                let id = format!("same-{}", time % 7);
                let body = observation(tenant, &id).to_string();
                let answer = tenant.put(&format!("Observation/{id}"), &token, &body).await.sound();
                assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
                let other = if tenant.name == a.name { b } else { a };
                assert!(answer.holds(&canary(tenant)) && !answer.holds(&canary(other)), "{}", answer.body);
            });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    for (tenant, other) in [(a, b), (b, a)] {
        let mut versions = 0;
        for place in 0..7 {
            let read =
                without(tenant.get(&format!("Observation/same-{place}"), &tenant.all()).await, other).expect(200);
            assert!(read.holds(&canary(tenant)));
            versions +=
                read.json()["meta"]["versionId"].as_str().and_then(|v| v.parse::<usize>().ok()).expect("a version");
        }
        assert_eq!(versions, TIMES, "of {}", tenant.name);
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t11_a_reference_to_another_tenant_stays_text() {
    let (a, b) = two().await;
    let url = format!("{}/Patient/p1", b.base());
    let mut resource = observation(&a, "o2");
    resource["subject"]["reference"] = json!(url);
    a.put("Observation/o2", &a.all(), &resource.to_string()).await.expect(201);
    let read = without(a.get("Observation/o2", &a.all()).await, &b).expect(200);
    assert_eq!(read.json()["subject"]["reference"], json!(url));

    // Nobody's compartment here, and not in the other tenant's either.
    let confined = a.token("patient/*.rs").patient("p1").sign();
    a.get("Observation/o2", &confined).await.expect(404);
    assert_eq!(a.get("Observation?patient=p1", &a.all()).await.ids(), ["o1"]);
    assert_eq!(a.get(&format!("Observation?subject={url}"), &a.all()).await.ids(), ["o2"]);
    assert_eq!(b.get(&format!("Observation?patient={url}"), &b.all()).await.ids(), ["o1"]);
    without(a.get("Observation?_id=o2&_include=Observation:subject", &a.all()).await, &b).expect(400);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t12_includes_are_refused_and_show_nothing() {
    let (a, b) = two().await;
    for parameter in [
        "_include=Observation:subject",
        "_include:iterate=Observation:subject",
        "_include=*",
        "_revinclude=*",
        "_revinclude:iterate=Observation:subject",
        "_revinclude=Observation:subject",
    ] {
        for kind in ResourceType::ALL {
            let answer = without(a.get(&format!("{kind}?{parameter}"), &a.all()).await, &b);
            answer.expect_outcome(400, "not-supported");
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t13_page_links_are_good_for_their_tenant_caller_and_list_alone() {
    let (a, b) = two().await;
    a.put("Observation/o2", &a.all(), &observation(&a, "o2").to_string()).await.expect(201);
    a.put("Observation/o2", &a.all(), &observation(&a, "o2").to_string()).await.expect(200);
    let first = a.get("Observation?_count=1", &a.all()).await.expect(200);
    let next = first.link("next").expect("a second page");
    let page = next.split('?').nth(1).expect("a query").to_owned();
    let history = a.get("Observation/o2/_history?_count=1", &a.all()).await.link("next").expect("an older version");
    let older = history.split('?').nth(1).expect("a query").to_owned();
    assert!(page.starts_with("_page=") && !page.contains("_count"), "a link shows nothing of the search: {page}");

    let altered = format!("{}{}", &page[..page.len() - 1], if page.ends_with('A') { 'B' } else { 'A' });
    let own = a.token("system/*.cruds");
    for (tenant, path, token) in [
        (&b, format!("Observation?{page}"), b.all()),
        (&a, format!("Observation?{page}"), a.token("system/*.rs").sign()),
        (&a, format!("Observation?{page}"), a.token("system/*.cruds").with("sub", "another").sign()),
        (&a, format!("Observation?{page}"), a.token("system/*.cruds").with("client_id", "another").sign()),
        (&a, format!("Observation?{page}"), a.token("system/*.cruds").patient("p1").sign()),
        (&a, format!("Patient?{page}"), own.sign()),
        (&a, format!("Observation/o2/_history?{page}"), a.all()),
        (&a, format!("Observation?{older}"), a.all()),
        (&a, format!("Observation/o1/_history?{older}"), a.all()),
        (&a, format!("Observation?{altered}"), a.all()),
        (&a, format!("Observation?{page}&_count=100"), a.all()),
        (&a, format!("Observation?{page}&{page}"), a.all()),
        (&a, "Observation?_page=".to_owned(), a.all()),
    ] {
        tenant.get(&path, &token).await.sound().expect_outcome(404, "not-found");
    }
    let at_b = client().get(next.replace(&a.base(), &b.base())).bearer_auth(a.all());
    without(Answer::of(at_b).await, &b).expect(403);
    // A token made anew for the same caller goes on.
    assert_eq!(a.get(&format!("Observation?{page}"), &a.all()).await.expect(200).ids().len(), 1);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t14_tags_of_another_tenant_change_nothing() {
    let (a, b) = two().await;
    for round in 0..3 {
        let status = if round == 0 { 201 } else { 200 };
        b.put("Observation/o5", &b.all(), &observation(&b, "o5").to_string()).await.expect(status);
    }
    let tag = b.get("Observation/o5", &b.all()).await.header("etag").to_owned();
    assert_eq!(tag, "W/\"3\"");
    for path in ["Observation/o5", "Observation/o1", "Observation", "Observation/o1/_history"] {
        let plain = a.get(path, &a.all()).await;
        for header in ["if-none-match", "if-match", "if-modified-since"] {
            let request = a.request(Method::GET, path, &a.all()).header(header, &tag);
            let answer = without(Answer::of(request).await, &b);
            assert_eq!(answer.anonymous("-"), plain.anonymous("-"), "{header} on {path}");
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t15_a_conditional_create_looks_at_no_other_tenant() {
    let (a, b) = two().await;
    b.put("Observation/o6", &b.all(), &observation(&b, "o6").to_string()).await.expect(201);
    let before = everything(&a).await;
    for status in [201, 200] {
        let mut own = observation(&a, "x");
        own["identifier"][0]["value"] = "mark-o6".into();
        let request = a.request(Method::POST, "Observation", &a.all()).header("if-none-exist", "identifier=mark-o6");
        let request = request.header("content-type", "application/fhir+json").body(own.to_string());
        without(Answer::of(request).await, &b).expect(status);
    }
    assert_ne!(everything(&a).await, before, "created, whatever the other tenant has");
    a.delete("Observation?identifier=mark-o6", &a.all()).await.expect(204);
    b.get("Observation/o6", &b.all()).await.expect(200);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn t24_sql_in_search_parameters_is_only_text() {
    let (a, b) = two().await;
    let all = a.all();
    let expected = everything(&a).await;
    for text in [
        "'",
        "''",
        "\\",
        "\\'",
        "\"",
        "$1",
        "$$",
        "%",
        "_",
        "p_",
        "%1%",
        "*",
        "p1'--",
        "p1' OR '1'='1",
        "p1\\' OR 1=1--",
        "') OR TRUE--",
        "'||pg_sleep(30)||'",
        "1;SELECT pg_sleep(30)--",
        "1) OR (SELECT 1 FROM pg_sleep(30)) IS NOT NULL--",
        "x'::jsonb",
        "::jsonb",
        "E'\\x27'",
        "U&'\\0027'",
        "{1,2}",
        "{\"a\",NULL}",
        "NULL",
        "/**/",
        "\u{2019}",
        "\u{ff07}",
        "a\nb",
        "a\tb",
        "http://loinc.org|8867-4' OR '1'='1",
        "http://loinc.org|'",
        "|'",
        "'|",
        "Patient/p1'",
        "ge2026-01-01' OR '1'='1",
        "2026-01-01'::date",
    ] {
        for kind in ResourceType::ALL {
            for parameter in catalog::parameters(kind) {
                let pair = format!("{}={}", parameter.name, raw::escaped(text));
                let request = a.request(Method::POST, &format!("{kind}/_search"), &all);
                let form = request.header("content-type", "application/x-www-form-urlencoded").body(pair.clone());
                for answer in [a.get(&format!("{kind}?{pair}"), &all).await, Answer::of(form).await] {
                    let answer = without(answer, &b);
                    let what = format!("{kind}?{}={text}: {}", parameter.name, answer.body);
                    match answer.status {
                        400 => {
                            answer.json();
                        }
                        // A key that is not known is ignored; a value that is not there finds nothing.
                        200 if parameter.kind == ParameterKind::Result => assert_eq!(answer.ids().len(), 1, "{what}"),
                        200 => assert_eq!(answer.ids(), Vec::<String>::new(), "{what}"),
                        _ => panic!("{what}"),
                    }
                }
            }
        }
    }
    // In names of parameters, in paths and in headers as well.
    for odd in ["'", "id'--", "_id;DROP%20TABLE%20patient", "code:'", "%22", "_sort'", "patient.name'"] {
        let answer = without(a.get(&format!("Observation?{odd}=1"), &all).await, &b);
        assert!(matches!(answer.status, 200 | 400), "{odd}: {}", answer.body);
        let answer = without(a.get(&format!("Observation/{odd}"), &all).await, &b);
        answer.expect_outcome(404, "not-found");
        let answer = without(a.get(&format!("Observation/o1/_history/{odd}"), &all).await, &b);
        answer.expect_outcome(404, "not-found");
        let request =
            a.request(Method::GET, "Observation/o1", &all).header("x-request-id", odd).header("traceparent", odd);
        without(Answer::of(request).await, &b).expect(200);
    }
    assert_eq!(everything(&a).await, expected);
    vitals_tests::ledger::each_left_one_record().await;
}
