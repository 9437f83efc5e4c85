//! The base over every tenant that granted something: what is found, in which order, whose it is, and what each trail
//! tells of it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use vitals_tests::{
    Answer, Tenant, ledger, poll,
    samples::{self, HEART_RATE, SPO2},
    tenant::client,
};

mod refused;
mod trails;

/// What the hospitals grant.
const HEART: &str = "vitals.heart_rate:read";
const FORM: &str = "application/x-www-form-urlencoded";

/// Three hospitals that let a research platform read heart rates, and the ids of their grants.
pub struct World {
    pub hospitals: [Tenant; 3],
    pub platform: Tenant,
    pub grants: [String; 3],
}

/// The time of an Observation, hours into a day.
fn hour(hour: usize) -> String {
    format!("2026-03-01T{hour:02}:00:00Z")
}

impl World {
    /// Heart rates a minute apart that go round the hospitals, and in each an SpO2 that nobody granted.
    pub async fn new() -> Self {
        let hospitals = [Tenant::fresh().await, Tenant::fresh().await, Tenant::fresh().await];
        let platform = Tenant::fresh().await;
        for (place, hospital) in hospitals.iter().enumerate() {
            let mark = format!("CANARY-{place}");
            hospital.put("Patient/p1", &hospital.all(), &samples::patient("p1", &mark).to_string()).await.expect(201);
            for round in 0..4 {
                let (id, time) = (format!("hr-{place}-{round}"), hour(round * 3 + place));
                let rate = samples::vital(&id, "p1", HEART_RATE, 60.0, &time);
                hospital.put(&format!("Observation/{id}"), &hospital.all(), &rate.to_string()).await.expect(201);
            }
            let spo2 = samples::vital("spo2", "p1", SPO2, 97.0, &hour(23));
            hospital.put("Observation/spo2", &hospital.all(), &spo2.to_string()).await.expect(201);
        }
        let [one, two, three] = &hospitals;
        let grants = [
            one.grant(&platform, HEART).await.id,
            two.grant(&platform, HEART).await.id,
            three.grant(&platform, HEART).await.id,
        ];
        Self { hospitals, platform, grants }
    }

    /// A token of the platform's that has an entry for each hospital.
    pub fn token(&self) -> String {
        self.token_with("")
    }

    /// The same with further scopes.
    pub fn token_with(&self, scope: &str) -> String {
        let [one, two, three] = &self.hospitals;
        self.platform.delegate_with(scope, &[(one, HEART), (two, HEART), (three, HEART)]).sign()
    }
}

/// The tenant that an entry names, the only one it does.
#[track_caller]
pub fn label(entry: &Value) -> &str {
    let tags = entry["resource"]["meta"]["tag"].as_array().expect("tags");
    let of: Vec<&str> = tags
        .iter()
        .filter(|tag| tag["system"] == "urn:vitals:tenant")
        .map(|tag| tag["code"].as_str().expect("a code"))
        .collect();
    let [one] = of.as_slice() else { panic!("one tenant in {entry}") };
    one
}

pub fn entries(answer: &Answer, mode: &str) -> Vec<Value> {
    let all = answer.json()["entry"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|entry| entry["search"]["mode"] == mode).collect()
}

/// The tenants that an answer tells something about beside its matches, with the codes of that.
pub fn told_of(answer: &Answer) -> Vec<(String, String)> {
    let outcomes = entries(answer, "outcome");
    let told = outcomes.iter().filter(|entry| entry["resource"].get("meta").is_some());
    told.map(|entry| {
        assert_eq!(entry["resource"]["issue"][0]["severity"], "warning", "nothing in a searchset is an error");
        (label(entry).to_owned(), entry["resource"]["issue"][0]["code"].as_str().expect("a code").to_owned())
    })
    .collect()
}

async fn follow(url: &str, token: &str) -> Answer {
    Answer::of(client().get(url).bearer_auth(token)).await
}

#[tokio::test]
async fn pages_over_three_hospitals_are_one_list_in_order() {
    let world = World::new().await;
    let token = world.token();
    for (sort, ascending) in [("-date", false), ("date", true)] {
        let path = format!("Observation?code=http://loinc.org|{HEART_RATE}&_sort={sort}&_count=5");
        let mut answer = world.platform.get_over_all(&path, &token).await.expect(200);
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            pages += 1;
            for entry in entries(&answer, "match") {
                let id = entry["resource"]["id"].as_str().expect("an id").to_owned();
                let place: usize = id[3..4].parse().expect("a place");
                let hospital = &world.hospitals[place];
                assert_eq!(label(&entry), hospital.name.as_str());
                assert_eq!(entry["fullUrl"], format!("{}/Observation/{id}", hospital.base()));
                found.push(id);
            }
            assert!(told_of(&answer).is_empty(), "{}", answer.body);
            let Some(next) = answer.link("next") else { break };
            assert!(next.starts_with(&format!("{}/Observation?_page=", world.platform.delegated_base())), "{next}");
            assert!(next.len() < 2_048, "{} bytes", next.len());
            answer = follow(&next, &token).await.expect(200);
        }
        let mut expected: Vec<String> = (0..12).map(|time| format!("hr-{}-{}", time % 3, time / 3)).collect();
        if !ascending {
            expected.reverse();
        }
        assert_eq!((found, pages), (expected, 3), "{sort}");
    }
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn search_by_form_and_in_xml_is_the_same_search() {
    let world = World::new().await;
    let token = world.token();
    let by_address = world.platform.get_over_all("Observation?_sort=date&_count=4", &token).await.expect(200);
    let request = world.platform.over_all(Method::POST, "Observation/_search", &token).header("content-type", FORM);
    let by_form = Answer::of(request.body("_sort=date&_count=4")).await.expect(200);
    assert_eq!(by_form.ids(), by_address.ids());
    let xml = world.platform.get_over_all("Observation?_sort=date&_count=4&_total=accurate&_format=xml", &token).await;
    let xml = xml.expect(200);
    assert!(xml.header("content-type").starts_with("application/fhir+xml"), "{:?}", xml.headers);
    assert_eq!(xml.body.matches("urn:vitals:tenant\"").count(), 4, "{}", xml.body);
    assert!(xml.body.contains("<total value=\"12\">"), "{}", xml.body);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn what_is_not_granted_is_found_nowhere() {
    let world = World::new().await;
    // The token says more than the grants do.
    let [one, two, three] = &world.hospitals;
    let all = "system/*.rs users:read vitals:read";
    let token = world.platform.delegate(&[(one, all), (two, all), (three, all)]).sign();
    let answer = world.platform.get_over_all("Observation?_count=100", &token).await.expect(200);
    assert_eq!(answer.ids().len(), 12, "heart rates alone: {}", answer.body);
    assert!(!answer.holds("spo2"), "{}", answer.body);
    world.platform.get_over_all(&format!("Observation?code={SPO2}"), &token).await.expect(200);
    world.platform.get_over_all("Observation/spo2", &token).await.expect_outcome(404, "not-found");
    // No hospital granted patients, so that no scope covers them.
    let patients = world.platform.get_over_all("Patient", &token).await.expect_outcome(403, "forbidden");
    assert!(!patients.holds("CANARY"), "{}", patients.body);
    world.platform.get_over_all("Patient/p1", &token).await.expect_outcome(403, "forbidden");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_hospital_that_granted_less_is_left_out_by_name() {
    let world = World::new().await;
    let [one, two, three] = &world.hospitals;
    one.grant(&world.platform, "users:read").await;
    let both = format!("{HEART} users:read");
    let token = world.platform.delegate(&[(one, &both), (two, &both), (three, &both)]).sign();
    let answer = world.platform.get_over_all("Patient", &token).await.expect(200);
    assert_eq!(answer.ids(), ["p1"]);
    let left_out: BTreeSet<_> = told_of(&answer).into_iter().collect();
    let expected = [two, three].map(|tenant| (tenant.name.to_string(), "forbidden".to_owned()));
    assert_eq!(left_out, BTreeSet::from(expected));
    assert!(!answer.holds("CANARY-1") && !answer.holds("CANARY-2"));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d12_own_data_stands_beside_granted_data_labelled_and_counted_apart() {
    let world = World::new().await;
    let platform = &world.platform;
    let own = samples::vital("own", "p1", HEART_RATE, 80.0, &hour(12));
    platform.put("Observation/own", &platform.all(), &own.to_string()).await.expect(201);
    // The same id as in a hospital is another resource.
    let same = samples::vital("hr-0-0", "p1", HEART_RATE, 81.0, &hour(0));
    platform.put("Observation/hr-0-0", &platform.all(), &same.to_string()).await.expect(201);

    let without =
        platform.get_over_all("Observation?_total=accurate", &world.token_with("vitals:read")).await.expect(200);
    assert_eq!((without.json()["total"].clone(), without.ids().contains(&"own".to_owned())), (json!(12), false));

    let token = world.token_with("org:self vitals:read");
    let answer = platform.get_over_all("Observation?_total=accurate&_sort=date&_count=6", &token).await.expect(200);
    let found = entries(&answer, "match");
    let of_own: Vec<_> = found.iter().filter(|entry| label(entry) == platform.name.as_str()).collect();
    assert_eq!(of_own.len(), 1);
    assert_eq!(of_own[0]["fullUrl"], format!("{}/Observation/hr-0-0", platform.base()));
    let body = answer.json();
    assert_eq!(body["total"], 14);
    let totals: BTreeSet<(String, u64)> = body["_total"]["extension"]
        .as_array()
        .expect("a count for each")
        .iter()
        .map(|of| {
            assert_eq!(of["url"], "urn:vitals:tenant-total");
            let part = |place: usize| &of["extension"][place];
            let name = part(0)["valueCode"].as_str().expect("a name").to_owned();
            (name, part(1)["valueUnsignedInt"].as_u64().expect("a number"))
        })
        .collect();
    let expected = world.hospitals.iter().map(|tenant| (tenant.name.to_string(), 4));
    assert_eq!(totals, expected.chain([(platform.name.to_string(), 2)]).collect());

    // Nothing is joined: a reference of one tenant finds nothing of another, by whatever base it is written.
    let [one, ..] = &world.hospitals;
    let there = format!("Observation?subject={}/Patient/p1&_count=50", one.base());
    let of_one = platform.get_over_all(&there, &token).await.expect(200);
    assert!(entries(&of_one, "match").iter().all(|entry| label(entry) == one.name.as_str()), "{}", of_one.body);
    assert_eq!(of_one.ids().len(), 4);
    let count = platform.get_over_all("Observation?_summary=count", &token).await.expect(200).json();
    assert_eq!((&count["total"], count.get("entry")), (&json!(14), None));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn d04_a_hospital_that_revokes_between_pages_is_left_out_and_named() {
    let world = World::new().await;
    let [one, two, three] = &world.hospitals;
    let token = world.token();
    let first = world.platform.get_over_all("Observation?_sort=date&_count=3", &token).await.expect(200);
    assert_eq!(first.ids(), ["hr-0-0", "hr-1-0", "hr-2-0"]);
    let next = first.link("next").expect("a page follows");

    two.ungrant(&world.grants[1]).await;

    let second = follow(&next, &token).await.expect(200);
    assert_eq!(second.ids(), ["hr-0-1", "hr-2-1", "hr-0-2"]);
    assert_eq!(told_of(&second), [(two.name.to_string(), "forbidden".to_owned())]);
    // It is said once; the pages behind go on without it.
    let third = follow(&second.link("next").expect("a page follows"), &token).await.expect(200);
    assert_eq!(third.ids(), ["hr-2-2", "hr-0-3", "hr-2-3"]);
    assert!(told_of(&third).is_empty(), "{}", third.body);
    // A search that begins anew says so as well: the token means that hospital.
    let anew = world.platform.get_over_all("Observation?_count=1", &token).await.expect(200);
    assert_eq!(told_of(&anew), [(two.name.to_string(), "forbidden".to_owned())]);

    // When all have revoked, the next page is refused.
    one.ungrant(&world.grants[0]).await;
    three.ungrant(&world.grants[2]).await;
    follow(&next, &token).await.expect_outcome(403, "forbidden");
    world.platform.get_over_all("Observation", &token).await.expect_outcome(403, "forbidden");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_hospital_that_cannot_answer_is_told_of_and_keeps_its_place() {
    let world = World::new().await;
    let [_, two, _] = &world.hospitals;
    let token = world.token();
    let newest = vitals_store::migrate::SchemaVersions::newest();
    let behind = async |version: i32| {
        let sql = format!(
            "UPDATE control.tenant SET version = {version} WHERE name = '{}'; \
             INSERT INTO control.change (tenant, kind, subject, at) VALUES ('{}', 'tenant', 'tests', now())",
            two.name,
            two.role()
        );
        two.server.cluster.sql(&sql).await;
        poll::until("the server knows the version", || async { two.known().await.version == version }).await;
    };
    let first = world.platform.get_over_all("Observation?_sort=date&_count=3", &token).await.expect(200);
    let next = first.link("next").expect("a page follows");

    // Its schema is one that this server does not serve.
    behind(newest + 1).await;
    let second = follow(&next, &token).await.expect(200);
    assert_eq!(second.ids(), ["hr-0-1", "hr-2-1", "hr-0-2"]);
    assert_eq!(told_of(&second), [(two.name.to_string(), "transient".to_owned())]);
    assert!(second.json().get("total").is_none(), "what is not known is not counted: {}", second.body);
    let read = world.platform.get_over_all("Observation/hr-0-1", &token).await.expect_outcome(503, "transient");
    assert!(read.holds(two.name.as_str()), "{}", read.body);

    // It is back, and nothing of it was passed over.
    behind(newest).await;
    let third = follow(&second.link("next").expect("a page follows"), &token).await.expect(200);
    assert_eq!(third.ids(), ["hr-1-1", "hr-1-2", "hr-2-2"]);
    let fourth = follow(&third.link("next").expect("a page follows"), &token).await.expect(200);
    assert_eq!(fourth.ids(), ["hr-0-3", "hr-1-3", "hr-2-3"]);
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_read_finds_the_one_tenant_that_has_the_id() {
    let world = World::new().await;
    let (platform, token) = (&world.platform, world.token());
    let [one, two, _] = &world.hospitals;
    let there = one.get("Observation/hr-0-1", &one.all()).await.expect(200);
    let answer = platform.get_over_all("Observation/hr-0-1", &token).await.expect(200);
    assert_eq!(label(&json!({ "resource": answer.json() })), one.name.as_str());
    assert_eq!(answer.header("etag"), there.header("etag"));
    assert_eq!(answer.header("last-modified"), there.header("last-modified"));
    let unlabelled = |text: &str| {
        let mut resource: Value = serde_json::from_str(text).expect("JSON");
        resource["meta"].as_object_mut().expect("a meta").shift_remove("tag");
        resource
    };
    assert_eq!(unlabelled(&answer.body), unlabelled(&there.body));
    let known = platform.over_all(Method::GET, "Observation/hr-0-1", &token).header("if-none-match", "W/\"1\"");
    Answer::of(known).await.expect(304);

    platform.get_over_all("Observation/nobody", &token).await.expect_outcome(404, "not-found");
    platform.get_over_all("Observation/not_an_id", &token).await.expect_outcome(404, "not-found");
    let same = samples::vital("hr-0-1", "p1", HEART_RATE, 61.0, &hour(1));
    two.put("Observation/hr-0-1", &two.all(), &same.to_string()).await.expect(201);
    let several = platform.get_over_all("Observation/hr-0-1", &token).await.expect_outcome(409, "multiple-matches");
    for tenant in [one, two] {
        assert!(several.holds(&format!("{}/Observation/hr-0-1", tenant.base())), "{}", several.body);
    }
    two.delete("Observation/hr-0-1", &two.all()).await.expect(204);
    platform.get_over_all("Observation/hr-0-1", &token).await.expect(200);
    one.delete("Observation/hr-0-1", &one.all()).await.expect(204);
    platform.get_over_all("Observation/hr-0-1", &token).await.expect_outcome(410, "deleted");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_label_in_the_data_does_not_pass_for_the_servers() {
    let world = World::new().await;
    let [one, two, _] = &world.hospitals;
    let mut forged = samples::vital("forged", "p1", HEART_RATE, 66.0, &hour(22));
    forged["meta"] = json!({ "tag": [
        { "system": "urn:vitals:tenant", "code": two.name.as_str() },
        { "system": "urn:test", "code": "kept" },
    ] });
    one.put("Observation/forged", &one.all(), &forged.to_string()).await.expect(201);
    let token = world.token();
    let found = world.platform.get_over_all("Observation?_id=forged", &token).await.expect(200);
    let [entry] = entries(&found, "match").try_into().expect("one match");
    assert_eq!(label(&entry), one.name.as_str());
    assert_eq!(entry["resource"]["meta"]["tag"][0]["code"], "kept");
    let part = world.platform.get_over_all("Observation?_id=forged&_elements=status", &token).await.expect(200);
    assert_eq!(label(&entries(&part, "match")[0]), one.name.as_str());
    // What stands at the hospital's own base is what was written.
    assert!(one.get("Observation/forged", &one.all()).await.expect(200).holds(two.name.as_str()));
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn the_statement_says_what_is_offered_here() {
    let world = World::new().await;
    let url = format!("{}/metadata", world.platform.delegated_base());
    let statement = Answer::of(client().get(&url)).await.expect(200).json();
    assert_eq!(statement["implementation"]["url"], world.platform.delegated_base());
    for resource in statement["rest"][0]["resource"].as_array().expect("resources") {
        assert_eq!(resource["interaction"], json!([{ "code": "read" }, { "code": "search-type" }]));
    }
    let nobody = format!("{}/t/x-nobody/delegated/fhir/metadata", world.platform.server.url);
    Answer::of(client().get(nobody)).await.expect_outcome(404, "not-found");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn a_grant_that_begins_or_ends_is_judged_by_its_own_times() {
    let server: &'static vitals_tests::Server =
        vitals_tests::Server::for_this_test(vitals_tests::cluster::shared(), vitals_tests::Options::default()).await;
    server.clock.stop();
    let (hospital, platform) = (Tenant::on(server).await, Tenant::on(server).await);
    let rate = samples::heart_rate("hr", "p1");
    hospital.put("Observation/hr", &hospital.all(), &rate.to_string()).await.expect(201);
    hospital.offer(&platform, HEART).between(60, 900).make().await;
    let ask = async || {
        let token = platform.delegate(&[(&hospital, HEART)]).sign();
        platform.get_over_all("Observation", &token).await.status
    };
    // D01 and D02, to the second, and whatever the token says of them.
    for (seconds, expected) in [(0, 403), (59, 403), (1, 200), (839, 200), (1, 403)] {
        server.clock.advance(seconds);
        assert_eq!(ask().await, expected, "{seconds} s later");
    }
    ledger::each_left_one_record().await;
}
