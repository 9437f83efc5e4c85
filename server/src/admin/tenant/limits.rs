//! `/admin/limits`: what the tenant's callers may do, and how much of it they did.

use poem::{Response, http::StatusCode};
use serde::Serialize;
use vitals_access::limits::Category;

use super::{Call, Problem, json};
use crate::limit::Reading;

/// All of it.
#[derive(Serialize)]
struct Shown<'c> {
    tenant: &'c str,
    tier: &'c str,
    /// Whether servers count together.
    shared: bool,
    limits: Vec<Limit>,
}

/// A category that is limited.
#[derive(Serialize)]
struct Limit {
    category: &'static str,
    windows: Vec<Window>,
    /// Each client that came to this server lately.
    clients: Vec<Client>,
}

#[derive(Serialize)]
struct Client {
    client: String,
    windows: Vec<Window>,
}

#[derive(Serialize)]
struct Window {
    #[serde(rename = "window")]
    name: &'static str,
    seconds: u64,
    quota: u64,
    used: u64,
    remaining: u64,
}

impl Window {
    fn of(reading: &Reading) -> Self {
        Self {
            name: reading.span.name(),
            seconds: reading.span.millis() / 1_000,
            quota: reading.limit,
            used: reading.used,
            remaining: reading.left(),
        }
    }

    fn all(readings: &[Reading]) -> Vec<Self> {
        readings.iter().map(Self::of).collect()
    }
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>) -> Result<Response, Problem> {
    let (app, tenant) = (call.app, call.tenant);
    let now = app.clock.now().timestamp_millis();
    let mut limits = Vec::new();
    for category in Category::ALL {
        let usage = app.limiter.usage(tenant, category, now).await;
        if usage.tenant.is_empty() && usage.clients.is_empty() {
            continue;
        }
        let clients = usage.clients.into_iter();
        limits.push(Limit {
            category: category.name(),
            windows: Window::all(&usage.tenant),
            clients: clients.map(|(client, readings)| Client { client, windows: Window::all(&readings) }).collect(),
        });
    }
    let shared = app.limiter.shared_figures().is_some_and(|(.., away)| !away);
    json(StatusCode::OK, &Shown { tenant: tenant.name.as_str(), tier: &tenant.tier, shared, limits })
}
