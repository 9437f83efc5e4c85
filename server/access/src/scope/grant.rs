//! What may be granted of the scopes a client asks for: never wider than asked, than the client is allowed, and than
//! the user holds (RFC 6749, section 3.3; SMART App Launch 2.2, "Scopes for requesting clinical data").
//!
//! An asked scope that is covered whole is granted in its own spelling, v1 or v2. Otherwise the parts of it that are
//! covered are granted, each as a scope of its own. Two scopes have a part in common only within one family: `system/`
//! is not `user/`, and neither is `vitals.*`.

use super::{
    PLAIN, is_known,
    parts::{Parts, Spelling},
};

/// Words that only steer a launch: whoever may use the client holds them.
const LAUNCH: [&str; 8] = [
    "launch",
    "launch/patient",
    "launch/encounter",
    "openid",
    "fhirUser",
    "profile",
    "offline_access",
    "online_access",
];

/// What may be granted of `asked` to a client that is `allowed` so much, for a user who `held` so much: in the order
/// asked, each once. A scope that is not understood is not granted.
pub fn grantable(asked: &[String], allowed: &[String], held: &[String]) -> Vec<String> {
    let (allowed_parts, held_parts) = (read(allowed), read(held));
    let mut granted: Vec<String> = Vec::new();
    for text in asked.iter().filter(|text| is_known(text)) {
        let scopes = if PLAIN.contains(&text.as_str()) {
            let may = allowed.contains(text) && (LAUNCH.contains(&text.as_str()) || held.contains(text));
            if may { vec![text.clone()] } else { Vec::new() }
        } else {
            of_data(text, &allowed_parts, &held_parts)
        };
        for scope in scopes {
            if !granted.contains(&scope) {
                granted.push(scope);
            }
        }
    }
    granted
}

fn read(scopes: &[String]) -> Vec<Parts> {
    scopes.iter().filter_map(|text| Parts::read(text)).map(|(parts, _)| parts).collect()
}

/// One asked scope over data: itself where it is covered whole, else what is covered of it.
fn of_data(text: &str, allowed: &[Parts], held: &[Parts]) -> Vec<String> {
    let Some((asked, spelling)) = Parts::read(text) else { return Vec::new() };
    let mut common: Vec<Parts> = Vec::new();
    for allowed in allowed.iter().filter_map(|allowed| asked.meet(allowed)) {
        for part in held.iter().filter_map(|held| allowed.meet(held)) {
            add(&mut common, part);
        }
    }
    if common.iter().any(|part| part.covers(&asked)) {
        return vec![text.to_owned()];
    }
    common.iter().map(|part| part.spelled(spelling)).collect()
}

/// Adds a part to those found: letters of what is otherwise the same are joined, and what another covers goes.
fn add(found: &mut Vec<Parts>, mut part: Parts) {
    while let Some(place) = found.iter().position(|other| other.joins(&part)) {
        part.join(&found.remove(place));
    }
    if found.iter().any(|other| other.covers(&part)) {
        return;
    }
    found.retain(|other| !part.covers(other));
    found.push(part);
}

/// Whether a scope is spelled as SMART v1 spells it (`.read`, `.write`, `.*`).
pub fn is_v1(text: &str) -> bool {
    matches!(Parts::read(text), Some((_, Spelling::V1)))
}

#[cfg(test)]
mod tests;
