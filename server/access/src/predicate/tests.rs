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

fn all(terms: &[Term]) -> AllOf {
    AllOf(terms.to_vec())
}

#[test]
fn what_two_alternatives_have_in_common_takes_its_smallest_form() {
    let patient = |id: &str| Term::PatientIs(id.to_owned());
    let lists: [fn(Vec<String>) -> Term; 3] = [Term::CodeIn, Term::CategoryIn, Term::SecurityIn];
    let vital = |names: &[&'static str]| Term::VitalIn(names.to_vec());
    let status = |codes: &[&str]| Term::StatusIn(forms(codes));
    let mut cases = vec![
        (vec![], vec![], Some(vec![])),
        (vec![patient("p")], vec![], Some(vec![patient("p")])),
        (vec![patient("p")], vec![patient("p")], Some(vec![patient("p")])),
        (vec![patient("p")], vec![patient("q")], None),
        (vec![vital(&["spo2", "bmi"])], vec![vital(&["bmi", "body_weight"])], Some(vec![vital(&["bmi"])])),
        (vec![vital(&["spo2"])], vec![vital(&["bmi"])], None),
        (vec![Term::VitalAny], vec![vital(&["bmi"])], Some(vec![vital(&["bmi"])])),
        (vec![vital(&["bmi"])], vec![Term::VitalAny], Some(vec![vital(&["bmi"])])),
        (vec![Term::VitalAny], vec![Term::VitalAny], Some(vec![Term::VitalAny])),
        (vec![status(&["final", "amended"])], vec![status(&["amended"])], Some(vec![status(&["amended"])])),
        (vec![status(&["final"])], vec![status(&["amended"])], None),
        (
            vec![vital(&["bmi"])],
            vec![status(&["final"]), Term::VitalAny],
            Some(vec![status(&["final"]), vital(&["bmi"])]),
        ),
    ];
    for list in lists {
        let of = |items: &[&str]| list(forms(items));
        cases.extend([
            (vec![of(&["a"])], vec![of(&["b", "a"])], Some(vec![of(&["a"])])),
            (vec![of(&["b", "a"])], vec![of(&["a"])], Some(vec![of(&["a"])])),
            // A row may have both.
            (vec![of(&["a"])], vec![of(&["b"])], Some(vec![of(&["a"]), of(&["b"])])),
            (vec![of(&["a", "b"])], vec![of(&["b", "c"])], Some(vec![of(&["a", "b"]), of(&["b", "c"])])),
            // The narrow one takes the place of both wide ones.
            (vec![of(&["a", "b"]), of(&["a", "c"])], vec![of(&["a"])], Some(vec![of(&["a"])])),
        ]);
    }
    for (one, two, expected) in cases {
        assert_eq!(all(&one).and(&all(&two)), expected.map(AllOf), "{one:?} and {two:?}");
    }
}

#[test]
fn the_rows_of_both_are_those_that_each_admits() {
    let patient = |id: &str| Term::PatientIs(id.to_owned());
    let terms = [
        patient("p"),
        patient("q"),
        Term::VitalAny,
        Term::VitalIn(vec!["spo2"]),
        Term::VitalIn(vec!["spo2", "bmi"]),
        Term::VitalIn(vec!["bmi"]),
        Term::CodeIn(forms(&["a"])),
        Term::CodeIn(forms(&["a", "b"])),
        Term::CodeIn(forms(&["b", "c"])),
        Term::StatusIn(forms(&["final"])),
        Term::StatusIn(forms(&["final", "amended"])),
        Term::SecurityIn(forms(&["R"])),
    ];
    let mut predicates = vec![Visible::Nothing, Visible::Everything];
    for (place, one) in terms.iter().enumerate() {
        predicates.push(Visible::AnyOf(vec![all(std::slice::from_ref(one))]));
        for two in &terms[place + 1..] {
            predicates.push(Visible::AnyOf(vec![all(&[one.clone(), two.clone()])]));
            predicates.push(Visible::AnyOf(vec![all(std::slice::from_ref(one)), all(std::slice::from_ref(two))]));
        }
    }
    let codes = [forms(&[]), forms(&["a"]), forms(&["a", "c"]), forms(&["b"])];
    let labels = forms(&["R"]);
    let mut rows = Vec::new();
    for patient in [None, Some("p"), Some("q")] {
        for vital in [None, Some("spo2"), Some("bmi")] {
            for status in [None, Some("final"), Some("amended")] {
                for codes in &codes {
                    for security in [&[][..], &labels] {
                        rows.push(Columns { patient, vital, codes, status, security, ..Columns::default() });
                    }
                }
            }
        }
    }
    for one in &predicates {
        for two in &predicates {
            let (both, either) = (one.both(two), Visible::either(vec![one.clone(), two.clone()]));
            for row in &rows {
                assert_eq!(both.admits(row), one.admits(row) && two.admits(row), "{one:?} and {two:?}: {row:?}");
                assert_eq!(either.admits(row), one.admits(row) || two.admits(row), "{one:?} or {two:?}: {row:?}");
            }
        }
    }
}

#[test]
fn what_would_take_too_long_to_judge_admits_nothing() {
    // Of two terms each, so that no two of them become one.
    let many = |count: usize, mark: char| {
        let term = |place: usize| forms(&[&format!("{mark}{place}")]);
        Visible::AnyOf(
            (0..count).map(|place| all(&[Term::CodeIn(term(place)), Term::CategoryIn(term(place))])).collect(),
        )
    };
    let Visible::AnyOf(most) = many(8, 'a').both(&many(16, 'b')) else { panic!("128 are few enough") };
    assert_eq!(most.len(), 128);
    assert_eq!(many(3, 'a').both(&many(43, 'b')), Visible::Nothing, "129");
    assert_eq!(many(129, 'a').both(&Visible::Everything), many(129, 'a'));
    assert_eq!(Visible::either(vec![]), Visible::Nothing);
    assert_eq!(Visible::either(vec![Visible::Nothing, Visible::Everything]), Visible::Everything);
}
