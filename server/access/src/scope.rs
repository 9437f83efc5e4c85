//! Scopes: SMART v1 and v2 with limits, the `vitals.*` family and the plain words, all into one internal form
//! (<https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>).
//!
//! A scope that is not understood in full grants nothing: it is kept as a text for the audit trail and is otherwise
//! as if it were not there.

use vitals_fhir::{interaction::Letter, resource::ResourceType};

use crate::predicate::Term;

mod grammar;
mod grant;
mod limits;
mod meaning;
mod parts;
mod reach;
mod types;
mod user;

pub use grant::{grantable, is_v1};
pub use meaning::{About, Meaning, MeaningLimit, Whose, describe};
pub(crate) use reach::{Reach, User, Who};

/// Words that mean something by themselves, somewhere else than in this crate.
const PLAIN: [&str; 14] = [
    "org:self",
    "org:delegated",
    "analytics:read",
    "admin:users",
    "audit:read",
    "export:bulk",
    "launch",
    "launch/patient",
    "launch/encounter",
    "openid",
    "fhirUser",
    "profile",
    "offline_access",
    "online_access",
];

/// Whether a scope is understood in full. Others are no error anywhere; the command line warns of them.
pub fn is_known(text: &str) -> bool {
    grammar::parse(text).is_some()
}

/// The scopes of a caller, as they were given.
#[derive(Clone, Debug)]
pub struct ScopeSet {
    texts: Vec<String>,
    rules: Vec<Option<Rule>>,
}

impl ScopeSet {
    /// Reads scopes; never fails.
    pub(crate) fn of(texts: Vec<String>) -> Self {
        let rules = texts
            .iter()
            .map(|text| match grammar::parse(text) {
                Some(Scope::Data(rule)) => Some(rule),
                Some(Scope::Plain) | None => None,
            })
            .collect();
        Self { texts, rules }
    }

    /// The scopes as given, those that grant nothing among them.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether one of the plain words (`org:self`, `analytics:read`, `launch/patient`) is among them.
    pub fn has(&self, plain: &str) -> bool {
        PLAIN.contains(&plain) && self.texts.iter().any(|text| text == plain)
    }
}

/// A scope that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// Reaches data.
    Data(Rule),
    /// One of [`PLAIN`].
    Plain,
}

/// What a scope over data says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    context: Context,
    types: Types,
    letters: Letters,
    limits: Vec<Term>,
}

/// Whose data a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// `patient/`: the compartment of the `patient` claim, which must be there.
    Patient,
    /// `user/`: what `fhirUser` may reach.
    User,
    /// `system/`: the whole tenant.
    System,
    /// `vitals.*` and `users:read`: the whole tenant, or the compartment of the `patient` claim where it is there.
    Ours,
}

/// Which types a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Types {
    /// `*`: every type offered here but AuditEvent.
    All,
    /// One that is offered here.
    One(ResourceType),
    /// AuditEvent: the trail, which is nobody's but who names it.
    Trail,
    /// One of R4 that is not offered here.
    Elsewhere,
}

impl Types {
    fn cover(self, resource: ResourceType) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => only == resource,
            Self::Trail | Self::Elsewhere => false,
        }
    }
}

/// Letters and their signs, in the order of SMART v2.
const CRUDS: [(char, Letter); 5] =
    [('c', Letter::Create), ('r', Letter::Read), ('u', Letter::Update), ('d', Letter::Delete), ('s', Letter::Search)];

/// A set of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Letters(u8);

impl Letters {
    const READ: Self = Self::of(&[Letter::Read, Letter::Search]);
    const WRITE: Self = Self::of(&[Letter::Create, Letter::Update, Letter::Delete]);
    const ALL: Self = Self(Self::READ.0 | Self::WRITE.0);

    const fn of(letters: &[Letter]) -> Self {
        let mut bits = 0;
        let mut place = 0;
        while place < letters.len() {
            bits |= 1 << letters[place] as u8;
            place += 1;
        }
        Self(bits)
    }

    const fn contain(self, letter: Letter) -> bool {
        self.0 & (1 << letter as u8) != 0
    }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
