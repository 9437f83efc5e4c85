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
    let (mut reader, mut writer) = connect(server).await.into_split();
    let bytes: Vec<u8> = bytes.into();
    // What ends a head is within the first 64 kB, or there is no answer to note.
    let head = bytes[..bytes.len().min(64 * 1024)].to_vec();
    // Beside the reading: a server that has heard enough answers before the last byte is sent.
    let sending = tokio::spawn(async move {
        let _cut_short = writer.write_all(&bytes).await;
        writer
    });
    let mut received = Vec::new();
    // A reset after the answer loses nothing of it.
    let _reset = reader.read_to_end(&mut received).await;
    sending.await.expect("the sender ends");
    let answer = parse(&received)?;
    ledger::note_raw(&server.url, &head, &answer);
    Some(answer)
}

/// Reads an answer, if all of it is there.
///
/// # Panics
/// When what is there is no HTTP/1.1 answer of a known length.
pub fn parse(received: &[u8]) -> Option<Answer> {
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
    let body = received[end + 4..].get(..length)?;
    let body = String::from_utf8(body.to_vec()).expect("answers are UTF-8");
    let answer = Answer { status, headers, body };
    answer.tells_nothing_of_the_inside();
    oracle::silent();
    Some(answer)
}
