//! The public listener: which of its parts answers an address. Around every answer stands `rest::guarded`.

use std::sync::Arc;

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};

use crate::{
    admin, oauth,
    rest::{
        self, Incoming, Labelled,
        cors::{self, Visitor},
        guarded,
        router::Address,
    },
    state::App,
};

/// Browsers come back over TLS alone (RFC 6797), for a year.
const ONLY_TLS: &str = "max-age=31536000; includeSubDomains";

/// The endpoint of the public listener.
pub struct Public {
    app: Arc<App>,
}

impl Public {
    /// Serves the application.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Endpoint for Public {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let app = Arc::clone(&self.app);
        let visitor = Visitor::of(request.uri().path(), request.headers());
        let mut response = guarded(app, request, |app, incoming| Box::pin(answer(app, incoming))).await;
        visitor.admit(&self.app, &mut response);
        if self.app.public_url.starts_with("https://") {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_TLS));
        }
        Ok(response)
    }
}

async fn answer(app: Arc<App>, incoming: Incoming) -> Labelled {
    let path = incoming.path.clone();
    if let Some(response) = cors::preflight(&app, &path, &incoming.method, &incoming.headers) {
        return Labelled { response, route: None, interaction: None };
    }
    match rest::router::address(&path) {
        Address::Auth(name, asked) => oauth::answer(app, incoming, name, asked).await,
        Address::Admin(name, below) => admin::tenant::answer(app, incoming, name, below).await,
        _ => rest::answer(app, incoming).await,
    }
}
