//! The tenant's own administration, `/t/{tenant}/admin/…`, for whoever holds the scope `admin:users` there: clients,
//! users, issuers, API keys, signing keys, sessions, limits, grants to other tenants, and the trail (`audit:read` opens that one
//! too). Failures are problem details (RFC 9457); every request leaves one record in the tenant's chain before its answer.

use std::sync::Arc;

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::{Serialize, de::DeserializeOwned};
use vitals_access::{
    access::Access,
    audit::AuditRecord,
    tenant::{Tenant, TenantName, TenantRole},
};
use vitals_fhir::json::{self, Kind};

mod api_keys;
mod audit;
mod clients;
mod grants;
mod issuers;
mod keys;
mod limits;
mod problems;
mod route;
mod sessions;
mod users;

use self::route::{Ask, Asked};
use super::{new_tenant::check_media_type, problem::Problem};
use crate::{
    rest::{self, FhirBase, Incoming, Labelled, respond, trail},
    state::App,
};

/// Largest body: a key set of some size, many times over.
const MAX_BODY: usize = 1024 * 1024;

/// What every part gets: the parts at work, the tenant, who asks, and the record that is left.
struct Call<'a> {
    app: &'a Arc<App>,
    incoming: &'a mut Incoming,
    tenant: &'a Arc<Tenant>,
    access: &'a Access,
    record: &'a mut AuditRecord,
    /// Another tenant that the change is about as well: its trail tells of it, too.
    about: &'a mut Option<TenantRole>,
}

/// Answers a request below `/t/{tenant}/admin`.
pub(crate) async fn answer(app: Arc<App>, mut incoming: Incoming, name: TenantName, below: &str) -> Labelled {
    let base = FhirBase::Tenant(name);
    let mut record = trail::begin(&app, &incoming, &base);
    let asked = route::asked(below, &incoming.method);
    asked.action().clone_into(&mut record.action);
    let mut about = None;
    let answered = admitted(&app, &mut incoming, &base, &asked, &mut record, &mut about).await;
    match &answered {
        Ok(response) => record.allowed(response.status().as_u16()),
        Err(problem) => record.denied(problem.status(), problem.reason()),
    }
    let elsewhere = about.map(|role| grants::told(&record, &role));
    let mut left = trail::leave(&app, record, None).await;
    if let Some(elsewhere) = elsewhere {
        left = left.and(trail::leave(&app, elsewhere, None).await);
    }
    let mut response = match (left, answered) {
        (Ok(()), answered) => answered.unwrap_or_else(Problem::into_response),
        (Err(_), Ok(_)) if asked.changes() => Problem::made_but_not_recorded().into_response(),
        (Err(failure), _) => Problem::from(failure).into_response(),
    };
    rest::limits::tell(&mut response, incoming.limits.as_ref());
    Labelled { response, route: asked.route, interaction: None }
}

async fn admitted(
    app: &Arc<App>,
    incoming: &mut Incoming,
    base: &FhirBase,
    asked: &Asked,
    record: &mut AuditRecord,
    about: &mut Option<TenantRole>,
) -> Result<Response, Problem> {
    let access = rest::caller(app, incoming, &[], base, record).await?;
    record.by(&access);
    rest::limits::admit(app, &access, app.limiter.costs().admin(), &mut incoming.limits).await?;
    let scopes = asked.scopes();
    record.used = scopes.iter().filter(|scope| access.has(scope)).map(|scope| (*scope).to_owned()).collect();
    if record.used.is_empty() {
        return Err(Problem::out_of_scope(scopes[0]));
    }
    // What cannot be recorded is not done.
    if !app.audit.is_writable() {
        return Err(crate::audit::AuditUnavailable.into());
    }
    record.resource_id.clone_from(&asked.id);
    let tenant = Arc::clone(access.tenant());
    let mut call = Call { app, incoming, tenant: &tenant, access: &access, record, about };
    match asked.ask {
        Ask::Clients(what) => clients::answer(&mut call, what, asked.id()).await,
        Ask::Users(what) => users::answer(&mut call, what, asked.id()).await,
        Ask::Issuers(what) => issuers::answer(&mut call, what, asked.id()).await,
        Ask::ApiKeys(what) => api_keys::answer(&mut call, what, asked.id()).await,
        Ask::Keys(what) => keys::answer(&mut call, what).await,
        Ask::Sessions(what) => sessions::answer(&mut call, what, asked.id()).await,
        Ask::Audit(what) => audit::answer(&mut call, what, asked.id()).await,
        Ask::Limits => limits::answer(&mut call).await,
        Ask::Grants(what) => grants::answer(&mut call, what, asked.id()).await,
        Ask::Preview => grants::preview(&mut call, asked.id()).await,
        Ask::NotOffered(allow) => Err(Problem::not_offered(allow)),
        Ask::Nothing => Err(Problem::no_such_address()),
    }
}

impl Call<'_> {
    /// The body as an object of this form; a member that is not known is refused, so that nothing is passed over.
    async fn body<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        check_media_type(&self.incoming.headers)?;
        let body = self.incoming.read_body(MAX_BODY).await?;
        let document = json::parse(&body).map_err(|error| Problem::malformed(error.message))?;
        if document.root().kind() != Kind::Object {
            return Err(Problem::unprocessable("The body must be an object."));
        }
        serde_json::from_str(document.text()).map_err(|error| Problem::unprocessable(format!("{error}.")))
    }

    /// Who did it, for what is kept about a change.
    fn by(&self) -> String {
        self.access.subject().to_owned()
    }
}

/// An answer with a body.
fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_string(body).map_err(|_| Problem::internal("answer"))?;
    Ok(respond::json(status, text))
}

/// The answer to what made something, at an address of its own.
fn created(call: &Call<'_>, kind: &str, id: &str, body: &impl Serialize) -> Result<Response, Problem> {
    let mut response = json(StatusCode::CREATED, body)?;
    let location = format!("{}/t/{}/admin/{kind}/{id}", call.app.public_url, call.tenant.name);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The answer to what was to end something.
fn ended(ended: bool, kind: &str) -> Result<Response, Problem> {
    if ended { Ok(gone()) } else { Err(Problem::no_such(kind)) }
}

/// The answer to what ended something.
fn gone() -> Response {
    respond::empty(StatusCode::NO_CONTENT)
}
