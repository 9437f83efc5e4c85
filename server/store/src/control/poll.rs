//! Keeping a server's directory current: one connection that asks for new changes four times a second.
//!
//! No LISTEN/NOTIFY: it loses what happens while a connection is being opened again. Who does not find a tenant, an
//! issuer or a key may ask for a poll at once, so that what a command made serves when the command returns.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time,
};
use vitals_access::{clock::Clock, directory::Directory, keys::KeySet};

pub use super::directory::KeySource;
use super::{
    ControlError,
    change::{self, Kind},
    directory::{self, Fetched, Parsed, Snapshot},
    servers::{self, Heartbeat},
};
use crate::urls::{self, ConnectError};

/// How often changes are looked for: a suspension has to bite within a second, on the slowest server.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// Polls asked for come no closer than this, however many requests with unknown issuers arrive.
const POLL_LEAST: Duration = Duration::from_millis(20);
/// A poll that takes longer counts as failed, and its connection is given up.
const POLL_WITHIN: Duration = Duration::from_secs(2);
/// Without a successful poll for this long a server does not know who was shut out meanwhile.
const STALE_AFTER: Duration = Duration::from_secs(3);
/// How often a server says that it is there.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// The control schema was out of reach for too long to decide about anybody, or when somebody unknown was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control schema cannot be read now")]
pub struct Stale;

/// A first load that failed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No connection opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The control schema cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// What a feed needs to know of its server.
#[derive(Clone)]
pub struct FeedOptions {
    /// The URL of a serving login.
    pub database_url: String,
    /// The server's public URL.
    pub public_url: String,
    /// The number its audit records carry.
    pub writer: i64,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The directory of a running server.
#[derive(Clone)]
pub struct DirectoryFeed {
    shared: Arc<Shared>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// How the directory is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polled {
    /// A task looks for changes.
    Often,
    /// Nobody does.
    Never,
}

struct Shared {
    options: FeedOptions,
    polled: Polled,
    directory: ArcSwap<Directory>,
    known: Mutex<Known>,
    /// The clock that staleness is measured with; nobody can set it.
    base: Instant,
    /// When the last successful poll began, in milliseconds since `base`.
    fresh: AtomicU64,
    /// How many servers run.
    servers: AtomicUsize,
    /// How many polls began.
    begun: AtomicU64,
    /// The number of the last one that ended.
    ended: watch::Sender<u64>,
    wanted: Notify,
    stop: Notify,
}

struct Known {
    snapshot: Snapshot,
    fetched: Fetched,
}

impl DirectoryFeed {
    /// Loads the directory and goes on polling, until `stop`.
    pub async fn start(options: FeedOptions) -> Result<Self, FeedError> {
        let base = Instant::now();
        let mut conn = urls::connect(&options.database_url).await?;
        let mut parsed = Parsed::new();
        let started = options.clock.now();
        let snapshot = Snapshot::read(&mut conn, &mut parsed, started).await?;
        let shared = Arc::new(Shared { base, ..Shared::of(options, snapshot, Polled::Often) });
        let mut poller = Poller { shared: Arc::clone(&shared), conn: Some(conn), parsed, started, beaten: None };
        poller.beat().await.map_err(ControlError::database("register this server"))?;
        let task = tokio::spawn(poller.run());
        Ok(Self { shared, task: Arc::new(Mutex::new(Some(task))) })
    }

    /// The directory at this moment, for a command that ends soon: nothing is polled, and no server is registered.
    pub async fn of_command(options: FeedOptions) -> Result<Self, FeedError> {
        let mut conn = urls::connect(&options.database_url).await?;
        let snapshot = Snapshot::read(&mut conn, &mut Parsed::new(), options.clock.now()).await?;
        Ok(Self { shared: Arc::new(Shared::of(options, snapshot, Polled::Never)), task: Arc::new(Mutex::new(None)) })
    }

    /// The directory as it is known now.
    pub fn current(&self) -> Result<Arc<Directory>, Stale> {
        let stale = self.shared.polled == Polled::Often && self.age() > STALE_AFTER;
        if stale { Err(Stale) } else { Ok(self.shared.directory.load_full()) }
    }

    /// The directory after a poll that begins from now on and succeeds. For a tenant, issuer or key that is not found: it
    /// may have been made a moment ago, and only who could look knows that it was not. Any number of callers share one
    /// poll.
    pub async fn refresh(&self) -> Result<Arc<Directory>, Stale> {
        if self.shared.polled == Polled::Never {
            return self.current();
        }
        let mut ended = self.shared.ended.subscribe();
        let number = self.shared.begun.load(Ordering::Acquire) + 1;
        let asked = self.shared.since_base(Instant::now());
        self.shared.wanted.notify_one();
        let waited = time::timeout(POLL_WITHIN, ended.wait_for(|ended| *ended >= number)).await;
        if !matches!(waited, Ok(Ok(_))) || self.shared.fresh.load(Ordering::Acquire) < asked {
            tracing::debug!("a poll of the control schema did not succeed in time");
            return Err(Stale);
        }
        self.current()
    }

    /// Waits until this server knows a change that is committed already: a poll that fails only delays that.
    pub async fn catch_up(&self) -> Result<(), Stale> {
        match self.refresh().await {
            Ok(_) => Ok(()),
            Err(Stale) => self.current().map(drop),
        }
    }

    /// How long ago the last successful poll began.
    #[must_use]
    pub fn age(&self) -> Duration {
        let fresh = Duration::from_millis(self.shared.fresh.load(Ordering::Acquire));
        self.shared.base.elapsed().saturating_sub(fresh)
    }

    /// How many servers run, this one among them, as of the last heartbeat.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.shared.servers.load(Ordering::Relaxed)
    }

    /// The number of the newest change in the directory.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.shared.known().snapshot.seq
    }

    /// The addresses that keys have to be fetched from, and when each was last.
    #[must_use]
    pub fn key_sources(&self) -> Vec<(KeySource, Option<DateTime<Utc>>)> {
        let known = self.shared.known();
        known
            .snapshot
            .sources()
            .map(|source| {
                let at = known.fetched.get(&source).map(|(_, at)| *at);
                (source, at)
            })
            .collect()
    }

    /// Takes in keys that were fetched. They count only as long as the issuer is registered with the address they came
    /// from.
    pub fn set_fetched_keys(&self, source: &KeySource, keys: KeySet, fetched_at: DateTime<Utc>) {
        let mut known = self.shared.known();
        known.fetched.insert(source.clone(), (keys, fetched_at));
        self.shared.publish(&mut known);
    }

    /// Forgets the keys of an issuer that has been away for too long.
    pub fn drop_fetched_keys(&self, source: &KeySource) {
        let mut known = self.shared.known();
        if known.fetched.remove(source).is_some() {
            self.shared.publish(&mut known);
        }
    }

    /// Ends the polling and takes the server off the list of those that run.
    pub async fn stop(&self) {
        self.shared.stop.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(error = %error, "the poller of the control schema failed");
        }
    }
}

impl Shared {
    fn of(options: FeedOptions, snapshot: Snapshot, polled: Polled) -> Self {
        Self {
            directory: ArcSwap::from_pointee(snapshot.directory(&options.public_url, &Fetched::new())),
            known: Mutex::new(Known { snapshot, fetched: Fetched::new() }),
            options,
            polled,
            base: Instant::now(),
            fresh: AtomicU64::new(0),
            servers: AtomicUsize::new(1),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
            wanted: Notify::new(),
            stop: Notify::new(),
        }
    }

    /// In milliseconds.
    fn since_base(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is known the directory of the next request.
    fn publish(&self, known: &mut Known) {
        let sources: HashSet<KeySource> = known.snapshot.sources().collect();
        known.fetched.retain(|source, _| sources.contains(source));
        self.directory.store(Arc::new(known.snapshot.directory(&self.options.public_url, &known.fetched)));
    }
}

/// The task behind a feed.
struct Poller {
    shared: Arc<Shared>,
    conn: Option<PgConnection>,
    parsed: Parsed,
    started: DateTime<Utc>,
    beaten: Option<Instant>,
}

impl Poller {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut well = true;
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = shared.stop.notified() => break,
                () = shared.wanted.notified() => time::sleep_until((last + POLL_LEAST).into()).await,
                () = time::sleep(POLL_EVERY) => {}
            }
            last = Instant::now();
            let number = shared.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let failure = match time::timeout(POLL_WITHIN, self.poll(last)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            shared.ended.send_replace(number);
            if let Some(reason) = &failure {
                // Whatever state it is in: the next poll opens another.
                self.conn = None;
                if well {
                    tracing::warn!(reason, "the control schema cannot be read");
                }
            } else if !well {
                tracing::info!("the control schema can be read again");
            }
            well = failure.is_none();
        }
        self.leave().await;
    }

    async fn poll(&mut self, began: Instant) -> Result<(), FeedError> {
        let failed = || ControlError::database("look for changes");
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => urls::connect(&self.shared.options.database_url).await?,
        };
        let seen = self.shared.known().snapshot.seq;
        let (newest, only_revoked) = change::since(&mut conn, seen, Kind::Revoked).await.map_err(failed())?;
        let moved = newest != seen;
        let now = self.shared.options.clock.now();
        let lapsed = self.shared.known().snapshot.has_lapsed(now);
        if lapsed || (moved && !(only_revoked && self.read_revocations(&mut conn).await?)) {
            let snapshot = Snapshot::read(&mut conn, &mut self.parsed, now).await?;
            let mut known = self.shared.known();
            known.snapshot = snapshot;
            self.shared.publish(&mut known);
        }
        self.shared.fresh.store(self.shared.since_base(began), Ordering::Release);
        self.conn = Some(conn);
        // Commands wait for this number, so a change is confirmed at once.
        if moved || self.beaten.is_none_or(|beaten| beaten.elapsed() >= BEAT_EVERY) {
            self.beat().await.map_err(failed())?;
        }
        Ok(())
    }

    /// Takes in what was taken back; false when more than that changed meanwhile.
    async fn read_revocations(&self, conn: &mut PgConnection) -> Result<bool, ControlError> {
        let (mut seq, now) = (self.shared.known().snapshot.seq, self.shared.options.clock.now());
        let Some(revocations) = directory::read_revocations(conn, &mut seq, now).await? else { return Ok(false) };
        let mut known = self.shared.known();
        let directory = self.shared.directory.load().with_revocations(Arc::clone(&revocations));
        known.snapshot.take_revocations(seq, revocations);
        // Still under the lock, so that keys fetched meanwhile are in it.
        self.shared.directory.store(Arc::new(directory));
        Ok(true)
    }

    async fn beat(&mut self) -> Result<(), sqlx::Error> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let options = &self.shared.options;
        let heartbeat = Heartbeat {
            writer: options.writer,
            public_url: &options.public_url,
            started: self.started,
            seen: options.clock.now(),
            change_seq: self.shared.known().snapshot.seq,
        };
        servers::beat(conn, &heartbeat).await?;
        let servers = servers::count(conn, options.clock.now()).await?;
        self.shared.servers.store(servers.max(1), Ordering::Relaxed);
        self.beaten = Some(Instant::now());
        Ok(())
    }

    async fn leave(mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let left = async {
            servers::leave(&mut conn, self.shared.options.writer).await?;
            conn.close().await
        };
        if !matches!(time::timeout(POLL_WITHIN, left).await, Ok(Ok(()))) {
            tracing::debug!("this server could not be taken off the list; it goes unseen within seconds");
        }
    }
}
