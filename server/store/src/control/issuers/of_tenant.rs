//! Issuers as a tenant's own administrator registers them, over a serving login's connection: only one that no other tenant
//! has. Whoever could add a tenant to somebody else's issuer could have its tokens taken where they were not meant.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::Tenant;

use super::{
    Added, ControlError, IssuerError, IssuerRow, Kind, NewIssuer, change, check_keys, insert, refuse_own_address, row,
    spelling,
};

/// Registers an issuer for a tenant, and nobody else.
pub async fn add_by_tenant(
    conn: &mut PgConnection,
    tenant: &Tenant,
    new: &NewIssuer,
    now: DateTime<Utc>,
) -> Result<Added, ControlError> {
    let failed = || ControlError::database("register an issuer");
    let canonical = spelling::canonical(&new.url)?;
    let warnings = check_keys(&new.keys)?;
    let mut tx = conn.begin().await.map_err(failed())?;
    refuse_own_address(&mut tx, &new.url, &canonical).await?;
    if !insert(&mut tx, new, &canonical, now).await.map_err(failed())? {
        // The answer is the same whoever has it: another tenant's issuers are nobody's business.
        return Err(IssuerError::Registered { url: new.url.clone() }.into());
    }
    sqlx::query("INSERT INTO control.issuer_tenant (issuer, tenant) VALUES ($1, $2)")
        .bind(&new.url)
        .bind(tenant.role.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Issuer, &new.url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(Added { seq, warnings })
}

/// Takes an issuer's registration for a tenant away, and the issuer itself with its last tenant.
pub async fn remove_by_tenant(
    conn: &mut PgConnection,
    tenant: &Tenant,
    url: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("remove an issuer");
    let mut tx = conn.begin().await.map_err(failed())?;
    let removed = sqlx::query("DELETE FROM control.issuer_tenant WHERE issuer = $1 AND tenant = $2")
        .bind(url)
        .bind(tenant.role.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    if removed.rows_affected() == 0 {
        return Err(IssuerError::Unknown { url: url.to_owned(), tenant: tenant.name.clone() }.into());
    }
    sqlx::query(
        "DELETE FROM control.issuer
         WHERE url = $1 AND NOT EXISTS (SELECT FROM control.issuer_tenant WHERE issuer = $1)",
    )
    .bind(url)
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Issuer, url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// The issuers registered for a tenant; of other tenants of theirs nothing is told.
pub async fn list_of_tenant(conn: &mut PgConnection, tenant: &Tenant) -> Result<Vec<IssuerRow>, ControlError> {
    let failed = || ControlError::database("list issuers");
    let rows = sqlx::query(
        "SELECT i.url, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier, ARRAY[$2]::text[] AS tenants
         FROM control.issuer AS i JOIN control.issuer_tenant AS a ON a.issuer = i.url
         WHERE a.tenant = $1 ORDER BY i.url",
    )
    .bind(tenant.role.as_str())
    .bind(tenant.name.as_str())
    .fetch_all(conn)
    .await
    .map_err(failed())?;
    rows.iter().map(|found| row(found).map_err(failed())).collect()
}
