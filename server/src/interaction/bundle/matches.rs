//! What the conditions of entries and the conditional references of a transaction mean, seen under lock.

use std::collections::{BTreeSet, HashSet};

use vitals_fhir::{
    bundle::Named,
    interaction::SearchType,
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, ResourceType},
    search::Criteria,
};
use vitals_store::{rows::Versioned, tenant::TenantTx};

use super::{
    Done, Echo, What,
    run::{Run, Target},
    typed::Bundled,
};
use crate::{
    failure::{Failure, Kind},
    interaction::{Stopped, conditional_update, criteria},
};

/// What a condition means: a failure where it is refused.
type Meant<R> = Result<Option<Versioned<R>>, Failure>;

impl Run<'_> {
    /// Waits for other requests with the same criteria, all at once and before anything else is locked.
    pub(super) async fn lock_criteria(&self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let conditions = self.plan.steps.iter().flatten().filter_map(|step| step.what.condition());
        let keys: Vec<u64> = conditions.map(super::Condition::key).collect();
        if keys.is_empty() { Ok(()) } else { Ok(tx.serialise(&keys).await?) }
    }

    pub(super) async fn match_deletes<R: Bundled>(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        for (place, step) in self.undecided(R::TYPE) {
            let What::DeleteMatching(condition, if_match) = &step.what else { continue };
            let Some(criteria) = R::criteria(condition) else { continue };
            match meant(tx, criteria).await? {
                Ok(Some(found)) => self.targets[place] = Target::Gone(found.id.as_str().to_owned(), *if_match),
                Ok(None) => self.decide(place, Ok(Done { status: 204, ..Done::default() })),
                Err(failure) => self.decide(place, Err(failure)),
            }
        }
        Ok(())
    }

    pub(super) async fn match_writes<R: Bundled>(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let mut seen = HashSet::new();
        for (place, step) in self.undecided(R::TYPE) {
            let (condition, if_match) = match &step.what {
                What::Create(Some(condition)) => (condition, None),
                What::UpdateMatching(condition, if_match) => (condition, *if_match),
                _ => continue,
            };
            let Some(criteria) = R::criteria(condition) else { continue };
            if !seen.insert(criteria.key()) {
                self.decide(place, Err(same_criteria()));
                continue;
            }
            let made = || Id::<R>::generate().as_str().to_owned();
            let carried = self.plan.bundle.entries()[place].resource_id.clone();
            let creates = matches!(step.what, What::Create(_));
            self.targets[place] = match (meant(tx, criteria).await?, carried) {
                (Err(failure), _) => {
                    self.decide(place, Err(failure));
                    continue;
                }
                (Ok(Some(found)), _) if creates => {
                    let id = found.id.as_str().to_owned();
                    let done = self.found(tx, found).await?;
                    self.decide(place, Ok(done));
                    Target::Found(id)
                }
                (Ok(None), _) if creates => Target::New(made()),
                (Ok(Some(found)), Some(id)) if id != found.id.as_str() => {
                    self.decide(place, Err(conditional_update::other_id::<R>()));
                    continue;
                }
                (Ok(Some(found)), _) => Target::At(found.id.as_str().to_owned(), if_match),
                (Ok(None), Some(id)) => Target::Vacant(id),
                (Ok(None), None) if self.access.may_create_at_chosen_id(R::TYPE) => Target::Vacant(made()),
                (Ok(None), None) => Target::New(made()),
            };
        }
        Ok(())
    }

    async fn found<R: Bundled>(&mut self, tx: &mut TenantTx<'_>, found: Versioned<R>) -> Result<Done, Stopped> {
        let readable = self.plan.echo == Echo::Written && criteria::readable(tx, &found).await?;
        Ok(Done {
            version: Some(found.version),
            last_updated: Some(found.last_updated),
            patient: found.patient,
            body: readable.then_some(found.body),
            ..Done::at(200, found.id.as_str())
        })
    }

    /// Conditional references are those of a transaction to what stood before it.
    pub(super) async fn match_references(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        if self.is_lost() {
            return Ok(());
        }
        let mut wanted = BTreeSet::new();
        for place in 0..self.plan.steps.len() {
            for named in self.plan.bundle.named(place) {
                if let Named::Match { resource, criteria } = named {
                    wanted.insert((*resource, criteria.clone(), place));
                }
            }
        }
        for (resource, criteria, place) in wanted {
            if self.referred.contains_key(&(resource, criteria.clone())) {
                continue;
            }
            let found = match resource {
                ResourceType::Patient => self.refer::<Patient>(tx, &criteria).await?,
                ResourceType::Observation => self.refer::<Observation>(tx, &criteria).await?,
            };
            match found {
                Ok(id) => {
                    self.referred.insert((resource, criteria), format!("{resource}/{id}"));
                }
                Err(failure) => self.decide(place, Err(failure)),
            }
        }
        Ok(())
    }

    async fn refer<R: Bundled>(&self, tx: &mut TenantTx<'_>, text: &str) -> Result<Result<String, Failure>, Stopped> {
        let bases = self.plan.bases.each_ref().map(String::as_str);
        let criteria = match Criteria::<R>::read(text, &bases) {
            Ok(criteria) => criteria,
            Err(issue) => return Ok(Err(Failure::malformed(issue))),
        };
        Ok(match meant(tx, &criteria).await? {
            Ok(Some(found)) => Ok(found.id.as_str().to_owned()),
            Ok(None) => Err(Failure::new(
                Kind::Precondition,
                IssueCode::NotFound,
                "conditional reference without a match",
                "Nothing here meets the criteria of a reference.",
            )),
            Err(failure) => Err(failure),
        })
    }
}

/// What criteria mean to this caller.
async fn meant<R: Bundled>(tx: &mut TenantTx<'_>, criteria: &Criteria<R>) -> Result<Meant<R>, Stopped> {
    if let Err(denied) = tx.allow::<R, SearchType>() {
        return Ok(Err(denied.into()));
    }
    match criteria::find(tx, criteria).await {
        Ok(found) => Ok(Ok(found)),
        Err(Stopped::Failed(failure)) => Ok(Err(failure)),
        Err(stopped) => Err(stopped),
    }
}

fn same_criteria() -> Failure {
    let diagnostics = "Another entry of this Bundle hangs on the same criteria: send it once more by itself.";
    Failure::conflict(Issue::error(IssueCode::Conflict, diagnostics))
}
