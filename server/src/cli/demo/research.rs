//! The demo's third tenant: a research platform without data of its own, which both hospitals let read some of theirs.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use vitals_access::{
    audit::{AuditRecord, Origin},
    keys::ACCESS_TOKEN,
    tenant::{Tenant, TenantName},
};
use vitals_store::control;

use super::{CommandError, Connection, TOKEN_HOURS, make, physiology::Hospital};
use crate::{
    authorization::grants::{self, Wanted, delegated_access, status},
    state::App,
};

/// Its name in addresses.
pub(super) const TENANT: &str = "aurora-research";
/// Its name for people.
pub(super) const DISPLAY: &str = "Aurora Research";
/// What each hospital grants it: the first more than the second.
const GRANTED: [&[&str]; 2] = [&["vitals.heart_rate:read", "vitals.spo2:read"], &["vitals.heart_rate:read"]];
/// How long.
const LASTS: TimeDelta = TimeDelta::days(90);

/// Makes the platform and what the hospitals grant it, as far as that is not there; the answer is a token of it.
pub(super) async fn token(
    app: &App,
    admin: &mut Connection,
    hospitals: &[Hospital; 2],
) -> Result<String, CommandError> {
    let name: TenantName = TENANT.parse()?;
    if control::tenants::find(admin, &name).await?.is_none() {
        make(app, admin, &name, DISPLAY).await?;
    }
    let directory = app.feed.refresh().await?;
    let known = |name: &TenantName| directory.tenant(name).cloned();
    let missing = || CommandError::new("a tenant of the demo was deleted while it was starting");
    let platform = known(&name).ok_or_else(missing)?;
    for (hospital, scopes) in hospitals.iter().zip(GRANTED) {
        let hospital = known(&hospital.tenant.parse()?).ok_or_else(missing)?;
        grant(app, &hospital, &platform, scopes).await?;
    }
    let key = control::keys::signing_for(admin, &app.master_key, &name).await?;
    let now = app.clock.now();
    let claim = delegated_access(&*app.feed.refresh().await?, &platform, now);
    Ok(key.sign(
        ACCESS_TOKEN,
        &json!({
            "iss": format!("{}/t/{name}/auth", app.public_url),
            "sub": "demo",
            "aud": format!("{}/t/{name}/fhir", app.public_url),
            "iat": now.timestamp(),
            "exp": now.timestamp() + TOKEN_HOURS * 3600,
            "jti": uuid::Uuid::new_v4().to_string(),
            "tenant_id": name.as_str(),
            "client_id": "vitals-demo",
            "scope": grants::DELEGATED,
            "delegated_access": claim.entries,
        }),
    ))
}

async fn grant(app: &App, from: &Arc<Tenant>, to: &Arc<Tenant>, scopes: &[&str]) -> Result<(), CommandError> {
    let now = app.clock.now();
    let standing = grants::list(&app.desk, from).await?;
    if standing.iter().any(|row| row.grantee == to.name.as_str() && status(row, now) == "active") {
        return Ok(());
    }
    let wanted = Wanted {
        grantee: to.name.to_string(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        purpose: "HRESCH".to_owned(),
        not_before: None,
        expires: now + LASTS,
        note: Some("The demo's".to_owned()),
        created_by: "cli".to_owned(),
    };
    let made = grants::create(&app.desk, from, wanted).await?;
    let mut record = AuditRecord::new(Origin::Cli, "grant.create", now);
    from.role.as_str().clone_into(&mut record.chain);
    record.tenant = Some(from.name.to_string());
    record.resource_id = Some(made.row.id.clone());
    record.grant = Some(made.row.id);
    record.decision = vitals_access::audit::Decision::Allowed;
    let told = record.elsewhere(to.role.as_str());
    for record in [record, told] {
        app.audit.record(record).await?;
    }
    Ok(())
}
