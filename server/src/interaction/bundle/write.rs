//! The writing stages: deletes, creates, updates, each of all entries of a type at once.

use vitals_fhir::{
    interaction::{Create, Delete, Interaction, Letter, Update},
    resource::Id,
};
use vitals_store::{
    rows::{Deleted, Expected, Load, Placed, Put, Rows, WriteRefused},
    tenant::TenantTx,
};

use super::{
    Done, Echo, Outcome,
    run::{Run, Target, rounds},
    typed::Bundled,
};
use crate::{
    failure::Failure,
    interaction::{Stopped, conditional_update, doubts},
};

impl Run<'_> {
    pub(super) async fn delete<R: Bundled>(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let targets = |target: &Target| matches!(target, Target::Gone(..));
        let entries = self.entries_at(R::TYPE, targets);
        let Some(mut rows) = self.open::<R, Delete>(tx, &entries) else { return Ok(()) };
        for round in rounds(entries) {
            let mut removals = Vec::with_capacity(round.len());
            let mut places = Vec::with_capacity(round.len());
            for place in round {
                let Target::Gone(id, if_match) = &self.targets[place] else { continue };
                match id.parse::<Id<R>>() {
                    Ok(id) => {
                        removals.push((id, *if_match));
                        places.push(place);
                    }
                    Err(_) => self.decide(place, Err(not_an_id())),
                }
            }
            let answers = rows.remove_many(&removals, self.now).await?;
            for ((place, (id, _)), answer) in places.into_iter().zip(&removals).zip(answers) {
                let outcome = match answer {
                    Ok(Deleted::Now { version, patient, .. }) => {
                        Ok(Done { version: Some(version), patient, wrote: true, ..Done::at(204, id.as_str()) })
                    }
                    Ok(Deleted::Before) => Ok(Done::at(204, id.as_str())),
                    Err(refused) => Err(Failure::of_refused(refused, id)),
                };
                self.decide(place, outcome);
            }
        }
        Ok(())
    }

    pub(super) async fn create<R: Bundled>(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let entries = self.entries_at(R::TYPE, |target| matches!(target, Target::New(_)));
        let Some(mut rows) = self.open::<R, Create>(tx, &entries) else { return Ok(()) };
        let outcomes: Vec<(usize, Outcome)> = {
            let loads: Vec<&Load<R>> = entries.iter().filter_map(|(place, _)| self.load::<R>(*place)).collect();
            let answers = rows.insert_many(&loads, self.now).await?;
            let outcomes = loads.iter().zip(answers).map(|(load, answer)| self.written(load, answer));
            entries.iter().map(|(place, _)| *place).zip(outcomes).collect()
        };
        for (place, outcome) in outcomes {
            self.decide(place, outcome);
        }
        Ok(())
    }

    pub(super) async fn update<R: Bundled>(&mut self, tx: &mut TenantTx<'_>) -> Result<(), Stopped> {
        let entries = self.entries_at(R::TYPE, |target| matches!(target, Target::At(..) | Target::Vacant(_)));
        let Some(mut rows) = self.open::<R, Update>(tx, &entries) else { return Ok(()) };
        for round in rounds(entries) {
            let outcomes: Vec<(usize, Outcome)> = {
                let put = |place: usize| {
                    let expected = match &self.targets[place] {
                        Target::At(_, Some(version)) => Expected::Version(*version),
                        Target::Vacant(_) => Expected::Nothing,
                        _ => Expected::Anything,
                    };
                    self.load::<R>(place).map(|load| (place, Put { load, expected }))
                };
                let (places, puts): (Vec<usize>, Vec<Put<'_, R>>) = round.iter().copied().filter_map(put).unzip();
                let answers = rows.put_many(&puts, self.now).await?;
                let outcome = |(put, answer): (&Put<'_, R>, Result<Placed, WriteRefused>)| match answer {
                    Err(WriteRefused::VersionDiffers { .. }) if put.expected == Expected::Nothing => {
                        Err(conditional_update::id_taken::<R>())
                    }
                    answer => self.written(put.load, answer),
                };
                places.into_iter().zip(puts.iter().zip(answers).map(outcome)).collect()
            };
            for (place, outcome) in outcomes {
                self.decide(place, outcome);
            }
        }
        Ok(())
    }

    /// The rows that the caller may do this to; none where no entry asks for it, or where it may not and each is told so.
    fn open<'t, R: Bundled, I: Interaction>(
        &mut self,
        tx: &'t mut TenantTx<'_>,
        entries: &[(usize, String)],
    ) -> Option<Rows<'t, R, I>> {
        if entries.is_empty() {
            return None;
        }
        tx.allow::<R, I>().map_err(|denied| self.deny(entries, &denied.into())).ok()
    }

    /// The undecided entries of a type with such a target, and the ids they write.
    fn entries_at(
        &self,
        resource: vitals_fhir::resource::ResourceType,
        such: fn(&Target) -> bool,
    ) -> Vec<(usize, String)> {
        let here = |(place, _): (usize, &super::Step)| {
            let target = &self.targets[place];
            target.id().filter(|_| such(target)).map(|id| (place, id.to_owned()))
        };
        self.undecided(resource).into_iter().filter_map(here).collect()
    }

    fn load<R: Bundled>(&self, place: usize) -> Option<&Load<R>> {
        self.contents[place].as_ref().and_then(R::load)
    }

    fn deny(&mut self, entries: &[(usize, String)], failure: &Failure) {
        for (place, _) in entries {
            self.decide(*place, Err(failure.clone()));
        }
    }

    fn written<R: Bundled>(&self, load: &Load<R>, answer: Result<Placed, WriteRefused>) -> Outcome {
        let Placed { version, last_updated, created } =
            answer.map_err(|refused| Failure::of_refused(refused, &load.id))?;
        let index = load.body.index();
        let echoed = self.plan.echo == Echo::Written
            && self.access.reach(R::TYPE, Letter::Read).admits(&R::columns(&load.id, index));
        Ok(Done {
            version: Some(version),
            last_updated: Some(last_updated),
            patient: R::compartment(&load.id, index).map(str::to_owned),
            body: echoed.then(|| load.body.stamped(&load.id, version, last_updated)),
            doubts: if self.plan.echo == Echo::Doubts { doubts(load.body.text()) } else { Vec::new() },
            wrote: true,
            ..Done::at(if created { 201 } else { 200 }, load.id.as_str())
        })
    }
}

fn not_an_id() -> Failure {
    Failure::new(
        crate::failure::Kind::NotFound,
        vitals_fhir::outcome::IssueCode::NotFound,
        "not an id",
        "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.",
    )
}
