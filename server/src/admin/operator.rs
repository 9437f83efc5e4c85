//! A request of the operator's, from the guard to its answer.

use poem::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};

use super::{
    audited::Audited,
    guard::{Guard, Visitor},
    problem::Problem,
    route::{self, Ask, Asked},
    tenants,
};
use crate::{
    rest::{Incoming, Labelled, respond},
    state::App,
};

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the operator's requests need beside the application.
pub struct Desk {
    /// Keeps out who is not the operator.
    pub guard: Guard,
    /// The administering role, in the database of the tenants.
    pub admin_url: Option<String>,
}

/// Answers a request. Nothing is done for a visitor that the guard does not let in, and the refusal is in the trail.
pub async fn answer(desk: &Desk, app: &App, incoming: Incoming, authority: Option<&str>) -> Labelled {
    let path = incoming.path.clone();
    let asked = route::asked(&path, &incoming.method);
    let visitor = Visitor { headers: &incoming.headers, authority, peer: incoming.address };
    let outcome = match desk.guard.admit(asked.ask.door(), &visitor) {
        Err(refused) => {
            let problem = Problem::from(refused);
            Err(Audited::of(app, &incoming, &asked).end(Err(&problem)).await.err().unwrap_or(problem))
        }
        Ok(()) => admitted(desk, app, incoming, &asked).await,
    };
    let response = outcome.unwrap_or_else(Problem::into_response);
    Labelled { response, route: asked.route, interaction: None }
}

async fn admitted(desk: &Desk, app: &App, incoming: Incoming, asked: &Asked<'_>) -> Result<Response, Problem> {
    match asked.ask {
        Ask::List => tenants::list(desk, app).await,
        Ask::Show => tenants::show(desk, app, asked.tenant).await,
        Ask::Migrations => tenants::migrations(desk).await,
        Ask::Create | Ask::Suspend | Ask::Resume | Ask::Delete => change(desk, app, incoming, asked).await,
        Ask::Metrics => metrics(app),
        Ask::Healthz => Ok(respond::json(StatusCode::OK, r#"{"status":"ok"}"#.to_owned())),
        Ask::Readyz => {
            let report = app.readiness();
            let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            Ok(respond::json(status, report.to_json()))
        }
        Ask::NotOffered(allow) => Err(Problem::not_offered(allow)),
        Ask::Nothing => Err(Problem::no_such_address()),
    }
}

/// A change leaves its record before its answer leaves, whatever came of it.
async fn change(desk: &Desk, app: &App, incoming: Incoming, asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut audited = Audited::of(app, &incoming, asked).by_operator();
    let mut change = tenants::Change { desk, app, audited: &mut audited };
    let outcome = match asked.ask {
        Ask::Create => change.create(incoming).await,
        Ask::Delete => change.delete(asked.tenant, &incoming.query).await,
        Ask::Suspend => change.suspend(asked.tenant).await,
        _ => change.resume(asked.tenant).await,
    };
    audited.end(outcome.as_ref().map(|response| response.status().as_u16())).await?;
    outcome
}

fn metrics(app: &App) -> Result<Response, Problem> {
    let page = app.metrics.render().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the metrics page cannot be made");
        Problem::internal("metrics")
    })?;
    let mut response = Response::builder().status(StatusCode::OK).body(Body::from_string(page));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    Ok(response)
}
