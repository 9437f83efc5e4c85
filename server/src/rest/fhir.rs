//! The FHIR endpoints: from an address and a method to an interaction and its answer.

use std::sync::Arc;

use poem::{Response, http::StatusCode};
use vitals_access::{access::Access, predicate::Visible};
use vitals_fhir::{
    body::Body,
    catalog::{self, Code, Operation},
    interaction::Letter,
    outcome::{Issue, IssueCode},
    resource::{Id, Observation, Patient, Resource, ResourceType, Version},
    search::{self, Criteria},
};
use vitals_fhir_profiles::validate;
use vitals_store::rows::{Deleted, Table, Versioned};

use super::{
    list,
    negotiate::{self, Format, Return},
    operation,
    request::Incoming,
    respond,
    router::{Fhir, FhirBase},
    trail,
};
use crate::{
    failure::{Failure, Kind},
    interaction::{self, Exchange, conditional_create::Ensured},
    state::App,
};

/// An operation of the catalog, and the raw ids in its address.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'p> {
    /// The operation.
    pub operation: &'static Operation,
    /// The logical id, as sent.
    pub id: &'p str,
    /// The version id, as sent.
    pub version: &'p str,
}

/// The operation that a method asks for at an address.
pub fn asked<'p>(address: &Fhir<'p>, method: &poem::http::Method) -> Result<Asked<'p>, Failure> {
    let (kind, id, version, here): (_, &'p str, &'p str, &[Code]) = match *address {
        Fhir::Type(kind) => {
            (kind, "", "", &[Code::SearchType, Code::Create, Code::ConditionalUpdate, Code::ConditionalDelete])
        }
        Fhir::TypeSearch(kind) => (kind, "", "", &[Code::SearchTypePost]),
        Fhir::Instance(kind, id) => (kind, id, "", &[Code::Read, Code::Update, Code::Delete]),
        Fhir::TypeHistory(kind) => (kind, "", "", &[Code::HistoryType]),
        Fhir::Compartment(id, kind) => (kind, id, "", &[Code::SearchCompartment]),
        Fhir::InstanceHistory(kind, id) => (kind, id, "", &[Code::HistoryInstance]),
        Fhir::Validate(kind) => (kind, "", "", &[Code::Validate]),
        Fhir::InstanceValidate(kind, id) => (kind, id, "", &[Code::ValidateInstance]),
        Fhir::InstanceVersion(kind, id, version) => (kind, id, version, &[Code::Vread]),
        Fhir::System | Fhir::TrailSearch => return Err(not_offered("POST")),
        Fhir::NotOffered => return Err(not_offered("")),
        Fhir::Metadata | Fhir::SmartConfiguration | Fhir::Trail | Fhir::TrailRecord(_) => {
            return Err(not_offered("GET, HEAD"));
        }
        Fhir::Nothing => return Err(nothing()),
    };
    let name = if *method == poem::http::Method::HEAD { "GET" } else { method.as_str() };
    catalog::operations(kind)
        .iter()
        .find(|operation| here.contains(&operation.code) && operation.method.name() == name)
        .map(|operation| Asked { operation, id, version })
        .ok_or_else(|| not_offered(allow(here)))
}

const fn allow(here: &[Code]) -> &'static str {
    match here {
        [Code::SearchType, ..] => "GET, HEAD, POST, PUT, DELETE",
        [Code::SearchTypePost | Code::Validate | Code::ValidateInstance] => "POST",
        [Code::Read, ..] => "GET, HEAD, PUT, DELETE",
        _ => "GET, HEAD",
    }
}

/// What is not offered, where these methods are.
pub fn not_offered(allow: &'static str) -> Failure {
    Failure::new(
        Kind::NotOffered(allow),
        IssueCode::NotSupported,
        "not offered",
        "This interaction is not offered here: the CapabilityStatement at metadata lists what is.",
    )
}

fn nothing() -> Failure {
    Failure::new(
        Kind::NotFound,
        IssueCode::NotSupported,
        "no such address",
        "There is no such resource type or operation here: the CapabilityStatement at metadata lists what is.",
    )
}

/// Refuses a caller whose scopes cover nothing of what is asked, before the body is read.
pub fn demand(access: &Access, operation: &Operation) -> Result<(), Failure> {
    let mut letters = std::iter::once(operation.letter).chain(operation.also);
    letters.try_for_each(|letter| demand_letter(access, operation.resource, letter))
}

/// Refuses a caller whose scopes do not have a letter on a type.
pub fn demand_letter(access: &Access, resource: ResourceType, letter: Letter) -> Result<(), Failure> {
    match access.reach(resource, letter) {
        Visible::Nothing => Err(vitals_store::tenant::Denied { resource, letter }.into()),
        _ => Ok(()),
    }
}

/// What surrounds an exchange on its way through HTTP.
pub struct Request<'r> {
    /// The application.
    pub app: &'r Arc<App>,
    /// The request.
    pub incoming: Incoming,
    /// The base that was asked.
    pub base: &'r FhirBase,
    /// The parameters of the address.
    pub query: Vec<(String, String)>,
    /// The representation of the answer.
    pub format: Format,
}

impl Request<'_> {
    /// The URL of the base that was asked.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.app.public_url, self.base.path())
    }

    /// The representation that the address asks for, as links that lead on from it say it again.
    pub(super) fn format_wish(&self) -> String {
        let wish = self.query.iter().find(|(name, _)| name == "_format");
        wish.map_or_else(String::new, |pair| format!("&{}", search::form_text(std::slice::from_ref(pair))))
    }

    /// Takes the representation that a form asks for, unless the address did; links that lead on say it again.
    fn wish(&mut self, pairs: &[(String, String)]) -> Result<(), Failure> {
        let is_wish = |(name, _): &&(String, String)| name == "_format";
        if let (None, Some(wish)) = (self.query.iter().find(is_wish), pairs.iter().find(is_wish)) {
            self.format = negotiate::answer_format(&self.incoming.headers, Some(&wish.1))?;
            self.query.push(wish.clone());
        }
        Ok(())
    }

    /// The bases under which an absolute reference is one to this tenant. The one whose tenant is the token's is the own
    /// one's of a caller from elsewhere, and not this.
    pub fn bases(&self, access: &Access) -> [String; 2] {
        let public = &self.app.public_url;
        let base = format!("{public}/t/{}/fhir", access.tenant().name);
        let common = if access.grant().is_some() { base.clone() } else { format!("{public}/fhir") };
        [base, common]
    }
}

/// Runs the operation.
pub async fn run(cx: &mut Exchange<'_>, request: &mut Request<'_>, asked: Asked<'_>) -> Result<Response, Failure> {
    demand(cx.access, asked.operation)?;
    match asked.operation.resource {
        ResourceType::Patient => run_on::<Patient>(cx, request, asked).await,
        ResourceType::Observation => run_on::<Observation>(cx, request, asked).await,
    }
}

async fn run_on<R: Table>(
    cx: &mut Exchange<'_>,
    request: &mut Request<'_>,
    asked: Asked<'_>,
) -> Result<Response, Failure> {
    match asked.operation.code {
        Code::Read => {
            let found = interaction::read::read(cx, &id::<R>(asked.id)?).await?;
            if request.incoming.seen().has(found.version, found.last_updated) {
                return Ok(respond::not_modified(found.version.number(), found.last_updated));
            }
            resource(request, found)
        }
        Code::Vread => {
            let id = id::<R>(asked.id)?;
            let version = Version::parse(asked.version).ok_or_else(|| Failure::not_found(&id))?;
            let found = interaction::vread::vread(cx, &id, version).await?;
            resource(request, found)
        }
        Code::HistoryInstance => list::history(cx, request, &id::<R>(asked.id)?).await,
        Code::HistoryType => list::history_of_type::<R>(cx, request).await,
        Code::SearchType => list::search::<R>(cx, request, request.query.clone(), None).await,
        Code::SearchCompartment => {
            let patient = id::<Patient>(asked.id)?;
            list::search::<R>(cx, request, request.query.clone(), Some(&patient)).await
        }
        Code::SearchTypePost => {
            let pairs = form(request).await?;
            list::search::<R>(cx, request, pairs, None).await
        }
        Code::Create => create::<R>(cx, request).await,
        Code::Validate => operation::validate::<R>(cx, request, None).await,
        Code::ValidateInstance => operation::validate::<R>(cx, request, Some(&id(asked.id)?)).await,
        Code::Update => update::<R>(cx, request, asked.id).await,
        Code::ConditionalUpdate => conditional_update::<R>(cx, request).await,
        Code::Delete | Code::ConditionalDelete => {
            request.incoming.refuse_conditions(&["if-none-match", "if-unmodified-since"])?;
            let if_match = request.incoming.if_match()?;
            let deleted = if asked.operation.code == Code::Delete {
                interaction::delete::delete(cx, &id::<R>(asked.id)?, if_match).await?
            } else {
                let criteria = criteria::<R>(cx, request)?;
                interaction::conditional_delete::conditional_delete(cx, &criteria, if_match).await?
            };
            let mut response = respond::empty(StatusCode::NO_CONTENT);
            if let Deleted::Now { version, .. } = deleted {
                respond::etag(&mut response, version.number());
            }
            Ok(response)
        }
    }
}

/// The parameters of a search that come in a form, behind those of the address.
pub async fn form(request: &mut Request<'_>) -> Result<Vec<(String, String)>, Failure> {
    negotiate::is_form(&request.incoming.headers)?;
    let form = request.incoming.read_body(super::request::MAX_BODY).await?;
    let form = String::from_utf8(form)
        .map_err(|_| Failure::malformed(Issue::error(IssueCode::Invalid, "The form is not UTF-8.")))?;
    let mut pairs = request.query.clone();
    pairs.extend(search::form_pairs(&form).map_err(Failure::malformed)?);
    if pairs.iter().any(|(name, _)| name == "access_token") {
        return Err(second_token());
    }
    request.wish(&pairs)?;
    Ok(pairs)
}

/// A token in a form, beside the one in the header (RFC 6750, section 2).
pub fn second_token() -> Failure {
    Failure::new(
        Kind::BadRequestForm,
        IssueCode::Invalid,
        "token sent twice",
        "Send the token once, in the Authorization header.",
    )
}

/// An id in an address. What is no id cannot be known here, so the answer is that of an unknown one.
pub fn id<R: Resource>(raw: &str) -> Result<Id<R>, Failure> {
    raw.parse().map_err(|_| {
        Failure::new(
            Kind::NotFound,
            IssueCode::NotFound,
            "not an id",
            "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.",
        )
    })
}

fn resource<R: Resource>(request: &Request<'_>, found: Versioned<R>) -> Result<Response, Failure> {
    let mut response = respond::disclosed(request.format, found.body)?;
    respond::versioned(&mut response, found.version.number(), found.last_updated, None);
    Ok(response)
}

async fn create<R: Table>(cx: &mut Exchange<'_>, request: &mut Request<'_>) -> Result<Response, Failure> {
    request.incoming.refuse_conditions(&["if-match", "if-none-match"])?;
    refuse_criteria(&request.query)?;
    let bases = request.bases(cx.access);
    let criteria = match request.incoming.if_none_exist()? {
        None => None,
        Some(text) => {
            demand_letter(cx.access, R::TYPE, Letter::Search)?;
            cx.record.query =
                search::form_pairs(text).ok().and_then(|pairs| trail::criteria(request.app, R::TYPE, &pairs));
            let criteria = Criteria::<R>::read(text, &bases.each_ref().map(String::as_str));
            Some(criteria.map_err(|issue| Failure::malformed(issue.at("http.if-none-exist")))?)
        }
    };
    let body = read_body::<R>(cx, request).await?;
    let Some(criteria) = criteria else {
        let created = interaction::create::create(cx, &body).await?;
        return Ok(written(cx.access, request, StatusCode::CREATED, created, &body));
    };
    match interaction::conditional_create::conditional_create(cx, &criteria, &body).await? {
        Ensured::Created(created) => Ok(written(cx.access, request, StatusCode::CREATED, created, &body)),
        Ensured::Found { resource, readable } => Ok(answered(request, StatusCode::OK, resource, readable, Vec::new)),
    }
}

/// Refuses criteria in the address of a create: whoever sends them there means not to create a second one.
pub(super) fn refuse_criteria(query: &[(String, String)]) -> Result<(), Failure> {
    match query.iter().find(|(name, _)| !name.starts_with('_')) {
        None => Ok(()),
        Some((name, _)) => {
            let text = "A create takes no criteria in its address: send them in If-None-Exist, and nothing is created \
                        where one resource meets them.";
            let shown: String = name.chars().take(64).collect();
            Err(Failure::malformed(Issue::error(IssueCode::NotSupported, text).at(shown)))
        }
    }
}

/// The criteria in the address of a conditional request.
fn criteria<R: Resource>(cx: &mut Exchange<'_>, request: &Request<'_>) -> Result<Criteria<R>, Failure> {
    cx.record.query = trail::criteria(request.app, R::TYPE, &request.query);
    let bases = request.bases(cx.access);
    Criteria::parse(&request.query, &bases.each_ref().map(String::as_str)).map_err(Failure::malformed)
}

async fn conditional_update<R: Table>(cx: &mut Exchange<'_>, request: &mut Request<'_>) -> Result<Response, Failure> {
    request.incoming.refuse_conditions(&["if-none-match", "if-unmodified-since"])?;
    let if_match = request.incoming.if_match()?;
    let criteria = criteria::<R>(cx, request)?;
    let body = read_body::<R>(cx, request).await?;
    let updated = interaction::conditional_update::conditional_update(cx, &criteria, &body, if_match).await?;
    let status = if updated.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(written(cx.access, request, status, updated.resource, &body))
}

async fn update<R: Table>(cx: &mut Exchange<'_>, request: &mut Request<'_>, raw: &str) -> Result<Response, Failure> {
    let id: Id<R> = raw.parse().map_err(|_| {
        Failure::malformed(Issue::error(
            IssueCode::Value,
            "This is not an id: ids have 1 to 64 letters, digits, '-' and '.'.",
        ))
    })?;
    request.incoming.refuse_conditions(&["if-none-match", "if-unmodified-since"])?;
    let if_match = request.incoming.if_match()?;
    let body = read_body::<R>(cx, request).await?;
    if body.id() != Some(&id) {
        return Err(Failure::malformed(
            Issue::error(IssueCode::Invalid, "The resource must carry the id of the address it is put to.")
                .at(format!("{}.id", R::TYPE)),
        ));
    }
    let updated = interaction::update::update(cx, &id, &body, if_match).await?;
    let status = if updated.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(written(cx.access, request, status, updated.resource, &body))
}

async fn read_body<R: Table>(cx: &Exchange<'_>, request: &mut Request<'_>) -> Result<Body<R>, Failure> {
    let bytes = request.incoming.read_resource().await?;
    let bases = request.bases(cx.access);
    Body::parse(&bytes, &bases.each_ref().map(String::as_str), validate).map_err(Failure::of_body)
}

/// The answer to a write: what the caller prefers, but never more than it may read.
fn written<R: Table>(
    access: &Access,
    request: &Request<'_>,
    status: StatusCode,
    resource: Versioned<R>,
    body: &Body<R>,
) -> Response {
    let may_read = access.reach(R::TYPE, Letter::Read).admits(&R::columns(&resource.id, body.index()));
    answered(request, status, resource, may_read, || interaction::doubts(body.text()))
}

/// The answer to a write, or to what made it needless. `doubts` are told where an OperationOutcome is asked for.
fn answered<R: Table>(
    request: &Request<'_>,
    status: StatusCode,
    resource: Versioned<R>,
    may_read: bool,
    doubts: impl FnOnce() -> Vec<Issue>,
) -> Response {
    let wanted = negotiate::prefer(&request.incoming.headers).answer;
    let location = (status == StatusCode::CREATED)
        .then(|| format!("{}/{}/{}/_history/{}", request.base_url(), R::TYPE, resource.id, resource.version));
    let (version, last_updated) = (resource.version.number(), resource.last_updated);
    let mut response = match wanted.unwrap_or(Return::Representation) {
        Return::Representation if may_read => respond::fhir(status, request.format, resource.body),
        Return::Outcome => respond::fhir(status, request.format, done(status, doubts())),
        Return::Minimal | Return::Representation => respond::empty(status),
    };
    respond::versioned(&mut response, version, last_updated, location.as_deref());
    response
}

/// The OperationOutcome of a write that was done, with what is improbable about it.
pub fn done(status: StatusCode, doubts: Vec<Issue>) -> String {
    let text = match status {
        StatusCode::CREATED => "Created.",
        StatusCode::NO_CONTENT => "Deleted.",
        _ => "Done: this is what stands.",
    };
    let issue =
        Issue { severity: vitals_fhir::outcome::Severity::Information, ..Issue::error(IssueCode::Informational, text) };
    let issues: Vec<_> = std::iter::once(issue).chain(doubts).collect();
    vitals_fhir::outcome::to_json(&issues)
}
