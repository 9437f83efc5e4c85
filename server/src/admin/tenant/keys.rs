//! `/admin/keys`: the keys the tenant signs its tokens with; POST rotates them.

use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Call, Problem, json, route::What};
use crate::authorization::{
    administration,
    keys::{self, Overlap},
};

/// How to rotate; an empty object is the usual way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// Refuse the tokens of the old keys at once.
    #[serde(default)]
    now: bool,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What) -> Result<Response, Problem> {
    let status = if what == What::Create {
        let wire: Wire = call.body().await?;
        let overlap = if wire.now { Overlap::None } else { Overlap::UntilTokensEnd };
        keys::rotate(&call.app.desk, call.tenant, overlap).await?;
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let keys = administration::keys(&call.app.desk, call.tenant).await?;
    json(status, &json!({ "keys": keys.iter().map(administration::shown_key).collect::<Vec<_>>() }))
}
