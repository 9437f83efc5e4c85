//! Connections that did not end well, counted by why. What hyper refuses itself (a head that is no HTTP, or too large)
//! is seen here alone: it answers with a bare status and closes, before there is a request that anybody could note.

use std::{
    error::Error,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::watch::Overdue;
use crate::{telemetry::metrics::ConnectionFigures, tls::HandshakeError};

/// The counters of one listener.
#[derive(Debug, Default)]
pub struct Ended {
    malformed: AtomicU64,
    head_too_large: AtomicU64,
    head_too_slow: AtomicU64,
    stalled: AtomicU64,
    broken: AtomicU64,
    handshake_failed: AtomicU64,
    handshake_too_slow: AtomicU64,
}

impl Ended {
    /// What was counted so far.
    pub fn figures(&self) -> ConnectionFigures {
        ConnectionFigures {
            malformed: self.malformed.load(Relaxed),
            head_too_large: self.head_too_large.load(Relaxed),
            head_too_slow: self.head_too_slow.load(Relaxed),
            stalled: self.stalled.load(Relaxed),
            broken: self.broken.load(Relaxed),
            handshake_failed: self.handshake_failed.load(Relaxed),
            handshake_too_slow: self.handshake_too_slow.load(Relaxed),
        }
    }

    /// Counts an error that hyper ended a connection with.
    pub(super) fn by_error(&self, error: &(dyn Error + 'static)) {
        let counter = match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse_too_large() => &self.head_too_large,
            Some(error) if error.is_parse() => &self.malformed,
            _ => &self.broken,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a connection that never became one: what was wrong with the client's certificate is worth a line, because
    /// the client is told next to nothing.
    pub(super) fn by_handshake(&self, remote: SocketAddr, error: &HandshakeError) {
        match error {
            HandshakeError::Slow => self.handshake_too_slow.fetch_add(1, Relaxed),
            HandshakeError::Failed(error) => {
                if let Some(rustls::Error::InvalidCertificate(why)) =
                    error.get_ref().and_then(|error| error.downcast_ref())
                {
                    tracing::info!(network.peer.address = %remote.ip(), reason = ?why, "refused a client certificate");
                }
                self.handshake_failed.fetch_add(1, Relaxed)
            }
        };
    }

    /// Counts a connection that stayed in one state for too long; rest between requests is nobody's fault.
    pub(super) fn by_time(&self, overdue: Overdue) {
        match overdue {
            Overdue::Head => self.head_too_slow.fetch_add(1, Relaxed),
            Overdue::Stalled => self.stalled.fetch_add(1, Relaxed),
            Overdue::Idle => 0,
        };
    }
}
