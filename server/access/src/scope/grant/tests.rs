//! What is granted of what was asked: a table of cases, and ten thousand random ones that are never wider.

use super::{super::property, *};

fn list(scopes: &str) -> Vec<String> {
    scopes.split(' ').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

#[test]
fn what_is_granted_is_what_all_three_have_in_common() {
    let loinc = "http://loinc.org|8867-4";
    let limited = format!("patient/Observation.rs?code={loinc}");
    let cases = [
        // asked, allowed, held, granted
        ("patient/*.rs", "patient/*.cruds", "patient/*.cruds", "patient/*.rs"),
        (
            "patient/*.rs",
            "patient/Observation.rs patient/Patient.r",
            "patient/*.rs",
            "patient/Observation.rs patient/Patient.r",
        ),
        ("patient/*.rs", "patient/*.rs", "patient/Patient.rs", "patient/Patient.rs"),
        ("patient/*.rs", "patient/Observation.rs", "patient/Patient.rs", ""),
        ("patient/Observation.cruds", "patient/*.rs", "patient/*.cud patient/*.s", "patient/Observation.s"),
        (
            "patient/Observation.rs",
            "patient/Observation.r patient/Observation.s",
            "patient/*.rs",
            "patient/Observation.rs",
        ),
        // The spelling asked for, where it can say it.
        ("patient/Observation.read", "patient/*.rs", "patient/*.rs", "patient/Observation.read"),
        ("patient/Observation.read", "patient/*.read", "patient/*.*", "patient/Observation.read"),
        ("patient/*.read", "patient/Observation.rs", "patient/*.rs", "patient/Observation.read"),
        ("patient/*.*", "patient/Observation.rs", "patient/*.rs", "patient/Observation.read"),
        ("patient/*.*", "patient/Observation.cud", "patient/*.cruds", "patient/Observation.write"),
        ("patient/*.*", "patient/Observation.*", "patient/*.cruds", "patient/Observation.*"),
        ("patient/*.*", "patient/Observation.r", "patient/*.rs", "patient/Observation.r"),
        ("patient/Observation.rs", "patient/*.read", "patient/*.read", "patient/Observation.rs"),
        ("patient/*.rs patient/*.read", "patient/*.rs", "patient/*.rs", "patient/*.rs patient/*.read"),
        ("patient/*.rs patient/*.rs", "patient/*.rs", "patient/*.rs", "patient/*.rs"),
        // Families.
        ("user/*.rs", "system/*.rs patient/*.rs", "user/*.rs", ""),
        ("system/*.rs", "system/*.rs", "user/*.rs", ""),
        ("patient/Observation.rs", "user/Observation.rs", "user/*.rs", ""),
        ("vitals:read", "vitals.all:read", "vitals:read", "vitals:read"),
        ("vitals.all:read", "vitals:read", "vitals:read", "vitals.all:read"),
        (
            "vitals:read",
            "vitals.heart_rate:read vitals.bmi:read",
            "vitals:read",
            "vitals.heart_rate:read vitals.bmi:read",
        ),
        ("vitals.heart_rate:read", "vitals:read", "vitals.all:read", "vitals.heart_rate:read"),
        ("vitals.heart_rate:read", "vitals.bmi:read", "vitals:read", ""),
        ("vitals.heart_rate:write", "vitals:read", "vitals:write", ""),
        ("vitals:read", "system/Observation.rs", "vitals:read", ""),
        ("system/Observation.rs", "vitals:read", "system/*.rs", ""),
        ("users:read", "users:read", "users:read", "users:read"),
        ("users:read", "vitals:read", "users:read", ""),
        // Types that are not offered here are compared by name.
        ("patient/Encounter.rs", "patient/*.rs", "patient/*.rs", "patient/Encounter.rs"),
        ("patient/Encounter.rs", "patient/Condition.rs", "patient/*.rs", ""),
        ("system/AuditEvent.rs", "system/*.rs", "system/AuditEvent.rs", ""),
        ("system/AuditEvent.rs", "system/AuditEvent.rs", "system/AuditEvent.r", "system/AuditEvent.r"),
        // Limits.
        (limited.as_str(), "patient/*.rs", "patient/*.rs", limited.as_str()),
        ("patient/Observation.rs", limited.as_str(), "patient/*.rs", limited.as_str()),
        ("patient/*.read", limited.as_str(), "patient/*.rs", limited.as_str()),
        // No spelling of v1 has any.
        ("patient/*.*", "patient/*.cruds?category=x", "patient/*.cruds", "patient/*.cruds?category=x"),
        ("patient/*.write", "patient/*.cud?category=x", "patient/*.cruds", "patient/*.cud?category=x"),
        (
            "patient/*.rs",
            "patient/*.rs?category=x",
            "patient/*.rs?status=final",
            "patient/*.rs?category=x&status=final",
        ),
        ("patient/*.rs?category=x", "patient/*.rs?category=y", "patient/*.rs", ""),
        ("patient/*.rs?category=x,y", "patient/*.rs?category=y,z", "patient/*.rs", "patient/*.rs?category=y"),
        ("patient/*.rs?category=x", "patient/*.rs?category=s|x", "patient/*.rs", "patient/*.rs?category=s|x"),
        ("patient/*.rs?category=s|x", "patient/*.rs?category=x", "patient/*.rs", "patient/*.rs?category=s|x"),
        ("patient/*.rs?category=s|x", "patient/*.rs?category=t|x", "patient/*.rs", ""),
        ("patient/*.rs?category=s%7Cx", "patient/*.rs", "patient/*.rs", "patient/*.rs?category=s%7Cx"),
        ("patient/*.rs", "patient/*.rs?code=a%5C,b", "patient/*.rs", "patient/*.rs?code=a%5C%2Cb"),
        ("patient/*.rs", "patient/*.rs?code=%2B%26%20", "patient/*.rs", "patient/*.rs?code=%2B%26%20"),
        ("patient/*.rs", "patient/*.r?code=a patient/*.s?code=a", "patient/*.rs", "patient/*.rs?code=a"),
        (
            "patient/*.rs",
            "patient/*.rs?code=a patient/*.rs?code=b",
            "patient/*.rs",
            "patient/*.rs?code=a patient/*.rs?code=b",
        ),
        ("patient/*.rs", "patient/*.rs?code=a patient/*.rs", "patient/*.rs", "patient/*.rs"),
        (
            "patient/*.rs?status=final",
            "patient/*.rs?status=http://hl7.org/fhir/observation-status|final",
            "patient/*.rs",
            "patient/*.rs?status=final",
        ),
        // Words.
        ("openid fhirUser launch/patient offline_access", "openid launch/patient", "", "openid launch/patient"),
        ("admin:users", "admin:users", "", ""),
        ("admin:users", "admin:users", "admin:users", "admin:users"),
        (
            "audit:read analytics:read export:bulk org:self org:delegated",
            "audit:read analytics:read export:bulk org:self org:delegated",
            "org:self",
            "org:self",
        ),
        ("launch", "launch/patient", "launch", ""),
        // What is not understood.
        ("patient/*.sr */*.* nonsense", "patient/*.sr */*.* nonsense", "patient/*.sr */*.* nonsense", ""),
        ("patient/*.rs", "patient/*.sr", "patient/*.rs", ""),
        ("", "patient/*.rs", "patient/*.rs", ""),
    ];
    for (asked, allowed, held, granted) in cases {
        let found = grantable(&list(asked), &list(allowed), &list(held)).join(" ");
        assert_eq!(found, granted, "asked {asked}, allowed {allowed}, held {held}");
        assert!(list(&found).iter().all(|scope| is_known(scope)), "{found}");
    }
}

#[test]
fn who_may_do_all_gets_what_was_asked_in_its_own_words() {
    let mut chance = property::Chance(11);
    for _ in 0..2_000 {
        let asked = property::scopes(&mut chance);
        let all = list("patient/*.* user/*.* system/*.* vitals:read vitals:write users:read");
        let mut once: Vec<String> = Vec::new();
        for scope in &asked {
            if !once.contains(scope) {
                once.push(scope.clone());
            }
        }
        assert_eq!(grantable(&asked, &all, &all), once);
        // A scope that says the same condition twice is granted all the same.
        assert_eq!(grantable(&asked, &asked, &asked), once, "{asked:?}");
    }
}
