//! `/admin/api-keys`: keys for development, where the tenant takes them.

use chrono::TimeDelta;
use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use vitals_fhir::resource::is_id;

use super::{Call, Problem, created, ended, json, route::What};
use crate::authorization::api_keys::{self, NewKey};

/// How long a key is good for of which nothing else is said, and the longest.
const USUAL_DAYS: u32 = 90;
const MOST_DAYS: u32 = 366;

/// A key to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    scope: String,
    name: Option<String>,
    patient: Option<String>,
    days: Option<u32>,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    match what {
        What::Create => create(call).await,
        What::Revoke => ended(api_keys::revoke(desk, call.tenant, id).await?, "API key"),
        _ => json(StatusCode::OK, &json!({ "api_keys": api_keys::list(desk, call.tenant).await? })),
    }
}

async fn create(call: &mut Call<'_>) -> Result<Response, Problem> {
    if !call.tenant.settings.takes_api_keys() {
        return Err(Problem::taken("This tenant takes no API keys: its operator lets it, where its data is not real."));
    }
    let wire: Wire = call.body().await?;
    let days = wire.days.unwrap_or(USUAL_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Problem::unprocessable(format!("A key is good for 1 to {MOST_DAYS} days.")));
    }
    if wire.patient.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Problem::unprocessable("patient is one logical id, without a type before it."));
    }
    let new = NewKey {
        name: wire.name.unwrap_or_else(|| "api-key".to_owned()),
        scope: wire.scope,
        patient: wire.patient,
        lifetime: TimeDelta::days(days.into()),
        created_by: call.by(),
    };
    let made = api_keys::create(&call.app.desk, call.tenant, new).await?;
    call.record.resource_id = Some(made.row.id.clone());
    let mut shown = serde_json::to_value(&made.row).map_err(|_| Problem::internal("answer"))?;
    shown["key"] = Value::from(made.key);
    created(call, "api-keys", &made.row.id, &shown)
}
