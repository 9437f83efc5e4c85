//! `/admin/sessions`: who is signed in, and what people approved for apps. Either ends by its id.

use poem::{Response, http::StatusCode};

use super::{Call, Problem, ended, json, route::What};
use crate::authorization::administration;

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    if what == What::Revoke {
        let done = administration::end_session_or_approval(desk, call.tenant, id).await?;
        return ended(done, "session or approval");
    }
    json(StatusCode::OK, &administration::sessions(desk, call.tenant).await?)
}
