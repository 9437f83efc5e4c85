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
        algorithms: AllowedAlgorithms::default(),
        mapping: Arc::default(),
    }
}

fn directory(public_url: &str, tenants: &[&Tenant]) -> Directory {
    Directory::build(DirectoryParts {
        public_url: public_url.to_owned(),
        tenants: tenants.iter().map(|tenant| (*tenant).clone()).collect(),
        ..DirectoryParts::default()
    })
}

#[test]
fn audiences_are_compared_exactly() {
    let mercy = tenant("mercy", 1);
    let directory = directory("https://vitals.example/", &[&mercy]);
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
    let directory = directory("https://v.example", &[&mercy]);
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
    let directory = Directory::build(DirectoryParts {
        public_url: "https://v.example".to_owned(),
        tenants: vec![mercy.clone(), grace.clone()],
        issuers: vec![
            issuer("https://v.example/t/mercy/auth", &[&grace]),
            issuer("https://idp.example", &[&mercy, &grace]),
        ],
        own_keys: vec![(mercy.role.clone(), KeySet::default())],
        ..DirectoryParts::default()
    });
    assert_eq!(directory.issuer("https://v.example/t/mercy/auth").unwrap().tenants.first(), Some(&mercy.role));
    assert!(directory.is_own_issuer("https://v.example/t/mercy/auth"));
    assert!(!directory.is_own_issuer("https://idp.example"));
    assert_eq!(directory.tenants_of(directory.issuer("https://idp.example").unwrap()).count(), 2);
    assert!(directory.issuer("https://idp.example/").is_none());
    assert_eq!(directory.tenant(&grace.name).unwrap().number, 2);
    assert_eq!(directory.tenant_of_role(&mercy.role).unwrap().number, 1);
}

#[test]
fn origins_and_certificates_are_those_of_clients_and_settings() {
    let (mut mercy, grace) = (tenant("mercy", 1), tenant("grace", 2));
    mercy.settings.origins = vec!["https://portal.example".to_owned(), "https://app.example".to_owned()];
    let directory = Directory::build(DirectoryParts {
        tenants: vec![mercy.clone(), grace.clone()],
        origins: vec![
            (mercy.role.clone(), "https://app.example".to_owned()),
            (grace.role.clone(), "https://other.example".to_owned()),
        ],
        certificates: vec![(mercy.role.clone(), [1; 32]), (grace.role.clone(), [1; 32])],
        ..DirectoryParts::default()
    });
    let origins = |tenant: &Tenant| directory.origins(&tenant.role).collect::<Vec<_>>();
    assert_eq!(origins(&mercy), ["https://app.example", "https://portal.example"]);
    assert_eq!(origins(&grace), ["https://other.example"]);
    assert!(directory.has_origin(&mercy.role, "https://portal.example"));
    assert!(!directory.has_origin(&grace.role, "https://portal.example"));
    assert!(!directory.has_origin(&TenantRole::generate(), "https://portal.example"));
    assert_eq!(directory.registered_certificates().collect::<Vec<_>>(), [[1; 32]]);
    assert!(directory.is_registered_certificate(&[1; 32]) && !directory.is_registered_certificate(&[2; 32]));
}

#[test]
fn what_was_taken_back_is_exchanged_alone() {
    use crate::revocations::RevocationKind;
    let mercy = tenant("mercy", 1);
    let before = directory("https://v.example", &[&mercy]);
    let mut revocations = Revocations::default();
    revocations.add(&mercy.role, RevocationKind::Token, [("j1".to_owned(), 0)]);
    let after = before.with_revocations(Arc::new(revocations));
    let asked = Revocable { token: Some("j1"), ..Revocable::default() };
    assert!(!before.is_revoked(&mercy.role, &asked));
    assert!(after.is_revoked(&mercy.role, &asked));
    assert!(Arc::ptr_eq(before.tenant(&mercy.name).unwrap(), after.tenant(&mercy.name).unwrap()));
    assert_eq!(format!("{after:?}"), "Directory { tenants: 1, issuers: 0, revocations: 1, .. }");
}

#[test]
fn what_is_in_it_can_be_looked_through() {
    let (mercy, north) = (tenant("mercy", 1), tenant("north", 2));
    let certificate = [7; 32];
    let directory = Directory::build(DirectoryParts {
        public_url: "https://vitals.example/".to_owned(),
        tenants: vec![mercy.clone(), north.clone()],
        issuers: vec![issuer("https://idp.example", &[&north])],
        certificates: vec![(mercy.role.clone(), certificate)],
        ..DirectoryParts::default()
    });
    assert_eq!(directory.public_url(), "https://vitals.example");
    assert_eq!(directory.own_issuer_url(&mercy.name), "https://vitals.example/t/mercy/auth");
    let mut names: Vec<&str> = directory.tenants().map(|tenant| tenant.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["mercy", "north"]);
    let issuers: Vec<&str> = directory.outside_issuers().map(|issuer| issuer.url.as_str()).collect();
    assert_eq!(issuers, ["https://idp.example"]);
    assert_eq!(directory.registered_certificates().collect::<Vec<_>>(), [certificate]);
}

#[test]
fn grants_that_were_ended_are_not_told_of() {
    let (mercy, lab) = (tenant("mercy", 1), tenant("lab", 2));
    let grant = |id: &str, revoked| Grant {
        id: id.to_owned(),
        grantor: mercy.role.clone(),
        grantee: lab.role.clone(),
        scopes: vec!["users:read".to_owned()],
        purpose: "HRESCH".to_owned(),
        not_before: chrono::DateTime::UNIX_EPOCH,
        expires: chrono::DateTime::UNIX_EPOCH,
        revoked,
    };
    let directory = Directory::build(DirectoryParts {
        tenants: vec![mercy.clone(), lab.clone()],
        grants: vec![grant("a", false), grant("b", true)],
        ..DirectoryParts::default()
    });
    let told: Vec<&str> = directory.grants_to(&lab.role).map(|grant| grant.id.as_str()).collect();
    assert_eq!(told, ["a"], "when it stands is for each request to judge");
    assert_eq!(directory.grants_to(&mercy.role).count(), 0);
}
