//! Keeping heads outside the audit database: where each chain ends, signed, in files and with a syslog. Whoever may do
//! anything to the database can remove its newest records, write a chain anew or bring an old backup back; only what
//! was written down elsewhere tells.
//!
//! Every minute, and when a process stops, the ends of the chains that grew since are written down, after everything up
//! to them is on disk. What cannot be written is tried again with the next; that harms no request.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use vitals_access::{clock::Clock, witness::Witness};
use vitals_store::{
    audit::{Head, HeadSigner},
    seal::MasterKey,
};

use super::AuditFigures;
use crate::config::SyslogAddress;

mod file;
mod syslog;

pub use file::{keep_receipts, keys_beside, read_all};

/// How often heads are kept: what is newer than this, nobody can miss.
pub const EVERY: Duration = Duration::from_mins(1);
/// Lines that wait for a syslog that is away; half a megabyte.
const UNSENT: usize = 2_048;

/// What the key is for, as the master key knows it. Of the second there is need once in four thousand million times.
const PURPOSES: [&str; 2] = ["audit-heads", "audit-heads-again"];

/// Where heads are kept, and what signs them.
#[derive(Debug)]
pub struct HeadsOptions {
    /// The folder.
    pub folder: PathBuf,
    /// A syslog that gets them as well.
    pub syslog: Option<SyslogAddress>,
    /// Signs them.
    pub witness: Witness,
    /// How often.
    pub every: Duration,
}

/// What signs heads under this master key.
///
/// # Panics
/// When of two keys neither is one, which no master key will see.
pub fn witness(master_key: &MasterKey) -> Witness {
    let found = PURPOSES.into_iter().find_map(|purpose| Witness::derived(&master_key.derive(purpose)));
    found.expect("one of two random numbers is below the order of P-256")
}

/// Who writes the lines of one file: a process that serves, or one command after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A writer with a file of its own.
    Writer(i64),
    /// Commands, which write a line or two each.
    Commands,
}

/// Writes heads down.
pub struct Keeper {
    folder: PathBuf,
    of: Of,
    signer: HeadSigner,
    syslog: Option<SyslogAddress>,
    /// Taken from the writer and not on disk yet, the latest of each chain.
    pending: BTreeMap<String, Head>,
    /// On disk, and not told to the syslog yet.
    unsent: Vec<String>,
    /// Whether the public key lies beside the lines.
    is_keyed: bool,
}

impl Keeper {
    /// One that has written nothing yet.
    pub fn new(options: HeadsOptions, of: Of) -> Self {
        let HeadsOptions { folder, syslog, witness, .. } = options;
        Self {
            folder,
            of,
            signer: HeadSigner::new(witness),
            syslog,
            pending: BTreeMap::new(),
            unsent: Vec::new(),
            is_keyed: false,
        }
    }

    /// Writes these heads down, and what could not be written before. What fails now is tried again the next time.
    pub async fn keep(&mut self, heads: Vec<Head>, clock: &dyn Clock) -> Result<(), std::io::Error> {
        self.pending.extend(heads.into_iter().map(|head| (head.chain.clone(), head)));
        if !self.pending.is_empty() {
            let now = clock.now();
            if !self.is_keyed {
                file::remember_key(&self.folder, self.signer.witness())?;
                self.is_keyed = true;
            }
            let lines: Vec<String> = self.pending.values().map(|head| self.signer.sign(head, now)).collect();
            let (folder, of, text) = (self.folder.clone(), self.of, lines.join("\n") + "\n");
            let written = tokio::task::spawn_blocking(move || file::append(&folder, of, now.date_naive(), &text));
            written.await.map_err(std::io::Error::other)??;
            self.pending.clear();
            if self.syslog.is_some() {
                self.unsent.extend(lines);
                let over = self.unsent.len().saturating_sub(UNSENT);
                self.unsent.drain(..over);
            }
        }
        if let Some(address) = &self.syslog
            && !self.unsent.is_empty()
        {
            syslog::send(address, &self.unsent, clock.now()).await?;
            self.unsent.clear();
        }
        Ok(())
    }
}

/// The task of a process that serves: keeps what the writer sends until that ends.
pub(super) async fn run(
    mut keeper: Keeper,
    mut heads: mpsc::UnboundedReceiver<Vec<Head>>,
    figures: Arc<AuditFigures>,
    clock: Arc<dyn Clock>,
) {
    while let Some(mut next) = heads.recv().await {
        while let Ok(more) = heads.try_recv() {
            next.extend(more);
        }
        match keeper.keep(next, &*clock).await {
            Ok(()) => figures.kept_heads(),
            Err(error) => {
                figures.missed_heads();
                tracing::error!(%error, "the heads of the audit trail cannot be kept outside of its database");
            }
        }
    }
}
