//! H07 and H08: what is refused at the handshake, and what becomes of connections when it would be refused now.

mod bound;
mod current;

use chrono::{Datelike as _, TimeDelta};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{HandshakeKind, SupportedProtocolVersion, version};
use vitals_access::clock::Clock as _;
use vitals_server::config::{ClientAuth, TlsFiles};
use vitals_tests::{
    Answer, Options, Server, Tenant,
    cluster::{self, Cluster},
    ledger,
    pki::{Authority, Folder, Holder},
    poll,
    secure::{self, Heard, Hello},
};

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// A server that speaks TLS.
async fn serving(files: &TlsFiles) -> &'static Server {
    serving_on(cluster::shared(), files).await
}

async fn serving_on(cluster: &'static Cluster, files: &TlsFiles) -> &'static Server {
    let options = Options { tls: Some(files.clone()), ..Options::default() };
    Server::for_this_test(cluster, options).await
}

/// A server with clients of an authority, on files that go with the value.
struct World {
    folder: Folder,
    server: &'static Server,
    /// Of the server's own certificate.
    servers: Authority,
    /// Of its clients'.
    clients: Authority,
}

impl World {
    async fn with(auth: ClientAuth, revoked: impl FnOnce(&Authority) -> Option<String>) -> Self {
        let (folder, servers, clients) = (Folder::default(), Authority::named("Servers"), Authority::named("Clients"));
        let lists = revoked(&clients);
        let files = folder.server_with(&servers.server(), &clients, auth, lists.as_deref());
        let server = serving(&files).await;
        Self { folder, server, servers, clients }
    }

    async fn ask(&self, holder: Option<&Holder>, version: &'static SupportedProtocolVersion) -> Result<u16, String> {
        secure::ask(self.server, self.servers.config(holder, &[version])).await
    }
}

/// What no library offers any more is offered by hand.
#[tokio::test]
async fn old_versions_and_weak_suites_are_refused() {
    const GOOD: u16 = 0xc02b;
    let folder = Folder::default();
    let server = serving(&folder.server(&Authority::named("Servers").server())).await;
    let say = |version, suites: &[u16], compressions: &[u8]| {
        let hello = Hello { version, suites: suites.to_vec(), compressions: compressions.to_vec() };
        async move { hello.say(server.address).await }
    };
    // The same hello with what is good is taken, or none of the refusals would say anything.
    assert_eq!(say(0x0303, &[GOOD], &[0]).await, Heard::Agreed(0x0303, GOOD, 0), "H07 TLS 1.2");
    for (label, version, suite) in [
        ("H07 SSL 3", 0x0300, GOOD),
        ("H07 TLS 1.0", 0x0301, GOOD),
        ("H07 TLS 1.1", 0x0302, GOOD),
        ("H07 TLS 1.0 with a suite of its time", 0x0301, 0xc009),
        ("H07 RC4", 0x0303, 0x0005),
        ("H07 ECDHE with RC4", 0x0303, 0xc007),
        ("H07 3DES", 0x0303, 0x000a),
        ("H07 ECDHE with 3DES", 0x0303, 0xc008),
        ("H07 ECDHE with AES-128-CBC and SHA-1", 0x0303, 0xc009),
        ("H07 ECDHE with AES-256-CBC and SHA-1", 0x0303, 0xc00a),
        ("H07 ECDHE with AES-128-CBC and SHA-256", 0x0303, 0xc023),
        ("H07 ECDHE with AES-256-CBC and SHA-384", 0x0303, 0xc024),
        ("H07 AES-128-CBC without forward secrecy", 0x0303, 0x002f),
        ("H07 AES-128-GCM without forward secrecy", 0x0303, 0x009c),
        ("H07 DHE with AES-128-CBC", 0x0303, 0x0033),
        ("H07 no encryption", 0x0303, 0xc006),
        ("H07 nobody's signature", 0x0303, 0xc018),
        ("H07 RC4 of 40 bits", 0x0303, 0x0003),
        ("H07 DES", 0x0303, 0x0009),
    ] {
        let heard = say(version, &[suite], &[0]).await;
        assert!(matches!(heard, Heard::Alert(40 | 70)), "{label}: {heard:?}");
        // Beside something good, the good is taken.
        if version == 0x0303 {
            assert_eq!(say(version, &[suite, GOOD], &[0]).await, Heard::Agreed(version, GOOD, 0), "{label}");
        }
    }
    assert_eq!(say(0x0303, &[GOOD], &[1, 0]).await, Heard::Agreed(0x0303, GOOD, 0), "H07 compression, or none");
    let only = say(0x0303, &[GOOD], &[1]).await;
    assert!(matches!(only, Heard::Alert(_)), "H07 compression alone: {only:?}");
    // Plain HTTP gets no answer that would be one.
    let plain = secure::plain(server.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.windows(4).any(|part| part == b"HTTP"), "H07 plain HTTP");
}

#[tokio::test]
async fn client_certificates_that_are_no_good_are_refused_at_the_handshake() {
    let revoked = std::cell::RefCell::new(None);
    let world = World::with(ClientAuth::Required, |clients| {
        let holder = clients.client("revoked");
        let list = clients.revoking(&[&holder]);
        revoked.replace(Some(holder));
        Some(list)
    })
    .await;
    let revoked = revoked.into_inner().expect("it was made");
    let (clients, strangers) = (&world.clients, Authority::named("Clients"));
    let below = |depth: usize| {
        let mut last = clients.below("between 1");
        for number in 1..depth {
            last = last.below(&format!("between {}", number + 1));
        }
        last
    };
    let mut padded = clients.client("padded");
    let others = (0..8).map(|number| Authority::named(&format!("other {number}")).itself().chain.remove(0));
    padded.chain.extend(others);
    let good = clients.client("good");
    for version in BOTH {
        assert_eq!(world.ask(Some(&good), version).await, Ok(200), "H08 a good one, {version:?}");
        for (label, holder) in [
            ("H08 none", None),
            ("H08 expired", Some(clients.sign("x", |params| params.not_after = date_time_ymd(2021, 1, 1)))),
            ("H08 not yet valid", Some(clients.sign("x", |params| params.not_before = date_time_ymd(2200, 1, 1)))),
            ("H08 wrong CA", Some(Authority::named("Somebody").client("x"))),
            ("H08 wrong CA of the same name", Some(strangers.client("x"))),
            (
                "H08 wrong EKU",
                Some(clients.sign("x", |params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                })),
            ),
            (
                "H08 wrong EKU: mail",
                Some(clients.sign("x", |params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
                })),
            ),
            ("H08 of the servers' authority", Some(world.servers.client("x"))),
            ("H08 revoked", Some(revoked.clone())),
            ("H08 below an authority without a list", Some(below(1).client("x"))),
            ("H08 self-signed", Some(Holder::of_itself("x"))),
            ("H08 the authority itself", Some(clients.itself())),
            ("H08 another's, without its key", Some(good.clone().with_the_key_of(&clients.client("x")))),
            ("H08 chain of nine", Some(below(8).client("x"))),
            ("H08 chain of 20", Some(below(19).client("x"))),
            ("H08 good, with a chain of others' behind it", Some(padded.clone())),
        ] {
            let refused = world.ask(holder.as_ref(), version).await;
            assert!(refused.is_err(), "{label}, {version:?}: {refused:?}");
        }
    }
    let metrics = Answer::of(vitals_tests::tenant::client().get(format!("{}/metrics", world.server.operator_url)));
    let metrics = metrics.await.expect(200).body;
    let counted = metrics.lines().find(|line| line.contains("reason=\"handshake failed\"")).expect("they are counted");
    assert!(counted.split(' ').next_back().and_then(|count| count.parse::<f64>().ok()) >= Some(30.0), "{counted}");
}

/// Without lists nothing is asked of authorities between; with one that has run out nobody is let in.
#[tokio::test]
async fn chains_are_followed_as_far_as_they_may_be_long() {
    let world = World::with(ClientAuth::Required, |_| None).await;
    let mut between = world.clients.below("between 1");
    for depth in 1..=7 {
        let asked = world.ask(Some(&between.client("x")), &version::TLS13).await;
        // Six between, itself and the authority are eight.
        assert_eq!(asked.is_ok(), depth <= 6, "H08 a chain with {depth} between: {asked:?}");
        between = between.below(&format!("between {}", depth + 1));
    }
    let old = World::with(ClientAuth::Required, |clients| Some(clients.revoking_until(&[], 2021))).await;
    let asked = old.ask(Some(&old.clients.client("x")), &version::TLS13).await;
    assert!(asked.is_err(), "H08 a revocation list out of date: {asked:?}");
}

#[tokio::test]
async fn a_certificate_that_is_optional_is_still_a_good_one_or_none() {
    let world = World::with(ClientAuth::Optional, |_| None).await;
    let tenant = Tenant::on(world.server).await;
    let (good, all) = (world.clients.client("good"), tenant.all());
    for (label, holder, certificate) in
        [("H08 none is needed", None, None), ("H08 one is shown", Some(&good), Some(good.thumbprint()))]
    {
        let request = world.servers.http(holder).get(format!("{}/Patient", tenant.base())).bearer_auth(&all);
        let answer = Answer::of(request).await.expect(200);
        let hsts = answer.header("strict-transport-security");
        assert_eq!(hsts, "max-age=31536000; includeSubDomains", "{label}");
        let record = tenant.record_of(answer.header("x-request-id")).await;
        assert_eq!(record.get("certificate").and_then(|text| text.as_str()), certificate.as_deref(), "{label}");
        assert_eq!(record["address"], "127.0.0.1", "{label}");
    }
    for (label, holder) in
        [("H08 wrong CA", Authority::named("x").client("x")), ("H08 self-signed", Holder::of_itself("x"))]
    {
        for version in BOTH {
            assert!(world.ask(Some(&holder), version).await.is_err(), "{label}, {version:?}");
        }
    }
    ledger::each_left_one_record().await;
}

/// What a connection showed at its handshake is worth nothing when its time is over.
#[tokio::test]
async fn a_certificate_that_expires_under_an_open_connection_is_none_any_more() {
    let world = World::with(ClientAuth::Optional, |_| None).await;
    let tenant = Tenant::on(world.server).await;
    let last = (world.server.clock.now() + TimeDelta::days(40)).date_naive();
    let last = date_time_ymd(
        last.year(),
        u8::try_from(last.month()).expect("a month"),
        u8::try_from(last.day()).expect("a day"),
    );
    let holder = world.clients.sign("x", |params| params.not_after = last);
    let http = world.servers.http(Some(&holder));
    for (days, certificate) in [(0, Some(holder.thumbprint())), (50, None)] {
        world.server.clock.advance(days * 86_400);
        let request = http.get(format!("{}/Patient", tenant.base())).bearer_auth(tenant.all());
        let record = tenant.record_of(Answer::of(request).await.expect(200).header("x-request-id")).await;
        let noted = record.get("certificate").and_then(|text| text.as_str());
        assert_eq!(noted, certificate.as_deref(), "H08 expired under an open connection, after {days} days");
    }
    // A new one is refused.
    assert!(world.ask(Some(&holder), &version::TLS13).await.is_err(), "H08 expired");
}

/// A session that goes on would carry the word of an authority that may be believed no longer.
#[tokio::test]
async fn sessions_go_on_only_where_no_certificates_are_asked_for() {
    let world = World::with(ClientAuth::Optional, |_| None).await;
    let (folder, servers) = (Folder::default(), Authority::named("Servers"));
    let plain = serving(&folder.server(&servers.server())).await;
    for version in BOTH {
        let holder = world.clients.client("x");
        let config = world.servers.config(Some(&holder), &[version]);
        for _ in 0..2 {
            let kind = secure::kind(world.server.address, config.clone()).await;
            assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
        }
        let config = servers.config(None, &[version]);
        secure::kind(plain.address, config.clone()).await;
        assert_eq!(secure::kind(plain.address, config).await, Some(HandshakeKind::Resumed), "{version:?}");
    }
}

/// Who opens a connection and says nothing, or a byte now and then, is let go after ten seconds.
#[tokio::test]
async fn handshakes_that_do_not_end_are_ended() {
    let folder = Folder::default();
    let server = serving(&folder.server(&Authority::named("Servers").server())).await;
    let began = std::time::Instant::now();
    let (silent, broken_off) =
        tokio::join!(secure::plain(server.address, b""), secure::plain(server.address, b"\x16\x03\x01\x01"));
    assert_eq!((silent.len(), broken_off.len()), (0, 0));
    let waited = began.elapsed().as_secs();
    assert!((9..15).contains(&waited), "after {waited} seconds");
    poll::until("they are counted", async || {
        let page =
            Answer::of(vitals_tests::tenant::client().get(format!("{}/metrics", server.operator_url))).await.body;
        page.lines().any(|line| line.contains("reason=\"handshake too slow\"") && line.ends_with(" 2"))
    })
    .await;
}
