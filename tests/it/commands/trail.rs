//! `vitals audit tail`, `export`, `digest`, `seal` and `key`: reading the trail, which is recorded itself, and what
//! becomes of it in the end.

use std::{path::PathBuf, process::Command};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use vitals_access::{
    audit::{AuditRecord, Origin},
    clock::Clock as _,
};
use vitals_server::clock::SystemClock;
use vitals_store::{
    audit::{Appender, Durability, new_writer},
    migrate, urls,
};
use vitals_tests::{
    poll,
    program::{self, Outside, Shared},
};

use super::{get, members, tenant, token};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The verifier that somebody else wrote from the documents, in Python.
fn verify_py(arguments: &[&str]) -> (Option<i32>, String) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../conformance/audit/verify.py");
    let output = Command::new("python3").arg(script).args(arguments).output().expect("python3 can be run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn tail_follows_what_happens_and_is_recorded_itself() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "followed").await;
    let token = token(program, &id, "system/*.rs").await;
    get(&id, "Patient/p1", &token).await.expect(404);

    let mut tail = program.start(&["audit", "tail", "--tenant", &id, "--follow", "--json"]).await;
    tail.says("\"id\":\"p1\"").await;
    get(&id, "Patient/p2", &token).await.expect(404);
    tail.says("\"id\":\"p2\"").await;
    // That somebody reads shows to whoever reads.
    tail.says("\"action\":\"audit.tail\"").await;
    assert!(tail.is_running());
    tail.interrupt();
    let ran = tail.end(program::STOPS_WITHIN).await.expect(0);

    let seen: Vec<String> = lines(&ran.stdout).iter().map(|line| line["record"].as_str().unwrap().to_owned()).collect();
    let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "each record is shown once");
    let after = program.run(&["audit", "tail", "--tenant", &id, "--json"]).await.expect(0).json();
    let readings = after.as_array().expect("an array").iter().filter(|record| record["action"] == "audit.tail");
    let readings: Vec<&Value> = readings.collect();
    assert_eq!(readings.len(), 1);
    assert_eq!((&readings[0]["origin"], &readings[0]["tenant"]), (&json!("cli"), &json!(id)));
    // A reader that has seen enough ends it.
    let people = program.run(&["audit", "tail", "--tenant", &id, "--lines", "2"]).await.expect(0);
    assert_eq!(people.stdout.lines().count(), 3, "{}", people.stdout);
}

#[tokio::test]
async fn an_export_is_recorded_and_verified_by_somebody_elses_program() {
    let outside = Outside::fresh().await;
    let program = &outside.program;
    let id = outside.tenants(1).await.remove(0);
    let server = program.serve().await;
    let token = token(program, &id, "system/*.rs").await;
    for number in 0..5 {
        let url = format!("{}/t/{id}/fhir/Patient/p{number}", server.url);
        vitals_tests::Answer::of(vitals_tests::tenant::client().get(url).bearer_auth(&token)).await.expect(404);
    }
    server.stop().await.expect(0);
    let file = program.folder.join("export.ndjson").display().to_string();
    let heads = program.folder.join("heads").display().to_string();

    program.run(&["audit", "export", "--tenant", &id, "--out", &file]).await.expect(0);
    program.run(&["audit", "export", "--tenant", &id, "--out", &file]).await.expect_sentence(1, "cannot make");

    let text = std::fs::read_to_string(&file).expect("it is written");
    let rows = lines(&text);
    assert!(rows.iter().all(|row| members(row) == ["hash", "previous", "record"]), "{text}");
    let actions: Vec<&str> = rows.iter().map(|row| row["record"]["action"].as_str().expect("a text")).collect();
    assert_eq!(actions, ["token.issue", "read", "read", "read", "read", "read", "audit.export"]);
    let (code, said) = verify_py(&["--heads", &heads, &file]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("7 records"), "{said}");
    // It is no echo: each change is found.
    for (what, changed) in [
        ("a text", text.replacen("\"id\":\"p3\"", "\"id\":\"p9\"", 1)),
        ("a missing line", text.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 3).map(|(_, l)| l).collect()),
        ("a missing end", text.split_inclusive('\n').take(4).collect()),
    ] {
        std::fs::write(&file, changed).expect("it can be written");
        let (code, said) = verify_py(&["--heads", &heads, &file]);
        assert_eq!(code, Some(1), "{what}: {said}");
    }
    // Heads that somebody wrote himself have no good signature.
    std::fs::write(&file, &text).expect("it can be written");
    let own = outside.program.folder.join("forged");
    std::fs::create_dir(&own).expect("a folder can be made");
    std::fs::copy(format!("{heads}/keys.json"), own.join("keys.json")).expect("it can be copied");
    std::fs::write(own.join("2026-01-01.7.ndjson"), forged(&heads)).expect("it can be written");
    let (code, said) = verify_py(&["--heads", &own.display().to_string(), &file]);
    assert_eq!((code, said.contains("signature")), (Some(1), true), "{said}");

    let csv = program.run(&["audit", "export", "--tenant", &id, "--format", "csv", "--out", "-"]).await.expect(0);
    let header = csv.stdout.lines().next().expect("a header");
    assert!(header.starts_with("time,tenant,acting_tenant,origin,subject,"), "{header}");
    assert_eq!(csv.stdout.lines().count(), 9);
    let tomorrow = ["audit", "export", "--tenant", &id, "--from", "2100-01-01", "--out", "-"];
    assert_eq!(program.run(&tomorrow).await.expect(0).stdout, "");

    // Where nothing can be written, it is read all the same, and that is said.
    outside.audit_sql("REVOKE INSERT ON audit.record FROM vitals_audit_write").await;
    let told = program.run(&["audit", "export", "--tenant", &id, "--out", "-"]).await.expect(0);
    outside.audit_sql("GRANT INSERT ON audit.record TO vitals_audit_write").await;
    assert!(told.stderr.contains("no record of this reading can be written"), "{}", told.stderr);
    assert!(told.stdout.lines().count() > 7);
    program.run(&["audit", "verify"]).await.expect(0);
}

/// A line of a folder of heads with another hash.
fn forged(heads: &str) -> String {
    let entries = std::fs::read_dir(heads).expect("heads").flatten();
    let texts = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".ndjson"));
    let text: String = texts.map(|entry| std::fs::read_to_string(entry.path()).expect("text")).collect();
    let line = text.lines().next().expect("a head").to_owned();
    let hash = line.split("\"hash\":\"").nth(1).expect("a hash")[..64].to_owned();
    line.replace(&hash, &"ab".repeat(32)) + "\n"
}

#[tokio::test]
async fn a_digest_says_what_a_day_was_like() {
    let Shared { program, .. } = program::shared().await;
    let id = tenant(program, "digested").await;
    let token = token(program, &id, "system/*.rs").await;
    for _ in 0..3 {
        get(&id, "Patient/p1", &token).await.expect(404);
    }
    get(&id, "Patient/p1", "nonsense").await.expect(401);
    let today = now().format("%Y-%m-%d").to_string();

    let digest = program.run(&["audit", "digest", "--tenant", &id, "--day", &today]).await.expect(0).json();
    let yesterday = program.run(&["audit", "digest", "--tenant", &id]).await.expect(0).json();

    assert_eq!((&digest["tenant"], &digest["day"]), (&json!(id), &json!(today)));
    let actions = digest["actions"].as_array().expect("an array");
    assert!(actions.contains(&json!({ "action": "read", "decision": "denied", "count": 4 })), "{digest}");
    assert_eq!(digest["new"]["clients"], json!([]));
    let subjects: Vec<&str> =
        digest["new"]["subjects"].as_array().expect("an array").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(subjects.contains(&"vitals-cli"), "{digest}");
    assert_eq!(digest["thresholds"], json!({ "history_days": 0, "least": 100, "factor": 3 }));
    assert_eq!(yesterday["records"], 0);
    // Of all tenants: a line each.
    let all = program.run(&["audit", "digest", "--day", &today]).await.expect(0);
    assert!(lines(&all.stdout).iter().any(|digest| digest["tenant"] == id.as_str()));
}

/// The time, as the program has it.
fn now() -> DateTime<Utc> {
    SystemClock.now()
}

#[tokio::test]
async fn a16_a_sealed_month_leaves_receipts_and_the_trail_holds() {
    // given a tenant with records of three months ago, and of now
    let outside = Outside::fresh().await;
    let program = outside.program.clone();
    let id = outside.tenants(1).await.remove(0);
    let role = outside.sql(&format!("SELECT role FROM control.tenant WHERE name = '{id}'")).await;
    let today = now();
    let long_ago = today - chrono::TimeDelta::days(92);
    let (month, this_month) = (long_ago.format("%Y-%m").to_string(), today.format("%Y-%m").to_string());
    let mut admin = urls::connect(&outside.urls.audit_admin().expect("admin")).await.expect("a connection");
    migrate::audit(&mut admin, long_ago).await.expect("partitions");
    let mut appender = Appender::new(&outside.urls, Durability::Strict, new_writer());
    let of = |time: DateTime<Utc>| {
        let mut record = AuditRecord::new(Origin::Http, "read", time);
        record.chain.clone_from(&role);
        record
    };
    let records = [of(long_ago), of(long_ago), of(long_ago), of(today)];
    appender.append(&records.each_ref()).await.expect("they are written");
    program.run(&["token", "--tenant", &id, "--scope", "vitals:read"]).await.expect(0);

    // when the month is sealed
    program.run(&["audit", "seal", "--month", &this_month]).await.expect_sentence(1, "cannot be sealed yet");
    let file = program.folder.join("sealed.ndjson.gz");
    let sealed = program
        .run(&["audit", "seal", "--month", &month, "--out", &file.display().to_string(), "--drop", "--json"])
        .await
        .expect(0);

    // then it is out of the trail, in the file, and everything still holds
    assert_eq!(sealed.json(), json!({ "month": month, "records": 3, "receipts": 1 }));
    let mut text = String::new();
    let packed = std::fs::File::open(&file).expect("it is written");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).expect("gzip");
    assert_eq!(lines(&text).len(), 3);
    let left = outside.audit_sql(&format!("SELECT count(*) FROM audit.record WHERE chain = '{role}'")).await;
    assert_eq!(left, "2");
    let verified = program.run(&["audit", "verify"]).await.expect(0);
    assert!(verified.stdout.contains("3 sealed records"), "{}", verified.stdout);
    let receipts = std::fs::read_to_string(program.folder.join("heads/receipts.ndjson")).expect("receipts");
    assert_eq!(lines(&receipts)[0]["last"], 3);
    program.run(&["audit", "seal", "--month", &month]).await.expect_sentence(1, "has no month");
    // A receipt is as good as its signature.
    outside.audit_sql("UPDATE audit.receipt SET line = replace(line, '\"last\":3', '\"last\":2')").await;
    let found = program.run(&["audit", "verify", "--json"]).await.expect(1).json();
    assert!(found["first_bad"]["reason"].as_str().is_some_and(|reason| reason.contains("receipt")), "{found}");
}

#[tokio::test]
async fn the_key_of_the_heads_is_told_and_lies_beside_them() {
    let Shared { program, .. } = program::shared().await;
    tenant(program, "keyed").await;
    let told = program.run(&["audit", "key"]).await.expect(0).json();
    assert_eq!((&told["kty"], &told["alg"]), (&json!("EC"), &json!("ES256")));
    assert!(told.get("d").is_none());
    let beside = || std::fs::read_to_string(program.folder.join("heads/keys.json")).ok();
    poll::until("the key lies there", async || beside().is_some()).await;
    let set: Value = serde_json::from_str(&beside().expect("it is there")).expect("JSON");
    assert_eq!(set["keys"], json!([told]));
}
