//! `vitals doctor`: looks at everything a server depends on, says what is wrong and what to do. It goes on after a
//! check that fails; only what hangs on that one is left out.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use chrono::{DateTime, Utc};
use vitals_store::{
    control::{directory, keys},
    doctor::{self, Check},
    migrate::{self, MigrationRow, Only, SchemaVersions, Served},
    urls,
};

use super::{CommandError, Exit, Needs, Opened, migrate as migrations, print, tenant::explained};
use crate::{
    config::{Database, Settings, TlsFiles},
    tls::Loaded,
};

/// Names in a sentence; there may be thousands.
const NAMES: usize = 5;

/// Runs the command.
pub async fn run(settings: &Settings, json: bool) -> Result<Exit, CommandError> {
    let mut checks = vec![of("settings", configured(settings))];
    match Opened::of(settings, Needs::Serving).await {
        Err(error) => checks.push(Check::failed("databases", error.to_string())),
        Ok(opened) => {
            checks.extend(look(settings, &opened).await);
            if let Err(error) = opened.close().await {
                checks.push(Check::failed("stopping the embedded PostgreSQL", error.to_string()));
            }
        }
    }
    let ok = checks.iter().all(|check| check.ok);
    if json {
        print::json(&checks)?;
    } else {
        let cells: Vec<Vec<String>> = checks.iter().map(cells).collect();
        print::table(&["check", "", "found, and what to do"], &cells)?;
    }
    Ok(if ok { Exit::Success } else { Exit::Failure })
}

fn cells(check: &Check) -> Vec<String> {
    let mark = if check.ok { "ok" } else { "FAILED" };
    vec![check.check.clone(), mark.to_owned(), check.advice.clone()]
}

fn of(check: &str, looked: Result<String, CommandError>) -> Check {
    match looked {
        Ok(found) => Check::fine(check, found),
        Err(advice) => Check::failed(check, advice.to_string()),
    }
}

fn configured(settings: &Settings) -> Result<String, CommandError> {
    settings.check_serving()?;
    Ok(match settings.database {
        Database::Embedded => format!("embedded PostgreSQL under {}", settings.data_dir.display()),
        Database::Outside(_) => "a PostgreSQL of yours".to_owned(),
    })
}

async fn look(settings: &Settings, opened: &Opened<'_>) -> Vec<Check> {
    let clock = &opened.clock;
    let mut checks = doctor::checks(&opened.urls, &|| clock.now()).await;
    checks.push(of("migrations of control and audit", shared(opened).await));
    checks.push(of("migrations of tenants", tenants(opened).await));
    if settings.check_serving().is_ok() {
        checks.push(of("master key and the tenants' keys", sealed(opened).await));
    }
    let token = settings.operator_token_file.clone();
    checks.push(match token {
        Some(file) => of("operator token", operator_token(&file, WhenMissing::Failed)),
        None => of("operator token", operator_token(&settings.data_dir.join("operator.token"), WhenMissing::Fine)),
    });
    if let Some(files) = &settings.tls {
        checks.push(of("TLS", certificate(files, clock.now())));
    }
    checks
}

fn certificate(files: &TlsFiles, now: DateTime<Utc>) -> Result<String, CommandError> {
    match Loaded::read(files)?.warning(now) {
        None => Ok("certificate and key fit, and the certificate is good for two weeks at least".to_owned()),
        Some(warning) => Err(CommandError::new(warning)),
    }
}

/// Only the administering role reads the ledgers; that there are tables was looked at before.
async fn shared(opened: &Opened<'_>) -> Result<String, CommandError> {
    if opened.urls.admin.is_none() {
        return Ok("looked at only with --admin-database-url".to_owned());
    }
    let (control, audit) = (opened.urls.app_admin()?, opened.urls.audit_admin()?);
    let (mut control, mut audit) = tokio::try_join!(urls::connect(&control), urls::connect(&audit))?;
    if migrate::shared_are_current(&mut control, &mut audit).await? {
        Ok("at the newest version".to_owned())
    } else {
        Err(CommandError::new("steps are missing: run `vitals migrate up` (`vitals setup` on a new database)"))
    }
}

async fn tenants(opened: &Opened<'_>) -> Result<String, CommandError> {
    if opened.urls.admin.is_some() {
        let rows = migrate::status(&mut opened.admin().await?, &Only::Everyone).await?;
        return standing(&rows);
    }
    // Without the administering role there is only the registry.
    let directory = directory::load(&mut opened.serving().await?, "", opened.clock.now()).await.map_err(explained)?;
    let not_served: Vec<String> = directory
        .tenants()
        .filter(|tenant| SchemaVersions::judge(tenant.version) != Served::Yes)
        .map(|tenant| format!("{} (version {})", tenant.name, tenant.version))
        .collect();
    if not_served.is_empty() {
        return Ok("every tenant is at a version that is served".to_owned());
    }
    Err(CommandError::new(format!("not served: {}: run `vitals migrate up`", some_of(&not_served))))
}

fn standing(rows: &[MigrationRow]) -> Result<String, CommandError> {
    let (served, not) = migrations::judged(rows);
    if !not.is_empty() {
        let told: Vec<String> = not
            .iter()
            .map(|row| match &row.error {
                Some(error) => format!("{} ({error})", row.tenant),
                None => format!("{} (version {})", row.tenant, row.version),
            })
            .collect();
        return Err(CommandError::new(format!("need attention: {}: run `vitals migrate up`", some_of(&told))));
    }
    Ok(match served.len() {
        0 => "every tenant is at the newest version".to_owned(),
        behind => format!("{behind} tenants are one version behind and served: run `vitals migrate up`"),
    })
}

/// The first few, and how many more there are.
fn some_of(names: &[String]) -> String {
    let first = names[..names.len().min(NAMES)].join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

async fn sealed(opened: &Opened<'_>) -> Result<String, CommandError> {
    let master_key = opened.master_key()?;
    let mut connection = opened.serving().await?;
    let opens = keys::check_all(&mut connection, &master_key).await.map_err(explained)?;
    Ok(format!("the master key opens all {opens} of them"))
}

/// What it means when the file is not there.
#[derive(Clone, Copy)]
enum WhenMissing {
    /// The operator named it.
    Failed,
    /// The first start makes it.
    Fine,
}

fn operator_token(path: &Path, when_missing: WhenMissing) -> Result<String, CommandError> {
    let shown = path.display();
    match (fs::metadata(path), when_missing) {
        (Ok(about), _) if about.permissions().mode() & 0o077 != 0 => {
            Err(CommandError::new(format!("others can read {shown}: run `chmod 600 {shown}`")))
        }
        (Ok(about), _) if about.len() == 0 => {
            Err(CommandError::new(format!("{shown} is empty: remove it, and the next start makes one")))
        }
        (Ok(_), _) => Ok(format!("in {shown}")),
        (Err(error), WhenMissing::Fine) if error.kind() == io::ErrorKind::NotFound => {
            Ok(format!("the first start makes it in {shown}"))
        }
        (Err(error), _) => Err(CommandError::new(format!("cannot look at {shown}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use vitals_store::migrate::State;

    use super::*;

    fn row(tenant: &str, version: i32, state: State) -> MigrationRow {
        let error = (state == State::Failed).then(|| "migration 0002 failed".to_owned());
        let target = SchemaVersions::newest();
        MigrationRow { tenant: tenant.to_owned(), version, target, state, error, duration_ms: None }
    }

    #[test]
    fn tenants_that_are_not_served_or_failed_are_named() {
        let newest = SchemaVersions::newest();
        assert!(standing(&[]).is_ok());
        assert!(standing(&[row("a", newest, State::Current)]).is_ok());
        let behind = standing(&[row("a", newest - 1, State::Pending)]).unwrap();
        assert_eq!(behind, "1 tenants are one version behind and served: run `vitals migrate up`");
        let error = standing(&[row("a", 0, State::Pending), row("b", 1, State::Failed)]).unwrap_err().to_string();
        assert_eq!(error, "need attention: a (version 0), b (migration 0002 failed): run `vitals migrate up`");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
        assert_eq!(some_of(&names[..2]), "t0, t1");
        assert_eq!(some_of(&names), "t0, t1, t2, t3, t4 and 2 more");
    }

    #[test]
    fn operator_token_has_to_be_private_and_there_if_it_was_named() {
        let folder = std::env::temp_dir().join(format!("vitals-doctor-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("operator.token");
        assert!(operator_token(&path, WhenMissing::Fine).is_ok());
        assert!(operator_token(&path, WhenMissing::Failed).is_err());

        fs::write(&path, "token").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = operator_token(&path, WhenMissing::Fine).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(operator_token(&path, WhenMissing::Failed).is_ok());
        fs::write(&path, "").unwrap();
        assert!(operator_token(&path, WhenMissing::Failed).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
