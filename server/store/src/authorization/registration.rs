//! Initial access tokens: who holds one may register clients (RFC 7591, section 1.2).

use chrono::{DateTime, Utc};

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "registration_token";

/// An initial access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// SHA-256 of it, in base64url.
    pub hash: String,
    /// The name of it in lists.
    pub id: String,
    /// What clients registered with it may be granted at most.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
}

/// The columns of a token.
const SELECT: &str =
    "SELECT r.tenant, r.hash, r.id, r.scopes, r.created, r.expires, r.revoked FROM registration_token r";

impl AuthorizationTx {
    /// Adds a token, and removes some that ran out.
    pub async fn insert_registration_token(&mut self, token: &RegistrationToken) -> Result<(), StoreError> {
        let mut sql = Sql::new("registration_token.sweep");
        sql.push("DELETE FROM registration_token WHERE hash IN (SELECT r.hash FROM registration_token r ");
        sql.push("WHERE r.expires < ").bind(token.created).push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("registration_token.insert");
        sql.push("INSERT INTO registration_token (hash, id, scopes, created, expires) VALUES (");
        sql.bind(token.hash.as_str()).push(", ").bind(token.id.as_str()).push(", ").bind(token.scopes.clone());
        sql.push(", ").bind(token.created).push(", ").bind(token.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// A token that is good.
    pub async fn registration_token(
        &mut self,
        hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<RegistrationToken>, StoreError> {
        let mut sql = Sql::new("registration_token.find");
        sql.push(SELECT).push(" WHERE r.revoked IS NULL AND r.hash = ").bind(hash).push(" AND r.expires > ").bind(now);
        self.rows(sql).await?.first().map(read).transpose()
    }

    /// All tokens, newest first.
    pub async fn registration_tokens(&mut self) -> Result<Vec<RegistrationToken>, StoreError> {
        let mut sql = Sql::new("registration_token.list");
        sql.push(SELECT).push(" ORDER BY r.created DESC, r.id");
        self.rows(sql).await?.iter().map(read).collect()
    }

    /// Ends a token; false if there is none, or it has ended.
    pub async fn revoke_registration_token(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("registration_token.revoke");
        sql.push("UPDATE registration_token AS r SET revoked = ").bind(now).push(" WHERE r.id = ").bind(id);
        sql.push(" AND r.revoked IS NULL RETURNING r.tenant");
        self.touches(sql).await
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<RegistrationToken, StoreError> {
    Ok(RegistrationToken {
        hash: get(row, TABLE, "hash")?,
        id: get(row, TABLE, "id")?,
        scopes: get(row, TABLE, "scopes")?,
        created: get(row, TABLE, "created")?,
        expires: get(row, TABLE, "expires")?,
        revoked: get(row, TABLE, "revoked")?,
    })
}
