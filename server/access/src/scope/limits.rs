//! The query part of a SMART v2 scope: `category=vital-signs&code=http://loinc.org|8867-4,…`.
//!
//! A comma is *or*, a repeated parameter is *and*, as in a search. Percent-encoding is undone once. What a search would
//! read in two ways (`+`, `system|`, an empty value, a modifier) makes the scope one that is not understood.

use vitals_fhir::token;

use crate::predicate::Term;

/// The system of `Observation.status`, which the stored status does not repeat.
const OBSERVATION_STATUS: &str = "http://hl7.org/fhir/observation-status";

/// Reads the whole query part, or nothing.
pub(super) fn parse(query: &str) -> Option<Vec<Term>> {
    query.split('&').map(limit).collect()
}

fn limit(pair: &str) -> Option<Term> {
    let (name, value) = pair.split_once('=')?;
    let values = alternatives(&decoded(value)?)?;
    let forms = |values: Vec<Value>| values.iter().map(Value::form).collect();
    match name {
        "category" => Some(Term::CategoryIn(forms(values))),
        "code" => Some(Term::CodeIn(forms(values))),
        "_security" => Some(Term::SecurityIn(forms(values))),
        "status" => values.into_iter().map(Value::status).collect::<Option<_>>().map(Term::StatusIn),
        _ => None,
    }
}

/// `system|code`, `|code` (an empty system) or `code` (none).
struct Value {
    system: Option<String>,
    code: String,
}

impl Value {
    fn form(&self) -> String {
        match &self.system {
            Some(system) => token::coding(system, &self.code),
            None => token::code_alone(&self.code),
        }
    }

    fn status(self) -> Option<String> {
        self.system.is_none_or(|system| system == OBSERVATION_STATUS).then_some(self.code)
    }
}

/// Undoes percent-encoding once, strictly.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            // A form would read a space, an address a plus.
            b'+' => return None,
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Splits at commas and bars that are not escaped (<https://hl7.org/fhir/R4/search.html#escaping>).
fn alternatives(text: &str) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    let mut system = None;
    let mut code = String::new();
    let mut signs = text.chars();
    loop {
        match signs.next() {
            Some('\\') => code.push(signs.next().filter(|sign| matches!(sign, ',' | '|' | '$' | '\\'))?),
            Some('|') if system.is_none() => system = Some(std::mem::take(&mut code)),
            Some('|') => return None,
            Some(sign) if sign != ',' => code.push(sign),
            end => {
                if code.is_empty() {
                    return None;
                }
                values.push(Value { system: system.take(), code: std::mem::take(&mut code) });
                if end.is_none() {
                    return Some(values);
                }
            }
        }
    }
}
