//! Approvals: what somebody let an app do. Its codes and refresh tokens hang on it, and end with it.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "approval";

/// Whether refresh tokens are given, and how long they are good (SMART App Launch 2.2, `online_access`,
/// `offline_access`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// None are given.
    None,
    /// As long as the session.
    Online,
    /// Until the approval ends.
    Offline,
}

impl Refresh {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Online, Self::Offline].into_iter().find(|refresh| refresh.name() == name)
    }
}

/// What somebody let an app do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The name of it in tokens (`approval_id`) and lists.
    pub id: String,
    /// The app.
    pub client: String,
    /// Who approved.
    pub account: String,
    /// The id of the session it was given in.
    pub session: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The launch context, as JSON.
    pub context: String,
    /// Whether refresh tokens are given.
    pub refresh: Refresh,
    /// When it was given.
    pub created: DateTime<Utc>,
    /// When it ends by itself.
    pub expires: DateTime<Utc>,
    /// When it was ended.
    pub ended: Option<DateTime<Utc>>,
}

impl Approval {
    /// Whether it still stands.
    #[must_use]
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && self.expires > now
    }

    fn read(row: &PgRow) -> Result<Self, StoreError> {
        let wrong = StoreError::Inconsistent { table: TABLE, column: "refresh" };
        Ok(Self {
            id: get(row, TABLE, "id")?,
            client: get(row, TABLE, "client")?,
            account: get(row, TABLE, "account")?,
            session: get(row, TABLE, "session")?,
            scopes: get(row, TABLE, "scopes")?,
            context: get(row, TABLE, "context")?,
            refresh: Refresh::named(get(row, TABLE, "refresh")?).ok_or(wrong)?,
            created: get(row, TABLE, "created")?,
            expires: get(row, TABLE, "expires")?,
            ended: get(row, TABLE, "ended")?,
        })
    }
}

/// The columns of an approval.
const SELECT: &str = "SELECT p.tenant, p.id, p.client, p.account, p.session, p.scopes, p.context, p.refresh, p.created, \
     p.expires, p.ended FROM approval p";

impl AuthorizationTx {
    /// Adds an approval, and removes those of the account that ran out.
    pub async fn insert_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let mut sql = Sql::new("approval.sweep");
        sql.push("DELETE FROM approval WHERE id IN (SELECT p.id FROM approval p WHERE p.account = ");
        sql.bind(approval.account.as_str()).push(" AND p.expires < ").bind(approval.created);
        sql.push(" LIMIT 100 FOR UPDATE SKIP LOCKED)");
        self.rows(sql).await?;
        let mut sql = Sql::new("approval.insert");
        sql.push(
            "INSERT INTO approval (id, client, account, session, scopes, context, refresh, created, expires) VALUES (",
        );
        sql.bind(approval.id.as_str()).push(", ").bind(approval.client.as_str()).push(", ");
        sql.bind(approval.account.as_str()).push(", ").bind(approval.session.as_deref()).push(", ");
        sql.bind(approval.scopes.clone()).push(", ").bind(approval.context.as_str()).push(", ");
        sql.bind(approval.refresh.name()).push(", ").bind(approval.created).push(", ").bind(approval.expires);
        sql.push(")");
        self.rows(sql).await.map(drop)
    }

    /// The approval of an id, ended or not.
    pub async fn approval(&mut self, id: &str) -> Result<Option<Approval>, StoreError> {
        let mut sql = Sql::new("approval.find");
        sql.push(SELECT).push(" WHERE p.id = ").bind(id);
        self.rows(sql).await?.first().map(Approval::read).transpose()
    }

    /// The same, which nobody can end until this transaction has.
    pub async fn hold_approval(&mut self, id: &str) -> Result<Option<Approval>, StoreError> {
        let mut sql = Sql::new("approval.hold");
        sql.push(SELECT).push(" WHERE p.id = ").bind(id).push(" FOR NO KEY UPDATE");
        self.rows(sql).await?.first().map(Approval::read).transpose()
    }

    /// Lets an approval stand until a later time. False if it has ended, or stands as long already.
    pub async fn prolong_approval(&mut self, id: &str, expires: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("approval.prolong");
        sql.push("UPDATE approval AS p SET expires = ").bind(expires).push(" WHERE p.id = ").bind(id);
        sql.push(" AND p.ended IS NULL AND p.expires < ").bind(expires).push(" RETURNING p.tenant");
        self.touches(sql).await
    }

    /// What somebody approved and still stands, newest first.
    pub async fn approvals_of(&mut self, account: &str, now: DateTime<Utc>) -> Result<Vec<Approval>, StoreError> {
        let mut sql = Sql::new("approval.of_account");
        sql.push(SELECT).push(" WHERE p.account = ").bind(account).push(" AND p.ended IS NULL AND p.expires > ");
        sql.bind(now).push(" ORDER BY p.created DESC, p.id");
        self.rows(sql).await?.iter().map(Approval::read).collect()
    }

    /// What was approved for a client and still stands, newest first.
    pub async fn approvals_of_client(&mut self, client: &str, now: DateTime<Utc>) -> Result<Vec<Approval>, StoreError> {
        let mut sql = Sql::new("approval.of_client");
        sql.push(SELECT).push(" WHERE p.client = ").bind(client).push(" AND p.ended IS NULL AND p.expires > ");
        sql.bind(now).push(" ORDER BY p.created DESC, p.id");
        self.rows(sql).await?.iter().map(Approval::read).collect()
    }

    /// Ends an approval; false if there is none, or it has ended.
    pub async fn end_approval(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("approval.end");
        sql.push("UPDATE approval AS p SET ended = ").bind(now).push(" WHERE p.id = ").bind(id);
        sql.push(" AND p.ended IS NULL RETURNING p.tenant");
        self.touches(sql).await
    }

    /// Ends what lives as long as a session: all its approvals but those with offline access. The answer is their ids.
    pub async fn end_approvals_of_session(
        &mut self,
        session: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("approval.end_of_session");
        sql.push("UPDATE approval AS p SET ended = ").bind(now).push(" WHERE p.session = ").bind(session);
        sql.push(" AND p.refresh <> 'offline' AND p.ended IS NULL RETURNING p.tenant, p.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }

    /// Ends everything an account approved; the answer is the ids.
    pub async fn end_approvals_of(&mut self, account: &str, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("approval.end_of_account");
        sql.push("UPDATE approval AS p SET ended = ").bind(now).push(" WHERE p.account = ").bind(account);
        sql.push(" AND p.ended IS NULL RETURNING p.tenant, p.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }

    /// Ends everything that was approved for a client; the answer is the ids.
    pub async fn end_approvals_of_client(
        &mut self,
        client: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("approval.end_of_client");
        sql.push("UPDATE approval AS p SET ended = ").bind(now).push(" WHERE p.client = ").bind(client);
        sql.push(" AND p.ended IS NULL RETURNING p.tenant, p.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }

    /// Ends every approval; the answer is the ids.
    pub async fn end_all_approvals(&mut self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("approval.end_all");
        sql.push("UPDATE approval AS p SET ended = ").bind(now);
        sql.push(" WHERE p.ended IS NULL RETURNING p.tenant, p.id");
        self.rows(sql).await?.iter().map(|row| get(row, TABLE, "id")).collect()
    }
}
