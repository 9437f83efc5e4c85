//! Accounts: people who sign in, by a password of this tenant's own or at an outside OpenID provider.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use super::{AuthorizationTx, get};
use crate::{StoreError, sql::Sql};

const TABLE: &str = "account";

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The `sub` of tokens issued for it.
    pub id: String,
    /// The name it signs in by, folded.
    pub username: String,
    /// Its name for people.
    pub name: String,
    /// Its password, as an Argon2id string.
    pub password: Option<String>,
    /// The outside provider it signs in at.
    pub issuer: Option<String>,
    /// Its `sub` there.
    pub subject: Option<String>,
    /// The resource it is, such as `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// The patients it may choose from; empty for those its own scopes reach.
    pub patients: Vec<String>,
    /// What it may grant at most.
    pub scopes: Vec<String>,
    /// How often in a row a password was wrong.
    pub failures: i32,
    /// Until when no password is tried.
    pub locked_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
}

impl Account {
    /// Reads one from a row that has its columns under these names.
    pub(super) fn read(row: &PgRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, TABLE, "id")?,
            username: get(row, TABLE, "username")?,
            name: get(row, TABLE, "name")?,
            password: get(row, TABLE, "password")?,
            issuer: get(row, TABLE, "issuer")?,
            subject: get(row, TABLE, "subject")?,
            fhir_user: get(row, TABLE, "fhir_user")?,
            patients: get(row, TABLE, "patients")?,
            scopes: get(row, TABLE, "scopes")?,
            failures: get(row, TABLE, "failures")?,
            locked_until: get(row, TABLE, "locked_until")?,
            created: get(row, TABLE, "created")?,
            revoked: get(row, TABLE, "revoked")?,
        })
    }
}

/// The columns of an account.
const SELECT: &str = "SELECT a.tenant, a.id, a.username, a.name, a.password, a.issuer, a.subject, a.fhir_user, a.patients, \
     a.scopes, a.failures, a.locked_until, a.created, a.revoked FROM account a";

impl AuthorizationTx {
    /// Adds an account; false if its id, its name or its subject at the provider is taken.
    pub async fn insert_account(&mut self, account: &Account) -> Result<bool, StoreError> {
        let mut sql = Sql::new("account.insert");
        sql.push(
            "INSERT INTO account AS a (id, username, name, password, issuer, subject, fhir_user, patients, scopes, \
             created) VALUES (",
        );
        sql.bind(account.id.as_str()).push(", ").bind(account.username.as_str()).push(", ");
        sql.bind(account.name.as_str()).push(", ").bind(account.password.as_deref()).push(", ");
        sql.bind(account.issuer.as_deref()).push(", ").bind(account.subject.as_deref()).push(", ");
        sql.bind(account.fhir_user.as_deref()).push(", ").bind(account.patients.clone()).push(", ");
        sql.bind(account.scopes.clone()).push(", ").bind(account.created);
        sql.push(") ON CONFLICT DO NOTHING RETURNING a.tenant");
        self.touches(sql).await
    }

    /// The account of an id, revoked or not.
    pub async fn account(&mut self, id: &str) -> Result<Option<Account>, StoreError> {
        let mut sql = Sql::new("account.find");
        sql.push(SELECT).push(" WHERE a.id = ").bind(id);
        self.rows(sql).await?.first().map(Account::read).transpose()
    }

    /// The account that signs in by a name, revoked or not.
    pub async fn account_by_username(&mut self, username: &str) -> Result<Option<Account>, StoreError> {
        let mut sql = Sql::new("account.find_by_username");
        sql.push(SELECT).push(" WHERE a.username = ").bind(username);
        self.rows(sql).await?.first().map(Account::read).transpose()
    }

    /// The account of somebody at an outside provider, revoked or not.
    pub async fn account_by_subject(&mut self, issuer: &str, subject: &str) -> Result<Option<Account>, StoreError> {
        let mut sql = Sql::new("account.find_by_subject");
        sql.push(SELECT).push(" WHERE a.issuer = ").bind(issuer).push(" AND a.subject = ").bind(subject);
        self.rows(sql).await?.first().map(Account::read).transpose()
    }

    /// All accounts, by name.
    pub async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        let mut sql = Sql::new("account.list");
        sql.push(SELECT).push(" ORDER BY a.username");
        self.rows(sql).await?.iter().map(Account::read).collect()
    }

    /// Ends an account; false if there is none, or it has ended.
    pub async fn revoke_account(&mut self, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut sql = Sql::new("account.revoke");
        sql.push("UPDATE account AS a SET revoked = ").bind(now).push(", password = NULL WHERE a.id = ").bind(id);
        sql.push(" AND a.revoked IS NULL RETURNING a.tenant");
        self.touches(sql).await
    }

    /// Gives an account another password, as an Argon2id string; false if there is no such account that serves.
    pub async fn set_password(&mut self, id: &str, hash: &str) -> Result<bool, StoreError> {
        let mut sql = Sql::new("account.set_password");
        sql.push("UPDATE account AS a SET password = ").bind(hash);
        sql.push(", failures = 0, locked_until = NULL WHERE a.id = ").bind(id);
        sql.push(" AND a.revoked IS NULL RETURNING a.tenant");
        self.touches(sql).await
    }

    /// Counts a wrong password: how many there were in a row is answered.
    pub async fn count_failure(&mut self, id: &str) -> Result<i32, StoreError> {
        let mut sql = Sql::new("account.count_failure");
        sql.push("UPDATE account AS a SET failures = a.failures + 1 WHERE a.id = ").bind(id);
        sql.push(" RETURNING a.tenant, a.failures");
        self.rows(sql).await?.first().map_or(Ok(0), |row| get(row, TABLE, "failures"))
    }

    /// Writes down how often in a row a password was wrong, and until when none is tried.
    pub async fn note_failure(
        &mut self,
        id: &str,
        failures: i32,
        locked_until: Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new("account.note_failure");
        sql.push("UPDATE account SET failures = ").bind(failures).push(", locked_until = ").bind(locked_until);
        sql.push(" WHERE id = ").bind(id);
        self.rows(sql).await.map(drop)
    }

    /// Forgets wrong passwords after a right one.
    pub async fn clear_failures(&mut self, id: &str) -> Result<(), StoreError> {
        self.note_failure(id, 0, None).await
    }
}
