//! POST to a base: batches and transactions. An entry is read as the request it stands for, by the same router and
//! with the same refusals; nothing but the Bundle's own credentials counts.

mod answer;

use poem::{
    Response,
    http::{Method, StatusCode},
};
use vitals_access::{access::Access, predicate::Visible};
use vitals_fhir::{
    bundle::{self, Bundle, MOST_BYTES},
    catalog::{self, Code, Operation},
    interaction::Letter,
    outcome::{Issue, IssueCode},
    resource::{Observation, Patient, ResourceType, Version, is_id},
    search::{self, Criteria, Filter, Query},
    temporal,
};

use super::{
    fhir::{self, Asked, Request},
    limits, list,
    negotiate::{self, Return},
    request::{entity_tag, no_entity_tag},
    respond, router, trail,
};
use crate::{
    failure::{Failure, Kind},
    interaction::{
        Exchange,
        bundle::{Bundled, Echo, List, Plan, Step, What, Whose},
        read::Seen,
    },
    state::App,
};

/// Bundles above this size are large: few of them are read at once.
const LARGE: usize = 1024 * 1024;

/// Does what a Bundle asks for.
pub async fn run(cx: &mut Exchange<'_>, request: &mut Request<'_>) -> Result<Response, Failure> {
    demand_something(cx.access)?;
    let _permit = if request.incoming.may_exceed(LARGE) {
        let permit = request.app.large_bundles.try_acquire();
        Some(permit.map_err(|_| Failure::unavailable("large bundles at work"))?)
    } else {
        None
    };
    let bytes = request.incoming.read_json(MOST_BYTES).await?;
    let prefer = negotiate::prefer(&request.incoming.headers);
    let bases = request.bases(cx.access);
    let (app, access) = (request.app.as_ref(), cx.access);
    let plan = aside(bytes.len(), || {
        let own = bases.each_ref().map(String::as_str);
        let bundle = Bundle::parse(bytes, &own).map_err(of_refused)?;
        let reader = Reader { app, access, bases: own, strict: prefer.strict };
        let steps = bundle.entries().iter().map(|entry| reader.step(entry)).collect();
        let echo = match prefer.answer {
            Some(Return::Representation) => Echo::Written,
            Some(Return::Outcome) => Echo::Doubts,
            Some(Return::Minimal) | None => Echo::Nothing,
        };
        let status = |failure: &Failure| respond::status(failure.kind).as_u16();
        Ok::<_, Failure>(Plan { bundle, steps, bases: bases.clone(), echo, status })
    })?;
    plan.bundle.kind().code().clone_into(&mut cx.record.action);
    tracing::Span::current().record("fhir.interaction", plan.bundle.kind().code());
    let costs = request.app.limiter.costs();
    let charges = plan.steps.iter().map(|step| match step {
        Ok(Step { operation, list, .. }) => {
            costs.interaction(operation.code, list.as_ref().map(|list| list.pairs.as_slice()).unwrap_or_default())
        }
        // What cannot be understood was looked at all the same.
        Err(_) => costs.operation(""),
    });
    limits::admit_entries(request.app, cx.access, charges).await?;
    let outcomes = crate::interaction::bundle::bundle(cx, &plan).await?;
    let text = answer::bundle(cx, request, &plan, outcomes, prefer.answer)?;
    Ok(respond::fhir(StatusCode::OK, request.format, text))
}

/// Does work that takes long for much text, so that other requests of this thread go on.
fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let threads = tokio::runtime::Handle::current().runtime_flavor();
    if bytes > LARGE / 4 && threads == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Refuses a caller who may do nothing at all before the body is read.
fn demand_something(access: &Access) -> Result<(), Failure> {
    let letters = [Letter::Create, Letter::Read, Letter::Update, Letter::Delete, Letter::Search];
    let something = |resource| letters.iter().any(|letter| *access.reach(resource, *letter) != Visible::Nothing);
    if ResourceType::ALL.into_iter().any(something) {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Scope,
        IssueCode::Forbidden,
        "insufficient scope",
        "No scope of this token grants anything that an entry could ask for.",
    ))
}

fn of_refused(refused: bundle::Refused) -> Failure {
    match refused {
        bundle::Refused::Issues(issues) => Failure::of_body(issues),
        bundle::Refused::TooLarge(issue) => {
            Failure { kind: Kind::TooLarge, issues: vec![issue], reason: "bundle too large" }
        }
    }
}

fn malformed(code: IssueCode, diagnostics: &str) -> Failure {
    Failure::malformed(Issue::error(code, diagnostics).at("request"))
}

/// Reads entries for a caller.
struct Reader<'r> {
    app: &'r App,
    access: &'r Access,
    bases: [&'r str; 2],
    strict: bool,
}

impl Reader<'_> {
    fn step(&self, entry: &bundle::Entry) -> Result<Step, Failure> {
        let Some(request) = &entry.request else {
            return Err(malformed(IssueCode::Required, "An entry says in request what is to be done."));
        };
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            "HEAD" | "PATCH" => return Err(not_in_a_bundle()),
            _ => return Err(malformed(IssueCode::Value, "The method is one of GET, POST, PUT and DELETE.")),
        };
        let (path, query) = self.address(&request.url)?;
        let asked = fhir::asked(&router::fhir(path), &method)?;
        fhir::demand(self.access, asked.operation)?;
        let pairs = search::form_pairs(query).map_err(Failure::malformed)?;
        let conditions = Conditions::of(request, asked.operation)?;
        if asked.operation.code == Code::Create {
            fhir::refuse_criteria(&pairs)?;
        }
        let none_exist = conditions.if_none_exist.and_then(|text| search::form_pairs(text).ok()).unwrap_or_default();
        match (entry.has_resource(), matches!(method, Method::POST | Method::PUT)) {
            (false, true) => return Err(malformed(IssueCode::Required, "This entry needs a resource.")),
            (true, false) => return Err(malformed(IssueCode::Invalid, "This entry takes no resource.")),
            _ => {}
        }
        let criteria =
            trail::criteria(self.app, asked.operation.resource, if pairs.is_empty() { &none_exist } else { &pairs });
        let what = match asked.operation.resource {
            ResourceType::Patient => self.what::<Patient>(&asked, &pairs, conditions)?,
            ResourceType::Observation => self.what::<Observation>(&asked, &pairs, conditions)?,
        };
        let list = matches!(what, What::Search(_) | What::History(..));
        let list = list.then(|| List { path: path.to_owned(), pairs });
        Ok(Step { operation: asked.operation, what, list, criteria })
    }

    /// Path and query of an entry's address, which stands below the base that the Bundle was posted to.
    fn address<'u>(&self, url: &'u str) -> Result<(&'u str, &'u str), Failure> {
        let below = |base: &&str| url.strip_prefix(*base)?.strip_prefix('/');
        let relative = self.bases.iter().find_map(below).unwrap_or(url);
        let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
        if path.is_empty() {
            return Err(malformed(IssueCode::Invalid, "A Bundle holds no Bundle: an entry asks for one interaction."));
        }
        let elsewhere = path.starts_with('/')
            || path.contains([':', '#', '\\'])
            || path.split('/').any(|segment| matches!(segment, "." | ".."));
        if elsewhere || relative.contains('#') {
            let diagnostics = "The url of an entry is relative to this base: Type, Type/id or Type?parameters.";
            return Err(malformed(IssueCode::Invalid, diagnostics));
        }
        Ok((path, query))
    }

    fn what<R: Bundled>(
        &self,
        asked: &Asked<'_>,
        pairs: &[(String, String)],
        conditions: Conditions<'_>,
    ) -> Result<What, Failure> {
        let id = asked.id.to_owned();
        let criteria = || {
            let criteria = Criteria::<R>::parse(pairs, &self.bases).map_err(Failure::malformed)?;
            Ok::<_, Failure>(R::condition(criteria))
        };
        Ok(match asked.operation.code {
            Code::Create => What::Create(match conditions.if_none_exist {
                None => None,
                Some(text) => {
                    fhir::demand_letter(self.access, R::TYPE, Letter::Search)?;
                    let criteria = Criteria::<R>::read(text, &self.bases);
                    Some(R::condition(criteria.map_err(|issue| Failure::malformed(issue.at("http.if-none-exist")))?))
                }
            }),
            Code::Update if !is_id(asked.id) => {
                let diagnostics = "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.";
                return Err(malformed(IssueCode::Value, diagnostics));
            }
            Code::Update => What::Update(id, conditions.if_match),
            Code::ConditionalUpdate => What::UpdateMatching(criteria()?, conditions.if_match),
            Code::Delete => What::Delete(id, conditions.if_match),
            Code::ConditionalDelete => What::DeleteMatching(criteria()?, conditions.if_match),
            Code::Read => What::Read(id, conditions.seen),
            Code::Vread => match (Version::parse(asked.version), id.parse()) {
                (Some(version), _) => What::Vread(id, version),
                (None, Ok(id)) => return Err(Failure::not_found::<R>(&id)),
                (None, Err(_)) => return Err(Failure::no_such_address()),
            },
            Code::SearchType => What::Search(R::search(self.query(pairs)?)),
            Code::SearchCompartment => {
                let patient = fhir::id::<Patient>(asked.id)?;
                let mut query = self.query::<R>(pairs)?;
                query.filters.push(Filter::Compartment(patient.as_str().to_owned()));
                What::Search(R::search(query))
            }
            Code::HistoryInstance => What::History(Whose::One(id), self.history_count::<R>(pairs)?),
            Code::HistoryType => What::History(Whose::Every, self.history_count::<R>(pairs)?),
            Code::SearchTypePost | Code::Validate | Code::ValidateInstance => return Err(not_in_a_bundle()),
        })
    }

    fn query<R: Bundled>(&self, pairs: &[(String, String)]) -> Result<Query<R>, Failure> {
        refuse_page(pairs)?;
        Query::parse(pairs, self.strict, &self.bases).map_err(Failure::malformed)
    }

    fn history_count<R: Bundled>(&self, pairs: &[(String, String)]) -> Result<u32, Failure> {
        refuse_page(pairs)?;
        list::history_count::<R>(pairs, self.strict)
    }
}

/// A link goes on from one moment of one list; the entries of a Bundle are another.
fn refuse_page(pairs: &[(String, String)]) -> Result<(), Failure> {
    if pairs.iter().any(|(name, _)| name == "_page") {
        let diagnostics = "A page link is followed by itself, not in a Bundle.";
        return Err(malformed(IssueCode::NotSupported, diagnostics));
    }
    Ok(())
}

/// What an entry is offered alone, but not in a Bundle.
fn not_in_a_bundle() -> Failure {
    let mut failure = fhir::not_offered("GET, POST, PUT, DELETE");
    "This interaction is not offered in a Bundle: send it by itself.".clone_into(&mut failure.issues[0].diagnostics);
    failure
}

/// The conditions of an entry.
struct Conditions<'e> {
    if_match: Option<Version>,
    if_none_exist: Option<&'e str>,
    seen: Seen,
}

impl<'e> Conditions<'e> {
    /// Reads them; one that would be passed over is refused.
    fn of(request: &'e bundle::Request, operation: &Operation) -> Result<Self, Failure> {
        let if_match = match &request.if_match {
            None => None,
            Some(text) => Some(entity_tag(text).ok_or_else(no_entity_tag)?),
        };
        let seen = match (&request.if_none_match, &request.if_modified_since) {
            (Some(tags), _) => Seen::of_tags(tags),
            (None, Some(since)) => Seen::Until(
                temporal::date_time(since)
                    .ok_or_else(|| malformed(IssueCode::Value, "ifModifiedSince is an instant: 2026-03-01T08:00:00Z."))?
                    .high,
            ),
            (None, None) => Seen::Nothing,
        };
        let method = operation.method;
        let misplaced = (seen != Seen::Nothing && operation.code != Code::Read)
            || (if_match.is_some() && !matches!(method, catalog::Method::Put | catalog::Method::Delete))
            || (request.if_none_exist.is_some() && method != catalog::Method::Post);
        if misplaced {
            let diagnostics = "This condition is not offered for this interaction; nothing was done.";
            return Err(malformed(IssueCode::NotSupported, diagnostics));
        }
        Ok(Self { if_match, seen, if_none_exist: request.if_none_exist.as_deref() })
    }
}
