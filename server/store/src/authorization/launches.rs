//! Launches that an EHR announced: for one app and one user, good once, for minutes (SMART App Launch 2.2, EHR launch).

use chrono::{DateTime, Utc};

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "launch";

/// A launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// SHA-256 of its handle, in base64url.
    pub hash: String,
    /// The app that is launched.
    pub client: String,
    /// The user who launches it.
    pub account: String,
    /// The launch context, as JSON.
    pub context: String,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

impl AuthorizationTx {
    /// Adds a launch, and removes some that ran out.
    pub async fn insert_launch(&mut self, launch: &Launch, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut sql = Sql::new("launch.sweep");
        sql.push("DELETE FROM launch WHERE hash IN (SELECT l.hash FROM launch l WHERE l.expires < ").bind(now);
        sql.push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("launch.insert");
        sql.push("INSERT INTO launch (hash, client, account, context, expires) VALUES (").bind(launch.hash.as_str());
        sql.push(", ").bind(launch.client.as_str()).push(", ").bind(launch.account.as_str()).push(", ");
        sql.bind(launch.context.as_str()).push(", ").bind(launch.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// Looks at a launch of a client that is still good, without using it.
    pub async fn launch(&mut self, hash: &str, client: &str, now: DateTime<Utc>) -> Result<Option<Launch>, StoreError> {
        let mut sql = Sql::new("launch.find");
        sql.push("SELECT l.tenant, l.hash, l.client, l.account, l.context, l.expires FROM launch l WHERE l.hash = ");
        sql.bind(hash).push(" AND l.client = ").bind(client).push(" AND l.used IS NULL AND l.expires > ").bind(now);
        self.rows(sql).await?.first().map(read).transpose()
    }

    /// Takes a launch, if it is this client's and this user's, and was not taken before.
    pub async fn take_launch(
        &mut self,
        hash: &str,
        client: &str,
        account: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Launch>, StoreError> {
        let mut sql = Sql::new("launch.take");
        sql.push("UPDATE launch AS l SET used = ").bind(now).push(" WHERE l.hash = ").bind(hash);
        sql.push(" AND l.client = ").bind(client).push(" AND l.account = ").bind(account);
        sql.push(" AND l.used IS NULL AND l.expires > ").bind(now);
        sql.push(" RETURNING l.tenant, l.hash, l.client, l.account, l.context, l.expires");
        self.rows(sql).await?.first().map(read).transpose()
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<Launch, StoreError> {
    Ok(Launch {
        hash: get(row, TABLE, "hash")?,
        client: get(row, TABLE, "client")?,
        account: get(row, TABLE, "account")?,
        context: get(row, TABLE, "context")?,
        expires: get(row, TABLE, "expires")?,
    })
}
