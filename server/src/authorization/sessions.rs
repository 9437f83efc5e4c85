//! Sessions: people who are signed in at a browser, until they sign out, do nothing for a while, or twelve hours have
//! passed (45 CFR 164.312(a)(2)(iii), automatic logoff).

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vitals_access::tenant::Tenant;
use vitals_store::{
    StoreError,
    authorization::{Account, Session, SignedIn},
};

use super::{Desk, secrets};

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

fn expires(tenant: &Tenant, now: DateTime<Utc>, created: DateTime<Utc>) -> DateTime<Utc> {
    let idle = TimeDelta::minutes(i64::from(tenant.settings.idle_minutes.max(1)));
    (now + idle).min(created + LONGEST)
}
