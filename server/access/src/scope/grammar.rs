//! The grammar of scopes (contract, section 4). Exact: case, order and every character count.

use vitals_fhir::{catalog::audit_event::AUDIT_EVENT, resource::ResourceType, vital::Vital};

use crate::{
    predicate::Term,
    scope::{CRUDS, Context, Letters, PLAIN, Rule, Scope, Types, limits, types},
};

/// Reads one scope, or nothing when any part of it is not understood.
pub(super) fn parse(text: &str) -> Option<Scope> {
    // RFC 6749, appendix A.4: %x21 / %x23-5B / %x5D-7E.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return None;
    }
    if PLAIN.contains(&text) {
        return Some(Scope::Plain);
    }
    let rule = match text {
        "users:read" => ours(ResourceType::Patient, Letters::READ, Vec::new()),
        _ => vitals(text).or_else(|| smart(text))?,
    };
    Some(Scope::Data(rule))
}

fn ours(resource: ResourceType, letters: Letters, limits: Vec<Term>) -> Rule {
    Rule { context: Context::Ours, types: Types::One(resource), letters, limits }
}

/// `vitals:read`, `vitals.all:write`, `vitals.heart_rate:read`.
fn vitals(text: &str) -> Option<Rule> {
    let (family, permission) = text.split_once(':')?;
    let term = match family {
        "vitals" | "vitals.all" => Term::VitalAny,
        _ => Term::VitalIn(vec![Vital::named(family.strip_prefix("vitals.")?)?.name()]),
    };
    let letters = match permission {
        "read" => Letters::READ,
        "write" => Letters::WRITE,
        _ => return None,
    };
    Some(ours(ResourceType::Observation, letters, vec![term]))
}

/// `patient/Observation.read`, `system/*.cruds`, `user/Observation.rs?category=vital-signs`.
fn smart(text: &str) -> Option<Rule> {
    let (context, rest) = text.split_once('/')?;
    let context = match context {
        "patient" => Context::Patient,
        "user" => Context::User,
        "system" => Context::System,
        _ => return None,
    };
    let (head, query) = match rest.split_once('?') {
        Some((head, query)) => (head, Some(query)),
        None => (rest, None),
    };
    let (name, permission) = head.split_once('.')?;
    let types = match (name, ResourceType::named(name)) {
        ("*", _) => Types::All,
        (_, Some(resource)) => Types::One(resource),
        (AUDIT_EVENT, None) => Types::Trail,
        (other, None) if types::is_r4(other) => Types::Elsewhere,
        _ => return None,
    };
    let (letters, limits) = match (permission, query) {
        ("read", None) => (Letters::READ, Vec::new()),
        ("write", None) => (Letters::WRITE, Vec::new()),
        ("*", None) => (Letters::ALL, Vec::new()),
        (letters, None) => (cruds(letters)?, Vec::new()),
        (letters, Some(query)) => (cruds(letters)?, limits::parse(query)?),
    };
    Some(Rule { context, types, letters, limits })
}

/// `c?r?u?d?s?`, at least one.
fn cruds(text: &str) -> Option<Letters> {
    let mut rest = text.as_bytes();
    let mut letters = Letters(0);
    for (sign, letter) in CRUDS {
        if let [first, tail @ ..] = rest
            && char::from(*first) == sign
        {
            letters.0 |= Letters::of(&[letter]).0;
            rest = tail;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(letters)
}
