//! What an answer shows and counts, compartments, histories of a type, conditional reads.

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{Answer, Tenant, samples, tenant::client};

/// Five heart rates of p1 and two of p2, one second apart.
async fn world() -> Tenant {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (number, patient) in ["p1", "p1", "p1", "p1", "p1", "p2", "p2"].into_iter().enumerate() {
        let id = format!("o{number}");
        let time = format!("2026-03-01T08:00:0{number}Z");
        let body = samples::vital(&id, patient, samples::HEART_RATE, 70.0, &time).to_string();
        tenant.put(&format!("Observation/{id}"), &all, &body).await.expect(201);
    }
    tenant
}

#[tokio::test]
async fn totals_are_told_as_asked() {
    let tenant = world().await;
    let all = tenant.all();
    let confined = tenant.token("patient/*.rs").patient("p2").sign();
    let cases = [
        ("", &all, Some(7)),
        ("_count=3", &all, None),
        ("_count=3&_total=none", &all, None),
        ("_total=none", &all, None),
        ("_count=3&_total=accurate", &all, Some(7)),
        ("_count=3&_total=estimate", &all, Some(7)),
        ("_count=3&_total=accurate&patient=p1", &all, Some(5)),
        ("_count=1&_total=accurate&code=http://loinc.org|8867-4", &all, Some(7)),
        ("_summary=count", &all, Some(7)),
        ("_summary=count&_total=none", &all, Some(7)),
        ("_count=0", &all, Some(7)),
        ("_summary=count&date=ge2027", &all, Some(0)),
        // P19: what others have is not counted.
        ("_count=1&_total=accurate", &confined, Some(2)),
        ("_count=1&_total=estimate", &confined, Some(2)),
        ("_summary=count", &confined, Some(2)),
        ("_count=0", &confined, Some(2)),
        ("_summary=count&patient=p1", &confined, Some(0)),
    ];
    for (query, token, total) in cases {
        let answer = tenant.get(&format!("Observation?{query}"), token).await.expect(200).json();
        assert_eq!(answer.get("total").and_then(Value::as_u64), total, "{query}");
        let counted = query.contains("_summary") || query.contains("_count=0");
        assert_eq!(counted, answer.get("entry").is_none(), "{query}");
        let next = answer["link"].as_array().unwrap().iter().any(|link| link["relation"] == "next");
        assert!(!counted || !next, "{query}");
    }
}

#[tokio::test]
async fn elements_are_shown_alone_and_marked() {
    let tenant = world().await;
    let all = tenant.all();
    let whole = tenant.get("Observation/o0", &all).await.expect(200).json();
    let answer = tenant.get("Observation?_id=o0&_elements=value,Observation.subject", &all).await.expect(200);
    let shown = answer.json()["entry"][0]["resource"].clone();
    let mut names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["code", "id", "meta", "resourceType", "status", "subject", "valueQuantity"]);
    for name in ["code", "id", "subject", "valueQuantity"] {
        assert_eq!(shown[name], whole[name]);
    }
    let tag = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]);
    assert_eq!((&shown["meta"]["tag"], &shown["meta"]["versionId"]), (&tag, &json!("1")));
    assert!(answer.link("self").unwrap().ends_with("_elements=value,Observation.subject"));

    // On the pages that follow too, and in XML.
    let first = tenant.get("Observation?_elements=id&_count=4", &all).await.expect(200);
    let next = Answer::of(client().get(first.link("next").unwrap()).bearer_auth(&all)).await.expect(200);
    for page in [&first, &next] {
        assert_eq!(page.body.matches("SUBSETTED").count(), page.ids().len());
        assert!(!page.holds("valueQuantity"));
    }
    let xml = tenant.get("Observation?_elements=id&_count=4&_format=xml", &all).await.expect(200);
    assert!(xml.holds("<code value=\"SUBSETTED\"/>") && !xml.holds("valueQuantity"));
    // What is not there is not shown, and nothing is whole.
    let nothing = tenant.get("Observation?_id=o0&_elements=nothing", &all).await.expect(200);
    assert!(nothing.holds("SUBSETTED") && !nothing.holds("subject"));
}

#[tokio::test]
async fn a_compartment_holds_what_is_about_its_patient_or_performed_by_it() {
    let tenant = world().await;
    let all = tenant.all();
    let mut measured = samples::heart_rate("self", "p3");
    measured["performer"] = json!([{"reference": "Patient/p2"}]);
    tenant.put("Observation/self", &all, &measured.to_string()).await.expect(201);
    let p2 = tenant.token("patient/*.rs").patient("p2").sign();
    let heart_rates = tenant.token("vitals.heart_rate:read").patient("p1").sign();
    let cases = [
        ("Patient/p2/Observation", &all, vec!["o6", "o5", "self"]),
        ("Patient/p2/Observation?_sort=date", &all, vec!["self", "o5", "o6"]),
        ("Patient/p2/Observation?patient=p1", &all, vec![]),
        ("Patient/p2/Observation?date=2026-03-01T08:00:05Z", &all, vec!["o5"]),
        ("Patient/never/Observation", &all, vec![]),
        // A token that is confined reaches what is about its patient, whoever performed it.
        ("Patient/p2/Observation", &p2, vec!["o6", "o5"]),
        ("Patient/p1/Observation", &p2, vec![]),
        ("Patient/p1/Observation?_count=2", &heart_rates, vec!["o4", "o3"]),
        ("Patient/p2/Observation", &heart_rates, vec![]),
    ];
    for (path, token, expected) in cases {
        let mut found = tenant.get(path, token).await.expect(200);
        assert_eq!(found.link("self").unwrap(), format!("{}/{path}", tenant.base()));
        let mut ids = found.ids();
        while let Some(next) = found.link("next") {
            found = Answer::of(client().get(next).bearer_auth(token)).await.expect(200);
            ids.extend(found.ids());
        }
        let expected = if path.ends_with("_count=2") { vec!["o4", "o3", "o2", "o1", "o0"] } else { expected };
        let mut ordered = (ids.clone(), expected.clone());
        if !path.contains("_count") {
            ordered.0.sort();
            ordered.1.sort_unstable();
        }
        assert_eq!(ordered.0, ordered.1, "{path}");
    }
    tenant.get("Patient/p_2/Observation", &all).await.expect(404);
    tenant.get("Patient/p2/Observation", &tenant.token("system/Patient.rs").sign()).await.expect(403);
    tenant.get("Patient/p2/Device", &all).await.expect(404);
    tenant.post("Patient/p2/Observation", &all, "{}").await.expect_outcome(405, "not-supported");
    // A page of one compartment is no page of another list.
    let page = tenant.get("Patient/p1/Observation?_count=1", &all).await.expect(200).link("next").unwrap();
    for list in ["Observation", "Patient/p2/Observation", "Observation/_history"] {
        let moved = page.replace("Patient/p1/Observation", list);
        Answer::of(client().get(moved).bearer_auth(&all)).await.expect_outcome(404, "not-found");
    }
}

#[tokio::test]
async fn the_history_of_a_type_lists_every_version_last_written_first() {
    let tenant = world().await;
    let all = tenant.all();
    let changed = samples::vital("o0", "p2", samples::HEART_RATE, 71.0, "2026-03-01").to_string();
    tenant.put("Observation/o0", &all, &changed).await.expect(200);
    tenant.delete("Observation/o1", &all).await.expect(204);
    tenant.put("Patient/p1", &all, &samples::patient("p1", "One").to_string()).await.expect(201);

    let whole = tenant.get("Observation/_history", &all).await.expect(200);
    let listed = |answer: &Answer| -> Vec<String> {
        let entries = answer.json()["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| {
                let version = entry["response"]["etag"].as_str().unwrap().trim_matches(['W', '/', '"']);
                let place = entry["fullUrl"].as_str().unwrap().rsplit('/').next().unwrap();
                format!("{place}/{version}{}", if entry.get("resource").is_some() { "" } else { "-" })
            })
            .collect()
    };
    let expected = ["o1/2-", "o0/2", "o6/1", "o5/1", "o4/1", "o3/1", "o2/1", "o1/1", "o0/1"];
    assert_eq!(listed(&whole), expected);
    assert_eq!((&whole.json()["type"], &whole.json()["total"]), (&json!("history"), &json!(9)));
    for size in [1, 4, 9] {
        let (mut page, mut all_listed) =
            (tenant.get(&format!("Observation/_history?_count={size}"), &all).await, vec![]);
        loop {
            all_listed.extend(listed(&page));
            let Some(next) = page.link("next") else { break };
            page = Answer::of(client().get(next).bearer_auth(&all)).await.expect(200);
        }
        assert_eq!(all_listed, expected, "by {size}");
    }
    // A version is in reach only together with the current one: o0 went from p1 to p2.
    let cases = [
        ("patient/Observation.s", "p1", vec!["o1/2-", "o4/1", "o3/1", "o2/1", "o1/1"]),
        ("patient/Observation.s", "p2", vec!["o0/2", "o6/1", "o5/1"]),
        ("vitals.heart_rate:read", "p2", vec!["o0/2", "o6/1", "o5/1"]),
        ("vitals.spo2:read", "p2", vec![]),
        ("patient/Observation.s", "never", vec![]),
    ];
    for (scope, patient, expected) in cases {
        let token = tenant.token(scope).patient(patient).sign();
        assert_eq!(
            listed(&tenant.get("Observation/_history", &token).await.expect(200)),
            expected,
            "{scope} {patient}"
        );
    }
    // The letter is s; r alone is for one resource.
    tenant.get("Observation/_history", &tenant.token("system/Observation.r").sign()).await.expect(403);
    tenant.get("Patient/_history", &tenant.token("system/Observation.rs").sign()).await.expect(403);
    assert_eq!(listed(&tenant.get("Patient/_history", &all).await.expect(200)), ["p1/1"]);
    tenant.post("Observation/_history", &all, "{}").await.expect_outcome(405, "not-supported");
    assert_eq!(tenant.get("Observation/_history?_count=0", &all).await.expect(200).link("next"), None);
}

#[tokio::test]
async fn a_read_under_a_condition_answers_304_to_who_has_it() {
    let tenant = world().await;
    let all = tenant.all();
    let read = tenant.get("Observation/o0", &all).await.expect(200);
    let modified = read.header("last-modified").to_owned();
    let cases: [(&[(&str, &str)], u16); 12] = [
        (&[("if-none-match", "W/\"1\"")], 304),
        (&[("if-none-match", "\"1\"")], 304),
        (&[("if-none-match", "W/\"7\", W/\"1\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "W/\"2\"")], 200),
        (&[("if-none-match", "1")], 200),
        (&[("if-modified-since", &modified)], 304),
        (&[("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")], 304),
        (&[("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT")], 200),
        (&[("if-modified-since", "yesterday")], 200),
        // The tag says more than the time.
        (&[("if-none-match", "W/\"2\""), ("if-modified-since", &modified)], 200),
        (&[("if-none-match", "W/\"1\""), ("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT")], 304),
    ];
    for (headers, status) in cases {
        let mut request = tenant.request(Method::GET, "Observation/o0", &all);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = Answer::of(request).await.expect(status);
        assert_eq!((answer.header("etag"), answer.header("last-modified")), ("W/\"1\"", modified.as_str()));
        assert_eq!(answer.body.is_empty(), status == 304, "{headers:?}");
    }
    // T14: whoever may not see it learns nothing by a condition.
    let other = tenant.token("patient/*.rs").patient("p2").sign();
    for tag in ["W/\"1\"", "*"] {
        let request = tenant.request(Method::GET, "Observation/o0", &other).header("if-none-match", tag);
        Answer::of(request).await.expect_outcome(404, "not-found");
    }
}
