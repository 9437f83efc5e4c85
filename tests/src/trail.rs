//! What a request left in the audit trail, as it is stored.

use serde_json::Value;

use crate::{Tenant, sql};

impl Tenant {
    /// What a request left in this tenant's own chain.
    pub async fn records_of(&self, request_id: &str) -> Vec<Value> {
        assert!(request_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{request_id}");
        let urls = &self.server.cluster.urls;
        let select = format!(
            "SELECT record FROM audit.record WHERE chain = '{}' AND record LIKE '%\"request_id\":\"{request_id}\"%'",
            self.role()
        );
        let found = sql::run(&urls.audit_read, &select).await;
        found.lines().map(|record| serde_json::from_str(record).expect("a record is JSON")).collect()
    }

    /// The one record of a request.
    ///
    /// # Panics
    /// When there is none, or more than one: no answer leaves before its record is written.
    pub async fn record_of(&self, request_id: &str) -> Value {
        assert!(request_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{request_id}");
        let urls = &self.server.cluster.urls;
        let select = format!("SELECT record FROM audit.record WHERE record LIKE '%\"request_id\":\"{request_id}\"%'");
        let found = sql::run(&urls.audit_read, &select).await;
        assert_eq!(found.lines().count(), 1, "records of {request_id}: {found}");
        serde_json::from_str(&found).expect("a record is JSON")
    }
}
