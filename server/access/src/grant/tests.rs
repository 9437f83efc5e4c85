//! When a grant stands, and which are found between whom.

use super::*;
use crate::predicate::Visible;
use vitals_fhir::{interaction::Letter, resource::ResourceType};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn grant(id: &str, grantor: &TenantRole, grantee: &TenantRole) -> Grant {
    Grant {
        id: id.to_owned(),
        grantor: grantor.clone(),
        grantee: grantee.clone(),
        scopes: vec!["users:read".to_owned()],
        purpose: "HRESCH".to_owned(),
        not_before: at(100),
        expires: at(200),
        revoked: false,
    }
}

#[test]
fn a_grant_stands_from_its_first_moment_to_before_its_last() {
    let (mercy, lab) = (TenantRole::generate(), TenantRole::generate());
    let standing = grant("a", &mercy, &lab);
    let revoked = Grant { revoked: true, ..standing.clone() };
    for (second, stands, over) in [
        (99, false, false),
        (100, true, false),
        (150, true, false),
        (199, true, false),
        (200, false, true),
        (201, false, true),
    ] {
        assert_eq!((standing.stands_at(at(second)), standing.is_over(at(second))), (stands, over), "{second}");
        assert_eq!((revoked.stands_at(at(second)), revoked.is_over(at(second))), (false, true), "{second}");
    }
}

#[test]
fn grants_are_found_from_both_sides_and_the_newest_first() {
    let [mercy, grace, lab] = [(), (), ()].map(|()| TenantRole::generate());
    let grants = Grants::of(vec![
        grant("2", &mercy, &lab),
        grant("1", &mercy, &lab),
        grant("3", &mercy, &lab),
        grant("4", &grace, &lab),
        grant("5", &lab, &mercy),
    ]);
    let ids = |granted: &[Granted]| granted.iter().map(|granted| granted.grant.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(grants.between(&mercy, &lab)), ["3", "2", "1"]);
    assert_eq!(ids(grants.between(&grace, &lab)), ["4"]);
    assert_eq!(ids(grants.between(&lab, &mercy)), ["5"]);
    assert_eq!(ids(grants.between(&grace, &mercy)), Vec::<String>::new());
    assert_eq!(ids(grants.between(&mercy, &grace)), Vec::<String>::new());
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let to = |role| sorted(grants.to(role).map(|grant| grant.id.clone()).collect());
    assert_eq!(to(&lab), ["1", "2", "3", "4"]);
    assert_eq!((to(&mercy), to(&grace)), (vec!["5".to_owned()], vec![]));
    let grantors = |role| sorted(grants.grantors(role).map(ToString::to_string).collect());
    assert_eq!(grantors(&lab), sorted(vec![mercy.to_string(), grace.to_string()]));
    assert_eq!((grantors(&mercy), grantors(&grace)), (vec![lab.to_string()], vec![]));
    let granted = &grants.between(&grace, &lab)[0];
    assert_eq!(*granted.reach.visible(ResourceType::Patient, Letter::Read), Visible::Everything);
}

#[test]
fn scopes_of_a_patient_or_a_user_reach_nothing_elsewhere() {
    for (scope, reaches) in [
        ("patient/*.rs", false),
        ("user/*.rs", false),
        ("system/*.rs", true),
        ("vitals:read", true),
        ("org:delegated", false),
    ] {
        let reach = reach_elsewhere(&ScopeSet::of(vec![scope.to_owned()]));
        assert_eq!(reach.reaches_anything(), reaches, "{scope}");
    }
}
