//! What a scope says, for pages that put it into words for people.

use vitals_fhir::{catalog::audit_event::AUDIT_EVENT, interaction::Letter};

use super::{
    Context,
    limits::Limit,
    parts::{Parts, Subject},
};

/// Whose data a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// `patient/`: of the patient in context.
    Patient,
    /// `user/`: what the user may reach.
    User,
    /// `system/`: of the whole tenant.
    System,
    /// `vitals.*`, `users:read`: of the patient in context if there is one, else of the whole tenant.
    Ours,
}

/// What a scope is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Every type of resource.
    AllTypes,
    /// One type of resource (`Observation`), offered here or not.
    Type(String),
    /// Every vital sign.
    Vitals,
    /// One vital sign, as the scope names it (`heart_rate`).
    Vital(String),
    /// Patients, by `users:read`.
    Users,
}

/// A limit of a scope: `category=vital-signs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeaningLimit {
    /// `category`, `code`, `status` or `_security`.
    pub parameter: &'static str,
    /// The values, any of which is enough: the system, where one is given, and the code.
    pub values: Vec<(Option<String>, String)>,
}

/// What a scope over data says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Whose data.
    pub whose: Whose,
    /// Which data.
    pub about: About,
    /// What may be done with them.
    pub letters: Vec<Letter>,
    /// What it is limited to; all of these hold.
    pub limits: Vec<MeaningLimit>,
}

impl Meaning {
    /// Whether it lets data be seen.
    pub fn reads(&self) -> bool {
        self.letters.iter().any(|letter| matches!(letter, Letter::Read | Letter::Search))
    }

    /// Whether it lets data be made, changed or deleted.
    pub fn writes(&self) -> bool {
        self.letters.iter().any(|letter| !matches!(letter, Letter::Read | Letter::Search))
    }

    /// Whether there is data of its kind on this server at all.
    pub fn is_offered(&self) -> bool {
        match &self.about {
            About::Type(name) => name == AUDIT_EVENT || Subject::Type(name.clone()).offered().is_some(),
            _ => true,
        }
    }
}

/// What a scope says, if it is understood and is about data. Plain words (`openid`, `launch/patient`) are not.
pub fn describe(text: &str) -> Option<Meaning> {
    let (parts, _) = Parts::read(text)?;
    let whose = match parts.context {
        Context::Patient => Whose::Patient,
        Context::User => Whose::User,
        Context::System => Whose::System,
        Context::Ours => Whose::Ours,
    };
    let about = match parts.subject {
        Subject::AllTypes => About::AllTypes,
        Subject::Type(name) => About::Type(name),
        Subject::Vitals => About::Vitals,
        Subject::Vital(name) => About::Vital(name),
        Subject::Users => About::Users,
    };
    let limits = parts.limits.into_iter().map(Limit::meaning).collect();
    Some(Meaning { whose, about, letters: parts.letters.list(), limits })
}

#[cfg(test)]
mod tests;
