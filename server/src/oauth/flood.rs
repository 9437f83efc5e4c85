//! Many requests without good credentials from one address, at the endpoints of the authorization server: pages and
//! documents are counted as they come, programs when they failed; and an address whose programs fail again and again
//! waits longer each time. Whoever comes from elsewhere does not notice.

use poem::Response;
use vitals_access::tenant::Tenant;

use super::{Asked, OauthError};
use crate::{
    rest::{Incoming, limits, router::Auth},
    state::App,
};

/// Whether nobody has to prove anything there, so that every request is without good credentials.
const fn is_open(asked: Auth) -> bool {
    asked.is_document() || asked.is_page()
}

/// Counts what is known to show no good credentials before it is looked at.
pub(super) fn before(app: &App, incoming: &Incoming, asked: Auth) -> Result<(), OauthError> {
    if is_open(asked) { Ok(limits::count_address(app, incoming)?) } else { Ok(()) }
}

/// Sends an address away for a while whose programs failed too often.
pub(super) fn wait(of: &Asked<'_>, asked: Auth) -> Result<(), OauthError> {
    if is_open(asked) {
        return Ok(());
    }
    let wait = of.app.desk.people.clients.wait(of.tenant, of.incoming.address, of.app.clock.now());
    let Some(wait) = wait else { return Ok(()) };
    let millis = u64::try_from(wait.num_milliseconds()).unwrap_or(0);
    let seconds = crate::limit::seconds(millis);
    let text = format!("Too many attempts from your address failed. Come again in {seconds} s.");
    Err(OauthError::too_often(seconds, text))
}

/// Counts what a program did not prove.
pub(super) fn after(
    app: &App,
    incoming: &Incoming,
    asked: Auth,
    tenant: Option<&Tenant>,
    answered: Result<Response, OauthError>,
) -> Result<Response, OauthError> {
    if is_open(asked) {
        return answered;
    }
    let (people, address) = (&app.desk.people, incoming.address);
    let error = match (answered, tenant) {
        (Ok(response), Some(tenant)) => {
            people.clients.succeeded(tenant, address);
            return Ok(response);
        }
        (Ok(response), None) => return Ok(response),
        (Err(error), _) if !matches!(error.status(), 400..=404) => return Err(error),
        (Err(error), _) => error,
    };
    if let Some(tenant) = tenant
        && matches!(error.reason(), "invalid_client" | "invalid_grant")
    {
        people.clients.failed(tenant, address, app.clock.now());
    }
    limits::count_address(app, incoming)?;
    Err(error)
}
