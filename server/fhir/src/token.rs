//! How codes and identifiers stand in index columns and in scope limits: one text for a coding with its system,
//! one for its code alone.
//!
//! Systems that every row repeats are abbreviated (`~l|8867-4`). The form is injective: inside a system `%` is
//! written `%25` and `|` is written `%7C`, and a system that begins with `~` or `*` gets a leading `%`.

use crate::vital::{LOINC, OBSERVATION_CATEGORY};

const ALIASES: [(&str, &str); 6] = [
    (LOINC, "~l"),
    (OBSERVATION_CATEGORY, "~c"),
    ("http://snomed.info/sct", "~s"),
    ("http://unitsofmeasure.org", "~u"),
    ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "~r"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "~a"),
];

fn system_form(system: &str) -> String {
    if let Some((_, alias)) = ALIASES.iter().find(|(known, _)| *known == system) {
        return (*alias).to_owned();
    }
    let escaped = system.replace('%', "%25").replace('|', "%7C");
    if escaped.starts_with(['~', '*']) { format!("%{escaped}") } else { escaped }
}

/// The form of a coding: its system (empty when it has none) and code.
pub fn coding(system: &str, code: &str) -> String {
    format!("{}|{code}", system_form(system))
}

/// The form of a code in whatever system.
pub fn code_alone(code: &str) -> String {
    format!("*|{code}")
}

/// The beginning shared by all codings of a system, `|` included.
pub fn system_prefix(system: &str) -> String {
    format!("{}|", system_form(system))
}

/// The system (empty when it has none) and code of a coding's form; none of what is no such form.
pub fn of_form(form: &str) -> Option<(String, String)> {
    let (system, code) = form.split_once('|').filter(|(system, _)| *system != "*")?;
    if let Some((known, _)) = ALIASES.iter().find(|(_, alias)| *alias == system) {
        return Some(((*known).to_owned(), code.to_owned()));
    }
    let system = match system.strip_prefix('%') {
        Some(rest) if rest.starts_with(['~', '*']) => rest,
        _ => system,
    };
    Some((system.replace("%7C", "|").replace("%25", "%"), code.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_codings_have_different_forms() {
        let codings = [
            ("", "a"),
            ("", "|a"),
            ("*", "a"),
            ("~l", "a"),
            (LOINC, "a"),
            ("%~l", "a"),
            ("a|b", "c"),
            ("a", "b|c"),
            ("a%7Cb", "c"),
            ("%7C", ""),
            ("|", ""),
        ];
        for (system, code) in codings {
            assert_eq!(of_form(&coding(system, code)), Some((system.to_owned(), code.to_owned())));
        }
        assert_eq!((of_form("a"), of_form(&code_alone("a"))), (None, None));
        let mut forms: Vec<_> = codings.iter().map(|(system, code)| coding(system, code)).collect();
        forms.push(code_alone("a"));
        let count = forms.len();
        forms.sort();
        forms.dedup();
        assert_eq!(forms.len(), count);
    }
}
