//! HTTP/2 frames, counted as they come in (RFC 9113, sections 4.1 and 10.5).
//!
//! h2 bounds the streams, the resets of streams it has not handed on, and the size of heads. It answers any number of
//! SETTINGS and PING frames, and takes any number of PRIORITY, WINDOW_UPDATE, RST_STREAM and empty DATA frames: each costs
//! next to nothing to send and a little to read, for ever. So who sends more of them than requests and answers need is
//! let go of.

use std::time::Duration;

/// What follows the first line of a connection that begins with HTTP/2.
const REST_OF_PREFACE: u64 = b"\r\nSM\r\n\r\n".len() as u64;
/// Bytes before the payload of a frame.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Frames that anybody may send.
const FREE: u64 = 1_000;
/// Frames more that each second of a connection allows: signs of life.
const A_SECOND: u64 = 10;
/// Frames more that each request allows: it may be weighed, given up, sent in pieces.
const A_REQUEST: u64 = 32;
/// One frame more is allowed for so many bytes of answers: whoever takes them says so.
const BYTES_OF_ANSWERS: u64 = 1_024;

/// What a connection has done so far that frames are needed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earned {
    /// How long it is open.
    pub(super) age: Duration,
    /// Requests that began.
    pub(super) requests: u64,
    /// Bytes that were written to it.
    pub(super) written: u64,
}

/// Reads along.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes before the next frame begins.
    skip: u64,
    /// The beginning of the next one, as far as it came.
    head: [u8; HEAD],
    have: usize,
    /// Frames that carried nothing of a request.
    idle: u64,
}

impl Frames {
    /// Behind the first line of the preface.
    pub(super) const fn new() -> Self {
        Self { skip: REST_OF_PREFACE, head: [0; HEAD], have: 0, idle: 0 }
    }

    /// Counts the frames in what arrived.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.skip > 0 {
                let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                self.skip -= here as u64;
                rest = &rest[here..];
                continue;
            }
            let here = (HEAD - self.have).min(rest.len());
            self.head[self.have..self.have + here].copy_from_slice(&rest[..here]);
            self.have += here;
            rest = &rest[here..];
            if self.have == HEAD {
                self.have = 0;
                let [a, b, c, kind, ..] = self.head;
                self.skip = u64::from(u32::from_be_bytes([0, a, b, c]));
                let carries = kind == HEADERS || (kind == DATA && self.skip > 0);
                self.idle += u64::from(!carries);
            }
        }
    }

    /// Whether there were more of them than anybody needs.
    pub(super) fn are_too_many(&self, earned: Earned) -> bool {
        let allowed = FREE
            .saturating_add(earned.age.as_secs().saturating_mul(A_SECOND))
            .saturating_add(earned.requests.saturating_mul(A_REQUEST))
            .saturating_add(earned.written / BYTES_OF_ANSWERS);
        self.idle > allowed
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Earned, Frames};

    const NOTHING: Earned = Earned { age: Duration::ZERO, requests: 0, written: 0 };

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut bytes = b"\r\nSM\r\n\r\n".to_vec();
        // Settings, a head, a body, an empty piece of a body, a ping, a window, a reset: five of them carry nothing.
        for (kind, payload) in [(4, 12), (1, 300), (0, 70_000), (0, 0), (6, 8), (8, 4), (3, 4)] {
            bytes.extend(frame(kind, &vec![0xff; payload]));
        }
        for size in [1, 2, 3, 7, 9, 10, 4_096, bytes.len()] {
            let mut frames = Frames::new();
            bytes.chunks(size).for_each(|piece| frames.take(piece));
            assert_eq!(frames.idle, 5, "pieces of {size}");
        }
    }

    #[test]
    fn more_than_requests_and_answers_need_are_too_many() {
        let mut frames = Frames::new();
        frames.take(b"\r\nSM\r\n\r\n");
        let settings = frame(4, &[]);
        for _ in 0..1_000 {
            frames.take(&settings);
        }
        assert!(!frames.are_too_many(NOTHING), "as many as are free");
        frames.take(&settings);
        assert!(frames.are_too_many(NOTHING));
        for (what, earned) in [
            ("time", Earned { age: Duration::from_secs(1), ..NOTHING }),
            ("a request", Earned { requests: 1, ..NOTHING }),
            ("an answer", Earned { written: 1_024, ..NOTHING }),
        ] {
            assert!(!frames.are_too_many(earned), "{what} allows more");
        }
    }
}
