//! `vitals audit seal`: takes a month out of the trail that was verified before.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use vitals_store::{
    audit::{self, Afterwards, ExportRows, Exported, Recover, Seal, Sealed, new_writer},
    urls,
};

use super::{names, no_master_key, verify::Witnesses};
use crate::{
    audit::heads,
    cli::{CommandError, Exit, Opened, args::AuditSealArgs, print, recorded::Recorder},
};

pub(super) async fn run(opened: &Opened<'_>, args: &AuditSealArgs, json: bool) -> Result<Exit, CommandError> {
    let mut recorder = Recorder::open(opened).await?;
    let mut record = recorder.of_server("audit.seal");
    record.resource_id = Some(args.month.to_string());
    recorder.begin(&record).await?;
    let sealed = seal(opened, args).await;
    record.count = sealed.as_ref().ok().map(|sealed| sealed.records);
    let sealed = recorder.end(record, sealed).await?;
    if json {
        let month = args.month.to_string();
        print::json(&json!({ "month": month, "records": sealed.records, "receipts": sealed.receipts.len() }))?;
    } else {
        print::note(&format!(
            "{} records of {} are out of the trail; {} receipts stand for them",
            sealed.records,
            args.month,
            sealed.receipts.len()
        ));
    }
    Ok(Exit::Success)
}

async fn seal(opened: &Opened<'_>, args: &AuditSealArgs) -> Result<Sealed, CommandError> {
    let witness = heads::witness(&opened.master_key_if_there().ok_or_else(no_master_key)?);
    // What dead servers left may belong to that month, and could not come in afterwards.
    audit::recover(&opened.urls, Recover::OfDeadWriters, new_writer()).await?;
    let names = names(opened).await?;
    let verified = Witnesses::of(opened, None)?.verify(opened, None, &names).await?;
    if !verified.ok {
        return Err(CommandError::new(
            "the trail does not hold, and nothing of it is sealed: see `vitals audit verify`",
        ));
    }
    let afterwards = if args.drop { Afterwards::Drop } else { Afterwards::Keep };
    let what = Seal { month: args.month, witness: &witness, now: opened.clock.now(), afterwards };
    let mut admin = urls::connect(&opened.urls.audit_admin()?).await?;
    let sealed = match &args.out {
        None => audit::seal(&mut admin, &what, &mut audit::NoExport).await?,
        Some(path) => {
            let mut file = Packed::create(path)?;
            let sealed = audit::seal(&mut admin, &what, &mut file).await;
            if sealed.is_err() {
                // Half of a month is of no use to anybody.
                drop(std::fs::remove_file(path));
            }
            sealed?
        }
    };
    heads::keep_receipts(&opened.settings().audit_heads, &sealed.receipts).map_err(|error| {
        CommandError::new(format!("sealed, but the receipts cannot be put beside the heads: {error}"))
    })?;
    Ok(sealed)
}

/// A file of records, packed or not.
enum Packed {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Packed {
    fn create(path: &Path) -> Result<Self, CommandError> {
        let file = BufWriter::new(create_private(path)?);
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        Ok(if is_packed {
            Self::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Self::Plain(file)
        })
    }
}

/// Makes a file that is its owner's alone and was not there before.
pub(super) fn create_private(path: &Path) -> Result<File, CommandError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| CommandError::new(format!("cannot make {}: {error}", path.display())))
}

impl ExportRows for Packed {
    fn row(&mut self, row: &Exported) -> io::Result<()> {
        match self {
            Self::Plain(file) => writeln!(file, "{}", row.line()),
            Self::Gzip(file) => writeln!(file, "{}", row.line()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => {
                file.try_finish()?;
                file.get_mut()
            }
        };
        file.flush()?;
        file.get_ref().sync_all()
    }
}
