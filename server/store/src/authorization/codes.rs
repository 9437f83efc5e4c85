//! Authorization codes: good once, for a minute. A used one stays until it would have ended, so that a second use shows.

use chrono::{DateTime, Utc};

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "code";

/// A code, bound to what it was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 of it, in base64url.
    pub hash: String,
    /// The approval it stands for.
    pub approval: String,
    /// Where it was sent, to the letter.
    pub redirect_uri: String,
    /// The PKCE challenge (S256).
    pub challenge: String,
    /// The `nonce` that the id_token has to carry.
    pub nonce: Option<String>,
    /// The thumbprint of the DPoP key that alone may use it (RFC 9449, section 10).
    pub jkt: Option<String>,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// A code that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenCode {
    /// The code.
    pub code: Code,
    /// Whether it was brought before.
    pub used_before: bool,
}

impl AuthorizationTx {
    /// Adds a code, and removes some that ran out.
    pub async fn insert_code(&mut self, code: &Code, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut sql = Sql::new("code.sweep");
        sql.push("DELETE FROM code WHERE hash IN (SELECT c.hash FROM code c WHERE c.expires < ").bind(now);
        sql.push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("code.insert");
        sql.push("INSERT INTO code (hash, approval, redirect_uri, challenge, nonce, jkt, expires) VALUES (");
        sql.bind(code.hash.as_str()).push(", ").bind(code.approval.as_str()).push(", ");
        sql.bind(code.redirect_uri.as_str()).push(", ").bind(code.challenge.as_str()).push(", ");
        sql.bind(code.nonce.as_deref()).push(", ").bind(code.jkt.as_deref()).push(", ").bind(code.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// Takes a code. Of two who bring it at once, the second waits for the first to commit and finds it used.
    pub async fn take_code(&mut self, hash: &str, now: DateTime<Utc>) -> Result<Option<TakenCode>, StoreError> {
        let mut sql = Sql::new("code.take");
        sql.push("UPDATE code AS c SET used = ").bind(now).push(" WHERE c.hash = ").bind(hash);
        sql.push(
            " AND c.used IS NULL \
             RETURNING c.tenant, c.hash, c.approval, c.redirect_uri, c.challenge, c.nonce, c.jkt, c.expires",
        );
        let rows = self.rows(sql).await?;
        if let Some(row) = rows.first() {
            return Ok(Some(TakenCode { code: read(row)?, used_before: false }));
        }
        let mut sql = Sql::new("code.find_used");
        sql.push(
            "SELECT c.tenant, c.hash, c.approval, c.redirect_uri, c.challenge, c.nonce, c.jkt, c.expires FROM code c \
             WHERE c.hash = ",
        );
        sql.bind(hash);
        let rows = self.rows(sql).await?;
        rows.first().map(|row| Ok(TakenCode { code: read(row)?, used_before: true })).transpose()
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<Code, StoreError> {
    Ok(Code {
        hash: get(row, TABLE, "hash")?,
        approval: get(row, TABLE, "approval")?,
        redirect_uri: get(row, TABLE, "redirect_uri")?,
        challenge: get(row, TABLE, "challenge")?,
        nonce: get(row, TABLE, "nonce")?,
        jkt: get(row, TABLE, "jkt")?,
        expires: get(row, TABLE, "expires")?,
    })
}
