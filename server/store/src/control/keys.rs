//! The keys that tenants sign their own tokens with. The private part is sealed under the master key, for its tenant
//! and its id: a row copied to another tenant does not open.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use vitals_access::{
    keys::{SigningAlgorithm, SigningKey},
    tenant::{Tenant, TenantName},
};

use super::{ControlError, begin};
use crate::seal::{MasterKey, SealError};

/// What the derived key is for.
const PURPOSE: &str = "tenant-signing-key";

/// The place a key belongs to. Neither part holds a space.
fn place(role: &str, kid: &str) -> Vec<u8> {
    format!("{role} {PURPOSE} {kid}").into_bytes()
}

/// Seals and stores a tenant's key.
pub(super) async fn store(
    conn: &mut PgConnection,
    master: &MasterKey,
    tenant: &Tenant,
    key: &SigningKey,
    now: DateTime<Utc>,
) -> Result<(), ControlError> {
    let role = tenant.role.as_str();
    let sealed = master
        .seal(PURPOSE, &place(role, key.kid()), key.pkcs8())
        .map_err(|source| ControlError::Seal { tenant: tenant.name.clone(), source })?;
    sqlx::query(
        "INSERT INTO control.key (tenant, kid, algorithm, public_jwk, sealed_private, created)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(role)
    .bind(key.kid())
    .bind(key.algorithm().name())
    .bind(key.public_jwk())
    .bind(sealed)
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
    .map_err(ControlError::database("store a signing key"))
}

/// The key a tenant signs its access tokens with now. Works over a serving login's connection as well.
pub async fn signing(conn: &mut PgConnection, master: &MasterKey, tenant: &Tenant) -> Result<SigningKey, ControlError> {
    let key = signing_by(conn, master, tenant, SigningAlgorithm::Es256).await?;
    key.ok_or(ControlError::Inconsistent { table: "control.key", column: "tenant" })
}

/// The key a tenant signs with now by an algorithm: the newest that is not retired, if it has one.
pub async fn signing_by(
    conn: &mut PgConnection,
    master: &MasterKey,
    tenant: &Tenant,
    algorithm: SigningAlgorithm,
) -> Result<Option<SigningKey>, ControlError> {
    let row: Option<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT kid, sealed_private FROM control.key
         WHERE tenant = $1 AND algorithm = $2 AND retired IS NULL ORDER BY created DESC, kid LIMIT 1",
    )
    .bind(tenant.role.as_str())
    .bind(algorithm.name())
    .fetch_optional(conn)
    .await
    .map_err(ControlError::database("read a signing key"))?;
    row.map(|(kid, sealed)| open(master, &tenant.name, tenant.role.as_str(), (&kid, algorithm), &sealed)).transpose()
}

/// The same for a command: finds the tenant by name, as the owner of the control schema.
pub async fn signing_for(
    admin: &mut PgConnection,
    master: &MasterKey,
    name: &TenantName,
) -> Result<SigningKey, ControlError> {
    let tenant = super::tenants::find(admin, name).await?.ok_or_else(|| ControlError::Unknown(name.clone()))?;
    let failed = || ControlError::database("read a signing key");
    let mut tx = begin(admin).await.map_err(failed())?;
    let key = signing(&mut tx, master, &tenant).await?;
    tx.commit().await.map_err(failed())?;
    Ok(key)
}

/// Opens every key once: a server that has the wrong master key has to say so at its start, not at the first sign-in.
/// The answer is how many there are.
pub async fn check_all(conn: &mut PgConnection, master: &MasterKey) -> Result<usize, ControlError> {
    let rows: Vec<(String, String, String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT t.name, k.tenant, k.kid, k.algorithm, k.sealed_private
         FROM control.key AS k JOIN control.tenant AS t ON t.role = k.tenant",
    )
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the signing keys"))?;
    for (name, role, kid, algorithm, sealed) in &rows {
        let algorithm = SigningAlgorithm::named(algorithm)
            .ok_or(ControlError::Inconsistent { table: "control.key", column: "algorithm" })?;
        let name = name.parse().map_err(|_| ControlError::Inconsistent { table: "control.tenant", column: "name" })?;
        open(master, &name, role, (kid, algorithm), sealed)?;
    }
    Ok(rows.len())
}

fn open(
    master: &MasterKey,
    name: &TenantName,
    role: &str,
    (kid, algorithm): (&str, SigningAlgorithm),
    sealed: &[u8],
) -> Result<SigningKey, ControlError> {
    let failed = |source| ControlError::Seal { tenant: name.clone(), source };
    let private = master.open(PURPOSE, &place(role, kid), sealed).map_err(failed)?;
    SigningKey::from_pkcs8(kid, algorithm, &private).map_err(|_| failed(SealError::Closed))
}
