//! The audit writer of this process: every record goes through one queue into one insert at a time.
//!
//! Whatever queues up while an insert is in flight is the next batch; there is no timer. A caller waits until the
//! batch with its record is committed, and answers 503 when that takes too long. Records of writes also stand in the
//! tenant's outbox, committed with the write; once they are on disk in the audit database they are removed there, and
//! what a dead process left is moved on (`settle.rs`). The hard parts of appending exactly once are in
//! [`vitals_store::audit::Appender`].

mod append;
mod claimed;
mod figures;
pub mod heads;
mod settle;
mod shown;
mod view;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use vitals_access::{audit::AuditRecord, clock::Clock, tenant::TenantRole};
use vitals_store::{
    audit::{Appender, AuditError, Durability, Head, new_writer},
    urls::Urls,
};

use self::{
    append::Append,
    claimed::Claimed,
    heads::{HeadsOptions, Keeper, Of},
    settle::{Settle, Settlement},
};
pub use self::{
    figures::AuditFigures,
    shown::{CSV_HEAD, csv_line, shown},
    view::{AuditView, Unseen},
};

/// Records that may wait for the insert in flight: several seconds' worth at full load.
const QUEUE: usize = 4_096;
/// How long a record may wait for room in the queue.
const QUEUED_WITHIN: Duration = Duration::from_secs(1);
/// Refusals of callers who are over a limit are written together, this often: whoever asks for ten times what it may would
/// else take the others' time with inserts of its own. It hears of it that much later.
const GATHERED: Duration = Duration::from_millis(5);
/// The status of such a refusal.
const OVER_A_LIMIT: u16 = 429;
/// How long a caller waits in all. The database gives an insert three seconds.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// The record could not be written in time; the request must fail with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit record could not be written in time")]
pub struct AuditUnavailable;

/// A record on its way.
struct Item {
    record: AuditRecord,
    /// The tenant whose outbox holds it as well.
    settles: Option<TenantRole>,
    /// Who waits for it; nobody for what was found in an outbox.
    done: Option<oneshot::Sender<Result<(), AuditUnavailable>>>,
}

/// The way to the audit trail. Cheap to clone.
#[derive(Clone)]
pub struct AuditWriter(Arc<Inner>);

struct Inner {
    writer: i64,
    queue: mpsc::Sender<Item>,
    claimed: Arc<Claimed>,
    settlement: Arc<Settlement>,
    figures: Arc<AuditFigures>,
    running: Mutex<Option<Running>>,
    began: Instant,
}

/// The tasks, and how to end them: the one that appends first, then the one that settles what it appended.
struct Running {
    stop_append: watch::Sender<bool>,
    append: JoinHandle<()>,
    heads: Option<JoinHandle<()>>,
    stop_settle: watch::Sender<bool>,
    settle: JoinHandle<()>,
    keep: JoinHandle<()>,
}

impl AuditWriter {
    /// Connects, claims a writer number and starts the tasks. Fails when a database is away or refuses; later on the
    /// tasks connect again by themselves.
    /// Where `heads` is given, the ends of the chains are kept there as well.
    pub async fn start(
        urls: &Urls,
        durability: Durability,
        heads: Option<HeadsOptions>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let writer = new_writer();
        let mut appender = Appender::new(urls, durability, writer);
        appender.check().await?;
        let claimed = Arc::new(Claimed::hold(&urls.app, writer).await?);

        let figures = Arc::new(AuditFigures::default());
        let settlement = Arc::new(Settlement::default());
        let (queue, items) = mpsc::channel(QUEUE);
        let (stop_append, append_stopped) = watch::channel(false);
        let (stop_settle, settle_stopped) = watch::channel(false);
        let (heads_every, taken, keeping) = keeping(heads, writer, &figures, &clock);
        let mut append = Append::new(appender, items, append_stopped, settlement.clone(), figures.clone(), clock);
        append.keep_heads(heads_every, taken);
        let settle =
            Settle::new(&urls.app, writer, claimed.clone(), settlement.clone(), queue.downgrade(), figures.clone());
        let running = Running {
            stop_append,
            append: tokio::spawn(append.run()),
            heads: keeping,
            stop_settle,
            settle: tokio::spawn(settle.run(settle_stopped)),
            keep: tokio::spawn(claimed.clone().keep()),
        };
        let running = Mutex::new(Some(running));
        Ok(Self(Arc::new(Inner { writer, queue, claimed, settlement, figures, running, began: Instant::now() })))
    }

    /// The number of this writer, which rows of outboxes carry.
    pub fn writer(&self) -> i64 {
        self.0.writer
    }

    /// What there is to count.
    pub fn figures(&self) -> &Arc<AuditFigures> {
        &self.0.figures
    }

    /// Whether records can be written, as far as the last attempt says (at most about a second old).
    pub fn is_writable(&self) -> bool {
        self.0.figures.is_writable()
    }

    /// Writes a record; returns when it is committed (on disk, where that is asked for).
    pub async fn record(&self, record: AuditRecord) -> Result<(), AuditUnavailable> {
        if record.status == Some(OVER_A_LIMIT) {
            let passed = self.0.began.elapsed().as_millis() / GATHERED.as_millis();
            let next = u32::try_from(passed + 1).map_or(GATHERED, |times| GATHERED * times);
            tokio::time::sleep_until(self.0.began + next).await;
        }
        self.send(record, None).await
    }

    /// Writes a record that was committed in the tenant's outbox together with the write it describes. When this fails
    /// the record is not lost: it is moved on from the outbox as soon as that is possible.
    pub async fn record_settling(&self, record: AuditRecord, tenant: &TenantRole) -> Result<(), AuditUnavailable> {
        let sent = self.send(record, Some(tenant.clone())).await;
        if sent.is_err() {
            self.0.settlement.look_at(tenant);
        }
        sent
    }

    /// Must be called before the first statement of a transaction that adds to a tenant's outbox: it puts the tenant on
    /// the list where others look for what this process leaves behind. Costs nothing after the first time.
    pub async fn ensure_unsettled(&self, tenant: &TenantRole) -> Result<(), AuditUnavailable> {
        self.0.claimed.ensure(tenant).await.map_err(|_| AuditUnavailable)
    }

    /// Writes what is queued, settles it and takes this process off the lists, as far as `within` allows; the rest is
    /// found by the next process. Call it when no request is being served any more.
    pub async fn stop(&self, within: Duration) {
        let Some(mut running) = self.0.running.lock().await.take() else { return };
        let end = Instant::now() + within;
        running.stop_append.send_replace(true);
        if timeout_at(end, &mut running.append).await.is_err() {
            running.append.abort();
        }
        // The last heads are on their way; their task ends behind them.
        if let Some(heads) = &mut running.heads
            && timeout_at(end, &mut *heads).await.is_err()
        {
            heads.abort();
        }
        running.stop_settle.send_replace(true);
        if timeout_at(end, &mut running.settle).await.is_err() {
            running.settle.abort();
        }
        running.keep.abort();
        self.0.claimed.release().await;
    }

    /// Ends as a killed process does.
    #[cfg(test)]
    async fn die(&self) {
        let running = self.0.running.lock().await.take().expect("it runs");
        for task in [running.append, running.settle, running.keep].into_iter().chain(running.heads) {
            task.abort();
        }
        self.0.claimed.release().await;
    }

    async fn send(&self, record: AuditRecord, settles: Option<TenantRole>) -> Result<(), AuditUnavailable> {
        if cfg!(feature = "bench-without-audit") {
            return Ok(());
        }
        let (done, answer) = oneshot::channel();
        let item = Item { record, settles, done: Some(done) };
        let end = Instant::now() + WRITTEN_WITHIN;
        let sent = async {
            timeout(QUEUED_WITHIN, self.0.queue.send(item)).await.ok()?.ok()?;
            timeout_at(end, answer).await.ok()?.ok()
        };
        let result = sent.await.unwrap_or(Err(AuditUnavailable));
        if result.is_err() {
            self.0.figures.refuse();
        }
        result
    }
}

/// How heads get to who keeps them.
type HeadsSender = mpsc::UnboundedSender<Vec<Head>>;

/// Starts the task that keeps heads, where they are kept: how often it wants some, how it gets them, and the task.
fn keeping(
    heads: Option<HeadsOptions>,
    writer: i64,
    figures: &Arc<AuditFigures>,
    clock: &Arc<dyn Clock>,
) -> (Duration, Option<HeadsSender>, Option<JoinHandle<()>>) {
    let Some(options) = heads else { return (heads::EVERY, None, None) };
    let every = options.every;
    let (taken, waiting) = mpsc::unbounded_channel();
    let keeper = Keeper::new(options, Of::Writer(writer));
    (every, Some(taken), Some(tokio::spawn(heads::run(keeper, waiting, figures.clone(), clock.clone()))))
}

#[cfg(test)]
mod tests;
