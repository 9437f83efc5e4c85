//! The resources of entries, once it is known where each is written: references to them get their names, and the text
//! goes through the same door as the body of a single request.

use vitals_fhir::{
    body::Body,
    bundle::Named,
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, ResourceType},
};
use vitals_fhir_profiles::validate;
use vitals_store::rows::Load;

use super::{
    What,
    run::{Run, Target},
    typed::{Bundled, Content},
};
use crate::failure::Failure;

impl Run<'_> {
    /// Reads every resource that is to be written.
    pub(super) fn read_bodies(&mut self) {
        for resource in ResourceType::ALL {
            for (place, step) in self.undecided(resource) {
                let (Target::New(id) | Target::At(id, _) | Target::Vacant(id)) = &self.targets[place] else { continue };
                let matches_id = matches!(step.what, What::Update(..));
                let read = match resource {
                    ResourceType::Patient => self.content::<Patient>(place, id, matches_id),
                    ResourceType::Observation => self.content::<Observation>(place, id, matches_id),
                };
                match read {
                    Ok(content) => self.contents[place] = Some(content),
                    Err(failure) => self.decide(place, Err(failure)),
                }
            }
        }
    }

    fn content<R: Bundled>(&self, place: usize, id: &str, must_carry_id: bool) -> Result<Content, Failure> {
        let bases = self.plan.bases.each_ref().map(String::as_str);
        let text = self.plan.bundle.resource(place, |named| self.name(named)).unwrap_or_default();
        let body = Body::<R>::parse(text.as_bytes(), &bases, validate).map_err(Failure::of_body)?;
        let id: Id<R> = id.parse().map_err(|_| {
            let issue =
                Issue::error(IssueCode::Value, "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.");
            Failure::malformed(issue)
        })?;
        if must_carry_id && body.id() != Some(&id) {
            return Err(Failure::malformed(
                Issue::error(IssueCode::Invalid, "The resource must carry the id of the address it is put to.")
                    .at(format!("{}.id", R::TYPE)),
            ));
        }
        Ok(R::content(Load { id, body }))
    }

    /// What stands in the place of a reference.
    fn name(&self, named: &Named) -> Option<String> {
        match named {
            Named::Match { resource, criteria } => self.referred.get(&(*resource, criteria.clone())).cloned(),
            Named::Entry { place, .. } => {
                let step = self.plan.steps.get(*place)?.as_ref().ok()?;
                match &self.targets[*place] {
                    Target::New(id) | Target::At(id, _) | Target::Vacant(id) | Target::Found(id) => {
                        Some(format!("{}/{id}", step.operation.resource))
                    }
                    Target::None | Target::Gone(..) => None,
                }
            }
        }
    }
}
