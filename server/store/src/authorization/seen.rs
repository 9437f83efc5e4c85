//! What is good once and was seen: ids of client assertions and of DPoP proofs, hashed with what they belong to.

use chrono::{DateTime, Utc};

use super::AuthorizationTx;
use crate::{StoreError, sql::Sql};

impl AuthorizationTx {
    /// Writes down that something was seen; false if it was before. Of two at once the second waits for the first.
    pub async fn see(&mut self, hash: &str, expires: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("seen.insert");
        sql.push("WITH swept AS (DELETE FROM seen WHERE hash IN (SELECT s.hash FROM seen s WHERE s.expires < ");
        sql.bind(now).push(" ORDER BY s.expires LIMIT 4 FOR UPDATE SKIP LOCKED)) ");
        sql.push("INSERT INTO seen AS s (hash, expires) VALUES (").bind(hash).push(", ").bind(expires);
        sql.push(") ON CONFLICT (hash) DO NOTHING RETURNING s.tenant");
        self.touches(sql).await
    }
}
