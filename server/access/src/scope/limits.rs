//! The query part of a SMART v2 scope: `category=vital-signs&code=http://loinc.org|8867-4,…`.
//!
//! A comma is *or*, a repeated parameter is *and*, as in a search. Percent-encoding is undone once. What a search would
//! read in two ways (`+`, `system|`, an empty value, a modifier) makes the scope one that is not understood.

use vitals_fhir::token;

use super::MeaningLimit;
use crate::predicate::Term;

/// The parameters a scope may be limited by (contract, section 4).
const PARAMETERS: [&str; 4] = ["category", "code", "status", "_security"];
/// The system of `Observation.status`, which the stored status does not repeat.
const OBSERVATION_STATUS: &str = "http://hl7.org/fhir/observation-status";

/// Reads the whole query part as conditions, or nothing.
pub(super) fn parse(query: &str) -> Option<Vec<Term>> {
    read(query)?.into_iter().map(Limit::term).collect()
}

/// Reads the whole query part as it stands, or nothing.
pub(super) fn read(query: &str) -> Option<Vec<Limit>> {
    query.split('&').map(limit).collect()
}

fn limit(pair: &str) -> Option<Limit> {
    let (name, value) = pair.split_once('=')?;
    let parameter = PARAMETERS.into_iter().find(|known| *known == name)?;
    let limit = Limit { parameter, values: alternatives(&decoded(value)?)? };
    limit.clone().term().map(|_| limit)
}

/// One parameter of the query part, with the values of which one has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    parameter: &'static str,
    values: Vec<Value>,
}

impl Limit {
    fn term(self) -> Option<Term> {
        let forms = |values: Vec<Value>| values.iter().map(Value::form).collect();
        match self.parameter {
            "category" => Some(Term::CategoryIn(forms(self.values))),
            "code" => Some(Term::CodeIn(forms(self.values))),
            "_security" => Some(Term::SecurityIn(forms(self.values))),
            _ => self.values.into_iter().map(Value::status).collect::<Option<_>>().map(Term::StatusIn),
        }
    }

    /// Whether what meets this one meets the other as well.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.parameter == other.parameter
            && self.values.iter().all(|value| other.values.iter().any(|wider| self.value_within(value, wider)))
    }

    fn value_within(&self, value: &Value, wider: &Value) -> bool {
        // A status has one system, named or not.
        let any_system = self.parameter == "status" || wider.system.is_none();
        value.code == wider.code && (any_system || value.system == wider.system)
    }

    /// What is within both, as far as one list of values can say it.
    fn common(&self, other: &Self) -> Option<Self> {
        let mut values: Vec<Value> = Vec::new();
        for (one, two) in self.values.iter().flat_map(|one| other.values.iter().map(move |two| (one, two))) {
            let narrower = match (self.value_within(one, two), self.value_within(two, one)) {
                (true, _) => one,
                (false, true) => two,
                (false, false) => continue,
            };
            if !values.contains(narrower) {
                values.push(narrower.clone());
            }
        }
        (!values.is_empty()).then_some(Self { parameter: self.parameter, values })
    }

    /// As it stands in a scope.
    pub(super) fn spelled(&self) -> String {
        let values: Vec<String> = self.values.iter().map(Value::spelled).collect();
        format!("{}={}", self.parameter, values.join(","))
    }

    /// For pages.
    pub(super) fn meaning(self) -> MeaningLimit {
        let values = self.values.into_iter().map(|value| (value.system, value.code)).collect();
        MeaningLimit { parameter: self.parameter, values }
    }
}

/// Adds a limit to others that hold already. Two on one parameter become what they have in common, for they could also
/// be met by two values of one resource, which nobody meant; without a common value nothing is left.
pub(super) fn narrow(limits: &mut Vec<Limit>, new: &Limit) -> Option<()> {
    if limits.iter().any(|limit| limit.is_within(new)) {
        return Some(());
    }
    match limits.iter_mut().find(|limit| limit.parameter == new.parameter) {
        Some(limit) => *limit = limit.common(new)?,
        None => limits.push(new.clone()),
    }
    Some(())
}

/// `system|code`, `|code` (an empty system) or `code` (none).
#[derive(Clone, Debug, PartialEq, Eq)]
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

    fn spelled(&self) -> String {
        match &self.system {
            Some(system) => format!("{}|{}", encoded(system), encoded(&self.code)),
            None => encoded(&self.code),
        }
    }
}

/// Escapes what separates values, and writes what cannot stand in a scope or means something in one as percent signs.
fn encoded(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        if matches!(sign, ',' | '|' | '$' | '\\') {
            escaped.push('\\');
        }
        escaped.push(sign);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/#".contains(&byte);
    escaped
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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
