//! Searches that mean to see more than they may: ATTACKS P09–P13, P17–P20 and X22–X28, by their numbers. Whatever a
//! search asks, it narrows what the token reaches.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use vitals_fhir::vital::LOINC;
use vitals_tests::{Answer, Tenant, samples, tenant::client};

const CANARY: &str = "CANARY-P2";
/// LOINC code of a component that any vital may have, in whichever unit, and stays that vital alone.
const METHOD: &str = "8357-6";

/// P1 and P2, each with heart rates, temperatures, pressures and a laboratory value; P2's are marked all over, and
/// refer to P1 where they can.
async fn world() -> Tenant {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for (patient, mark, other) in [("P1", "own", "P2"), ("P2", CANARY, "P1")] {
        let mut body = samples::patient(patient, mark);
        body["gender"] = "female".into();
        body["active"] = true.into();
        tenant.put(&format!("Patient/{patient}"), &all, &body.to_string()).await.expect(201);
        for (label, code) in [("hr", samples::HEART_RATE), ("spo", samples::SPO2), ("lab", samples::GLUCOSE)] {
            for number in 0..4 {
                let id = format!("{patient}-{label}-{number}");
                let time = format!("2026-03-0{}T08:00:00Z", number + 1);
                let mut body = samples::vital(&id, patient, code, 70.0 + f64::from(number), &time);
                if label == "lab" {
                    body["category"] = json!([{"coding": [{"code": "laboratory", "display": mark}]}]);
                }
                body["note"] = json!([{"text": mark}]);
                body["code"]["text"] = mark.into();
                body["identifier"] = json!([{"system": "urn:test:marks", "value": mark}]);
                body["subject"]["identifier"] = json!({"system": "urn:test:mrn", "value": format!("mrn-{patient}")});
                body["encounter"] = json!({"reference": format!("Encounter/{patient}")});
                body["performer"] = json!([{"reference": format!("Patient/{other}")}]);
                body["device"] = json!({"reference": format!("Device/{patient}")});
                body["focus"] = json!([{"reference": format!("Patient/{other}")}]);
                body["component"] = json!([{"code": {"coding": [{"system": LOINC, "code": METHOD}, {"code": mark, "display": mark}]},
                    "valueQuantity": {"value": 90, "unit": mark}}]);
                tenant.put(&format!("Observation/{id}"), &all, &body.to_string()).await.expect(201);
            }
        }
    }
    tenant
}

/// A token for each kind of scope, and the ids of Observations it reaches.
fn tokens(tenant: &Tenant) -> Vec<(&'static str, String, Vec<String>)> {
    let ids = |labels: &[&str]| -> Vec<String> {
        labels.iter().flat_map(|label| (0..4).map(move |number| format!("P1-{label}-{number}"))).collect()
    };
    let confined = |scope: &str| tenant.token(scope).patient("P1").sign();
    let limited =
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs";
    vec![
        ("patient/*.rs", confined("patient/*.rs"), ids(&["hr", "lab", "spo"])),
        ("patient/*.read", confined("patient/*.read"), ids(&["hr", "lab", "spo"])),
        ("vitals:read", confined("vitals:read"), ids(&["hr", "spo"])),
        ("vitals.heart_rate:read", confined("vitals.heart_rate:read"), ids(&["hr"])),
        ("patient/Observation.rs?category", confined(limited), ids(&["hr", "spo"])),
        ("user/*.rs", tenant.token("user/*.rs").with("fhirUser", "Patient/P1").sign(), ids(&["hr", "lab", "spo"])),
    ]
}

/// Searches of Observations, each in the form it would find P2's if it could.
const SEARCHES: [&str; 62] = [
    "",
    "patient=P2",
    "subject=Patient/P2",
    "subject={base}/Patient/P2",
    "subject:Patient=P2",
    "subject=P2",
    "subject:identifier=urn:test:mrn|mrn-P2",
    "patient:identifier=mrn-P2",
    "patient=P1&patient=P2",
    "patient=P1,P2",
    "patient:missing=true",
    "patient:missing=false",
    "subject:missing=false",
    "performer=Patient/P1",
    "performer=Patient/P2",
    "performer:Patient=P1",
    "encounter=P2",
    "encounter:missing=false",
    "device=Device/P2",
    "device=P1,P2",
    "code=8867-4",
    "code=http://loinc.org|8867-4",
    "code=http://loinc.org|",
    "code:not=8867-4",
    "code:not=nothing",
    "code:text=CANARY",
    "code:missing=false",
    "category:not=vital-signs",
    "category:not=nothing",
    "category:text=CANARY",
    "category:missing=false",
    "status=final",
    "status:not=amended",
    "identifier=CANARY-P2",
    "identifier:not=own",
    "identifier:missing=false",
    "date=ge2000",
    "date=ne2000",
    "date:missing=false",
    "value-quantity=gt0",
    "value-quantity=ne0",
    "value-quantity=gt0||/min",
    "value-quantity:missing=false",
    "value-concept:missing=true",
    "value-concept:not=x",
    "combo-code=CANARY-P2",
    "combo-code=8867-4,CANARY-P2",
    "combo-code:not=nothing",
    "combo-code:text=CANARY",
    "component-code=CANARY-P2",
    "component-code:not=own",
    "component-code:missing=false",
    "component-value-quantity=90||CANARY-P2",
    "component-value-quantity=gt0",
    "code-value-quantity=8867-4$gt0",
    "code-value-quantity=http://loinc.org|8867-4$gt0,8867-4$gt0",
    "combo-code-value-quantity=CANARY-P2$gt0,8867-4$gt0",
    "component-code-value-quantity=CANARY-P2$gt0",
    "_lastUpdated=ge2000",
    "_id=P2-hr-0,P1-hr-0",
    "_sort=-_lastUpdated",
    "_sort=date&patient=P1,P2",
];

/// P09, P19, X28
#[tokio::test]
async fn p09_p19_filters_never_widen_what_is_visible() {
    let tenant = world().await;
    let all = tenant.all();
    for search in SEARCHES {
        let search = search.replace("{base}", &tenant.base());
        let joined = |rest: &str| format!("Observation?{search}&{rest}");
        // What the search finds for who may see everything, narrowed to what the token reaches, is what it finds.
        let everything = tenant.get(&joined("_count=1000"), &all).await.expect(200).ids();
        for (scope, token, reach) in tokens(&tenant) {
            let mut expected: Vec<_> = everything.iter().filter(|id| reach.contains(id)).cloned().collect();
            let answer = tenant.get(&joined("_count=1000"), &token).await.expect(200);
            let mut found = answer.ids();
            assert!(!found.iter().any(|id| id.starts_with("P2")), "{scope} {search}: {found:?}");
            assert!(search.contains(CANARY) || !answer.holds(CANARY), "{scope} {search}");
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{scope} {search}");
            for count in ["_summary=count", "_count=0", "_count=1&_total=accurate", "_count=1&_total=estimate"] {
                let counted = tenant.get(&joined(count), &token).await.expect(200).json();
                assert_eq!(counted["total"], expected.len(), "{scope} {search} {count}");
            }
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// P09: the answer is the same for a patient that exists and for one that does not.
#[tokio::test]
async fn p09_a_search_for_another_patient_does_not_tell_whether_it_exists() {
    let tenant = world().await;
    let never = "P7";
    let searches = [
        "Observation?patient={}",
        "Observation?subject=Patient/{}",
        "Observation?subject:Patient={}",
        "Observation?subject=%62ase/Patient/{}",
        "Observation?subject:identifier=mrn-{}",
        "Observation?encounter={}",
        "Observation?performer=Patient/P1&patient={}",
        "Observation?_id={}-hr-0",
        "Observation?patient={}&_summary=count",
        "Observation?patient={}&_count=1&_total=accurate",
        "Patient/{}/Observation?performer:missing=true",
        "Patient?_id={}",
        "Patient?identifier=mrn-{}",
    ];
    for (scope, token, _) in tokens(&tenant) {
        for search in searches {
            let one = tenant.get(&search.replace("{}", "P2"), &token).await;
            let other = tenant.get(&search.replace("{}", never), &token).await;
            assert_eq!(one.anonymous("P2"), other.anonymous(never), "{scope} {search}");
            assert!(one.status != 200 || one.json()["total"] == 0, "{scope} {search}: {}", one.body);
        }
    }
    // Patients by each of their parameters.
    let token = tenant.token("patient/*.rs").patient("P1").sign();
    for search in [
        "",
        "gender=female",
        "active=true",
        "gender:not=male",
        "active:not=false",
        "family:missing=false",
        "name:contains=CANARY",
        "family:exact=CANARY-P2",
        "given=ada",
        "birthdate=1980-02-29",
        "birthdate:missing=false",
        "identifier:missing=false",
        "identifier:not=x",
        "_sort=family",
        "_sort=-birthdate",
        "_lastUpdated=ge2000",
    ] {
        let answer = tenant.get(&format!("Patient?{search}"), &token).await.expect(200);
        assert!(answer.ids().iter().all(|id| id == "P1"), "{search}: {}", answer.body);
        assert!(search.contains(CANARY) || !answer.holds(CANARY), "{search}: {}", answer.body);
    }
    vitals_tests::ledger::each_left_one_record().await;
}

async fn form(tenant: &Tenant, path: &str, token: &str, body: &str) -> Answer {
    let request = tenant.request(Method::POST, path, token);
    Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())).await
}

/// P10
#[tokio::test]
async fn p10_parameters_in_form_and_address_narrow_each_other() {
    let tenant = world().await;
    let all = tenant.all();
    for (query, body, found) in
        [("patient=P1", "patient=P2", 0), ("patient=P1", "code=8867-4", 4), ("", "patient=P2", 12)]
    {
        let answer = form(&tenant, &format!("Observation/_search?{query}"), &all, body).await.expect(200);
        assert_eq!(answer.json()["total"], found, "{query} {body}");
    }
    let token = tenant.token("patient/*.rs").patient("P1").sign();
    let answer = form(&tenant, "Observation/_search?patient=P1,P2", &token, "patient=P2").await.expect(200);
    assert_eq!(answer.json()["total"], 0);
    vitals_tests::ledger::each_left_one_record().await;
}

/// P11, P12, P13 and X28: what is not offered is refused, the same for whatever it would find.
#[tokio::test]
async fn p11_p12_p13_chains_joins_and_strange_modifiers_are_refused_alike() {
    let tenant = world().await;
    for (scope, token, _) in tokens(&tenant) {
        for query in [
            "Observation?subject.name=CANARY-P2",
            "Observation?subject:Patient.identifier=mrn-P2",
            "Observation?_has:Observation:patient:code=8867-4",
            "Patient?_has:Observation:patient:code-value-quantity=8867-4$gt90",
            "Patient?_has:Observation:patient:code-value-quantity=8867-4$gt1",
            "Observation?_filter=patient eq P2",
            "Observation?_include=Observation:performer",
            "Observation?_revinclude=Observation:focus",
            "Observation?patient:above=P2",
            "Observation?code:in=http://x",
            "Observation?identifier:of-type=a|b|CANARY",
            "Observation?patient:not=P1",
            "Observation?_id:not=P1-hr-0",
        ] {
            let answer = tenant.get(query, &token).await;
            let refused = if query.starts_with("Patient") && answer.status == 403 { 403 } else { 400 };
            assert_eq!(answer.status, refused, "{scope} {query}: {}", answer.body);
            assert!(!answer.holds(CANARY), "{scope} {query}: {}", answer.body);
        }
        // P13: passed over aloud, and never more than the token reaches.
        for name in ["_content", "_text", "_query", "_list", "_contained"] {
            let answer = tenant.get(&format!("Observation?{name}={CANARY}"), &token).await.expect(200);
            assert!(!answer.holds(CANARY), "{scope} {name}");
            assert!(answer.holds("\"mode\":\"outcome\""), "{scope} {name}");
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// P17, P20: pages skip and repeat nothing where rows out of reach lie in between, and their number tells nothing.
#[tokio::test]
async fn p17_p20_pages_hold_what_is_visible_and_no_gaps() {
    let tenant = world().await;
    for (scope, token, reach) in tokens(&tenant) {
        for search in ["", "_sort=date", "_sort=-_lastUpdated", "_sort=_lastUpdated", "performer:missing=false"] {
            for size in [1, 3, reach.len()] {
                let mut address = format!("{}/Observation?{search}&_count={size}", tenant.base());
                let (mut found, mut pages) = (Vec::new(), 0);
                loop {
                    let page = Answer::of(client().get(&address).bearer_auth(&token)).await.expect(200);
                    found.extend(page.ids());
                    pages += 1;
                    let Some(next) = page.link("next") else { break };
                    address = next;
                }
                assert_eq!(pages, reach.len().div_ceil(size), "{scope} {search} by {size}");
                let mut expected = reach.clone();
                found.sort();
                expected.sort();
                assert_eq!(found, expected, "{scope} {search} by {size}");
            }
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// P18: a link is good for the caller and the list it was made for.
#[tokio::test]
async fn p18_a_page_link_is_nobody_elses() {
    let tenant = world().await;
    let own = tenant.token("patient/*.rs").patient("P1").sign();
    for list in ["Observation?_count=1&_sort=date", "Patient/P1/Observation?_count=1", "Observation/_history?_count=1"]
    {
        let next = tenant.get(list, &own).await.expect(200).link("next").expect("a second page");
        Answer::of(client().get(&next).bearer_auth(&own)).await.expect(200);
        let others = [
            tenant.token("patient/*.rs").patient("P2").sign(),
            tenant.token("patient/*.cruds").patient("P1").sign(),
            tenant.all(),
        ];
        for token in others {
            Answer::of(client().get(&next).bearer_auth(&token)).await.expect_outcome(404, "not-found");
        }
        for tampered in [format!("{next}A"), format!("{next}&patient=P2"), format!("{next}&_elements=id"), {
            next.replace("/Observation", "/Patient")
        }] {
            assert_eq!(Answer::of(client().get(&tampered).bearer_auth(&own)).await.status, 404, "{tampered}");
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// What is malformed is 400 and says where; nothing fails inside.
#[tokio::test]
async fn malformed_searches_are_refused_at_their_place() {
    let tenant = world().await;
    let all = tenant.all();
    let refused: [(&str, &[&str]); 4] = [
        (
            "X22 dates that are none",
            &[
                "date=0000",
                "date=9999-99-99",
                "date=2026-01-01T00:00:00%2B14:01",
                "date=10000",
                "date=gtgt2026",
                "date=",
                "_lastUpdated=0000",
                "_lastUpdated=yesterday",
                "date=2026-02-30",
            ],
        ),
        (
            "X23 quantities that are none",
            &[
                "value-quantity=gt1e400",
                "value-quantity=5.4||",
                "value-quantity=|||",
                "value-quantity=5.4|mg",
                "value-quantity=5.4|http://unitsofmeasure.org|",
                "value-quantity=NaN",
                "value-quantity=1e-400",
                "component-value-quantity=|",
                "code-value-quantity=8867-4",
                "code-value-quantity=$5",
                "code-value-quantity=8867-4$gt1e400",
                "combo-code-value-quantity=a$b",
                "value-quantity=ap5",
            ],
        ),
        ("X26 counts that are none", &["_count=-1", "_count=abc", "_count=1e9", "_count=1.5"]),
        (
            "X28 modifiers and words that are not offered",
            &[
                "patient:in=x",
                "code:above=x",
                "category:below=x",
                "status:of-type=a|b|c",
                "code:missing=maybe",
                "patient:Practitioner=x",
                "_total=all",
                "_summary=everything",
                "_elements=a;b",
            ],
        ),
    ];
    for (label, queries) in refused {
        for query in queries {
            let answer = tenant.get(&format!("Observation?{query}"), &all).await.expect(400);
            assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{label}: {query}");
            assert!(!answer.json()["issue"][0]["expression"].is_null(), "{label}: {query}: {}", answer.body);
        }
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// What is strange is exact, and as quick as anything else.
#[tokio::test]
async fn strange_searches_are_exact() {
    let tenant = world().await;
    let all = tenant.all();
    let long = "a".repeat(10_000);
    let exact = [
        ("X22 a date that is one", "date=2016-12-31T23:59:60Z", 0),
        ("X22 a date that is one", "date=ge0001", 24),
        ("X22 a date that is one", "date=le9999-12-31", 24),
        ("X24 a pattern is text", "code=%25", 0),
        ("X24 a pattern is text", "code=_", 0),
        ("X24 a pattern is text", "code:text=%25", 0),
        ("X24 a pattern is text", "code:text=((((", 0),
        ("X24 a pattern is text", "identifier=.*", 0),
        ("X24 a pattern is text", &*format!("code={long}"), 0),
        ("X29 code of another language is text", "value-quantity=70||'%20OR%201=1--", 0),
        ("X29 code of another language is text", "value-quantity=70|http://unitsofmeasure.org|${jndi:ldap://x}", 0),
        ("X29 code of another language is text", "value-quantity=70|http://unitsofmeasure.org|{{7*7}}", 0),
        ("X29 code of another language is text", "combo-code=';DROP TABLE observation;--", 0),
        ("X29 code of another language is text", "value-quantity=1e300", 0),
        ("X29 code of another language is text", "value-quantity=gt-1e300", 24),
    ];
    for (label, query, found) in exact {
        let began = Instant::now();
        let answer = tenant.get(&format!("Observation?{query}"), &all).await.expect(200);
        assert_eq!(answer.json()["total"], found, "{label}: {query}");
        assert!(began.elapsed() < Duration::from_secs(5), "{label}: {query}: {:?}", began.elapsed());
    }
    let many = |what: &str, count: usize| vec![what; count].join(",");
    for (label, body, status) in [
        ("X25 1,000 values", format!("code={}", many("a", 1_000)), 200),
        ("X25 1,001 values", format!("code={}", many("a", 1_001)), 400),
        ("X25 200 parameters", ["code:not=a"; 200].join("&"), 200),
        ("X25 201 parameters", ["code=a"; 201].join("&"), 400),
        ("X25 1,000 pairs", format!("combo-code-value-quantity={}", many("a$gt1", 1_000)), 200),
        ("X25 1,000 quantities", format!("value-quantity={}", many("gt1|http://unitsofmeasure.org|kg", 1_000)), 200),
    ] {
        let answer = form(&tenant, "Observation/_search", &all, &body).await;
        assert_eq!(answer.status, status, "{label}: {:.300}", answer.body);
        assert!(status == 200 || answer.json()["issue"][0]["code"] == "too-costly", "{label}: {}", answer.body);
    }
    for (label, query, status, found) in [
        ("X25 an address of 64 kB", format!("code={}", "a".repeat(64_000)), 414, 0),
        ("X26 more than a page may have", "_count=1000000000".to_owned(), 200, 24),
        ("X26 no entries", "_count=0".to_owned(), 200, 0),
        ("X26 an offset, which is not offered", "_offset=99999999999".to_owned(), 200, 24),
    ] {
        let answer = tenant.get(&format!("Observation?{query}"), &all).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
        assert!(status != 200 || answer.ids().len() == found, "{label}: {}", answer.body);
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// X27: an unknown parameter is passed over aloud, or refused where that is asked for.
#[tokio::test]
async fn x27_unknown_parameters_are_told() {
    let tenant = world().await;
    let all = tenant.all();
    let unknown = ["foo=1", "Patient=P1", "value-string=x", "_security=R", "_sort=status", "_summary=true"];
    for query in unknown {
        let answer = tenant.get(&format!("Observation?patient=P1&{query}"), &all).await.expect(200);
        assert_eq!((answer.json()["total"].clone(), answer.ids().len()), (json!(12), 12), "{query}");
        assert_eq!(answer.link("self"), Some(format!("{}/Observation?patient=P1", tenant.base())), "{query}");
        let warned =
            answer.json()["entry"].as_array().unwrap().iter().any(|entry| entry["search"]["mode"] == "outcome");
        assert!(warned, "{query}");
        let request = tenant.request(Method::GET, &format!("Observation?{query}"), &all);
        Answer::of(request.header("prefer", "handling=strict")).await.expect_outcome(400, "not-supported");
    }
    vitals_tests::ledger::each_left_one_record().await;
}

/// Global: nothing of P2's stands in any answer to whoever may only see P1's, errors among them.
#[tokio::test]
async fn ids_out_of_reach_are_ids_that_never_were() {
    let tenant = world().await;
    let token = tenant.token("patient/*.rs").patient("P1").sign();
    for path in ["Observation/P2-hr-0", "Observation/P2-hr-0/_history", "Observation/P2-hr-0/_history/1", "Patient/P2"]
    {
        let id = path.split('/').nth(1).unwrap();
        let never = id.replace("P2", "Q9");
        let one = tenant.get(path, &token).await.expect(404);
        let other = tenant.get(&path.replace(id, &never), &token).await;
        assert_eq!(one.anonymous(id), other.anonymous(&never), "{path}");
    }
    let history: Value = tenant.get("Observation/_history?_count=1000", &token).await.expect(200).json();
    assert_eq!(history["total"], 12);
    assert!(!history.to_string().contains(CANARY));
    vitals_tests::ledger::each_left_one_record().await;
}
