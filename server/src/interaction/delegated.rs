//! search of a type and read over several tenants at once: each with the caller's access to that tenant, on a connection
//! of its own, a few at a time. What one of them cannot answer is told as its own and stops no other.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tracing::Instrument as _;
use vitals_access::access::Access;
use vitals_fhir::{
    interaction::{Read, SearchType},
    resource::Id,
    search::{Direction, Query, Shown, Total},
};
use vitals_store::{
    pool::TenantPool,
    rows::{Missing, Page, Position, Table, Versioned},
};

use super::{
    bundle::MOST_ANSWERED,
    fan_out::{Merge, Merged, Place},
    search_type::distinct,
};
use crate::failure::Failure;

/// Tenants that are asked at a time: each takes a connection, of which two dozen serve everybody.
const AT_ONCE: usize = 8;
/// How long one tenant may keep all others waiting, in each round: half of a statement's ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the tenants that are asked.
pub struct Source<R> {
    /// The caller's access to it.
    pub access: Arc<Access>,
    /// What is asked, in its own words: absolute references are read under its own base.
    pub query: Query<R>,
    /// Where it goes on.
    pub place: Place,
}

/// What became of one tenant's part.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Why it did not answer, or not to the end.
    pub failure: Option<Failure>,
    /// How many resources of it were disclosed.
    pub count: u64,
    /// Its patients that were disclosed, each once.
    pub patients: Vec<String>,
    /// How many it has on all pages.
    pub total: Option<u64>,
}

/// A page of several tenants.
pub struct Fanned<R: vitals_fhir::resource::Resource> {
    /// What was found, each with the place of its tenant among those asked.
    pub rows: Vec<(usize, Versioned<R>)>,
    /// Where each tenant goes on, by its number, if a page follows.
    pub next: Option<Vec<(i32, Place)>>,
    /// What became of each tenant, in the order asked.
    pub told: Vec<Told>,
}

/// One page of a search over several tenants. The order must be in each query, and the same in all.
pub async fn search<R: Table + Clone + Send + 'static>(
    pool: &TenantPool,
    sources: &[Source<R>],
    direction: Direction,
    count: usize,
    is_first: bool,
) -> Fanned<R> {
    let places: HashMap<i32, usize> = sources.iter().enumerate().map(|(at, one)| (number(&one.access), at)).collect();
    let mut told = vec![Told::default(); sources.len()];
    let starts = sources.iter().map(|source| (number(&source.access), source.place.clone()));
    let mut merge = Merge::new(direction, count, starts);
    let most = MOST_ANSWERED / sources.len().max(1);
    loop {
        let works = merge.wanting().into_iter().filter_map(|want| {
            let source = &sources[*places.get(&want.tenant)?];
            let mut query = source.query.clone();
            query.count = u32::try_from(want.count).unwrap_or(u32::MAX);
            let work = page(pool.clone(), Arc::clone(&source.access), query, want.after, most);
            Some((want.tenant, Box::pin(work) as Work<Page<R>>))
        });
        let answers = at_once(works.collect()).await;
        if answers.is_empty() {
            break;
        }
        for (tenant, answer) in answers {
            match answer {
                Ok(page) => {
                    let rows = page.found.into_iter().map(|found| (found.position().clone(), found.resource));
                    merge.answered(tenant, rows, page.next.is_some());
                }
                Err(failure) => {
                    merge.silent(tenant);
                    if let Some(at) = places.get(&tenant) {
                        told[*at].failure = Some(failure);
                    }
                }
            }
        }
    }
    let Merged { rows, next } = merge.finish();
    let rows: Vec<(usize, Versioned<R>)> =
        rows.into_iter().filter_map(|(tenant, row)| Some((*places.get(&tenant)?, row))).collect();
    for (at, told) in told.iter_mut().enumerate() {
        let own = || rows.iter().filter(|(of, _)| *of == at).map(|(_, row)| row);
        told.count = own().count() as u64;
        told.patients = distinct(own().map(|row| row.patient.as_deref()));
    }
    let whole = is_first && next.is_none() && count > 0;
    count_each(pool, sources, &mut told, whole).await;
    Fanned { rows, next, told }
}

async fn page<R: Table>(
    pool: TenantPool,
    access: Arc<Access>,
    query: Query<R>,
    after: Option<Position>,
    most: usize,
) -> Result<Page<R>, Failure> {
    let mut tenant = pool.read(&access).await?;
    let page = tenant.allow::<R, SearchType>()?.search_within(&query, after.as_ref(), most).await?;
    Ok(page)
}

/// How many each tenant has on all pages, where that was asked for or is plain. Each is counted by itself.
async fn count_each<R: Table + Clone + Send + 'static>(
    pool: &TenantPool,
    sources: &[Source<R>],
    told: &mut [Told],
    whole: bool,
) {
    let mut works = Vec::new();
    for (at, (source, told)) in sources.iter().zip(told.iter_mut()).enumerate() {
        let wanted = source.query.shown == Shown::Count || source.query.total == Total::Counted;
        if told.failure.is_some() {
            continue;
        }
        if whole && source.query.total != Total::Untold {
            told.total = Some(told.count);
        } else if wanted {
            let work = total(pool.clone(), Arc::clone(&source.access), source.query.clone());
            works.push((i32::try_from(at).unwrap_or(i32::MAX), Box::pin(work) as Work<u64>));
        }
    }
    for (at, answer) in at_once(works).await {
        let Some(told) = usize::try_from(at).ok().and_then(|at| told.get_mut(at)) else { continue };
        match answer {
            Ok(total) => told.total = Some(total),
            Err(failure) => told.failure = Some(failure),
        }
    }
}

async fn total<R: Table>(pool: TenantPool, access: Arc<Access>, query: Query<R>) -> Result<u64, Failure> {
    let mut tenant = pool.read(&access).await?;
    Ok(tenant.allow::<R, SearchType>()?.count(&query).await?)
}

/// What each of several tenants has at one id.
pub async fn read<R: Table + Clone + Send + 'static>(
    pool: &TenantPool,
    tenants: &[Arc<Access>],
    id: &Id<R>,
) -> Vec<(usize, Result<Versioned<R>, Failure>)> {
    let works = tenants.iter().enumerate().map(|(at, access)| {
        let work = one(pool.clone(), Arc::clone(access), id.clone());
        (i32::try_from(at).unwrap_or(i32::MAX), Box::pin(work) as Work<Versioned<R>>)
    });
    let mut answers: Vec<_> = at_once(works.collect())
        .await
        .into_iter()
        .filter_map(|(at, answer)| Some((usize::try_from(at).ok()?, answer)))
        .collect();
    answers.sort_by_key(|(at, _)| *at);
    answers
}

async fn one<R: Table>(pool: TenantPool, access: Arc<Access>, id: Id<R>) -> Result<Versioned<R>, Failure> {
    let mut tenant = pool.read(&access).await?;
    let found = tenant.allow::<R, Read>()?.get(&id).await?;
    found.map_err(|missing| match missing {
        Missing::Never => Failure::not_found(&id),
        Missing::Deleted => Failure::deleted(&id),
    })
}

fn number(access: &Access) -> i32 {
    access.tenant().number
}

/// A unit of work on one tenant.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Runs units of work, a few at a time. Each has its connection to itself, and none is held while another waits.
async fn at_once<T: Send + 'static>(works: Vec<(i32, Work<T>)>) -> Vec<(i32, Result<T, Failure>)> {
    let mut works = works.into_iter();
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE
            && let Some((tenant, work)) = works.next()
        {
            let work = async move {
                let answered = tokio::time::timeout(PATIENCE, work).await;
                (tenant, answered.unwrap_or_else(|_| Err(Failure::unavailable("tenant too slow"))))
            };
            running.spawn(work.in_current_span());
        }
        match running.join_next().await {
            None => return done,
            Some(Ok(answer)) => done.push(answer),
            Some(Err(error)) => match error.try_into_panic() {
                // The request ends as if it had been its own.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return done,
            },
        }
    }
}
