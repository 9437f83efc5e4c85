//! What was taken back before it ended, and is refused from then on.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::TenantRole;

use super::{
    ControlError,
    change::{self, Kind},
};

/// What of it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Token,
    /// Tokens issued to a client.
    Client,
    /// Tokens issued for a user.
    User,
    /// Tokens issued under an approval.
    Approval,
    /// Tokens issued in a session.
    Session,
    /// All tokens of a tenant.
    Tenant,
}

impl RevocationKind {
    /// The word in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Client => "client",
            Self::User => "user",
            Self::Approval => "approval",
            Self::Session => "session",
            Self::Tenant => "tenant",
        }
    }
}

/// Takes something back; the answer is the number of the change that says so.
pub async fn revoke(
    conn: &mut PgConnection,
    role: &TenantRole,
    kind: RevocationKind,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("take something back");
    let mut tx = conn.begin().await.map_err(failed())?;
    sqlx::query(
        "INSERT INTO control.revocation AS r (tenant, kind, subject, at, expires) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, kind, subject) DO UPDATE SET at = EXCLUDED.at, expires = EXCLUDED.expires",
    )
    .bind(role.as_str())
    .bind(kind.name())
    .bind(subject)
    .bind(now)
    .bind(now + TimeDelta::hours(25))
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    let seq = change::append(&mut tx, role.as_str(), Kind::Revoked, subject, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}
