//! The turn of a search: how many of a tenant's run at once is bounded beyond the connections they use.

use std::sync::Arc;

use vitals_access::tenant::TenantRole;

use super::Inner;

/// A tenant's turn to search, over when it is dropped. It outlives the connection until what was found is an answer: a page
/// of a thousand is as much work to put into words as to find, and a tenant that had the database look for its next page
/// meanwhile would have both processors.
pub struct SearchTurn {
    inner: Arc<Inner>,
    role: TenantRole,
}

impl SearchTurn {
    pub(super) fn new(inner: &Arc<Inner>, role: &TenantRole) -> Self {
        Self { inner: Arc::clone(inner), role: role.clone() }
    }
}

impl Drop for SearchTurn {
    fn drop(&mut self) {
        let closed = self.inner.state().end_search(&self.role);
        drop(closed);
    }
}
