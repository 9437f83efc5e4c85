//! Authorization requests that clients pushed ahead (RFC 9126): good once, for a minute or so.

use chrono::{DateTime, Utc};

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

/// A pushed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRequest {
    /// SHA-256 of its `request_uri`, in base64url.
    pub hash: String,
    /// Who pushed it.
    pub client: String,
    /// Its parameters, as JSON.
    pub parameters: String,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

impl AuthorizationTx {
    /// Adds a request, and removes some that ran out.
    pub async fn insert_pushed_request(
        &mut self,
        request: &PushedRequest,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new("pushed_request.sweep");
        sql.push("DELETE FROM pushed_request WHERE hash IN (SELECT q.hash FROM pushed_request q WHERE q.expires < ");
        sql.bind(now).push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("pushed_request.insert");
        sql.push("INSERT INTO pushed_request (hash, client, parameters, expires) VALUES (");
        sql.bind(request.hash.as_str()).push(", ").bind(request.client.as_str()).push(", ");
        sql.bind(request.parameters.as_str()).push(", ").bind(request.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// Takes the parameters of a request, if it is this client's and was not taken before.
    pub async fn take_pushed_request(
        &mut self,
        hash: &str,
        client: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<String>, StoreError> {
        let mut sql = Sql::new("pushed_request.take");
        sql.push("UPDATE pushed_request AS q SET used = ").bind(now).push(" WHERE q.hash = ").bind(hash);
        sql.push(" AND q.client = ").bind(client).push(" AND q.used IS NULL AND q.expires > ").bind(now);
        sql.push(" RETURNING q.tenant, q.parameters");
        self.rows(sql).await?.first().map(|row| get(row, "pushed_request", "parameters")).transpose()
    }
}
