//! The operator's listener: tenants, migrations and metrics, for whoever holds the operator token.
//!
//! It is a listener of its own, so that nothing on the public address leads here. Pages in a browser are kept out twice:
//! a request with an `Origin`, or for a host that is not this listener's, is refused whatever it carries. Failures are
//! problem details (RFC 9457).

mod audited;
mod guard;
mod new_tenant;
mod operator;
mod problem;
mod route;
pub(crate) mod tenant;
mod tenants;
mod token;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use poem::{Endpoint, Request, Response};

pub use self::token::{TokenError, operator_token};
use self::{guard::Guard, operator::Desk, problem::Problem};
use crate::{
    rest::{self, Labelled, guarded},
    state::App,
};

/// The endpoint of the operator's listener.
pub struct Operator {
    app: Arc<App>,
    desk: Arc<Desk>,
}

impl Operator {
    /// Serves the operator who holds this token. Without the URL of an administering role nothing can be changed from
    /// here. `hosts` are the addresses or names, with or without a port, that requests may name beside loopback.
    pub fn new(
        app: Arc<App>,
        token: String,
        admin_url: Option<String>,
        hosts: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { app, desk: Arc::new(Desk { guard: Guard::new(token, hosts), admin_url }) }
    }
}

impl Endpoint for Operator {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let desk = Arc::clone(&self.desk);
        // In HTTP/2 the host stands here, and there need be no header for it.
        let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
        let answer = guarded(Arc::clone(&self.app), request, |app, incoming| {
            Box::pin(async move {
                let whence = incoming.whence();
                let answer = operator::answer(&desk, &app, incoming, authority.as_deref());
                if let Ok(answered) = AssertUnwindSafe(answer).catch_unwind().await {
                    return answered;
                }
                tracing::error!("a request of the operator ended in a panic");
                let problem = match rest::panicked(&app, &whence).await {
                    Ok(()) => Problem::internal("panic"),
                    Err(failure) => Problem::from(failure),
                };
                Labelled { response: problem.into_response(), route: None, interaction: None }
            })
        });
        Ok(answer.await)
    }
}
