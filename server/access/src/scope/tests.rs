//! Every line of the contract's section 4 as a table: what a scope reaches, and what reaches nothing.

use vitals_fhir::token::{code_alone, coding};

use super::*;
use crate::predicate::{AllOf, Visible};

const LETTERS: [(char, Letter); 5] =
    [('c', Letter::Create), ('r', Letter::Read), ('u', Letter::Update), ('d', Letter::Delete), ('s', Letter::Search)];

fn reach(scopes: &str, patient: Option<&str>, user: &User) -> Reach {
    let texts = scopes.split(' ').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Reach::of(&ScopeSet::of(texts), Who { patient, user })
}

/// The letters that reach something of a type, as a word such as `rs`.
fn letters(reach: &Reach, resource: ResourceType) -> String {
    let some = |letter: Letter| *reach.visible(resource, letter) != Visible::Nothing;
    LETTERS.iter().filter(|(_, letter)| some(*letter)).map(|(sign, _)| *sign).collect()
}

fn any(alternatives: &[&[Term]]) -> Visible {
    Visible::AnyOf(alternatives.iter().map(|terms| AllOf(terms.to_vec())).collect())
}

fn patient(id: &str) -> Term {
    Term::PatientIs(id.to_owned())
}

#[test]
fn scopes_reach_types_by_letters() {
    let cases = [
        ("", "", ""),
        ("system/*.read", "rs", "rs"),
        ("system/*.write", "cud", "cud"),
        ("system/*.*", "cruds", "cruds"),
        ("system/Patient.read", "rs", ""),
        ("system/Observation.write", "", "cud"),
        ("system/Observation.*", "", "cruds"),
        ("system/Observation.cruds", "", "cruds"),
        ("system/Observation.rs", "", "rs"),
        ("system/Observation.c", "", "c"),
        ("system/Observation.ud", "", "ud"),
        ("system/*.s", "s", "s"),
        ("user/*.rs", "rs", "rs"),
        ("patient/*.rs", "rs", "rs"),
        ("system/Patient.r system/Patient.s system/Observation.c", "rs", "c"),
        ("system/Encounter.rs", "", ""),
        ("system/AuditEvent.rs", "", ""),
        ("vitals:read", "", "rs"),
        ("vitals:write", "", "cud"),
        ("vitals.all:read", "", "rs"),
        ("vitals.all:write", "", "cud"),
        ("vitals.heart_rate:read", "", "rs"),
        ("vitals.head_circumference:write", "", "cud"),
        ("users:read", "rs", ""),
        ("org:self org:delegated analytics:read admin:users audit:read export:bulk", "", ""),
        ("launch launch/patient openid fhirUser profile offline_access online_access", "", ""),
        ("system/Observation.rs?category=vital-signs", "", "rs"),
        ("system/*.rs?category=vital-signs", "", "rs"),
        ("system/Patient.rs?category=vital-signs", "", ""),
        ("system/Patient.rs?code=a", "", ""),
        ("system/Patient.rs?status=final", "", ""),
        ("system/Patient.rs?_security=R", "rs", ""),
        ("system/*.rs?_security=R", "rs", "rs"),
        ("system/*.rs?_security=R&code=a", "", "rs"),
    ];
    for (scopes, on_patients, on_observations) in cases {
        let reach = reach(scopes, Some("p1"), &User::Whole);
        assert_eq!(letters(&reach, ResourceType::Patient), on_patients, "{scopes}");
        assert_eq!(letters(&reach, ResourceType::Observation), on_observations, "{scopes}");
        for scope in scopes.split(' ').filter(|scope| !scope.is_empty()) {
            assert!(is_known(scope), "{scope}");
        }
    }
}

#[test]
fn what_is_not_understood_in_full_reaches_nothing() {
    let bad = [
        ".",
        "/",
        "*",
        "*/*.*",
        "patient",
        "patient/",
        "patient/.",
        "patient/.read",
        "patient/*",
        "patient/*.",
        "Patient/*.read",
        "PATIENT/*.read",
        "patient/observation.read",
        "patient/Observation.Read",
        "patient/Observation.READ",
        "patient/Observation.sr",
        "patient/Observation.rr",
        "patient/Observation.rsx",
        "patient/Observation.dur",
        "patient/Observation.rw",
        "patient/Observation.reads",
        "patient/Observation.read,write",
        "patient/Observation.read.write",
        "patient/Observatoin.read",
        "patient/Observation,Patient.read",
        "patient/*.rs/",
        "patient//Observation.rs",
        "system/Observation .rs",
        " system/*.rs",
        "system/*.rs\t",
        "system/*.rs\n",
        "system/*.rs\0",
        "system\\*.rs",
        "system/*.rs\"",
        "system/*.rs\u{a0}",
        "ѕystem/*.rs",
        "clinician/*.rs",
        "launch/",
        "launch/practitioner",
        "OPENID",
        "openid ",
        "vitals",
        "vitals:",
        "vitals:*",
        "vitals:cruds",
        "vitals:rs",
        "vitals.:read",
        "vitals.all",
        "vitals.all:*",
        "vitals.heart_rate:*",
        "vitals.heart_rate",
        "vitals.heartrate:read",
        "vitals.Heart_Rate:read",
        "vitals.heart_rate.spo2:read",
        "vitals.other:read",
        "vitals.mixed:read",
        "vitals.*:read",
        "vitalsheart_rate:read",
        "Vitals:read",
        "users:write",
        "users.read",
        "users:*",
        "admin:*",
        "export:*",
        "org:",
        "org:all",
        "system/Observation.read?category=vital-signs",
        "system/Observation.*?category=vital-signs",
        "system/Observation.rs?",
        "system/Observation.rs?category",
        "system/Observation.rs?category=",
        "system/Observation.rs?=vital-signs",
        "system/Observation.rs?category=vital-signs&",
        "system/Observation.rs?&category=vital-signs",
        "system/Observation.rs?category=a,",
        "system/Observation.rs?category=,a",
        "system/Observation.rs?category=a,,b",
        "system/Observation.rs?category=a|",
        "system/Observation.rs?category=|",
        "system/Observation.rs?category=a|b|c",
        "system/Observation.rs?Category=a",
        "system/Observation.rs?category:in=a",
        "system/Observation.rs?category:not=a",
        "system/Observation.rs?date=2020",
        "system/Observation.rs?patient=P1",
        "system/Observation.rs?category=a&unknown=b",
        "system/Observation.rs?category=%",
        "system/Observation.rs?category=%2",
        "system/Observation.rs?category=%zz",
        "system/Observation.rs?category=%ff",
        "system/Observation.rs?category=%00",
        "system/Observation.rs?category=a%0a",
        "system/Observation.rs?category=a+b",
        "system/Observation.rs?category=a%5C",
        "system/Observation.rs?category=a\\,b",
        "system/Observation.rs?category=a%5Cx",
        "system/Observation.rs?status=|final",
        "system/Observation.rs?status=http://x|final",
        "system/Observation.rs?category=a?b=c&d",
        "system/Observation.rs?%63ode=a",
    ];
    for scope in bad {
        assert!(!is_known(scope), "{scope:?}");
        let set = ScopeSet::of(vec![scope.to_owned()]);
        let reach = Reach::of(&set, Who { patient: Some("p1"), user: &User::Whole });
        for resource in ResourceType::ALL {
            assert_eq!(letters(&reach, resource), "", "{scope:?}");
        }
        assert_eq!(set.texts(), [scope]);
        assert!(!set.has(scope));
    }
}

#[test]
fn patient_and_user_confine() {
    use User::{Nobody, Related, Whole};
    let somebody = User::Patient("u1".to_owned());
    let everything = Visible::Everything;
    let nothing = Visible::Nothing;
    let p1 = any(&[&[patient("p1")]]);
    let u1 = any(&[&[patient("u1")]]);
    let cases = [
        ("patient/*.rs", None, &Whole, &nothing),
        ("patient/*.rs", Some("p1"), &Whole, &p1),
        ("patient/*.rs", Some("p1"), &somebody, &p1),
        ("patient/*.rs", Some("p1"), &Nobody, &p1),
        ("user/*.rs", None, &Whole, &everything),
        ("user/*.rs", Some("p1"), &Whole, &everything),
        ("user/*.rs", Some("p1"), &somebody, &u1),
        ("user/*.rs", None, &somebody, &u1),
        ("user/*.rs", Some("p1"), &Related, &p1),
        ("user/*.rs", None, &Related, &nothing),
        ("user/*.rs", Some("p1"), &Nobody, &nothing),
        ("system/*.rs", Some("p1"), &somebody, &everything),
        ("users:read", None, &Whole, &everything),
        ("users:read", Some("p1"), &Whole, &p1),
        ("users:read", None, &somebody, &everything),
        ("patient/*.rs user/*.rs", Some("p1"), &Whole, &everything),
        ("patient/*.rs user/*.rs", None, &Related, &nothing),
    ];
    for (scopes, claim, user, expected) in cases {
        let reach = reach(scopes, claim, user);
        assert_eq!(reach.visible(ResourceType::Patient, Letter::Read), expected, "{scopes} {claim:?} {user:?}");
    }
    let both = reach("patient/*.rs user/*.rs", Some("p1"), &somebody);
    assert_eq!(*both.visible(ResourceType::Patient, Letter::Read), any(&[&[patient("p1")], &[patient("u1")]]));
}

#[test]
fn limits_become_terms() {
    let category = |forms: &[String]| Term::CategoryIn(forms.to_vec());
    let code = |forms: &[String]| Term::CodeIn(forms.to_vec());
    let loinc = "http://loinc.org";
    let cases: [(&str, Visible); 16] = [
        ("category=vital-signs", any(&[&[category(&[code_alone("vital-signs")])]])),
        ("category=http://x|a", any(&[&[category(&[coding("http://x", "a")])]])),
        ("category=|a", any(&[&[category(&[coding("", "a")])]])),
        ("category=a,http://x|b", any(&[&[category(&[code_alone("a"), coding("http://x", "b")])]])),
        ("category=a&category=b", any(&[&[category(&[code_alone("a")]), category(&[code_alone("b")])]])),
        ("code=http%3A%2F%2Floinc.org%7C8867-4", any(&[&[code(&[coding(loinc, "8867-4")])]])),
        ("code=http://loinc.org|8867-4", any(&[&[code(&[coding(loinc, "8867-4")])]])),
        ("code=%2541", any(&[&[code(&[code_alone("%41")])]])),
        ("code=a%2Cb", any(&[&[code(&[code_alone("a"), code_alone("b")])]])),
        ("code=a%5C,b", any(&[&[code(&[code_alone("a,b")])]])),
        ("code=a%5C%7Cb", any(&[&[code(&[code_alone("a|b")])]])),
        ("code=a%20b", any(&[&[code(&[code_alone("a b")])]])),
        ("code=%C3%A4", any(&[&[code(&[code_alone("ä")])]])),
        ("status=final,amended", any(&[&[Term::StatusIn(vec!["final".to_owned(), "amended".to_owned()])]])),
        ("status=http://hl7.org/fhir/observation-status|final", any(&[&[Term::StatusIn(vec!["final".to_owned()])]])),
        (
            "_security=R&status=final",
            any(&[&[Term::SecurityIn(vec![code_alone("R")]), Term::StatusIn(vec!["final".to_owned()])]]),
        ),
    ];
    for (query, expected) in cases {
        let scopes = format!("system/Observation.rs?{query}");
        let reach = reach(&scopes, None, &User::Whole);
        assert_eq!(*reach.visible(ResourceType::Observation, Letter::Search), expected, "{query}");
    }
    let confined = reach("patient/Observation.rs?category=a", Some("p1"), &User::Whole);
    let expected = any(&[&[patient("p1"), category(&[code_alone("a")])]]);
    assert_eq!(*confined.visible(ResourceType::Observation, Letter::Read), expected);
}

#[test]
fn vitals_scopes_name_vitals() {
    let spo2 = || Term::VitalIn(vec!["spo2"]);
    let cases = [
        ("vitals:read", None, any(&[&[Term::VitalAny]])),
        ("vitals.all:read", Some("p1"), any(&[&[patient("p1"), Term::VitalAny]])),
        ("vitals.spo2:read", None, any(&[&[spo2()]])),
        ("vitals.spo2:read", Some("p1"), any(&[&[patient("p1"), spo2()]])),
        ("vitals.spo2:read vitals.bmi:read", None, any(&[&[Term::VitalIn(vec!["spo2", "bmi"])]])),
        ("vitals.spo2:read vitals:read", None, any(&[&[Term::VitalAny]])),
        ("vitals.spo2:write", None, Visible::Nothing),
        ("vitals.spo2:read system/Observation.rs", Some("p1"), Visible::Everything),
    ];
    for (scopes, claim, expected) in cases {
        let reach = reach(scopes, claim, &User::Whole);
        assert_eq!(*reach.visible(ResourceType::Observation, Letter::Read), expected, "{scopes}");
    }
}

#[test]
fn the_scopes_that_cover_an_interaction_are_named() {
    let reach = reach("openid nonsense system/Patient.r patient/*.rs vitals:read", Some("p1"), &User::Whole);
    assert_eq!(reach.used(ResourceType::Patient, Letter::Read), [2, 3]);
    assert_eq!(reach.used(ResourceType::Observation, Letter::Search), [3, 4]);
    assert_eq!(reach.used(ResourceType::Observation, Letter::Create), [0; 0]);
}

#[test]
fn a_fhir_user_is_read_strictly() {
    let tenant = crate::tenant::Tenant {
        role: crate::tenant::TenantRole::generate(),
        number: 1,
        name: "mercy".parse().unwrap(),
        login: 0,
        status: crate::tenant::TenantStatus::Active,
        version: 1,
        tier: "default".to_owned(),
        display: "Mercy".to_owned(),
        created: chrono::DateTime::UNIX_EPOCH,
        settings: crate::settings::Settings::default(),
    };
    let directory = crate::directory::Directory::build(crate::directory::DirectoryParts {
        public_url: "https://v.example".to_owned(),
        tenants: vec![tenant.clone()],
        ..Default::default()
    });
    let p1 = || User::Patient("p1".to_owned());
    let cases = [
        (None, User::Whole),
        (Some("Practitioner/d1"), User::Whole),
        (Some("PractitionerRole/d1"), User::Whole),
        (Some("Person/d1"), User::Whole),
        (Some("https://elsewhere.example/fhir/Practitioner/d1"), User::Whole),
        (Some("https://v.example/t/mercy/fhir/Practitioner/d1"), User::Whole),
        (Some("Patient/p1"), p1()),
        (Some("https://v.example/t/mercy/fhir/Patient/p1"), p1()),
        (Some("https://v.example/fhir/Patient/p1"), p1()),
        (Some("https://v.example/t/grace/fhir/Patient/p1"), User::Nobody),
        (Some("https://elsewhere.example/fhir/Patient/p1"), User::Nobody),
        (Some("RelatedPerson/r1"), User::Related),
        (Some("https://elsewhere.example/RelatedPerson/r1"), User::Related),
        (Some("Patient"), User::Nobody),
        (Some("Patient/"), User::Nobody),
        (Some("patient/p1"), User::Nobody),
        (Some("PATIENT/p1"), User::Nobody),
        (Some("Patient/p1/"), User::Nobody),
        (Some("/Patient/p1"), User::Nobody),
        (Some("Patient/p1?x=y"), User::Nobody),
        (Some("Patient/p1#x"), User::Nobody),
        (Some("Patient/p1/_history/1"), User::Nobody),
        (Some("Practitioner/d1/Patient/p1"), User::Nobody),
        (Some("Patient%2Fp1"), User::Nobody),
        (Some("urn:uuid:018f0000-0000-7000-8000-000000000000"), User::Nobody),
        (Some("https://elsewhere.example"), User::Nobody),
        (Some("dr-who"), User::Nobody),
        (Some("Doctor/d1"), User::Nobody),
    ];
    for (claim, expected) in cases {
        assert_eq!(User::of(claim, &directory, &tenant), expected, "{claim:?}");
    }
}

#[test]
fn plain_scopes_are_there_or_not() {
    let set = ScopeSet::of(vec!["org:delegated".to_owned(), "system/*.rs".to_owned()]);
    assert!(set.has("org:delegated"));
    assert!(!set.has("org:self"));
    assert!(!set.has("system/*.rs"));
    assert!(!set.has("ORG:delegated"));
}

#[test]
fn the_trail_is_reached_by_name_alone() {
    let trail = |text: &str, letter| {
        let scopes = ScopeSet::of(vec![text.to_owned()]);
        let reach = Reach::of(&scopes, Who { patient: Some("p1"), user: &User::Whole });
        reach.trail(letter).0.clone()
    };
    let own = Visible::AnyOf(vec![AllOf(vec![Term::PatientIs("p1".to_owned())])]);
    for letter in [Letter::Read, Letter::Search] {
        assert_eq!(trail("system/AuditEvent.rs", letter), Visible::Everything);
        assert_eq!(trail("patient/AuditEvent.rs", letter), own);
        for other in ["system/*.cruds", "system/Observation.rs", "vitals:read", "patient/AuditEvent.rs?code=a"] {
            assert_eq!(trail(other, letter), Visible::Nothing, "{other}");
        }
    }
    assert_eq!(trail("system/AuditEvent.cruds", Letter::Update), Visible::Nothing);
}
