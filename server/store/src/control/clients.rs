//! What every server has to know of a tenant's registered clients, whose own rows stand in the tenant's schema: the
//! origins of their pages (CORS) and the certificates they sign themselves. Works over a serving login's connection.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::TenantRole;

use super::{
    ControlError,
    change::{self, Kind},
};

/// What is published of a client.
#[derive(Clone, Copy, Debug)]
pub struct Published<'p> {
    /// Its id.
    pub client: &'p str,
    /// The origins of its pages.
    pub origins: &'p [String],
    /// The thumbprints (`x5t#S256`) of the certificates it signs itself.
    pub thumbprints: &'p [String],
}

/// Publishes a client, in place of what was published of it before. The answer is the number of the change.
pub async fn publish(
    conn: &mut PgConnection,
    tenant: &TenantRole,
    published: &Published<'_>,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("publish a client");
    let Published { client, origins, thumbprints } = published;
    let mut tx = conn.begin().await.map_err(failed())?;
    forget(&mut tx, tenant, client).await.map_err(failed())?;
    sqlx::query("INSERT INTO control.origin (tenant, client, origin) SELECT $1, $2, unnest($3::text[])")
        .bind(tenant.as_str())
        .bind(client)
        .bind(origins)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    sqlx::query("INSERT INTO control.certificate (tenant, client, thumbprint) SELECT $1, $2, unnest($3::text[])")
        .bind(tenant.as_str())
        .bind(client)
        .bind(thumbprints)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    let seq = change::append(&mut tx, tenant.as_str(), Kind::Client, client, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// Takes back what was published of a client.
pub async fn withdraw(
    conn: &mut PgConnection,
    tenant: &TenantRole,
    client: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    publish(conn, tenant, &Published { client, origins: &[], thumbprints: &[] }, now).await
}

async fn forget(conn: &mut PgConnection, tenant: &TenantRole, client: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM control.origin WHERE tenant = $1 AND client = $2")
        .bind(tenant.as_str())
        .bind(client)
        .execute(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM control.certificate WHERE tenant = $1 AND client = $2")
        .bind(tenant.as_str())
        .bind(client)
        .execute(conn)
        .await
        .map(drop)
}
