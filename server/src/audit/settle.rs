//! The task that empties outboxes: of what this process wrote and has on disk, of what was forgotten on the way, and of
//! what dead processes left.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use uuid::Uuid;
use vitals_access::tenant::TenantRole;
use vitals_store::audit::{AuditError, Claim, Leftover, OutboxSession, Unsettled};

use super::{AuditFigures, Item, QUEUE, append::stopped, claimed::Claimed};

/// How often outboxes are looked into for records that were forgotten, and how many of them.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const SWEPT: usize = 8;
/// A record that still stands in an outbox after this long was forgotten: its caller waited five seconds at most, and
/// flushing and settling take one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15);
/// How often the lists of dead writers are looked at.
const RECOVER_EVERY: Duration = Duration::from_secs(5);
/// Rows read, or removed, by one statement.
const AT_ONCE: u32 = 500;
/// Before trying again at a database that is away.
const PAUSE: Duration = Duration::from_millis(500);

/// What the settling task has to do.
#[derive(Default)]
pub(super) struct Settlement {
    work: Mutex<Work>,
    wake: Notify,
}

#[derive(Default)]
struct Work {
    /// Records on disk in the audit database, by the tenant whose outbox still holds them.
    may_leave: HashMap<TenantRole, Vec<Uuid>>,
    /// Tenants with records that were given up on the way.
    look_at: HashSet<TenantRole>,
}

impl Settlement {
    /// These records are on disk in the audit database.
    pub(super) fn may_leave(&self, records: impl ExactSizeIterator<Item = (TenantRole, Uuid)>) {
        if records.len() == 0 {
            return;
        }
        let mut work = self.work();
        for (tenant, id) in records {
            work.may_leave.entry(tenant).or_default().push(id);
        }
        drop(work);
        self.wake.notify_one();
    }

    /// A record of this tenant was given up on its way from the outbox.
    pub(super) fn look_at(&self, tenant: &TenantRole) {
        self.work().look_at.insert(tenant.clone());
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Settle {
    app_url: String,
    writer: i64,
    claimed: Arc<Claimed>,
    settlement: Arc<Settlement>,
    queue: mpsc::WeakSender<Item>,
    figures: Arc<AuditFigures>,
    outbox: Option<OutboxSession>,
    /// Tenants whose outboxes are to be looked into, in turn.
    turn: VecDeque<TenantRole>,
    /// Since when writers are missed.
    missed: HashMap<i64, Instant>,
    failing: bool,
}

impl Settle {
    pub(super) fn new(
        app_url: &str,
        writer: i64,
        claimed: Arc<Claimed>,
        settlement: Arc<Settlement>,
        queue: mpsc::WeakSender<Item>,
        figures: Arc<AuditFigures>,
    ) -> Self {
        Self {
            app_url: app_url.to_owned(),
            writer,
            claimed,
            settlement,
            queue,
            figures,
            outbox: None,
            turn: VecDeque::new(),
            missed: HashMap::new(),
            failing: false,
        }
    }

    /// Runs until stopped; then settles what is left and takes the settled tenants off the list.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let settlement = self.settlement.clone();
        let mut sweep = interval(SWEEP_EVERY);
        let mut recover = interval(RECOVER_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        recover.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let answer = tokio::select! {
                () = stopped(&mut stop) => break,
                () = settlement.wake.notified() => self.remove().await,
                _ = recover.tick() => self.recover().await,
                _ = sweep.tick() => self.sweep().await,
            };
            if self.note(answer).is_none() {
                // What was not done stays to be done.
                sleep(PAUSE).await;
                settlement.wake.notify_one();
            }
        }
        let answer = self.finish().await;
        self.note(answer);
    }

    /// Removes what is on disk in the audit database.
    async fn remove(&mut self) -> Result<(), AuditError> {
        let work = std::mem::take(&mut self.settlement.work().may_leave);
        let mut work = work.into_iter();
        while let Some((tenant, mut ids)) = work.next() {
            while !ids.is_empty() {
                let some = ids.split_off(ids.len().saturating_sub(AT_ONCE as usize));
                let answer = match self.outbox().await {
                    Ok(outbox) => outbox.remove(&tenant, &some).await,
                    Err(error) => Err(error),
                };
                match answer {
                    Ok(_) => self.figures.settle(some.len()),
                    Err(error) => {
                        ids.extend(some);
                        let rest = std::iter::once((tenant, ids)).chain(work);
                        self.settlement.work().may_leave.extend(rest);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks for records that were forgotten: first where that is known, then at some tenants in turn.
    async fn sweep(&mut self) -> Result<(), AuditError> {
        if self.turn.is_empty() {
            self.turn = self.claimed.wanted().await.into();
        }
        let before = Leftover::Before(id_made(FORGOTTEN_AFTER));
        let of_ours = Leftover::Of(self.writer);
        let known: Vec<TenantRole> = self.settlement.work().look_at.iter().cloned().collect();
        for tenant in known {
            // It stays known until its outbox is empty: what was given up just now is not old enough yet.
            let found = self.move_on(&tenant, before).await?;
            if !found && self.outbox().await?.leftovers(&tenant, of_ours, 1).await?.is_empty() {
                self.settlement.work().look_at.remove(&tenant);
            }
        }
        for _ in 0..SWEPT {
            let Some(tenant) = self.turn.pop_front() else { break };
            self.move_on(&tenant, before).await?;
        }
        Ok(())
    }

    /// Moves on what dead writers left, and takes away their lists.
    async fn recover(&mut self) -> Result<(), AuditError> {
        let lists = self.claimed.of_dead().await?;
        self.missed.retain(|writer, _| lists.iter().any(|list| list.writer == *writer));
        for Unsettled { writer, tenant } in lists {
            let missed = self.missed.entry(writer).or_insert_with(Instant::now).elapsed();
            let found = self.move_on(&tenant, Leftover::Of(writer)).await?;
            if !found && missed >= Claim::BELIEVED_DEAD {
                self.claimed.unmark(&Unsettled { writer, tenant }).await?;
            }
        }
        Ok(())
    }

    /// Sends records from an outbox through the writer. Says whether there were any; they are there until settled.
    async fn move_on(&mut self, tenant: &TenantRole, which: Leftover) -> Result<bool, AuditError> {
        let found = self.outbox().await?.leftovers(tenant, which, AT_ONCE).await?;
        if found.unreadable > 0 {
            tracing::error!(tenant.role = %tenant, rows = found.unreadable, "an audit outbox holds what is no record");
        }
        let any = !found.is_empty();
        let Some(queue) = self.queue.upgrade() else { return Ok(any) };
        let mut moved = 0;
        for record in found.records {
            // Requests go first: what finds no room now is found again.
            if queue.capacity() < QUEUE / 2 {
                break;
            }
            let item = Item { record, settles: Some(tenant.clone()), done: None };
            if queue.try_send(item).is_err() {
                break;
            }
            moved += 1;
        }
        self.figures.recover(moved);
        Ok(any)
    }

    /// The end of a process that stops in order.
    async fn finish(&mut self) -> Result<(), AuditError> {
        self.remove().await?;
        let writer = self.writer;
        for tenant in self.claimed.wanted().await {
            if self.outbox().await?.leftovers(&tenant, Leftover::Of(writer), 1).await?.is_empty() {
                self.claimed.unmark(&Unsettled { writer, tenant }).await?;
            }
        }
        Ok(())
    }

    async fn outbox(&mut self) -> Result<&mut OutboxSession, AuditError> {
        let session = match self.outbox.take() {
            Some(session) => session,
            None => OutboxSession::open(&self.app_url).await?,
        };
        Ok(self.outbox.insert(session))
    }

    /// Logs the first of several failures, and drops a session that it ended.
    fn note(&mut self, answer: Result<(), AuditError>) -> Option<()> {
        match answer {
            Ok(()) => {
                self.failing = false;
                Some(())
            }
            Err(error) => {
                if !error.leaves_session_usable() {
                    self.outbox = None;
                }
                if !self.failing {
                    tracing::warn!(error = &error as &dyn std::error::Error, "audit outboxes cannot be emptied");
                }
                self.failing = true;
                None
            }
        }
    }
}

/// Smaller than every record's id made less than `ago`, and larger than those made before: version 7 begins with
/// milliseconds.
fn id_made(ago: Duration) -> Uuid {
    let now = Uuid::now_v7().as_u128() >> 80;
    Uuid::from_u128(now.saturating_sub(ago.as_millis()) << 80)
}
