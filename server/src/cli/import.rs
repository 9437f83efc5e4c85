//! `vitals import`: NDJSON files into a tenant. Good lines are loaded, bad ones go with their reasons to a file.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::task::JoinSet;
use vitals_access::tenant::Tenant;
use vitals_fhir::{
    outcome::Issue,
    resource::{Observation, Patient},
};
use vitals_store::{
    audit::Durability,
    control::{
        self,
        jobs::{self, NewJob},
    },
    migrate::SchemaVersions,
    pool::{PoolLimits, ServedVersions, TenantPool},
    rows::Load,
    urls::LOGINS,
};

use super::{CommandError, Connection, Exit, Needs, Opened, args::ImportArgs, recorded::Recorder};
use crate::{
    audit::AuditWriter,
    config::Settings,
    failure::Failure,
    job::load::{Loader, Parsed},
};

/// Resources in one statement and one audit record.
const BATCH: usize = 500;
/// Batches written at a time: the next is parsed while the last two commit.
const AT_ONCE: usize = 2;
/// What an import may do: everything with clinical data, nothing else.
const SCOPES: &str = "system/*.cruds";
/// Longest line that is read.
const MAX_LINE: u64 = 5 * 1024 * 1024;

/// What an import did.
#[derive(Debug, Default)]
struct Report {
    read: u64,
    loaded: u64,
    refused: u64,
    errors_file: Option<PathBuf>,
}

/// Loads the files.
pub async fn run(settings: &Settings, args: ImportArgs, json: bool) -> Result<Exit, CommandError> {
    for file in &args.files {
        // Told before anything is loaded.
        File::open(file).map_err(|error| CommandError::new(format!("cannot read {}: {error}", file.display())))?;
    }
    let opened = Opened::of(settings, Needs::Serving).await?;
    let imported = import(settings, &opened, &args).await;
    opened.close().await?;
    let report = imported?;
    if json {
        println!(
            "{}",
            json!({
                "read": report.read,
                "loaded": report.loaded,
                "refused": report.refused,
                "errors_file": report.errors_file.as_ref().map(|path| path.display().to_string()),
            })
        );
    } else {
        println!("{} read, {} loaded, {} refused", report.read, report.loaded, report.refused);
        if let Some(path) = &report.errors_file {
            eprintln!("vitals: the refused lines and why are in {}", path.display());
        }
    }
    Ok(if report.refused == 0 { Exit::Success } else { Exit::Failure })
}

async fn import(settings: &Settings, opened: &Opened<'_>, args: &ImportArgs) -> Result<Report, CommandError> {
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
    let imported = load(settings, opened, args, &tenant, &subject, &public_url, &mut connection).await;
    recorder.end(record, imported).await
}

/// Loads the files as a job of the tenant.
async fn load(
    settings: &Settings,
    opened: &Opened<'_>,
    args: &ImportArgs,
    tenant: &Tenant,
    subject: &str,
    public_url: &str,
    connection: &mut Connection,
) -> Result<Report, CommandError> {
    let id = uuid::Uuid::now_v7();
    let job = NewJob { id, tenant, kind: "import", subject, scopes: SCOPES };
    let access = Arc::new(jobs::open(connection, &job, opened.clock.now()).await?.access());

    let logins = (0..LOGINS).map(|slot| opened.urls.login(slot)).collect::<Result<Vec<_>, _>>()?;
    let versions = ServedVersions { oldest: SchemaVersions::oldest(), newest: SchemaVersions::newest() };
    let audit = AuditWriter::start(&opened.urls, Durability::Prompt, Arc::clone(&opened.clock)).await?;
    let loader = Arc::new(Loader {
        access,
        pool: TenantPool::new(&logins, PoolLimits::default(), versions)?,
        audit: audit.clone(),
        clock: Arc::clone(&opened.clock),
        bases: vec![format!("{public_url}/t/{}/fhir", tenant.name), format!("{public_url}/fhir")],
    });
    let errors = settings.data_dir.join("import").join(format!("{id}.errors.ndjson"));
    let report = Import::new(loader, errors).files(&args.files).await;
    audit.stop(std::time::Duration::from_secs(10)).await;
    jobs::finish(connection, id, opened.clock.now()).await?;
    report
}

/// An import on its way.
struct Import {
    loader: Arc<Loader>,
    errors: PathBuf,
    refused: Option<BufWriter<File>>,
    report: Report,
    patients: Vec<Load<Patient>>,
    observations: Vec<Load<Observation>>,
    writing: JoinSet<Result<u64, Failure>>,
}

impl Import {
    fn new(loader: Arc<Loader>, errors: PathBuf) -> Self {
        Self {
            loader,
            errors,
            refused: None,
            report: Report::default(),
            patients: Vec::with_capacity(BATCH),
            observations: Vec::with_capacity(BATCH),
            writing: JoinSet::new(),
        }
    }

    async fn files(mut self, files: &[PathBuf]) -> Result<Report, CommandError> {
        let total = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|about| about.len()).sum();
        let bar = ProgressBar::new(total).with_style(style()?);
        for file in files {
            bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
            self.file(file, &bar).await?;
        }
        self.flush().await?;
        while let Some(written) = self.writing.join_next().await {
            self.report.loaded += count(written)?;
        }
        bar.finish_and_clear();
        if let Some(mut refused) = self.refused {
            refused.flush()?;
            self.report.errors_file = Some(self.errors);
        }
        Ok(self.report)
    }

    async fn file(&mut self, path: &Path, bar: &ProgressBar) -> Result<(), CommandError> {
        let unreadable = |error: io::Error| CommandError::new(format!("cannot read {}: {error}", path.display()));
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            let length = lines.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            bar.inc(length as u64);
            if length as u64 > MAX_LINE {
                return Err(CommandError::new(format!("{} line {number} is longer than 5 MB", path.display())));
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.report.read += 1;
            match self.loader.parse(text) {
                Ok(Parsed::Patient(load)) => self.patients.push(load),
                Ok(Parsed::Observation(load)) => self.observations.push(load),
                Err(issues) => self.refuse(path, number, &issues)?,
            }
            if self.patients.len() == BATCH || self.observations.len() == BATCH {
                self.flush().await?;
            }
        }
    }

    /// Hands what has gathered to a batch, once there is room for another.
    async fn flush(&mut self) -> Result<(), CommandError> {
        while self.writing.len() >= AT_ONCE {
            let Some(written) = self.writing.join_next().await else { break };
            self.report.loaded += count(written)?;
        }
        let patients = std::mem::take(&mut self.patients);
        let observations = std::mem::take(&mut self.observations);
        let loader = Arc::clone(&self.loader);
        self.writing.spawn(async move {
            let count = (patients.len() + observations.len()) as u64;
            if !patients.is_empty() {
                loader.load(patients).await?;
            }
            if !observations.is_empty() {
                loader.load(observations).await?;
            }
            Ok(count)
        });
        Ok(())
    }

    fn refuse(&mut self, file: &Path, line: u64, issues: &[Issue]) -> Result<(), CommandError> {
        self.report.refused += 1;
        if self.refused.is_none() {
            if let Some(folder) = self.errors.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let file = File::options().write(true).create_new(true).mode(0o600).open(&self.errors)?;
            self.refused = Some(BufWriter::new(file));
        }
        let issues: Vec<_> = issues
            .iter()
            .map(|issue| {
                json!({
                    "code": issue.code.code(),
                    "expression": issue.expression,
                    "diagnostics": issue.diagnostics,
                })
            })
            .collect();
        if let Some(refused) = &mut self.refused {
            writeln!(refused, "{}", json!({ "file": file.display().to_string(), "line": line, "issues": issues }))?;
        }
        Ok(())
    }
}

fn count(written: Result<Result<u64, Failure>, tokio::task::JoinError>) -> Result<u64, CommandError> {
    match written {
        Ok(Ok(loaded)) => Ok(loaded),
        Ok(Err(failure)) => Err(CommandError::new(format!("the import stopped: {}", failure.reason))),
        Err(_) => Err(CommandError::new("the import stopped: a batch ended in a panic")),
    }
}

fn style() -> Result<ProgressStyle, CommandError> {
    Ok(ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")?)
}
