//! What there is to count about the audit trail.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counters since the process started, and the state as of now.
#[derive(Debug, Default)]
pub struct AuditFigures {
    appended: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    settled: AtomicU64,
    recovered: AtomicU64,
    unsettled: AtomicU64,
    queued: AtomicU64,
    last_failure: AtomicI64,
    broken: AtomicBool,
    heads: AtomicU64,
    heads_missed: AtomicU64,
}

impl AuditFigures {
    /// Records written.
    pub fn appended(&self) -> u64 {
        self.appended.load(Relaxed)
    }

    /// Inserts they went in with.
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// Attempts at the audit database that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Callers that were told [`super::AuditUnavailable`].
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Records removed from outboxes.
    pub fn settled(&self) -> u64 {
        self.settled.load(Relaxed)
    }

    /// Records written that their outboxes still hold.
    pub fn unsettled(&self) -> u64 {
        self.unsettled.load(Relaxed)
    }

    /// Records found in outboxes long after their write: of dead processes, or from times without an audit database.
    pub fn recovered(&self) -> u64 {
        self.recovered.load(Relaxed)
    }

    /// Records waiting or in flight, when a batch was last begun.
    pub fn queued(&self) -> u64 {
        self.queued.load(Relaxed)
    }

    /// When an attempt last failed, in milliseconds since 1970; zero if none ever did.
    pub fn last_failure(&self) -> i64 {
        self.last_failure.load(Relaxed)
    }

    /// How often heads were kept outside the database.
    pub fn heads(&self) -> u64 {
        self.heads.load(Relaxed)
    }

    /// How often they could not be.
    pub fn heads_missed(&self) -> u64 {
        self.heads_missed.load(Relaxed)
    }

    /// Whether the last attempt succeeded.
    pub fn is_writable(&self) -> bool {
        !self.broken.load(Relaxed)
    }

    pub(super) fn wrote(&self, records: usize) {
        self.appended.fetch_add(records as u64, Relaxed);
        self.batches.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self) {
        self.broken.store(false, Relaxed);
    }

    pub(super) fn fail(&self, now: i64) {
        self.failures.fetch_add(1, Relaxed);
        self.last_failure.store(now, Relaxed);
        self.broken.store(true, Relaxed);
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn owe(&self) {
        self.unsettled.fetch_add(1, Relaxed);
    }

    pub(super) fn settle(&self, records: usize) {
        self.settled.fetch_add(records as u64, Relaxed);
        self.unsettled.fetch_sub(records as u64, Relaxed);
    }

    pub(super) fn recover(&self, records: usize) {
        self.recovered.fetch_add(records as u64, Relaxed);
    }

    pub(super) fn kept_heads(&self) {
        self.heads.fetch_add(1, Relaxed);
    }

    pub(super) fn missed_heads(&self) {
        self.heads_missed.fetch_add(1, Relaxed);
    }

    pub(super) fn queue(&self, records: usize) {
        self.queued.store(records as u64, Relaxed);
    }
}
