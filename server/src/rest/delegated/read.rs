//! read over several tenants. Ids are independent between tenants: what several of them have at one id is several
//! resources, and which one is meant only their own bases can say.

use poem::Response;
use vitals_access::predicate::Visible;
use vitals_fhir::{
    interaction::Letter,
    outcome::{Issue, IssueCode},
};
use vitals_store::{
    rows::{Table, Versioned},
    tenant::Denied,
};

use super::{Asking, bundle};
use crate::{
    failure::{Failure, Kind},
    interaction::delegated::{self, Told},
    rest::{fhir, respond},
};

/// Answers with the one resource that a tenant has at this id.
pub(super) async fn read<R: Table + Clone + Send + 'static>(
    asking: &mut Asking<'_>,
    id: &str,
) -> Result<Response, Failure> {
    let id = fhir::id::<R>(id)?;
    let denied = || Failure::from(Denied { resource: R::TYPE, letter: Letter::Read });
    let mut asked = Vec::new();
    for (at, part) in asking.parts.iter_mut().enumerate() {
        if *part.access.reach(R::TYPE, Letter::Read) == Visible::Nothing {
            part.told = Some(Told { failure: Some(denied()), ..Told::default() });
        } else {
            asked.push(at);
        }
    }
    if asked.is_empty() {
        return Err(denied());
    }
    let tenants: Vec<_> = asked.iter().map(|at| std::sync::Arc::clone(&asking.parts[*at].access)).collect();
    let mut found: Vec<(usize, Versioned<R>)> = Vec::new();
    let (mut deleted, mut away) = (None, None);
    for (place, answer) in delegated::read(&asking.app.pool, &tenants, &id).await {
        let at = asked[place];
        let told = match answer {
            Ok(resource) => {
                let patients = resource.patient.iter().cloned().collect();
                found.push((at, resource));
                Told { count: 1, patients, ..Told::default() }
            }
            Err(failure) => {
                match failure.kind {
                    Kind::NotFound => {}
                    Kind::Deleted => deleted = Some(failure.clone()),
                    _ => away = Some((at, failure.clone())),
                }
                Told { failure: Some(failure), ..Told::default() }
            }
        };
        asking.parts[at].told = Some(told);
    }
    if found.len() > 1 {
        return Err(several(asking, &found));
    }
    // Who cannot answer may have one as well: then nobody knows that this is the one that is meant.
    if let Some((at, failure)) = away {
        return Err(cannot_say(asking.parts[at].name(), failure.reason));
    }
    let Some((at, resource)) = found.pop() else { return Err(deleted.unwrap_or_else(|| Failure::not_found(&id))) };
    if asking.incoming.seen().has(resource.version, resource.last_updated) {
        return Ok(respond::not_modified(resource.version.number(), resource.last_updated));
    }
    let body = bundle::label(&resource.body, asking.parts[at].name())?;
    let mut response = respond::disclosed(asking.format, body)?;
    respond::versioned(&mut response, resource.version.number(), resource.last_updated, None);
    Ok(response)
}

fn several<R: Table>(asking: &Asking<'_>, found: &[(usize, Versioned<R>)]) -> Failure {
    let urls: Vec<String> = found
        .iter()
        .map(|(at, resource)| format!("{}/{}/{}", asking.base_of(asking.parts[*at].name()), R::TYPE, resource.id))
        .collect();
    Failure::new(
        Kind::Ambiguous,
        IssueCode::MultipleMatches,
        "several tenants have the id",
        format!("Several organisations have a resource of this id: read it at one of {}.", urls.join(", ")),
    )
}

fn cannot_say(tenant: &str, reason: &'static str) -> Failure {
    let issue = Issue::error(
        IssueCode::Transient,
        format!(
            "{tenant} does not answer now, so it cannot be said whose resource of this id is meant: read it at the base of \
             one tenant, or try again shortly."
        ),
    );
    Failure { kind: Kind::Unavailable, issues: vec![issue], reason }
}
