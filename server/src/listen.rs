//! The listeners: accepts connections and hands each request to poem.
//!
//! poem's own server has no header timeout, no connection cap, leaves Nagle on and passes over accept errors, so the
//! accept loop is ours: HTTP/1.1, and HTTP/2 by prior knowledge or ALPN, over hyper-util's `auto` connection, plain or
//! over TLS. Every limit is a constant here, in [`watch`] or in `crate::tls`; limits on bodies belong to the layers above.
//!
//! Heads that are no HTTP (two different lengths, folded lines, more than 100 headers, over [`MAX_HEAD`]) never become a
//! request: hyper answers 400 or 431 without a body and closes, and [`Ended`] counts them. Heads that hyper takes and an
//! origin server must not, or that two readers could read differently ([`framing`]), are handed on as [`Malformed`], so
//! that they are refused and noted like any other request.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body, Bytes, Incoming},
    header::{self, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use poem::{
    Endpoint,
    endpoint::DynEndpoint,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};
use vitals_access::proof::ClientCertificate;

mod ended;
mod frames;
mod framing;
mod stop;
#[cfg(test)]
mod tests;
mod watch;

pub use ended::Ended;
pub use stop::{Stop, Stopper, stop_signal};

use watch::{Answering, Limits, Overdue, Watch, Watched};

use crate::tls::{HandshakeError, Secured, Tls};

/// Connections of one listener at a time; further ones wait in the kernel's queue (DESIGN section 5).
const MAX_CONNECTIONS: usize = 2_048;
/// Connections that the kernel keeps until they are accepted. With the usual 128 a burst of a few hundred overflows, and
/// its clients believe for seconds that they are connected.
const BACKLOG: u32 = 1_024;
/// How long requests may go on after the signal to stop: with four seconds for the audit log and the database behind
/// it, which is what a busy machine needs, the process is gone within ten.
const GRACE: Duration = Duration::from_secs(6);
/// After accept failed (no file descriptors left): long enough for connections to end, short enough to go unnoticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// It is said no more often than this.
const ACCEPT_SAID: Duration = Duration::from_secs(10);
/// A head may hold a URL of 16 kB and a token of 8 kB, and somewhat longer ones get a proper answer; see CONTRACT 5.
const MAX_HEAD: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Streams a client may reset before we took them up, and streams we may have to reset for its errors, before the
/// connection ends (rapid reset, CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// HTTP/2 connections are asked for a sign of life this often, and have as long again to give it.
const PING: Duration = Duration::from_secs(20);

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program has the port.
    #[error("cannot listen on {address}: another program uses this port; stop it, or choose another with {option}")]
    Busy {
        /// The address.
        address: SocketAddr,
        /// The option that sets it.
        option: &'static str,
    },
    /// The port is for privileged programs.
    #[error("cannot listen on {address}: this user may not use that port; choose one from 1024 on with {option}")]
    Forbidden {
        /// The address.
        address: SocketAddr,
        /// The option that sets it.
        option: &'static str,
    },
    /// The address is of another machine.
    #[error("cannot listen on {address}: this machine has no such address; choose one it has with {option}")]
    Elsewhere {
        /// The address.
        address: SocketAddr,
        /// The option that sets it.
        option: &'static str,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({option}): {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The option that sets it.
        option: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A port that is open and not yet served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    limits: Limits,
    ended: Arc<Ended>,
    tls: Option<Arc<Tls>>,
}

/// What is wrong with a request that hyper accepts and an origin server must not (RFC 9112, sections 3.2 and 3.2.2).
/// Stands in the request's extensions; whatever answers, the connection is closed behind it, because whoever sent this
/// and whoever passed it on may not agree on where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A tunnel is asked for.
    Tunnel,
    /// The request line holds a whole URL, as for a proxy.
    WholeUrl,
    /// There is not exactly one Host header.
    Host,
    /// Two readers could read its end differently.
    Framing,
    /// What a trusted proxy says of the client's certificate cannot be believed.
    Certificate,
    /// A header asks for another method.
    Override,
}

impl Listener {
    /// Opens a port; `option` is the flag that set the address, for the error.
    #[allow(clippy::unused_async, reason = "whoever serves is asynchronous, and this needs its runtime")]
    pub async fn bind(address: SocketAddr, option: &'static str) -> Result<Self, ListenError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Busy { address, option },
            io::ErrorKind::PermissionDenied => ListenError::Forbidden { address, option },
            io::ErrorKind::AddrNotAvailable => ListenError::Elsewhere { address, option },
            _ => ListenError::Other { address, option, source },
        };
        let socket = open(address).map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, local, limits: Limits::DEFAULT, ended: Arc::default(), tls: None })
    }

    /// Speaks TLS from now on.
    #[must_use]
    pub fn over(mut self, tls: Arc<Tls>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The address it is bound to, with the port the system chose where 0 was asked for.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The connections that did not end well.
    pub fn ended(&self) -> Arc<Ended> {
        Arc::clone(&self.ended)
    }

    /// Serves until the signal to stop, then lets requests finish, and returns when every connection is closed (at
    /// the latest when the time for that is over).
    pub async fn serve(self, endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>, mut stop: Stop) {
        let http = Arc::new(http());
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut said: Option<Instant> = None;
        while !stop.is_requested() {
            // The place first, so that what we cannot serve stays in the kernel's queue.
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = accept(&self.socket, &permits) => accepted,
            };
            let (stream, remote, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() >= ACCEPT_SAID) {
                        tracing::warn!(%error, "cannot accept connections for a moment");
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (http, endpoint, stop) = (Arc::clone(&http), Arc::clone(&endpoint), stop.clone());
            let (limits, ended, tls) = (self.limits, Arc::clone(&self.ended), self.tls.clone());
            let ends = Ends { local: self.local, remote, scheme: Scheme::HTTP, certificate: None };
            tokio::spawn(async move {
                let end = match tls {
                    None => connection(&http, endpoint, stream, ends, limits, stop, std::future::pending()).await,
                    Some(tls) => secured(&tls, &http, endpoint, stream, ends, limits, stop).await,
                };
                match end {
                    End::Closed(Ok(())) | End::Asked => {}
                    End::Closed(Err(error)) => ended.by_error(error.as_ref()),
                    End::Overdue(overdue) => ended.by_time(overdue),
                    End::Unsecured(error) => ended.by_handshake(remote, &error),
                }
                drop(permit);
            });
        }
        drop(self.socket);
        let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        if timeout(GRACE + Duration::from_millis(500), permits.acquire_many(all)).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port is free again as soon as its server is gone.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The two ends of a connection.
#[derive(Clone)]
struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
    scheme: Scheme,
    certificate: Option<Arc<ClientCertificate>>,
}

async fn accept(
    socket: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => {
                stream.set_nodelay(true).ok();
                return Ok((stream, remote, permit));
            }
            // The other side left before we came: its own affair.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => return Err(error),
        }
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    // Our watch has both header timeout and rest; see its module.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    http
}

/// Serves a connection over TLS, until what its client showed is no good any more.
async fn secured(
    tls: &Arc<Tls>,
    http: &auto::Builder<TokioExecutor>,
    endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>,
    stream: TcpStream,
    ends: Ends,
    limits: Limits,
    mut stop: Stop,
) -> End {
    let secured = tokio::select! {
        secured = tls.accept(stream) => secured,
        () = stop.requested() => return End::Asked,
    };
    match secured {
        Ok(Secured { stream, certificate, mut standing }) => {
            let ends = Ends { scheme: Scheme::HTTPS, certificate, ..ends };
            connection(http, endpoint, stream, ends, limits, stop, standing.lost()).await
        }
        Err(error) => End::Unsecured(error),
    }
}

/// Serves a connection, until the signal to stop or until it has lost its standing.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    http: &auto::Builder<TokioExecutor>,
    endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>,
    stream: S,
    ends: Ends,
    limits: Limits,
    mut stop: Stop,
    lost: impl Future<Output = ()>,
) -> End {
    let watch = Watch::new();
    let service = {
        let watch = watch.clone();
        service_fn(move |request| answer(Arc::clone(&endpoint), request, ends.clone(), watch.clone()))
    };
    let io = TokioIo::new(Watched::new(stream, watch.clone()));
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    let end = tokio::select! {
        end = until_overdue(connection.as_mut(), &watch, &limits) => end,
        () = stop.requested() => End::Asked,
        () = lost => End::Asked,
    };
    match end {
        // Errors of the connection are the other side's: broken heads were answered, closed sockets need no word.
        End::Closed(_) | End::Unsecured(_) | End::Overdue(Overdue::Head | Overdue::Stalled) => end,
        End::Asked | End::Overdue(Overdue::Idle) => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, until_overdue(connection.as_mut(), &watch, &limits)).await.unwrap_or(end)
        }
    }
}

enum End {
    Closed(Served),
    Overdue(Overdue),
    Asked,
    Unsecured(HandshakeError),
}

/// How a connection ended by itself.
type Served = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Drives a connection until it ends or stays in one state for too long.
async fn until_overdue<C: Future<Output = Served>>(mut connection: Pin<&mut C>, watch: &Watch, limits: &Limits) -> End {
    let mut alarm = std::pin::pin!(sleep_until(Instant::now()));
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(served) = connection.as_mut().poll(cx) {
            return std::task::Poll::Ready(End::Closed(served));
        }
        loop {
            let (deadline, overdue) = watch.state().deadline(limits);
            let deadline = Instant::from_std(deadline);
            // The alarm may ring early, never late: a later deadline is looked at when it rings, so that an ordinary
            // request does not move a timer at all.
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return std::task::Poll::Pending;
            }
            if deadline <= Instant::now() {
                return std::task::Poll::Ready(End::Overdue(overdue));
            }
            alarm.as_mut().reset(deadline);
        }
    })
    .await
}

async fn answer(
    endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>,
    mut request: Request<Incoming>,
    ends: Ends,
    watch: Watch,
) -> Result<Response<impl Body<Data = Bytes, Error = io::Error>>, Infallible> {
    let in_flight = watch.request(request.version() == Version::HTTP_2);
    let malformed = malformed(&request).or_else(|| watch.is_ambiguous().then_some(Malformed::Framing));
    if let Some(malformed) = malformed {
        request.extensions_mut().insert(malformed);
    }
    if let Some(certificate) = ends.certificate {
        request.extensions_mut().insert(certificate);
    }
    let (local, remote) = (LocalAddr(ends.local.into()), RemoteAddr(ends.remote.into()));
    let mut answer = endpoint.get_response((request, local, remote, ends.scheme).into()).await;
    if malformed.is_some() {
        // An endpoint that looks over what is wrong has nothing to say.
        if !answer.status().is_client_error() && !answer.status().is_server_error() {
            answer = StatusCode::BAD_REQUEST.into();
        }
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let answer: Response<_> = answer.into();
    Ok(answer.map(|body| Answering::new(body, in_flight)))
}

fn malformed(request: &Request<Incoming>) -> Option<Malformed> {
    if request.method() == Method::CONNECT {
        return Some(Malformed::Tunnel);
    }
    if !matches!(request.version(), Version::HTTP_10 | Version::HTTP_11) {
        return None;
    }
    if request.uri().authority().is_some() {
        return Some(Malformed::WholeUrl);
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    (hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11)).then_some(Malformed::Host)
}
