//! What a tenant's own administrators may do about issuers, over a serving login's connection: register one that no
//! other tenant has, and give up their own. They learn nothing of other tenants but that an issuer is not theirs to
//! register.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use vitals_access::tenant::Tenant;

use super::{
    Added, IssuerError, IssuerRow, NewIssuer, check, insert, refuse_own_address, registered, row, serve, spelling,
    take_away,
};
use crate::control::{
    ControlError,
    change::{self, Kind},
};

/// Registers an issuer that no other tenant has, in any spelling.
pub async fn add_by_tenant(
    conn: &mut PgConnection,
    tenant: &Tenant,
    new: &NewIssuer,
    now: DateTime<Utc>,
) -> Result<Added, ControlError> {
    let failed = || ControlError::database("register an issuer");
    let canonical = spelling::canonical(&new.url)?;
    let warnings = check(new)?;
    let mut tx = conn.begin().await.map_err(failed())?;
    refuse_own_address(&mut tx, &new.url, &canonical).await?;
    // Of two that do this at once one waits here for the other, and finds its row.
    if !insert(&mut tx, new, &canonical, now).await.map_err(failed())? {
        let registered = registered::read(&mut tx, &canonical).await?;
        if !is_of_alone(&mut tx, &registered.url, tenant).await? {
            return Err(IssuerError::OperatorOnly(new.url.clone()).into());
        }
        registered.agrees(new)?;
    }
    serve(&mut tx, &new.url, &tenant.role).await.map_err(failed())?;
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Issuer, &new.url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(Added { seq, warnings })
}

/// Whether a tenant has an issuer, and no other does.
async fn is_of_alone(conn: &mut PgConnection, url: &str, tenant: &Tenant) -> Result<bool, ControlError> {
    sqlx::query_scalar("SELECT coalesce(bool_and(tenant = $2), false) FROM control.issuer_tenant WHERE issuer = $1")
        .bind(url)
        .bind(tenant.role.as_str())
        .fetch_one(conn)
        .await
        .map_err(ControlError::database("read whose an issuer is"))
}

/// Takes an issuer's registration for a tenant away. The answer is the number of the change.
pub async fn remove_by_tenant(
    conn: &mut PgConnection,
    tenant: &Tenant,
    url: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("remove an issuer");
    let mut tx = conn.begin().await.map_err(failed())?;
    if !take_away(&mut tx, &tenant.role, url).await.map_err(failed())? {
        return Err(IssuerError::Unknown { url: url.to_owned(), tenant: tenant.name.clone() }.into());
    }
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Issuer, url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// The issuers of a tenant, without a word of others that have them too.
pub async fn list_of_tenant(conn: &mut PgConnection, tenant: &Tenant) -> Result<Vec<IssuerRow>, ControlError> {
    let rows = sqlx::query(
        "SELECT i.url, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier, i.algorithms, i.mapping,
                ARRAY[$2::text] AS tenants
         FROM control.issuer AS i JOIN control.issuer_tenant AS a ON a.issuer = i.url
         WHERE a.tenant = $1
         ORDER BY i.url",
    )
    .bind(tenant.role.as_str())
    .bind(tenant.name.as_str())
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("list issuers"))?;
    rows.iter().map(row).collect()
}
