//! The pages of a search: their size, their order, and the links between them (section 5 of the contract).

use reqwest::Method;
use serde_json::{Value, json};
use vitals_fhir::resource::ResourceType;
use vitals_tests::{Answer, Options, Server, Tenant, Token, cluster, poll, samples, tenant::client};

use crate::fhir_search::{FORM, put_all, refuses};

#[tokio::test]
async fn pages_have_the_size_that_was_asked_for() {
    let tenant = Tenant::fresh().await;
    put_all(&tenant, (0..60).map(|number| samples::heart_rate(&format!("o{number:02}"), "p1"))).await;
    for (count, entries, applied) in [
        ("", 50, None),
        ("1", 1, Some("1")),
        ("59", 59, Some("59")),
        ("60", 60, Some("60")),
        ("0", 0, Some("0")),
        ("1000", 60, Some("1000")),
        ("1001", 60, Some("1000")),
        ("99999999999999999999", 60, Some("1000")),
        ("007", 7, Some("7")),
    ] {
        let query = if count.is_empty() { String::new() } else { format!("?_count={count}") };
        let page = tenant.get(&format!("Observation{query}"), &tenant.all()).await.expect(200);
        assert_eq!(page.ids().len(), entries, "{count}");
        let itself = applied.map_or_else(String::new, |count| format!("?_count={count}"));
        assert_eq!(page.link("self"), Some(format!("{}/Observation{itself}", tenant.base())));
        let more = entries < 60 && entries > 0;
        assert_eq!(page.link("next").is_some(), more, "{count}");
        // The total is told where it is known without counting, and where nothing else is asked for.
        let total = page.json().get("total").cloned();
        assert_eq!(total, (entries == 60 || entries == 0).then(|| json!(60)), "{count}");
        assert_eq!(page.json().get("entry").is_some(), entries > 0, "no empty array");
    }
    for kind in ResourceType::ALL {
        refuses(
            &tenant,
            kind,
            &[
                ("_count=-1", "invalid"),
                ("_count=ten", "invalid"),
                ("_count=1.5", "invalid"),
                ("_count=%2B1", "invalid"),
                ("_count=", "invalid"),
                ("_count=1&_count=2", "invalid"),
                ("_count:x=1", "not-supported"),
            ],
        )
        .await;
    }
}

/// Follows the links from an address on, and gives the ids of every page.
async fn follow(token: &str, first: &str) -> Vec<Vec<String>> {
    let (mut pages, mut address) = (Vec::new(), first.to_owned());
    loop {
        let page = Answer::of(client().get(&address).bearer_auth(token)).await.expect(200);
        pages.push(page.ids());
        assert!(pages.len() < 400, "the pages do not end");
        let next = page.link("next");
        assert_eq!(page.json().get("total").is_some(), pages.len() == 1 && next.is_none());
        for entry in page.json()["entry"].as_array().into_iter().flatten() {
            let base = first.split("/Observation").next().expect("a base");
            assert_eq!(
                entry["fullUrl"],
                format!("{base}/Observation/{}", entry["resource"]["id"].as_str().expect("an id"))
            );
            assert_eq!(entry["search"]["mode"], "match");
        }
        match next {
            Some(next) => {
                assert!(next.starts_with(first.split('?').next().expect("a base")), "{next}");
                assert!(next.len() < 3_000, "{} characters", next.len());
                address = next;
            }
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_result_in_its_order() {
    const DATES: [&str; 5] = ["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2025-01-01", ""];
    const SORTED: [i64; 5] = [3, 3, 4, 2, 0];
    let tenant = Tenant::fresh().await;
    // given 250 rows with five dates among them, one of them none, and two that begin at the same moment
    let rows: Vec<(String, i64, Value)> = (0..250_usize)
        .map(|number| {
            // Ids in an order of their own.
            let id = format!("{:03}-{number}", number * 7 % 250);
            let mut row = samples::vital(&id, "p1", samples::HEART_RATE, 72.0, DATES[number % 5]);
            if DATES[number % 5].is_empty() {
                row = samples::undated(row);
            }
            // Some name another vital of the same unit beside it, which the index keeps apart.
            if number % 9 == 0 {
                let other = json!({ "system": "http://loinc.org", "code": "9279-1" });
                row["code"]["coding"].as_array_mut().expect("codings").push(other);
            }
            (id, SORTED[number % 5], row)
        })
        .collect();
    put_all(&tenant, rows.iter().map(|(_, _, row)| row.clone())).await;
    let by_date = |descending: bool| {
        let mut order: Vec<(i64, &str)> = rows.iter().map(|(id, date, _)| (*date, id.as_str())).collect();
        order.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
        // One order is the other one backwards, ids of one moment too.
        if !descending {
            order.reverse();
        }
        order.into_iter().map(|(_, id)| id.to_owned()).collect::<Vec<_>>()
    };

    let queries = [
        ("_sort=date", Some(by_date(false))),
        ("_sort=-date", Some(by_date(true))),
        // A patient's observations come newest first, everything else by when it changed last.
        ("patient=p1", Some(by_date(true))),
        ("patient=p1&code=http://loinc.org%7C8867-4", Some(by_date(true))),
        ("patient=p1&code=http://loinc.org%7C8867-4&_sort=date", Some(by_date(false))),
        ("code=8867-4&_sort=date", Some(by_date(false))),
        ("", None),
        ("category=vital-signs", None),
    ];
    let everything: Vec<String> = by_date(false);
    for (query, expected) in queries {
        let of_size = |count: usize| {
            format!("{}/Observation?{query}{}_count={count}", tenant.base(), if query.is_empty() { "" } else { "&" })
        };
        let scan = follow(&tenant.all(), &of_size(1_000)).await;
        assert_eq!(scan.len(), 1);
        let mut sorted = scan[0].clone();
        if let Some(expected) = &expected {
            assert_eq!(&scan[0], expected, "{query}");
        }
        sorted.sort_unstable();
        let mut all = everything.clone();
        all.sort_unstable();
        assert_eq!(sorted, all, "{query}");
        for size in [7, 50, 249, 250] {
            let pages = follow(&tenant.all(), &of_size(size)).await;
            assert_eq!(pages.len(), 250_usize.div_ceil(size), "{query} by {size}");
            assert!(pages.iter().rev().skip(1).all(|page| page.len() == size));
            assert_eq!(pages.concat(), scan[0], "{query} by {size}");
        }
    }

    // A filter on the date leaves out those without one, and the pages agree there as well.
    let dated = follow(&tenant.all(), &format!("{}/Observation?date=ne2025&_sort=date&_count=33", tenant.base())).await;
    let expected: Vec<String> = by_date(false)
        .into_iter()
        .filter(|id| rows.iter().any(|(known, date, _)| known == id && *date != 0 && *date != 2))
        .collect();
    assert_eq!(dated.concat(), expected);

    // At the common base the links lead on there.
    let common = format!("{}/fhir/Observation?_sort=date&_count=100", tenant.server.url);
    assert_eq!(follow(&tenant.all(), &common).await.concat(), everything);
}

#[tokio::test]
async fn links_keep_the_base_and_hold_only_what_was_applied() {
    let tenant = Tenant::fresh().await;
    put_all(&tenant, (0..3).map(|number| samples::heart_rate(&format!("o{number}"), "p1"))).await;
    let query = "code=http://loinc.org%7C8867-4&color=red&date=ge2020&_sort=-date,code&_count=2&_pretty=true&patient=Patient/p1";
    let applied = "code=http://loinc.org%7C8867-4&date=ge2020&_sort=-date&_count=2&patient=Patient/p1";
    for base in [tenant.base(), format!("{}/fhir", tenant.server.url)] {
        let asked = [
            client().get(format!("{base}/Observation?{query}")),
            client().post(format!("{base}/Observation/_search")).header("content-type", FORM).body(query),
            client().post(format!("{base}/Observation/_search?{query}")).header("content-type", FORM).body(""),
        ];
        for request in asked {
            let request = request
                .bearer_auth(tenant.all())
                .header("host", "evil.example")
                .header("x-forwarded-host", "evil.example");
            let page = Answer::of(request).await.expect(200);
            assert!(!page.holds("evil.example"), "{}", page.body);
            assert_eq!(page.link("self"), Some(format!("{base}/Observation?{applied}")));
            let warnings: Vec<Value> = page.json()["entry"]
                .as_array()
                .expect("entries")
                .iter()
                .filter(|entry| entry["search"]["mode"] == "outcome")
                .flat_map(|entry| entry["resource"]["issue"].as_array().cloned().expect("issues"))
                .collect();
            let places: Vec<&Value> = warnings.iter().map(|issue| &issue["expression"][0]).collect();
            assert_eq!(places, [&json!("color"), &json!("_sort")], "{}", page.body);
            assert!(warnings.iter().all(|issue| issue["severity"] == "warning" && issue["code"] == "not-supported"));

            let next = page.link("next").expect("there are three");
            assert!(next.starts_with(&format!("{base}/Observation?_page=")), "{next}");
            assert!(!["p1", "8867", "code"].iter().any(|word| next.contains(&format!("{word}="))), "{next}");
            let last = Answer::of(client().get(&next).bearer_auth(tenant.all())).await.expect(200);
            assert_eq!(last.ids().len(), 1);
            assert_eq!(last.link("next"), None);
            assert_eq!(last.link("self"), Some(format!("{base}/Observation?{applied}")));
        }
    }
    // In the representation that was asked for, from page to page.
    let xml = tenant.get("Observation?_count=2&_format=xml", &tenant.all()).await.expect(200);
    let link = xml.body.split("<relation value=\"next\"/><url value=\"").nth(1).expect("a link").split('"').next();
    let next =
        Answer::of(client().get(link.expect("an address").replace("&amp;", "&")).bearer_auth(tenant.all())).await;
    assert_eq!(next.expect(200).header("content-type"), "application/fhir+xml; charset=utf-8");
}

#[tokio::test]
async fn a_form_asks_for_its_representation_as_an_address_does() {
    let tenant = Tenant::fresh().await;
    put_all(&tenant, (0..3).map(|number| samples::heart_rate(&format!("o{number}"), "p1"))).await;
    let all = tenant.all();
    let form = |address: &str, body: &str| {
        let request = tenant.request(Method::POST, &format!("Observation/_search{address}"), &all);
        Answer::of(request.header("content-type", FORM).body(body.to_owned()))
    };
    for (address, body, status, media) in [
        ("", "_count=2&_format=xml", 200, "application/fhir+xml"),
        ("", "_count=2&_format=application/fhir%2Bxml", 200, "application/fhir+xml"),
        ("", "_count=2&_format=json", 200, "application/fhir+json"),
        ("", "_count=2", 200, "application/fhir+json"),
        // The address decides where both say something.
        ("?_format=json", "_count=2&_format=xml", 200, "application/fhir+json"),
        ("", "_count=x&_format=xml", 400, "application/fhir+xml"),
        ("", "_count=2&_format=ttl", 406, "application/fhir+json"),
    ] {
        let answer = form(address, body).await.expect(status);
        assert_eq!(answer.header("content-type"), format!("{media}; charset=utf-8"), "{address} {body}");
    }
    // A page that follows is of the same kind.
    let xml = form("", "_count=2&_format=xml").await.expect(200);
    let link = xml.body.split("<relation value=\"next\"/><url value=\"").nth(1).expect("a link").split('"').next();
    let next = client().get(link.expect("an address").replace("&amp;", "&")).bearer_auth(&all);
    let next = Answer::of(next).await.expect(200);
    assert_eq!(next.header("content-type"), "application/fhir+xml; charset=utf-8");
}

const PAGE_SCOPE: &str = "patient/Observation.rs vitals:read system/Observation.rs";

fn caller(tenant: &Tenant) -> Token<'_> {
    tenant.token(PAGE_SCOPE).with("patient", "p1").with("fhirUser", "Practitioner/1")
}

#[tokio::test]
async fn a_page_link_is_good_for_its_caller_and_its_list_alone() {
    let (tenant, other) = (Tenant::fresh().await, Tenant::fresh().await);
    for tenant in [&tenant, &other] {
        put_all(tenant, (0..3).map(|number| samples::heart_rate(&format!("o{number}"), "p1"))).await;
    }
    let scope = PAGE_SCOPE;
    let first = tenant.get("Observation?_count=2", &caller(&tenant).sign()).await.expect(200);
    let next = first.link("next").expect("there are three");
    let page = next.split("_page=").nth(1).expect("a page").to_owned();
    let ask =
        |address: String, token: String| async move { Answer::of(client().get(address).bearer_auth(token)).await };

    // Good: the same caller with another token, and its scopes in another order.
    ask(next.clone(), caller(&tenant).sign()).await.expect(200);
    ask(next.clone(), caller(&tenant).with("scope", "system/Observation.rs patient/Observation.rs vitals:read").sign())
        .await
        .expect(200);
    ask(format!("{next}&_format=xml"), caller(&tenant).sign()).await.expect(200);
    ask(format!("{}/fhir/Observation?_page={page}", tenant.server.url), caller(&tenant).sign()).await.expect(200);
    let form =
        tenant.request(Method::POST, "Observation/_search", &caller(&tenant).sign()).header("content-type", FORM);
    Answer::of(form.body(format!("_page={page}"))).await.expect(200);

    // Not good: anybody else.
    for token in [
        caller(&tenant).with("sub", "somebody else"),
        caller(&tenant).with("client_id", "another"),
        caller(&tenant).without("client_id"),
        caller(&tenant).with("scope", "system/Observation.rs vitals:read"),
        caller(&tenant).with("scope", format!("{scope} openid")),
        caller(&tenant).with("patient", "p2"),
        caller(&tenant).without("patient"),
        caller(&tenant).with("fhirUser", "Practitioner/2"),
    ] {
        let refused = ask(next.clone(), token.sign()).await.expect_outcome(404, "not-found");
        assert!(refused.body.contains("start the search again"), "{}", refused.body);
    }
    ask(format!("{}/Observation?_page={page}", other.base()), caller(&other).sign())
        .await
        .expect_outcome(404, "not-found");
    ask(next.clone(), caller(&other).sign()).await.expect_outcome(403, "forbidden");

    // Not good: another list, another text, something beside it.
    let token = || caller(&tenant).with("scope", format!("{scope} system/Patient.rs"));
    let first = tenant.get("Observation?_count=2", &token().sign()).await.expect(200);
    let page = first.link("next").expect("a link").split("_page=").nth(1).expect("a page").to_owned();
    for path in ["Patient?_page=", "Observation/o0/_history?_page="] {
        tenant.get(&format!("{path}{page}"), &token().sign()).await.expect_outcome(404, "not-found");
    }
    let flipped = |place: usize| {
        let letter = if page.as_bytes()[place] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &page[..place], &page[place + 1..])
    };
    let last = page.len() - 1;
    let mut altered = vec![
        String::new(),
        "x".to_owned(),
        page[..last].to_owned(),
        format!("{page}A"),
        format!("{page}="),
        format!("{page}&_count=1000"),
        format!("{page}&patient=p2"),
        format!("{page}&_page={page}"),
        "A".repeat(12_000),
    ];
    altered.extend((0..last).step_by(7).map(flipped));
    for text in altered {
        let refused = tenant.get(&format!("Observation?_page={text}"), &token().sign()).await;
        refused.expect_outcome(404, "not-found");
    }
    tenant.get(&format!("Observation?_page={page}"), &token().sign()).await.expect(200);

    // A history's link is as much its own.
    tenant.put("Observation/o0", &tenant.all(), &samples::heart_rate("o0", "p1").to_string()).await.expect(200);
    let first = tenant.get("Observation/o0/_history?_count=1", &tenant.all()).await.expect(200);
    let next = first.link("next").expect("two versions");
    ask(next.clone(), tenant.all()).await.expect(200);
    ask(next.replace("/o0/", "/o1/"), tenant.all()).await.expect_outcome(404, "not-found");
    ask(next.replace("/o0/_history", ""), tenant.all()).await.expect_outcome(404, "not-found");
    ask(next, tenant.token("system/Observation.r").sign()).await.expect_outcome(404, "not-found");
}

#[tokio::test]
async fn a_page_link_is_good_for_an_hour() {
    // given a server with a clock of its own, and a page
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let tenant = Tenant::on(server).await;
    put_all(&tenant, (0..3).map(|number| samples::heart_rate(&format!("o{number}"), "p1"))).await;
    server.clock.stop();
    let first = tenant.get("Observation?_count=2", &tenant.all()).await.expect(200);
    let next = first.link("next").expect("there are three");
    // when time passes
    let after = async |seconds: i64| {
        server.clock.advance(seconds);
        // A jump of the clock makes what the server last read of the directory old until it reads again.
        poll::until("the server judges tokens again", async || {
            Answer::of(client().get(&next).bearer_auth(tenant.all())).await.status != 503
        })
        .await;
        Answer::of(client().get(&next).bearer_auth(tenant.all())).await
    };
    // then it is good until the hour is over
    assert_eq!(after(3_599).await.expect(200).ids().len(), 1);
    let refused = after(1).await.expect_outcome(404, "not-found");
    assert!(refused.body.contains("start the search again"), "{}", refused.body);
}

#[tokio::test]
async fn a_page_of_large_resources_ends_early_and_the_next_goes_on() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    // given 12 resources of 4.9 MB: more than the 50 MB of one answer
    let mut large = samples::heart_rate("x", "p1");
    large["note"] = (0..5).map(|_| json!({ "text": "a".repeat(980_000) })).collect();
    for number in 0..12 {
        let id = format!("o{number:02}");
        large["id"] = id.clone().into();
        tenant.put(&format!("Observation/{id}"), &all, &large.to_string()).await.expect(201);
    }
    for list in ["Observation?_count=1000", "Observation/_history?_count=1000"] {
        let first = tenant.get(list, &all).await.expect(200);
        assert!(first.body.len() < 52_500_000, "{list}: {} bytes", first.body.len());
        let next = first.link("next").expect("more follow");
        let second = Answer::of(client().get(next).bearer_auth(&all)).await.expect(200);
        assert!(second.link("next").is_none(), "{list}");
        let mut ids: Vec<String> = first.ids().into_iter().chain(second.ids()).collect();
        ids.sort();
        assert_eq!(ids, (0..12).map(|number| format!("o{number:02}")).collect::<Vec<_>>(), "{list}");
    }
}

#[tokio::test]
async fn a_large_page_is_the_same_beside_another_tenant() {
    // given a server of two tenants, and rows of one moment among those that are read in pieces beside others
    let server: &'static Server = Server::for_this_test(cluster::shared(), Options::default()).await;
    let (tenant, other) = (Tenant::on(server).await, Tenant::on(server).await);
    let entries: Vec<Value> = (0..250)
        .map(|number| {
            let id = format!("o{number:03}");
            let resource = samples::vital(&id, &format!("p{}", number % 3), "8867-4", 70.0, "2026-01-01T08:00:00Z");
            json!({ "resource": resource, "request": { "method": "PUT", "url": format!("Observation/{id}") } })
        })
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    tenant.post("", &tenant.all(), &bundle.to_string()).await.expect(200);

    let lists = [
        "Observation?_count=240",
        "Observation?_count=240&_sort=date",
        "Observation?_count=240&code=http://loinc.org|8867-4&_sort=-date",
        "Observation?_count=200",
        "Observation?_count=1000&_total=accurate",
        "Observation?_count=101&patient=p1",
    ];
    let read = async |list: &str| {
        let first = tenant.get(list, &tenant.all()).await.expect(200);
        let rest = match first.link("next") {
            Some(next) => Answer::of(client().get(next).bearer_auth(tenant.all())).await.expect(200).ids(),
            None => Vec::new(),
        };
        (first.ids(), rest, first.json()["total"].clone())
    };
    // when it asks alone, and beside the other
    let mut alone = Vec::new();
    for list in lists {
        alone.push(read(list).await);
    }
    for (list, alone) in lists.into_iter().zip(alone) {
        other.get("Observation", &other.all()).await.expect(200);
        // then it is told the same
        assert_eq!(read(list).await, alone, "{list}");
        assert_eq!(alone.0.len() + alone.1.len(), if list.contains("patient") { 83 } else { 250 }, "{list}");
    }
}
