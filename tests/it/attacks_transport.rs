//! Attacks on what carries requests, by their numbers: bodies without end here, ambiguous requests, methods and floods in
//! `requests`, slow clients in `slow`, HTTP/2 in `frames`, what every route says to browsers and what the public listener
//! has not in `headers`, addresses of elsewhere in `elsewhere`. What is measured of H04 and P42 (times) is in the bench.

mod elsewhere;
mod frames;
mod headers;
mod requests;
mod slow;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{Stream, StreamExt as _, stream};
use hyper::body::{Body, Bytes, Frame};
use poem::{Endpoint as _, http::StatusCode};
use reqwest::Method;
use vitals_server::public::Public;
use vitals_tests::{Answer, Tenant, ledger, program::Outside, raw, tenant::client};

const FHIR: &str = "application/fhir+json";
const FORM: &str = "application/x-www-form-urlencoded";
/// Most bytes of a resource or a form.
const RESOURCE: usize = 5 * 1024 * 1024;
/// Most bytes of a Bundle.
const BUNDLE: usize = 50 * 1024 * 1024;
/// How much more than a limit may be read before the limit is noticed.
const BEYOND: usize = 64 * 1024;
/// What a body is sent by.
const CHUNK: usize = 16 * 1024;
/// A body without end ends here, so that a test that fails does.
const WITHOUT_END: usize = 400 * 1024 * 1024;
/// Beside what is read, what may have left the client: buffers of sockets, windows of HTTP/2.
const ON_ITS_WAY: usize = 16 * 1024 * 1024;
/// How long an answer to such a body may take on a busy machine.
const WITHIN: Duration = Duration::from_mins(1);

/// White space, which is free: as much as this, counted as it is taken.
fn spaces(bytes: usize, taken: &Arc<AtomicUsize>) -> impl Stream<Item = std::io::Result<Vec<u8>>> + Send + use<> {
    let taken = Arc::clone(taken);
    stream::iter((0..bytes).step_by(CHUNK)).map(move |from| {
        let size = CHUNK.min(bytes - from);
        taken.fetch_add(size, Ordering::SeqCst);
        Ok(vec![b' '; size])
    })
}

/// Where bodies come in, what they are, and how much of one is read.
fn doors(tenant: &Tenant) -> [(Method, String, &'static str, usize); 5] {
    let base = format!("/t/{}/fhir", tenant.name);
    [
        (Method::POST, format!("{base}/Observation"), FHIR, RESOURCE),
        (Method::PUT, format!("{base}/Patient/a"), FHIR, RESOURCE),
        (Method::POST, format!("{base}/Patient"), "application/fhir+xml", RESOURCE),
        (Method::POST, format!("{base}/Patient/_search"), FORM, RESOURCE),
        (Method::POST, base, FHIR, BUNDLE),
    ]
}

/// What the server takes of a body, counted where it takes it: between the listener and what answers.
#[tokio::test]
async fn no_more_is_read_of_a_body_than_its_limit() {
    let tenant = Tenant::fresh().await;
    let public = Public::new(Arc::clone(&tenant.server.app));
    let all = tenant.all();
    for (method, path, media, limit) in doors(&tenant) {
        for (label, announced, sent, most) in [
            ("X01 a byte over the limit, announced", Some(limit + 1), limit + 1, 0),
            ("X01 a terabyte, announced", Some(1 << 40), WITHOUT_END, 0),
            ("X02 without a length, a byte over the limit", None, limit + 1, limit + BEYOND),
            ("X02 without a length and without end", None, WITHOUT_END, limit + BEYOND),
            ("X03 less announced than comes", Some(10), WITHOUT_END, limit + BEYOND),
        ] {
            let taken = Arc::new(AtomicUsize::new(0));
            let body = poem::Body::from_bytes_stream(spaces(sent, &taken));
            let mut request = poem::Request::builder()
                .method(method.clone())
                .uri_str(&path)
                .header("authorization", format!("Bearer {all}"))
                .header("content-type", media);
            if let Some(announced) = announced {
                request = request.header("content-length", announced.to_string());
            }
            let answer = public.call(request.body(body)).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{label}: {method} {path}");
            let taken = taken.load(Ordering::SeqCst);
            assert!(taken <= most, "{label}: {method} {path}: {taken} bytes, not {most}");
        }
    }
}

/// The same over real connections: the answer comes while the body is still on its way.
#[tokio::test]
async fn bodies_without_end_are_answered_before_their_end() {
    let tenant = Tenant::fresh().await;
    let (url, all) = (tenant.server.url.as_str(), tenant.all());
    let http2 = http2();
    for (method, path, media, limit) in doors(&tenant) {
        let label = "X02 chunks without end";
        let (answer, sent) = chunks_without_end(url, &method, &path, &all, media).await;
        answer.expect_outcome(413, "too-long");
        assert!(sent <= limit + ON_ITS_WAY, "{label}: {path}: {sent} bytes");

        let label = "X03 HTTP/2 without a length";
        let taken = Arc::new(AtomicUsize::new(0));
        let request = http2.request(method, format!("{url}{path}")).bearer_auth(&all).header("content-type", media);
        let answer = Answer::of(request.body(reqwest::Body::wrap(Sent(spaces(WITHOUT_END, &taken)))));
        tokio::time::timeout(WITHIN, answer).await.expect(label).expect_outcome(413, "too-long");
        let sent = taken.load(Ordering::SeqCst);
        assert!(sent <= limit + ON_ITS_WAY, "{label}: {path}: {sent} bytes");
    }
    ledger::each_left_one_record().await;
}

/// A body of HTTP/2, of which nobody knows how long it is.
struct Sent<S>(S);

impl<S: Stream<Item = std::io::Result<Vec<u8>>> + Unpin> Body for Sent<S> {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = Pin::new(&mut self.0).poll_next(cx);
        next.map(|next| next.map(|piece| piece.map(|piece| Frame::data(piece.into()))))
    }
}

fn http2() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client")
}

/// What is answered to chunks without end, and how much of them was sent.
async fn chunks_without_end(url: &str, method: &Method, path: &str, token: &str, media: &str) -> (Answer, usize) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {media}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &[b' '; CHUNK], b"\r\n"].concat();
    let flood = raw::flood(url, head, &chunk, WITHOUT_END / CHUNK);
    let (answers, sent) = tokio::time::timeout(WITHIN, flood).await.expect("an answer in time");
    (answers.into_iter().next().expect("an answer"), sent)
}

/// A bomb is a body under a coding that is not undone: it is refused for the coding, unread.
#[tokio::test]
async fn compressed_bodies_are_refused_unread() {
    let tenant = Tenant::fresh().await;
    let public = Public::new(Arc::clone(&tenant.server.app));
    let all = tenant.all();
    for (method, path, media, _) in doors(&tenant) {
        for (label, coding) in [
            ("X04 gzip", "gzip"),
            ("X04 gzip of gzip", "gzip, gzip"),
            ("X04 deflate", "deflate"),
            ("X04 brotli", "br"),
            ("X04 zstd", "zstd"),
            ("X05 a coding of nobody's", "nonsense"),
            ("X05 a coding behind none", "identity, gzip"),
            ("X05 gzip in capitals", "GZIP"),
            ("X05 nothing", ""),
        ] {
            let taken = Arc::new(AtomicUsize::new(0));
            let request = poem::Request::builder()
                .method(method.clone())
                .uri_str(&path)
                .header("authorization", format!("Bearer {all}"))
                .header("content-type", media)
                .header("content-encoding", coding);
            let body = poem::Body::from_bytes_stream(spaces(WITHOUT_END, &taken));
            let answer = public.call(request.body(body)).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{label}: {method} {path}");
            assert_eq!(taken.load(Ordering::SeqCst), 0, "{label}: {method} {path}");
        }
    }
    // A real one: four megabytes that become three gigabytes.
    let bomb = STANDARD.decode(ZEROS).expect("base64").repeat(30_000);
    let request = tenant.request(Method::POST, "Observation", &all).header("content-type", FHIR);
    let answer = Answer::of(request.header("content-encoding", "gzip").body(bomb)).await.expect(415);
    assert_eq!(answer.json()["issue"][0]["expression"][0], "http.content-encoding", "X04 a bomb");
    ledger::each_left_one_record().await;
}

/// 100,000 zeros as gzip has them; several behind each other are one file.
const ZEROS: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXA32VEdSghgEA";

/// What a served program of this test's own needs while all of this is sent to it.
#[tokio::test]
async fn endless_bodies_cost_no_more_memory_than_twice_their_limit() {
    let outside = Outside::fresh().await;
    let name = outside.tenants(1).await.remove(0);
    let program = outside.program.clone().with("VITALS_PUBLIC_URL", "http://vitals.test");
    let token = program.run(&["token", "--tenant", &name, "--scope", "system/*.cruds"]).await.expect(0);
    let token = token.stdout.trim().to_owned();
    let server = program.serve().await;
    let (url, http2) = (server.url.as_str(), http2());
    let base = format!("/t/{name}/fhir");
    let send = |client: &reqwest::Client, path: &str, media: &'static str, body: reqwest::Body| {
        let request = client.post(format!("{url}{path}")).bearer_auth(&token);
        Answer::of(request.header("content-type", media).body(body))
    };
    let search = format!("{base}/Patient/_search");
    // What comes with the first requests is there before: connections, keys.
    send(client(), &search, FORM, "".into()).await.expect(200);

    let resource = format!("{base}/Observation");
    for (label, path, media, limit) in [
        ("X02 a resource without end", &resource, FHIR, RESOURCE),
        ("X03 a resource without end", &resource, FHIR, RESOURCE),
        ("X02 a form without end", &search, FORM, RESOURCE),
        ("X03 a form without end", &search, FORM, RESOURCE),
        ("X02 a Bundle without end", &base, FHIR, BUNDLE),
        ("X03 a Bundle without end", &base, FHIR, BUNDLE),
        ("X06 a million levels", &resource, FHIR, RESOURCE),
    ] {
        let before = server.process.memory();
        server.process.forget_peak();
        match &label[..3] {
            "X02" => chunks_without_end(url, &Method::POST, path, &token, media).await.0.expect(413),
            "X03" => {
                let endless = Sent(spaces(WITHOUT_END, &Arc::default()));
                send(&http2, path, media, reqwest::Body::wrap(endless)).await.expect(413)
            }
            _ => send(client(), path, media, "[".repeat(1_000_000).into()).await.expect(400),
        };
        let grown = server.process.peak_memory().saturating_sub(before);
        println!("{label}: at most {} kB more", grown / 1024);
        assert!(grown <= 2 * limit, "{label}: {grown} bytes more");
    }
    send(client(), &search, FORM, "".into()).await.expect(200);
    server.stop().await.expect(0);
}
