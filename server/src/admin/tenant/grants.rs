//! `/admin/grants`: what this tenant lets others read, and what others let it read.

use chrono::{DateTime, Utc};
use poem::{Response, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use vitals_access::{audit::AuditRecord, tenant::TenantRole};

use super::{Call, Problem, created, gone, json, route::What};
use crate::authorization::grants::{self, Wanted, shown_grant, shown_preview};

/// A grant to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    grantee: String,
    scopes: Vec<String>,
    purpose: String,
    not_before: Option<String>,
    expires: String,
    note: Option<String>,
}

/// Scopes to be looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Looked {
    scopes: Vec<String>,
}

/// Answers.
pub(super) async fn answer(call: &mut Call<'_>, what: What, id: &str) -> Result<Response, Problem> {
    match what {
        What::Create => create(call).await,
        What::Revoke | What::Renew => revoke(call, id).await,
        What::Show => {
            let row = grants::show(&call.app.desk, call.tenant, id).await?.ok_or_else(none)?;
            call.record.grant = Some(row.id.clone());
            json(StatusCode::OK, &shown_grant(&row, call.tenant, call.app.clock.now()))
        }
        What::List => {
            let now = call.app.clock.now();
            let rows = grants::list(&call.app.desk, call.tenant).await?;
            let shown: Vec<Value> = rows.iter().map(|row| shown_grant(row, call.tenant, now)).collect();
            json(StatusCode::OK, &json!({ "grants": shown }))
        }
    }
}

/// What the scopes of a grant open, or those of a body, as counts.
pub(super) async fn preview(call: &mut Call<'_>, id: &str) -> Result<Response, Problem> {
    let scopes = if id.is_empty() {
        call.body::<Looked>().await?.scopes
    } else {
        let row = grants::show(&call.app.desk, call.tenant, id).await?.ok_or_else(none)?;
        call.record.grant = Some(row.id.clone());
        if row.grantor != call.tenant.name.as_str() {
            return Err(Problem::not_yours("Only the tenant that gives sees what a grant opens, as counts."));
        }
        row.scopes
    };
    let opens = grants::preview(&call.app.desk, call.tenant, &scopes).await?;
    json(StatusCode::OK, &shown_preview(&opens))
}

async fn create(call: &mut Call<'_>) -> Result<Response, Problem> {
    let wire: Wire = call.body().await?;
    let wanted = Wanted {
        grantee: wire.grantee,
        scopes: wire.scopes,
        purpose: wire.purpose,
        not_before: wire.not_before.as_deref().map(|text| moment("not_before", text)).transpose()?,
        expires: moment("expires", &wire.expires)?,
        note: wire.note,
        created_by: call.by(),
    };
    let made = grants::create(&call.app.desk, call.tenant, wanted).await?;
    call.record.resource_id = Some(made.row.id.clone());
    call.record.grant = Some(made.row.id.clone());
    *call.about = Some(made.grantee.role.clone());
    created(call, "grants", &made.row.id, &shown_grant(&made.row, call.tenant, call.app.clock.now()))
}

async fn revoke(call: &mut Call<'_>, id: &str) -> Result<Response, Problem> {
    let desk = &call.app.desk;
    let row = grants::show(desk, call.tenant, id).await?.ok_or_else(none)?;
    call.record.grant = Some(row.id.clone());
    if row.grantor != call.tenant.name.as_str() {
        return Err(Problem::not_yours("Only the tenant that made a grant can end it."));
    }
    if !grants::revoke(desk, call.tenant, id, &call.by()).await? {
        return Err(none());
    }
    // After the change: the directory knows the other tenant, unless it is gone and its trail with it.
    let directory = desk.feed.current()?;
    *call.about = row.grantee.parse().ok().and_then(|name| directory.tenant(&name)).map(|grantee| grantee.role.clone());
    Ok(gone())
}

fn none() -> Problem {
    Problem::no_such("grant, or none that could still end")
}

fn moment(name: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    read.map_err(|_| Problem::unprocessable(format!("{name} has to be a date and time with its zone (RFC 3339).")))
}

/// What the other tenant's trail tells of a grant that was made or ended: that it was, and nothing of who did it there.
pub(super) fn told(record: &AuditRecord, other: &TenantRole) -> AuditRecord {
    let mut told = record.elsewhere(other.as_str());
    for own in [&mut told.issuer, &mut told.subject, &mut told.client, &mut told.certificate, &mut told.address] {
        *own = None;
    }
    told.scopes.clear();
    told.used.clear();
    told
}
