//! Attacks on keys that are fetched: J17 and J31 to J33. Issuers publish on loopback, which the server under test was
//! told to allow; its clock stands still unless a test moves it, so each test has a server of its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vitals_access::clock::Clock as _;
use vitals_store::{control::issuers, embedded::EmbeddedOptions};
use vitals_tests::{
    Answer, Options, Server, Tenant,
    cluster::{self, Cluster},
    forge::{Forge, header},
    issuer::{IssuerKeys, Published, Publisher, issuer, register, unique_url},
    poll,
};

/// After a fetch there is no other of the same issuer for this long, in seconds.
const COOLDOWN: i64 = 30;
/// Keys are used for so long after their issuer went away, in seconds.
const KEEP: i64 = 60 * 60;

struct World {
    server: &'static Server,
    tenant: Tenant,
}

impl World {
    async fn start() -> Self {
        Self::on(cluster::shared()).await
    }

    /// On a PostgreSQL of its own: on the shared one every server of this module fetches every issuer's keys.
    async fn alone() -> Self {
        let options = EmbeddedOptions { fsync: false, ..EmbeddedOptions::default() };
        let cluster = cluster::runtime().spawn(Cluster::start(options)).await.expect("the cluster starts");
        Self::on(Box::leak(Box::new(cluster))).await
    }

    async fn on(cluster: &'static Cluster) -> Self {
        let options = Options { egress_allow: vec!["127.0.0.1/32"], ..Options::default() };
        let server: &'static Server = Server::for_this_test(cluster, options).await;
        server.clock.stop();
        Self { server, tenant: Tenant::on(server).await }
    }

    /// Registers an issuer whose keys are at this address.
    async fn issuer(&self, url: &str) -> String {
        let name = unique_url("keys");
        register(&issuer(&name, IssuerKeys::Url(url.to_owned())), &[&self.tenant]).await;
        name
    }

    /// Takes a registration back: every server here looks after the keys of every issuer.
    async fn forget(&self, name: &str) {
        let mut admin = self.server.cluster.admin().await;
        issuers::remove(&mut admin, &self.tenant.name, name, self.server.clock.now()).await.expect("was registered");
    }

    fn token(&self, issuer: &str, forge: &Forge, header: &str) -> String {
        let now = self.server.clock.now().timestamp();
        let claims = json!({
            "iss": issuer,
            "sub": "nurse",
            "aud": self.server.url,
            "exp": now + 600,
            "iat": now,
            "scope": "system/*.rs",
        });
        forge.token(header, &claims.to_string())
    }

    async fn show(&self, issuer: &str, forge: &Forge, kid: &str) -> Answer {
        self.tenant.get("Patient", &self.token(issuer, forge, &header("ES256", kid))).await
    }
}

#[tokio::test]
async fn j17_nothing_is_fetched_from_an_address_in_a_token() {
    let world = World::start().await;
    let key = Forge::p256();
    let trap = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let honest = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let name = world.issuer(&honest.url).await;
    world.show(&name, &key, "k").await.expect(200);

    let other = Forge::p256();
    for (member, value) in [
        ("jku", json!(trap.url)),
        ("x5u", json!(trap.url)),
        ("jku", json!(null)),
        ("jku", json!([trap.url])),
        ("kid", json!(trap.url)),
        ("iss", json!(trap.url)),
    ] {
        for forge in [&key, &other] {
            let mut header = json!({ "alg": "ES256", "kid": "k", "typ": "at+jwt" });
            header[member] = value.clone();
            let answer = world.tenant.get("Patient", &world.token(&name, forge, &header.to_string())).await.sound();
            // `iss` is no member that means anything in a header.
            let expected = if member == "iss" && std::ptr::eq(forge, &raw const key) { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{member} {value}: {}", answer.body);
        }
    }
    // Nor from an issuer that nobody registered.
    world.show(&trap.url, &key, "k").await.expect_outcome(401, "login");
    assert_eq!(trap.visits(), 0);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j31_new_keys_serve_and_old_ones_do_not_after_a_rotation() {
    let world = World::start().await;
    let (old, new) = (Forge::p256(), Forge::p256());
    let publisher = Publisher::start(Published::Keys(vec![old.jwk("old")])).await;
    let name = world.issuer(&publisher.url).await;
    world.show(&name, &old, "old").await.expect(200);
    world.show(&name, &new, "new").await.expect_outcome(401, "login");

    // Both published: the new one is found by the first request after the cooldown.
    publisher.publish(Published::Keys(vec![old.jwk("old"), new.jwk("new")]));
    world.server.clock.advance(COOLDOWN + 1);
    world.show(&name, &new, "new").await.expect(200);
    world.show(&name, &old, "old").await.expect(200);

    // The old one taken back, and a third come: whoever brings the third has the set read anew.
    let third = Forge::p256();
    publisher.publish(Published::Keys(vec![new.jwk("new"), third.jwk("third")]));
    world.server.clock.advance(COOLDOWN + 1);
    world.show(&name, &third, "third").await.expect(200);
    world.show(&name, &old, "old").await.expect_outcome(401, "login");
    world.show(&name, &new, "new").await.expect(200);

    // The same id for another key: the other key's tokens are no more.
    let replaced = Forge::p256();
    publisher.publish(Published::Keys(vec![replaced.jwk("new"), third.jwk("third")]));
    world.server.clock.advance(COOLDOWN + 1);
    world.show(&name, &third, "unheard-of").await.expect_outcome(401, "login");
    world.show(&name, &new, "new").await.expect_outcome(401, "login");
    world.show(&name, &replaced, "new").await.expect(200);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j31_an_issuer_that_took_all_its_keys_back_signs_nothing_any_more() {
    let world = World::start().await;
    let key = Forge::p256();
    let publisher = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let name = world.issuer(&publisher.url).await;
    world.show(&name, &key, "k").await.expect(200);
    publisher.publish(Published::Keys(Vec::new()));
    world.server.clock.advance(COOLDOWN + 1);
    world.show(&name, &key, "unheard-of").await.expect_outcome(401, "login");
    world.show(&name, &key, "k").await.expect_outcome(401, "login");
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j31_j33_keys_taken_back_and_keys_of_an_issuer_long_away_end_without_a_new_key() {
    let world = World::start().await;
    let (taken, kept, away) = (Forge::p256(), Forge::p256(), Forge::p256());
    let first = Publisher::start(Published::Keys(vec![taken.jwk("k")])).await;
    let second = Publisher::start(Published::Keys(vec![away.jwk("k")])).await;
    let (takes_back, goes_away) = (world.issuer(&first.url).await, world.issuer(&second.url).await);
    world.show(&takes_back, &taken, "k").await.expect(200);
    world.show(&goes_away, &away, "k").await.expect(200);

    first.publish(Published::Keys(vec![kept.jwk("kept")]));
    second.publish(Published::Nothing);
    world.server.clock.advance(KEEP + 1);

    // One round of what the background does once a minute.
    let app = std::sync::Arc::clone(&world.server.app);
    vitals_tests::cluster::runtime()
        .spawn(async move { vitals_server::app::look_after_keys(&app).await })
        .await
        .expect("the round ends");
    let round = Duration::from_secs(20);
    poll::within(round, "the key taken back is refused", || async {
        let status = world.show(&takes_back, &taken, "k").await.status;
        if status == 503 {
            // On a busy machine a fetch may fail; the next is a cooldown later.
            world.server.clock.advance(COOLDOWN + 1);
        }
        status == 401
    })
    .await;
    poll::within(round, "an issuer away for an hour cannot be judged", || async {
        world.show(&goes_away, &away, "k").await.status == 503
    })
    .await;
    let answer = world.show(&goes_away, &away, "k").await.expect_outcome(503, "transient");
    assert!(!answer.header("retry-after").is_empty());

    world.show(&takes_back, &kept, "kept").await.expect(200);

    // Back again, it serves after the cooldown.
    second.publish(Published::Keys(vec![away.jwk("k")]));
    world.server.clock.advance(COOLDOWN + 1);
    world.show(&goes_away, &away, "k").await.expect(200);
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j32_made_up_key_ids_fetch_once_a_cooldown() {
    let world = World::alone().await;
    let key = Forge::p256();
    let publisher = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let name = world.issuer(&publisher.url).await;
    world.show(&name, &key, "k").await.expect(200);
    for round in 1..=2 {
        let before = publisher.visits();
        for place in 0..150 {
            let answer = world.show(&name, &key, &format!("made-up-{round}-{place}")).await;
            answer.expect_outcome(401, "login");
        }
        let visits = publisher.visits() - before;
        assert!(visits <= 1, "{visits} fetches in one cooldown");
        world.show(&name, &key, "k").await.expect(200);
        world.server.clock.advance(COOLDOWN + 1);
    }
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j33_an_issuer_that_answers_badly_never_had_keys_is_503_and_had_some_keeps_them() {
    let world = World::start().await;
    let key = Forge::p256();
    let elsewhere = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let many: Vec<Value> = (0..10_000).map(|place| json!({ "kty": "oct", "kid": place.to_string() })).collect();
    let padded = format!("{{\"keys\":[{}],\"pad\":\"{}\"}}", key.jwk("k"), "x".repeat(300 * 1024));
    for (what, published) in [
        ("closes", Published::Nothing),
        ("is silent", Published::Silence),
        ("500", Published::Status(500)),
        ("404", Published::Status(404)),
        ("204", Published::Status(204)),
        ("redirects to metadata of the cloud", Published::Redirect("http://169.254.169.254/latest/".to_owned())),
        ("redirects to another that is allowed", Published::Redirect(elsewhere.url.clone())),
        ("does not end", Published::Endless),
        ("300 kB", Published::Text(padded)),
        ("10,000 keys", Published::Keys([vec![key.jwk("k")], many].concat())),
        ("no JSON", Published::Text("keys".to_owned())),
        ("no set", Published::Text("{}".to_owned())),
        ("a member twice", Published::Text(format!("{{\"keys\":[],\"keys\":[{}]}}", key.jwk("k")))),
        ("no usable key", Published::Keys(vec![json!({ "kty": "oct", "kid": "k", "k": "AAAA" })])),
    ] {
        // From the first: nothing is known, so nothing can be judged.
        let publisher = Publisher::start(published.clone()).await;
        let name = world.issuer(&publisher.url).await;
        let began = Instant::now();
        let answer = world.show(&name, &key, "k").await;
        assert_eq!(answer.status, 503, "{what}: {}", answer.body);
        assert!(began.elapsed() < Duration::from_secs(8), "{what} took {:?}", began.elapsed());
        assert!(publisher.sent() < 8 << 20, "{what}: {} bytes were taken", publisher.sent());

        // Later: what was known stays.
        publisher.publish(Published::Keys(vec![key.jwk("k")]));
        world.server.clock.advance(COOLDOWN + 1);
        world.show(&name, &key, "k").await.expect(200);
        publisher.publish(published);
        world.server.clock.advance(COOLDOWN + 1);
        let answer = world.show(&name, &key, "another").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        world.show(&name, &key, "k").await.expect(200);
        world.forget(&name).await;
    }
    assert_eq!(elsewhere.visits(), 0, "no redirect is followed");
    vitals_tests::ledger::each_left_one_record().await;
}

#[tokio::test]
async fn j33_addresses_that_are_not_allowed_are_not_fetched_from() {
    // Without the permission: loopback under any name is refused. Nobody else is here who has it and looks after the same
    // issuers.
    let server: &'static Server = Server::for_this_test(cluster::alone().await, Options::default()).await;
    let world = World { server, tenant: Tenant::on(server).await };
    let key = Forge::p256();
    let trap = Publisher::start(Published::Keys(vec![key.jwk("k")])).await;
    let port = trap.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port");
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0", "127.1"] {
        for scheme in ["http", "https"] {
            let name = world.issuer(&format!("{scheme}://{host}:{port}/jwks")).await;
            let answer = world.show(&name, &key, "k").await;
            assert_eq!(answer.status, 503, "{scheme}://{host}: {}", answer.body);
            world.forget(&name).await;
        }
    }
    assert_eq!(trap.visits(), 0);
    vitals_tests::ledger::each_left_one_record().await;
}
