//! The trail as FHIR (<https://hl7.org/fhir/R4/auditevent.html>): who may see which of its records, reading one,
//! searching them.
//!
//! Who holds `audit:read` or `admin:users`, or names AuditEvent in a `system/` scope (or a `user/` one that is nobody's
//! in particular), sees the tenant's whole chain. Who is confined to a patient sees what was done with that patient's
//! data and by whom, and nothing else of those records: no other patient, no address, no certificate, no criteria, no
//! refused attempts.

mod meaning;
mod query;
mod resource;

use uuid::Uuid;
use vitals_access::{
    access::Access,
    audit::{AuditRecord, Decision},
    predicate::{Term, Visible},
};
use vitals_fhir::{
    interaction::Letter,
    outcome::{Issue, IssueCode},
};
use vitals_store::audit::{Found, Mention, Position, patients};

pub use self::{query::Asked, resource::audit_event};
use super::Answer;
use crate::{
    audit::{AuditView, Unseen},
    failure::{Failure, Kind},
};

/// The words that open the whole trail.
const WORDS: [&str; 2] = ["audit:read", "admin:users"];

/// Which records of its tenant's chain a caller sees, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All, whole.
    Everything,
    /// What was done with the data of these patients, as far as it is theirs.
    Patients(Vec<String>),
}

impl Sight {
    /// What a caller sees, and by which scopes.
    pub fn of(access: &Access, letter: Letter) -> Result<(Self, Vec<String>), Failure> {
        let words: Vec<String> = WORDS.iter().filter(|word| access.has(word)).map(|word| (*word).to_owned()).collect();
        if !words.is_empty() {
            return Ok((Self::Everything, words));
        }
        let used = access.used_on_trail(letter);
        match access.trail(letter) {
            Visible::Everything => Ok((Self::Everything, used)),
            Visible::AnyOf(any) => {
                let one = |all: &vitals_access::predicate::AllOf| match all.0.as_slice() {
                    [Term::PatientIs(id)] => Some(id.clone()),
                    _ => None,
                };
                // What is not understood reaches nothing.
                match any.iter().filter_map(one).collect::<Vec<_>>() {
                    none if none.is_empty() => Err(out_of_scope(letter)),
                    patients => Ok((Self::Patients(patients), used)),
                }
            }
            Visible::Nothing => Err(out_of_scope(letter)),
        }
    }

    /// Whether a record is within sight. A chain holds what its tenant's callers asked of others too, and the ids of those
    /// patients are nobody's here.
    pub fn admits(&self, access: &Access, record: &AuditRecord) -> bool {
        match self {
            Self::Everything => true,
            Self::Patients(own) => {
                record.decision != Decision::Denied
                    && is_of_own_data(access, record)
                    && patients(record).any(|patient| own.contains(patient))
            }
        }
    }

    /// The patient it is confined to, where that is one.
    pub fn patient(&self) -> Option<&String> {
        match self {
            Self::Patients(own) if own.len() == 1 => own.first(),
            _ => None,
        }
    }

    /// What a search is narrowed to before it is asked.
    fn mentions(&self) -> Option<Vec<Mention>> {
        match self {
            Self::Everything => None,
            Self::Patients(own) => Some(own.iter().cloned().map(Mention::Patient).collect()),
        }
    }
}

/// Whether a record is about data of the tenant whose chain it stands in.
fn is_of_own_data(access: &Access, record: &AuditRecord) -> bool {
    record.tenant.as_deref() == Some(access.tenant().name.as_str())
}

/// One record. What is out of sight, or in another chain, is not there.
pub async fn read(view: &AuditView, access: &Access, sight: &Sight, id: &str) -> Answer<(Position, AuditRecord)> {
    let id: Uuid = id.parse().map_err(|_| not_found())?;
    let found = view.record(&access.tenant().role, &id).await.map_err(unseen)?;
    found.filter(|(_, record)| sight.admits(access, record)).ok_or_else(not_found)
}

/// A page of the records within sight.
pub async fn search(view: &AuditView, access: &Access, sight: &Sight, asked: &Asked) -> Answer<Found> {
    let role = &access.tenant().role;
    let admits = |record: &AuditRecord| {
        sight.admits(access, record)
            && asked.admits(record)
            && (!asked.is_of_own_data || is_of_own_data(access, record))
    };
    if let Some(ids) = &asked.ids {
        let mut found = Found::default();
        for id in ids {
            let record = view.record(role, id).await.map_err(unseen)?;
            found.records.extend(record.filter(|(_, record)| admits(record)));
        }
        return Ok(found);
    }
    let mut query = asked.query.clone();
    query.mentions.extend(sight.mentions());
    view.search(role, &query, admits).await.map_err(unseen)
}

fn unseen(unseen: Unseen) -> Failure {
    Failure::unavailable(match unseen {
        Unseen::Away => "audit store away",
        Unseen::Busy => "audit search too busy",
    })
}

fn not_found() -> Failure {
    let diagnostics = "This AuditEvent is not known here.";
    Failure::new(Kind::NotFound, IssueCode::NotFound, "not found or out of reach", diagnostics)
}

fn out_of_scope(letter: Letter) -> Failure {
    let letter = if letter == Letter::Read { "r" } else { "s" };
    let diagnostics = format!(
        "No scope of this token grants '{letter}' on AuditEvent: audit:read does, and a scope that names AuditEvent."
    );
    Failure {
        issues: vec![Issue::error(IssueCode::Forbidden, diagnostics)],
        kind: Kind::Scope,
        reason: "insufficient scope",
    }
}
