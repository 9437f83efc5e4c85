//! Canonical texts, their way back, and the chain.

use super::*;

fn record() -> AuditRecord {
    let time = DateTime::from_timestamp_nanos(1_700_000_000_123_456_789);
    AuditRecord { id: Uuid::nil(), ..AuditRecord::new(Origin::Http, "read", time) }
}

#[test]
fn canonical_text_has_a_fixed_order_and_no_nulls() {
    let mut record = record();
    record.tenant = Some("mercy".to_owned());
    record.scopes = vec!["patient/*.rs".to_owned()];
    record.resource_type = Some("Patient".to_owned());
    record.resource_id = Some("p\"1".to_owned());
    record.allowed(200);
    assert_eq!(
        record.canonical(7, 2),
        concat!(
            r#"{"writer":7,"sequence":2,"record":"00000000-0000-0000-0000-000000000000","chain":"server","#,
            r#""origin":"http","time":"2023-11-14T22:13:20.123Z","tenant":"mercy","scopes":["patient/*.rs"],"#,
            r#""action":"read","type":"Patient","id":"p\"1","decision":"allowed","status":200}"#
        )
    );
}

#[test]
fn canonical_text_comes_back_as_the_same_record() {
    let mut record = record();
    record.denied(403, "no scope covers it");
    record.unverified = true;
    record.count = Some(u64::MAX);
    record.version = Some(3);
    record.query = Some("code&date".to_owned());
    record.patients = vec!["a".to_owned(), "b\u{1f600}\n".to_owned()];
    record.entries = vec![AuditEntry {
        resource_type: Some("Observation".to_owned()),
        status: Some(503),
        query: Some("code".to_owned()),
        tenant: Some("mercy".to_owned()),
        grant: Some("g".to_owned()),
        count: Some(2),
        patients: vec!["a".to_owned()],
        ..AuditEntry::new("create", Decision::Unknown)
    }];
    for text in [record.canonical(i64::MAX, 1), record.to_json()] {
        let back: AuditRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(back, record);
        assert_eq!(back.canonical(1, 2), record.canonical(1, 2));
    }
}

#[test]
fn a_record_for_another_chain_is_one_of_its_own_and_of_the_same_request() {
    let mut record = record();
    record.request_id = Some("r1".to_owned());
    record.copy = Some(Copied { chain: "t_a".to_owned(), tenant: "mercy".to_owned() });
    let other = record.elsewhere("t_b");
    assert_ne!(other.id, record.id);
    assert_eq!((other.chain.as_str(), other.copy.is_none()), ("t_b", true));
    assert_eq!(other.request_id.as_deref(), Some("r1"));
}

#[test]
fn what_a_refused_token_claimed_is_kept_as_unverified() {
    let claimed = Claimed {
        issuer: Some("https://idp.example".to_owned()),
        subject: Some("s".to_owned()),
        client: Some("c".to_owned()),
        tenant: Some("mercy".to_owned()),
    };
    let mut record = record();
    record.by_claimed(&claimed);
    assert!(record.unverified);
    let kept = Claimed {
        issuer: record.issuer.clone(),
        subject: record.subject.clone(),
        client: record.client.clone(),
        tenant: record.acting_tenant.clone(),
    };
    assert_eq!(kept, claimed);
    assert!(record.to_json().contains(r#""unverified":true"#));
}

#[test]
fn the_hash_covers_the_text_and_the_record_before() {
    let text = record().canonical(1, 1);
    let first = hash(&[0; 32], &text);
    assert_eq!(first, hash(&[0; 32], &text));
    assert_ne!(first, hash(&first, &text));
    assert_ne!(first, hash(&[0; 32], &text.replace("read", "vread")));
    // SHA-256 of 32 zero bytes and "abc", by another implementation.
    let known = u128::from_be_bytes(hash(&[0; 32], "abc")[..16].try_into().unwrap());
    assert_eq!(format!("{known:032x}"), "365aa7d8f7f9402c4b9434502b4cc89d");
}

#[test]
fn a_record_says_refused_until_told_otherwise() {
    let mut record = record();
    assert_eq!(record.decision, Decision::Denied);
    record.unknown(503, "the commit was not answered");
    assert_eq!((record.decision, record.status), (Decision::Unknown, Some(503)));
    record.allowed(201);
    assert_eq!((record.decision, record.status, record.reason), (Decision::Allowed, Some(201), None));
}
