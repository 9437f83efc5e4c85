//! The tables of a tenant's own authorization server: clients, accounts, sessions, and what was approved.
//!
//! They stand in the tenant's schema and are reached as the tenant's role, so that one tenant's server cannot so much as
//! name another's clients. This view hands out no rows of clinical data: those need an `Access`, which only a verified
//! token makes.

mod accounts;
mod approvals;
mod clients;
mod codes;
mod launches;
mod pushed;
mod refresh;
mod registration;
mod seen;
mod sessions;

use std::sync::Arc;

use sqlx::postgres::PgRow;
use vitals_access::tenant::Tenant;

pub use self::{
    accounts::Account,
    approvals::{Approval, Refresh},
    clients::{Authentication, Client},
    codes::{Code, TakenCode},
    launches::Launch,
    pushed::PushedRequest,
    refresh::{RefreshToken, TakenRefreshToken},
    registration::RegistrationToken,
    sessions::{Session, SignedIn},
};
use crate::{
    StoreError,
    error::Commits,
    pool::{Lease, TenantPool},
    sql::{Plain, Sql},
    tenant::WORK,
};

/// A tenant's authorization server, opened for one transaction. Dropped without [`AuthorizationTx::commit`], nothing was
/// written.
pub struct AuthorizationTx {
    lease: Lease,
    begun: bool,
}

impl TenantPool {
    /// Opens the tables of a tenant's authorization server.
    pub async fn authorization(&self, tenant: &Arc<Tenant>) -> Result<AuthorizationTx, StoreError> {
        let mut lease = self.lease(tenant).await?;
        lease.begin(|role| Plain::Begin(role)).await?;
        Ok(AuthorizationTx { lease, begun: true })
    }

    /// Opens them for one statement, which commits by itself: one round trip instead of three.
    pub async fn authorization_once(&self, tenant: &Arc<Tenant>) -> Result<AuthorizationTx, StoreError> {
        Ok(AuthorizationTx { lease: self.lease(tenant).await?, begun: false })
    }
}

impl AuthorizationTx {
    /// Commits; the connection goes back to the pool.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if self.begun { self.lease.commit().await } else { Ok(()) }
    }

    /// Gives the transaction up; the connection goes back to the pool.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        if self.begun { self.lease.rollback().await } else { Ok(()) }
    }

    /// Runs a statement; each row it returns carries the tenant's number.
    async fn rows(&mut self, sql: Sql) -> Result<Vec<PgRow>, StoreError> {
        self.lease.rows(sql, Commits::No, WORK).await
    }

    /// The same where only counts whether it touched a row.
    async fn touches(&mut self, sql: Sql) -> Result<bool, StoreError> {
        Ok(!self.rows(sql).await?.is_empty())
    }
}

/// A column of a row.
fn get<'r, T>(row: &'r PgRow, table: &'static str, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::Row::try_get(row, column).map_err(|_| StoreError::Inconsistent { table, column })
}
