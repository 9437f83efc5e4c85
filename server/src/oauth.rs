//! The authorization server of each tenant, `/t/{tenant}/auth` (RFC 6749, SMART App Launch 2.2): one file for each
//! endpoint. What is decided stands in `crate::authorization`; here is HTTP.
//!
//! Every request but those for documents leaves one record, in the tenant's chain, before its answer.

use std::sync::Arc;

use poem::Response;
use vitals_access::{
    audit::AuditRecord,
    tenant::{Tenant, TenantName, TenantStatus},
};

mod form;
mod metadata;
mod request;
mod respond;
mod token;

pub use self::respond::OauthError;
use crate::{
    rest::{
        FhirBase, Incoming, Labelled,
        router::{self, Auth},
        trail,
    },
    state::App,
};

/// What every endpoint gets.
pub(crate) struct Asked<'a> {
    /// The parts at work.
    pub(crate) app: &'a Arc<App>,
    /// The request.
    pub(crate) incoming: &'a mut Incoming,
    /// The tenant whose authorization server is asked.
    pub(crate) tenant: &'a Arc<Tenant>,
    /// The record it will leave; an endpoint adds who asks and about what, never a secret.
    pub(crate) record: &'a mut AuditRecord,
}

/// Answers a request below `/t/{tenant}/auth`.
pub(crate) async fn answer(app: Arc<App>, mut incoming: Incoming, name: TenantName, asked: Auth) -> Labelled {
    let route = Some(router::auth_route(asked));
    let base = FhirBase::Tenant(name.clone());
    let mut record = trail::begin(&app, &incoming, &base);
    asked.action().clone_into(&mut record.action);
    let answered = match tenant(&app, &name).await {
        Ok(tenant) => {
            let asked_of = Asked { app: &app, incoming: &mut incoming, tenant: &tenant, record: &mut record };
            endpoint(asked, asked_of).await
        }
        Err(error) => Err(error),
    };
    if asked.is_document() && !incoming.has_credentials() {
        let response = answered.unwrap_or_else(OauthError::into_response);
        return Labelled { response, route, interaction: None };
    }
    match &answered {
        Ok(response) => record.allowed(response.status().as_u16()),
        Err(error) => record.denied(error.status(), error.reason()),
    }
    let response = match (trail::leave(&app, record, None).await, answered) {
        (Ok(()), Ok(response)) => response,
        (Ok(()), Err(error)) => error.into_response(),
        (Err(failure), _) => OauthError::from(failure).into_response(),
    };
    Labelled { response, route, interaction: None }
}

async fn endpoint(asked: Auth, of: Asked<'_>) -> Result<Response, OauthError> {
    match asked {
        Auth::Metadata => metadata::answer(of),
        Auth::Token => token::answer(of).await,
        _ => Err(OauthError::no_such_address()),
    }
}

/// The tenant, if its authorization server is switched on; a command may have made it a moment ago.
async fn tenant(app: &App, name: &TenantName) -> Result<Arc<Tenant>, OauthError> {
    let mut directory = app.directory()?;
    if directory.tenant(name).is_none() {
        directory = app.feed.refresh().await?;
    }
    match directory.tenant(name) {
        Some(tenant) if tenant.status == TenantStatus::Suspended => Err(OauthError::suspended()),
        Some(tenant) if tenant.settings.authorization_server => Ok(Arc::clone(tenant)),
        _ => Err(OauthError::no_such_address()),
    }
}
