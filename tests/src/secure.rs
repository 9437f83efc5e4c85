//! TLS as no client would speak it: a hello of bytes, a handshake that is looked at, one request over it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, HandshakeKind, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Answer, Server, ledger, raw};

/// No answer takes longer, but for those that are waited for.
const WITHIN: Duration = Duration::from_secs(20);

/// Asks for the liveness of a server over a handshake of its own: the status, or what became of the connection.
pub async fn ask(server: &Server, config: ClientConfig) -> Result<u16, String> {
    get(server, config, "/healthz", "").await.map(|answer| answer.status)
}

/// Asks for an address with these header lines.
pub async fn get(server: &Server, config: ClientConfig, target: &str, headers: &str) -> Result<Answer, String> {
    let mut stream = handshake(server.address, config).await?;
    let head = format!("GET {target} HTTP/1.1\r\nhost: vitals.test\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut received = Vec::new();
    let read = timeout(WITHIN, stream.read_to_end(&mut received)).await.expect("closed in time");
    match raw::parse(&received) {
        Some(answer) => {
            ledger::note_raw(&server.url, head.as_bytes(), &answer);
            Ok(answer)
        }
        None => Err(read.err().map_or_else(|| "closed".to_owned(), |error| error.to_string())),
    }
}

/// Goes through a handshake. In TLS 1.3 the client is through before the server has looked at its certificate.
pub async fn handshake(address: SocketAddr, config: ClientConfig) -> Result<TlsStream<TcpStream>, String> {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let name = ServerName::try_from("localhost").expect("a name");
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(WITHIN, connecting).await.expect("an end in time").map_err(|error| error.to_string())
}

/// Reads one answer, after which a session would have been handed out, and says what kind of handshake it was.
pub async fn kind(address: SocketAddr, config: ClientConfig) -> Option<HandshakeKind> {
    let mut stream = handshake(address, config).await.expect("a handshake");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut received = Vec::new();
    let _reset = timeout(WITHIN, stream.read_to_end(&mut received)).await.expect("closed in time");
    assert!(received.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&received));
    stream.get_ref().1.handshake_kind()
}

/// A hello as bytes, for what no library offers any more.
#[derive(Clone)]
pub struct Hello {
    /// The newest version it offers, as TLS 1.2 and older say it.
    pub version: u16,
    /// The suites.
    pub suites: Vec<u16>,
    /// The compressions.
    pub compressions: Vec<u8>,
}

/// What a server answers to a hello.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It goes on, with this version, suite and compression.
    Agreed(u16, u16, u8),
    /// It says what it does not like.
    Alert(u8),
    /// It closes.
    Closed,
}

impl Hello {
    /// Says it.
    pub async fn say(&self, address: SocketAddr) -> Heard {
        let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
        stream.write_all(&self.bytes()).await.expect("it is sent");
        let mut received = vec![0; 5];
        let reading = async {
            stream.read_exact(&mut received).await.ok()?;
            let length = usize::from(u16::from_be_bytes([received[3], received[4]]));
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            Some(body)
        };
        let Some(body) = timeout(WITHIN, reading).await.expect("an answer in time") else { return Heard::Closed };
        match (received[0], body.as_slice()) {
            (0x15, [_, what]) => Heard::Alert(*what),
            (0x16, [2, _, _, _, v1, v2, rest @ ..]) => {
                let session = usize::from(rest[32]);
                let [s1, s2, compression] = rest[33 + session..36 + session] else { unreachable!("three bytes") };
                Heard::Agreed(u16::from_be_bytes([*v1, *v2]), u16::from_be_bytes([s1, s2]), compression)
            }
            _ => panic!("no TLS: {received:?} {body:?}"),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let list = |bytes: Vec<u8>| [u16::try_from(bytes.len()).expect("short").to_be_bytes().to_vec(), bytes].concat();
        let words = |words: &[u16]| list(words.iter().flat_map(|word| word.to_be_bytes()).collect());
        let extension = |kind: u16, body: Vec<u8>| [kind.to_be_bytes().to_vec(), list(body)].concat();
        let extensions = [
            // Curves x25519 and P-256, points as they are, signatures of every kind and age.
            extension(10, words(&[0x001d, 0x0017])),
            extension(11, vec![1, 0]),
            extension(13, words(&[0x0403, 0x0804, 0x0401, 0x0201, 0x0203])),
            // Secure renegotiation, not begun (RFC 5746).
            extension(0xff01, vec![0]),
        ];
        let compressions = [vec![u8::try_from(self.compressions.len()).expect("few")], self.compressions.clone()];
        let body = [
            self.version.to_be_bytes().to_vec(),
            vec![7; 32],
            vec![0],
            words(&self.suites),
            compressions.concat(),
            list(extensions.concat()),
        ]
        .concat();
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        let message = [vec![1], length[1..].to_vec(), body].concat();
        [vec![0x16, 3, 1], list(message)].concat()
    }
}

/// Sends bytes that need be no TLS, and reads until the server closes.
pub async fn plain(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.write_all(bytes).await.expect("they are sent");
    let mut received = Vec::new();
    let _reset = timeout(WITHIN, stream.read_to_end(&mut received)).await.expect("closed in time");
    received
}

/// A connection that stays open.
pub struct Kept(TlsStream<TcpStream>);

/// Opens one.
pub async fn kept(address: SocketAddr, config: ClientConfig) -> Kept {
    Kept(handshake(address, config).await.expect("a handshake"))
}

impl Kept {
    /// Whether a request is answered.
    pub async fn ask(&mut self) -> bool {
        let mut received = [0; 4_096];
        let asked = self.0.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let read = timeout(WITHIN, self.0.read(&mut received)).await.expect("an answer in time");
        asked.is_ok() && read.is_ok_and(|read| received[..read].starts_with(b"HTTP/1.1 200"))
    }

    /// Whether the server closes it within a few seconds, unasked.
    pub async fn closes(&mut self) -> bool {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), self.0.read_to_end(&mut rest)).await.is_ok()
    }
}
