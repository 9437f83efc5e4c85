//! `vitals api-key …`: keys for development, where a tenant takes them.

use chrono::TimeDelta;
use serde_json::json;
use vitals_access::scope;
use vitals_fhir::resource::is_id;

use super::{
    CommandError, Exit, Needs, Opened,
    args::{ApiKeyCommand, ApiKeyCreateArgs, OfTenantArgs, RevokeArgs},
    desk::AtDesk,
    print,
    tenant::wait_for_newest,
};
use crate::{
    authorization::api_keys::{self, NewKey},
    config::Settings,
};

/// Runs the command.
pub async fn run(settings: &Settings, command: ApiKeyCommand, json: bool) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        ApiKeyCommand::Create(args) => create(&opened, &args, json).await,
        ApiKeyCommand::List(args) => list(&opened, &args, json).await,
        ApiKeyCommand::Revoke(args) => revoke(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn create(opened: &Opened<'_>, args: &ApiKeyCreateArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "api-key.create";
    if args.patient.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(CommandError::usage("--patient must be one logical id, without a type before it"));
    }
    for scope in args.scope.split(' ').filter(|scope| !scope.is_empty() && !scope::is_known(scope)) {
        print::note(&format!("scope {} is not understood and grants nothing", scope.escape_debug()));
    }
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let mut record = at.recorder.of_tenant(ACTION, &at.tenant);
    record.scopes = args.scope.split(' ').map(str::to_owned).collect();
    at.recorder.begin(&record).await?;
    let lifetime = TimeDelta::from_std(args.ttl).unwrap_or(TimeDelta::MAX);
    let new = NewKey {
        name: args.name.clone(),
        scope: args.scope.clone(),
        patient: args.patient.clone(),
        lifetime,
        created_by: "cli".to_owned(),
    };
    let made = api_keys::create(&at.desk, &at.tenant, new).await.map_err(CommandError::from);
    record.resource_id = made.as_ref().ok().map(|made| made.row.id.clone());
    let made = at.recorder.end(record, made).await?;
    wait_for_newest(opened).await?;
    if !at.tenant.settings.takes_api_keys() {
        print::note(&format!(
            "tenant {} takes no API keys now: `vitals tenant set {} --api-keys on` lets it",
            args.tenant, args.tenant
        ));
    }
    if json {
        let mut shown = serde_json::to_value(&made.row)?;
        shown["key"] = json!(made.key);
        return print::json(&shown);
    }
    print::note(&format!("API key {}, good until {}; it is shown this once", made.row.id, made.row.expires));
    print::line(&made.key)
}

async fn list(opened: &Opened<'_>, args: &OfTenantArgs, json: bool) -> Result<(), CommandError> {
    let at = AtDesk::open(opened, "api-key.read", &args.tenant).await?;
    let rows = api_keys::list(&at.desk, &at.tenant).await?;
    if json {
        return print::json(&rows);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.id.clone(),
                row.name.clone(),
                row.scope.clone(),
                row.expires.clone(),
                text(&row.last_used),
                text(&row.revoked),
            ]
        })
        .collect();
    print::table(&["id", "name", "scopes", "expires", "last used", "revoked"], &cells)
}

async fn revoke(opened: &Opened<'_>, args: &RevokeArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "api-key.revoke";
    let mut at = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let record = at.record(ACTION, &args.id);
    at.recorder.begin(&record).await?;
    let ended = match api_keys::revoke(&at.desk, &at.tenant, &args.id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::new(format!("tenant {} has no API key {} to revoke", args.tenant, args.id))),
        Err(error) => Err(error.into()),
    };
    at.recorder.end(record, ended).await?;
    wait_for_newest(opened).await?;
    if json {
        return print::json(&json!({ "id": args.id, "revoked": true }));
    }
    print::line(&format!("API key {} is of no use any more", args.id))
}
