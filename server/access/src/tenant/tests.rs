//! Tables of names and roles.

use super::*;

#[test]
fn tenant_names_are_exact() {
    let longest = format!("a{}", "b".repeat(39));
    for good in ["abc", "st-mary", "a1b", "a--b", "default1", "fhir2", "ap-pg", longest.as_str()] {
        assert_eq!(good.parse::<TenantName>().map(|name| name.to_string()), Ok(good.to_owned()));
    }
    let too_long = format!("a{}", "b".repeat(40));
    let bad = [
        "",
        "a",
        "ab",
        "1ab",
        "-ab",
        "ab-",
        "aBc",
        "ABC",
        "abc ",
        " abc",
        "a_b",
        "a.b",
        "a/b",
        "a%62c",
        "abc\0",
        "abc\n",
        "äbc",
        "a\u{308}bc",
        "аbc",
        "abc;--",
        "abc\"",
        "abc,def",
        "information_schema",
        too_long.as_str(),
    ];
    for bad in bad {
        assert_eq!(bad.parse::<TenantName>(), Err(NotAName::Form), "{bad:?}");
    }
    for reserved in ["public", "default", "system", "operator", "admin", "auth", "fhir", "pgx", "pg-catalog"] {
        assert_eq!(reserved.parse::<TenantName>(), Err(NotAName::Reserved), "{reserved}");
    }
}

#[test]
fn generated_roles_are_roles_and_differ() {
    let one = TenantRole::generate();
    let other = TenantRole::generate();
    assert_eq!(one.as_str().parse(), Ok(one.clone()));
    assert_ne!(one, other);
}

#[test]
fn only_generated_forms_are_roles() {
    let good = format!("t_{}", "a2".repeat(13));
    assert_eq!(good.parse::<TenantRole>().unwrap().to_string(), good);
    for bad in [
        "",
        "t_",
        "public",
        &good[1..],
        &good[..27],
        &format!("{good}a"),
        &good.to_uppercase(),
        &good.replace('2', "1"),
        &good.replace('2', "\""),
    ] {
        assert_eq!(bad.parse::<TenantRole>(), Err(NotARole), "{bad:?}");
    }
}

#[test]
fn status_words_come_back() {
    for status in [TenantStatus::Active, TenantStatus::Suspended] {
        assert_eq!(TenantStatus::named(status.name()), Some(status));
    }
    assert_eq!(TenantStatus::named("Active"), None);
}
