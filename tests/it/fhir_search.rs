//! Searching over HTTP: every parameter of the catalog, what is refused and what is passed over
//! (<https://hl7.org/fhir/R4/search.html>, and section 5 of the contract).

use std::collections::BTreeMap;

use chrono::DateTime;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vitals_fhir::{
    catalog::{self, ParameterKind},
    resource::ResourceType,
    search::form_text,
};
use vitals_tests::{Answer, Tenant, samples, tenant::client};

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// PUTs resources, several at once.
pub async fn put_all(tenant: &Tenant, resources: impl IntoIterator<Item = Value>) {
    let (mut tasks, token) = (JoinSet::new(), tenant.all());
    for resource in resources {
        let address = format!(
            "{}/{}/{}",
            tenant.base(),
            resource["resourceType"].as_str().expect("a type"),
            resource["id"].as_str().expect("an id")
        );
        let request = client().put(address).bearer_auth(&token).header("content-type", "application/fhir+json");
        if tasks.len() == 8 {
            tasks.join_next().await.expect("eight of them").expect("a task ends");
        }
        tasks.spawn(async move {
            Answer::of(request.body(resource.to_string())).await.expect(201);
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task ends");
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    form_text(&pairs)
}

/// What a search finds, the ids in order of the alphabet, parted by spaces; asked for by GET and as a form, which must
/// agree to the byte.
async fn found(tenant: &Tenant, kind: ResourceType, query: &str) -> String {
    let got = tenant.get(&format!("{kind}?{query}"), &tenant.all()).await.expect(200);
    let form = tenant.request(Method::POST, &format!("{kind}/_search"), &tenant.all()).header("content-type", FORM);
    let posted = Answer::of(form.body(query.to_owned())).await.expect(200);
    assert_eq!(posted.body, got.body, "{query}");
    let mut ids = got.ids();
    assert_eq!(got.json()["total"], ids.len(), "{query}: {}", got.body);
    ids.sort_unstable();
    ids.join(" ")
}

async fn finds(tenant: &Tenant, kind: ResourceType, cases: &[(&[(&str, &str)], &str)]) {
    for (pairs, expected) in cases {
        let query = query(pairs);
        assert_eq!(found(tenant, kind, &query).await, *expected, "{pairs:?}");
    }
}

/// A request that is refused, however it is asked.
pub async fn refuses(tenant: &Tenant, kind: ResourceType, cases: &[(&str, &str)]) {
    for (query, code) in cases {
        let refused = tenant.get(&format!("{kind}?{query}"), &tenant.all()).await;
        refused.expect_outcome(400, code);
        let form = tenant.request(Method::POST, &format!("{kind}/_search"), &tenant.all()).header("content-type", FORM);
        Answer::of(form.body((*query).to_owned())).await.expect_outcome(400, code);
    }
}

#[tokio::test]
async fn patients_are_found_by_every_parameter() {
    let tenant = Tenant::fresh().await;
    let patient = |id: &str, identifiers: Value, names: Value| json!({ "resourceType": "Patient", "id": id, "identifier": identifiers, "name": names });
    put_all(
        &tenant,
        [
            patient(
                "a",
                json!([{ "system": "urn:mrn", "value": "1" }]),
                json!([{ "family": "Müller", "given": ["Ada", "Zoë"] }]),
            ),
            patient(
                "b",
                json!([{ "system": "urn:mrn", "value": "2" }, { "system": "urn:ssn", "value": "1" }]),
                json!([{ "family": "Mu", "prefix": ["Dr."] }, { "text": "The Countess, of Lovelace" }]),
            ),
            patient(
                "c",
                json!([{ "value": "1" }, { "system": "urn:x|y", "value": "3,4" }]),
                json!([{ "family": "O'Brien|x" }]),
            ),
            patient("d", json!([{ "system": "urn:only" }]), json!([{ "given": ["ALAN"], "family": "石川" }])),
        ],
    )
    .await;
    finds(
        &tenant,
        ResourceType::Patient,
        &[
            (&[], "a b c d"),
            (&[("_id", "a")], "a"),
            (&[("_id", "a,c,nobody")], "a c"),
            (&[("_id", "A")], ""),
            (&[("_id", "a,b"), ("_id", "b,c")], "b"),
            (&[("identifier", "1")], "a b c"),
            (&[("identifier", "urn:mrn|1")], "a"),
            (&[("identifier", "|1")], "c"),
            (&[("identifier", "urn:mrn|")], "a b"),
            (&[("identifier", "urn:ssn|1,urn:mrn|1")], "a b"),
            (&[("identifier", "urn:mrn|2"), ("identifier", "urn:ssn|1")], "b"),
            (&[("identifier", "urn:MRN|1")], ""),
            (&[("identifier", r"urn:x\|y|3\,4")], "c"),
            (&[("identifier", r"3\,4")], "c"),
            (&[("identifier", "3,4")], ""),
            (&[("name", "mu")], "a b"),
            (&[("name", "MULL")], "a"),
            (&[("name", "zoe")], "a"),
            (&[("name", "müller")], "a"),
            (&[("name", "uller")], ""),
            (&[("name", "dr")], "b"),
            (&[("name", r"the countess\, of")], "b"),
            (&[("name", "lovelace")], ""),
            (&[("name", r"o'brien\|")], "c"),
            (&[("name", "石")], "d"),
            (&[("name", "ada,alan")], "a d"),
            (&[("name", "ada"), ("name", "m")], "a"),
            (&[("name", "ada"), ("identifier", "urn:mrn|2")], ""),
            (&[("name", "%")], ""),
            (&[("name", "_")], ""),
        ],
    )
    .await;
    refuses(
        &tenant,
        ResourceType::Patient,
        &[
            ("_id=", "invalid"),
            ("_id=a_b", "invalid"),
            ("_id=a,,b", "invalid"),
            ("identifier=", "invalid"),
            ("identifier=%7C", "invalid"),
            ("identifier=a%7Cb%7Cc", "invalid"),
            ("identifier=a%5Cb", "invalid"),
            ("name=", "invalid"),
            ("name:above=Mu", "not-supported"),
            ("name:in=Mu", "not-supported"),
            ("identifier:of-type=a%7Cb%7C1", "not-supported"),
            ("_id:missing=true", "not-supported"),
            ("shoe:exact=1", "not-supported"),
            ("general-practitioner.name=x", "not-supported"),
            ("_has:Observation:patient:code=x", "not-supported"),
            ("_include=Patient:link", "not-supported"),
            ("_revinclude=Observation:patient", "not-supported"),
            ("_filter=name%20eq%20x", "not-supported"),
            ("=x", "invalid"),
        ],
    )
    .await;
}

/// An Observation with these codings, each `system|code` or `code`.
fn coded(id: &str, code: &[&str], category: &[&str]) -> Value {
    let coding = |text: &&str| match text.split_once('|') {
        Some((system, code)) => json!({ "system": system, "code": code }),
        None => json!({ "code": text }),
    };
    json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": { "coding": code.iter().map(coding).collect::<Vec<_>>() },
        "category": [{ "coding": category.iter().map(coding).collect::<Vec<_>>() }],
    })
}

/// The same with a vital's code, and with what its profile asks for.
fn coded_vital(id: &str, code: &[&str], category: &[&str]) -> Value {
    const VITAL_SIGNS: &str = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs";
    let mut observation = coded(id, code, &[category, &[VITAL_SIGNS]].concat());
    observation["subject"] = json!({ "reference": "Patient/p1" });
    observation["effectiveDateTime"] = json!("2026-03-01");
    observation["dataAbsentReason"] = json!({ "text": "the device was switched off" });
    observation
}

#[tokio::test]
async fn observations_are_found_by_code_and_category() {
    let tenant = Tenant::fresh().await;
    put_all(
        &tenant,
        [
            coded_vital("hr", &["http://loinc.org|8867-4", "urn:local|pulse"], &["urn:cat|vital-signs"]),
            coded_vital(
                "spo",
                &["http://loinc.org|59408-5", "http://loinc.org|2708-6"],
                &["urn:cat|vital-signs", "urn:cat|exam"],
            ),
            // Two vitals in one, and a vital's code in another system.
            coded_vital("mix", &["http://loinc.org|8867-4", "http://loinc.org|9279-1"], &["exam"]),
            coded("own", &["urn:local|8867-4"], &["urn:other|vital-signs"]),
            coded("bare", &["8867-4"], &["urn:cat|a,b"]),
            json!({ "resourceType": "Observation", "id": "text", "status": "final", "code": { "text": "8867-4" } }),
        ],
    )
    .await;
    finds(
        &tenant,
        ResourceType::Observation,
        &[
            (&[], "bare hr mix own spo text"),
            (&[("code", "8867-4")], "bare hr mix own"),
            (&[("code", "http://loinc.org|8867-4")], "hr mix"),
            (&[("code", "http://loinc.org|9279-1")], "mix"),
            (&[("code", "|8867-4")], "bare"),
            (&[("code", "urn:local|")], "hr own"),
            (&[("code", "http://loinc.org|")], "hr mix spo"),
            (&[("code", "http://loinc.org|2708-6")], "spo"),
            (&[("code", "http://loinc.org|59408-5")], "spo"),
            (&[("code", "http://loinc.org|8867-4,http://loinc.org|59408-5")], "hr mix spo"),
            (&[("code", "http://loinc.org|8867-4"), ("code", "http://loinc.org|9279-1")], "mix"),
            (&[("code", "http://loinc.org|8867-4"), ("code", "urn:local|pulse")], "hr"),
            (&[("code", "HTTP://loinc.org|8867-4")], ""),
            (&[("code", "8867-40")], ""),
            (&[("category", "vital-signs")], "hr mix own spo"),
            (&[("category", "urn:cat|vital-signs")], "hr spo"),
            (&[("category", "urn:cat|")], "bare hr spo"),
            (&[("category", "exam")], "mix spo"),
            (&[("category", r"a\,b")], "bare"),
            (&[("category", "exam"), ("category", "urn:cat|vital-signs")], "spo"),
            (&[("category", "exam"), ("code", "http://loinc.org|8867-4")], "mix"),
            (&[("_id", "hr,spo"), ("code", "8867-4")], "hr"),
        ],
    )
    .await;
    refuses(
        &tenant,
        ResourceType::Observation,
        &[
            ("code:in=http://x", "not-supported"),
            ("code:above=x", "not-supported"),
            ("category=", "invalid"),
            ("code=a,", "invalid"),
        ],
    )
    .await;
}

#[tokio::test]
async fn observations_are_found_by_whom_they_are_about() {
    let tenant = Tenant::fresh().await;
    let about = |id: &str, reference: &str| {
        let mut observation = coded(id, &["x"], &["y"]);
        observation["subject"] = json!({ "reference": reference });
        observation
    };
    let (own, common) = (tenant.base(), format!("{}/fhir", tenant.server.url));
    put_all(
        &tenant,
        [
            about("relative", "Patient/p1"),
            about("absolute", &format!("{own}/Patient/p1")),
            about("common", &format!("{common}/Patient/p1")),
            about("version", "Patient/p1/_history/3"),
            about("other", "Patient/p2"),
            about("group", "Group/p1"),
            about("elsewhere", "https://elsewhere.example/fhir/Patient/p1"),
            about("urn", "urn:uuid:6b4ff2f0-6a1d-4d0c-8f9a-0d7a6e3f6f11"),
            coded("nobody", &["x"], &["y"]),
        ],
    )
    .await;
    let ours = "absolute common relative version";
    let with_group = "absolute common group relative version";
    finds(
        &tenant,
        ResourceType::Observation,
        &[
            (&[("patient", "p1")], ours),
            (&[("patient", "Patient/p1")], ours),
            (&[("patient", &format!("{own}/Patient/p1"))], ours),
            (&[("patient", &format!("{common}/Patient/p1"))], ours),
            (&[("patient", "p1,p2")], "absolute common other relative version"),
            (&[("patient", "p1"), ("patient", "p2")], ""),
            (&[("patient", "https://elsewhere.example/fhir/Patient/p1")], "elsewhere"),
            (&[("subject", "Patient/p1")], ours),
            (&[("subject:Patient", "p1")], ours),
            (&[("patient:Patient", "p1")], ours),
            (&[("subject", "p1")], with_group),
            (&[("subject", "Group/p1")], "group"),
            (&[("subject", "Group/p1,Patient/p2")], "group other"),
            (&[("subject", "https://elsewhere.example/fhir/Patient/p1")], "elsewhere"),
            (&[("subject", "urn:uuid:6b4ff2f0-6a1d-4d0c-8f9a-0d7a6e3f6f11")], "urn"),
            (&[("patient", "P1")], ""),
        ],
    )
    .await;
    refuses(
        &tenant,
        ResourceType::Observation,
        &[
            ("patient=Group/p1", "invalid"),
            ("patient=Patient/p1/_history/3", "not-supported"),
            ("patient=a_b", "invalid"),
            ("subject=%23x", "invalid"),
            ("subject:Practitioner=p1", "not-supported"),
            ("subject:below=x", "not-supported"),
            ("subject.name=x", "not-supported"),
            ("patient.identifier=x", "not-supported"),
            ("subject:Patient.name=x", "not-supported"),
        ],
    )
    .await;
}

/// The first and last moment of a resource's time, by RFC 3339.
type Bounds = (&'static str, &'static str);

const OPEN_LOW: &str = "-3000-01-01T00:00:00Z";
const OPEN_HIGH: &str = "+11000-01-01T00:00:00Z";

/// What an Observation says of its time, and the milliseconds that it means by that; none where it says nothing.
const TIMES: [(&str, &str, Option<Bounds>); 18] = [
    ("year", r#""effectiveDateTime":"2026""#, Some(("2026-01-01T00:00:00Z", "2026-12-31T23:59:59.999Z"))),
    ("month", r#""effectiveDateTime":"2026-03""#, Some(("2026-03-01T00:00:00Z", "2026-03-31T23:59:59.999Z"))),
    ("leap", r#""effectiveDateTime":"2024-02""#, Some(("2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999Z"))),
    ("day", r#""effectiveDateTime":"2026-03-10""#, Some(("2026-03-10T00:00:00Z", "2026-03-10T23:59:59.999Z"))),
    ("day-before", r#""effectiveDateTime":"2026-03-09""#, Some(("2026-03-09T00:00:00Z", "2026-03-09T23:59:59.999Z"))),
    (
        "second",
        r#""effectiveDateTime":"2026-03-10T08:00:00Z""#,
        Some(("2026-03-10T08:00:00Z", "2026-03-10T08:00:00.999Z")),
    ),
    (
        "milli",
        r#""effectiveDateTime":"2026-03-10T08:00:00.250Z""#,
        Some(("2026-03-10T08:00:00.250Z", "2026-03-10T08:00:00.250Z")),
    ),
    (
        "micro",
        r#""effectiveDateTime":"2026-03-10T08:00:00.250999Z""#,
        Some(("2026-03-10T08:00:00.250Z", "2026-03-10T08:00:00.250Z")),
    ),
    (
        "east",
        r#""effectiveDateTime":"2026-03-11T01:30:00+02:00""#,
        Some(("2026-03-10T23:30:00Z", "2026-03-10T23:30:00.999Z")),
    ),
    (
        "west",
        r#""effectiveDateTime":"2026-03-10T20:00:00-05:00""#,
        Some(("2026-03-11T01:00:00Z", "2026-03-11T01:00:00.999Z")),
    ),
    (
        "instant",
        r#""effectiveInstant":"2026-03-10T23:59:59.999Z""#,
        Some(("2026-03-10T23:59:59.999Z", "2026-03-10T23:59:59.999Z")),
    ),
    (
        "midnight",
        r#""effectiveInstant":"2026-03-11T00:00:00.000Z""#,
        Some(("2026-03-11T00:00:00Z", "2026-03-11T00:00:00Z")),
    ),
    (
        "period",
        r#""effectivePeriod":{"start":"2026-03-09T12:00:00Z","end":"2026-03-11"}"#,
        Some(("2026-03-09T12:00:00Z", "2026-03-11T23:59:59.999Z")),
    ),
    ("from", r#""effectivePeriod":{"start":"2026-03-10"}"#, Some(("2026-03-10T00:00:00Z", OPEN_HIGH))),
    ("until", r#""effectivePeriod":{"end":"2026-03-10"}"#, Some((OPEN_LOW, "2026-03-10T23:59:59.999Z"))),
    ("ancient", r#""effectiveDateTime":"0001""#, Some(("0001-01-01T00:00:00Z", "0001-12-31T23:59:59.999Z"))),
    ("none", r#""issued":"2026-03-10T08:00:00Z""#, None),
    ("timing", r#""effectiveTiming":{"code":{"text":"daily"}}"#, None),
];

const VALUES: [(&str, Bounds); 10] = [
    ("2026", ("2026-01-01T00:00:00Z", "2026-12-31T23:59:59.999Z")),
    ("2026-03", ("2026-03-01T00:00:00Z", "2026-03-31T23:59:59.999Z")),
    ("2026-03-10", ("2026-03-10T00:00:00Z", "2026-03-10T23:59:59.999Z")),
    ("2026-03-10T08:00", ("2026-03-10T08:00:00Z", "2026-03-10T08:00:59.999Z")),
    ("2026-03-10T08:00:00", ("2026-03-10T08:00:00Z", "2026-03-10T08:00:00.999Z")),
    ("2026-03-10T08:00:00Z", ("2026-03-10T08:00:00Z", "2026-03-10T08:00:00.999Z")),
    ("2026-03-10T08:00:00.250Z", ("2026-03-10T08:00:00.250Z", "2026-03-10T08:00:00.250Z")),
    ("2026-03-10T10:00:00.250+02:00", ("2026-03-10T08:00:00.250Z", "2026-03-10T08:00:00.250Z")),
    ("2026-03-10T19:59:59.999-04:00", ("2026-03-10T23:59:59.999Z", "2026-03-10T23:59:59.999Z")),
    ("9999", ("9999-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z")),
];

fn millis((low, high): Bounds) -> (i64, i64) {
    let millis = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    match (low, high) {
        (OPEN_LOW, high) => (i64::MIN, millis(high).expect("a time")),
        (low, OPEN_HIGH) => (millis(low).expect("a time"), i64::MAX),
        (low, high) => (millis(low).expect("a time"), millis(high).expect("a time")),
    }
}

/// The words of the specification (<https://hl7.org/fhir/R4/search.html#prefix>), once more and by themselves.
fn meets(prefix: &str, (low, high): (i64, i64), (from, to): (i64, i64)) -> bool {
    let contains = from <= low && high <= to;
    match prefix {
        "" | "eq" => contains,
        "ne" => !contains,
        "gt" => high > to,
        "lt" => low < from,
        "ge" => high > to || contains,
        "le" => low < from || contains,
        "sa" => low > to,
        "eb" => high < from,
        other => panic!("no such prefix: {other}"),
    }
}

#[tokio::test]
async fn observations_are_found_by_date_with_every_prefix() {
    let tenant = Tenant::fresh().await;
    let observation = |id: &str, time: &str| {
        let text =
            format!(r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},{time}}}"#);
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    put_all(&tenant, TIMES.iter().map(|(id, time, _)| observation(id, time))).await;

    let expected = |tests: &[(&str, Bounds)]| {
        let mut ids: Vec<&str> = TIMES
            .iter()
            .filter(|(_, _, bounds)| {
                bounds.is_some_and(|bounds| {
                    tests.iter().any(|(prefix, value)| meets(prefix, millis(bounds), millis(*value)))
                })
            })
            .map(|(id, _, _)| *id)
            .collect();
        ids.sort_unstable();
        ids.join(" ")
    };
    for (text, value) in VALUES {
        for prefix in ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"] {
            let query = query(&[("date", &format!("{prefix}{text}"))]);
            assert_eq!(
                found(&tenant, ResourceType::Observation, &query).await,
                expected(&[(prefix, value)]),
                "{prefix}{text}"
            );
        }
    }
    // Either of two, and both.
    let (march, day) = (VALUES[1], VALUES[2]);
    let either = query(&[("date", "eb2026-03,sa2026-03-10")]);
    assert_eq!(found(&tenant, ResourceType::Observation, &either).await, expected(&[("eb", march.1), ("sa", day.1)]));
    let both = query(&[("date", "ge2026-03-10"), ("date", "lt2026-03-11")]);
    let kept: Vec<&str> = TIMES
        .iter()
        .filter(|(_, _, bounds)| {
            bounds.is_some_and(|bounds| {
                let day_after = ("2026-03-11T00:00:00Z", "2026-03-11T23:59:59.999Z");
                meets("ge", millis(bounds), millis(day.1)) && meets("lt", millis(bounds), millis(day_after))
            })
        })
        .map(|(id, _, _)| *id)
        .collect();
    let mut kept = kept;
    kept.sort_unstable();
    assert_eq!(found(&tenant, ResourceType::Observation, &both).await, kept.join(" "));

    refuses(
        &tenant,
        ResourceType::Observation,
        &[
            ("date=ap2026", "not-supported"),
            ("date=x2026", "invalid"),
            ("date=GE2026", "invalid"),
            ("date=2026-13", "invalid"),
            ("date=2026-02-30", "invalid"),
            ("date=26", "invalid"),
            ("date=0000", "invalid"),
            ("date=2026-03-10T25:00:00Z", "invalid"),
            ("date=2026-03-10T08:00:00%2B15:00", "invalid"),
            ("date=ge", "invalid"),
            ("date=", "invalid"),
            ("date:exact=2026", "not-supported"),
        ],
    )
    .await;
}

/// Whether every parameter of the catalog has a test above or in `search_parameters`: a new one fails here first.
#[test]
fn every_parameter_of_the_catalog_is_searched_for_here() {
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in ResourceType::ALL {
        for parameter in catalog::parameters(kind).iter().filter(|parameter| parameter.kind != ParameterKind::Result) {
            known.entry(kind.name()).or_default().push(parameter.name);
        }
    }
    let expected = BTreeMap::from([
        (
            "Patient",
            vec!["_id", "_lastUpdated", "identifier", "name", "family", "given", "birthdate", "gender", "active"],
        ),
        (
            "Observation",
            vec![
                "_id",
                "_lastUpdated",
                "patient",
                "subject",
                "code",
                "category",
                "status",
                "date",
                "identifier",
                "encounter",
                "performer",
                "device",
                "value-quantity",
                "value-concept",
                "combo-code",
                "combo-code-value-quantity",
                "component-code",
                "component-value-quantity",
                "component-code-value-quantity",
                "code-value-quantity",
            ],
        ),
    ]);
    assert_eq!(known, expected);
}

#[tokio::test]
async fn what_is_not_known_is_ignored_or_refused_as_the_caller_prefers() {
    let tenant = Tenant::fresh().await;
    put_all(&tenant, [samples::patient("a", "Lovelace"), samples::heart_rate("a", "a")]).await;
    let unknown =
        ["color=crimson", "Name=ada", "_sort=name", "_summary=true", "_security=R", "_text=x", "value-string=1"];
    for kind in ResourceType::ALL {
        for query in unknown {
            let ask = |prefer: Option<&'static str>| {
                let mut request = tenant.request(Method::GET, &format!("{kind}?{query}&_id=a"), &tenant.all());
                if let Some(prefer) = prefer {
                    request = request.header("prefer", prefer);
                }
                Answer::of(request)
            };
            for prefer in [None, Some("handling=lenient"), Some("return=minimal")] {
                let page = ask(prefer).await.expect(200);
                assert_eq!(page.ids(), ["a"], "{query}");
                assert_eq!(page.link("self"), Some(format!("{}/{kind}?_id=a", tenant.base())));
                let entries = page.json()["entry"].as_array().cloned().expect("entries");
                assert_eq!(entries.len(), 2, "{}", page.body);
                let issue = &entries[1]["resource"]["issue"][0];
                assert_eq!((&issue["severity"], &issue["code"]), (&json!("warning"), &json!("not-supported")));
                assert!(!page.body.contains("crimson"), "values are not repeated");
            }
            for prefer in ["handling=strict", "respond-async, handling=strict", "handling=\"strict\""] {
                let refused = ask(Some(prefer)).await.expect_outcome(400, "not-supported");
                assert_eq!(refused.json()["issue"][0]["expression"][0], query.split('=').next().expect("a name"));
            }
        }
    }
    // Strict about what is not known, not about how the answer shall look.
    let strict = tenant.request(Method::GET, "Patient?_id=a&_format=json&_pretty=true", &tenant.all());
    Answer::of(strict.header("prefer", "handling=strict")).await.expect(200);
}

#[tokio::test]
async fn searches_have_their_limits() {
    let tenant = Tenant::fresh().await;
    let many = |count: usize| vec!["a"; count].join(",");
    assert_eq!(found(&tenant, ResourceType::Patient, &format!("_id={}", many(1_000))).await, "");
    for query in [format!("_id={}", many(1_001)), "_id=a&".repeat(201), format!("name={}&_id={}", many(500), many(501))]
    {
        let form = tenant.request(Method::POST, "Patient/_search", &tenant.all()).header("content-type", FORM);
        Answer::of(form.body(query)).await.expect_outcome(400, "too-costly");
    }
    assert_eq!(found(&tenant, ResourceType::Patient, &"_id=a&".repeat(200)).await, "");
}
