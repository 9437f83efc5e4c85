//! Reading the control schema into the directory that requests are judged by.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Row as _};
use vitals_access::{
    api_key::StoredApiKey,
    claims::ClaimMapping,
    directory::{Directory, DirectoryParts, Issuer},
    grant::Grant,
    keys::{AllowedAlgorithms, KeySet},
    revocations::Revocations,
    tenant::{Tenant, TenantRole},
};

use super::{
    ControlError,
    change::{self, Kind},
    grants, revocations, tenants,
};

/// The control schema at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The newest change in it.
    pub(super) seq: i64,
    tenants: Vec<Tenant>,
    issuers: Vec<StoredIssuer>,
    own_keys: Vec<(TenantRole, KeySet)>,
    next_retirement: Option<DateTime<Utc>>,
    api_keys: Vec<StoredApiKey>,
    origins: Vec<(TenantRole, String)>,
    certificates: Vec<(TenantRole, [u8; 32])>,
    grants: Vec<Grant>,
    revocations: Arc<Revocations>,
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
            own_keys: read_own_keys(&mut tx, &mut keys, now).await?,
            next_retirement: read_next_retirement(&mut tx, now).await?,
            api_keys: read_api_keys(&mut tx, now).await?,
            origins: read_origins(&mut tx).await?,
            certificates: read_certificates(&mut tx).await?,
            grants: grants::read(&mut tx, now).await?,
            revocations: Arc::new(revocations::read(&mut tx, now).await?),
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
        Directory::build(DirectoryParts {
            public_url: public_url.to_owned(),
            tenants: self.tenants.clone(),
            issuers,
            own_keys: self.own_keys.clone(),
            api_keys: self.api_keys.clone(),
            origins: self.origins.clone(),
            certificates: self.certificates.clone(),
            grants: self.grants.clone(),
            revocations: Arc::clone(&self.revocations),
        })
    }

    /// Takes in what [`read_revocations`] brought.
    pub(super) fn take_revocations(&mut self, seq: i64, revocations: Arc<Revocations>) {
        self.seq = seq;
        self.revocations = revocations;
    }

    /// Whether something in it ended since that no change told of.
    pub(super) fn has_lapsed(&self, now: DateTime<Utc>) -> bool {
        self.next_retirement.is_some_and(|at| at <= now)
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

/// Reads again what was taken back, and nothing else, if there were no changes but of that kind after the one of number
/// `seq`, which becomes that of the newest.
pub(super) async fn read_revocations(
    conn: &mut PgConnection,
    seq: &mut i64,
    now: DateTime<Utc>,
) -> Result<Option<Arc<Revocations>>, ControlError> {
    let failed = || ControlError::database("read what was taken back");
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed())?;
    let (newest, alone) = change::since(&mut tx, *seq, Kind::Revoked).await.map_err(failed())?;
    let read = if alone { Some(Arc::new(revocations::read(&mut tx, now).await?)) } else { None };
    tx.commit().await.map_err(failed())?;
    *seq = newest;
    Ok(read)
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
        "SELECT i.url, i.jwks, i.jwks_url, i.strict, i.max_lifetime_s, i.may_set_tier, i.mapping, i.algorithms,
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
                algorithms: algorithms(row.try_get("algorithms").map_err(broken("algorithms"))?)?,
                mapping: Arc::new(mapping(row.try_get("mapping").map_err(broken("mapping"))?)?),
            };
            Ok(StoredIssuer { issuer, jwks_url: row.try_get("jwks_url").map_err(broken("jwks_url"))? })
        })
        .collect()
}

/// How an issuer names its claims, as it stands in the registry.
pub(super) fn mapping(text: &str) -> Result<ClaimMapping, ControlError> {
    serde_json::from_str(text).map_err(|_| ControlError::Inconsistent { table: "control.issuer", column: "mapping" })
}

/// What an issuer's tokens may be signed by: all that are accepted, where the registry names none.
fn algorithms(names: Option<Vec<String>>) -> Result<AllowedAlgorithms, ControlError> {
    let Some(names) = names else { return Ok(AllowedAlgorithms::default()) };
    AllowedAlgorithms::named(names.iter().map(String::as_str))
        .ok_or(ControlError::Inconsistent { table: "control.issuer", column: "algorithms" })
}

/// When the next of the tenants' keys is not taken any more, that was replaced: no change tells of it.
async fn read_next_retirement(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ControlError> {
    sqlx::query_scalar("SELECT min(retired) FROM control.key WHERE retired > $1")
        .bind(now)
        .fetch_one(conn)
        .await
        .map_err(ControlError::database("read the tenants' own keys"))
}

/// A tenant may have several keys: the one it signs with, and older ones whose tokens still run.
async fn read_own_keys(
    conn: &mut PgConnection,
    keys: &mut impl FnMut(&str) -> KeySet,
    now: DateTime<Utc>,
) -> Result<Vec<(TenantRole, KeySet)>, ControlError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        r#"SELECT tenant, '{"keys":[' || string_agg(public_jwk, ',' ORDER BY created DESC, kid) || ']}'
           FROM control.key WHERE retired IS NULL OR retired > $1 GROUP BY tenant"#,
    )
    .bind(now)
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the tenants' own keys"))?;
    rows.iter().map(|(tenant, set)| Ok((role(tenant)?, keys(set)))).collect()
}

async fn read_api_keys(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<StoredApiKey>, ControlError> {
    let rows = sqlx::query(
        "SELECT tenant, id, hash, name, scopes, patient, created, expires
         FROM control.api_key WHERE revoked IS NULL AND expires > $1",
    )
    .bind(now)
    .fetch_all(conn)
    .await
    .map_err(ControlError::database("read the API keys"))?;
    let broken = |column| move |_: sqlx::Error| ControlError::Inconsistent { table: "control.api_key", column };
    rows.iter()
        .map(|row| {
            let hash: &[u8] = row.try_get("hash").map_err(broken("hash"))?;
            Ok(StoredApiKey {
                tenant: role(row.try_get("tenant").map_err(broken("tenant"))?)?,
                id: row.try_get("id").map_err(broken("id"))?,
                hash: hash
                    .try_into()
                    .map_err(|_| ControlError::Inconsistent { table: "control.api_key", column: "hash" })?,
                name: row.try_get("name").map_err(broken("name"))?,
                scopes: row.try_get("scopes").map_err(broken("scopes"))?,
                patient: row.try_get("patient").map_err(broken("patient"))?,
                created: row.try_get("created").map_err(broken("created"))?,
                expires: row.try_get("expires").map_err(broken("expires"))?,
            })
        })
        .collect()
}

async fn read_origins(conn: &mut PgConnection) -> Result<Vec<(TenantRole, String)>, ControlError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT DISTINCT tenant, origin FROM control.origin")
        .fetch_all(conn)
        .await
        .map_err(ControlError::database("read the origins of apps"))?;
    rows.into_iter().map(|(tenant, origin)| Ok((role(&tenant)?, origin))).collect()
}

async fn read_certificates(conn: &mut PgConnection) -> Result<Vec<(TenantRole, [u8; 32])>, ControlError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT DISTINCT tenant, thumbprint FROM control.certificate")
        .fetch_all(conn)
        .await
        .map_err(ControlError::database("read the certificates of clients"))?;
    let broken = || ControlError::Inconsistent { table: "control.certificate", column: "thumbprint" };
    rows.into_iter()
        .map(|(tenant, thumbprint)| {
            let thumbprint = URL_SAFE_NO_PAD.decode(thumbprint).ok().and_then(|bytes| bytes.try_into().ok());
            Ok((role(&tenant)?, thumbprint.ok_or_else(broken)?))
        })
        .collect()
}

fn role(text: &str) -> Result<TenantRole, ControlError> {
    text.parse().map_err(|_| ControlError::Inconsistent { table: "control.tenant", column: "role" })
}
