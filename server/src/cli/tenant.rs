//! `vitals tenant …`: the registry of tenants.
//!
//! A change is made, recorded, and then waited for: the command returns when the servers that run know of it.

use std::time::Duration;

use serde_json::json;
use vitals_access::tenant::{Tenant, TenantName};
use vitals_store::{
    audit::{self, Recover},
    control::{
        ControlError, servers,
        tenants::{self, NewTenant, TenantRow},
    },
};

use super::{
    CommandError, Connection, Exit, Needs, Opened,
    args::{Isolation, TenantCommand, TenantCreateArgs, TenantDeleteArgs},
    issuer, lockdown, print,
    recorded::Recorder,
    tenant_settings,
};
use crate::config::Settings;

/// How long a change is waited for: servers look for one every 250 ms, and one that cannot look refuses to serve.
const CAUGHT_UP_WITHIN: Duration = Duration::from_millis(1_500);
/// Longest name for people.
const MAX_NAME: usize = 200;
/// Longest name of a tier.
const MAX_TIER: usize = 64;

/// Runs the command.
pub async fn run(settings: &Settings, command: TenantCommand, json: bool) -> Result<Exit, CommandError> {
    if let TenantCommand::Create(_) = command {
        // The tenant's key is sealed: with what, must be the same for the server.
        settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    }
    let opened = Opened::of(settings, Needs::Admin).await?;
    let done = match command {
        TenantCommand::Create(args) => create(&opened, &args, json).await,
        TenantCommand::List => list(&opened, json).await,
        TenantCommand::Show(args) => show(&opened, &args.id, json).await,
        TenantCommand::Suspend(args) => change(&opened, &args.id, Change::Suspend, json).await,
        TenantCommand::Resume(args) => change(&opened, &args.id, Change::Resume, json).await,
        TenantCommand::Delete(args) => delete(&opened, &args, json).await,
        TenantCommand::Set(args) => tenant_settings::set(&opened, &args, json).await,
        TenantCommand::Lockdown(args) => lockdown::run(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn create(opened: &Opened<'_>, args: &TenantCreateArgs, json: bool) -> Result<(), CommandError> {
    let new = NewTenant {
        name: args.id.clone(),
        display: display(args)?,
        isolation: match args.isolation {
            Isolation::Schema => tenants::Isolation::Schema,
        },
        tier: tier(args)?,
        issuer: issuer::with_tenant(args)?,
    };
    let master_key = opened.master_key()?;
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    recorder.begin(&recorder.of_name("tenant.create", &args.id)).await?;
    let created = tenants::create(&mut admin, &master_key, &new, opened.clock.now()).await;
    let record = match &created {
        Ok(created) => recorder.of_tenant("tenant.create", &created.tenant),
        Err(_) => recorder.of_name("tenant.create", &args.id),
    };
    let created = recorder.end(record, created.map_err(explained)).await?;
    for warning in &created.warnings {
        print::note(warning);
    }
    // Nothing to wait for: a server that meets a name it does not know looks into the registry.
    let row = found(&mut admin, &args.id).await?;
    if json {
        return print::json(&row);
    }
    print::line(&format!("tenant {} is at {}/t/{}/fhir", args.id, opened.public_url().await?, args.id))
}

/// The name for people.
fn display(args: &TenantCreateArgs) -> Result<String, CommandError> {
    match &args.name {
        None => Ok(args.id.to_string()),
        Some(name)
            if name.trim().is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) =>
        {
            Err(CommandError::usage(format!("--name must be a line of 1 to {MAX_NAME} characters")))
        }
        Some(name) => Ok(name.clone()),
    }
}

/// The tier, of signs that can stand in a configuration file as a key.
fn tier(args: &TenantCreateArgs) -> Result<String, CommandError> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if args.tier.is_empty() || args.tier.len() > MAX_TIER || !args.tier.bytes().all(sign) {
        return Err(CommandError::usage(format!("--tier must be 1 to {MAX_TIER} letters, digits, '-' and '_'")));
    }
    Ok(args.tier.clone())
}

async fn list(opened: &Opened<'_>, json: bool) -> Result<(), CommandError> {
    let rows = tenants::list(&mut opened.admin().await?).await.map_err(explained)?;
    if json {
        return print::json(&rows);
    }
    if rows.is_empty() {
        print::note("there is no tenant yet: `vitals tenant create ID` makes one");
    }
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row).map(|(_, value)| value).to_vec()).collect();
    print::table(&["id", "name", "status", "isolation", "tier", "version", "created"], &cells)
}

async fn show(opened: &Opened<'_>, name: &TenantName, json: bool) -> Result<(), CommandError> {
    let row = found(&mut opened.admin().await?, name).await?;
    answer(&row, json)
}

fn answer(row: &TenantRow, json: bool) -> Result<(), CommandError> {
    if json { print::json(row) } else { print::fields(&cells(row)) }
}

async fn found(admin: &mut Connection, name: &TenantName) -> Result<TenantRow, CommandError> {
    tenants::show(admin, name).await.map_err(explained)?.ok_or_else(|| unknown(name))
}

fn cells(row: &TenantRow) -> [(&'static str, String); 7] {
    [
        ("id", row.id.clone()),
        ("name", row.name.clone()),
        ("status", row.status.clone()),
        ("isolation", row.isolation.clone()),
        ("tier", row.tier.clone()),
        ("version", row.version.to_string()),
        ("created", row.created.clone()),
    ]
}

/// A change of a tenant's status.
#[derive(Clone, Copy)]
enum Change {
    Suspend,
    Resume,
}

impl Change {
    const fn action(self) -> &'static str {
        match self {
            Self::Suspend => "tenant.suspend",
            Self::Resume => "tenant.resume",
        }
    }
}

async fn change(opened: &Opened<'_>, name: &TenantName, change: Change, json: bool) -> Result<(), CommandError> {
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, change.action(), name).await?;
    let record = recorder.of_tenant(change.action(), &tenant);
    recorder.begin(&record).await?;
    let now = opened.clock.now();
    let changed = match change {
        Change::Suspend => tenants::suspend(&mut admin, name, now).await,
        Change::Resume => tenants::resume(&mut admin, name, now).await,
    };
    let seq = recorder.end(record, changed.map_err(explained)).await?;
    wait_for_servers(opened, seq).await?;
    answer(&found(&mut admin, name).await?, json)
}

/// The tenant that a command is to change; that there is none is recorded as well.
pub(super) async fn known(
    admin: &mut Connection,
    recorder: &mut Recorder,
    action: &str,
    name: &TenantName,
) -> Result<Tenant, CommandError> {
    match tenants::find(admin, name).await.map_err(explained)? {
        Some(tenant) => Ok(tenant),
        None => recorder.end(recorder.of_name(action, name), Err(unknown(name))).await,
    }
}

async fn delete(opened: &Opened<'_>, args: &TenantDeleteArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "tenant.delete";
    if args.confirm != args.id {
        return Err(CommandError::usage(ControlError::NotConfirmed(args.id.clone()).to_string()));
    }
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, ACTION, &args.id).await?;
    let begun = recorder.of_tenant(ACTION, &tenant);
    recorder.begin(&begun).await?;
    let deleted = remove(opened, &mut admin, &tenant).await;
    let record = if deleted.is_ok() { recorder.of_name(ACTION, &args.id) } else { begun };
    let seq = recorder.end(record, deleted).await?;
    wait_for_servers(opened, seq).await?;
    if json {
        return print::json(&json!({ "id": args.id.as_str(), "deleted": true }));
    }
    print::line(&format!("tenant {} is gone, with its data and its keys", args.id))
}

/// Suspends the tenant, moves on the audit records that a killed server left in its schema, and drops everything.
async fn remove(opened: &Opened<'_>, admin: &mut Connection, tenant: &Tenant) -> Result<i64, CommandError> {
    let seq = tenants::suspend(admin, &tenant.name, opened.clock.now()).await.map_err(explained)?;
    wait_for_servers(opened, seq).await?;
    if let Err(error) = audit::recover(&opened.urls, Recover::OfTenant(&tenant.role), audit::new_writer()).await {
        // If there is something to lose, the deletion itself refuses.
        print::note(&format!(
            "audit records of tenant {} could not be looked for: {}",
            tenant.name,
            CommandError::from(error)
        ));
    }
    let deleted = tenants::delete(admin, &tenant.name, tenant.name.as_str(), opened.clock.now()).await;
    deleted.map(|deleted| deleted.seq).map_err(|error| {
        CommandError::new(format!("{}; it is suspended now, and the command can be given again", explained(error)))
    })
}

/// Waits until the servers that run have read a change.
pub(super) async fn wait_for_servers(opened: &Opened<'_>, seq: i64) -> Result<(), CommandError> {
    // A connection of its own: a wait that is given up may leave a statement under way.
    let mut connection = opened.serving().await?;
    let waited = tokio::time::timeout(CAUGHT_UP_WITHIN, servers::caught_up(&mut connection, seq, opened.clock.now()));
    let caught_up = match waited.await {
        Ok(caught_up) => caught_up.map_err(explained)?,
        Err(_) => false,
    };
    if !caught_up {
        print::note("a running server has not read this yet; it does within 3 seconds, or stops serving");
    }
    Ok(())
}

/// Waits until the servers that run have read all that was changed until now.
pub(super) async fn wait_for_newest(opened: &Opened<'_>) -> Result<(), CommandError> {
    let newest = servers::newest_change(&mut opened.serving().await?).await.map_err(explained)?;
    wait_for_servers(opened, newest).await
}

/// The sentence for a name that no tenant has.
pub(super) fn unknown(name: &TenantName) -> CommandError {
    CommandError::new(format!("there is no tenant {name}: `vitals tenant list` shows those there are"))
}

/// An error of the control schema, with what to do about it where that is known.
pub(super) fn explained(error: ControlError) -> CommandError {
    match error {
        ControlError::Unknown(name) => unknown(&name),
        ControlError::Seal { .. } => {
            let sentence = CommandError::from(error);
            CommandError::new(format!(
                "{sentence}: give the one it was made with (--master-key-file, VITALS_MASTER_KEY)"
            ))
        }
        ControlError::Database { .. } => {
            let sentence = CommandError::from(error).to_string();
            // The schema, a table of it, or the role that owns it.
            let hint = if sentence.contains("does not exist") { ": run `vitals setup` first" } else { "" };
            CommandError::new(format!("{sentence}{hint}"))
        }
        error => CommandError::from(error),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Command, Invocation};

    fn parsed(name: Option<&str>) -> TenantCreateArgs {
        let mut line = vec!["vitals", "tenant", "create", "mercy"];
        line.extend(name.iter().flat_map(|name| ["--name", *name]));
        match Invocation::try_parse_from(line).unwrap().command {
            Command::Tenant(TenantCommand::Create(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn name_for_people_is_one_line_and_defaults_to_the_id() {
        assert_eq!(display(&parsed(None)).unwrap(), "mercy");
        assert_eq!(display(&parsed(Some("Mercy Hospital"))).unwrap(), "Mercy Hospital");
        for bad in ["", "  ", "two\nlines", "\u{1b}[2J", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(display(&parsed(Some(bad))).unwrap_err().exit(), Exit::Usage, "{bad:?}");
        }
    }

    #[test]
    fn tier_can_be_a_key_of_a_configuration_file() {
        let mut args = parsed(None);
        assert_eq!(tier(&args).unwrap(), "default");
        for bad in ["", "two words", "a.b", "[x]", &"x".repeat(MAX_TIER + 1)] {
            bad.clone_into(&mut args.tier);
            assert_eq!(tier(&args).unwrap_err().exit(), Exit::Usage, "{bad:?}");
        }
    }

    #[test]
    fn errors_teach() {
        let name: TenantName = "mercy".parse().unwrap();
        let cases = [
            (
                ControlError::Unknown(name.clone()),
                "there is no tenant mercy: `vitals tenant list` shows those there are",
            ),
            (ControlError::Taken(name), "there is a tenant mercy already"),
            (ControlError::NotSetUp, "no login roles are registered: run `vitals setup`"),
        ];
        for (error, sentence) in cases {
            assert_eq!(explained(error).to_string(), sentence);
        }
    }
}
