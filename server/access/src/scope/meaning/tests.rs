//! What pages are told of a scope.

use super::*;

#[test]
fn a_scope_over_data_says_whose_what_and_how_far() {
    use Letter::{Create, Delete, Read, Search, Update};
    let cases: [(&str, Whose, About, &[Letter]); 7] = [
        ("patient/*.read", Whose::Patient, About::AllTypes, &[Read, Search]),
        ("user/Observation.*", Whose::User, About::Type("Observation".into()), &[Create, Read, Update, Delete, Search]),
        ("system/Encounter.cu", Whose::System, About::Type("Encounter".into()), &[Create, Update]),
        ("vitals.all:write", Whose::Ours, About::Vitals, &[Create, Update, Delete]),
        ("vitals:read", Whose::Ours, About::Vitals, &[Read, Search]),
        ("vitals.heart_rate:read", Whose::Ours, About::Vital("heart_rate".into()), &[Read, Search]),
        ("users:read", Whose::Ours, About::Users, &[Read, Search]),
    ];
    for (text, whose, about, letters) in cases {
        let meaning = describe(text).unwrap();
        let reads = letters.contains(&Read);
        let writes = letters.contains(&Create);
        assert_eq!((meaning.reads(), meaning.writes()), (reads, writes), "{text}");
        assert_eq!(meaning.is_offered(), !text.contains("Encounter"), "{text}");
        assert_eq!(meaning, Meaning { whose, about, letters: letters.to_vec(), limits: Vec::new() }, "{text}");
    }
    for (text, reads, writes) in
        [("user/Patient.r", true, false), ("user/Patient.s", true, false), ("user/Patient.d", false, true)]
    {
        let meaning = describe(text).unwrap();
        assert_eq!((meaning.reads(), meaning.writes()), (reads, writes), "{text}");
    }
}

#[test]
fn limits_are_told_with_system_and_code() {
    let meaning = describe("patient/Observation.rs?category=vital-signs&code=http://loinc.org|8867-4,%7Cx").unwrap();
    let value = |system: Option<&str>, code: &str| (system.map(str::to_owned), code.to_owned());
    let expected = [
        MeaningLimit { parameter: "category", values: vec![value(None, "vital-signs")] },
        MeaningLimit {
            parameter: "code",
            values: vec![value(Some("http://loinc.org"), "8867-4"), value(Some(""), "x")],
        },
    ];
    assert_eq!(meaning.limits, expected);
}

#[test]
fn words_and_nonsense_say_nothing_of_data() {
    for text in ["openid", "launch/patient", "admin:users", "", "patient/*.sr", "vitals:look", "patient/Observation"] {
        assert_eq!(describe(text), None, "{text}");
    }
    for (text, v1) in [
        ("patient/*.read", true),
        ("patient/*.*", true),
        ("patient/*.write", true),
        ("patient/*.rs", false),
        ("vitals:read", false),
        ("openid", false),
        ("patient/*.reads", false),
    ] {
        assert_eq!(crate::scope::is_v1(text), v1, "{text}");
    }
}
