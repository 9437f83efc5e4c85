//! The only place where the parts of a server are put together.
//!
//! The layers around a request, from the outside in:
//! `listen` (connection cap, TLS, timeouts) → `rest::guarded` (request id, trace, own task, panics, metrics) → `public` →
//! `rest::router` (address) → `rest::credentials` (token gate, verifier, directory) → `rest::fhir` (operation, scope,
//! body) → `interaction` → `vitals_store` (bound connection, predicate in the SQL) → `rest::trail` (audit record) →
//! `rest::respond`.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};
use vitals_access::{audit::Queries, clock::Clock, dpop::DpopNonces, verifier::Verifier};
use vitals_store::{
    StoreError,
    audit::{AuditError, Durability},
    control::{
        api_keys,
        poll::{DirectoryFeed, FeedError, FeedOptions, KeySource},
    },
    migrate::SchemaVersions,
    pool::{PoolLimits, ServedVersions, TenantPool},
    seal::MasterKey,
    urls::{self, LOGINS, UrlError, Urls},
};

use crate::{
    audit::{AuditView, AuditWriter, heads::HeadsOptions},
    authorization::{Desk, Signers},
    config::Secret,
    egress::{Cidr, Egress, JwksKeeper},
    limit::{self, Limiter, NotARedisUrl, settings::LimitSettings},
    listen::Listener,
    openapi,
    state::{App, Documents},
    telemetry::metrics::{Metrics, MetricsError},
    tls::{Loaded, Trust},
};

mod figures;

/// How often keys of outside issuers are looked after in the background.
const KEY_ROUND: Duration = Duration::from_mins(1);

/// How often limits are looked after: a part of a minute, and of the seconds in which a server that is gone is noticed.
const LIMIT_ROUND: Duration = Duration::from_secs(1);

/// Large Bundles that are read at once: each takes a few times its 50 MB.
const LARGE_BUNDLES: usize = 4;

/// Fetches of keys at a time: each may take two seconds of an issuer that hangs.
const FETCHES: usize = 4;

/// Everything a server needs to be told.
pub struct Parts {
    /// The databases.
    pub urls: Urls,
    /// What secrets at rest and page links are sealed under.
    pub master_key: MasterKey,
    /// The URL clients use, without a slash at the end.
    pub public_url: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When an answer may leave, seen from its audit record.
    pub durability: Durability,
    /// Where the ends of the audit chains are kept outside the database.
    pub heads: Option<HeadsOptions>,
    /// What the trail keeps of the criteria of searches.
    pub queries: Queries,
    /// How the tenant pool is sized.
    pub pool: PoolLimits,
    /// The rules for requests to elsewhere.
    pub egress: Egress,
    /// The files of the listeners, where they speak TLS.
    pub tls: Option<Arc<Loaded>>,
    /// Proxies whose word about clients is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// Tiers, costs and limits.
    pub limits: LimitSettings,
    /// Redis that limits are shared through.
    pub redis_url: Option<Secret>,
}

/// A server that could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A database URL is no good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The tenant pool could not be made.
    #[error("cannot prepare tenant connections")]
    Pool(#[source] StoreError),
    /// The audit writer did not start.
    #[error("cannot open the audit store")]
    Audit(#[from] AuditError),
    /// The directory could not be read.
    #[error("cannot read the control schema")]
    Feed(#[from] FeedError),
    /// The address of Redis is none.
    #[error(transparent)]
    Redis(#[from] NotARedisUrl),
    /// The metrics page could not be prepared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Connects everything and starts the background work.
pub async fn start(parts: Parts) -> Result<Arc<App>, AppError> {
    let Parts {
        urls,
        master_key,
        public_url,
        clock,
        durability,
        heads,
        queries,
        pool,
        egress,
        tls,
        trusted_proxies,
        limits,
        redis_url,
    } = parts;
    let logins = (0..LOGINS).map(|slot| urls.login(slot)).collect::<Result<Vec<_>, _>>()?;
    let versions = ServedVersions { oldest: SchemaVersions::oldest(), newest: SchemaVersions::newest() };
    let pool = TenantPool::new(&logins, pool, versions).map_err(AppError::Pool)?;
    let audit = AuditWriter::start(&urls, durability, heads, Arc::clone(&clock)).await?;
    let feed = DirectoryFeed::start(FeedOptions {
        database_url: urls.app.clone(),
        public_url: public_url.clone(),
        writer: audit.writer(),
        clock: Arc::clone(&clock),
    })
    .await?;
    let bodies = (limits.concurrency.body_bytes / 1024).min(Semaphore::MAX_PERMITS);
    let limiter = match redis_url {
        None => Limiter::new(limits),
        Some(url) => Limiter::sharing(limits, url.expose(), limit::ANSWER_WITHIN).await?,
    };
    let nonces = DpopNonces::new(&master_key.derive("dpop-nonce"));
    let desk = Desk {
        pool: pool.clone(),
        feed: feed.clone(),
        urls: urls.clone(),
        public_url: public_url.clone(),
        master_key: master_key.clone(),
        clock: Arc::clone(&clock),
        people: Arc::default(),
        signers: Signers::default(),
        nonces: nonces.clone(),
    };
    let app = Arc::new(App {
        desk,
        audit_view: AuditView::new(&urls),
        queries,
        trust: Trust::of(feed.clone(), tls.as_deref()),
        trusted_proxies,
        started: vitals_fhir::temporal::instant(clock.now().timestamp_millis()),
        verifier: Verifier::new(Arc::clone(&clock), nonces),
        keeper: JwksKeeper::new(egress.clone(), Arc::clone(&clock)),
        egress,
        limiter,
        metrics: Metrics::new()?,
        documents: Documents {
            openapi: openapi::document(),
            openapi_plain: openapi::plain_document(),
            docs: openapi::docs_page(),
            docs_policy: openapi::DOCS_POLICY,
        },
        large_bundles: Semaphore::new(LARGE_BUNDLES),
        bodies: Arc::new(Semaphore::new(bodies)),
        working: Arc::new(AtomicUsize::new(0)),
        urls,
        public_url,
        clock,
        master_key,
        feed,
        pool,
        audit,
    });
    figures::observe(&app);
    tokio::spawn(keep_keys(Arc::downgrade(&app)));
    tokio::spawn(note_used_keys(Arc::downgrade(&app)));
    tokio::spawn(keep_limits(Arc::downgrade(&app)));
    Ok(app)
}

/// Shows on the metrics page how connections to these listeners end.
pub fn observe_listeners(app: &App, listeners: &[&Listener]) {
    figures::observe_listeners(app, listeners.iter().map(|listener| listener.ended()).collect());
}

/// Fetches the keys of outside issuers before they are needed, and again before they are too old.
async fn keep_keys(app: std::sync::Weak<App>) {
    loop {
        match app.upgrade() {
            Some(app) => look_after_keys(&app).await,
            None => return,
        }
        tokio::time::sleep(KEY_ROUND).await;
    }
}

/// Writes down every minute when API keys were used last. What a server that stops did not write is lost, and no more
/// than a date for people.
async fn note_used_keys(app: std::sync::Weak<App>) {
    loop {
        tokio::time::sleep(KEY_ROUND).await;
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = write_used_keys(&app).await {
            tracing::warn!(%error, "cannot note when API keys were used");
        }
    }
}

/// Writes what is told of floods, once for each minute, and notes how many servers share the limits.
async fn keep_limits(app: std::sync::Weak<App>) {
    loop {
        tokio::time::sleep(LIMIT_ROUND).await;
        let Some(app) = app.upgrade() else { return };
        app.limiter.set_servers(app.feed.servers());
        let records = app.limiter.over(app.clock.now().timestamp_millis());
        app.write_floods(records).await;
    }
}

/// Writes down when API keys were used since the last time.
pub async fn write_used_keys(app: &App) -> Result<(), FeedError> {
    let used = app.verifier.take_used_keys();
    if used.is_empty() {
        return Ok(());
    }
    let mut conn = urls::connect(&app.urls.app).await?;
    Ok(api_keys::note_use(&mut conn, &used).await?)
}

/// One round of looking after the keys of outside issuers, a few at a time.
pub async fn look_after_keys(app: &Arc<App>) {
    let sources: Vec<KeySource> = app.feed.key_sources().into_iter().map(|(source, _)| source).collect();
    app.keeper.keep_only(sources.iter().map(|source| (source.issuer.as_str(), source.jwks_url.as_str())));
    let mut fetching = JoinSet::new();
    for source in sources {
        if fetching.len() == FETCHES {
            fetching.join_next().await;
        }
        let app = Arc::clone(app);
        fetching.spawn(async move {
            match app.keeper.keys_for(&source.issuer, &source.jwks_url).await {
                Ok(fetched) => app.feed.set_fetched_keys(&source, fetched.keys, fetched.fetched_at),
                // What it had is too old: its tokens are refused until it answers again.
                Err(_) => app.feed.drop_fetched_keys(&source),
            }
        });
    }
    fetching.join_all().await;
}
