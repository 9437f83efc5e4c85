//! HTTP as no client would write it: bytes in, an answer or nothing out.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Answer, Server, ledger, oracle};

/// Every byte of a text percent-encoded.
pub fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |so_far, byte| so_far + &format!("%{byte:02X}"))
}

/// Connects to the public listener.
pub async fn connect(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").expect("tests serve plain http");
    TcpStream::connect(address).await.expect("the server accepts connections")
}

/// Sends the head of a GET for `target` as it is written, with these header lines beside it, and reads the answer.
pub async fn get(server: &Server, target: &str, headers: &str) -> Option<Answer> {
    exchange(server, format!("GET {target} HTTP/1.1\r\nhost: vitals.test\r\nconnection: close\r\n{headers}\r\n")).await
}

/// Sends bytes and reads what comes until the server closes; nothing where it closed without an answer.
pub async fn exchange(server: &Server, bytes: impl Into<Vec<u8>>) -> Option<Answer> {
    exchange_all(server, bytes).await.into_iter().next()
}

/// The same, with every answer that came. Only the first is looked for in the trail: where another one begins in what
/// was sent is what such a test is about.
pub async fn exchange_all(server: &Server, bytes: impl Into<Vec<u8>>) -> Vec<Answer> {
    let (answers, _) = flood(&server.url, bytes, &[], 0).await;
    answers
}

/// Sends bytes, and behind them the same piece so many times or until nobody takes it any more: the answers that came,
/// and how many bytes of the pieces were taken.
pub async fn flood(url: &str, bytes: impl Into<Vec<u8>>, piece: &[u8], times: usize) -> (Vec<Answer>, usize) {
    let address = url.strip_prefix("http://").expect("tests serve plain http");
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let (mut reader, mut writer) = stream.into_split();
    let (bytes, piece): (Vec<u8>, Vec<u8>) = (bytes.into(), piece.to_vec());
    // What ends a head is within the first 64 kB, or there is no answer to note.
    let head = bytes[..bytes.len().min(64 * 1024)].to_vec();
    // Beside the reading: a server that has heard enough answers before the last byte is sent.
    let sending = tokio::spawn(async move {
        let mut taken = 0;
        let mut sent = writer.write_all(&bytes).await;
        while sent.is_ok() && taken < times * piece.len() {
            sent = writer.write_all(&piece).await;
            taken += piece.len();
        }
        (writer, taken)
    });
    let mut received = Vec::new();
    // A reset after the answer loses nothing of it.
    let _reset = reader.read_to_end(&mut received).await;
    let (_, taken) = sending.await.expect("the sender ends");
    let (mut answers, mut rest) = (Vec::new(), received.as_slice());
    while let Some((answer, after)) = split(rest) {
        answers.push(answer);
        rest = after;
    }
    if let Some(first) = answers.first() {
        ledger::note_raw(url, &head, first);
    }
    (answers, taken)
}

/// Reads an answer, if all of it is there.
///
/// # Panics
/// When what is there is no HTTP/1.1 answer of a known length.
pub fn parse(received: &[u8]) -> Option<Answer> {
    split(received).map(|(answer, _)| answer)
}

/// The first answer, and what is behind it.
fn split(received: &[u8]) -> Option<(Answer, &[u8])> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).expect("heads are ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a header line");
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, HeaderValue::from_str(value.trim()).expect("a header value"));
    }
    let length = headers
        .get("content-length")
        .map_or(0, |value| value.to_str().ok().and_then(|text| text.parse().ok()).expect("a length"));
    let (body, after) = received[end + 4..].split_at_checked(length)?;
    let body = String::from_utf8(body.to_vec()).expect("answers are UTF-8");
    let answer = Answer { status, headers, body };
    answer.tells_nothing_of_the_inside();
    oracle::silent();
    Some((answer, after))
}
