//! The tenant's own administration, `/t/{tenant}/admin/…`, for whoever holds the scope `admin:users` there.

use std::sync::Arc;

use vitals_access::tenant::TenantName;

use crate::{
    rest::{self, Incoming, Labelled},
    state::App,
};

/// Answers a request below `/t/{tenant}/admin`.
pub(crate) async fn answer(app: Arc<App>, incoming: Incoming, _name: TenantName, _below: &str) -> Labelled {
    rest::answer(app, incoming).await
}
