//! `vitals migrate …`: where every tenant's schema stands, and bringing all of them to the newest version.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};
use vitals_store::{
    migrate::{self, MigrateError, MigrationRow, Only, State, Up},
    urls,
};

use super::{
    CommandError, Exit, Needs, Opened,
    args::{MigrateCommand, MigrateUpArgs},
    print,
    recorded::Recorder,
    tenant::unknown,
};
use crate::config::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, command: MigrateCommand, json: bool) -> Result<Exit, CommandError> {
    let opened = Opened::of(settings, Needs::Admin).await?;
    let done = match command {
        MigrateCommand::Status => status(&opened).await,
        MigrateCommand::Up(args) => up(&opened, args).await,
    };
    let closed = opened.close().await;
    let rows = done.and_then(|rows| closed.map(|()| rows))?;
    report(&rows, json)
}

async fn status(opened: &Opened<'_>) -> Result<Vec<MigrationRow>, CommandError> {
    migrate::status(&mut opened.admin().await?, &Only::Everyone).await.map_err(explained)
}

/// Audit first, so that the record of the rest can be written; then control and the tenants.
async fn up(opened: &Opened<'_>, args: MigrateUpArgs) -> Result<Vec<MigrationRow>, CommandError> {
    let now = opened.clock.now();
    let mut audit = urls::connect(&opened.urls.audit_admin()?).await?;
    migrate::audit(&mut audit, now).await.map_err(explained)?;
    let mut recorder = Recorder::open(opened).await?;
    let mut record = match &args.tenant {
        Some(name) => recorder.of_name("migrate.up", name),
        None => recorder.of_server("migrate.up"),
    };
    recorder.begin(&record).await?;
    let rows = tenants(opened, args).await;
    let failed = rows.as_deref().map(failures).unwrap_or_default();
    record.count = rows.as_ref().ok().map(|rows| rows.len() as u64);
    let outcome = match &rows {
        Ok(_) if failed > 0 => Err(CommandError::new(format!("{failed} tenants failed"))),
        Ok(_) => Ok(()),
        Err(error) => Err(CommandError::new(error.to_string())),
    };
    let refused = outcome.is_err();
    match recorder.end(record, outcome).await {
        Err(error) if !refused => Err(error),
        _ => rows,
    }
}

async fn tenants(opened: &Opened<'_>, args: MigrateUpArgs) -> Result<Vec<MigrationRow>, CommandError> {
    let only = args.tenant.map_or(Only::Everyone, Only::Tenant);
    let waiting = migrate::status(&mut opened.admin().await?, &only).await.map_err(explained)?;
    let bar = progress(waiting.iter().filter(|row| row.state != State::Current).count())?;
    let request =
        Up { admin_url: &opened.urls.app_admin()?, jobs: usize::from(args.jobs), only, now: opened.clock.now() };
    let notify = |row: &MigrationRow| {
        bar.set_message(row.tenant.clone());
        bar.inc(1);
    };
    let rows = migrate::up(&request, &notify).await.map_err(explained);
    bar.finish_and_clear();
    rows
}

/// A bar on standard error, where somebody watches and there is something to watch.
fn progress(tenants: usize) -> Result<ProgressBar, CommandError> {
    if tenants == 0 || !stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} tenants {msg} {eta} left")?;
    Ok(ProgressBar::new(tenants as u64).with_style(style))
}

fn report(rows: &[MigrationRow], json: bool) -> Result<Exit, CommandError> {
    if json {
        print::json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        print::table(&["tenant", "version", "target", "state", "ms", "error"], &cells)?;
        print::note(&summary(rows));
    }
    Ok(if failures(rows) == 0 { Exit::Success } else { Exit::Failure })
}

fn cells(row: &MigrationRow) -> Vec<String> {
    vec![
        row.tenant.clone(),
        row.version.to_string(),
        row.target.to_string(),
        state(row.state).to_owned(),
        row.duration_ms.map_or_else(String::new, |ms| ms.to_string()),
        row.error.clone().unwrap_or_default(),
    ]
}

const fn state(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Pending => "pending",
        State::Failed => "failed",
    }
}

fn failures(rows: &[MigrationRow]) -> usize {
    count(rows, State::Failed)
}

fn count(rows: &[MigrationRow], state: State) -> usize {
    rows.iter().filter(|row| row.state == state).count()
}

fn summary(rows: &[MigrationRow]) -> String {
    let mut parts = vec![format!("{} tenants", rows.len())];
    for kind in [State::Current, State::Pending, State::Failed] {
        let count = count(rows, kind);
        if count > 0 {
            parts.push(format!("{count} {}", state(kind)));
        }
    }
    let hint =
        if count(rows, State::Pending) > 0 { ": `vitals migrate up` brings them to the newest version" } else { "" };
    format!("{}{hint}", parts.join(", "))
}

fn explained(error: MigrateError) -> CommandError {
    match error {
        MigrateError::UnknownTenant(name) => unknown(&name),
        error => CommandError::from(error),
    }
}

/// The tenants at a version that is served although it is not the newest, and those that need somebody.
pub(super) fn judged(rows: &[MigrationRow]) -> (Vec<&MigrationRow>, Vec<&MigrationRow>) {
    let waiting = rows.iter().filter(|row| row.state != State::Current);
    waiting.partition(|row| {
        row.state == State::Pending && migrate::SchemaVersions::judge(row.version) == migrate::Served::Yes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tenant: &str, version: i32, state: State) -> MigrationRow {
        let target = migrate::SchemaVersions::newest();
        MigrationRow { tenant: tenant.to_owned(), version, target, state, error: None, duration_ms: Some(3) }
    }

    #[test]
    fn one_failed_tenant_is_a_failure_and_pending_ones_are_not() {
        let newest = migrate::SchemaVersions::newest();
        let cases = [
            (vec![], Exit::Success, "0 tenants"),
            (vec![row("a", newest, State::Current)], Exit::Success, "1 tenants, 1 current"),
            (
                vec![row("a", newest, State::Current), row("b", newest - 1, State::Pending)],
                Exit::Success,
                "2 tenants, 1 current, 1 pending: `vitals migrate up` brings them to the newest version",
            ),
            (vec![row("a", 1, State::Failed)], Exit::Failure, "1 tenants, 1 failed"),
        ];
        for (rows, exit, text) in cases {
            assert_eq!(summary(&rows), text);
            assert_eq!(report(&rows, true).unwrap(), exit);
        }
    }

    #[test]
    fn a_tenant_one_version_behind_is_served_and_a_failed_one_needs_somebody() {
        let newest = migrate::SchemaVersions::newest();
        let rows = [
            row("current", newest, State::Current),
            row("near", newest - 1, State::Pending),
            row("far", 0, State::Pending),
            row("failed", newest - 1, State::Failed),
        ];
        let (served, not) = judged(&rows);
        let names = |rows: &[&MigrationRow]| rows.iter().map(|row| row.tenant.clone()).collect::<Vec<_>>();
        assert_eq!(names(&served), ["near"]);
        assert_eq!(names(&not), ["far", "failed"]);
    }
}
