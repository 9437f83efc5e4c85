//! The authorization server of each tenant, `/t/{tenant}/auth` (RFC 6749, SMART App Launch 2.2): one file for each
//! endpoint. What is decided stands in `crate::authorization`; here is HTTP.
//!
//! Every request but those for documents leaves one record, in the tenant's chain, before its answer.

use std::sync::Arc;

use poem::{Response, http::StatusCode};
use vitals_access::{
    audit::AuditRecord,
    tenant::{Tenant, TenantName, TenantStatus},
};

mod authorize;
mod binding;
mod client_auth;
mod consent;
mod cookie;
mod flood;
mod form;
mod introspect;
mod launch;
mod manage;
mod metadata;
mod page;
mod par;
mod patients;
mod pending;
mod register;
mod request;
mod respond;
mod revoke;
mod sign_in;
mod sign_out;
mod token;
mod upstream;
mod userinfo;
mod visitor;

pub use self::respond::OauthError;
use crate::{
    rest::{
        FhirBase, Incoming, Labelled, limits,
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

impl Asked<'_> {
    /// Notes why what is answered with a page of its own is refused all the same.
    pub(crate) fn refuse(&mut self, reason: &'static str) {
        self.record.reason = Some(reason.to_owned());
    }
}

/// Answers a request below `/t/{tenant}/auth`.
pub(crate) async fn answer(app: Arc<App>, mut incoming: Incoming, name: TenantName, asked: Auth) -> Labelled {
    let route = Some(router::auth_route(asked));
    let base = FhirBase::Tenant(name.clone());
    let mut record = trail::begin(&app, &incoming, &base);
    asked.action().clone_into(&mut record.action);
    let tenant = match flood::before(&app, &incoming, asked) {
        Ok(()) => tenant(&app, &name).await,
        Err(error) => Err(error),
    };
    let answered = match &tenant {
        Ok(tenant) => {
            let asked_of = Asked { app: &app, incoming: &mut incoming, tenant, record: &mut record };
            match certified(asked, &asked_of) {
                Ok(()) => endpoint(asked, asked_of).await,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error.clone()),
    };
    let answered = flood::after(&app, &incoming, asked, tenant.as_deref().ok(), answered);
    let tenant = tenant.as_deref().ok();
    let is_flood = answered.as_ref().is_err_and(OauthError::is_flood);
    if asked.is_document() && !incoming.has_credentials() && !is_flood {
        let response = answered.unwrap_or_else(OauthError::into_response);
        return Labelled { response, route, interaction: None };
    }
    match &answered {
        Ok(response) if response.status().as_u16() < 400 => record.allowed(response.status().as_u16()),
        Ok(response) => {
            let reason = record.reason.take().unwrap_or_else(|| "refused".to_owned());
            record.denied(response.status().as_u16(), reason);
        }
        Err(error) => record.denied(error.status(), error.reason()),
    }
    let mut response = match (trail::leave(&app, record, None).await, answered) {
        (Ok(()), Ok(response)) => response,
        (Ok(()), Err(error)) => refused(asked, tenant, error, &incoming.request_id),
        (Err(failure), _) => refused(asked, tenant, failure.into(), &incoming.request_id),
    };
    limits::tell(&mut response, incoming.limits.as_ref());
    Labelled { response, route, interaction: None }
}

/// A failure, as a page for people or as JSON for programs.
fn refused(asked: Auth, tenant: Option<&Tenant>, error: OauthError, request_id: &str) -> Response {
    if asked.is_page() { page::failed(tenant, &error, request_id) } else { error.into_response() }
}

/// Refuses who shows no certificate where the tenant wants one with every request: one that an authority vouches for, or
/// that some client registered as its own.
fn certified(asked: Auth, of: &Asked<'_>) -> Result<(), OauthError> {
    if asked.is_document() || !of.tenant.settings.require_certificate {
        return Ok(());
    }
    let directory = of.app.directory()?;
    let good = of.incoming.certificate.as_ref().is_some_and(|certificate| {
        certificate.is_vouched_for(&of.tenant.role) || directory.is_registered_certificate(certificate.thumbprint())
    });
    let description = "This organisation wants a client certificate with every request.";
    if good { Ok(()) } else { Err(OauthError::named(StatusCode::FORBIDDEN, "access_denied", description)) }
}

async fn endpoint(asked: Auth, of: Asked<'_>) -> Result<Response, OauthError> {
    flood::wait(&of, asked)?;
    match asked {
        Auth::Metadata => metadata::answer(&of),
        Auth::Token => token::answer(of).await,
        Auth::Par => par::answer(of).await,
        Auth::Introspect => introspect::answer(of).await,
        Auth::Revoke => revoke::answer(of).await,
        Auth::Register => register::answer(of).await,
        Auth::Userinfo => userinfo::answer(of).await,
        Auth::Launch => launch::answer(of).await,
        Auth::Authorize => authorize::answer(of).await,
        Auth::SignIn => sign_in::answer(of).await,
        Auth::SignOut => sign_out::answer(of).await,
        Auth::Patients => patients::answer(of).await,
        Auth::Consent => consent::answer(of).await,
        Auth::Manage => manage::answer(of).await,
        Auth::Callback => upstream::answer(of).await,
        Auth::Style => page::style(&of),
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
