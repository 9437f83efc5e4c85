//! Refresh tokens: each good once. The use of a replaced one shows that two have it, and ends its approval (RFC 9700,
//! section 4.14).

use chrono::{DateTime, Utc};

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "refresh_token";

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of it, in base64url.
    pub hash: String,
    /// The approval it stands for.
    pub approval: String,
    /// The thumbprint of the DPoP key that alone may use it (RFC 9449, section 5).
    pub jkt: Option<String>,
    /// When it was given.
    pub created: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// A refresh token that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenRefreshToken {
    /// The token.
    pub token: RefreshToken,
    /// Whether it was brought, and replaced, before.
    pub used_before: bool,
}

impl AuthorizationTx {
    /// Adds a refresh token, and removes those of the same approval that ran out.
    pub async fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        let mut sql = Sql::new("refresh_token.sweep");
        sql.push("DELETE FROM refresh_token WHERE hash IN (SELECT r.hash FROM refresh_token r WHERE r.approval = ");
        sql.bind(token.approval.as_str()).push(" AND r.expires < ").bind(token.created);
        sql.push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("refresh_token.insert");
        sql.push("INSERT INTO refresh_token (hash, approval, jkt, created, expires) VALUES (");
        sql.bind(token.hash.as_str()).push(", ").bind(token.approval.as_str()).push(", ").bind(token.jkt.as_deref());
        sql.push(", ").bind(token.created).push(", ").bind(token.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// When an app last got a refresh token under an approval.
    pub async fn last_refreshed(&mut self, approval: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut sql = Sql::new("refresh_token.last");
        sql.push("SELECT r.tenant, r.created FROM refresh_token r WHERE r.approval = ").bind(approval);
        sql.push(" ORDER BY r.created DESC LIMIT 1");
        self.rows(sql).await?.first().map(|row| get(row, TABLE, "created")).transpose()
    }

    /// Takes a refresh token. Of two who bring it at once, the second waits for the first to commit and finds it used.
    pub async fn take_refresh_token(
        &mut self,
        hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<TakenRefreshToken>, StoreError> {
        let mut sql = Sql::new("refresh_token.take");
        sql.push("UPDATE refresh_token AS r SET used = ").bind(now).push(" WHERE r.hash = ").bind(hash);
        sql.push(" AND r.used IS NULL RETURNING r.tenant, r.hash, r.approval, r.jkt, r.created, r.expires, r.used");
        let rows = self.rows(sql).await?;
        if let Some(row) = rows.first() {
            return Ok(Some(TakenRefreshToken { token: read(row)?, used_before: false }));
        }
        self.refresh_token(hash).await
    }

    /// Looks at a refresh token without using it.
    pub async fn refresh_token(&mut self, hash: &str) -> Result<Option<TakenRefreshToken>, StoreError> {
        let mut sql = Sql::new("refresh_token.find");
        sql.push(
            "SELECT r.tenant, r.hash, r.approval, r.jkt, r.created, r.expires, r.used FROM refresh_token r \
             WHERE r.hash = ",
        );
        sql.bind(hash);
        let rows = self.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let used: Option<DateTime<Utc>> = get(row, TABLE, "used")?;
        Ok(Some(TakenRefreshToken { token: read(row)?, used_before: used.is_some() }))
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<RefreshToken, StoreError> {
    Ok(RefreshToken {
        hash: get(row, TABLE, "hash")?,
        approval: get(row, TABLE, "approval")?,
        jkt: get(row, TABLE, "jkt")?,
        created: get(row, TABLE, "created")?,
        expires: get(row, TABLE, "expires")?,
    })
}
