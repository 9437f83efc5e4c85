//! `/t/{tenant}/delegated/fhir`: search of one type and read, over every tenant that granted this one access and, with
//! `org:self`, its own. Each is asked with an access of its own, under its own grant; nothing is joined across them, and
//! every entry says whose it is.
//!
//! Each tenant asked gets a record in its chain of what was asked of it, and of nothing else; the caller's own tenant
//! gets one with an entry for each of them. All of them are written before the answer leaves.

use std::sync::Arc;

use futures_util::future::join_all;
use poem::{Response, http::Method};
use vitals_access::{
    access::Access,
    audit::{AuditEntry, AuditRecord, Decision},
    tenant::TenantName,
    verifier::{Delegated, Withheld},
};
use vitals_fhir::{
    catalog::{Code, Operation},
    outcome::{Issue, IssueCode},
    resource::{Observation, Patient, ResourceType},
    search,
};
use vitals_store::rows::Table;

use super::{
    Labelled, caller, credentials, fhir, limits,
    negotiate::{self, Format},
    public,
    request::{Incoming, MAX_ADDRESS, MAX_BODY},
    respond,
    router::{Fhir, FhirBase},
    trail,
};
use crate::{
    authorization::grants,
    failure::{Failure, Kind},
    interaction::delegated::Told,
    state::App,
};

mod bundle;
mod page;
mod read;
mod search_type;

/// The scope that adds the caller's own tenant.
const OWN: &str = "org:self";

/// A tenant that takes part in a request.
pub(super) struct Part {
    /// The caller's access to it, for what is asked.
    access: Arc<Access>,
    /// What became of it, once it was asked.
    told: Option<Told>,
}

/// A tenant that the caller means and that does not let it in.
pub(super) struct Absent {
    /// Its name, as the token or a page link has it.
    name: String,
    /// Where the denial is recorded as well, if there is such a tenant: its chain and the grant that stood.
    chain: Option<(String, Option<String>)>,
    /// Why, for the trail.
    reason: &'static str,
}

/// A request at the fan-out base on its way.
pub(super) struct Asking<'a> {
    app: &'a App,
    incoming: &'a mut Incoming,
    base: &'a FhirBase,
    query: Vec<(String, String)>,
    format: Format,
    own: Arc<Access>,
    parts: Vec<Part>,
    absent: Vec<Absent>,
    /// What was searched for, as far as the trail keeps it.
    criteria: Option<String>,
}

impl Part {
    fn is_own(&self) -> bool {
        self.access.grant().is_none()
    }

    fn name(&self) -> &str {
        self.access.tenant().name.as_str()
    }

    fn number(&self) -> i32 {
        self.access.tenant().number
    }
}

impl Asking<'_> {
    /// The URL of the base of a tenant that takes part.
    fn base_of(&self, tenant: &str) -> String {
        format!("{}/t/{tenant}/fhir", self.app.public_url)
    }
}

/// The methods of an address below the base, and what it does; read by CORS and the document as well.
pub(super) fn asked(address: &Fhir<'_>, method: &Method) -> Result<&'static Operation, Failure> {
    let (kind, code, method_name) = match *address {
        Fhir::Type(kind) => (kind, Code::SearchType, "GET, HEAD"),
        Fhir::TypeSearch(kind) => (kind, Code::SearchTypePost, "POST"),
        Fhir::Instance(kind, _) => (kind, Code::Read, "GET, HEAD"),
        Fhir::Metadata => return Err(fhir::not_offered("GET, HEAD")),
        Fhir::Nothing | Fhir::SmartConfiguration => return Err(Failure::no_such_address()),
        _ => return Err(not_here()),
    };
    if !method_name.split(", ").any(|name| name == method.as_str()) {
        return Err(fhir::not_offered(method_name));
    }
    let mut operations = vitals_fhir::catalog::operations(kind).iter();
    operations.find(|operation| operation.code == code).ok_or_else(Failure::no_such_address)
}

/// What a tenant's own base offers and this one does not.
fn not_here() -> Failure {
    Failure::new(
        Kind::NotOffered(""),
        IssueCode::NotSupported,
        "not offered",
        "Over several tenants there is search of one type and read; everything else is asked at the base of one tenant.",
    )
}

/// The path of an operation, with its parameters in braces.
pub(super) const fn route(kind: ResourceType, code: Code) -> &'static str {
    match (kind, code) {
        (ResourceType::Patient, Code::Read) => "/t/{tenant}/delegated/fhir/Patient/{id}",
        (ResourceType::Patient, Code::SearchTypePost) => "/t/{tenant}/delegated/fhir/Patient/_search",
        (ResourceType::Patient, _) => "/t/{tenant}/delegated/fhir/Patient",
        (ResourceType::Observation, Code::Read) => "/t/{tenant}/delegated/fhir/Observation/{id}",
        (ResourceType::Observation, Code::SearchTypePost) => "/t/{tenant}/delegated/fhir/Observation/_search",
        (ResourceType::Observation, _) => "/t/{tenant}/delegated/fhir/Observation",
    }
}

/// Answers a request below the base.
pub(super) async fn answer(app: &Arc<App>, mut incoming: Incoming, name: TenantName, address: &Fhir<'_>) -> Labelled {
    let base = FhirBase::Delegated(name);
    let operation = asked(address, &incoming.method);
    let mut record = trail::begin(app, &incoming, &base);
    trail::names(&mut record, address);
    if let Ok(operation) = &operation {
        trail::asks(&mut record, operation);
        let span = tracing::Span::current();
        span.record("fhir.interaction", operation.code.fhir());
        span.record("fhir.resource_type", operation.resource.name());
    }
    let (route, interaction) = match &operation {
        Ok(operation) => (Some(route(operation.resource, operation.code)), Some(operation.code.fhir())),
        Err(_) => (None, None),
    };
    let pairs = search::form_pairs(&incoming.query);
    let accepted = public::accepted(&incoming, pairs.as_deref().unwrap_or_default());
    let mut format = *accepted.as_ref().unwrap_or(&Format::Json);
    let done = operation.as_ref().ok().copied();
    let (mut parts, mut absent, mut criteria, mut shown) = (Vec::new(), Vec::new(), None, None);
    let outcome = async {
        if incoming.path.len() + incoming.query.len() > MAX_ADDRESS {
            return Err(public::address_too_long());
        }
        let callers = callers(app, &incoming, pairs.as_deref().unwrap_or_default(), &base, &mut record).await?;
        let operation = operation?;
        let own = Arc::new(callers.own.clone());
        record.used = vec![grants::DELEGATED.to_owned()];
        let taking = taking_part(&own, &callers, operation);
        let charge = app.limiter.costs().interaction(operation.code, pairs.as_deref().unwrap_or_default());
        limits::admit(app, &own, charge.times(taking.len()), &mut shown).await?;
        let mut asking = Asking {
            app,
            incoming: &mut incoming,
            base: &base,
            query: pairs.map_err(Failure::malformed)?,
            format: accepted?,
            parts: taking,
            absent: not_taking_part(callers.withheld),
            own,
            criteria: None,
        };
        let answered = run(&mut asking, operation, address).await;
        format = asking.format;
        parts = asking.parts;
        absent = asking.absent;
        criteria = asking.criteria;
        answered
    }
    .await;
    record.query = criteria;
    let status = outcome.as_ref().map(|response| response.status().as_u16());
    let records = records(&mut record, done, &parts, &absent, status);
    let left = join_all(records.into_iter().chain([record]).map(|record| trail::leave(app, record, None))).await;
    let left = left.into_iter().collect::<Result<Vec<()>, Failure>>();
    let mut response = left.and(outcome).unwrap_or_else(|failure| respond::failure(&failure, format));
    limits::tell(&mut response, shown.as_ref());
    Labelled { response, route, interaction }
}

/// The verified caller and the tenants that let it in.
async fn callers(
    app: &App,
    incoming: &Incoming,
    query: &[(String, String)],
    base: &FhirBase,
    record: &mut AuditRecord,
) -> Result<Delegated, Failure> {
    if !incoming.has_credentials() {
        limits::count_address(app, incoming)?;
    }
    match credentials::callers(app, incoming, query, &base.for_verifier()).await {
        Ok(callers) => {
            tracing::Span::current().record("tenant.id", callers.own.tenant().name.as_str());
            record.by(&callers.own);
            Ok(callers)
        }
        Err(unverified) => Err(caller::turned_away(app, incoming, base, record, &unverified).await),
    }
}

/// Every tenant that is asked: those that granted, and the caller's own where the token says so.
fn taking_part(own: &Arc<Access>, callers: &Delegated, operation: &Operation) -> Vec<Part> {
    let own = own.has(OWN).then(|| Arc::clone(own));
    let grantors = callers.grantors.iter();
    let grantors = grantors.map(|access| Arc::new(access.asking(operation.resource, operation.letter)));
    own.into_iter().chain(grantors).map(|access| Part { access, told: None }).collect()
}

/// Every tenant that the token means and that is not asked.
fn not_taking_part(withheld: Vec<Withheld>) -> Vec<Absent> {
    let refused = withheld.into_iter().map(|refused| Absent {
        name: refused.asked.to_string(),
        chain: refused.tenant.map(|tenant| (tenant.role.as_str().to_owned(), refused.grant)),
        reason: refused.reason,
    });
    refused.collect()
}

async fn run(asking: &mut Asking<'_>, operation: &Operation, address: &Fhir<'_>) -> Result<Response, Failure> {
    if asking.parts.is_empty() {
        return Err(nobody());
    }
    match operation.resource {
        ResourceType::Patient => run_on::<Patient>(asking, operation, address).await,
        ResourceType::Observation => run_on::<Observation>(asking, operation, address).await,
    }
}

async fn run_on<R: Table + Clone + Send + 'static>(
    asking: &mut Asking<'_>,
    operation: &Operation,
    address: &Fhir<'_>,
) -> Result<Response, Failure> {
    let mut pairs = asking.query.clone();
    if let Fhir::Instance(_, id) = *address {
        return read::read::<R>(asking, id).await;
    }
    if operation.code == Code::SearchTypePost {
        negotiate::is_form(&asking.incoming.headers)?;
        let form = asking.incoming.read_body(MAX_BODY).await?;
        let form = String::from_utf8(form)
            .map_err(|_| Failure::malformed(Issue::error(IssueCode::Invalid, "The form is not UTF-8.")))?;
        pairs.extend(search::form_pairs(&form).map_err(Failure::malformed)?);
        if pairs.iter().any(|(name, _)| name == "access_token") {
            return Err(fhir::second_token());
        }
        let is_wish = |(name, _): &&(String, String)| name == "_format";
        if let (None, Some(wish)) = (asking.query.iter().find(is_wish), pairs.iter().find(is_wish)) {
            asking.format = negotiate::answer_format(&asking.incoming.headers, Some(&wish.1))?;
        }
    }
    search_type::search::<R>(asking, pairs).await
}

/// No tenant lets the caller in; which it means is not told.
fn nobody() -> Failure {
    Failure::new(
        Kind::Forbidden,
        IssueCode::Forbidden,
        "no grant stands",
        "No organisation lets this token read its data now. A token says so with org:delegated and an entry in \
         delegated_access for each grant that stands.",
    )
}

/// What each tenant's trail tells, and, in the record of the caller's own, an entry for each of them.
fn records(
    record: &mut AuditRecord,
    operation: Option<&Operation>,
    parts: &[Part],
    absent: &[Absent],
    status: Result<u16, &Failure>,
) -> Vec<AuditRecord> {
    trail::ended(record, status);
    let plain = record.clone();
    let mut elsewhere = Vec::new();
    for (part, told) in parts.iter().filter_map(|part| Some((part, part.told.as_ref()?))) {
        let mut of = plain.clone();
        of.by(&part.access);
        // The caller's own tenant has its record already, so that this one needs no copy there.
        let mut of = of.elsewhere(part.access.tenant().role.as_str());
        of.used = operation.map_or_else(Vec::new, |asked| part.access.used(asked.resource, asked.letter));
        trail::ended(&mut of, told.failure.as_ref().map_or(status, Err));
        if of.decision == Decision::Allowed {
            of.count = Some(told.count);
            of.patients.clone_from(&told.patients);
            if let (Some(_), [patient]) = (&of.resource_id, of.patients.as_slice()) {
                of.patient = Some(patient.clone());
                of.patients.clear();
                of.count = None;
            }
        }
        record.entries.push(AuditEntry {
            tenant: Some(part.name().to_owned()),
            grant: of.grant.clone(),
            count: of.count,
            patients: of.patients.clone(),
            patient: of.patient.clone(),
            ..entry(&of)
        });
        if !part.is_own() {
            elsewhere.push(of);
        }
    }
    if !parts.iter().any(Part::is_own) {
        // It was asked for in other tenants alone, and ids are independent between tenants.
        record.resource_id = None;
    }
    for absent in absent {
        let chain = absent.chain.as_ref().map_or("", |(chain, _)| chain.as_str());
        let mut of = plain.elsewhere(chain);
        of.tenant = Some(absent.name.clone());
        of.denied(respond::status(Kind::Forbidden).as_u16(), absent.reason);
        of.grant = absent.chain.as_ref().and_then(|(_, grant)| grant.clone());
        record.entries.push(AuditEntry { tenant: of.tenant.clone(), grant: of.grant.clone(), ..entry(&of) });
        if absent.chain.is_some() {
            elsewhere.push(of);
        }
    }
    elsewhere
}

fn entry(of: &AuditRecord) -> AuditEntry {
    AuditEntry {
        resource_type: of.resource_type.clone(),
        resource_id: of.resource_id.clone(),
        status: of.status,
        ..AuditEntry::new(of.action.as_str(), of.decision)
    }
}
