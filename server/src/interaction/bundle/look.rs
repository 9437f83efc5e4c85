//! The reading stage, which sees what the Bundle wrote.

use vitals_fhir::{
    interaction::{HistoryInstance, HistoryType, Read, SearchType, Vread},
    outcome::IssueCode,
    resource::{Id, Observation, Patient, ResourceType},
    search::Query,
};
use vitals_store::{
    rows::{Missing, Versioned},
    tenant::TenantTx,
};

use super::{
    Done, MOST_ANSWERED, Outcome, Step, What, Whose,
    run::Run,
    typed::{Bundled, Listing},
};
use crate::{
    failure::{Failure, Kind},
    interaction::{Stopped, history_instance, history_type, read::Seen, search_type},
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
        What::Read(id, seen) => {
            let Ok(id) = id.parse::<Id<R>>() else { return Ok(Err(no_such())) };
            match tx.allow::<R, Read>() {
                Ok(mut rows) => Ok(done(&id, rows.get(&id).await?).map(|done| unless_seen(done, seen))),
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
        What::History(Whose::One(id), count) => {
            let Ok(id) = id.parse::<Id<R>>() else { return Ok(Err(no_such())) };
            let mut rows = match tx.allow::<R, HistoryInstance>() {
                Ok(rows) => rows,
                Err(denied) => return Ok(Err(denied.into())),
            };
            match history_instance::versions(&mut rows, &id, None, *count).await? {
                Some(history) => Ok(Ok(Done { id: Some(id.as_str().to_owned()), ..listed(Listing::History(history)) })),
                None => Ok(Err(Failure::not_found(&id))),
            }
        }
        What::History(Whose::Every, count) => match tx.allow::<R, HistoryType>() {
            Ok(mut rows) => Ok(Ok(listed(Listing::History(history_type::versions(&mut rows, None, *count).await?)))),
            Err(denied) => Ok(Err(denied.into())),
        },
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
    Ok(Ok(listed(Listing::Search { query: query.clone(), page, total })))
}

fn listed<R: Bundled>(listing: Listing<R>) -> Done {
    Done { status: 200, listed: Some(R::listed(listing)), ..Done::default() }
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

/// What the caller has already is not sent again.
fn unless_seen(done: Done, seen: &Seen) -> Done {
    match (done.version, done.last_updated) {
        (Some(version), Some(last_updated)) if seen.has(version, last_updated) => {
            Done { status: 304, body: None, ..done }
        }
        _ => done,
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
