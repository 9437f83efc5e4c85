//! R04, R05, R11: limits that servers share through Redis, and what happens without it. Clocks are Redis' own here, so
//! windows are long and nothing waits for one.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use vitals_access::{
    limits::{Category, Limits, Quotas},
    settings::Settings,
    tenant::{Tenant, TenantRole, TenantStatus},
};
use vitals_server::limit::{Charge, Denied, Limiter, settings::LimitSettings};
use vitals_tests::{cluster, poll, redis::Redis};

const READ: Charge = Charge { category: Category::Read, units: 1 };
const AUTH: Charge = Charge { category: Category::Auth, units: 1 };
/// 2026-03-01T00:00:00Z; stands still, so that what one server counts alone does not move.
const NOW: i64 = 1_772_323_200_000;
/// Units a minute.
const LIMIT: u64 = 200;

fn tenant() -> Tenant {
    Tenant {
        role: TenantRole::generate(),
        number: 1,
        name: "ward".parse().expect("a tenant name"),
        login: 0,
        status: TenantStatus::Active,
        version: 1,
        tier: "shared".to_owned(),
        display: "Ward".to_owned(),
        created: DateTime::UNIX_EPOCH,
        settings: Settings::default(),
    }
}

/// A server's limiter. What Redis answers late counts as away, so a busy machine gets more time than a server gives.
async fn limiter(redis: &Redis, servers: usize) -> Arc<Limiter> {
    let quotas = Quotas { sustained: Some(LIMIT), daily: Some(10 * LIMIT), ..Quotas::NONE };
    let tier = Limits { tenant: [(Category::Read, quotas)].into(), ..Limits::default() };
    let settings = LimitSettings { tiers: [("shared".to_owned(), tier)].into(), ..LimitSettings::default() };
    let url = redis.url();
    // Its task lives on the runtime of servers.
    let made = cluster::runtime().spawn(async move {
        let limiter = Limiter::sharing(settings, &url, Duration::from_secs(5)).await.expect("a URL of Redis");
        Arc::new(limiter)
    });
    let limiter = made.await.expect("it is made");
    limiter.set_servers(servers);
    limiter
}

async fn admitted(limiter: &Limiter, tenant: &Tenant, tries: u64) -> u64 {
    let mut count = 0;
    for _ in 0..tries {
        count += u64::from(limiter.admit_client(tenant, "app", READ, NOW).await.is_ok());
    }
    count
}

fn is_away(limiter: &Limiter) -> bool {
    limiter.shared_figures().expect("it shares").2
}

#[tokio::test]
async fn r04_replicas_admit_together_what_one_would() {
    let Some(redis) = Redis::start(2) else { return };
    for replicas in [2, 4] {
        let tenant = tenant();
        let mut limiters = Vec::new();
        for _ in 0..replicas {
            limiters.push(limiter(&redis, replicas).await);
        }
        let asking: Vec<_> = limiters
            .iter()
            .map(|limiter| {
                let (limiter, tenant) = (Arc::clone(limiter), tenant.clone());
                cluster::runtime().spawn(async move { admitted(&limiter, &tenant, LIMIT).await })
            })
            .collect();
        let mut together = 0;
        for asking in asking {
            together += asking.await.expect("it ends");
        }
        // The least number is exact; time goes on while they ask, so a unit of the first may leave again.
        assert!((LIMIT..=LIMIT * 105 / 100).contains(&together), "{replicas} replicas admitted {together}");
    }
}

#[tokio::test]
async fn r05_a_server_that_starts_again_finds_what_was_used() {
    let Some(redis) = Redis::start(1) else { return };
    let tenant = tenant();
    assert_eq!(admitted(&*limiter(&redis, 1).await, &tenant, LIMIT).await, LIMIT);
    let again = limiter(&redis, 1).await;
    let Err(Denied::Limited(limited)) = again.admit_client(&tenant, "app", READ, NOW).await else {
        panic!("what was used before counts");
    };
    assert_eq!(limited.name, "ward:read:sustained");
    assert!((1..=60).contains(&limited.retry_after), "{}", limited.retry_after);
}

#[tokio::test]
async fn r11_without_redis_reads_get_a_fair_share_and_nobody_gets_tokens() {
    let Some(mut redis) = Redis::start(1) else { return };
    let (tenant, limiter) = (tenant(), limiter(&redis, 4).await);
    assert!(limiter.admit_client(&tenant, "app", AUTH, NOW).await.is_ok());
    assert_eq!(admitted(&limiter, &tenant, 10).await, 10);

    redis.end();
    poll::until("Redis is missed", || async { is_away(&limiter) }).await;
    assert_eq!(limiter.admit_client(&tenant, "app", AUTH, NOW).await, Err(Denied::Away));
    // A quarter of the quota, of which it used ten units itself before.
    assert_eq!(admitted(&limiter, &tenant, LIMIT).await, LIMIT / 4 - 10);
    let another = self::tenant();
    assert_eq!(admitted(&limiter, &another, LIMIT).await, LIMIT / 4);
    assert!(limiter.figures().alone.load(std::sync::atomic::Ordering::Relaxed) > 0);

    redis.begin();
    poll::until("Redis is found again", || async { !is_away(&limiter) }).await;
    assert!(limiter.admit_client(&tenant, "app", AUTH, NOW).await.is_ok());
    assert_eq!(admitted(&limiter, &another, LIMIT).await, LIMIT, "the shared windows count again");
}

#[tokio::test]
async fn redis_holds_no_names_but_roles_and_its_keys_end() {
    let Some(redis) = Redis::start(1) else { return };
    let mut tenant = tenant();
    let quotas = Quotas { burst: Some(5), ..Quotas::NONE };
    tenant.settings.limits.per_client = [(Category::Read, quotas)].into();
    let limiter = limiter(&redis, 1).await;
    assert!(limiter.admit_client(&tenant, "CANARY-client", READ, NOW).await.is_ok());
    let ask = |words: &[&str]| {
        let url = redis.url();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        redis_cli(&url, &words)
    };
    let keys = ask(&["KEYS", "*"]);
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(key.starts_with(&format!("vitals:{{{}}}:read", tenant.role)), "{key}");
        assert!(!key.contains("CANARY"), "{key}");
        let left: i64 = ask(&["PTTL", &key])[0].parse().expect("milliseconds");
        assert!(left > 0, "{key} ends");
    }
}

/// What Redis answers, line by line.
fn redis_cli(url: &str, words: &[String]) -> Vec<String> {
    use std::io::{BufRead as _, BufReader, Write as _};
    let address = url.strip_prefix("redis://").and_then(|rest| rest.strip_suffix("/0")).expect("as it was made");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.write_all(format!("{}\r\n", words.join(" ")).as_bytes()).expect("sent");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("an answer"));
    let first = lines.next().expect("an answer");
    match first.split_at(1) {
        ("*", count) => {
            let count: usize = count.parse().expect("a count");
            // Each has its length before it.
            (0..count).map(|_| lines.by_ref().nth(1).expect("an item")).collect()
        }
        (_, rest) => vec![rest.to_owned()],
    }
}
