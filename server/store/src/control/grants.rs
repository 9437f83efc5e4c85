//! Grants: what one tenant (the grantor) lets another (the grantee) read. Over a serving login's connection, which may add
//! grants and end them, and nothing else. A grant ends once and is never changed otherwise.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;
use vitals_access::{grant::Grant, tenant::TenantRole};

use super::{
    ControlError,
    change::{self, Kind},
};

/// How long after its time a grant is known, so that records of refused requests name it.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
/// Grants that may stand between two tenants: a request looks at each.
const MOST: i64 = 16;

/// A grant that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A tenant reaches its own data without one.
    #[error("a tenant cannot grant anything to itself")]
    ToItself,
    /// It would open nothing, or take too long to judge.
    #[error("a grant has 1 to 64 scopes")]
    Scopes,
    /// It would never stand.
    #[error("a grant has to end after it begins")]
    EndsFirst,
    /// There are enough of them.
    #[error("no more than {MOST} grants may stand between two tenants: end one first")]
    TooMany,
    /// One of the tenants is not there, or not any more.
    #[error("there is no such tenant")]
    NoTenant,
}

/// A grant to be.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Whose data.
    pub grantor: TenantRole,
    /// Who may read them.
    pub grantee: TenantRole,
    /// What of them, as scopes.
    pub scopes: Vec<String>,
    /// What for: a code of purposes of use, such as `HRESCH`.
    pub purpose: String,
    /// Words for people.
    pub note: Option<String>,
    /// When it begins.
    pub not_before: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// Who makes it.
    pub created_by: String,
}

/// A grant, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantRow {
    /// Its id, a UUID.
    pub id: String,
    /// The name of the tenant whose data it opens.
    pub grantor: String,
    /// The name of the tenant that it opens them to.
    pub grantee: String,
    /// What of them, as scopes.
    pub scopes: Vec<String>,
    /// What for.
    pub purpose: String,
    /// Words for people.
    pub note: Option<String>,
    /// When it begins.
    pub not_before: String,
    /// When it ends.
    pub expires: String,
    /// When it was made.
    pub created: String,
    /// Who made it.
    pub created_by: String,
    /// When it was ended before its time.
    pub revoked: Option<String>,
    /// Who ended it.
    pub revoked_by: Option<String>,
}

/// Makes a grant.
pub async fn create(conn: &mut PgConnection, new: &NewGrant, now: DateTime<Utc>) -> Result<GrantRow, ControlError> {
    let failed = || ControlError::database("make a grant");
    let refused = |error: sqlx::Error| match ControlError::state(&error).1.as_str() {
        "grant_parties" => GrantError::ToItself.into(),
        "grant_time" => GrantError::EndsFirst.into(),
        "grant_scopes" => GrantError::Scopes.into(),
        "grant_grantor" | "grant_grantee" => GrantError::NoTenant.into(),
        _ => failed()(error),
    };
    let id = Uuid::now_v7();
    let mut tx = conn.begin().await.map_err(failed())?;
    let standing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM control.grant
         WHERE grantor = $1 AND grantee = $2 AND revoked IS NULL AND expires > $3",
    )
    .bind(new.grantor.as_str())
    .bind(new.grantee.as_str())
    .bind(now)
    .fetch_one(&mut *tx)
    .await
    .map_err(failed())?;
    if standing >= MOST {
        return Err(GrantError::TooMany.into());
    }
    sqlx::query(
        "INSERT INTO control.grant
            (id, grantor, grantee, scopes, purpose, note, not_before, expires, created, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id)
    .bind(new.grantor.as_str())
    .bind(new.grantee.as_str())
    .bind(&new.scopes)
    .bind(&new.purpose)
    .bind(&new.note)
    .bind(new.not_before)
    .bind(new.expires)
    .bind(now)
    .bind(&new.created_by)
    .execute(&mut *tx)
    .await
    .map_err(refused)?;
    let made = find(&mut tx, &new.grantor, id).await.map_err(failed())?.ok_or(GrantError::NoTenant)?;
    change::append(&mut tx, new.grantor.as_str(), Kind::Grant, &made.id, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(made)
}

/// The grants of a tenant, those it made and those made to it, the newest first; those that ended are among them.
pub async fn list(conn: &mut PgConnection, role: &TenantRole) -> Result<Vec<GrantRow>, ControlError> {
    let failed = || ControlError::database("list grants");
    let rows = sqlx::query(
        "SELECT g.id, a.name AS grantor, b.name AS grantee, g.scopes, g.purpose, g.note, g.not_before, g.expires,
                g.created, g.created_by, g.revoked, g.revoked_by
         FROM control.grant AS g
         JOIN control.tenant AS a ON a.role = g.grantor
         JOIN control.tenant AS b ON b.role = g.grantee
         WHERE g.grantor = $1 OR g.grantee = $1
         ORDER BY g.created DESC, g.id DESC",
    )
    .bind(role.as_str())
    .fetch_all(conn)
    .await
    .map_err(failed())?;
    rows.iter().map(|row| self::row(row).map_err(failed())).collect()
}

/// Every grant, the newest first, or the one of this id: for operators, who stand on neither side.
pub async fn every(conn: &mut PgConnection, id: Option<&str>) -> Result<Vec<GrantRow>, ControlError> {
    let failed = || ControlError::database("list grants");
    let wanted = match id {
        None => None,
        Some(id) => match parsed(id) {
            None => return Ok(Vec::new()),
            some => some,
        },
    };
    let rows = sqlx::query(
        "SELECT g.id, a.name AS grantor, b.name AS grantee, g.scopes, g.purpose, g.note, g.not_before, g.expires,
                g.created, g.created_by, g.revoked, g.revoked_by
         FROM control.grant AS g
         JOIN control.tenant AS a ON a.role = g.grantor
         JOIN control.tenant AS b ON b.role = g.grantee
         WHERE $1::uuid IS NULL OR g.id = $1
         ORDER BY g.created DESC, g.id DESC",
    )
    .bind(wanted)
    .fetch_all(conn)
    .await
    .map_err(failed())?;
    rows.iter().map(|row| self::row(row).map_err(failed())).collect()
}

/// One grant that a tenant made, or that was made to it.
pub async fn show(conn: &mut PgConnection, role: &TenantRole, id: &str) -> Result<Option<GrantRow>, ControlError> {
    let Some(id) = parsed(id) else { return Ok(None) };
    find(conn, role, id).await.map_err(ControlError::database("show a grant"))
}

/// Ends a grant that a tenant made. Whether it ended now: what ended before, by this or by its time, stays as it was,
/// and what the tenant did not make is not there.
pub async fn revoke(
    conn: &mut PgConnection,
    grantor: &TenantRole,
    id: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, ControlError> {
    let failed = || ControlError::database("end a grant");
    let Some(id) = parsed(id) else { return Ok(false) };
    let mut tx = conn.begin().await.map_err(failed())?;
    let ended = sqlx::query(
        "UPDATE control.grant SET revoked = $3, revoked_by = $4
         WHERE grantor = $1 AND id = $2 AND revoked IS NULL AND expires > $3",
    )
    .bind(grantor.as_str())
    .bind(id)
    .bind(now)
    .bind(by)
    .execute(&mut *tx)
    .await
    .map_err(failed())?
    .rows_affected()
        > 0;
    if ended {
        change::append(&mut tx, grantor.as_str(), Kind::Grant, &id.to_string(), now).await.map_err(failed())?;
    }
    tx.commit().await.map_err(failed())?;
    Ok(ended)
}

/// Ends every grant that a tenant made; the answer is the ids of those that ended now.
pub async fn revoke_all(
    conn: &mut PgConnection,
    grantor: &TenantRole,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Vec<String>, ControlError> {
    let failed = || ControlError::database("end all grants");
    let mut tx = conn.begin().await.map_err(failed())?;
    let ended: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE control.grant SET revoked = $2, revoked_by = $3
         WHERE grantor = $1 AND revoked IS NULL AND expires > $2 RETURNING id",
    )
    .bind(grantor.as_str())
    .bind(now)
    .bind(by)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    if !ended.is_empty() {
        change::append(&mut tx, grantor.as_str(), Kind::Grant, "*", now).await.map_err(failed())?;
    }
    tx.commit().await.map_err(failed())?;
    Ok(ended.iter().map(Uuid::to_string).collect())
}

/// Every grant that stands or will, and those that stood until lately.
pub(super) async fn read(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Grant>, ControlError> {
    let rows = sqlx::query(
        "SELECT id, grantor, grantee, scopes, purpose, not_before, expires, revoked IS NOT NULL AS revoked
         FROM control.grant WHERE expires > $1",
    )
    .bind(now - REMEMBERED)
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the grants"))?;
    let broken = |column| move |_: sqlx::Error| ControlError::Inconsistent { table: "control.grant", column };
    let role =
        |text: &str, column| text.parse().map_err(|_| ControlError::Inconsistent { table: "control.grant", column });
    rows.iter()
        .map(|row| {
            Ok(Grant {
                id: row.try_get::<Uuid, _>("id").map_err(broken("id"))?.to_string(),
                grantor: role(row.try_get("grantor").map_err(broken("grantor"))?, "grantor")?,
                grantee: role(row.try_get("grantee").map_err(broken("grantee"))?, "grantee")?,
                scopes: row.try_get("scopes").map_err(broken("scopes"))?,
                purpose: row.try_get("purpose").map_err(broken("purpose"))?,
                not_before: row.try_get("not_before").map_err(broken("not_before"))?,
                expires: row.try_get("expires").map_err(broken("expires"))?,
                revoked: row.try_get("revoked").map_err(broken("revoked"))?,
            })
        })
        .collect()
}

/// An id as we write it; what is none names no grant.
fn parsed(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok().filter(|parsed| parsed.to_string() == id)
}

async fn find(conn: &mut PgConnection, role: &TenantRole, id: Uuid) -> Result<Option<GrantRow>, sqlx::Error> {
    sqlx::query(
        "SELECT g.id, a.name AS grantor, b.name AS grantee, g.scopes, g.purpose, g.note, g.not_before, g.expires,
                g.created, g.created_by, g.revoked, g.revoked_by
         FROM control.grant AS g
         JOIN control.tenant AS a ON a.role = g.grantor
         JOIN control.tenant AS b ON b.role = g.grantee
         WHERE g.id = $2 AND (g.grantor = $1 OR g.grantee = $1)",
    )
    .bind(role.as_str())
    .bind(id)
    .fetch_optional(conn)
    .await?
    .map(|found| row(&found))
    .transpose()
}

fn row(row: &PgRow) -> Result<GrantRow, sqlx::Error> {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    Ok(GrantRow {
        id: row.try_get::<Uuid, _>("id")?.to_string(),
        grantor: row.try_get("grantor")?,
        grantee: row.try_get("grantee")?,
        scopes: row.try_get("scopes")?,
        purpose: row.try_get("purpose")?,
        note: row.try_get("note")?,
        not_before: text(row.try_get("not_before")?),
        expires: text(row.try_get("expires")?),
        created: text(row.try_get("created")?),
        created_by: row.try_get("created_by")?,
        revoked: row.try_get::<Option<_>, _>("revoked")?.map(text),
        revoked_by: row.try_get("revoked_by")?,
    })
}
