//! The keys that tenants sign their own tokens with. The private part is sealed under the master key, for its tenant
//! and its id: a row copied to another tenant does not open.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Row as _};
use vitals_access::{
    keys::{SigningAlgorithm, SigningKey},
    tenant::{Tenant, TenantName},
};

use super::{
    ControlError, begin,
    change::{self, Kind},
};
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

/// A tenant's key, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub kid: String,
    /// The algorithm it signs by.
    pub algorithm: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// From when on nothing it signed is taken.
    pub retired: Option<DateTime<Utc>>,
}

/// A tenant's keys, newest first. Works over a serving login's connection.
pub async fn list(conn: &mut PgConnection, tenant: &Tenant) -> Result<Vec<KeyRow>, ControlError> {
    let rows = sqlx::query(
        "SELECT kid, algorithm, created, retired FROM control.key WHERE tenant = $1 ORDER BY created DESC, kid",
    )
    .bind(tenant.role.as_str())
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("list the signing keys"))?;
    let broken = |column| move |_: sqlx::Error| ControlError::Inconsistent { table: "control.key", column };
    rows.iter()
        .map(|row| {
            Ok(KeyRow {
                kid: row.try_get("kid").map_err(broken("kid"))?,
                algorithm: row.try_get("algorithm").map_err(broken("algorithm"))?,
                created: row.try_get("created").map_err(broken("created"))?,
                retired: row.try_get("retired").map_err(broken("retired"))?,
            })
        })
        .collect()
}

/// Adds keys that the tenant signs with from now on, each in place of those of its algorithm, which are good until
/// `until`; one that ends sooner already is left. The answer is the number of the change, and how many keys were
/// replaced. Works over a serving login's connection.
pub async fn replace(
    conn: &mut PgConnection,
    master: &MasterKey,
    tenant: &Tenant,
    keys: &[SigningKey],
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(i64, u64), ControlError> {
    let failed = || ControlError::database("replace the signing keys");
    let algorithms: Vec<&str> = keys.iter().map(|key| key.algorithm().name()).collect();
    let mut tx = conn.begin().await.map_err(failed())?;
    let replaced = sqlx::query(
        "UPDATE control.key SET retired = $3
         WHERE tenant = $1 AND algorithm = ANY($2) AND (retired IS NULL OR retired > $3)",
    )
    .bind(tenant.role.as_str())
    .bind(algorithms)
    .bind(until)
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    for key in keys {
        store(&mut tx, master, tenant, key, now).await?;
    }
    let subject = keys.first().map_or("", SigningKey::kid);
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Key, subject, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok((seq, replaced.rows_affected()))
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
