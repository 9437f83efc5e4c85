//! One attempt at a Bundle: where each entry writes, how it went so far, and the order of it all.

use std::collections::{HashMap, HashSet};

use vitals_access::access::Access;
use vitals_fhir::{
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, ResourceType, Version},
};
use vitals_store::tenant::TenantTx;

use super::{Done, Outcome, Plan, Step, What, typed::Content};
use crate::{failure::Failure, interaction::Stopped};

/// Where an entry writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere, or it is not known yet.
    None,
    /// A new resource at an id that the server made.
    New(String),
    /// The resource at an id.
    At(String, Option<Version>),
    /// A resource at an id where nothing may stand.
    Vacant(String),
    /// Nowhere: what it would create stands at this id.
    Found(String),
    /// The resource at an id goes.
    Gone(String, Option<Version>),
}

impl Target {
    /// The id of what is written, or stands instead.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::New(id) | Self::At(id, _) | Self::Vacant(id) | Self::Found(id) | Self::Gone(id, _) => Some(id),
        }
    }
}

/// One attempt.
pub(super) struct Run<'r> {
    pub(super) access: &'r Access,
    pub(super) plan: &'r Plan,
    pub(super) now: i64,
    pub(super) targets: Vec<Target>,
    pub(super) contents: Vec<Option<Content>>,
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// What conditional references mean, by type and criteria.
    pub(super) referred: HashMap<(ResourceType, String), String>,
    /// Bytes of resources in the answer so far.
    pub(super) answered: usize,
}

impl<'r> Run<'r> {
    pub(super) fn new(access: &'r Access, plan: &'r Plan, now: i64) -> Self {
        let target = |step: &Result<Step, Failure>| match step.as_ref().map(|step| &step.what) {
            // Ids of one type and another may be the same text; the generator needs some type.
            Ok(What::Create(None)) => Target::New(Id::<Observation>::generate().as_str().to_owned()),
            Ok(What::Update(id, if_match)) => Target::At(id.clone(), *if_match),
            Ok(What::Delete(id, if_match)) => Target::Gone(id.clone(), *if_match),
            _ => Target::None,
        };
        Self {
            access,
            plan,
            now,
            targets: plan.steps.iter().map(target).collect(),
            contents: plan.steps.iter().map(|_| None).collect(),
            outcomes: plan.steps.iter().map(|step| step.as_ref().err().cloned().map(Err)).collect(),
            referred: HashMap::new(),
            answered: 0,
        }
    }

    /// Everything that needs the database, in R4's order. A transaction stops where one of its entries is refused.
    pub(super) async fn all(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let looks_up = self.plan.looks_up();
        if looks_up {
            self.lock_criteria(tx).await?;
            self.match_deletes::<Observation>(tx).await?;
            self.match_deletes::<Patient>(tx).await?;
            self.check_identities();
        }
        self.delete::<Observation>(tx).await?;
        self.delete::<Patient>(tx).await?;
        if looks_up {
            self.match_writes::<Patient>(tx).await?;
            self.match_writes::<Observation>(tx).await?;
            self.match_references(tx).await?;
            self.check_identities();
            self.read_bodies();
        }
        self.create::<Patient>(tx).await?;
        self.create::<Observation>(tx).await?;
        self.update::<Patient>(tx).await?;
        self.update::<Observation>(tx).await?;
        self.look(tx).await
    }

    /// Refuses a transaction that would write one resource twice.
    pub(super) fn check_identities(&mut self) {
        if !self.plan.is_transaction() {
            return;
        }
        let mut seen = HashSet::new();
        let mut twice = Vec::new();
        for (place, step) in self.plan.steps.iter().enumerate() {
            let (Ok(step), Some(id)) = (step, self.targets[place].id()) else { continue };
            if !matches!(self.targets[place], Target::Found(_)) && !seen.insert((step.operation.resource, id)) {
                twice.push(place);
            }
        }
        // What is found instead of created must not go at the same time.
        for (place, step) in self.plan.steps.iter().enumerate() {
            if let (Ok(step), Target::Found(id)) = (step, &self.targets[place])
                && seen.contains(&(step.operation.resource, id.as_str()))
            {
                twice.push(place);
            }
        }
        for place in twice {
            let diagnostics = "Another entry of this transaction writes the same resource: a resource may come once.";
            let issue = Issue::error(IssueCode::Invalid, diagnostics).at(format!("Bundle.entry[{place}].request.url"));
            self.outcomes[place] = Some(Err(Failure::malformed(issue)));
        }
    }

    /// Whether this is a transaction of which an entry is refused: nothing more needs doing.
    pub(super) fn is_lost(&self) -> bool {
        self.plan.is_transaction() && self.outcomes.iter().any(|outcome| matches!(outcome, Some(Err(_))))
    }

    /// The first refused entry of a transaction.
    pub(super) fn refused(&self) -> Option<(usize, Failure)> {
        if !self.plan.is_transaction() {
            return None;
        }
        let refused = |(place, outcome): (usize, &Option<Outcome>)| match outcome {
            Some(Err(failure)) => Some((place, failure.clone())),
            _ => None,
        };
        self.outcomes.iter().enumerate().find_map(refused)
    }

    /// The entries of a type that are not decided yet, with what they ask for; none once a transaction is lost.
    pub(super) fn undecided(&self, resource: ResourceType) -> Vec<(usize, &'r Step)> {
        if self.is_lost() {
            return Vec::new();
        }
        let of_type = |(place, step): (usize, &'r Result<Step, Failure>)| match step {
            Ok(step) if step.operation.resource == resource && self.outcomes[place].is_none() => Some((place, step)),
            _ => None,
        };
        self.plan.steps.iter().enumerate().filter_map(of_type).collect()
    }

    pub(super) fn decide(&mut self, place: usize, outcome: Outcome) {
        self.outcomes[place] = Some(outcome);
    }

    /// Whether anything was written.
    pub(super) fn wrote(&self) -> bool {
        self.outcomes.iter().flatten().flatten().any(|done| done.wrote)
    }

    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        // Every stage decides all of its entries.
        let undone = || Err(Failure::unavailable("entry left undone"));
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(undone)).collect()
    }
}

/// Entries in rounds, in each of which an id comes once: a batch may write a resource several times.
pub(super) fn rounds(entries: Vec<(usize, String)>) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut times: HashMap<String, usize> = HashMap::new();
    for (place, id) in entries {
        let round = times.entry(id).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(place);
        *round += 1;
    }
    rounds
}

impl Done {
    pub(super) fn at(status: u16, id: &str) -> Self {
        Self { status, id: Some(id.to_owned()), ..Self::default() }
    }
}
