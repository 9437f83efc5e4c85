//! Outside issuers: registered as the operator would, and the loopback server that publishes their keys.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use vitals_access::clock::Clock as _;
pub use vitals_store::control::issuers::IssuerKeys;
use vitals_store::control::issuers::{self, NewIssuer};

use crate::{Tenant, cluster, poll::until};

/// An address that no other test uses.
pub fn unique_url(name: &str) -> String {
    format!("https://{name}-{}.example", uuid::Uuid::new_v4())
}

/// A JWK Set, inline.
pub fn inline(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::Inline(json!({ "keys": keys }).to_string())
}

/// An issuer to register: not strict, with the usual cap on lifetimes.
pub fn issuer(url: &str, keys: IssuerKeys) -> NewIssuer {
    NewIssuer::new(url, keys)
}

/// Registers an issuer for tenants, and returns when their server knows.
pub async fn register(new: &NewIssuer, tenants: &[&Tenant]) {
    for tenant in tenants {
        let server = tenant.server;
        let mut admin = server.cluster.admin().await;
        let added = issuers::add(&mut admin, &tenant.name, new, server.clock.now()).await.expect("a registration");
        until("the server reads the registration", || async { server.app.feed.seq() >= added.seq }).await;
    }
}

/// What the server of keys answers.
#[derive(Clone, Debug)]
pub enum Published {
    /// These keys.
    Keys(Vec<Value>),
    /// This text, as JSON.
    Text(String),
    /// A status without a body.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// Nothing: the connection is closed.
    Nothing,
    /// Nothing: the connection stays open.
    Silence,
    /// JSON that does not end.
    Endless,
}

/// A server that publishes keys on loopback, and counts who comes.
pub struct Publisher {
    /// Where the keys are.
    pub url: String,
    published: Arc<Mutex<Published>>,
    visits: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
}

impl Publisher {
    /// Starts one; it lives as long as the run.
    pub async fn start(published: Published) -> Self {
        let this = Self {
            url: String::new(),
            published: Arc::new(Mutex::new(published)),
            visits: Arc::default(),
            sent: Arc::default(),
        };
        let (answers, visits, sent) = (Arc::clone(&this.published), Arc::clone(&this.visits), Arc::clone(&this.sent));
        let listening = cluster::runtime().spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    visits.fetch_add(1, Ordering::SeqCst);
                    let answer = answers.lock().expect("nobody panicked").clone();
                    tokio::spawn(serve(stream, answer, Arc::clone(&sent)));
                }
            });
            url
        });
        Self { url: listening.await.expect("the publisher starts"), ..this }
    }

    /// Changes what is answered from now on.
    pub fn publish(&self, published: Published) {
        *self.published.lock().expect("nobody panicked") = published;
    }

    /// How many connections came so far.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// How many bytes of an endless answer were taken.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: Published, sent: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let json = |text: String| {
        let length = text.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n\
             {text}"
        )
    };
    let text = match answer {
        Published::Keys(keys) => json(json!({ "keys": keys }).to_string()),
        Published::Text(text) => json(text),
        Published::Status(status) => {
            format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Published::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Published::Nothing => return,
        Published::Silence => {
            // Held until the other side gives up.
            while !matches!(tokio::time::timeout(Duration::from_mins(1), stream.read_u8()).await, Ok(Err(_)) | Err(_)) {
            }
            return;
        }
        Published::Endless => {
            let begin = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"keys\":[";
            let spaces = [b' '; 16 * 1024];
            let mut wrote = stream.write_all(begin.as_bytes()).await;
            // A gigabyte at most, so that a test that fails ends.
            while wrote.is_ok() && sent.load(Ordering::SeqCst) < 1 << 30 {
                wrote = stream.write_all(&spaces).await;
                sent.fetch_add(spaces.len(), Ordering::SeqCst);
            }
            return;
        }
    };
    // Whoever went away meanwhile misses it.
    let _gone = stream.write_all(text.as_bytes()).await;
}
