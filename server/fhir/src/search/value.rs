//! Values of the parameter kinds, with their escapes (<https://hl7.org/fhir/R4/search.html#escaping>).

use super::{QuantityTest, Refused, Subject, TokenValue};
use crate::{
    index::extract::{LONGEST_NAME, Target, fold},
    resource::is_id,
};

/// The alternatives of a value: what stands between its commas that are not escaped.
pub(super) fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    parts(text, b',')
}

/// What stands between the marks that are not escaped.
pub(super) fn parts(text: &str, mark: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (item, after) = split(current, mark).map_or((current, None), |(item, after)| (item, Some(after)));
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

/// A token of an element that is true or false.
pub(super) fn boolean(text: &str) -> Result<TokenValue, Refused> {
    let value = token(text)?;
    match &value {
        TokenValue::Coding { code, .. } | TokenValue::Code(code) | TokenValue::NoSystem(code)
            if !matches!(code.as_str(), "true" | "false") =>
        {
            Err(Refused::Invalid("the value is neither true nor false"))
        }
        _ => Ok(value),
    }
}

/// A folded text, or its beginning.
pub(super) fn folded(text: &str) -> Result<String, Refused> {
    let folded = fold(&unescape(text)?);
    if folded.is_empty() {
        return Err(Refused::Invalid("the value has no letter to search for"));
    }
    bounded(folded)
}

/// A text as it is written.
pub(super) fn exact(text: &str) -> Result<String, Refused> {
    bounded(unescape(text)?)
}

fn bounded(text: String) -> Result<String, Refused> {
    if text.chars().count() > LONGEST_NAME {
        return Err(Refused::Invalid("the value is longer than 255 characters"));
    }
    Ok(text)
}

/// A code and a quantity, as `code$quantity`.
pub(super) fn code_and_quantity(text: &str) -> Result<(TokenValue, QuantityTest), Refused> {
    let pair: Vec<&str> = parts(text, b'$').collect();
    let [code, quantity] = pair.as_slice() else {
        return Err(Refused::Invalid("the value is not a code, a dollar sign and a quantity"));
    };
    if code.is_empty() {
        return Err(Refused::Invalid("there is no code before the dollar sign"));
    }
    Ok((token(code)?, QuantityTest::read(quantity)?))
}

/// A reference: a bare id of one of these types, `Type/id`, or a URL or URN.
pub(super) fn reference(text: &str, kinds: &[&str], bases: &[&str]) -> Result<Vec<String>, Refused> {
    let text = unescape(text)?;
    if is_id(&text) {
        return Ok(kinds.iter().map(|kind| format!("{kind}/{text}")).collect());
    }
    match Target::of(&text, bases) {
        Target::Local { version: Some(_), .. } => Err(VERSIONED),
        Target::Local { kind, .. } if !kinds.contains(&kind) => Err(WRONG_TYPE),
        Target::Local { kind, id, .. } => Ok(vec![format!("{kind}/{id}")]),
        Target::Absolute(url) if !kinds.iter().any(|kind| may_be_of(url, kind)) => Err(WRONG_TYPE),
        Target::Absolute(url) => Ok(vec![url.to_owned()]),
        Target::Contained | Target::Other(_) => Err(NO_REFERENCE),
    }
}

const VERSIONED: Refused = Refused::NotSupported("references to one version of a resource are not searched for");
const WRONG_TYPE: Refused = Refused::Invalid("the value refers to a type that cannot stand there");
const NO_REFERENCE: Refused = Refused::Invalid("the value is not a reference: id, Type/id, or a URL or URN");

/// A reference to a subject of one of these types.
pub(super) fn subject(text: &str, kinds: &[&str], bases: &[&str]) -> Result<Subject, Refused> {
    let text = unescape(text)?;
    if is_id(&text) {
        return Ok(match kinds {
            ["Patient"] => Subject::Patient(text),
            [kind] => Subject::Other(format!("{kind}/{text}")),
            _ => Subject::AnyType(text),
        });
    }
    match Target::of(&text, bases) {
        Target::Local { version: Some(_), .. } => Err(VERSIONED),
        Target::Local { kind, .. } if kinds.len() == 1 && kinds != [kind] => Err(WRONG_TYPE),
        Target::Local { kind: "Patient", id, .. } => Ok(Subject::Patient(id.to_owned())),
        Target::Local { kind, id, .. } => Ok(Subject::Other(format!("{kind}/{id}"))),
        Target::Absolute(url) if kinds.len() == 1 && !may_be_of(url, kinds[0]) => Err(WRONG_TYPE),
        Target::Absolute(url) => Ok(Subject::Other(url.to_owned())),
        Target::Contained | Target::Other(_) => Err(NO_REFERENCE),
    }
}

/// Whether an address elsewhere may be that of such a resource: its type says so, or, as with a URN, it says none.
fn may_be_of(url: &str, wanted: &str) -> bool {
    let mut segments = url.rsplit('/');
    let id = segments.next();
    segments.next().map_or(id.is_some(), |kind| kind == wanted)
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
pub(super) fn unescape(text: &str) -> Result<String, Refused> {
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
