//! How far an import is, for whoever watches it, and the wish that it stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// How far an import is.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    bytes_before: AtomicU64,
    resources: AtomicU64,
    resources_before: AtomicU64,
    stopping: AtomicBool,
}

/// How far it is at one moment. Bytes are those of the files as they lie on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that are done.
    pub bytes: u64,
    /// Those of them that an earlier run has done.
    pub bytes_before: u64,
    /// Resources that are done.
    pub resources: u64,
    /// Those of them that an earlier run has done.
    pub resources_before: u64,
}

impl Progress {
    /// How far it is at this moment.
    pub fn seen(&self) -> Seen {
        // Whatever is counted between two of these, no difference is below zero.
        let (bytes_before, resources_before) = (self.bytes_before.load(Relaxed), self.resources_before.load(Relaxed));
        Seen {
            bytes: self.bytes.load(Relaxed).max(bytes_before),
            bytes_before,
            resources: self.resources.load(Relaxed).max(resources_before),
            resources_before,
        }
    }

    /// Asks the import to stop behind what it is at.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// An earlier run has done so many resources.
    pub(super) fn begin(&self, resources: u64) {
        self.resources_before.store(resources, Relaxed);
        self.resources.store(resources, Relaxed);
    }

    /// What an earlier run has done was passed over up to here.
    pub(super) fn skip(&self, bytes: u64) {
        self.bytes.fetch_max(bytes, Relaxed);
        self.bytes_before.fetch_max(bytes, Relaxed);
    }

    /// So many resources more are done, up to here.
    pub(super) fn done(&self, bytes: u64, resources: u64) {
        self.bytes.fetch_max(bytes, Relaxed);
        self.resources.fetch_add(resources, Relaxed);
    }
}
