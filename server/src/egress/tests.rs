//! Fetching against a server of our own, and the keeper against a clock that is moved by hand.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use chrono::{DateTime, TimeDelta, Utc};
use poem::{
    Response, endpoint,
    endpoint::{DynEndpoint, ToDynEndpoint},
    http::StatusCode,
};
use vitals_access::clock::Clock;

use super::{Discovered, DiscoveryError, Egress, EgressError, IssuerAway, JwksKeeper, install_tls_provider};
use crate::listen::{Listener, Stopper, stop_signal};

/// Public keys made for this test; their private halves are gone.
const FIRST: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"first","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SECOND: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"second","alg":"EdDSA","use":"sig","x":"2p67-UVEYFUsAQBBKbgcQqTNhqiCqUHVbMSzk4VT4gE"}"#;

fn set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// A server that answers every path with what it was last told.
struct Issuer {
    url: String,
    answer: Arc<Mutex<(StatusCode, &'static str, String)>>,
    keeping: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
    _stopper: Stopper,
}

impl Issuer {
    async fn start() -> Self {
        install_tls_provider();
        let answer = Arc::new(Mutex::new((StatusCode::OK, "application/json", set(&[FIRST]))));
        let (asked, keeping) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new("")));
        let (told, count, keep) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&keeping));
        let endpoint: Arc<dyn DynEndpoint<Output = Response>> =
            Arc::new(ToDynEndpoint(endpoint::make_sync(move |_| {
                count.fetch_add(1, SeqCst);
                let (status, media, body) = told.lock().unwrap().clone();
                let answer = Response::builder().status(status).header("location", "http://169.254.169.254/");
                let answer = if media.is_empty() { answer } else { answer.content_type(media) };
                let answer = answer.header("cache-control", *keep.lock().unwrap());
                answer.body(body)
            })));
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();
        let url = format!("http://{}/jwks", listener.local());
        let (stopper, stop) = stop_signal();
        tokio::spawn(listener.serve(endpoint, stop));
        Self { url, answer, keeping, asked, _stopper: stopper }
    }

    fn answers(&self, status: StatusCode, media: &'static str, body: String) {
        *self.answer.lock().unwrap() = (status, media, body);
    }

    fn says_of_keeping(&self, text: &'static str) {
        *self.keeping.lock().unwrap() = text;
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

fn local() -> Egress {
    Egress::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new())
}

struct Hands(Mutex<DateTime<Utc>>);

impl Hands {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())))
    }

    fn forward(&self, span: TimeDelta) {
        *self.0.lock().unwrap() += span;
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    install_tls_provider();
    let egress = Egress::new(Vec::new(), vec!["1.1.1.1:443".parse().unwrap()]);
    let cases = [
        ("https://127.0.0.1/jwks", "Address"),
        ("https://2130706433/jwks", "Address"),
        ("https://0x7f.1/jwks", "Address"),
        ("https://0177.0.0.1/jwks", "Address"),
        ("https://127.1/jwks", "Address"),
        ("https://0/jwks", "Address"),
        ("https://localhost/jwks", "Address"),
        ("https://169.254.169.254/latest/meta-data", "Address"),
        ("https://[::1]/jwks", "Address"),
        ("https://[::ffff:127.0.0.1]/jwks", "Address"),
        ("https://[::ffff:8.8.8.8]/jwks", "Address"),
        ("https://[64:ff9b::7f00:1]/jwks", "Address"),
        ("https://[fd00::1]/jwks", "Address"),
        ("https://１２７.0.0.1/jwks", "Address"),
        ("https://1.1.1.1/jwks", "Address"),
        ("http://8.8.8.8/jwks", "Plain"),
        ("ftp://8.8.8.8/jwks", "Url"),
        ("file:///etc/passwd", "Url"),
        ("https://user@8.8.8.8/jwks", "Url"),
        ("https://8.8.8.8/jwks#x", "Url"),
        ("//8.8.8.8/jwks", "Url"),
        ("", "Url"),
    ];
    for (url, expected) in cases {
        let error = egress.get_json(url).await.expect_err(url);
        assert!(format!("{error:?}").starts_with(expected), "{url}: {error:?}");
    }
}

/// A name that is judged and then means something else (DNS rebinding): it is asked once, and its answer is what is
/// reached. Here it means nothing at all to whoever would ask again.
#[tokio::test]
async fn what_was_judged_is_what_is_reached() {
    let issuer = Issuer::start().await;
    let port = issuer.url.rsplit(':').next().unwrap().trim_end_matches("/jwks");
    let url = url::Url::parse(&format!("http://rebound.invalid:{port}/jwks")).unwrap();
    let judged: std::net::SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    assert!(tokio::net::lookup_host(("rebound.invalid", 80)).await.is_err(), "nobody knows the name");

    let answer = super::client(&url, &[judged]).unwrap().get(url).send().await.unwrap();

    assert_eq!((answer.status().as_u16(), issuer.asked()), (200, 1));
}

#[tokio::test]
async fn answers_are_taken_only_within_the_rules() {
    let issuer = Issuer::start().await;
    let good = set(&[FIRST]);
    let cases = [
        (StatusCode::OK, "application/json", good.clone(), "Ok"),
        (StatusCode::OK, "application/jwk-set+json; charset=utf-8", good.clone(), "Ok"),
        (StatusCode::OK, "", good.clone(), "Ok"),
        (StatusCode::OK, "text/html", good.clone(), "Err(Content"),
        (StatusCode::FOUND, "application/json", good.clone(), "Err(Status(302"),
        (StatusCode::INTERNAL_SERVER_ERROR, "application/json", good, "Err(Status(500"),
        (StatusCode::OK, "application/json", " ".repeat(256 * 1024 + 1), "Err(TooLong"),
        (StatusCode::OK, "application/json", " ".repeat(256 * 1024), "Ok"),
    ];
    for (status, media, body, expected) in cases {
        issuer.answers(status, media, body);
        let answer = local().get_json(&issuer.url).await;
        assert!(format!("{answer:?}").starts_with(expected), "{status} {media}: {answer:?}");
    }
}

#[tokio::test]
async fn silence_ends_after_two_seconds() {
    install_tls_provider();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());

    let answer = local().get_json(&url).await;

    assert!(matches!(answer, Err(EgressError::Time)), "{answer:?}");
}

#[tokio::test]
async fn new_key_is_found_after_the_cooldown_and_made_up_ones_ask_once() {
    let (issuer, clock) = (Issuer::start().await, Hands::new());
    let keeper = JwksKeeper::new(local(), clock.clone());

    assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.len(), 1);
    issuer.answers(StatusCode::OK, "application/json", set(&[FIRST, SECOND]));
    for _ in 0..50 {
        assert_eq!(keeper.keys_after_miss("i", &issuer.url).await.unwrap().keys.len(), 1);
    }
    assert_eq!(issuer.asked(), 1);
    clock.forward(TimeDelta::seconds(30));
    let together = futures_util::future::join_all((0..50).map(|_| keeper.keys_after_miss("i", &issuer.url))).await;

    assert!(together.iter().all(|keys| keys.as_ref().unwrap().keys.len() == 2));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn removed_key_is_gone_after_the_refresh() {
    let (issuer, clock) = (Issuer::start().await, Hands::new());
    let keeper = JwksKeeper::new(local(), clock.clone());
    issuer.answers(StatusCode::OK, "application/json", set(&[FIRST, SECOND]));
    assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.len(), 2);
    issuer.answers(StatusCode::OK, "application/json", set(&[SECOND]));

    clock.forward(TimeDelta::seconds(299));
    assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.len(), 2);
    clock.forward(TimeDelta::seconds(1));
    assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.len(), 1);

    issuer.answers(StatusCode::OK, "application/json", set(&[]));
    clock.forward(TimeDelta::seconds(300));
    assert!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn keys_outlive_their_issuer_for_an_hour() {
    let many = set(&vec![FIRST; 101]);
    let (issuer, clock) = (Issuer::start().await, Hands::new());
    let keeper = JwksKeeper::new(local(), clock.clone());
    keeper.keys_for("i", &issuer.url).await.unwrap();
    let failures = [
        (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        (StatusCode::FOUND, String::new()),
        (StatusCode::OK, "x".repeat(300_000)),
        (StatusCode::OK, "{}".to_owned()),
        (StatusCode::OK, many),
        (StatusCode::OK, set(&[r#"{"kty":"oct","k":"AAAA"}"#])),
    ];
    for (status, body) in failures {
        issuer.answers(status, "application/json", body);
        clock.forward(TimeDelta::minutes(9));
        assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap().keys.len(), 1);
    }
    assert_eq!((keeper.figures().fetched, keeper.figures().failed), (1, 6));

    clock.forward(TimeDelta::minutes(6));
    assert_eq!(keeper.keys_for("i", &issuer.url).await.unwrap_err(), IssuerAway);
    assert_eq!(keeper.keys_after_miss("i", &issuer.url).await.unwrap_err(), IssuerAway);

    issuer.answers(StatusCode::OK, "application/json", set(&[FIRST]));
    clock.forward(TimeDelta::seconds(30));
    assert!(keeper.keys_for("i", &issuer.url).await.is_ok());
}

#[tokio::test]
async fn forgotten_issuer_is_asked_again() {
    let (issuer, clock) = (Issuer::start().await, Hands::new());
    let keeper = JwksKeeper::new(local(), clock);
    keeper.keys_for("i", &issuer.url).await.unwrap();

    keeper.keep_only([("i", issuer.url.as_str())]);
    keeper.keys_for("i", &issuer.url).await.unwrap();
    assert_eq!(issuer.asked(), 1);

    keeper.keep_only([]);
    keeper.keys_for("i", &issuer.url).await.unwrap();
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are_and_speaks_for_no_other() {
    let issuer = Issuer::start().await;
    let base = issuer.url.trim_end_matches("/jwks").to_owned();
    let says = |name: &str, keys: &str| {
        let body = format!(r#"{{"issuer":"{name}","jwks_uri":"{keys}","token_endpoint":"x"}}"#);
        issuer.answers(StatusCode::OK, "application/json", body);
    };
    says(&base, &issuer.url);
    let discovered = local().discover(&base).await.unwrap();
    assert_eq!((discovered.issuer, discovered.jwks_uri), (base.clone(), issuer.url.clone()));
    // Some write their names with a slash at the end.
    says(&format!("{base}/"), &issuer.url);
    assert!(local().discover(&format!("{base}/")).await.is_ok());
    let refused = |outcome: Result<Discovered, DiscoveryError>| format!("{:?}", outcome.unwrap_err());
    assert!(refused(local().discover(&base).await).starts_with("OtherIssuer"), "a second spelling");
    says("https://other.example", &issuer.url);
    assert!(refused(local().discover(&base).await).starts_with("OtherIssuer"));
    for keys in ["file:///etc/passwd", "https://u:p@keys.example/", ""] {
        says(&base, keys);
        assert!(refused(local().discover(&base).await).starts_with("Keys"), "{keys}");
    }
    for body in ["{}", "[]", "", r#"{"issuer":1,"jwks_uri":"x"}"#] {
        issuer.answers(StatusCode::OK, "application/json", body.to_owned());
        assert!(refused(local().discover(&base).await).starts_with("Form"), "{body}");
    }
    for status in [StatusCode::FOUND, StatusCode::NOT_FOUND] {
        issuer.answers(status, "application/json", String::new());
        assert!(refused(local().discover(&base).await).starts_with("Fetch"), "{status}");
    }
    let error = Egress::new(Vec::new(), Vec::new()).discover("https://127.0.0.1").await;
    assert!(refused(error).starts_with("Fetch(Address)"));
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_no_other() {
    let clock = Hands::new();
    let keeper = JwksKeeper::new(local(), Arc::clone(&clock) as Arc<dyn Clock>);
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = format!("http://{}/jwks", silent.local_addr().unwrap());
    let well = Issuer::start().await;
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (keeper, hangs) = (keeper.clone(), hangs.clone());
            tokio::spawn(async move { keeper.keys_for("https://hangs.example", &hangs).await })
        })
        .collect();
    tokio::task::yield_now().await;
    for place in 0..5 {
        let name = format!("https://well-{place}.example");
        assert_eq!(keeper.keys_for(&name, &well.url).await.unwrap().keys.len(), 1, "{name}");
    }
    assert!(waiting.iter().all(|task| !task.is_finished()), "the others had theirs before the first gave up");
    for task in waiting {
        assert!(task.await.unwrap().is_err());
    }
    drop(silent);
}

#[tokio::test]
async fn keys_are_kept_no_longer_than_they_say() {
    let (issuer, clock) = (Issuer::start().await, Hands::new());
    let keeper = JwksKeeper::new(local(), clock.clone());
    let cases =
        [("max-age=60", 60), ("private, MAX-AGE=90", 90), ("no-store", 30), ("max-age=900", 300), ("max-age=x", 300)];
    for (number, (said, seconds)) in cases.into_iter().enumerate() {
        issuer.says_of_keeping(said);
        let (of, before) = (format!("client:north:{number}"), issuer.asked());
        keeper.keys_for(&of, &issuer.url).await.unwrap();
        clock.forward(TimeDelta::seconds(seconds - 1));
        keeper.keys_for(&of, &issuer.url).await.unwrap();
        assert_eq!(issuer.asked(), before + 1, "{said}");
        clock.forward(TimeDelta::seconds(1));
        keeper.keys_for(&of, &issuer.url).await.unwrap();
        assert_eq!(issuer.asked(), before + 2, "{said}");
    }
    // When nobody answers a client's keys end when they said, an issuer's an hour later.
    issuer.says_of_keeping("max-age=60");
    for of in ["client:north:x", "i"] {
        keeper.keys_for(of, &issuer.url).await.unwrap();
    }
    issuer.answers(StatusCode::INTERNAL_SERVER_ERROR, "", String::new());
    clock.forward(TimeDelta::seconds(60));
    assert!(matches!(keeper.keys_for("client:north:x", &issuer.url).await, Err(IssuerAway)));
    assert!(keeper.keys_for("i", &issuer.url).await.is_ok());
}
