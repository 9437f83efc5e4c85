//! What was taken back before it ended: a token, or all that were issued until then to a client, for a user, under an
//! approval or a session, or of a tenant. Written over a serving login's connection, or as the owner; every server knows it
//! within the time between two polls.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::TenantRole;

use super::{
    ControlError,
    change::{self, Kind},
};

/// How long a row is of use: the longest life of a token of a tenant's own, and the leeway of clocks. Outside issuers may
/// have longer ones, up to ten days.
const OF_USE: TimeDelta = TimeDelta::days(10);

/// What is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Token,
    /// Every token of a client.
    Client,
    /// Every token for a user, by `sub`.
    User,
    /// Every token under an approval.
    Approval,
    /// Every token under a session.
    Session,
    /// Every token of the tenant; the subject is `*`.
    Tenant,
}

impl RevocationKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Token, Self::Client, Self::User, Self::Approval, Self::Session, Self::Tenant];

    /// The word in the registry.
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

    /// The kind of this word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Takes something back. The answer is the number of the change, for [`super::servers::caught_up`].
pub async fn revoke(
    conn: &mut PgConnection,
    role: &TenantRole,
    kind: RevocationKind,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    revoke_all(conn, role, &[(kind, subject)], now).await
}

/// The same for several at once.
pub async fn revoke_all(
    conn: &mut PgConnection,
    role: &TenantRole,
    all: &[(RevocationKind, &str)],
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("take a credential back");
    let kinds: Vec<&str> = all.iter().map(|(kind, _)| kind.name()).collect();
    let subjects: Vec<&str> = all.iter().map(|(_, subject)| *subject).collect();
    let mut tx = conn.begin().await.map_err(failed())?;
    sqlx::query(
        "INSERT INTO control.revocation AS r (tenant, kind, subject, at, expires)
         SELECT $1, kind, subject, $4, $5 FROM (SELECT DISTINCT * FROM unnest($2::text[], $3::text[])) AS u (kind, subject)
         ON CONFLICT (tenant, kind, subject) DO UPDATE SET at = greatest(r.at, EXCLUDED.at), expires = EXCLUDED.expires",
    )
    .bind(role.as_str())
    .bind(&kinds)
    .bind(&subjects)
    .bind(now)
    .bind(now + OF_USE)
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    sqlx::query("DELETE FROM control.revocation WHERE tenant = $1 AND expires < $2")
        .bind(role.as_str())
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    let subject = kinds.first().copied().unwrap_or_default();
    let seq = change::append(&mut tx, role.as_str(), Kind::Revoked, subject, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}
