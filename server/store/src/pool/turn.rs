//! The turn of a search: how many of a tenant's run at once is bounded beyond the connections they use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vitals_access::tenant::TenantRole;

use super::Inner;

/// A search of this length is nobody's burden: a page of fifty.
const LIGHT: Duration = Duration::from_millis(1);
/// Longest rest: the tenant's own light searches wait as well.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// A tenant's turn to search, over when it is dropped. It outlives the connection until what was found is an answer: a page
/// of a thousand is as much work to put into words as to find, and a tenant that had the database look for its next page
/// meanwhile would have both processors. Beside other tenants it outlives a heavy one by a rest, in which the processor is
/// theirs.
pub struct SearchTurn {
    inner: Arc<Inner>,
    role: TenantRole,
    since: Instant,
}

impl SearchTurn {
    pub(super) fn new(inner: &Arc<Inner>, role: &TenantRole) -> Self {
        Self { inner: Arc::clone(inner), role: role.clone(), since: Instant::now() }
    }
}

impl Drop for SearchTurn {
    fn drop(&mut self) {
        let rest =
            (self.since.elapsed().saturating_sub(LIGHT) * self.inner.limits.rests_beside_others).min(LONGEST_REST);
        let is_alone = rest.is_zero() || self.inner.state().is_alone(&self.role);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !is_alone => {
                let (inner, role) = (Arc::clone(&self.inner), self.role.clone());
                runtime.spawn(async move {
                    tokio::time::sleep(rest).await;
                    end(&inner, &role);
                });
            }
            _ => end(&self.inner, &self.role),
        }
    }
}

fn end(inner: &Inner, role: &TenantRole) {
    let closed = inner.state().end_search(role);
    drop(closed);
}
