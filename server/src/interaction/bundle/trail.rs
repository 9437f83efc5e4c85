//! What a Bundle leaves in the trail: one record that lists every entry.

use std::collections::BTreeSet;

use vitals_access::audit::{AuditEntry, Decision};

use super::{Done, Listed, Outcome, Plan, Step, What, Whose, run::Run};
use crate::interaction::{Exchange, search_type::distinct};

/// What an entry is called whose address and method are none of ours.
const UNKNOWN: &str = "unknown";

impl Run<'_> {
    /// The entries as far as they are decided; what is not is refused with the rest.
    pub(super) fn entries(&self) -> Vec<AuditEntry> {
        let entry = |(place, step): (usize, &Result<Step, _>)| {
            let outcome = self.outcomes[place].as_ref();
            let id = match outcome {
                Some(Ok(done)) => done.id.clone(),
                _ => self.targets[place].id().map(str::to_owned).or_else(|| read_id(step.as_ref().ok())),
            };
            AuditEntry {
                resource_id: id,
                patient: outcome.and_then(|outcome| outcome.as_ref().ok()?.patient.clone()),
                decision: if matches!(outcome, Some(Ok(_))) { Decision::Allowed } else { Decision::Denied },
                status: outcome.map(|outcome| match outcome {
                    Ok(done) => done.status,
                    Err(failure) => (self.plan.status)(failure),
                }),
                ..asked_by(step.as_ref().ok())
            }
        };
        self.plan.steps.iter().enumerate().map(entry).collect()
    }

    /// Fills the record with the entries, whose data was disclosed, and by which right.
    pub(super) fn fill(&self, cx: &mut Exchange<'_>) {
        cx.record.entries = self.entries();
        let done = || self.outcomes.iter().zip(&self.plan.steps).filter_map(allowed);
        let mut used = BTreeSet::new();
        for (step, _) in done() {
            let letters = std::iter::once(step.operation.letter).chain(step.operation.also);
            used.extend(letters.map(|letter| (step.operation.resource, letter)));
        }
        let scopes: BTreeSet<String> =
            used.into_iter().flat_map(|(resource, letter)| cx.access.used(resource, letter)).collect();
        cx.record.used = scopes.into_iter().collect();
        let patients = |(_, done): (&Step, &Done)| match &done.listed {
            Some(listed) => listed.patients(),
            None => Vec::new(),
        };
        let all: Vec<String> = done().flat_map(patients).collect();
        cx.note.patients = distinct(all.iter().map(|patient| Some(patient.as_str())));
        let count = |(_, done): (&Step, &Done)| match &done.listed {
            Some(listed) => listed.count(),
            None => usize::from(done.body.is_some()),
        };
        cx.note.count = Some(done().map(count).sum::<usize>() as u64);
    }
}

/// The entries of a plan that was never carried out.
pub(super) fn asked(plan: &Plan) -> Vec<AuditEntry> {
    plan.steps.iter().map(|step| asked_by(step.as_ref().ok())).collect()
}

fn asked_by(step: Option<&Step>) -> AuditEntry {
    AuditEntry {
        resource_type: step.map(|step| step.operation.resource.name().to_owned()),
        resource_id: read_id(step),
        query: step.and_then(|step| step.criteria.clone()),
        ..AuditEntry::new(step.map_or(UNKNOWN, |step| step.operation.code.fhir()), Decision::Denied)
    }
}

fn read_id(step: Option<&Step>) -> Option<String> {
    match &step?.what {
        What::Read(id, _)
        | What::Vread(id, _)
        | What::History(Whose::One(id), _)
        | What::Update(id, _)
        | What::Delete(id, _) => Some(id.clone()),
        _ => None,
    }
}

fn allowed<'r, E>((outcome, step): (&'r Option<Outcome>, &'r Result<Step, E>)) -> Option<(&'r Step, &'r Done)> {
    Some((step.as_ref().ok()?, outcome.as_ref()?.as_ref().ok()?))
}

impl Listed {
    /// The patients whose data was found.
    fn patients(&self) -> Vec<String> {
        match self {
            Self::Patient(listing) => listing.patients(),
            Self::Observation(listing) => listing.patients(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Patient(listing) => listing.count(),
            Self::Observation(listing) => listing.count(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Patient(listing) => listing.size(),
            Self::Observation(listing) => listing.size(),
        }
    }
}

impl Done {
    /// Bytes of resources in it.
    pub(super) fn size(&self) -> usize {
        self.body.as_ref().map_or(0, String::len) + self.listed.as_ref().map_or(0, Listed::size)
    }
}
