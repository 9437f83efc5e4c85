//! Outside issuers of tokens: registered by the operator for one tenant or several, always under one spelling.
//!
//! A token's `iss` is compared as it stands. Were `https://idp/a` and `https://idp/a/` two registrations, somebody who
//! holds the one could speak for tenants of the other, so every spelling of an address has one canonical form, and that
//! is unique.

mod of_tenant;
mod spelling;

pub use of_tenant::{add_by_tenant, list_of_tenant, remove_by_tenant};

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use vitals_access::{
    directory::MAX_LIFETIME,
    keys::KeySet,
    tenant::{TenantName, TenantRole},
};

use super::{
    ControlError, begin,
    change::{self, Kind},
    tenants,
};

/// Longest inline key set: what `egress` takes from a URL.
const JWKS_BYTES_MOST: usize = 256 * 1024;

/// A registration that breaks a rule.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// It cannot be an issuer.
    #[error("{url} cannot be an issuer: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Another spelling of it is registered.
    #[error("this issuer is registered as {registered}: give it exactly so, as its tokens do")]
    SecondSpelling {
        /// The spelling in the registry.
        registered: String,
    },
    /// It lies below this server's own address.
    #[error("{0} is below this server's own address: a tenant's own issuer needs no registration")]
    OwnAddress(String),
    /// The inline keys are no key set.
    #[error("the keys of the issuer are not usable: {0}")]
    NotAKeySet(String),
    /// It is registered with something else, for this tenant or another.
    #[error("issuer {url} is registered with another {what}: all its tenants share one registration")]
    Differs {
        /// The issuer.
        url: String,
        /// What differs.
        what: &'static str,
    },
    /// A tenant's administrator asks for one that is registered, whoever has it.
    #[error("issuer {url}, or another spelling of it, is registered already: only the operator adds a tenant to it")]
    Registered {
        /// The issuer.
        url: String,
    },
    /// There is nothing to remove.
    #[error("issuer {url} is not registered for tenant {tenant}")]
    Unknown {
        /// The issuer.
        url: String,
        /// The tenant.
        tenant: TenantName,
    },
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// A JWK Set, as text.
    Inline(String),
    /// An address that serves one.
    Url(String),
}

/// An issuer to register.
#[derive(Clone, Debug)]
pub struct NewIssuer {
    /// The `iss` of its tokens.
    pub url: String,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// Whether its tokens must say `typ: at+jwt`.
    pub strict: bool,
    /// Longest life of its tokens, where it is not the default of a day.
    pub max_lifetime: Option<Duration>,
}

/// A registration, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuerRow {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The tenants it is registered for.
    pub tenants: Vec<String>,
    /// Where its keys are fetched, unless they are inline.
    pub jwks_url: Option<String>,
    /// Whether its tokens must say `typ: at+jwt`.
    pub strict: bool,
    /// Longest life of its tokens, in seconds.
    pub max_lifetime: i32,
    /// Whether its `rate_limit_tier` claim is honoured.
    pub may_set_tier: bool,
}

/// A registration that was made.
#[derive(Clone, Debug)]
pub struct Added {
    /// The number of the change, for [`super::servers::caught_up`].
    pub seq: i64,
    /// Keys that are not used, and why.
    pub warnings: Vec<String>,
}

/// Registers an issuer for a tenant. One that is registered for another tenant is taken as it is there.
pub async fn add(
    admin: &mut PgConnection,
    tenant: &TenantName,
    new: &NewIssuer,
    now: DateTime<Utc>,
) -> Result<Added, ControlError> {
    let failed = || ControlError::database("register an issuer");
    let mut tx = begin(admin).await.map_err(failed())?;
    let role = tenants::role(&mut tx, tenant).await?;
    let warnings = register(&mut tx, new, &role, now).await?;
    let seq = change::append(&mut tx, role.as_str(), Kind::Issuer, &new.url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(Added { seq, warnings })
}

/// Takes an issuer's registration for a tenant away, and the issuer itself with its last tenant.
pub async fn remove(
    admin: &mut PgConnection,
    tenant: &TenantName,
    url: &str,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("remove an issuer");
    let mut tx = begin(admin).await.map_err(failed())?;
    let role = tenants::role(&mut tx, tenant).await?;
    let removed = sqlx::query("DELETE FROM control.issuer_tenant WHERE issuer = $1 AND tenant = $2")
        .bind(url)
        .bind(role.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    if removed.rows_affected() == 0 {
        return Err(IssuerError::Unknown { url: url.to_owned(), tenant: tenant.clone() }.into());
    }
    sqlx::query(
        "DELETE FROM control.issuer
         WHERE url = $1 AND NOT EXISTS (SELECT FROM control.issuer_tenant WHERE issuer = $1)",
    )
    .bind(url)
    .execute(&mut *tx)
    .await
    .map_err(failed())?;
    let seq = change::append(&mut tx, role.as_str(), Kind::Issuer, url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// The issuers registered for a tenant.
pub async fn list(admin: &mut PgConnection, tenant: &TenantName) -> Result<Vec<IssuerRow>, ControlError> {
    let failed = || ControlError::database("list issuers");
    let mut tx = begin(admin).await.map_err(failed())?;
    let role = tenants::role(&mut tx, tenant).await?;
    let rows = sqlx::query(
        "SELECT i.url, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier,
                array_agg(t.name ORDER BY t.name) AS tenants
         FROM control.issuer AS i
         JOIN control.issuer_tenant AS a ON a.issuer = i.url
         JOIN control.tenant AS t ON t.role = a.tenant
         GROUP BY i.url
         HAVING $1 = ANY (array_agg(a.tenant))
         ORDER BY i.url",
    )
    .bind(role.as_str())
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    rows.iter().map(|row| self::row(row).map_err(failed())).collect()
}

fn row(row: &PgRow) -> Result<IssuerRow, sqlx::Error> {
    Ok(IssuerRow {
        issuer: row.try_get("url")?,
        tenants: row.try_get("tenants")?,
        jwks_url: row.try_get("jwks_url")?,
        strict: row.try_get("strict")?,
        max_lifetime: row.try_get("max_lifetime_s")?,
        may_set_tier: row.try_get("may_set_tier")?,
    })
}

/// Writes a registration, in a transaction of the owner's. The answer are warnings.
pub(super) async fn register(
    conn: &mut PgConnection,
    new: &NewIssuer,
    role: &TenantRole,
    now: DateTime<Utc>,
) -> Result<Vec<String>, ControlError> {
    let failed = || ControlError::database("register an issuer");
    let canonical = spelling::canonical(&new.url)?;
    let warnings = check_keys(&new.keys)?;
    refuse_own_address(conn, &new.url, &canonical).await?;

    insert(conn, new, &canonical, now).await.map_err(failed())?;
    let registered = sqlx::query(
        "SELECT url, jwks, jwks_url, strict, max_lifetime_s FROM control.issuer WHERE canonical = $1 FOR KEY SHARE",
    )
    .bind(&canonical)
    .fetch_one(&mut *conn)
    .await
    .map_err(failed())?;
    agree(new, &registered)?;
    sqlx::query("INSERT INTO control.issuer_tenant (issuer, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&new.url)
        .bind(role.as_str())
        .execute(conn)
        .await
        .map_err(failed())?;
    Ok(warnings)
}

/// Inserts the issuer unless a spelling of it is there; false then.
async fn insert(
    conn: &mut PgConnection,
    new: &NewIssuer,
    canonical: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let (jwks, jwks_url) = match &new.keys {
        IssuerKeys::Inline(text) => (Some(text), None),
        IssuerKeys::Url(url) => (None, Some(url)),
    };
    sqlx::query(
        "INSERT INTO control.issuer (url, canonical, jwks, jwks_url, strict, max_lifetime_s, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING",
    )
    .bind(&new.url)
    .bind(canonical)
    .bind(jwks)
    .bind(jwks_url)
    .bind(new.strict)
    .bind(seconds(new.max_lifetime.unwrap_or(MAX_LIFETIME)))
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Whether what is asked for is what is registered. What is not asked for (a lifetime, strictness) may be so anyway.
fn agree(new: &NewIssuer, registered: &PgRow) -> Result<(), ControlError> {
    let failed = || ControlError::database("read an issuer");
    let url: String = registered.try_get("url").map_err(failed())?;
    if url != new.url {
        return Err(IssuerError::SecondSpelling { registered: url }.into());
    }
    let jwks: Option<String> = registered.try_get("jwks").map_err(failed())?;
    let jwks_url: Option<String> = registered.try_get("jwks_url").map_err(failed())?;
    let same_keys = match &new.keys {
        IssuerKeys::Url(url) => jwks_url.as_ref() == Some(url),
        IssuerKeys::Inline(text) => jwks.is_some_and(|jwks| same_set(&jwks, text)),
    };
    let differs = |what| Err(IssuerError::Differs { url: new.url.clone(), what }.into());
    if !same_keys {
        return differs("set of keys");
    }
    if new.strict && !registered.try_get::<bool, _>("strict").map_err(failed())? {
        return differs("strictness");
    }
    let lifetime: i32 = registered.try_get("max_lifetime_s").map_err(failed())?;
    if new.max_lifetime.is_some_and(|asked| seconds(asked) != lifetime) {
        return differs("lifetime of tokens");
    }
    Ok(())
}

fn same_set(one: &str, other: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    read(one).is_some_and(|one| read(other) == Some(one))
}

fn seconds(lifetime: Duration) -> i32 {
    i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX).max(1)
}

fn check_keys(keys: &IssuerKeys) -> Result<Vec<String>, IssuerError> {
    match keys {
        IssuerKeys::Url(url) => spelling::canonical(url).map(|_| Vec::new()),
        IssuerKeys::Inline(text) if text.len() > JWKS_BYTES_MOST => {
            Err(IssuerError::NotAKeySet(format!("more than {JWKS_BYTES_MOST} bytes")))
        }
        IssuerKeys::Inline(text) => {
            let set: Option<serde_json::Value> = serde_json::from_str(text).ok();
            if set.is_none_or(|set| !set["keys"].is_array()) {
                return Err(IssuerError::NotAKeySet("not a JSON object with an array \"keys\"".to_owned()));
            }
            let (keys, mut warnings) = KeySet::from_jwks(text);
            if keys.is_empty() {
                warnings.push("no key of the issuer is usable: none of its tokens will be accepted".to_owned());
            }
            Ok(warnings)
        }
    }
}

/// Servers say in the control schema under which address they are reached.
async fn refuse_own_address(conn: &mut PgConnection, url: &str, canonical: &str) -> Result<(), ControlError> {
    let servers: Vec<String> = sqlx::query_scalar("SELECT DISTINCT public_url FROM control.server")
        .fetch_all(conn)
        .await
        .map_err(ControlError::database("read the addresses of servers"))?;
    let own = servers
        .iter()
        .filter_map(|server| spelling::canonical(server).ok())
        .any(|server| canonical.strip_prefix(&server).is_some_and(|path| path.starts_with("/t/")));
    if own { Err(IssuerError::OwnAddress(url.to_owned()).into()) } else { Ok(()) }
}
