use super::*;

fn texts(scopes: &str) -> Vec<String> {
    scopes.split(' ').map(str::to_owned).collect()
}

fn said(scopes: &str, reader: &Reader<'_>) -> Vec<String> {
    groups(&texts(scopes), reader).into_iter().flat_map(|group| group.items).map(|item| item.sentence).collect()
}

#[test]
fn a_patient_reads_about_their_own_records() {
    let reader = Reader { patient: Some("your".to_owned()), reach: Reach::Own, organisation: "North" };
    for (scopes, sentences) in [
        ("vitals.heart_rate:read vitals.body_weight:read", vec!["read your heart rate", "read your weight"]),
        ("patient/Observation.rs?category=vital-signs", vec!["read your vital signs"]),
        ("patient/Observation.rs?code=http://loinc.org|8867-4", vec!["read your heart rate"]),
        ("vitals:write", vec!["add to, change and delete your vital signs"]),
        (
            "patient/*.read",
            vec!["read your name, birth date and contact details", "read your measurements and other observations"],
        ),
        ("patient/Observation.read patient/Observation.rs", vec!["read your measurements and other observations"]),
        ("patient/Condition.rs", vec!["read your condition records (none are kept here)"]),
        ("openid fhirUser profile launch/patient", vec!["know who you are"]),
        ("offline_access", vec!["keep doing this until you disconnect it"]),
        ("user/Observation.s?status=final", vec![]),
    ] {
        let sentences: Vec<String> = sentences.into_iter().map(str::to_owned).collect();
        let found = said(scopes, &reader);
        if sentences.is_empty() {
            assert_eq!(found, ["read your measurements and other observations, only those with status final"]);
        } else {
            assert_eq!(found, sentences, "{scopes}");
        }
    }
}

#[test]
fn a_clinician_reads_whose_records_they_are() {
    let reader = Reader { patient: Some("Ada Byron's".to_owned()), reach: Reach::All, organisation: "North" };
    for (scopes, sentence) in [
        ("patient/Observation.rs?category=vital-signs", "read Ada Byron's vital signs"),
        ("user/Observation.rs?category=vital-signs", "read the vital signs of all patients you may see"),
        ("admin:users", "manage apps, people, keys and sessions of North"),
    ] {
        assert_eq!(said(scopes, &reader), [sentence], "{scopes}");
    }
}

#[test]
fn what_is_unticked_is_not_granted() {
    for (asked, ticked, left) in [
        ("patient/*.read", "patient/Patient.read patient/Observation.read", "patient/*.read"),
        ("patient/*.read", "patient/Observation.read", "patient/Observation.read"),
        ("patient/*.cruds", "patient/Observation.rs", "patient/Observation.rs"),
        ("patient/*.*", "patient/Patient.read", "patient/Patient.read"),
        ("patient/Observation.rs?category=vital-signs", "", ""),
        ("openid launch/patient offline_access", "openid", "openid launch/patient"),
        ("patient/Observation.read", "patient/Observation.read system/*.cruds", "patient/Observation.read"),
        ("vitals:read vitals:read", "vitals:read", "vitals:read"),
    ] {
        assert_eq!(narrowed(&texts(asked), &texts(ticked)).join(" "), left, "{asked} with {ticked}");
    }
}

#[test]
fn every_scope_in_the_page_comes_back_whole_when_all_is_ticked() {
    let reader = Reader { patient: None, reach: Reach::All, organisation: "North" };
    let asked = texts(
        "openid fhirUser offline_access launch/patient patient/*.cruds patient/Patient.read patient/Patient.rs user/*.* \
         vitals.all:write users:read org:self patient/Observation.rs?category=a|b&status=final",
    );
    let ticked: Vec<String> = groups(&asked, &reader)
        .into_iter()
        .flat_map(|group| group.items)
        .flat_map(|item| item.value.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(narrowed(&asked, &ticked), asked);
}
