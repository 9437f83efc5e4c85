//! Sessions: people who are signed in. The cookie is known by its hash only; the id is what tokens and lists name it by.

use chrono::{DateTime, Utc};

use super::{Account, AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "session";

/// Somebody's signing in at one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie, in base64url.
    pub hash: String,
    /// The name of it in tokens (`sid`) and lists.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// The address it began at.
    pub address: Option<String>,
    /// When it began.
    pub created: DateTime<Utc>,
    /// When it was last used.
    pub seen: DateTime<Utc>,
    /// When it ends unless it is used.
    pub expires: DateTime<Utc>,
}

/// A session that holds, with its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Who it is.
    pub account: Account,
}

impl Session {
    fn read(row: &sqlx::postgres::PgRow) -> Result<Self, StoreError> {
        Ok(Self {
            hash: get(row, TABLE, "session_hash")?,
            id: get(row, TABLE, "session_id")?,
            account: get(row, TABLE, "session_account")?,
            address: get(row, TABLE, "session_address")?,
            created: get(row, TABLE, "session_created")?,
            seen: get(row, TABLE, "session_seen")?,
            expires: get(row, TABLE, "session_expires")?,
        })
    }
}

/// The columns of a session.
const SELECT: &str = "SELECT s.tenant, s.hash AS session_hash, s.id AS session_id, s.account AS session_account, \
     s.address AS session_address, s.created AS session_created, s.seen AS session_seen, s.expires AS session_expires";

impl AuthorizationTx {
    /// Adds a session, and removes some that have ended.
    pub async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let mut sql = Sql::new("session.sweep");
        sql.push("DELETE FROM session WHERE hash IN (SELECT s.hash FROM session s WHERE s.expires < ");
        sql.bind(session.created).push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("session.insert");
        sql.push("INSERT INTO session (hash, id, account, address, created, seen, expires) VALUES (");
        sql.bind(session.hash.as_str()).push(", ").bind(session.id.as_str()).push(", ");
        sql.bind(session.account.as_str()).push(", ").bind(session.address.as_deref()).push(", ");
        sql.bind(session.created).push(", ").bind(session.seen).push(", ").bind(session.expires).push(")");
        self.rows(sql).await.map(drop)
    }

    /// The session of a cookie, if it has not ended and its account has not.
    pub async fn session(&mut self, hash: &str, now: DateTime<Utc>) -> Result<Option<SignedIn>, StoreError> {
        let mut sql = Sql::new("session.find");
        sql.push(SELECT).push(
            ", a.id, a.username, a.name, a.password, a.issuer, a.subject, a.fhir_user, a.patients, a.scopes, \
             a.failures, a.locked_until, a.created, a.revoked \
             FROM session s JOIN account a ON a.id = s.account WHERE a.revoked IS NULL AND s.hash = ",
        );
        sql.bind(hash).push(" AND s.expires > ").bind(now);
        let rows = self.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(SignedIn { session: Session::read(row)?, account: Account::read(row)? }))
    }

    /// Whether a session, by its id, has not ended.
    pub async fn session_holds(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("session.holds");
        sql.push("SELECT s.tenant FROM session s WHERE s.id = ").bind(id).push(" AND s.expires > ").bind(now);
        self.touches(sql).await
    }

    /// Writes down that a session was used, and when it ends unless it is used again.
    pub async fn touch_session(
        &mut self,
        hash: &str,
        now: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new("session.touch");
        sql.push("UPDATE session SET seen = ").bind(now).push(", expires = ").bind(expires);
        sql.push(" WHERE hash = ").bind(hash);
        self.rows(sql).await.map(drop)
    }

    /// Ends the session of a cookie; the answer is its id.
    pub async fn end_session(&mut self, hash: &str) -> Result<Option<String>, StoreError> {
        let mut sql = Sql::new("session.end");
        sql.push("DELETE FROM session AS s WHERE s.hash = ").bind(hash).push(" RETURNING s.tenant, s.id");
        self.rows(sql).await?.first().map(|row| get(row, TABLE, "id")).transpose()
    }

    /// Ends the session of an id; false if there is none.
    pub async fn end_session_id(&mut self, id: &str) -> Result<bool, StoreError> {
        let mut sql = Sql::new("session.end_id");
        sql.push("DELETE FROM session AS s WHERE s.id = ").bind(id).push(" RETURNING s.tenant");
        self.touches(sql).await
    }

    /// Ends all sessions of an account; the answer is their ids.
    pub async fn end_sessions_of(&mut self, account: &str) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("session.end_of_account");
        sql.push("DELETE FROM session AS s WHERE s.account = ").bind(account).push(" RETURNING s.tenant, s.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }

    /// Ends all sessions; the answer is their ids.
    pub async fn end_all_sessions(&mut self) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("session.end_all");
        sql.push("DELETE FROM session AS s RETURNING s.tenant, s.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }

    /// The sessions that have not ended, newest first.
    pub async fn sessions(&mut self, now: DateTime<Utc>) -> Result<Vec<Session>, StoreError> {
        let mut sql = Sql::new("session.list");
        sql.push(SELECT).push(" FROM session s WHERE s.expires > ").bind(now).push(" ORDER BY s.created DESC, s.id");
        self.rows(sql).await?.iter().map(Session::read).collect()
    }
}
