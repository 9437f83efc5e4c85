use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn scopes_that_read_data_of_no_person_can_be_granted() {
    let good = [
        "system/*.rs",
        "system/Observation.read",
        "system/Observation.rs?category=vital-signs",
        "system/Patient.s",
        "vitals:read",
        "vitals.all:read",
        "vitals.heart_rate:read",
        "users:read",
    ];
    for scope in good {
        assert_eq!(why_not(scope), None, "{scope}");
    }
    let bad = [
        "",
        "nonsense",
        "vitals:reed",
        "org:delegated",
        "admin:users",
        "audit:read",
        "export:bulk",
        "analytics:read",
        "openid",
        "launch/patient",
        "patient/*.rs",
        "user/Observation.rs",
        "system/*.cruds",
        "system/Observation.c",
        "system/Observation.write",
        "system/*.*",
        "vitals:write",
        "vitals.heart_rate:write",
        "system/Device.rs",
        "system/AuditEvent.rs",
        "system/Observation.sr",
    ];
    for scope in bad {
        let refused = check_scopes(&[scope.to_owned()]).unwrap_err().to_string();
        assert!(refused.starts_with("scope ") && refused.contains(scope), "{scope}: {refused}");
    }
}

#[test]
fn a_grant_has_each_scope_once_and_not_too_many() {
    let two = ["vitals:read", "users:read", "vitals:read"].map(str::to_owned);
    assert_eq!(check_scopes(&two).unwrap(), ["vitals:read", "users:read"]);
    let many: Vec<String> = (0..=MOST_SCOPES).map(|n| format!("system/Observation.rs?code=http://x|{n}")).collect();
    assert!(matches!(check_scopes(&many), Err(GrantsError::HowMany)));
    assert_eq!(check_scopes(&many[..MOST_SCOPES]).unwrap().len(), MOST_SCOPES);
    assert!(matches!(check_scopes(&[]), Err(GrantsError::HowMany)));
}

#[test]
fn a_grant_ends_in_the_future_after_it_begins_and_within_five_years() {
    let now = at("2026-03-01T00:00:00Z");
    let cases = [
        (now, "2026-03-01T00:00:00.001Z", true),
        (now, "2026-03-01T00:00:00Z", false),
        (at("2020-01-01T00:00:00Z"), "2026-02-28T23:59:59Z", false),
        (at("2020-01-01T00:00:00Z"), "2026-03-02T00:00:00Z", true),
        (at("2026-05-01T00:00:00Z"), "2026-05-01T00:00:00Z", false),
        (at("2026-05-01T00:00:00Z"), "2026-05-01T00:00:01Z", true),
        (now, "2031-03-01T00:00:00Z", true),
        (now, "2031-04-01T00:00:00Z", false),
    ];
    for (not_before, expires, good) in cases {
        assert_eq!(check_times(not_before, at(expires), now).is_ok(), good, "{not_before} to {expires}");
    }
}

#[test]
fn a_grant_stands_between_its_times_until_it_is_revoked() {
    let row = GrantRow {
        id: "g".to_owned(),
        grantor: "a".to_owned(),
        grantee: "b".to_owned(),
        scopes: Vec::new(),
        purpose: "HRESCH".to_owned(),
        note: None,
        not_before: "2026-03-01T00:00:00.000Z".to_owned(),
        expires: "2026-04-01T00:00:00.000Z".to_owned(),
        created: "2026-02-01T00:00:00.000Z".to_owned(),
        created_by: "x".to_owned(),
        revoked: None,
        revoked_by: None,
    };
    for (now, expected) in [
        ("2026-02-28T23:59:59.999Z", "future"),
        ("2026-03-01T00:00:00Z", "active"),
        ("2026-03-31T23:59:59.999Z", "active"),
        ("2026-04-01T00:00:00Z", "expired"),
    ] {
        assert_eq!(status(&row, at(now)), expected, "{now}");
    }
    let revoked = GrantRow { revoked: Some(row.created.clone()), ..row };
    assert_eq!(status(&revoked, at("2026-03-02T00:00:00Z")), "revoked");
}
