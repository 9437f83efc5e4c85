//! Values of the parameter kinds, with their escapes (<https://hl7.org/fhir/R4/search.html#escaping>).

use super::{Refused, Subject, TokenValue};
use crate::{
    index::extract::{LONGEST_NAME, Target, fold},
    resource::is_id,
};

/// Whom a reference parameter may name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SubjectKind {
    Patient,
    Any,
}

/// The alternatives of a value: what stands between its commas that are not escaped.
pub(super) fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (item, after) = split(current, b',').map_or((current, None), |(item, after)| (item, Some(after)));
        rest = after;
        Some(item)
    })
}

/// A logical id.
pub(super) fn id(text: &str) -> Result<String, Refused> {
    if is_id(text) { Ok(text.to_owned()) } else { Err(Refused::Invalid("the value is not a logical id")) }
}

/// A token.
pub(super) fn token(text: &str) -> Result<TokenValue, Refused> {
    let Some((system, code)) = split(text, b'|') else { return Ok(TokenValue::Code(unescape(text)?)) };
    if split(code, b'|').is_some() {
        return Err(Refused::Invalid("the value has more than one |; one that belongs to it is written \\|"));
    }
    match (unescape(system)?, unescape(code)?) {
        (system, code) if system.is_empty() && code.is_empty() => {
            Err(Refused::Invalid("the value has neither a system nor a code"))
        }
        (system, code) if system.is_empty() => Ok(TokenValue::NoSystem(code)),
        (system, code) if code.is_empty() => Ok(TokenValue::System(system)),
        (system, code) => Ok(TokenValue::Coding { system, code }),
    }
}

/// A folded beginning of a name.
pub(super) fn name(text: &str) -> Result<String, Refused> {
    let folded = fold(&unescape(text)?);
    if folded.is_empty() {
        return Err(Refused::Invalid("the value has no letter to search for"));
    }
    if folded.chars().count() > LONGEST_NAME {
        return Err(Refused::Invalid("the value is longer than 255 characters"));
    }
    Ok(folded)
}

/// A reference to a subject: a bare id, `Type/id`, or a URL or URN.
pub(super) fn subject(text: &str, kind: SubjectKind, bases: &[&str]) -> Result<Subject, Refused> {
    const NOT_A_PATIENT: Refused = Refused::Invalid("the value refers to something that is no Patient");
    let text = unescape(text)?;
    if is_id(&text) {
        return Ok(if kind == SubjectKind::Patient { Subject::Patient(text) } else { Subject::AnyType(text) });
    }
    match Target::of(&text, bases) {
        Target::Local { version: Some(_), .. } => {
            Err(Refused::NotSupported("references to one version of a resource are not searched for"))
        }
        Target::Local { kind: "Patient", id, .. } => Ok(Subject::Patient(id.to_owned())),
        Target::Local { .. } if kind == SubjectKind::Patient => Err(NOT_A_PATIENT),
        Target::Local { kind, id, .. } => Ok(Subject::Other(format!("{kind}/{id}"))),
        Target::Absolute(url) if kind == SubjectKind::Patient && !may_be_a_patient(url) => Err(NOT_A_PATIENT),
        Target::Absolute(url) => Ok(Subject::Other(url.to_owned())),
        Target::Contained | Target::Other(_) => {
            Err(Refused::Invalid("the value is not a reference: id, Type/id, or a URL or URN"))
        }
    }
}

/// Whether an address elsewhere may be that of a Patient: its type says so, or, as with a URN, it says none.
fn may_be_a_patient(url: &str) -> bool {
    let mut segments = url.rsplit('/');
    let id = segments.next();
    segments.next().map_or(id.is_some(), |kind| kind == "Patient")
}

/// Splits at the first `mark` that is not escaped.
fn split(text: &str, mark: u8) -> Option<(&str, &str)> {
    let mut escaped = false;
    let place = text.bytes().position(|byte| {
        let found = byte == mark && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })?;
    Some((&text[..place], &text[place + 1..]))
}

/// Takes the backslash from `\,`, `\$`, `\|` and `\\`; before anything else it has no meaning and is refused.
fn unescape(text: &str) -> Result<String, Refused> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => letters
                .next()
                .filter(|escaped| matches!(escaped, ',' | '$' | '|' | '\\'))
                .ok_or(Refused::Invalid("a backslash stands before something other than , $ | or \\"))?,
            letter => letter,
        });
    }
    Ok(plain)
}
