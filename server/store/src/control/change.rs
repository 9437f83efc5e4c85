//! The change log: every change that servers have to know, in the order in which it became visible.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tenant was made, deleted, suspended, resumed or migrated.
    Tenant,
    /// An issuer's registration or keys.
    Issuer,
    /// A tenant's own signing key.
    Key,
    /// Something was taken back, and nothing else happened.
    Revoked,
    /// An API key was made or ended.
    ApiKey,
    /// A delegation.
    Grant,
    /// What is published of a registered client.
    Client,
}

impl Kind {
    /// The word in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Revoked => "revoked",
            Self::ApiKey => "api_key",
            Self::Grant => "grant",
            Self::Client => "client",
        }
    }
}

/// Writes a change into the log, in the transaction that makes it, as late in it as can be: until that transaction
/// ends no other can write one. Without that lock a poller could read number 8 before 7 is visible, and never see 7.
pub(crate) async fn append(
    conn: &mut PgConnection,
    tenant: &str,
    kind: Kind,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(7311, 1)").execute(&mut *conn).await?;
    sqlx::query_scalar("INSERT INTO control.change (tenant, kind, subject, at) VALUES ($1, $2, $3, $4) RETURNING seq")
        .bind(tenant)
        .bind(kind.name())
        .bind(subject)
        .bind(now)
        .fetch_one(conn)
        .await
}

/// The number of the newest change; 0 before the first.
pub(crate) async fn newest(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM control.change").fetch_one(conn).await
}

/// The number of the newest change, and whether there are changes since `seen` and all of one kind.
pub(crate) async fn since(conn: &mut PgConnection, seen: i64, kind: Kind) -> Result<(i64, bool), sqlx::Error> {
    sqlx::query_as(
        "SELECT coalesce((SELECT max(seq) FROM control.change), 0), coalesce(bool_and(kind = $2), false)
         FROM control.change WHERE seq > $1",
    )
    .bind(seen)
    .bind(kind.name())
    .fetch_one(conn)
    .await
}
