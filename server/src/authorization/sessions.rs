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

use super::{
    Desk,
    revoke::{RevokeError, revoke},
    secrets,
};

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

/// Who is signed in by this cookie; looking counts as doing something.
pub async fn find(desk: &Desk, tenant: &Arc<Tenant>, secret: &str) -> Result<Option<SignedIn>, StoreError> {
    let now = desk.clock.now();
    let hash = secrets::hash(secret);
    let mut tx = desk.pool.authorization(tenant).await?;
    let found = tx.session(&hash, now).await?;
    if let Some(found) = &found {
        tx.touch_session(&hash, now, expires(tenant, now, found.session.created)).await?;
    }
    tx.commit().await?;
    Ok(found)
}

/// Ends a session, and with it what was to last as long.
pub async fn end(desk: &Desk, tenant: &Arc<Tenant>, signed_in: &SignedIn) -> Result<(), RevokeError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    tx.end_session(&signed_in.session.hash).await?;
    tx.end_approvals_of_session(&signed_in.session.id, desk.clock.now()).await?;
    tx.commit().await?;
    revoke(desk, tenant, RevocationKind::Session, &signed_in.session.id).await
}

fn expires(tenant: &Tenant, now: DateTime<Utc>, created: DateTime<Utc>) -> DateTime<Utc> {
    let idle = TimeDelta::minutes(i64::from(tenant.settings.idle_minutes.max(1)));
    (now + idle).min(created + LONGEST)
}
