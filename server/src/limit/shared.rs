//! Windows in Redis, shared by every server: one script a decision, which Redis runs as a whole, so that it is one round
//! trip and no two servers admit the same unit. While Redis is away this says so at once; a task of its own looks for
//! it again, so that no request waits for a connection.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, Script, aio::MultiplexedConnection};
use vitals_access::{limits::Category, tenant::TenantRole};

use super::reading::{Level, Reading, Who};

/// The script, held against `window.rs` by a test.
const DECIDE: &str = include_str!("decide.lua");
/// How long a decision may take: twenty round trips within a data centre.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(50);
/// How long opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How often Redis is looked for while it is away, and looked after while it is there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Answers in a row that come too late before the connection is given up.
const LATE: u64 = 3;

/// The URL is not one of Redis'.
#[derive(Debug, thiserror::Error)]
#[error("must be a URL such as redis://host:6379/0 or rediss://host:6379/0")]
pub struct NotARedisUrl;

/// Redis does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// What happened with Redis, for metrics.
#[derive(Debug, Default)]
pub struct SharedFigures {
    /// Decisions it made.
    pub decided: AtomicU64,
    /// Decisions it did not answer in time or at all.
    pub failed: AtomicU64,
}

/// The windows that servers share.
pub struct Shared {
    client: Client,
    within: Duration,
    script: Script,
    connection: RwLock<Option<MultiplexedConnection>>,
    late: AtomicU64,
    /// What happened.
    pub figures: SharedFigures,
}

impl std::fmt::Debug for Shared {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("away", &self.is_away()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Looks for Redis, once now and then as long as it lives.
    pub async fn start(url: &str, within: Duration) -> Result<Arc<Self>, NotARedisUrl> {
        let shared = Arc::new(Self {
            client: client(url)?,
            within,
            script: Script::new(DECIDE),
            connection: RwLock::default(),
            late: AtomicU64::new(0),
            figures: SharedFigures::default(),
        });
        shared.look().await;
        if shared.is_away() {
            tracing::warn!("Redis is away: limits are counted by this server alone, and no tokens are issued");
        }
        tokio::spawn(keep(Arc::downgrade(&shared)));
        Ok(shared)
    }

    /// Whether Redis is away.
    pub fn is_away(&self) -> bool {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The same as `Local::decide`, for every server at once, by Redis' own clock.
    pub async fn decide(
        &self,
        tenant: &TenantRole,
        category: Category,
        levels: &[Level<'_>],
        units: u64,
    ) -> Result<Vec<Reading>, Away> {
        let Some(mut connection) = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Err(Away);
        };
        let mut asking = self.script.prepare_invoke();
        asking.arg(units);
        for level in levels {
            asking.key(key(tenant, category, level));
            asking.arg(level.windows().count());
            for (span, limit) in level.windows() {
                asking.arg(span.millis()).arg(limit);
            }
        }
        let answered = tokio::time::timeout(self.within, asking.invoke_async::<Vec<u64>>(&mut connection)).await;
        let figures = match answered {
            Ok(Ok(figures)) => figures,
            Ok(Err(error)) => {
                self.figures.failed.fetch_add(1, Ordering::Relaxed);
                self.lose(error.category());
                return Err(Away);
            }
            Err(_) => {
                self.figures.failed.fetch_add(1, Ordering::Relaxed);
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE {
                    self.lose("no answer in time");
                }
                return Err(Away);
            }
        };
        self.late.store(0, Ordering::Relaxed);
        self.figures.decided.fetch_add(1, Ordering::Relaxed);
        let windows = levels.iter().flat_map(|level| level.windows().map(|(span, limit)| (level.who, span, limit)));
        let readings = windows.zip(figures.chunks_exact(3)).map(|((who, span, limit), figures)| {
            let wait = Some(figures[1]).filter(|wait| *wait > 0);
            Reading { who, span, limit, used: figures[0], eases: figures[2], wait }
        });
        Ok(readings.collect())
    }

    fn lose(&self, why: &str) {
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if connection.take().is_some() {
            tracing::warn!(
                reason = why,
                "Redis is away: limits are counted by this server alone, and no tokens are issued"
            );
        }
    }

    /// Opens a connection where there is none, or asks whether the one there is lives.
    async fn look(&self) {
        let standing = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(mut connection) = standing {
            let ping = redis::cmd("PING");
            let asked = ping.query_async::<()>(&mut connection);
            // A busy moment is no reason to give up: decisions have a shorter patience of their own.
            match tokio::time::timeout(CONNECT_WITHIN, Box::pin(asked)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.lose(error.category()),
                Err(_) => self.lose("no answer in time"),
            }
            return;
        }
        let opening = async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_WITHIN))
                .set_response_timeout(Some(CONNECT_WITHIN));
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            self.script.prepare_invoke().load_async(&mut connection).await?;
            redis::RedisResult::Ok(connection)
        };
        match Box::pin(opening).await {
            Ok(connection) => {
                self.late.store(0, Ordering::Relaxed);
                *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            }
            Err(error) => tracing::debug!(reason = error.category(), "Redis cannot be reached"),
        }
    }
}

/// Whether a text is the URL of a Redis.
pub fn check_url(url: &str) -> Result<(), NotARedisUrl> {
    client(url).map(drop)
}

fn client(url: &str) -> Result<Client, NotARedisUrl> {
    let known = url.starts_with("redis://") || url.starts_with("rediss://");
    if !known || url.contains("#insecure") {
        return Err(NotARedisUrl);
    }
    Client::open(url).map_err(|_| NotARedisUrl)
}

async fn keep(shared: std::sync::Weak<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        let was_away = shared.is_away();
        shared.look().await;
        if was_away && !shared.is_away() {
            tracing::info!("Redis answers: limits are shared");
        }
    }
}

/// All keys of a tenant carry its role as their hash tag, so that a cluster keeps them in one place. Of a client only the
/// hash of its name is there.
fn key(tenant: &TenantRole, category: Category, level: &Level<'_>) -> String {
    let category = category.name();
    match level.who {
        Who::Tenant => format!("vitals:{{{tenant}}}:{category}"),
        Who::Tier => format!("vitals:{{{tenant}}}:{category}:tier:{}", level.name),
        Who::Client => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, level.name.as_bytes());
            let hash = digest.as_ref()[..16].iter().fold(String::with_capacity(32), |mut hash, byte| {
                hash.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
                hash.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
                hash
            });
            format!("vitals:{{{tenant}}}:{category}:client:{hash}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_redis_are_taken() {
        for good in ["redis://127.0.0.1:6379", "redis://:secret@cache.example:6380/2", "rediss://cache.example"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:6379", "http://cache.example", "unix:///run/redis.sock", "rediss://x/#insecure"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
