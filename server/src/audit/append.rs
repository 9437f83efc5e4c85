//! The task that appends: one batch in flight, and now and then everything on disk.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use uuid::Uuid;
use vitals_access::{audit::AuditRecord, clock::Clock, tenant::TenantRole};
use vitals_store::audit::{Appender, AuditError, Head, Outcome};

use super::{AuditFigures, AuditUnavailable, Item, QUEUE, heads, settle::Settlement};

/// Records of one insert; about a megabyte.
const BATCH: usize = 1_024;
/// How long committed records may stay unflushed: outboxes empty that much later, and a crash of PostgreSQL makes the
/// writer repeat that much. PostgreSQL itself writes an asynchronous commit to disk within 0.6 s.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Unflushed records kept in memory; about ten megabytes.
const UNFLUSHED: usize = 8_192;
/// How often an idle writer asks whether the database is still there, for readiness.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long callers are kept waiting for a database that fails; those that come later are told at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between attempts at a database that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Append {
    appender: Appender,
    queue: mpsc::Receiver<Item>,
    stop: watch::Receiver<bool>,
    /// Taken from the queue and not written yet, in order.
    held: Vec<Item>,
    /// Written, and not known to be on disk: what may leave an outbox after the next flush.
    settling: Vec<(TenantRole, Uuid)>,
    flush_at: Option<Instant>,
    /// Who keeps the ends of the chains elsewhere, how often, and when next.
    heads: Option<mpsc::UnboundedSender<Vec<Head>>>,
    heads_every: Duration,
    heads_at: Instant,
    pause: Duration,
    failing_since: Option<Instant>,
    settlement: Arc<Settlement>,
    figures: Arc<AuditFigures>,
    clock: Arc<dyn Clock>,
}

impl Append {
    pub(super) fn new(
        appender: Appender,
        queue: mpsc::Receiver<Item>,
        stop: watch::Receiver<bool>,
        settlement: Arc<Settlement>,
        figures: Arc<AuditFigures>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            appender,
            queue,
            stop,
            held: Vec::with_capacity(BATCH),
            settling: Vec::new(),
            flush_at: None,
            heads: None,
            heads_every: heads::EVERY,
            heads_at: Instant::now() + heads::EVERY,
            pause: FIRST_PAUSE,
            failing_since: None,
            settlement,
            figures,
            clock,
        }
    }

    /// Has the ends of the chains sent to somebody every so often, where there is somebody.
    pub(super) fn keep_heads(&mut self, every: Duration, taken: Option<mpsc::UnboundedSender<Vec<Head>>>) {
        self.heads = taken;
        self.heads_every = every;
        self.heads_at = Instant::now() + every;
    }

    /// Runs until stopped and the queue is empty.
    ///
    /// Nothing that speaks to the database stands in a `select!`: an insert whose answer is not awaited would leave
    /// its rows in doubt.
    pub(super) async fn run(mut self) {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.held.is_empty() {
                let (flush_at, heads_at) = (self.flush_at, self.heads_at);
                let has_heads = self.heads.is_some() && self.appender.has_heads();
                tokio::select! {
                    biased;
                    () = stopped(&mut self.stop), if !self.queue.is_closed() => { self.queue.close(); continue }
                    taken = self.queue.recv_many(&mut self.held, BATCH) => if taken == 0 { break },
                    () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                        self.flush().await;
                        continue;
                    }
                    () = sleep_until(heads_at), if has_heads => {
                        self.send_heads().await;
                        continue;
                    }
                    _ = ping.tick() => {
                        self.look().await;
                        continue;
                    }
                }
            }
            self.batch().await;
            if self.flush_at.is_some_and(|at| at <= Instant::now()) || self.appender.unflushed() >= UNFLUSHED {
                self.flush().await;
            }
            if self.heads_at <= Instant::now() {
                self.send_heads().await;
            }
        }
        self.flush().await;
        self.send_heads().await;
    }

    /// Sends the ends of the chains that grew to who keeps them, once everything up to them is on disk.
    async fn send_heads(&mut self) {
        self.heads_at = Instant::now() + self.heads_every;
        if self.heads.is_none() || !self.appender.has_heads() {
            return;
        }
        if self.appender.unflushed() > 0 {
            self.flush().await;
        }
        let heads = self.appender.take_heads();
        if let Some(taken) = &self.heads
            && !heads.is_empty()
        {
            // Nobody takes them any more only when the process ends in disorder.
            let _ = taken.send(heads);
        }
    }

    async fn batch(&mut self) {
        self.figures.queue(self.held.len() + self.queue.len());
        let size = self.held.len().min(BATCH);
        let records: Vec<&AuditRecord> = self.held[..size].iter().map(|item| &item.record).collect();
        let answer = self.appender.append(&records).await;
        self.note(&answer);
        match answer {
            Ok(outcomes) => {
                self.figures.wrote(size);
                for (item, outcome) in self.held.drain(..size).zip(outcomes) {
                    let answer = match outcome {
                        Outcome::Written => Ok(()),
                        Outcome::Unfit => Err(AuditUnavailable),
                    };
                    if let (Some(tenant), Ok(())) = (item.settles, answer) {
                        self.settling.push((tenant, item.record.id));
                        self.figures.owe();
                    }
                    if let Some(done) = item.done {
                        // A caller that has given up no longer listens.
                        let _ = done.send(answer);
                    }
                }
                self.after_write();
            }
            Err(_) => self.wait_for_database().await,
        }
    }

    fn after_write(&mut self) {
        if self.appender.unflushed() == 0 {
            self.settlement.may_leave(self.settling.drain(..));
            self.flush_at = None;
        } else if self.flush_at.is_none() {
            self.flush_at = Some(Instant::now() + FLUSH_EVERY);
        }
    }

    async fn flush(&mut self) {
        let answer = self.appender.flush().await;
        self.note(&answer);
        if answer.is_ok() {
            self.after_write();
        } else {
            self.flush_at = Some(Instant::now() + FLUSH_EVERY);
            self.wait_for_database().await;
        }
    }

    /// With nothing to write: whether the database is there, and after a failure, whether it takes records again.
    async fn look(&mut self) {
        let answer = match self.failing_since {
            None => self.appender.check().await,
            Some(_) => self.appender.probe(self.clock.now()).await,
        };
        self.note(&answer);
    }

    /// Tells callers that have waited long enough, makes room for others, and pauses.
    async fn wait_for_database(&mut self) {
        while self.held.len() < QUEUE
            && let Ok(item) = self.queue.try_recv()
        {
            self.held.push(item);
        }
        let patient = self.failing_since.is_none_or(|since| since.elapsed() < PATIENCE);
        for item in std::mem::take(&mut self.held) {
            match (item.done, &item.settles) {
                (Some(done), _) if patient && !done.is_closed() => self.held.push(Item { done: Some(done), ..item }),
                (done, settles) => {
                    if let Some(tenant) = settles {
                        // It stands in the outbox, and is found there later.
                        self.settlement.look_at(tenant);
                    }
                    if let Some(done) = done {
                        // A caller that has given up no longer listens.
                        let _ = done.send(Err(AuditUnavailable));
                    }
                }
            }
        }
        if *self.stop.borrow() {
            self.queue.close();
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn note<T>(&mut self, answer: &Result<T, AuditError>) {
        match answer {
            Ok(_) => {
                if !self.figures.is_writable() {
                    tracing::info!("audit records can be written again");
                }
                self.figures.answered();
                self.pause = FIRST_PAUSE;
                self.failing_since = None;
            }
            Err(error) => {
                if self.figures.is_writable() {
                    tracing::error!(error = error as &dyn std::error::Error, "audit records cannot be written");
                }
                self.failing_since.get_or_insert_with(Instant::now);
                self.figures.fail(self.clock.now().timestamp_millis());
            }
        }
    }
}

/// Waits for the signal, or for the end of whoever could give it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask for a stop any more.
    drop(stop.wait_for(|stopped| *stopped).await);
}
