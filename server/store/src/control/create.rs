//! A new tenant: a spare role becomes its own, with a schema of the same name at the newest version and a signing key.
//! All of it is one transaction; a command killed half way leaves nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use vitals_access::{
    keys::{SigningAlgorithm, SigningKey},
    tenant::{Tenant, TenantName, TenantRole, TenantStatus},
};

use super::{
    ControlError, begin,
    change::{self, Kind},
    issuers::{self, NewIssuer},
    keys, roles, tenants,
};
use crate::{
    migrate::{self, Scope, ddl, files},
    seal::MasterKey,
};

/// How a tenant's data is kept apart from the others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A schema and a role of its own.
    Schema,
}

impl Isolation {
    /// Reads the word of the command line. The others of the contract are not built yet, and said so.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        match text {
            "schema" => Ok(Self::Schema),
            other => Err(ControlError::Isolation(other.to_owned())),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
        }
    }
}

/// A tenant to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name in addresses and tokens.
    pub name: TenantName,
    /// Its name for people.
    pub display: String,
    /// How its data is kept apart.
    pub isolation: Isolation,
    /// The tier its limits come from.
    pub tier: String,
    /// An outside issuer of its tokens, if it starts with one.
    pub issuer: Option<NewIssuer>,
}

/// A tenant that was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// What is now in the registry.
    pub tenant: Tenant,
    /// The number of the change, for [`super::servers::caught_up`].
    pub seq: i64,
    /// Keys of its issuer that are not used, and why.
    pub warnings: Vec<String>,
}

/// Makes a tenant.
pub async fn create(
    admin: &mut PgConnection,
    master: &MasterKey,
    new: &NewTenant,
    now: DateTime<Utc>,
) -> Result<Created, ControlError> {
    // Made before the transaction: nothing in it should take longer than it must.
    let key = SigningKey::generate(SigningAlgorithm::Es256);
    if let Some(created) = attempt(admin, master, new, &key, now).await? {
        return Ok(created);
    }
    roles::replenish(admin, now).await?;
    attempt(admin, master, new, &key, now).await?.ok_or(ControlError::Full(roles::MEMBERSHIPS_MOST))
}

/// One attempt; nothing when no spare role is left.
async fn attempt(
    admin: &mut PgConnection,
    master: &MasterKey,
    new: &NewTenant,
    key: &SigningKey,
    now: DateTime<Utc>,
) -> Result<Option<Created>, ControlError> {
    let failed = || ControlError::database("make a tenant");
    let mut tx = begin(admin).await.map_err(failed())?;
    let Some((role, login)) = take_role(&mut tx).await? else { return Ok(None) };
    let tenant = register(&mut tx, new, role, login, now).await?;

    ddl::create_schema(&mut tx, &tenant.role).await.map_err(failed())?;
    let scope = Scope::Tenant { role: tenant.role.clone(), number: tenant.number };
    let migrated = |error| ControlError::Migrate(Box::new(error));
    migrate::install(&mut tx, &scope).await.map_err(migrated)?;
    let files = files::tenant().map_err(migrated)?;
    migrate::born(&mut tx, tenant.role.as_str(), files, now).await.map_err(failed())?;

    keys::store(&mut tx, master, &tenant, key, now).await?;
    let warnings = match &new.issuer {
        Some(issuer) => issuers::register(&mut tx, issuer, &tenant.role, now).await?,
        None => Vec::new(),
    };
    let seq = change::append(&mut tx, tenant.role.as_str(), Kind::Tenant, "created", now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(Some(Created { tenant, seq, warnings }))
}

/// Takes a spare role that nobody else is taking.
async fn take_role(conn: &mut PgConnection) -> Result<Option<(TenantRole, i16)>, ControlError> {
    let taken: Option<(String, i16)> = sqlx::query_as(
        "DELETE FROM control.spare_role
         WHERE role = (SELECT role FROM control.spare_role WHERE state = 'spare'
                       ORDER BY login LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING role, login",
    )
    .fetch_optional(conn)
    .await
    .map_err(ControlError::database("take a role for a tenant"))?;
    let Some((role, login)) = taken else { return Ok(None) };
    let role = role.parse().map_err(|_| ControlError::Inconsistent { table: "control.spare_role", column: "role" })?;
    Ok(Some((role, login)))
}

async fn register(
    conn: &mut PgConnection,
    new: &NewTenant,
    role: TenantRole,
    login: i16,
    now: DateTime<Utc>,
) -> Result<Tenant, ControlError> {
    let inserted = sqlx::query(
        "INSERT INTO control.tenant (role, name, display, isolation, tier, login, version, status, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING role, number, name, login, status, version, tier, display, created, settings",
    )
    .bind(role.as_str())
    .bind(new.name.as_str())
    .bind(&new.display)
    .bind(new.isolation.name())
    .bind(&new.tier)
    .bind(login)
    .bind(files::newest_tenant())
    .bind(TenantStatus::Active.name())
    .bind(now)
    .fetch_one(conn)
    .await;
    match inserted {
        Ok(row) => tenants::tenant(&row),
        Err(error) if ControlError::state(&error).1 == "tenant_name" => Err(ControlError::Taken(new.name.clone())),
        Err(error) => Err(ControlError::database("register a tenant")(error)),
    }
}
