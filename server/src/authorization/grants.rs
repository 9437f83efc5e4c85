//! What one tenant grants another: judged, made, listed, ended, and counted beforehand. The rules are those of the
//! command line and of `/admin` alike.
//!
//! A grant opens data by scopes that mean the same in another tenant: `system/` scopes, `vitals.*` and `users:read`,
//! and of those only such as read. `patient/` and `user/` name people by ids, which are independent between tenants.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use vitals_access::{
    preview::Preview,
    scope::{self, About, Whose},
    tenant::{Tenant, TenantName},
};
use vitals_store::{
    StoreError,
    control::{
        ControlError,
        grants::{self, GrantError, GrantRow, NewGrant},
        poll::Stale,
    },
    rows::Opens,
    urls::{self, ConnectError},
};

use super::Desk;

mod claim;
mod purpose;

pub use claim::{DELEGATED, DelegatedAccess, delegated_access};
pub use purpose::is_purpose;

/// Scopes of a grant: as many as a token may have.
const MOST_SCOPES: usize = 64;
/// The longest a grant may last. A study that takes longer is granted anew, by somebody who looks at it again.
const LONGEST: TimeDelta = TimeDelta::days(5 * 366);
/// Longest note, in characters.
const LONGEST_NOTE: usize = 1_000;

/// A grant to be, as it was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The name of the tenant that is to read.
    pub grantee: String,
    /// What.
    pub scopes: Vec<String>,
    /// What for.
    pub purpose: String,
    /// From when on; none: from now on.
    pub not_before: Option<DateTime<Utc>>,
    /// Until when.
    pub expires: DateTime<Utc>,
    /// Words for people.
    pub note: Option<String>,
    /// Who makes it.
    pub created_by: String,
}

/// Why a grant is not made, shown or ended.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// The tenant named is none, or the one that grants: the answer is the same.
    #[error("grantee has to be the name of another tenant on this server")]
    Grantee,
    /// There are none, or too many.
    #[error("a grant has 1 to {MOST_SCOPES} scopes")]
    HowMany,
    /// A scope that cannot be granted.
    #[error("scope {} cannot be granted: {why}", shown(.scope))]
    Scope {
        /// The scope.
        scope: String,
        /// Why not.
        why: &'static str,
    },
    /// The purpose is no code.
    #[error(
        "purpose has to be a code of HL7's PurposeOfUse, such as HRESCH (research), TREAT, HPAYMT, HOPERAT or PUBHLTH"
    )]
    Purpose,
    /// The times make no sense.
    #[error("{0}")]
    Times(&'static str),
    /// The note is too long, or has control characters.
    #[error("note has to be a text of at most {LONGEST_NOTE} characters")]
    Note,
    /// The database is away.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The control schema was not changed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The tenant's rows could not be counted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is written down; this server could not read it yet.
    #[error(transparent)]
    Stale(#[from] Stale),
}

/// A grant, and the tenant that it is made to.
pub struct Made {
    /// The grant.
    pub row: GrantRow,
    /// The other tenant.
    pub grantee: Arc<Tenant>,
}

/// Makes a grant. Once this returns, this server knows it.
pub async fn create(desk: &Desk, tenant: &Arc<Tenant>, wanted: Wanted) -> Result<Made, GrantsError> {
    let now = desk.clock.now();
    let scopes = check_scopes(&wanted.scopes)?;
    if !is_purpose(&wanted.purpose) {
        return Err(GrantsError::Purpose);
    }
    let not_before = wanted.not_before.unwrap_or(now);
    check_times(not_before, wanted.expires, now)?;
    let note = wanted.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE || note.chars().any(is_unfit)) {
        return Err(GrantsError::Note);
    }
    let grantee = other(desk, tenant, &wanted.grantee).await?;
    let new = NewGrant {
        grantor: tenant.role.clone(),
        grantee: grantee.role.clone(),
        scopes,
        purpose: wanted.purpose,
        note,
        not_before,
        expires: wanted.expires,
        created_by: wanted.created_by,
    };
    let mut conn = urls::connect(&desk.urls.app).await?;
    let row = match grants::create(&mut conn, &new, now).await {
        // It was deleted in this moment.
        Err(ControlError::Grant(GrantError::NoTenant | GrantError::ToItself)) => return Err(GrantsError::Grantee),
        made => made?,
    };
    desk.feed.catch_up().await?;
    Ok(Made { row, grantee })
}

/// The grants of a tenant, on either side, the newest first; those that ended are among them.
pub async fn list(desk: &Desk, tenant: &Tenant) -> Result<Vec<GrantRow>, GrantsError> {
    let mut conn = urls::connect(&desk.urls.app).await?;
    Ok(grants::list(&mut conn, &tenant.role).await?)
}

/// One grant of a tenant, on either side.
pub async fn show(desk: &Desk, tenant: &Tenant, id: &str) -> Result<Option<GrantRow>, GrantsError> {
    let mut conn = urls::connect(&desk.urls.app).await?;
    Ok(grants::show(&mut conn, &tenant.role, id).await?)
}

/// Ends a grant that the tenant made; false where there is none that could still end. Once this returns, this server
/// refuses what it opened.
pub async fn revoke(desk: &Desk, tenant: &Tenant, id: &str, by: &str) -> Result<bool, GrantsError> {
    let mut conn = urls::connect(&desk.urls.app).await?;
    let ended = grants::revoke(&mut conn, &tenant.role, id, by, desk.clock.now()).await?;
    desk.feed.catch_up().await?;
    Ok(ended)
}

/// What scopes would open of a tenant, as counts.
pub async fn preview(desk: &Desk, tenant: &Arc<Tenant>, scopes: &[String]) -> Result<Opens, GrantsError> {
    let scopes = check_scopes(scopes)?;
    Ok(desk.pool.preview(&Preview::of(tenant, &scopes)).await?)
}

/// The other tenant of this name.
async fn other(desk: &Desk, tenant: &Tenant, name: &str) -> Result<Arc<Tenant>, GrantsError> {
    let name: TenantName = name.parse().map_err(|_| GrantsError::Grantee)?;
    let mut found = desk.feed.current()?.tenant(&name).cloned();
    if found.is_none() {
        // A command may have made it a moment ago.
        found = desk.feed.refresh().await?.tenant(&name).cloned();
    }
    found.filter(|found| found.role != tenant.role).ok_or(GrantsError::Grantee)
}

/// The scopes, each once, if all of them can be granted.
fn check_scopes(scopes: &[String]) -> Result<Vec<String>, GrantsError> {
    let mut all: Vec<String> = Vec::new();
    for scope in scopes {
        if let Some(why) = why_not(scope) {
            return Err(GrantsError::Scope { scope: scope.clone(), why });
        }
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    if all.is_empty() || all.len() > MOST_SCOPES { Err(GrantsError::HowMany) } else { Ok(all) }
}

/// Why a scope cannot be granted, if it cannot.
fn why_not(scope: &str) -> Option<&'static str> {
    let Some(meaning) = scope::describe(scope) else {
        return Some(if scope::is_known(scope) {
            "a grant is of data: system/TYPE.rs, vitals.NAME:read, vitals:read or users:read"
        } else {
            "it is not understood"
        });
    };
    if !matches!(meaning.whose, Whose::System | Whose::Ours) {
        return Some("patients and users of one tenant are nobody in another; a system/ scope names the data alone");
    }
    if meaning.writes() || !meaning.reads() {
        return Some("a grant lets data be read and never written");
    }
    let is_trail = matches!(&meaning.about, About::Type(name) if name == "AuditEvent");
    (is_trail || !meaning.is_offered()).then_some("there is no data of its kind that could be granted")
}

fn check_times(not_before: DateTime<Utc>, expires: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), GrantsError> {
    if expires <= now {
        return Err(GrantsError::Times("expires has to be in the future"));
    }
    if expires <= not_before {
        return Err(GrantsError::Times("expires has to be after not_before"));
    }
    if expires - now > LONGEST {
        return Err(GrantsError::Times("expires has to be within five years: grant it anew then"));
    }
    Ok(())
}

fn is_unfit(character: char) -> bool {
    character.is_control() && character != '\n'
}

/// A scope as it may stand in a sentence.
fn shown(scope: &str) -> String {
    scope.chars().take(100).flat_map(char::escape_debug).collect()
}

/// How a grant stands at a moment.
pub fn status(row: &GrantRow, now: DateTime<Utc>) -> &'static str {
    let at = |text: &str| DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).ok();
    if row.revoked.is_some() {
        "revoked"
    } else if at(&row.expires).is_none_or(|expires| expires <= now) {
        "expired"
    } else if at(&row.not_before).is_none_or(|begins| begins > now) {
        "future"
    } else {
        "active"
    }
}

/// A grant as one of its tenants sees it. Who made or ended it is told to the tenant whose people that are.
pub fn shown_grant(row: &GrantRow, tenant: &Tenant, now: DateTime<Utc>) -> Value {
    let gives = row.grantor == tenant.name.as_str();
    let mut shown = json!({
        "id": row.id,
        "direction": if gives { "given" } else { "received" },
        "grantor": row.grantor,
        "grantee": row.grantee,
        "scopes": row.scopes,
        "purpose": row.purpose,
        "not_before": row.not_before,
        "expires": row.expires,
        "created": row.created,
        "status": status(row, now),
    });
    let mut put = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            shown[name] = json!(value);
        }
    };
    put("note", &row.note);
    put("revoked", &row.revoked);
    if gives {
        put("created_by", &Some(row.created_by.clone()));
        put("revoked_by", &row.revoked_by);
    }
    shown
}

/// What scopes would open, as it is told.
pub fn shown_preview(opens: &Opens) -> Value {
    let observations: Vec<Value> = opens
        .observations
        .iter()
        .map(|of| {
            let (system, code) = of.code.clone().unzip();
            json!({ "system": system, "code": code, "count": of.count, "patients": of.patients })
        })
        .collect();
    json!({
        "patients": opens.patients,
        "observations": opens.observations.iter().map(|of| of.count).sum::<u64>(),
        "by_code": observations,
        "more_codes": opens.more_codes,
    })
}

#[cfg(test)]
mod tests;
