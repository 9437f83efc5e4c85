//! X06 to X08, X14 to X16 in addresses, and X25: what is deep, wide or long. The server lives, and is quick about it.

use std::time::{Duration, Instant};

use reqwest::Method;
use vitals_tests::{Answer, Tenant, ledger, raw, samples};

use super::{FHIR, observation, patient};
use crate::bundle_transaction::statuses;

/// How long a refusal may take: a second, as the attack's row says, where the code is optimised.
const AT_ONCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

/// An extension within an extension, and so on: each level is two of JSON.
fn extensions(levels: usize) -> String {
    let begin = r#"{"url":"a","extension":["#.repeat(levels - 1);
    format!(r#""extension":[{begin}{{"url":"a","valueCode":"b"}}{}]"#, "]}".repeat(levels - 1))
}

async fn post(tenant: &Tenant, path: &str, media: &'static str, body: String) -> Answer {
    let began = Instant::now();
    let request = tenant.request(Method::POST, path, &tenant.all()).header("content-type", media).body(body);
    let answer = Answer::of(request).await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    answer.sound()
}

#[tokio::test]
async fn nesting_ends_at_64_levels_and_never_at_the_stack() {
    let tenant = Tenant::fresh().await;
    // The root is a level, an array one, and so is each extension in it.
    let deepest = patient(&extensions(31));
    assert_eq!(deepest.matches(['[', '{']).count(), 63);
    post(&tenant, "Patient", FHIR, deepest).await.expect(201);
    // 65: 31 extensions and the two levels of a quantity's own.
    let one_more =
        extensions(31).replace(r#""valueCode":"b""#, r#""valueQuantity":{"extension":[{"url":"a","valueCode":"b"}]}"#);
    post(&tenant, "Patient", FHIR, patient(&one_more)).await.expect(400);

    let mut rows = Vec::new();
    for levels in [65, 66, 1_000, 10_000, 1_000_000] {
        rows.extend([
            ("X06 arrays", FHIR, "[".repeat(levels)),
            ("X06 arrays that close", FHIR, "[".repeat(levels) + &"]".repeat(levels)),
            ("X06 arrays in a member", FHIR, patient(&format!(r#""name":{}"#, "[".repeat(levels)))),
            ("X06 objects", FHIR, r#"{"a":"#.repeat(levels.min(900_000))),
            (
                "X06 objects of a resource",
                FHIR,
                patient(&format!(r#""contact":{}"#, r#"{"a":"#.repeat(levels.min(900_000)))),
            ),
            ("X06 elements of XML", "application/fhir+xml", {
                format!(r#"<Patient xmlns="http://hl7.org/fhir">{}"#, "<name>".repeat(levels.min(800_000)))
            }),
        ]);
        if levels <= 10_000 {
            rows.push(("X06 extensions", FHIR, patient(&extensions(levels / 2))));
        }
    }
    for (label, media, body) in rows {
        for path in ["Patient", ""] {
            let answer = post(&tenant, path, media, body.clone()).await;
            assert_eq!(answer.status, 400, "{label} at {path:?}, {} bytes: {}", body.len(), answer.body);
        }
    }
    // In a narrative, which is XHTML within a string: whatever is said of it, it is said.
    for levels in [65, 1_000, 10_000, 500_000] {
        let div = format!("{}x{}", "<b>".repeat(levels), "</b>".repeat(levels));
        let text = format!(
            r#""text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>"}}"#
        );
        let answer = post(&tenant, "Patient", FHIR, patient(&text)).await;
        assert!(matches!(answer.status, 201 | 400 | 413 | 422), "X06 narrative: {}", answer.body);
        if answer.status == 201 {
            let id = answer.json()["id"].as_str().expect("an id").to_owned();
            let xml = tenant.request(Method::GET, &format!("Patient/{id}"), &tenant.all());
            let xml = Answer::of(xml.header("accept", "application/fhir+xml")).await.sound();
            assert!(matches!(xml.status, 200 | 406), "X06 narrative as XML: {}", xml.status);
        }
    }
    tenant.get("Patient?_count=1", &tenant.all()).await.expect(200);
    ledger::each_left_one_record().await;
}

/// Pairs of two letters that a simple hash (31 times what was, plus the next) cannot tell apart.
fn colliding(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| (0..18).map(|bit| if number >> bit & 1 == 0 { "Aa" } else { "BB" }).collect())
}

#[tokio::test]
async fn objects_of_very_many_keys_are_refused_at_once() {
    let tenant = Tenant::fresh().await;
    let object = |keys: &mut dyn Iterator<Item = String>| {
        let members: Vec<String> = keys.map(|key| format!("\"{key}\":0")).collect();
        patient(&members.join(","))
    };
    let many = object(&mut (0..1_000_000).map(|number| format!("k{number}")));
    let fewer = object(&mut (0..300_000).map(|number| format!("k{number}")));
    let last_twice = fewer.replacen("\"k299999\":0", "\"k0\":0", 1);
    for (label, path, body, statuses_) in [
        ("X07 1,000,000 keys of a resource", "Patient", many.clone(), [413, 413]),
        ("X07 1,000,000 keys of a Bundle", "", many.replacen("Patient", "Bundle", 1), [400, 413]),
        ("X07 300,000 keys", "Patient", fewer.clone(), [400, 413]),
        ("X07 300,000 keys, one of them twice", "Patient", last_twice, [400, 413]),
        ("X07 300,000 keys deep inside", "Observation", observation(&format!(r#""component":[{fewer}]"#)), [400, 413]),
        ("X08 keys of one hash", "Patient", object(&mut colliding(110_000)), [400, 413]),
        (
            "X08 keys of one hash, one of them twice",
            "Patient",
            object(&mut colliding(110_000).chain(colliding(1))),
            [400, 413],
        ),
        (
            "X08 keys that differ in their last letter",
            "Patient",
            { object(&mut (0..90_000).map(|number| format!("{}{number:06}", "x".repeat(40)))) },
            [400, 413],
        ),
    ] {
        let answer = post(&tenant, path, FHIR, body).await;
        assert!(statuses_.contains(&answer.status), "{label}: {} {:.300}", answer.status, answer.body);
        // As many findings as somebody can read.
        assert!(answer.body.len() < 64 * 1024, "{label}: {} bytes of answer", answer.body.len());
    }
    // Names of parameters in a form.
    let form: Vec<String> = (0..500_000).map(|number| format!("k{number}=1")).collect();
    let answer = post(&tenant, "Patient/_search", "application/x-www-form-urlencoded", form.join("&")).await;
    assert!(matches!(answer.status, 400 | 413), "X07 a form of 500,000 names: {}", answer.status);
    ledger::each_left_one_record().await;
}

/// What is no id in an address: not there to be read, and nothing to write at.
#[tokio::test]
async fn ids_in_addresses_are_ids_or_nothing() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let head = format!("authorization: Bearer {all}\r\ncontent-type: {FHIR}\r\n");
    let long = "a".repeat(65);
    let longer = "a".repeat(4_000);
    for (label, id) in [
        ("X14 blank in an id", "a%20b"),
        ("X14 control character in an id", "a%01"),
        ("X15 65 characters", long.as_str()),
        ("X15 4,000 characters", longer.as_str()),
        ("X15 up", "../x"),
        ("X15 up, encoded", "%2e%2e%2fx"),
        ("X15 up, encoded twice", "%252e%252e%252fx"),
        ("X15 here", "."),
        ("X15 there", ".."),
        ("X15 nothing", ""),
        ("X15 a slash", "a/b"),
        ("X15 a slash, encoded", "a%2fb"),
        ("X15 NUL", "a%00"),
        ("X15 a letter, encoded", "%61"),
        ("X15 underscore", "a_b"),
        ("X15 an accent", "%c3%a9"),
        ("X15 no UTF-8", "%ff"),
        ("X15 no escape", "%zz"),
        ("X15 back slash", "a\\b"),
        ("X15 quote", "a'b"),
        ("X15 parameters of a path", "a;b=c"),
    ] {
        let path = format!("/t/{}/fhir/Patient/{id}", tenant.name);
        for (method, body) in [("GET", ""), ("DELETE", ""), ("PUT", r#"{"resourceType":"Patient","id":"a"}"#)] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = raw::exchange(tenant.server, request).await.expect(label).sound();
            // `.` and `..` are ids by their letters; a path that holds them is nowhere else.
            let expected: &[u16] = if method == "PUT" { &[400, 404, 405] } else { &[404, 405] };
            assert!(expected.contains(&answer.status), "{label} by {method}: {} {}", answer.status, answer.body);
        }
    }
    assert_eq!(tenant.get("Patient?_summary=count", &all).await.expect(200).json()["total"], 0);
    ledger::each_left_one_record().await;
}

/// The body names another resource than the address: refused whichever of the two stands.
#[tokio::test]
async fn a_body_is_the_resource_of_its_address() {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    let one = samples::patient("one", "One").to_string();
    tenant.put("Patient/one", &all, &one).await.expect(201);
    for (label, path, body, status) in [
        ("X16 another id", "Patient/two", one.clone(), 400),
        ("X16 another id's case", "Patient/ONE", one.clone(), 400),
        ("X16 no id", "Patient/one", r#"{"resourceType":"Patient"}"#.to_owned(), 400),
        ("X16 another type", "Observation/one", one.clone(), 400),
        ("X16 another type at its place", "Patient/one", samples::heart_rate("one", "one").to_string(), 400),
    ] {
        let answer = tenant.put(path, &all, &body).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
    }
    for (label, path, body) in [
        ("X16 a Patient where Observations are", "Observation", one.clone()),
        ("X16 an Observation where Patients are", "Patient", samples::heart_rate("x", "one").to_string()),
        ("X16 a Bundle where Patients are", "Patient", r#"{"resourceType":"Bundle","type":"batch"}"#.to_owned()),
        ("X16 a Patient where Bundles are", "", one.clone()),
    ] {
        let answer = tenant.post(path, &all, &body).await;
        assert_eq!(answer.status, 400, "{label}: {}", answer.body);
    }
    let entry = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"PUT","url":"Patient/two"},"resource":"#;
    let answer = tenant.post("", &all, &format!("{entry}{one}}}]}}")).await.expect(200);
    assert_eq!(statuses(&answer), [400]);
    assert_eq!(tenant.get("Patient", &all).await.expect(200).ids(), ["one"]);
    assert_eq!(tenant.get("Patient/one", &all).await.expect(200).header("etag"), "W/\"1\"");
    ledger::each_left_one_record().await;
}

#[tokio::test]
async fn long_heads_and_addresses_are_refused() {
    let tenant = Tenant::fresh().await;
    let begin = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n", tenant.all())
    };
    let path = format!("/t/{}/fhir/Patient", tenant.name);
    for (label, request, expected) in [
        ("X25 1,000 headers", begin(&path) + &"x: y\r\n".repeat(1_000), 431),
        ("X25 101 headers", begin(&path) + &"x: y\r\n".repeat(101), 431),
        ("X25 90 headers", begin(&path) + &"x: y\r\n".repeat(90), 200),
        ("X25 a header of 64 kB", begin(&path) + &format!("x: {}\r\n", "y".repeat(64 * 1024)), 431),
        ("X25 a header of 40 kB", begin(&path) + &format!("x: {}\r\n", "y".repeat(40 * 1024)), 200),
        ("X25 a name of 64 kB", begin(&path) + &format!("{}: y\r\n", "x".repeat(64 * 1024)), 431),
        ("X25 an address of 16 kB", begin(&format!("{path}?x={}", "y".repeat(16 * 1024))), 414),
        ("X25 an address of 60 kB", begin(&format!("{path}?x={}", "y".repeat(60_000))), 414),
        ("X25 an address of 64 kB", begin(&format!("{path}?x={}", "y".repeat(64 * 1024))), 431),
        ("X25 a path of 16 kB", begin(&format!("{path}/{}", "y".repeat(16 * 1024))), 414),
        ("X25 a method of 64 kB", begin(&path).replacen("GET", &"G".repeat(64 * 1024), 1), 431),
        ("X25 200 parameters", begin(&format!("{path}?{}", vec!["name=a"; 200].join("&"))), 200),
        ("X25 201 parameters", begin(&format!("{path}?{}", vec!["name=a"; 201].join("&"))), 400),
        ("X25 1,000 values", begin(&format!("{path}?identifier={}", vec!["a"; 1_000].join(","))), 200),
        ("X25 1,001 values", begin(&format!("{path}?identifier={}", vec!["a"; 1_001].join(","))), 400),
    ] {
        let answer = raw::exchange(tenant.server, format!("{request}\r\n")).await.expect(label);
        assert_eq!(answer.status, expected, "{label}: {}", answer.body);
    }
    ledger::each_left_one_record().await;
}
