//! `vitals import`: NDJSON and Bundles into a tenant. What is good is loaded, the rest goes with its reasons to a file.

mod watch;

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use vitals_access::tenant::Tenant;
use vitals_store::{
    audit::Durability,
    control::{
        self,
        jobs::{self, NewJob},
    },
    imports::Tally,
    migrate::SchemaVersions,
    pool::{PoolLimits, ServedVersions, TenantPool},
    urls::LOGINS,
};

use super::{CommandError, Connection, Exit, Needs, Opened, args::ImportArgs, print, recorded::Recorder};
use crate::{
    audit::AuditWriter,
    config::Settings,
    job::{
        import::{Files, Found, From, Import, ImportError},
        load::Loader,
    },
};

/// The kind of an import among a tenant's jobs.
const KIND: &str = "import";
/// What an import may do: everything with clinical data, nothing else.
const SCOPES: &str = "system/*.cruds";
/// How long the records that are on their way to the audit store may take.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

/// What an import did, earlier runs of it included.
#[derive(Debug)]
struct Report {
    tally: Tally,
    errors_file: Option<PathBuf>,
}

/// Loads the files.
pub async fn run(settings: &Settings, args: ImportArgs, json: bool) -> Result<Exit, CommandError> {
    let files = Files::look(&args.files)?;
    if files.iter().filter(|file| file.path.is_none()).count() > 1 {
        return Err(CommandError::usage("standard input (-) can be read once only"));
    }
    let opened = Opened::of(settings, Needs::Serving).await?;
    let imported = import(settings, &opened, &args, files).await;
    opened.close().await?;
    let Report { tally, errors_file } = imported?;
    let Tally { read, loaded, refused } = tally;
    if json {
        let errors_file = errors_file.as_ref().map(|path| path.display().to_string());
        print::json(&json!({ "read": read, "loaded": loaded, "refused": refused, "errors_file": errors_file }))?;
    } else {
        print::line(&format!("{read} read, {loaded} loaded, {refused} refused"))?;
        if let Some(path) = &errors_file {
            print::note(&format!("what was refused and why is in {}", path.display()));
        }
    }
    Ok(if refused == 0 { Exit::Success } else { Exit::Failure })
}

async fn import(
    settings: &Settings,
    opened: &Opened<'_>,
    args: &ImportArgs,
    files: Files,
) -> Result<Report, CommandError> {
    let public_url = opened.public_url().await?;
    let mut connection = opened.serving().await?;
    let directory = control::directory::load(&mut connection, &public_url, opened.clock.now()).await?;
    let tenant = directory.tenant(&args.tenant).cloned().ok_or_else(|| {
        CommandError::new(format!("there is no tenant {}: `vitals tenant list` shows them", args.tenant))
    })?;
    let mut recorder = Recorder::open(opened).await?;
    let record = recorder.of_tenant("import", &tenant);
    recorder.begin(&record).await?;
    let subject = record.subject.clone().unwrap_or_default();
    let work = Work { settings, opened, args, tenant: &tenant, subject: &subject, public_url: &public_url };
    let imported = work.load(files, &mut connection).await;
    recorder.end(record, imported).await
}

/// What an import needs to know.
struct Work<'w> {
    settings: &'w Settings,
    opened: &'w Opened<'w>,
    args: &'w ImportArgs,
    tenant: &'w Tenant,
    subject: &'w str,
    public_url: &'w str,
}

impl Work<'_> {
    /// Loads the files as a job of the tenant.
    async fn load(&self, files: Files, connection: &mut Connection) -> Result<Report, CommandError> {
        let Self { opened, tenant, subject, public_url, .. } = self;
        let id = uuid::Uuid::now_v7();
        let job = NewJob { id, tenant, kind: KIND, subject, scopes: SCOPES };
        jobs::finish_abandoned(connection, tenant, KIND, opened.clock.now()).await?;
        if !jobs::hold(connection, tenant, id).await? {
            return Err(ImportError::Running.into());
        }
        let access = Arc::new(jobs::open(connection, &job, opened.clock.now()).await?.access());

        let logins = (0..LOGINS).map(|slot| opened.urls.login(slot)).collect::<Result<Vec<_>, _>>()?;
        let versions = ServedVersions { oldest: SchemaVersions::oldest(), newest: SchemaVersions::newest() };
        let audit =
            AuditWriter::start(&opened.urls, Durability::Prompt, opened.heads_if_keyed(), Arc::clone(&opened.clock))
                .await?;
        let loader = Arc::new(Loader {
            access,
            pool: TenantPool::new(&logins, PoolLimits::default(), versions)?,
            audit: audit.clone(),
            clock: Arc::clone(&opened.clock),
            bases: vec![format!("{public_url}/t/{}/fhir", tenant.name), format!("{public_url}/fhir")],
        });
        let report = self.go(loader, files, connection).await;
        self.analyze().await;
        audit.stop(RECORDED_WITHIN).await;
        jobs::finish(connection, id, opened.clock.now()).await?;
        report
    }

    /// Has the database plan by what is there now, where we may ask for that; otherwise it comes to it by itself.
    async fn analyze(&self) {
        if self.opened.urls.app_admin().is_err() {
            return;
        }
        let analyzed = async {
            let mut admin = self.opened.admin().await?;
            Ok::<_, CommandError>(control::tenants::analyze(&mut admin, &self.tenant.role).await?)
        };
        if let Err(error) = analyzed.await {
            print::note(&format!("searches may be slow for a minute, until PostgreSQL has seen what is new: {error}"));
        }
    }

    async fn go(&self, loader: Arc<Loader>, files: Files, connection: &mut Connection) -> Result<Report, CommandError> {
        let (size, again) = (files.size(), files.lie_on_a_disk());
        if !again {
            print::note("what comes through a pipe comes once: this import cannot go on where it stops");
        }
        let from = if self.args.restart { From::TheBeginning } else { From::WhereItStopped };
        let (import, found) = Import::begin(loader, connection, files, from).await?;
        match found {
            Found::Nothing => {}
            Found::OtherContent => {
                print::note("an import of these files was broken off, but they have changed since: it begins anew");
            }
            Found::Unfinished { started, done } => print::note(&format!(
                "goes on with the import of these files that was broken off, begun {}: {} resources are done \
                 (--restart begins anew)",
                vitals_fhir::temporal::instant(started),
                done.read,
            )),
        }
        if let Err(error) = watch::watched(&import, size).await {
            let done = import.progress().seen().resources;
            let on = if again {
                "the same command goes on from there"
            } else {
                "given again it begins anew: what has no id is then loaded twice"
            };
            return Err(match error {
                ImportError::Stopped => CommandError::new(format!("stopped after {done} resources; {on}")),
                other => {
                    let why = CommandError::from(other);
                    CommandError::new(format!("{why}; {done} resources are done, and {on}"))
                }
            });
        }
        let tally = import.tally().await?;
        let errors_file = if tally.refused > 0 { Some(self.write_errors(&import).await?) } else { None };
        import.end().await?;
        Ok(Report { tally, errors_file })
    }

    /// Writes what was refused, for nobody but us to read: it names files and places in them.
    async fn write_errors(&self, import: &Import) -> Result<PathBuf, CommandError> {
        let path = self.settings.data_dir.join("import").join(format!("{}.errors.ndjson", import.id()));
        let unwritable = |error: std::io::Error| CommandError::new(format!("cannot write {}: {error}", path.display()));
        let mut out = create(&path).map_err(unwritable)?;
        let mut behind = None;
        while let Some((last, lines)) = import.errors(behind).await? {
            out.write_all(lines.as_bytes()).map_err(unwritable)?;
            behind = Some(last);
        }
        out.flush().map_err(unwritable)?;
        Ok(path)
    }
}

fn create(path: &Path) -> std::io::Result<BufWriter<File>> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // A run that was killed may have begun it.
    Ok(BufWriter::new(File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?))
}
