//! What was taken back before it ended: a token, or all that were issued until then to a client, for a user, under an
//! approval or a session, or of a tenant. Written over a serving login's connection, or as the owner; every server knows it
//! within the time between two polls.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};
pub use vitals_access::revocations::RevocationKind;
use vitals_access::{revocations::Revocations, tenant::TenantRole};

use super::{
    ControlError,
    change::{self, Kind},
};

/// How long a row is of use: the longest life of a token of a tenant's own, and the leeway of clocks. Outside issuers may
/// have longer ones, up to ten days.
pub(super) const OF_USE: TimeDelta = TimeDelta::days(10);

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

/// Everything that is of use now. By tenant and kind, for a row each would cost more than all that is in it.
pub(super) async fn read(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Revocations, ControlError> {
    let rows: Vec<(String, String, Vec<String>, Vec<i64>)> = sqlx::query_as(
        "SELECT tenant, kind, array_agg(subject), array_agg(floor(extract(epoch FROM at))::bigint)
         FROM control.revocation WHERE expires > $1 GROUP BY tenant, kind",
    )
    .bind(now)
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read what was taken back"))?;
    let broken = |column| ControlError::Inconsistent { table: "control.revocation", column };
    let mut revocations = Revocations::default();
    for (tenant, kind, subjects, times) in rows {
        let tenant: TenantRole = tenant.parse().map_err(|_| broken("tenant"))?;
        let kind = RevocationKind::named(&kind).ok_or_else(|| broken("kind"))?;
        revocations.add(&tenant, kind, subjects.into_iter().zip(times));
    }
    Ok(revocations)
}
