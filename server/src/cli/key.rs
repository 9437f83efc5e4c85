//! `vitals key …`: the keys a tenant signs its tokens with.

use vitals_fhir::temporal::instant;
use vitals_store::control::keys::KeyRow;

use super::{
    CommandError, Exit, Needs, Opened,
    args::{KeyCommand, KeyRotateArgs, OfTenantArgs},
    desk::AtDesk,
    print,
    tenant::wait_for_newest,
};
use crate::{
    authorization::{
        administration,
        keys::{self, Overlap},
    },
    config::Settings,
};

/// Runs the command.
pub async fn run(settings: &Settings, command: KeyCommand, json: bool) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let done = match command {
        KeyCommand::Rotate(args) => rotate(&opened, &args, json).await,
        KeyCommand::List(args) => list(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn rotate(opened: &Opened<'_>, args: &KeyRotateArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "key.rotate";
    let AtDesk { desk, tenant, mut recorder } = AtDesk::open(opened, ACTION, &args.tenant).await?;
    let record = recorder.of_tenant(ACTION, &tenant);
    recorder.begin(&record).await?;
    let overlap = if args.now { Overlap::None } else { Overlap::UntilTokensEnd };
    let rotated = keys::rotate(&desk, &tenant, overlap).await.map_err(CommandError::from);
    recorder.end(record, rotated).await?;
    wait_for_newest(opened).await?;
    show(&administration::keys(&desk, &tenant).await?, json)
}

async fn list(opened: &Opened<'_>, args: &OfTenantArgs, json: bool) -> Result<(), CommandError> {
    let at = AtDesk::open(opened, "key.read", &args.tenant).await?;
    show(&administration::keys(&at.desk, &at.tenant).await?, json)
}

fn show(rows: &[KeyRow], json: bool) -> Result<(), CommandError> {
    if json {
        return print::json(&rows.iter().map(administration::shown_key).collect::<Vec<_>>());
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.kid.clone(),
                row.algorithm.clone(),
                instant(row.created.timestamp_millis()),
                row.retired.map_or_else(|| "-".to_owned(), |at| instant(at.timestamp_millis())),
            ]
        })
        .collect();
    print::table(&["kid", "algorithm", "created", "retired"], &cells)
}
