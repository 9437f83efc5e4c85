//! Outside issuers of tokens: registered by the operator for one tenant or several, always under one spelling.
//!
//! A token's `iss` is compared as it stands. Were `https://idp/a` and `https://idp/a/` two registrations, somebody who
//! holds the one could speak for tenants of the other, so every spelling of an address has one canonical form, and that
//! is unique.

mod by_tenant;
mod registered;
mod spelling;

pub use by_tenant::{add_by_tenant, list_of_tenant, remove_by_tenant};

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use vitals_access::{
    claims::ClaimMapping,
    directory::MAX_LIFETIME,
    keys::{AllowedAlgorithms, KeySet},
    tenant::{TenantName, TenantRole},
};

use super::{
    ControlError, begin,
    change::{self, Kind},
    directory, revocations, tenants,
};

/// Longest inline key set: what `egress` takes from a URL.
const JWKS_BYTES_MOST: usize = 256 * 1024;

/// Longest life that tokens may have.
const LONGEST: TimeDelta = revocations::OF_USE;

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
    /// Another tenant has it, which its own administrators are not told.
    #[error("issuer {0} can be registered here by the operator only")]
    OperatorOnly(String),
    /// Its tokens would be signed by nothing that is accepted.
    #[error("{0} is no algorithm that is accepted: RS256, RS384, PS256, ES256, ES384 and EdDSA are")]
    Algorithm(String),
    /// Its tokens would outlive what was taken back of them.
    #[error("tokens of an issuer may live {} days at most: what is taken back is remembered for so long", LONGEST.num_days())]
    Lifetime,
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
    /// What its tokens may be signed by, where that is not all that is accepted.
    pub algorithms: Vec<String>,
    /// How it names its claims.
    pub mapping: ClaimMapping,
}

impl NewIssuer {
    /// An issuer of which nothing is said but its name and its keys.
    #[must_use]
    pub fn new(url: impl Into<String>, keys: IssuerKeys) -> Self {
        let mapping = ClaimMapping::default();
        Self { url: url.into(), keys, strict: false, max_lifetime: None, algorithms: Vec::new(), mapping }
    }
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
    /// What its tokens may be signed by; none where that is all that is accepted.
    pub algorithms: Vec<String>,
    /// How it names its claims.
    pub mapping: ClaimMapping,
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
    if !take_away(&mut tx, &role, url).await.map_err(failed())? {
        return Err(IssuerError::Unknown { url: url.to_owned(), tenant: tenant.clone() }.into());
    }
    let seq = change::append(&mut tx, role.as_str(), Kind::Issuer, url, now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}

/// Takes a registration away, and the issuer with its last tenant; false where there is none.
async fn take_away(conn: &mut PgConnection, role: &TenantRole, url: &str) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM control.issuer_tenant WHERE issuer = $1 AND tenant = $2")
        .bind(url)
        .bind(role.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM control.issuer
         WHERE url = $1 AND NOT EXISTS (SELECT FROM control.issuer_tenant WHERE issuer = $1)",
    )
    .bind(url)
    .execute(conn)
    .await?;
    Ok(removed.rows_affected() > 0)
}

/// The issuers registered for a tenant.
pub async fn list(admin: &mut PgConnection, tenant: &TenantName) -> Result<Vec<IssuerRow>, ControlError> {
    let failed = || ControlError::database("list issuers");
    let mut tx = begin(admin).await.map_err(failed())?;
    let role = tenants::role(&mut tx, tenant).await?;
    let rows = sqlx::query(
        "SELECT i.url, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier, i.algorithms, i.mapping,
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
    rows.iter().map(row).collect()
}

fn row(row: &PgRow) -> Result<IssuerRow, ControlError> {
    let failed = || ControlError::database("read an issuer");
    Ok(IssuerRow {
        issuer: row.try_get("url").map_err(failed())?,
        tenants: row.try_get("tenants").map_err(failed())?,
        jwks_url: row.try_get("jwks_url").map_err(failed())?,
        strict: row.try_get("strict").map_err(failed())?,
        max_lifetime: row.try_get("max_lifetime_s").map_err(failed())?,
        may_set_tier: row.try_get("may_set_tier").map_err(failed())?,
        algorithms: row.try_get::<Option<_>, _>("algorithms").map_err(failed())?.unwrap_or_default(),
        mapping: directory::mapping(row.try_get("mapping").map_err(failed())?)?,
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
    let warnings = check(new)?;
    refuse_own_address(conn, &new.url, &canonical).await?;

    insert(conn, new, &canonical, now).await.map_err(failed())?;
    // Held against its removal, until this ends.
    sqlx::query("SELECT FROM control.issuer WHERE canonical = $1 FOR KEY SHARE")
        .bind(&canonical)
        .execute(&mut *conn)
        .await
        .map_err(failed())?;
    registered::read(conn, &canonical).await?.agrees(new)?;
    serve(conn, &new.url, role).await.map_err(failed())?;
    Ok(warnings)
}

/// Makes an issuer's tokens good for a tenant.
async fn serve(conn: &mut PgConnection, url: &str, role: &TenantRole) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO control.issuer_tenant (issuer, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(url)
        .bind(role.as_str())
        .execute(conn)
        .await
        .map(drop)
}

/// Inserts the issuer unless a spelling of it is there; false if one is.
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
        "INSERT INTO control.issuer (url, canonical, jwks, jwks_url, strict, max_lifetime_s, algorithms, mapping, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT DO NOTHING",
    )
    .bind(&new.url)
    .bind(canonical)
    .bind(jwks)
    .bind(jwks_url)
    .bind(new.strict)
    .bind(seconds(new.max_lifetime.unwrap_or(MAX_LIFETIME)))
    .bind((!new.algorithms.is_empty()).then_some(&new.algorithms))
    .bind(serde_json::to_string(&new.mapping).unwrap_or_default())
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
}

fn seconds(lifetime: Duration) -> i32 {
    i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX).max(1)
}

/// What can be judged of a registration without looking at others. The answer is warnings.
fn check(new: &NewIssuer) -> Result<Vec<String>, IssuerError> {
    let is_accepted = |name: &&String| AllowedAlgorithms::named([name.as_str()]).is_some();
    if let Some(other) = new.algorithms.iter().find(|name| !is_accepted(name)) {
        return Err(IssuerError::Algorithm(other.chars().take(40).collect()));
    }
    if new.max_lifetime.is_some_and(|asked| i64::from(seconds(asked)) > LONGEST.num_seconds()) {
        return Err(IssuerError::Lifetime);
    }
    check_keys(&new.keys)
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
