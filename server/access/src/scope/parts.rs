//! A scope over data taken apart, so that two can be compared and what they have in common can be written again.

use vitals_fhir::{interaction::Letter, resource::ResourceType};

use super::{Context, Letters, Scope, grammar, limits, limits::Limit};

/// How a scope was spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `.read`, `.write`, `.*`.
    V1,
    /// `.cruds`, or one of ours.
    V2,
}

/// What a scope is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Every type but AuditEvent, which has to be named.
    AllTypes,
    /// A type of R4, offered here or not.
    Type(String),
    /// `vitals`, `vitals.all`: every vital sign.
    Vitals,
    /// `vitals.heart_rate`: one of them.
    Vital(String),
    /// `users`.
    Users,
}

/// A scope over data, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) context: Context,
    pub(super) subject: Subject,
    pub(super) letters: Letters,
    pub(super) limits: Vec<Limit>,
}

impl Parts {
    /// Takes a scope apart, if it is understood and is about data.
    pub(super) fn read(text: &str) -> Option<(Self, Spelling)> {
        let Scope::Data(rule) = grammar::parse(text)? else { return None };
        let (letters, context) = (rule.letters, rule.context);
        if context == Context::Ours {
            let (family, _) = text.split_once(':')?;
            let subject = match family {
                "users" => Subject::Users,
                "vitals" | "vitals.all" => Subject::Vitals,
                one => Subject::Vital(one.strip_prefix("vitals.")?.to_owned()),
            };
            return Some((Self { context, subject, letters, limits: Vec::new() }, Spelling::V2));
        }
        let (_, rest) = text.split_once('/')?;
        let (head, query) = rest.split_once('?').map_or((rest, None), |(head, query)| (head, Some(query)));
        let (name, permission) = head.split_once('.')?;
        let subject = if name == "*" { Subject::AllTypes } else { Subject::Type(name.to_owned()) };
        let limits = query.map_or(Some(Vec::new()), limits::read)?;
        let spelling = if matches!(permission, "read" | "write" | "*") { Spelling::V1 } else { Spelling::V2 };
        Some((Self { context, subject, letters, limits }, spelling))
    }

    /// What both reach, if they reach anything together.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        if self.context != other.context {
            return None;
        }
        let letters = Letters(self.letters.0 & other.letters.0);
        if letters.0 == 0 {
            return None;
        }
        let mut limits = self.limits.clone();
        for limit in &other.limits {
            limits::narrow(&mut limits, limit)?;
        }
        Some(Self { context: self.context, subject: self.subject.meet(&other.subject)?, letters, limits })
    }

    /// Whether everything the other reaches is reached by this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.context == other.context
            && self.subject.covers(&other.subject)
            && self.letters.0 & other.letters.0 == other.letters.0
            && self.limits.iter().all(|limit| other.limits.iter().any(|narrower| narrower.is_within(limit)))
    }

    /// Whether the two differ in their letters at most.
    pub(super) fn joins(&self, other: &Self) -> bool {
        // Letters of `vitals.*` have no spelling but read and write.
        self.context != Context::Ours
            && self.context == other.context
            && self.subject == other.subject
            && self.limits == other.limits
    }

    /// Takes the letters of one that it joins.
    pub(super) fn join(&mut self, other: &Self) {
        self.letters.0 |= other.letters.0;
    }

    /// The scope as a text: as v1 spells it where that was asked and v1 can say it.
    pub(super) fn spelled(&self, spelling: Spelling) -> String {
        let permission = match (spelling, self.letters) {
            _ if self.context == Context::Ours => {
                if self.letters == Letters::READ { "read" } else { "write" }.to_owned()
            }
            (Spelling::V1, Letters::READ) if self.limits.is_empty() => "read".to_owned(),
            (Spelling::V1, Letters::WRITE) if self.limits.is_empty() => "write".to_owned(),
            (Spelling::V1, Letters::ALL) if self.limits.is_empty() => "*".to_owned(),
            (_, letters) => letters.signs(),
        };
        let mut text = match (self.context, &self.subject) {
            (_, Subject::Users) => format!("users:{permission}"),
            (_, Subject::Vitals) => format!("vitals:{permission}"),
            (_, Subject::Vital(name)) => format!("vitals.{name}:{permission}"),
            (context, Subject::AllTypes) => format!("{}/*.{permission}", context.name()),
            (context, Subject::Type(name)) => format!("{}/{name}.{permission}", context.name()),
        };
        for (place, limit) in self.limits.iter().enumerate() {
            text.push(if place == 0 { '?' } else { '&' });
            text.push_str(&limit.spelled());
        }
        text
    }
}

impl Subject {
    fn meet(&self, other: &Self) -> Option<Self> {
        if other.covers(self) {
            Some(self.clone())
        } else if self.covers(other) {
            Some(other.clone())
        } else {
            None
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            // A wildcard does not hold AuditEvent (contract, section 4).
            (Self::AllTypes, Self::Type(name)) => name != "AuditEvent",
            (Self::Vitals, Self::Vital(_)) => true,
            (one, other) => one == other,
        }
    }

    /// The type, where it is one that is offered here.
    pub(super) fn offered(&self) -> Option<ResourceType> {
        match self {
            Self::Type(name) => ResourceType::named(name),
            _ => None,
        }
    }
}

impl Letters {
    /// In the order of SMART v2: `cruds`.
    fn signs(self) -> String {
        super::CRUDS.into_iter().filter(|(_, letter)| self.contain(*letter)).map(|(sign, _)| sign).collect()
    }

    /// One by one.
    pub(super) fn list(self) -> Vec<Letter> {
        super::CRUDS.into_iter().map(|(_, letter)| letter).filter(|letter| self.contain(*letter)).collect()
    }
}

impl Context {
    /// The word before the slash; ours have none.
    const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
            Self::Ours => "",
        }
    }
}
