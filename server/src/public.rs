//! The public listener: which of its parts answers an address. Around every answer stands `rest::guarded`.

use std::sync::Arc;

use poem::{Endpoint, Request, Response};

use crate::{
    admin, oauth,
    rest::{self, Incoming, Labelled, guarded, router::Address},
    state::App,
};

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
        Ok(guarded(app, request, |app, incoming| Box::pin(answer(app, incoming))).await)
    }
}

async fn answer(app: Arc<App>, incoming: Incoming) -> Labelled {
    let path = incoming.path.clone();
    match rest::router::address(&path) {
        Address::Auth(name, asked) => oauth::answer(app, incoming, name, asked).await,
        Address::Admin(name, below) => admin::tenant::answer(app, incoming, name, below).await,
        _ => rest::answer(app, incoming).await,
    }
}
