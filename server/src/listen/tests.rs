//! The limits as a table over the state, and the listener over real sockets.

use std::{sync::Arc, time::Duration};

use poem::{
    Endpoint, endpoint,
    endpoint::{DynEndpoint, ToDynEndpoint},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::{
    Ended, ListenError, Listener, Stopper, stop_signal,
    watch::{Limits, Overdue, State},
};

const SHORT: Limits = Limits {
    head: Duration::from_secs(1),
    idle: Duration::from_millis(1_500),
    stalled: Duration::from_secs(2),
    answering: Duration::from_secs(5),
};

fn whole(endpoint: impl Endpoint<Output = poem::Response> + 'static) -> Arc<dyn DynEndpoint<Output = poem::Response>> {
    Arc::new(ToDynEndpoint(endpoint))
}

struct Running {
    address: std::net::SocketAddr,
    stopper: Stopper,
    task: JoinHandle<()>,
    ended: Arc<Ended>,
}

async fn start(endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>) -> Running {
    let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();
    listener.limits = SHORT;
    let (address, ended) = (listener.local(), listener.ended());
    let (stopper, stop) = stop_signal();
    Running { address, stopper, task: tokio::spawn(listener.serve(endpoint, stop)), ended }
}

fn hello() -> Arc<dyn DynEndpoint<Output = poem::Response>> {
    whole(endpoint::make_sync(|_| poem::Response::builder().body("hello")))
}

/// Sends `text` and reads until the other side closes.
async fn exchange(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("closed in time").ok();
    String::from_utf8(answer).unwrap()
}

#[test]
fn deadlines_follow_the_state() {
    let start = std::time::Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let limits = Limits::DEFAULT;
    let mut state = State::new(start);

    assert_eq!(state.deadline(&limits), (at(10), Overdue::Head), "opened and silent");
    state.received(at(9));
    assert_eq!(state.deadline(&limits), (at(10), Overdue::Head), "a trickle does not buy time");
    state.request_began(at(10), false);
    assert_eq!(state.deadline(&limits), (at(130), Overdue::Stalled), "being answered");
    state.blocked(at(20));
    state.wrote(100, at(40));
    assert_eq!(state.deadline(&limits), (at(50), Overdue::Stalled), "a few bytes taken are no progress");
    state.wrote(16 * 1024, at(45));
    assert_eq!(state.deadline(&limits), (at(165), Overdue::Stalled), "a page of bytes is");
    state.blocked(at(50));
    state.flushed();
    state.request_ended(at(60));
    assert_eq!(state.deadline(&limits), (at(135), Overdue::Idle), "at rest");
    state.received(at(70));
    state.received(at(79));
    assert_eq!(state.deadline(&limits), (at(80), Overdue::Head), "the next head has begun");
    state.request_began(at(80), true);
    state.request_began(at(81), true);
    state.request_ended(at(82));
    assert_eq!(state.deadline(&limits), (at(201), Overdue::Stalled), "one of two streams is open");
    state.request_ended(at(83));
    state.received(at(90));
    assert_eq!(state.deadline(&limits), (at(158), Overdue::Idle), "HTTP/2 frames at rest are no head");
}

#[test]
fn who_gives_up_more_than_it_waits_for_is_let_go_of() {
    let now = std::time::Instant::now();
    let ask = |state: &mut State, given_up: bool| {
        state.request_began(now, true);
        if given_up {
            state.given_up();
        }
        state.request_ended(now);
    };
    let mut state = State::new(now);
    for _ in 0..100 {
        ask(&mut state, true);
    }
    assert!(!state.abused(now), "a hundred are nothing");
    ask(&mut state, true);
    assert!(state.abused(now), "one more is");
    ask(&mut state, false);
    assert!(!state.abused(now), "as long as as many are waited for");
    // In HTTP/1 who gives up closes.
    let mut state = State::new(now);
    for _ in 0..1_000 {
        state.request_began(now, false);
        state.given_up();
        state.request_ended(now);
    }
    assert!(!state.abused(now));
}

#[tokio::test]
async fn a_window_that_stays_shut_and_signs_of_life_do_not_keep_a_connection() {
    let running = start(whole(endpoint::make_sync(|_| poem::Response::builder().body("x".repeat(100_000))))).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // Settings: a window of nothing. Then GET / on stream 1, and pings for as long as anybody takes them.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0".to_vec();
    bytes.extend(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x01\x01a");
    stream.write_all(&bytes).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let pings = tokio::spawn(async move {
        while writer.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut received = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), reader.read_to_end(&mut received)).await;
    pings.abort();
    assert!(closed.is_ok(), "it is closed");
    assert!(!received.windows(10).any(|part| part == [b'x'; 10]), "nothing of the body was sent");
}

#[tokio::test]
async fn busy_port_is_one_sentence_with_the_option() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();

    let second = Listener::bind(first.local(), "--operator-listen").await.err().unwrap();

    assert!(matches!(second, ListenError::Busy { .. }));
    let expected = format!(
        "cannot listen on {}: another program uses this port; stop it, or choose another with --operator-listen",
        first.local()
    );
    assert_eq!(second.to_string(), expected);
}

#[tokio::test]
async fn requests_are_answered_without_naming_the_server() {
    let running = start(hello()).await;

    let answer = exchange(running.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("\r\nserver:"), "{answer}");
}

#[tokio::test]
async fn requests_that_two_readers_could_read_differently_end_the_connection() {
    let running = start(hello()).await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let cases = [
        ("GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", "400"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
        (long.as_str(), "431"),
    ];
    for (request, status) in cases {
        let answer = exchange(running.address, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) || answer.starts_with(&format!("HTTP/1.0 {status} ")),
            "{request}{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request}{answer}");
    }
    // The first four are requests, which somebody could note; the others are only counted.
    let counted = || {
        let figures = running.ended.figures();
        (figures.malformed, figures.head_too_large)
    };
    let all = async {
        while counted() != (6, 1) {
            tokio::task::yield_now().await;
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(all.is_ok(), "{:?}", running.ended.figures());
}

#[tokio::test]
async fn a_request_that_is_hidden_behind_an_ambiguous_end_is_never_read() {
    let running = start(hello()).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
    ] {
        let answer = exchange(running.address, &format!("{head}{hidden}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}{answer}");
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{head}{answer}");

        // Behind a good one, which is answered.
        let answer = exchange(running.address, &format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{head}{hidden}")).await;
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{head}{answer}");
        assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1, "{head}{answer}");
    }
    // A body that breaks the rules has no end; nobody here reads it, and nothing behind it is answered.
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["2;a=b\r\nxy\r\n0\r\n\r\n", "2\nxy\r\n0\r\n\r\n", "2\r\nxyz\r\n0\r\n\r\n"] {
        let answer = exchange(running.address, &format!("{chunked}{body}{hidden}")).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{body}{answer}");
    }
}

#[tokio::test]
async fn slow_heads_silence_and_rest_are_closed() {
    let running = start(hello()).await;
    let cases = [
        "",
        "GET / HT",
        "PRI * HTTP/2.0\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
    ];
    // Each returns only because the server closes; the limits of this listener are a second or two.
    let answers = futures_util::future::join_all(cases.map(|text| exchange(running.address, text))).await;
    for (text, answer) in cases.iter().zip(answers) {
        assert_eq!(answer.contains("hello"), text.contains("Host"), "{text}");
    }
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_spoken() {
    let running = start(hello()).await;

    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();

    assert_eq!(frame[3], 4, "the answer is a SETTINGS frame");
}

#[tokio::test]
async fn stop_lets_a_request_finish_and_closes_the_port() {
    let (began, mut has_begun) = tokio::sync::mpsc::channel::<()>(1);
    let (finish, may_finish) = tokio::sync::watch::channel(false);
    let running = start(whole(endpoint::make(move |_| {
        let (began, mut may_finish) = (began.clone(), may_finish.clone());
        async move {
            began.send(()).await.ok();
            may_finish.wait_for(|finish| *finish).await.ok();
            Ok::<_, poem::Error>(poem::Response::builder().body("late"))
        }
    })))
    .await;
    let request = tokio::spawn(exchange(running.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    has_begun.recv().await.unwrap();

    running.stopper.stop();
    finish.send_replace(true);
    let answer = request.await.unwrap();
    running.task.await.unwrap();

    assert!(answer.ends_with("late"), "{answer}");
    assert!(TcpStream::connect(running.address).await.is_err());
}
