//! Reading the control schema into the directory that requests are judged by.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Row as _};
use vitals_access::{
    directory::{Directory, Issuer},
    keys::KeySet,
    tenant::{Tenant, TenantRole},
};

use super::{ControlError, change, tenants};

/// The control schema at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The newest change in it.
    pub(super) seq: i64,
    tenants: Vec<Tenant>,
    issuers: Vec<StoredIssuer>,
    own_keys: Vec<(TenantRole, KeySet)>,
    revoked: Vec<(TenantRole, String)>,
}

/// An issuer, with the address of its keys unless they are inline.
#[derive(Clone, Debug)]
struct StoredIssuer {
    issuer: Issuer,
    jwks_url: Option<String>,
}

/// An address that serves an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySource {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_url: String,
}

/// Keys fetched from such an address, and when.
pub(super) type Fetched = HashMap<KeySource, (KeySet, DateTime<Utc>)>;

/// Key sets by their text: most of what a change leaves alone is not parsed again.
pub(super) type Parsed = HashMap<String, KeySet>;

impl Snapshot {
    /// Reads it. All statements see one moment, whatever is committed between them.
    pub(super) async fn read(
        conn: &mut PgConnection,
        parsed: &mut Parsed,
        now: DateTime<Utc>,
    ) -> Result<Self, ControlError> {
        let failed = || ControlError::database("read the control schema");
        let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed())?;
        let mut fresh = Parsed::new();
        let mut keys = |text: &str| {
            let known = fresh.get(text).or_else(|| parsed.get(text)).cloned();
            let set = known.unwrap_or_else(|| KeySet::from_jwks(text).0);
            fresh.insert(text.to_owned(), set.clone());
            set
        };
        let snapshot = Self {
            seq: change::newest(&mut tx).await.map_err(failed())?,
            tenants: read_tenants(&mut tx).await?,
            issuers: read_issuers(&mut tx, &mut keys).await?,
            own_keys: read_own_keys(&mut tx, &mut keys).await?,
            revoked: read_revoked(&mut tx, now).await?,
        };
        tx.commit().await.map_err(failed())?;
        *parsed = fresh;
        Ok(snapshot)
    }

    /// The directory of this moment, with the keys that were fetched by then.
    pub(super) fn directory(&self, public_url: &str, fetched: &Fetched) -> Directory {
        let issuers = self
            .issuers
            .iter()
            .map(|stored| {
                let mut issuer = stored.issuer.clone();
                if let Some((keys, _)) = stored.source().and_then(|source| fetched.get(&source)) {
                    issuer.keys = keys.clone();
                }
                issuer
            })
            .collect();
        Directory::build(public_url, self.tenants.clone(), issuers, self.own_keys.clone(), self.revoked.clone())
    }

    /// Where keys have to be fetched.
    pub(super) fn sources(&self) -> impl Iterator<Item = KeySource> {
        self.issuers.iter().filter_map(StoredIssuer::source)
    }
}

impl StoredIssuer {
    fn source(&self) -> Option<KeySource> {
        let jwks_url = self.jwks_url.clone()?;
        Some(KeySource { issuer: self.issuer.url.clone(), jwks_url })
    }
}

/// Reads the directory once, for a command that needs it without a server. Keys that have to be fetched are missing.
pub async fn load(conn: &mut PgConnection, public_url: &str, now: DateTime<Utc>) -> Result<Directory, ControlError> {
    let snapshot = Snapshot::read(conn, &mut Parsed::new(), now).await?;
    Ok(snapshot.directory(public_url, &Fetched::new()))
}

async fn read_tenants(conn: &mut PgConnection) -> Result<Vec<Tenant>, ControlError> {
    sqlx::query(
        "SELECT role, number, name, login, status, version, tier, display, created, settings FROM control.tenant",
    )
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the tenants"))?
    .iter()
    .map(tenants::tenant)
    .collect()
}

async fn read_issuers(
    conn: &mut PgConnection,
    keys: &mut impl FnMut(&str) -> KeySet,
) -> Result<Vec<StoredIssuer>, ControlError> {
    let rows = sqlx::query(
        "SELECT i.url, i.jwks, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier,
                coalesce((SELECT array_agg(a.tenant) FROM control.issuer_tenant AS a WHERE a.issuer = i.url), '{}')
                    AS tenants
         FROM control.issuer AS i",
    )
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the issuers"))?;
    let broken = |column| move |_: sqlx::Error| ControlError::Inconsistent { table: "control.issuer", column };
    rows.iter()
        .map(|row| {
            let jwks: Option<&str> = row.try_get("jwks").map_err(broken("jwks"))?;
            let lifetime: i32 = row.try_get("max_lifetime_s").map_err(broken("max_lifetime_s"))?;
            let tenants: Vec<String> = row.try_get("tenants").map_err(broken("tenants"))?;
            let issuer = Issuer {
                url: row.try_get("url").map_err(broken("url"))?,
                keys: jwks.map_or_else(KeySet::default, &mut *keys),
                tenants: tenants.iter().map(|role| self::role(role)).collect::<Result<_, _>>()?,
                strict: row.try_get("strict").map_err(broken("strict"))?,
                max_lifetime: Duration::from_secs(u64::try_from(lifetime).unwrap_or(0)),
                may_set_tier: row.try_get("may_set_tier").map_err(broken("may_set_tier"))?,
            };
            Ok(StoredIssuer { issuer, jwks_url: row.try_get("jwks_url").map_err(broken("jwks_url"))? })
        })
        .collect()
}

/// A tenant may have several keys: the one it signs with, and older ones whose tokens still run.
async fn read_own_keys(
    conn: &mut PgConnection,
    keys: &mut impl FnMut(&str) -> KeySet,
) -> Result<Vec<(TenantRole, KeySet)>, ControlError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        r#"SELECT tenant, '{"keys":[' || string_agg(public_jwk, ',' ORDER BY created DESC, kid) || ']}'
           FROM control.key WHERE retired IS NULL GROUP BY tenant"#,
    )
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the tenants' own keys"))?;
    rows.iter().map(|(tenant, set)| Ok((role(tenant)?, keys(set)))).collect()
}

async fn read_revoked(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<(TenantRole, String)>, ControlError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT tenant, subject FROM control.revocation WHERE kind = 'token' AND expires > $1")
            .bind(now)
            .fetch_all(conn)
            .await
            .map_err(ControlError::database("read revoked tokens"))?;
    rows.into_iter().map(|(tenant, jti)| Ok((role(&tenant)?, jti))).collect()
}

fn role(text: &str) -> Result<TenantRole, ControlError> {
    text.parse().map_err(|_| ControlError::Inconsistent { table: "control.tenant", column: "role" })
}
