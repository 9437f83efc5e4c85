//! `vitals grant …`: what one tenant lets another read. A grant that is made or ended stands in the trails of both.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use vitals_access::{audit::AuditRecord, tenant::TenantName};
use vitals_store::control::grants::{self as store, GrantRow};

use super::{
    CommandError, Exit, Needs, Opened,
    args::{GrantCommand, GrantCreateArgs, GrantListArgs, GrantRevokeArgs, GrantShowArgs},
    desk::AtDesk,
    print,
    recorded::Recorder,
    tenant::{explained, wait_for_newest},
};
use crate::{
    authorization::grants::{self, GrantsError, Wanted, shown_preview, status},
    config::{self, Settings},
};

/// Runs the command.
pub async fn run(settings: &Settings, command: GrantCommand, json: bool) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        GrantCommand::Create(args) => Box::pin(create(&opened, args, json)).await,
        GrantCommand::List(args) => list(&opened, &args, json).await,
        GrantCommand::Show(args) => show(&opened, &args, json).await,
        GrantCommand::Revoke(args) => revoke(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn create(opened: &Opened<'_>, args: GrantCreateArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "grant.create";
    let now = opened.clock.now();
    let wanted = Wanted {
        grantee: args.to.to_string(),
        scopes: args.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        purpose: args.purpose,
        not_before: args.not_before.as_deref().map(|text| when("--not-before", text, now)).transpose()?,
        expires: when("--expires", &args.expires, now)?,
        note: args.note,
        created_by: "cli".to_owned(),
    };
    let mut at = AtDesk::open(opened, ACTION, &args.from).await?;
    let mut record = at.recorder.of_tenant(ACTION, &at.tenant);
    at.recorder.begin(&record).await?;
    let made = grants::create(&at.desk, &at.tenant, wanted).await.map_err(refused);
    record.resource_id = made.as_ref().ok().map(|made| made.row.id.clone());
    record.grant.clone_from(&record.resource_id);
    let elsewhere = made.as_ref().ok().map(|made| told(&record, made.grantee.role.as_str()));
    let row = at.recorder.end(record, made).await?.row;
    if let Some(elsewhere) = elsewhere {
        at.recorder.end(elsewhere, Ok(())).await?;
    }
    wait_for_newest(opened).await?;
    if json {
        return print::json(&shown(&row, now));
    }
    print::note(&format!("{} may read of {} until {}", row.grantee, row.grantor, row.expires));
    print::line(&row.id)
}

/// What cannot be granted was asked for in a way that makes no sense.
fn refused(error: GrantsError) -> CommandError {
    match error {
        GrantsError::Connect(_) | GrantsError::Store(_) | GrantsError::Stale(_) => error.into(),
        GrantsError::Control(error) => explained(error),
        _ => CommandError::usage(error.to_string()),
    }
}

async fn list(opened: &Opened<'_>, args: &GrantListArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "grant.read";
    let rows = match &args.tenant {
        Some(name) => {
            let at = AtDesk::open(opened, ACTION, name).await?;
            grants::list(&at.desk, &at.tenant).await?
        }
        None => store::every(&mut opened.serving().await?, None).await.map_err(explained)?,
    };
    let now = opened.clock.now();
    if json {
        return print::json(&rows.iter().map(|row| shown(row, now)).collect::<Vec<_>>());
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let texts = [&row.id, &row.grantor, &row.grantee, &row.scopes.join(" "), &row.purpose, &row.expires];
            texts.into_iter().cloned().chain([status(row, now).to_owned()]).collect()
        })
        .collect();
    print::table(&["id", "from", "to", "scopes", "purpose", "expires", "status"], &cells)
}

async fn show(opened: &Opened<'_>, args: &GrantShowArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "grant.preview";
    let row = one(opened, ACTION, &args.id).await?;
    let now = opened.clock.now();
    let mut told = shown(&row, now);
    if args.preview {
        let mut at = AtDesk::open(opened, ACTION, &row.grantor.parse()?).await?;
        let mut record = at.record(ACTION, &row.id);
        record.grant = Some(row.id.clone());
        let opens = grants::preview(&at.desk, &at.tenant, &row.scopes).await.map_err(refused);
        told["opens"] = shown_preview(&at.recorder.end(record, opens).await?);
    }
    if json {
        return print::json(&told);
    }
    for (name, value) in told.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            Value::Object(_) => continue,
            other => other.to_string(),
        };
        print::line(&format!("{name:<12}{text}"))?;
    }
    if let Some(opens) = told.get("opens") {
        print::line(&format!("{:<12}{} patients, {} Observations", "opens", opens["patients"], opens["observations"]))?;
        for code in opens["by_code"].as_array().into_iter().flatten() {
            let name = code["code"].as_str().unwrap_or("(several)");
            print::line(&format!("{:<12}{name}: {} of {} patients", "", code["count"], code["patients"]))?;
        }
    }
    Ok(())
}

async fn revoke(opened: &Opened<'_>, args: &GrantRevokeArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "grant.revoke";
    let row = one(opened, ACTION, &args.id).await?;
    let mut at = AtDesk::open(opened, ACTION, &row.grantor.parse()?).await?;
    let mut record = at.record(ACTION, &row.id);
    record.grant = Some(row.id.clone());
    at.recorder.begin(&record).await?;
    let ended = match grants::revoke(&at.desk, &at.tenant, &row.id, "cli").await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::new(format!("grant {} has ended already", row.id))),
        Err(error) => Err(refused(error)),
    };
    let grantee: TenantName = row.grantee.parse()?;
    let other = at.desk.feed.current()?.tenant(&grantee).map(|tenant| tenant.role.clone());
    let elsewhere = other.filter(|_| ended.is_ok()).map(|role| told(&record, role.as_str()));
    at.recorder.end(record, ended).await?;
    if let Some(elsewhere) = elsewhere {
        at.recorder.end(elsewhere, Ok(())).await?;
    }
    wait_for_newest(opened).await?;
    if json {
        return print::json(&json!({ "id": row.id, "revoked": true }));
    }
    print::line(&format!("{} may read nothing of {} any more by grant {}", row.grantee, row.grantor, row.id))
}

/// The grant of this id, whoever made it; that there is none is recorded.
async fn one(opened: &Opened<'_>, action: &str, id: &str) -> Result<GrantRow, CommandError> {
    let found = store::every(&mut opened.serving().await?, Some(id)).await.map_err(explained)?;
    if let Some(row) = found.into_iter().next() {
        return Ok(row);
    }
    let mut recorder = Recorder::open(opened).await?;
    let record = recorder.of_server(action);
    let sentence = format!("there is no grant {}: `vitals grant list` shows those there are", id.escape_debug());
    recorder.end(record, Err(CommandError::new(sentence))).await
}

/// The same record in the trail of the other tenant.
fn told(record: &AuditRecord, chain: &str) -> AuditRecord {
    let mut told = record.elsewhere(chain);
    told.subject = None;
    told
}

/// A grant as operators see it.
fn shown(row: &GrantRow, now: DateTime<Utc>) -> Value {
    let mut shown = json!({
        "id": row.id,
        "from": row.grantor,
        "to": row.grantee,
        "scopes": row.scopes,
        "purpose": row.purpose,
        "not_before": row.not_before,
        "expires": row.expires,
        "created": row.created,
        "created_by": row.created_by,
        "status": status(row, now),
    });
    for (name, value) in [("note", &row.note), ("revoked", &row.revoked), ("revoked_by", &row.revoked_by)] {
        if let Some(value) = value {
            shown[name] = json!(value);
        }
    }
    shown
}

/// A time, a day, or how long from now.
fn when(option: &str, text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, CommandError> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.with_timezone(&Utc));
    }
    if let Some(day) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(day.and_utc());
    }
    let span = config::duration(text).ok().and_then(|span| TimeDelta::from_std(span).ok());
    span.and_then(|span| now.checked_add_signed(span)).ok_or_else(|| {
        CommandError::usage(format!(
            "{option} must be a time such as 2027-01-31T00:00:00Z, a day such as 2027-01-31, or how long from now, such \
             as 90d"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_a_day_or_how_long_from_now() {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("90d", "2026-05-30T12:00:00Z"),
            ("30m", "2026-03-01T12:30:00Z"),
        ] {
            assert_eq!(when("--expires", text, now).unwrap(), expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for text in ["", "soon", "2027-02-30", "90", "99999999999999999d", "2027-01-31T00:00:00"] {
            assert_eq!(when("--expires", text, now).unwrap_err().exit(), Exit::Usage, "{text}");
        }
    }
}
