//! Watches one connection: since when its head is coming in, how many requests are being answered, whether the other
//! side takes what we write. From that it says until when the connection may live as it is.
//!
//! hyper's own header timeout also runs while a connection rests between two requests, so one number could not be both
//! ten seconds for a head and seventy-five for rest; and nothing in hyper watches the first bytes (before it knows
//! HTTP/1 from HTTP/2), a reader that stops reading, or an HTTP/2 window that stays shut.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frames::Earned,
    framing::{Framing, Open},
};

/// How long a connection may stay in each state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From its first byte (or the opening of the connection) to the end of a request's head.
    pub(super) head: Duration,
    /// At rest between requests.
    pub(super) idle: Duration,
    /// While the other side takes less than [`PROGRESS`] bytes of what we write.
    pub(super) stalled: Duration,
    /// While a request is being answered and nothing moves: more than the longest request may take (a bundle, 90 s).
    pub(super) answering: Duration,
}

impl Limits {
    /// The numbers of DESIGN section 5.
    pub(super) const DEFAULT: Self = Self {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        stalled: Duration::from_secs(30),
        answering: Duration::from_mins(2),
    };
}

/// Bytes that count as progress: a reader that takes a few bytes at a time to stay alive does not get there.
const PROGRESS: usize = 16 * 1024;

/// Requests of HTTP/2 that a client may give up before they are answered, beyond as many as were answered: what it gave
/// up is worked on all the same (rapid reset, CVE-2023-44487; h2 itself bounds those it has not handed on).
const GIVEN_UP: usize = 100;

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request's head came in time.
    Head,
    /// No further request.
    Idle,
    /// The other side does not take the answer.
    Stalled,
}

/// What is known about a connection.
#[derive(Debug)]
pub(super) struct State {
    opened: Instant,
    head_since: Option<Instant>,
    in_flight: usize,
    served: bool,
    multiplexed: bool,
    rest_since: Instant,
    moved_at: Instant,
    written: usize,
    blocked_since: Option<Instant>,
    /// Requests that began so far, and those whose client did not wait for the answer.
    requests: usize,
    given_up: usize,
    /// Bytes written so far.
    written_in_all: usize,
    framing: Framing,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            head_since: None,
            in_flight: 0,
            served: false,
            multiplexed: false,
            rest_since: now,
            moved_at: now,
            written: 0,
            blocked_since: None,
            requests: 0,
            given_up: 0,
            written_in_all: 0,
            framing: Framing::new(),
        }
    }

    /// The moment at which the connection is overdue if nothing changes, and why.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, Overdue) {
        let by_state = if self.in_flight > 0 {
            (self.moved_at + limits.answering, Overdue::Stalled)
        } else if !self.served {
            (self.opened + limits.head, Overdue::Head)
        } else {
            match self.head_since {
                // In HTTP/2 bytes between requests are pings and window updates as well, so only rest counts.
                Some(since) if !self.multiplexed => (since + limits.head, Overdue::Head),
                _ => (self.rest_since + limits.idle, Overdue::Idle),
            }
        };
        match self.blocked_since {
            Some(since) if since + limits.stalled < by_state.0 => (since + limits.stalled, Overdue::Stalled),
            _ => by_state,
        }
    }

    pub(super) fn received(&mut self, now: Instant) {
        if self.in_flight == 0 && self.head_since.is_none() {
            self.head_since = Some(now);
        }
    }

    pub(super) fn request_began(&mut self, now: Instant, multiplexed: bool) {
        self.in_flight += 1;
        self.requests += 1;
        self.served = true;
        self.multiplexed = multiplexed;
        self.head_since = None;
        self.moved_at = now;
    }

    pub(super) fn request_ended(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.rest_since = now;
        }
    }

    /// Whether the other side sends what only costs: frames that carry nothing, or requests that it gives up.
    pub(super) fn abused(&mut self, now: Instant) -> bool {
        let earned = Earned {
            age: now.saturating_duration_since(self.opened),
            requests: self.requests as u64,
            written: self.written_in_all as u64,
        };
        let answered = self.requests - self.given_up.min(self.requests);
        self.framing.flooded(earned) || (self.multiplexed && self.given_up > GIVEN_UP + answered)
    }

    pub(super) fn given_up(&mut self) {
        self.given_up += 1;
    }

    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        self.written = self.written.saturating_add(bytes);
        self.written_in_all = self.written_in_all.saturating_add(bytes);
        if self.written >= PROGRESS {
            self.written = 0;
            self.moved_at = now;
            self.blocked_since = None;
        }
    }

    pub(super) fn blocked(&mut self, now: Instant) {
        if self.blocked_since.is_none() {
            self.blocked_since = Some(now);
            self.written = 0;
        }
    }

    pub(super) fn flushed(&mut self) {
        self.blocked_since = None;
    }
}

/// The state, shared between the socket, the requests on it and the task that ends it.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<State>>);

impl Watch {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::new(Instant::now()))))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Whole after a panic as well: every change is a few assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request's head is complete, until the value that comes back is dropped.
    pub(super) fn request(&self, multiplexed: bool) -> InFlight {
        self.state().request_began(Instant::now(), multiplexed);
        InFlight { watch: self.clone(), answered: false }
    }

    /// Whether two readers could read the end of the request that began last differently.
    pub(super) fn is_ambiguous(&self) -> bool {
        let state = self.state();
        state.framing.refused() == Some(state.requests)
    }
}

/// A request being answered.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Watch,
    answered: bool,
}

impl InFlight {
    /// There is an answer; whether it is taken is another thing.
    fn answered(mut self) -> Self {
        self.answered = true;
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.watch.state();
        if !self.answered {
            state.given_up();
        }
        state.request_ended(Instant::now());
    }
}

/// The body of an answer: its request is in flight until it was sent or given up.
pub(super) struct Answering<B> {
    body: B,
    in_flight: InFlight,
}

impl<B> Answering<B> {
    pub(super) fn new(body: B, in_flight: InFlight) -> Self {
        Self { body, in_flight: in_flight.answered() }
    }
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.in_flight.watch.state().moved_at = Instant::now();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that tells its watch what moves.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    watch: Watch,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, watch: Watch) -> Self {
        Self { socket, watch }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.watch.state().wrote(*bytes, Instant::now()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watch.state().blocked(Instant::now()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.watch.state().framing.open() {
            Open::Yes => {}
            // Not the end: hyper would take that for a client who went away, and answer nothing.
            Open::No => return Poll::Pending,
            Open::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        let arrived = buffer.filled().len() - before;
        if arrived > 0 {
            let (mut state, now) = (self.watch.state(), Instant::now());
            state.received(now);
            let kept = state.framing.take(&buffer.filled()[before..]);
            if state.abused(now) {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let open = state.framing.open();
            drop(state);
            buffer.set_filled(before + kept);
            if kept == 0 {
                return match open {
                    Open::Broken => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    Open::Yes | Open::No => Poll::Pending,
                };
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper and h2 flush the socket only when all they had to write was taken.
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.watch.state().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
