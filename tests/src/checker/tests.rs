//! The checker finds what it is there for: a world where all is well, and each rule broken in it.

use serde_json::{Value, json};

use super::{Asked, Found, Outcome, Sent, Standing, judge::breaches};

const P1: &str = "p-1";

fn patient(id: &str, version: i64, mark: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "meta": { "versionId": version.to_string() },
        "identifier": [{ "system": "urn:test:marks", "value": mark }], "birthDate": "1980-02-29",
    })
}

fn standing(version: i64, content: Value) -> Standing {
    let last_updated = format!("2026-03-01T08:00:0{version}.000Z");
    Standing { version, deleted: content.is_null(), last_updated, content }
}

fn done(id: &str, version: i64, request: &str, body: Option<String>) -> Outcome {
    Outcome::Acknowledged { id: id.to_owned(), version, body, request: request.to_owned() }
}

fn sent(asked: Asked, mark: &str, outcome: Outcome) -> Sent {
    let content = if matches!(asked, Asked::Read | Asked::Delete) { Value::Null } else { patient("any", 0, mark) };
    Sent { asked, kind: "Patient", mark: mark.to_owned(), content, outcome }
}

fn record(action: &str, id: &str, version: i64) -> Value {
    json!({ "action": action, "type": "Patient", "id": id, "version": version, "decision": "allowed", "status": 200 })
}

/// A patient that was written twice, read and deleted; a transaction of two; a write that was refused, one that nobody
/// knows of and is there, and one that is not.
fn world() -> (Vec<Sent>, Found) {
    let text = |version: i64, mark: &str| Some(patient(P1, version, mark).to_string());
    let sent = vec![
        sent(Asked::Write, "m1", done(P1, 1, "r1", text(1, "m1"))),
        sent(Asked::Write, "m2", done(P1, 2, "r2", text(2, "m2"))),
        sent(Asked::Read, "", done(P1, 2, "r3", text(2, "m2"))),
        sent(Asked::Delete, "", done(P1, 3, "r4", None)),
        sent(Asked::Entry(0), "t1", done("t-1", 1, "r5", None)),
        sent(Asked::Entry(0), "t2", done("t-2", 1, "r5", None)),
        sent(Asked::Write, "no", Outcome::Refused(412)),
        sent(Asked::Write, "u1", Outcome::Unknown),
        sent(Asked::Write, "u2", Outcome::Unknown),
        sent(Asked::Entry(1), "t3", Outcome::Unknown),
        sent(Asked::Entry(1), "t4", Outcome::Unknown),
    ];
    let mut found = Found::default();
    let mut stands = |id: &str, versions: Vec<Standing>| {
        found.versions.insert(("Patient".to_owned(), id.to_owned()), versions);
    };
    let three = vec![standing(3, Value::Null), standing(2, patient(P1, 2, "m2")), standing(1, patient(P1, 1, "m1"))];
    stands(P1, three);
    for (id, mark) in [("t-1", "t1"), ("t-2", "t2"), ("u-1", "u1")] {
        stands(id, vec![standing(1, patient(id, 1, mark))]);
    }
    for (version, mark) in [(1, "m1"), (2, "m2")] {
        let key = ("Patient".to_owned(), P1.to_owned(), version);
        found.texts.insert(key, patient(P1, version, mark).to_string());
    }
    let entry = |id: &str| json!({ "action": "update", "type": "Patient", "id": id, "decision": "allowed" });
    for (request, told) in [
        ("r1", record("update", P1, 1)),
        ("r2", record("update", P1, 2)),
        ("r3", record("read", P1, 2)),
        ("r4", record("delete", P1, 3)),
        ("r5", json!({ "action": "transaction", "decision": "allowed", "entries": [entry("t-1"), entry("t-2")] })),
        ("r6", record("update", "u-1", 1)),
    ] {
        found.records.insert(request.to_owned(), vec![told]);
    }
    (sent, found)
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let (sent, found) = world();
    assert_eq!(breaches(&sent, &found), Vec::<String>::new());
}

/// What is done to the world, and the rules that say so.
type Break = (&'static str, fn(&mut Vec<Sent>, &mut Found), &'static [&'static str]);

fn versions<'f>(found: &'f mut Found, id: &str) -> &'f mut Vec<Standing> {
    found.versions.get_mut(&("Patient".to_owned(), id.to_owned())).expect("it stands")
}

#[test]
fn whatever_is_lost_is_found() {
    let breaks: &[Break] = &[
        ("an acknowledged resource", |_, found| drop(found.versions.remove(&key("t-1"))), &["L1", "L3"]),
        ("an acknowledged version", |_, found| drop(versions(found, P1).remove(1)), &["L1", "L4", "L5"]),
        ("the newest version", |_, found| drop(versions(found, P1).remove(0)), &["L1", "L5"]),
        ("a deletion undone", |_, found| versions(found, P1)[0].deleted = false, &["L1"]),
        (
            "a byte of an acknowledged version",
            |_, found| {
                found.texts.values_mut().for_each(|text| *text = text.replace("1980", "1981"));
            },
            &["L1"],
        ),
        (
            "a refused write that stands",
            |_, found| {
                let standing = standing(1, patient("x", 1, "no"));
                found.versions.insert(key("x"), vec![standing]);
            },
            &["L2", "L5"],
        ),
        (
            "an unknown write that stands twice",
            |_, found| {
                let standing = standing(1, patient("x", 1, "u1"));
                found.versions.insert(key("x"), vec![standing]);
            },
            &["L2", "L5"],
        ),
        (
            "half of an unknown write",
            |_, found| drop(versions(found, "u-1")[0].content.as_object_mut().map(|all| all.shift_remove("birthDate"))),
            &["L2"],
        ),
        (
            "half of a transaction that nobody knows of",
            |_, found| {
                let standing = standing(1, patient("t-3", 1, "t3"));
                found.versions.insert(key("t-3"), vec![standing]);
                found.records.insert("r7".to_owned(), vec![record("update", "t-3", 1)]);
            },
            &["L3"],
        ),
        ("a version twice", |_, found| versions(found, P1)[1].version = 1, &["L1", "L4"]),
        (
            "a version that is older than the one before",
            |_, found| versions(found, P1)[0].last_updated = "2025-01-01T00:00:00.000Z".to_owned(),
            &["L4"],
        ),
        ("the record of a write", |_, found| drop(found.records.remove("r2")), &["L5"]),
        ("the record of a read", |_, found| drop(found.records.remove("r3")), &["L5"]),
        ("the record of a transaction", |_, found| drop(found.records.remove("r5")), &["L5"]),
        ("the record of what nobody knows of", |_, found| drop(found.records.remove("r6")), &["L5"]),
        (
            "a record twice",
            |_, found| {
                let records = found.records.get_mut("r1").expect("it stands");
                records.push(records[0].clone());
            },
            &["L5"],
        ),
        (
            "a record of another version",
            |_, found| found.records.get_mut("r1").expect("it stands")[0]["version"] = 2.into(),
            &["L5"],
        ),
        (
            "a record that says it was refused",
            |_, found| found.records.get_mut("r1").expect("it stands")[0]["decision"] = "denied".into(),
            &["L5"],
        ),
        ("a row in a foreign schema", |_, found| found.foreign.push("t_x.patient".to_owned()), &["L6"]),
    ];
    for (what, break_it, rules) in breaks {
        let (mut sent, mut found) = world();
        break_it(&mut sent, &mut found);
        let mut told: Vec<String> = breaches(&sent, &found).iter().map(|breach| breach[..2].to_owned()).collect();
        told.sort();
        told.dedup();
        assert_eq!(&told, rules, "{what}");
    }
}

#[test]
fn a_record_in_doubt_stands_for_a_version_or_for_none() {
    for standing in [true, false] {
        let (sent, mut found) = world();
        found.records.get_mut("r6").expect("it stands")[0]["decision"] = "unknown".into();
        if !standing {
            found.versions.remove(&key("u-1"));
        }
        assert_eq!(breaches(&sent, &found), Vec::<String>::new(), "{standing}");
    }
}

fn key(id: &str) -> (String, String) {
    ("Patient".to_owned(), id.to_owned())
}
