//! Audiences, bases and lookups.

use super::*;
use crate::tenant::TenantStatus;

fn tenant(name: &str, number: i32) -> Tenant {
    Tenant {
        role: TenantRole::generate(),
        number,
        name: name.parse().unwrap(),
        login: 0,
        status: TenantStatus::Active,
        version: 1,
        tier: "default".to_owned(),
        display: name.to_owned(),
        created: chrono::DateTime::UNIX_EPOCH,
        settings: crate::settings::Settings::default(),
    }
}

fn issuer(url: &str, tenants: &[&Tenant]) -> Issuer {
    Issuer {
        url: url.to_owned(),
        keys: KeySet::default(),
        tenants: tenants.iter().map(|tenant| tenant.role.clone()).collect(),
        strict: false,
        max_lifetime: MAX_LIFETIME,
        may_set_tier: false,
    }
}

#[test]
fn audiences_are_compared_exactly() {
    let mercy = tenant("mercy", 1);
    let directory = Directory::build("https://vitals.example/", vec![mercy.clone()], vec![], vec![], []);
    for good in ["https://vitals.example", "https://vitals.example/fhir", "https://vitals.example/t/mercy/fhir"] {
        assert!(directory.is_audience(good, &mercy), "{good}");
    }
    for bad in [
        "",
        "https://vitals.example/",
        "https://vitals.example/fhir/",
        "https://vitals.example/t/mercy/fhir/",
        "https://vitals.example/t/mercy/fhir/Patient",
        "https://vitals.example/t/mercy",
        "https://vitals.example/t/mercy2/fhir",
        "https://vitals.example/t/merc/fhir",
        "https://vitals.example/t/Mercy/fhir",
        "https://vitals.example/t/mercy/auth",
        "https://VITALS.example",
        "http://vitals.example",
        "https://vitals.example.evil",
        "https://vitals.example:443",
        "vitals.example",
        " https://vitals.example",
    ] {
        assert!(!directory.is_audience(bad, &mercy), "{bad}");
    }
}

#[test]
fn only_our_bases_lead_to_local_resources() {
    let mercy = tenant("mercy", 1);
    let directory = Directory::build("https://v.example", vec![mercy.clone()], vec![], vec![], []);
    let below = |url| directory.below_base(url, &mercy);
    assert_eq!(below("https://v.example/t/mercy/fhir/Patient/1"), Some("Patient/1"));
    assert_eq!(below("https://v.example/fhir/Patient/1"), Some("Patient/1"));
    assert_eq!(below("https://v.example/t/other/fhir/Patient/1"), None);
    assert_eq!(below("https://v.example/t/mercy/fhirPatient/1"), None);
    assert_eq!(below("https://w.example/fhir/Patient/1"), None);
}

#[test]
fn an_outside_issuer_cannot_take_a_tenants_own_url() {
    let mercy = tenant("mercy", 1);
    let grace = tenant("grace", 2);
    let directory = Directory::build(
        "https://v.example",
        vec![mercy.clone(), grace.clone()],
        vec![issuer("https://v.example/t/mercy/auth", &[&grace]), issuer("https://idp.example", &[&mercy, &grace])],
        vec![(mercy.role.clone(), KeySet::default())],
        [(mercy.role.clone(), "j1".to_owned())],
    );
    assert_eq!(directory.issuer("https://v.example/t/mercy/auth").unwrap().tenants.first(), Some(&mercy.role));
    assert!(directory.is_own_issuer("https://v.example/t/mercy/auth"));
    assert!(!directory.is_own_issuer("https://idp.example"));
    assert_eq!(directory.tenants_of(directory.issuer("https://idp.example").unwrap()).count(), 2);
    assert!(directory.issuer("https://idp.example/").is_none());
    assert!(directory.is_revoked(&mercy.role, "j1"));
    assert!(!directory.is_revoked(&grace.role, "j1"));
    assert_eq!(directory.tenant(&grace.name).unwrap().number, 2);
    assert_eq!(directory.tenant_of_role(&mercy.role).unwrap().number, 1);
}
