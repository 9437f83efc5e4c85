//! search of a type over several tenants: one order, one page, one link that leads on.

use std::sync::Arc;

use poem::Response;
use vitals_fhir::{
    interaction::Letter,
    outcome::{Issue, Severity},
    resource::ResourceType,
    search::{self, Direction, Filter, Query, Sort, SortKey, Subject},
};
use vitals_store::{rows::Table, tenant::Denied};

use super::{
    Absent, Asking,
    bundle::{self, Aside, Match},
    page::{self, Places},
};
use crate::{
    failure::{Failure, Kind},
    interaction::{
        delegated::{self, Source, Told},
        fan_out::Place,
    },
    rest::{bundle::Links, list, negotiate, respond, trail},
};

/// Answers with a page.
pub(super) async fn search<R: Table + Clone + Send + 'static>(
    asking: &mut Asking<'_>,
    pairs: Vec<(String, String)>,
) -> Result<Response, Failure> {
    let now = asking.app.clock.now().timestamp_millis();
    let key = &asking.app.master_key;
    let (pairs, places) = match list::page_token(&pairs)? {
        None => (pairs, None),
        Some(token) => {
            let places = page::open(key, &asking.own, R::TYPE.name(), token, now)?;
            (places.query.clone(), Some(places))
        }
    };
    asking.criteria = trail::criteria(asking.app, R::TYPE, &pairs);
    if let Some(places) = &places {
        leave_out(asking, places)?;
    }
    let mut asked = sources::<R>(asking, &pairs, places.as_ref())?;
    let sort = match &places {
        Some(places) => places.sort()?,
        None => order(&asked.sources),
    };
    for source in &mut asked.sources {
        source.query.sort = Some(sort);
    }
    let Some(query) = asked.sources.first().map(|source| source.query.clone()) else { return Err(asked.denied()) };
    let count = if query.shown == search::Shown::Count { 0 } else { query.count as usize };
    let is_first = places.is_none();
    let fanned = delegated::search(&asking.app.pool, &asked.sources, sort.direction, count, is_first).await;
    for (told, at) in fanned.told.iter().zip(&asked.places) {
        asking.parts[*at].told = Some(told.clone());
    }
    for (at, failure) in &asked.out_of_scope {
        asking.parts[*at].told = Some(Told { failure: Some(failure.clone()), ..Told::default() });
    }

    let next = match &fanned.next {
        None => None,
        Some(next) => {
            let places = Places::new(R::TYPE.name(), pairs, sort, next);
            let token = page::seal(key, &asking.own, places, now)?;
            Some(token)
        }
    };
    let base = format!("{}{}", asking.app.public_url, asking.base.path());
    let wish = asking.query.iter().find(|(name, _)| name == "_format");
    let wish = wish.map_or_else(String::new, |pair| format!("&{}", search::form_text(std::slice::from_ref(pair))));
    let links = Links {
        itself: list::address(&base, R::TYPE.name(), &query.applied),
        next: next.map(|token| format!("{base}/{}?_page={token}{wish}", R::TYPE)),
    };
    let names: Vec<String> = asked.sources.iter().map(|one| one.access.tenant().name.to_string()).collect();
    let bases: Vec<String> = names.iter().map(|name| asking.base_of(name)).collect();
    let matches: Vec<Match<'_, R>> =
        fanned.rows.iter().map(|(at, resource)| Match { tenant: &names[*at], base: &bases[*at], resource }).collect();
    let told = fanned.told.iter().zip(&names);
    let totals: Vec<(String, u64)> =
        told.clone().filter_map(|(told, name)| Some((name.clone(), told.total?))).collect();
    let mut silent: Vec<(String, Issue)> =
        told.filter_map(|(told, name)| Some((name.clone(), silence(name, told.failure.as_ref()?)))).collect();
    silent.extend(asked.out_of_scope.iter().map(|(at, failure)| {
        let name = asking.parts[*at].name();
        (name.to_owned(), silence(name, failure))
    }));
    silent.extend(asking.absent.iter().map(|absent| (absent.name.clone(), withdrawn(&absent.name))));
    silent.sort_by(|(one, _), (two, _)| one.cmp(two));
    let aside = Aside { warnings: &query.ignored, silent: &silent, totals: &totals };
    respond::disclosed(asking.format, bundle::searchset(&matches, &aside, &links, &query.shown)?)
}

/// The tenants of a request, those that are asked and those in which no scope covers it.
struct Asked<R> {
    sources: Vec<Source<R>>,
    /// The place of each source among the parts.
    places: Vec<usize>,
    out_of_scope: Vec<(usize, Failure)>,
}

impl<R> Asked<R> {
    /// Nobody is asked: in no tenant a scope covers it, or no tenant is left.
    fn denied(self) -> Failure {
        self.out_of_scope.into_iter().next().map_or_else(super::nobody, |(_, failure)| failure)
    }
}

fn sources<R: Table>(
    asking: &mut Asking<'_>,
    pairs: &[(String, String)],
    places: Option<&Places>,
) -> Result<Asked<R>, Failure> {
    let strict = negotiate::prefer(&asking.incoming.headers).strict;
    let mut asked = Asked { sources: Vec::new(), places: Vec::new(), out_of_scope: Vec::new() };
    for (at, part) in asking.parts.iter().enumerate() {
        let place = match places {
            None => Place::Beginning,
            // Who was not there when the search began is not there in the middle of it.
            Some(places) => match places.of(part.number()) {
                None | Some(Place::End) => continue,
                Some(place) => place,
            },
        };
        if *part.access.reach(R::TYPE, Letter::Search) == vitals_access::predicate::Visible::Nothing {
            asked.out_of_scope.push((at, Denied { resource: R::TYPE, letter: Letter::Search }.into()));
            continue;
        }
        let base = asking.base_of(part.name());
        let query = Query::<R>::parse(pairs, strict, &[base.as_str()]).map_err(Failure::malformed)?;
        asked.sources.push(Source { access: Arc::clone(&part.access), query, place });
        asked.places.push(at);
    }
    if asked.sources.is_empty() {
        for (at, failure) in &asked.out_of_scope {
            asking.parts[*at].told = Some(Told { failure: Some(failure.clone()), ..Told::default() });
        }
        return Err(asked.denied());
    }
    Ok(asked)
}

/// Of a page that follows: tells only of tenants that went along with the search so far, and of each that does no more.
fn leave_out(asking: &mut Asking<'_>, places: &Places) -> Result<(), Failure> {
    let directory = asking.app.directory().map_err(|_| Failure::unavailable("directory stale"))?;
    let parts: Vec<i32> = asking.parts.iter().map(super::Part::number).collect();
    let gone: Vec<i32> = places.going_on().filter(|number| !parts.contains(number)).collect();
    let names: Vec<(String, String)> = directory
        .tenants()
        .filter(|tenant| gone.contains(&tenant.number))
        .map(|tenant| (tenant.name.to_string(), tenant.role.as_str().to_owned()))
        .collect();
    asking.absent.retain(|absent| names.iter().any(|(name, _)| *name == absent.name));
    for (name, role) in names {
        if !asking.absent.iter().any(|absent| absent.name == name) {
            asking.absent.push(Absent { name, chain: Some((role, None)), reason: "no grant stands any more" });
        }
    }
    Ok(())
}

/// The order where none is asked for, as it is in one tenant: a patient's observations by their time, everything else by
/// when it changed last; newest first.
fn order<R: Table>(sources: &[Source<R>]) -> Sort {
    let is_patient = |filter: &Filter| matches!(filter, Filter::Subject(subjects) if matches!(subjects.as_slice(), [Subject::Patient(_)]));
    let of_one_patient =
        R::TYPE == ResourceType::Observation && sources.iter().any(|one| one.query.filters.iter().any(is_patient));
    let asked = sources.first().and_then(|source| source.query.sort);
    asked.unwrap_or(Sort {
        key: if of_one_patient { SortKey::Date } else { SortKey::LastUpdated },
        direction: Direction::Descending,
    })
}

/// What is told of a tenant that did not answer. In a searchset nothing is an error
/// (<https://hl7.org/fhir/R4/search.html#entries>).
fn silence(tenant: &str, failure: &Failure) -> Issue {
    let of = failure.issues.first();
    let said = of.map_or("", |issue| issue.diagnostics.as_str());
    let code = of.map_or(vitals_fhir::outcome::IssueCode::Exception, |issue| issue.code);
    let what = match failure.kind {
        Kind::Scope | Kind::Forbidden => "is left out",
        _ => "did not answer to the end: what it has is missing here",
    };
    Issue { severity: Severity::Warning, ..Issue::error(code, format!("{tenant} {what}. {said}")) }
}

/// What is told of a tenant that does not let the caller in, whether it exists or not.
fn withdrawn(tenant: &str) -> Issue {
    let diagnostics = format!("{tenant} is left out: no grant of it lets this token read its data now.");
    Issue::warning(vitals_fhir::outcome::IssueCode::Forbidden, diagnostics)
}
