//! The reading stage, which sees what the Bundle wrote.

use vitals_fhir::{
    interaction::{Read, SearchType, Vread},
    outcome::IssueCode,
    resource::{Id, Observation, Patient, ResourceType},
    search::Query,
};
use vitals_store::{
    rows::{Missing, Versioned},
    tenant::TenantTx,
};

use super::{
    Done, MOST_ANSWERED, Outcome, Step, What,
    run::Run,
    typed::{Bundled, Listing},
};
use crate::{
    failure::{Failure, Kind},
    interaction::{Stopped, search_type},
};

impl Run<'_> {
    pub(super) async fn look(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        for resource in ResourceType::ALL {
            for (place, step) in self.undecided(resource) {
                if self.is_lost() {
                    return Ok(());
                }
                if self.answered > MOST_ANSWERED {
                    self.decide(place, Err(too_much()));
                    continue;
                }
                let outcome = match resource {
                    ResourceType::Patient => look::<Patient>(tx, step).await?,
                    ResourceType::Observation => look::<Observation>(tx, step).await?,
                };
                self.answered += outcome.as_ref().map_or(0, Done::size);
                self.decide(place, outcome);
            }
        }
        Ok(())
    }
}

async fn look<R: Bundled>(tx: &mut TenantTx<'_>, step: &Step) -> Result<Outcome, Stopped> {
    match &step.what {
        What::Read(id) => {
            let Ok(id) = id.parse::<Id<R>>() else { return Ok(Err(no_such())) };
            match tx.allow::<R, Read>() {
                Ok(mut rows) => Ok(done(&id, rows.get(&id).await?)),
                Err(denied) => Ok(Err(denied.into())),
            }
        }
        What::Vread(id, version) => {
            let Ok(id) = id.parse::<Id<R>>() else { return Ok(Err(no_such())) };
            match tx.allow::<R, Vread>() {
                Ok(mut rows) => Ok(done(&id, rows.get(&id, *version).await?)),
                Err(denied) => Ok(Err(denied.into())),
            }
        }
        What::Search(search) => {
            let Some(query) = R::query(search) else { return Ok(Err(no_such())) };
            list(tx, query).await
        }
        // Written before, or refused.
        _ => Ok(Err(Failure::unavailable("entry left undone"))),
    }
}

async fn list<R: Bundled>(tx: &mut TenantTx<'_>, query: &Query<R>) -> Result<Outcome, Stopped> {
    let mut rows = match tx.allow::<R, SearchType>() {
        Ok(rows) => rows,
        Err(denied) => return Ok(Err(denied.into())),
    };
    let page = rows.search(query, None).await?;
    let total = search_type::total(&mut rows, query, None, &page).await?;
    let listed = R::listed(Listing { query: query.clone(), page, total });
    Ok(Ok(Done { status: 200, listed: Some(listed), ..Done::default() }))
}

fn done<R: Bundled>(id: &Id<R>, found: Result<Versioned<R>, Missing>) -> Outcome {
    match found {
        Ok(found) => Ok(Done {
            version: Some(found.version),
            last_updated: Some(found.last_updated),
            patient: found.patient,
            body: Some(found.body),
            ..Done::at(200, found.id.as_str())
        }),
        Err(Missing::Never) => Err(Failure::not_found(id)),
        Err(Missing::Deleted) => Err(Failure::deleted(id)),
    }
}

fn no_such() -> Failure {
    Failure::new(
        Kind::NotFound,
        IssueCode::NotFound,
        "not an id",
        "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.",
    )
}

fn too_much() -> Failure {
    Failure::new(
        Kind::TooLarge,
        IssueCode::TooCostly,
        "answer too large",
        "The entries before this one fill an answer: ask for the rest in another Bundle.",
    )
}
