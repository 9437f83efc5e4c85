//! The evaluator by cases, and that the union's small form admits what the large one does.

use super::*;

fn forms(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_row_without_the_column_meets_no_term() {
    let empty = Columns::default();
    for term in [
        Term::PatientIs("p".to_owned()),
        Term::VitalIn(vec!["spo2"]),
        Term::VitalAny,
        Term::CodeIn(forms(&["*|a"])),
        Term::CategoryIn(forms(&["*|a"])),
        Term::StatusIn(forms(&["final"])),
        Term::SecurityIn(forms(&["*|R"])),
    ] {
        assert!(!Visible::AnyOf(vec![AllOf(vec![term])]).admits(&empty));
    }
    assert!(Visible::Everything.admits(&empty));
    assert!(!Visible::Nothing.admits(&empty));
    assert!(!Visible::AnyOf(vec![]).admits(&empty));
    assert!(Visible::AnyOf(vec![AllOf(vec![])]).admits(&empty));
}

#[test]
fn every_term_of_one_alternative_must_hold() {
    let codes = forms(&["~l|8867-4", "*|8867-4"]);
    let columns = Columns {
        patient: Some("p1"),
        vital: Some("heart_rate"),
        codes: &codes,
        status: Some("final"),
        ..Columns::default()
    };
    let patient = |id: &str| Term::PatientIs(id.to_owned());
    let cases = [
        (vec![vec![patient("p1")]], true),
        (vec![vec![patient("p2")]], false),
        (vec![vec![patient("P1")]], false),
        (vec![vec![patient("p1"), Term::VitalIn(vec!["spo2"])]], false),
        (vec![vec![patient("p1"), Term::VitalIn(vec!["spo2"])], vec![Term::VitalAny]], true),
        (
            vec![vec![patient("p1"), Term::CodeIn(forms(&["*|8867-4"])), Term::StatusIn(forms(&["amended", "final"]))]],
            true,
        ),
        (vec![vec![Term::CodeIn(forms(&["|8867-4"]))]], false),
        (vec![vec![Term::CategoryIn(forms(&["*|vital-signs"]))]], false),
        (vec![vec![Term::StatusIn(forms(&["amended"]))]], false),
        (vec![vec![Term::StatusIn(forms(&["final"]))]], true),
        (vec![vec![Term::SecurityIn(forms(&["*|R"]))]], false),
    ];
    for (alternatives, expected) in cases {
        let visible = Visible::AnyOf(alternatives.into_iter().map(AllOf).collect());
        assert_eq!(visible.admits(&columns), expected, "{visible:?}");
    }
}

#[test]
fn unions_take_their_smallest_form() {
    let patient = || Term::PatientIs("p".to_owned());
    let any =
        |alternatives: &[&[Term]]| Visible::AnyOf(alternatives.iter().map(|terms| AllOf(terms.to_vec())).collect());
    let cases = [
        (vec![], Visible::Nothing),
        (vec![vec![patient()], vec![]], Visible::Everything),
        (vec![vec![patient()], vec![patient()]], any(&[&[patient()]])),
        (vec![vec![patient(), Term::VitalAny], vec![patient()]], any(&[&[patient()]])),
        (
            vec![
                vec![Term::VitalIn(vec!["spo2"])],
                vec![Term::VitalIn(vec!["bmi"])],
                vec![Term::VitalIn(vec!["spo2"])],
            ],
            any(&[&[Term::VitalIn(vec!["spo2", "bmi"])]]),
        ),
        (vec![vec![Term::VitalIn(vec!["spo2"])], vec![Term::VitalAny]], any(&[&[Term::VitalAny]])),
        (
            vec![vec![patient(), Term::VitalIn(vec!["spo2"])], vec![Term::VitalIn(vec!["bmi"])]],
            any(&[&[patient(), Term::VitalIn(vec!["spo2"])], &[Term::VitalIn(vec!["bmi"])]]),
        ),
        (
            vec![vec![Term::CodeIn(forms(&["*|a"]))], vec![Term::CodeIn(forms(&["*|b"]))]],
            any(&[&[Term::CodeIn(forms(&["*|a", "*|b"]))]]),
        ),
        (
            vec![vec![Term::CategoryIn(forms(&["*|a"]))], vec![Term::CategoryIn(forms(&["*|b"]))]],
            any(&[&[Term::CategoryIn(forms(&["*|a", "*|b"]))]]),
        ),
        (
            vec![vec![Term::StatusIn(forms(&["final"]))], vec![Term::StatusIn(forms(&["amended"]))]],
            any(&[&[Term::StatusIn(forms(&["final", "amended"]))]]),
        ),
        (
            vec![vec![Term::SecurityIn(forms(&["*|N"]))], vec![Term::SecurityIn(forms(&["*|R"]))]],
            any(&[&[Term::SecurityIn(forms(&["*|N", "*|R"]))]]),
        ),
        (
            vec![vec![patient()], vec![Term::PatientIs("q".to_owned())]],
            any(&[&[patient()], &[Term::PatientIs("q".to_owned())]]),
        ),
    ];
    for (alternatives, expected) in cases {
        assert_eq!(Visible::union(alternatives.iter().cloned().map(AllOf)), expected, "{alternatives:?}");
    }
}

#[test]
fn a_resource_shows_the_columns_it_has() {
    use vitals_fhir::{
        json,
        resource::{Observation, Patient, Resource as _},
    };
    let text = r#"{"resourceType":"Patient","meta":{"security":[{"code":"R"}]}}"#;
    let patient = json::parse(text.as_bytes()).unwrap();
    let patient = Patient::extract(patient.root(), &[]);
    let columns = Columns::of_patient("p1", &patient);
    assert_eq!((columns.patient, columns.security, columns.status), (Some("p1"), &patient.security[..], None));
    assert!(columns.security.contains(&"*|R".to_owned()));
    assert!(columns.codes.is_empty() && columns.category.is_empty() && columns.vital.is_none());

    let text = r#"{"resourceType":"Observation","status":"final","meta":{"security":[{"code":"R"}]},
        "category":[{"coding":[{"code":"b"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
        "subject":{"reference":"Patient/p2"}}"#;
    let observation = json::parse(text.as_bytes()).unwrap();
    let observation = Observation::extract(observation.root(), &[]);
    let columns = Columns::of_observation(&observation);
    assert_eq!((columns.patient, columns.status, columns.vital), (Some("p2"), Some("final"), Some("heart_rate")));
    assert_eq!((columns.codes, columns.category), (&observation.codes[..], &observation.category[..]));
    assert!(columns.codes.contains(&"~l|8867-4".to_owned()) && columns.category.contains(&"*|b".to_owned()));
    assert!(columns.security.contains(&"*|R".to_owned()));
}
