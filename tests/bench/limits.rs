//! What a decision of the limiter costs: in memory, and over Redis beside the lightest script that Redis can be asked to
//! run, over the same loopback.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::DateTime;
use vitals_access::{
    limits::{Category, Limits, Quotas},
    settings::Settings,
    tenant::{Tenant, TenantRole, TenantStatus},
};
use vitals_server::limit::{Charge, Limiter, settings::LimitSettings};

use crate::table::{Limit, Samples, Table};

const READ: Charge = Charge { category: Category::Read, units: 1 };
/// Decisions in memory, and over Redis.
const IN_MEMORY: u32 = 1_000_000;
const OVER_REDIS: u32 = 5_000;
/// Tenants and clients of each, in turn, so that not one entry stays in the processor's cache.
const TENANTS: usize = 500;
const CLIENTS: [&str; 4] = ["growth-chart", "monitor", "research", "nightly-report"];
/// The bare script.
const BARE: &[u8] = b"*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n";

/// Runs it.
pub async fn run(table: &mut Table) {
    let tenants: Vec<Tenant> = (0..TENANTS).map(tenant).collect();
    for (what, quotas) in [("admitted", quotas(1_000_000_000)), ("refused", quotas(1))] {
        let limiter = Limiter::new(settings(quotas));
        let each = decisions(&limiter, &tenants, IN_MEMORY).await;
        table.row(&format!("limiter: a decision in memory, {what}"), each, "us", &Limit::Asked(2.0));
    }
    let Some(redis) = Redis::start() else {
        println!("not run: Redis, because redis-server is not installed");
        return;
    };
    let bare = redis.bare();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let limiter = Limiter::sharing(settings(quotas(1_000_000_000)), &url, Duration::from_secs(1)).await;
    let limiter = limiter.expect("a URL of Redis");
    let mut samples = Samples::default();
    for (number, tenant) in (0..OVER_REDIS).zip(tenants.iter().cycle()) {
        let began = Instant::now();
        let client = CLIENTS[number as usize % CLIENTS.len()];
        limiter.admit_client(tenant, client, READ, 0).await.expect("below its limits");
        samples.add(began.elapsed());
    }
    let (decided, failed, _) = limiter.shared_figures().expect("it shares");
    assert_eq!((decided, failed), (u64::from(OVER_REDIS), 0), "Redis answered each");
    let limit = Limit::Measured(bare * 1e3, "EVAL \"return 1\"");
    table.row("limiter: a decision over Redis, median", samples.median() * 1e3, "us", &limit);
}

/// Microseconds of one decision.
async fn decisions(limiter: &Limiter, tenants: &[Tenant], count: u32) -> f64 {
    let began = Instant::now();
    let mut admitted = 0_u32;
    for number in 0..count {
        let tenant = &tenants[number as usize % tenants.len()];
        let client = CLIENTS[number as usize / tenants.len() % CLIENTS.len()];
        // A millisecond passes every hundred decisions.
        let now = 1_772_323_200_000 + i64::from(number / 100);
        admitted += u32::from(limiter.admit_client(tenant, client, READ, now).await.is_ok());
    }
    assert!(admitted > 0, "some were admitted");
    began.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

const fn quotas(units: u64) -> Quotas {
    Quotas { burst: Some(units), sustained: Some(units), daily: Some(units) }
}

fn settings(quotas: Quotas) -> LimitSettings {
    let each = || [(Category::Read, quotas)].into();
    let tier = Limits { tenant: each(), per_client: each() };
    LimitSettings { tiers: [("bench".to_owned(), tier)].into(), ..LimitSettings::default() }
}

fn tenant(number: usize) -> Tenant {
    Tenant {
        role: TenantRole::generate(),
        number: 1,
        name: format!("bench-{number}").parse().expect("a tenant name"),
        login: 0,
        status: TenantStatus::Active,
        version: 1,
        tier: "bench".to_owned(),
        display: String::new(),
        created: DateTime::UNIX_EPOCH,
        settings: Settings::default(),
    }
}

/// A Redis of the bench's own.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Self { port, child };
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "Redis opens its port");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(redis)
    }

    /// Milliseconds of the bare script, in the middle.
    fn bare(&self) -> f64 {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_nodelay(true).expect("a socket's option");
        let (mut samples, mut answer) = (Samples::default(), [0; 16]);
        for _ in 0..OVER_REDIS {
            let began = Instant::now();
            stream.write_all(BARE).expect("sent");
            let read = stream.read(&mut answer).expect("an answer");
            samples.add(began.elapsed());
            assert_eq!(&answer[..read], b":1\r\n");
        }
        samples.median()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}
