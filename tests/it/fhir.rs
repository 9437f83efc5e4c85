//! Reading and writing resources over HTTP: create, read, vread, update, delete and the history of an instance
//! (<https://hl7.org/fhir/R4/http.html>, and section 5 of the contract).

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use vitals_fhir::resource::ResourceType;
use vitals_tests::{Answer, Options, Server, Tenant, ask::content, cluster, raw, samples, tenant::client};

const FHIR: &str = "application/fhir+json";

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// A request of a resource with one more header.
async fn with(tenant: &Tenant, method: Method, path: &str, header: (&str, &str), body: Option<&str>) -> Answer {
    let mut request = tenant.request(method, path, &tenant.all()).header(header.0, header.1);
    if let Some(body) = body {
        request = request.header("content-type", FHIR).body(body.to_owned());
    }
    Answer::of(request).await.sound()
}

/// `Last-Modified` in the words of `meta.lastUpdated`, whose milliseconds it leaves out.
fn last_modified(answer: &Answer) -> String {
    let time = chrono::NaiveDateTime::parse_from_str(answer.header("last-modified"), "%a, %d %b %Y %H:%M:%S GMT");
    time.expect("an HTTP date").format("%Y-%m-%dT%H:%M:%S").to_string()
}

fn last_updated(resource: &Value) -> &str {
    resource["meta"]["lastUpdated"].as_str().expect("the server sets it")
}

#[tokio::test]
async fn create_answers_with_the_resource_and_where_it_is() {
    let tenant = Tenant::fresh().await;
    for kind in ResourceType::ALL {
        for base in [tenant.base(), format!("{}/fhir", tenant.server.url)] {
            // The id that a client sends along is not the one it gets.
            let body = content(kind, "wanted", "Lovelace").to_string();
            let request = client().post(format!("{base}/{kind}")).bearer_auth(tenant.all());
            let created = Answer::of(request.header("content-type", FHIR).body(body)).await.expect(201);

            let resource = created.json();
            let id = resource["id"].as_str().expect("an id");
            assert_ne!(id, "wanted");
            assert_eq!(created.header("location"), format!("{base}/{kind}/{id}/_history/1"));
            assert_eq!(created.header("etag"), "W/\"1\"");
            assert_eq!(resource["meta"]["versionId"], "1");
            assert!(last_updated(&resource).starts_with(&last_modified(&created)), "{}", created.body);
            assert_eq!(created.header("content-type"), "application/fhir+json; charset=utf-8");
            assert_eq!(created.header("cache-control"), "no-store");
            assert_eq!(created.header("x-content-type-options"), "nosniff");

            let read = tenant.get(&format!("{kind}/{id}"), &tenant.all()).await.expect(200);
            assert_eq!(read.body, created.body);
            tenant.get(&format!("{kind}/wanted"), &tenant.all()).await.expect_outcome(404, "not-found");
        }
    }
}

#[tokio::test]
async fn read_and_vread_answer_with_what_stands() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for kind in ResourceType::ALL {
        let path = format!("{kind}/{}", new_id());
        let id = path.split('/').next_back().expect("an id");
        let first = tenant.put(&path, &all, &content(kind, id, "one").to_string()).await.expect(201);
        let second = tenant.put(&path, &all, &content(kind, id, "two").to_string()).await.expect(200);
        assert_ne!(first.body, second.body);
        assert!(last_updated(&first.json()) < last_updated(&second.json()));

        for (address, expected, version) in [
            (path.clone(), &second, "W/\"2\""),
            (format!("{path}/_history/2"), &second, "W/\"2\""),
            (format!("{path}/_history/1"), &first, "W/\"1\""),
        ] {
            let got = tenant.get(&address, &all).await.expect(200);
            assert_eq!(got.body, expected.body, "{address}");
            assert_eq!(got.header("etag"), version);
            assert!(last_updated(&got.json()).starts_with(&last_modified(&got)));
            assert_eq!(got.header("cache-control"), "no-store");

            let head = Answer::of(tenant.request(Method::HEAD, &address, &all)).await.expect(200);
            assert_eq!(head.body, "");
            for name in ["etag", "last-modified", "content-type", "cache-control"] {
                assert_eq!(head.header(name), got.header(name), "{name}");
            }
        }
        for version in ["3", "0", "01", "-1", "+1", "1.0", "x", "18446744073709551617"] {
            tenant.get(&format!("{path}/_history/{version}"), &all).await.expect_outcome(404, "not-found");
        }
        tenant.get(&format!("{kind}/{}", new_id()), &all).await.expect_outcome(404, "not-found");
    }
}

#[tokio::test]
async fn what_is_no_id_is_not_found_and_never_written() {
    let tenant = Tenant::fresh().await;
    let long = "a".repeat(65);
    for id in [long.as_str(), "a_b", "a%20b", "a%2Fb", "%00", "a%00", "%C3%A9", "a;b", "a,b", "%2e%2e", "%61", ""] {
        for kind in ResourceType::ALL {
            let body = content(kind, "a", "x").to_string();
            for (method, status, code) in
                [("GET", 404, "not-found"), ("PUT", 400, "value"), ("DELETE", 404, "not-found")]
            {
                let head = format!(
                    "{method} /t/{}/fhir/{kind}/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
                     content-type: {FHIR}\r\ncontent-length: {}\r\n\r\n{body}",
                    tenant.name,
                    tenant.all(),
                    body.len(),
                );
                let answer = raw::exchange(tenant.server, head).await.expect("an answer");
                answer.expect_outcome(status, code);
            }
        }
    }
    // The longest id there is.
    let id = "A".repeat(63) + ".";
    tenant.put(&format!("Patient/{id}"), &tenant.all(), &samples::patient(&id, "x").to_string()).await.expect(201);
    tenant.get(&format!("Patient/{id}"), &tenant.all()).await.expect(200);
    assert_eq!(tenant.get("Patient", &tenant.all()).await.ids(), [id]);
}

#[tokio::test]
async fn update_replaces_only_the_version_it_was_made_from() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for kind in ResourceType::ALL {
        let path = format!("{kind}/{}", new_id());
        let id = path.split('/').next_back().expect("an id");
        let text = |mark: &str| content(kind, id, mark).to_string();
        let created = tenant.put(&path, &all, &text("one")).await.expect(201);
        assert_eq!(created.header("location"), format!("{}/{path}/_history/1", tenant.base()));
        assert_eq!(created.header("etag"), "W/\"1\"");

        let updated = with(&tenant, Method::PUT, &path, ("if-match", "W/\"1\""), Some(&text("two"))).await.expect(200);
        assert_eq!(updated.header("etag"), "W/\"2\"");
        assert_eq!(updated.json()["meta"]["versionId"], "2");
        assert_eq!(updated.header("location"), "");

        for (tag, status, code) in [
            ("W/\"1\"", 412, "conflict"),
            ("W/\"3\"", 412, "conflict"),
            ("\"1\"", 412, "conflict"),
            ("2", 400, "value"),
            ("W/2", 400, "value"),
            ("W/\"02\"", 400, "value"),
            ("W/\"\"", 400, "value"),
            ("W/\"2\", W/\"3\"", 400, "value"),
            ("W/\"99999999999999999999\"", 400, "value"),
        ] {
            for method in [Method::PUT, Method::DELETE] {
                let body = (method == Method::PUT).then(|| text("never"));
                let answer = with(&tenant, method, &path, ("if-match", tag), body.as_deref()).await;
                let answer = answer.expect_outcome(status, code);
                assert_eq!(answer.json()["issue"][0]["expression"][0], "http.if-match", "{tag}");
            }
        }
        assert_eq!(tenant.get(&path, &all).await.expect(200).body, updated.body);
        with(&tenant, Method::PUT, &path, ("if-match", "\"2\""), Some(&text("three"))).await.expect(200);
        with(&tenant, Method::DELETE, &path, ("if-match", "W/\"3\""), None).await.expect(204);

        // Nothing is made where a version was expected.
        let absent = format!("{kind}/{}", new_id());
        let body = content(kind, &absent[kind.name().len() + 1..], "never").to_string();
        with(&tenant, Method::PUT, &absent, ("if-match", "W/\"1\""), Some(&body)).await.expect(404);
        tenant.get(&absent, &all).await.expect_outcome(404, "not-found");
        with(&tenant, Method::PUT, &path, ("if-match", "W/\"3\""), Some(&text("never"))).await.expect(412);
    }
}

#[tokio::test]
async fn update_takes_only_the_resource_of_its_address() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let patient = samples::patient("a", "Lovelace");
    let without_id = {
        let mut body = patient.clone();
        body.as_object_mut().expect("an object").shift_remove("id");
        body
    };
    let cases = [
        ("Patient/b", patient.clone(), "invalid", "Patient.id"),
        ("Patient/A", patient.clone(), "invalid", "Patient.id"),
        ("Patient/a", without_id, "invalid", "Patient.id"),
        ("Observation/a", patient.clone(), "structure", "Observation"),
        ("Patient/a", samples::heart_rate("a", "p"), "structure", "Patient"),
    ];
    for (path, body, code, expression) in cases {
        let refused = tenant.put(path, &all, &body.to_string()).await.expect(400);
        let issue = &refused.json()["issue"][0];
        assert_eq!(issue["code"], code, "{path}: {}", refused.body);
        assert!(issue["expression"][0].as_str().expect("a place").starts_with(expression), "{}", refused.body);
        tenant.get(path, &all).await.expect(404);
    }
    tenant.post("Patient", &all, &samples::heart_rate("a", "p").to_string()).await.expect(400);

    // Conditions that nobody looks at yet are refused, not passed over.
    for (method, path, header) in [
        (Method::POST, "Patient", ("if-match", "W/\"1\"")),
        (Method::PUT, "Patient/a", ("if-none-match", "*")),
        (Method::PUT, "Patient/a", ("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT")),
        (Method::DELETE, "Patient/a", ("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT")),
    ] {
        let refused = with(&tenant, method, path, header, Some(&patient.to_string())).await;
        refused.expect_outcome(400, "not-supported");
    }
    assert_eq!(tenant.get("Patient", &all).await.expect(200).json()["total"], 0);
}

#[tokio::test]
async fn delete_hides_the_resource_and_its_versions_go_on() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for kind in ResourceType::ALL {
        let path = format!("{kind}/{}", new_id());
        let id = path.split('/').next_back().expect("an id");
        tenant.delete(&path, &all).await.expect_outcome(404, "not-found");
        let first = tenant.put(&path, &all, &content(kind, id, "MARK").to_string()).await.expect(201);

        let deleted = tenant.delete(&path, &all).await.expect(204);
        assert_eq!((deleted.body.as_str(), deleted.header("etag")), ("", "W/\"2\""));
        tenant.delete(&path, &all).await.expect(204);

        let gone = tenant.get(&path, &all).await.expect_outcome(410, "deleted");
        assert!(!gone.holds("MARK"));
        tenant.get(&format!("{path}/_history/2"), &all).await.expect_outcome(410, "deleted");
        assert_eq!(tenant.get(&format!("{path}/_history/1"), &all).await.expect(200).body, first.body);
        assert_eq!(tenant.get(&format!("{kind}?_id={id}"), &all).await.expect(200).json()["total"], 0);

        let again = tenant.put(&path, &all, &content(kind, id, "three").to_string()).await.expect(201);
        assert_eq!(again.header("etag"), "W/\"3\"");
        assert_eq!(again.header("location"), format!("{}/{path}/_history/3", tenant.base()));
        assert_eq!(tenant.get(&path, &all).await.expect(200).body, again.body);
        tenant.get(&format!("{path}/_history/2"), &all).await.expect_outcome(410, "deleted");
        assert_eq!(tenant.get(&format!("{kind}?_id={id}"), &all).await.expect(200).ids(), [id]);
        assert!(last_updated(&first.json()) < last_updated(&again.json()));
    }
}

/// All pages of a list from its first address on, each as it came.
async fn pages(tenant: &Tenant, first: &str) -> Vec<Answer> {
    let (mut pages, mut address) = (Vec::new(), format!("{}/{first}", tenant.base()));
    loop {
        let page = Answer::of(client().get(&address).bearer_auth(tenant.all())).await.expect(200);
        let next = page.link("next");
        pages.push(page);
        assert!(pages.len() < 100, "the pages do not end");
        match next {
            Some(next) => address = next,
            None => return pages,
        }
    }
}

/// Deletions and re-creations of one id by many at once, alone and in Bundles: each version is there once, and none is
/// missing.
#[tokio::test]
async fn re_creations_at_one_moment_are_versions_of_their_own() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let body = samples::heart_rate("o", "p1");
    let entry = json!({ "resource": body, "request": { "method": "PUT", "url": "Observation/o" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] }).to_string();
    let body = body.to_string();
    tenant.put("Observation/o", &all, &body).await.expect(201);
    for _ in 0..25 {
        tenant.delete("Observation/o", &all).await.expect(204);
        let requests = (0..12).map(|place| {
            let (tenant, all, body, bundle) = (&tenant, &all, &body, &bundle);
            async move {
                match place % 4 {
                    0 => tenant.delete("Observation/o", all).await,
                    1 => tenant.post("", all, bundle).await,
                    _ => tenant.put("Observation/o", all, body).await,
                }
            }
        });
        for answer in futures_util::future::join_all(requests).await {
            // Who lost against others three times is told to come again.
            assert!(answer.status < 500 || answer.status == 503, "{}: {}", answer.status, answer.body);
        }
        tenant.put("Observation/o", &all, &body).await.sound();
    }
    let history = tenant.get("Observation/o/_history?_count=1000", &all).await.expect(200).json();
    let versions: Vec<usize> = history["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| {
            entry["response"]["etag"]
                .as_str()
                .expect("an ETag")
                .trim_matches(['W', '/', '"'])
                .parse()
                .expect("a number")
        })
        .collect();
    assert_eq!(versions, (1..=versions.len()).rev().collect::<Vec<_>>());
    assert!(versions.len() > 75, "{versions:?}");
}

#[tokio::test]
async fn history_lists_every_version_newest_first() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for kind in ResourceType::ALL {
        let path = format!("{kind}/{}", new_id());
        let id = path.split('/').next_back().expect("an id");
        // Versions 1, 2, 3 (deleted), 4, 5 (deleted).
        for (mark, status) in [("one", 201), ("two", 200), ("", 204), ("four", 201), ("", 204)] {
            let answer = if mark.is_empty() {
                tenant.delete(&path, &all).await
            } else {
                tenant.put(&path, &all, &content(kind, id, mark).to_string()).await
            };
            answer.expect(status);
        }

        let whole = tenant.get(&format!("{path}/_history"), &all).await.expect(200);
        let bundle = whole.json();
        assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("history")));
        assert_eq!(bundle["total"], 5);
        assert_eq!(whole.link("self"), Some(format!("{}/{path}/_history", tenant.base())));
        assert_eq!(whole.link("next"), None);
        let entries = bundle["entry"].as_array().expect("entries");
        for (entry, version) in entries.iter().zip((1..=5).rev()) {
            assert_eq!(entry["fullUrl"], format!("{}/{path}", tenant.base()));
            assert_eq!(entry["request"]["url"], path);
            assert_eq!(entry["response"]["etag"], format!("W/\"{version}\""));
            let one = tenant.get(&format!("{path}/_history/{version}"), &all).await;
            if version == 3 || version == 5 {
                assert_eq!(entry["request"]["method"], "DELETE");
                assert_eq!(entry["response"]["status"], "204");
                assert!(entry.get("resource").is_none(), "{entry}");
                one.expect(410);
            } else {
                assert_eq!(entry["request"]["method"], "PUT");
                // Version 4 came after a deletion.
                let status = if matches!(version, 1 | 4) { "201" } else { "200" };
                assert_eq!(entry["response"]["status"], status, "version {version}");
                assert!(
                    whole.body.contains(&one.clone().expect(200).body),
                    "the entry is the text of version {version}"
                );
                assert_eq!(entry["resource"], one.json());
                assert_eq!(entry["response"]["lastModified"], entry["resource"]["meta"]["lastUpdated"]);
            }
        }
        let times: Vec<&str> =
            entries.iter().map(|entry| entry["response"]["lastModified"].as_str().expect("a time")).collect();
        assert!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");

        for size in [1, 2, 4, 5] {
            let parts = pages(&tenant, &format!("{path}/_history?_count={size}")).await;
            let listed: Vec<Value> =
                parts.iter().flat_map(|page| page.json()["entry"].as_array().cloned().expect("entries")).collect();
            assert_eq!(&listed, entries, "by {size}");
            assert_eq!(parts.len(), 5_usize.div_ceil(size));
            for page in &parts {
                assert_eq!(page.link("self"), Some(format!("{}/{path}/_history?_count={size}", tenant.base())));
                assert_eq!(page.json().get("total").is_some(), parts.len() == 1);
            }
        }
        let none = tenant.get(&format!("{path}/_history?_count=0"), &all).await.expect(200).json();
        assert!(none.get("entry").is_none() && none.get("total").is_none(), "{none}");

        tenant.get(&format!("{kind}/{}/_history", new_id()), &all).await.expect_outcome(404, "not-found");
        tenant.get(&format!("{path}/_history?_count=-1"), &all).await.expect_outcome(400, "invalid");
        let since = format!("{path}/_history?_since=2020");
        tenant.get(&since, &all).await.expect(200);
        let strict = with(&tenant, Method::GET, &since, ("prefer", "handling=strict"), None).await;
        strict.expect_outcome(400, "not-supported");
    }
}

#[tokio::test]
async fn versions_have_times_of_their_own_under_a_clock_that_stands() {
    // given a server whose clock does not move
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    server.clock.stop();
    let tenant = Tenant::on(server).await;
    let all = tenant.all();
    // when a resource is written, deleted and written again
    let text = samples::patient("a", "x").to_string();
    for status in [201, 200, 200] {
        tenant.put("Patient/a", &all, &text).await.expect(status);
    }
    tenant.delete("Patient/a", &all).await.expect(204);
    tenant.put("Patient/a", &all, &text).await.expect(201);
    // then each version is a millisecond later than the one before
    let history = tenant.get("Patient/a/_history", &all).await.expect(200).json();
    let times: Vec<i64> = history["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| {
            let text = entry["response"]["lastModified"].as_str().expect("a time");
            chrono::DateTime::parse_from_rfc3339(text).expect("an instant").timestamp_millis()
        })
        .collect();
    assert_eq!(times.len(), 5);
    assert!(times.windows(2).all(|pair| pair[0] == pair[1] + 1), "{times:?}");
}

#[tokio::test]
async fn writes_answer_with_what_the_caller_prefers() {
    let tenant = Tenant::fresh().await;
    for kind in ResourceType::ALL {
        for (prefer, expected) in [
            ("return=representation", kind.name()),
            ("return=minimal", ""),
            ("return=OperationOutcome", "OperationOutcome"),
            ("respond-async, return=minimal; x=1", ""),
            ("return=nonsense", kind.name()),
        ] {
            let id = new_id();
            let path = format!("{kind}/{id}");
            let body = content(kind, &id, "x").to_string();
            let writes = [(Method::POST, kind.name(), 201), (Method::PUT, &path, 201), (Method::PUT, &path, 200)];
            for (method, address, status) in writes {
                let answer = with(&tenant, method, address, ("prefer", prefer), Some(&body)).await.expect(status);
                if expected.is_empty() {
                    assert_eq!((answer.body.as_str(), answer.header("content-type")), ("", ""), "{prefer}");
                } else {
                    assert_eq!(answer.json()["resourceType"], expected, "{prefer}");
                }
                assert!(answer.header("etag").starts_with("W/\""));
                assert_ne!(answer.header("last-modified"), "");
                assert_eq!(answer.header("location").is_empty(), status == 200);
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_read_is_not_shown_what_it_wrote() {
    let tenant = Tenant::fresh().await;
    for kind in ResourceType::ALL {
        let blind = tenant.token(&format!("system/{kind}.cud")).sign();
        let id = new_id();
        let body = content(kind, &id, "Lovelace").to_string();
        let writes = [(Method::POST, kind.name().to_owned()), (Method::PUT, format!("{kind}/{id}"))];
        for (method, path) in writes {
            for prefer in ["return=representation", "handling=lenient"] {
                let request = tenant.request(method.clone(), &path, &blind).header("prefer", prefer);
                let answer = Answer::of(request.header("content-type", FHIR).body(body.clone())).await.sound();
                assert!(matches!(answer.status, 200 | 201), "{}", answer.status);
                assert_eq!(answer.body, "");
                assert_ne!(answer.header("etag"), "");
            }
        }
        tenant.get(&format!("{kind}/{id}"), &blind).await.expect_outcome(403, "forbidden");
    }
    // A scope that reads only some: what it wrote outside of these comes back without a body.
    let limited = "system/Observation.cu system/Observation.r?code=http://loinc.org|2708-6";
    let token = tenant.token(limited).sign();
    for (code, shown) in [(samples::SPO2, true), (samples::HEART_RATE, false)] {
        let id = new_id();
        let body = samples::vital(&id, "p1", code, 97.0, "2026-03-01").to_string();
        let put = tenant.put(&format!("Observation/{id}"), &token, &body).await.expect(201);
        assert_eq!(!put.body.is_empty(), shown, "{code}");
    }
}
