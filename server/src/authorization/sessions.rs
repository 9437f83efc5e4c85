//! Sessions: people who are signed in at a browser, until they sign out, do nothing for a while, or twelve hours have
//! passed (45 CFR 164.312(a)(2)(iii), automatic logoff).

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vitals_access::tenant::Tenant;
use vitals_store::{
    StoreError,
    authorization::{Account, Session, SignedIn},
    control::revocations::RevocationKind,
};

use super::{Desk, ending::DeskError, secrets};

/// Longest that somebody stays signed in: a shift.
const LONGEST: TimeDelta = TimeDelta::hours(12);

/// Begins a session, and gives the secret of its cookie. Never one that was there before (session fixation).
pub async fn begin(
    desk: &Desk,
    tenant: &Arc<Tenant>,
    account: &Account,
    address: Option<IpAddr>,
) -> Result<String, StoreError> {
    let now = desk.clock.now();
    let secret = secrets::random();
    let session = Session {
        hash: secrets::hash(&secret),
        id: Uuid::new_v4().to_string(),
        account: account.id.clone(),
        address: address.map(|address| address.to_string()),
        created: now,
        seen: now,
        expires: expires(tenant, now, now),
    };
    let mut tx = desk.pool.authorization(tenant).await?;
    tx.insert_session(&session).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Why somebody's session is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// They do something: it goes on.
    Acts,
    /// Their browser looks by itself whether it has ended: two open pages must not keep each other alive.
    Waits,
}

/// Who is signed in by this cookie.
pub async fn find(desk: &Desk, tenant: &Arc<Tenant>, secret: &str, look: Look) -> Result<Option<SignedIn>, StoreError> {
    let now = desk.clock.now();
    let hash = secrets::hash(secret);
    let mut tx = desk.pool.authorization(tenant).await?;
    let mut found = tx.session(&hash, now).await?;
    if let (Some(found), Look::Acts) = (&mut found, look) {
        found.session.expires = expires(tenant, now, found.session.created);
        tx.touch_session(&hash, now, found.session.expires).await?;
    }
    tx.commit().await?;
    Ok(found)
}

/// Ends all sessions of an account, and every token issued in them.
pub async fn end_all(desk: &Desk, tenant: &Arc<Tenant>, account: &str) -> Result<(), DeskError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let ended = tx.end_sessions_of(account).await?;
    for session in &ended {
        tx.end_approvals_of_session(session, desk.clock.now()).await?;
    }
    let ended: Vec<_> = ended.iter().map(|session| (RevocationKind::Session, session.as_str())).collect();
    desk.conclude(tenant, tx, &ended).await
}

fn expires(tenant: &Tenant, now: DateTime<Utc>, created: DateTime<Utc>) -> DateTime<Utc> {
    let idle = TimeDelta::minutes(i64::from(tenant.settings.idle_minutes.max(1)));
    (now + idle).min(created + LONGEST)
}
