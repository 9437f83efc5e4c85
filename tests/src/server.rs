//! A server under test, on ports of its own.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use poem::endpoint::ToDynEndpoint;
use vitals_access::{audit::Queries, clock::Clock};
use vitals_server::{
    admin::Operator,
    app::{self, Parts},
    audit::heads::{self, HeadsOptions},
    config::{Secret, TlsFiles},
    egress::Egress,
    limit::settings::{AddressLimits, LimitSettings},
    listen::{Listener, Stopper, stop_signal},
    public::Public,
    state::App,
    tls::{Loaded, Tls},
};
use vitals_store::{audit::Durability, pool::PoolLimits};

use crate::{
    TestClock,
    cluster::{self, Cluster},
    ledger, oracle,
};

/// What a test may want otherwise.
#[derive(Clone, Default)]
pub struct Options {
    /// The tenant pool.
    pub pool: PoolLimits,
    /// Blocks that keys may be fetched from although they are not public.
    pub egress_allow: Vec<&'static str>,
    /// The files of a listener that speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Proxies whose word is taken.
    pub trusted_proxies: Vec<&'static str>,
    /// What the trail keeps of searches.
    pub queries: Queries,
    /// The URL clients use, if not that of the listener.
    pub public_url: Option<String>,
    /// Tiers, costs and limits; without them nothing is limited, since every test comes from the same address.
    pub limits: Option<LimitSettings>,
    /// Redis that limits are shared through.
    pub redis_url: Option<String>,
    /// How often heads of the trail are kept in [`Server::heads`]; otherwise they are not.
    pub heads_every: Option<Duration>,
}

/// A running server.
pub struct Server {
    /// Its public URL.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The operator listener's URL.
    pub operator_url: String,
    /// The operator's token.
    pub operator_token: String,
    /// The server itself, for what cannot be seen from outside.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: TestClock,
    /// The databases it works on.
    pub cluster: &'static Cluster,
    /// Where it keeps heads of the trail.
    pub heads: PathBuf,
    stopper: Stopper,
}

/// The server that tests share.
pub fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start_blocking(cluster::shared(), Options::default()))
}

impl Server {
    /// Starts a server on a cluster.
    pub async fn start(cluster: &'static Cluster, options: Options) -> Self {
        let started = cluster::runtime().spawn(Self::begin(cluster, options));
        started.await.expect("the server starts")
    }

    /// Starts a server that stops when the test that asked for it ends: one that went on would read the directory again at
    /// every change that another test makes.
    pub async fn for_this_test(cluster: &'static Cluster, options: Options) -> &'static Self {
        let server = Self::for_all_tests(cluster, options).await;
        // The test's own runtime drops its tasks when the test is over.
        let ending = Ending(server);
        tokio::spawn(async move {
            let _ending = ending;
            std::future::pending::<()>().await;
        });
        server
    }

    /// Starts a server that stays until the process ends.
    pub async fn for_all_tests(cluster: &'static Cluster, options: Options) -> &'static Self {
        Box::leak(Box::new(Self::start(cluster, options).await))
    }

    fn start_blocking(cluster: &'static Cluster, options: Options) -> Self {
        // A test's own runtime must not be blocked on, so a thread of its own waits.
        std::thread::spawn(move || cluster::runtime().block_on(Self::begin(cluster, options)))
            .join()
            .expect("the server starts")
    }

    async fn begin(cluster: &'static Cluster, options: Options) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let public = Listener::bind(any, "--listen").await.expect("a free port");
        let operator = Listener::bind(any, "--operator-listen").await.expect("a free port");
        oracle::listen();
        let clock = TestClock::default();
        vitals_server::egress::install_tls_provider();
        let files = options.tls.as_ref().map(|files| Arc::new(Loaded::read(files).expect("files of TLS")));
        // By name, so that the certificate is of something.
        let own = match &files {
            Some(_) => format!("https://localhost:{}", public.local().port()),
            None => format!("http://{}", public.local()),
        };
        let url = options.public_url.unwrap_or_else(|| own.clone());
        let blocks = |texts: &[&str]| texts.iter().map(|block| block.parse().expect("a CIDR block")).collect();
        ledger::served(&own, &format!("http://{}", operator.local()), &cluster.urls.audit_read);
        let folder = cluster.folder.join(format!("heads-{}", public.local().port()));
        let app = app::start(Parts {
            urls: cluster.urls.clone(),
            master_key: cluster.master_key.clone(),
            public_url: url.clone(),
            clock: Arc::new(clock.clone()) as Arc<dyn Clock>,
            durability: Durability::Prompt,
            heads: options.heads_every.map(|every| HeadsOptions {
                folder: folder.clone(),
                syslog: None,
                witness: heads::witness(&cluster.master_key),
                every,
            }),
            queries: options.queries,
            pool: options.pool,
            egress: Egress::new(blocks(&options.egress_allow), vec![public.local(), operator.local()]),
            tls: files.clone(),
            trusted_proxies: blocks(&options.trusted_proxies),
            limits: options
                .limits
                .unwrap_or(LimitSettings { address: AddressLimits::NONE, ..LimitSettings::default() }),
            redis_url: options.redis_url.map(Secret::new),
        })
        .await
        .expect("the application starts");
        let address = public.local();
        let public = match files {
            Some(files) => public.over(Tls::start(files, Some(Arc::clone(&app.trust)), Arc::clone(&app.clock))),
            None => public,
        };
        app::observe_listeners(&app, &[&public, &operator]);
        let (stopper, stop) = stop_signal();
        let operator_token = "operator-token-of-the-tests".to_owned();
        let operator_url = format!("http://{}", operator.local());
        let admin_url = Some(cluster.urls.app_admin().expect("admin"));
        let endpoint =
            Operator::new(Arc::clone(&app), operator_token.clone(), admin_url, vec![operator.local().to_string()]);
        tokio::spawn(operator.serve(Arc::new(ToDynEndpoint(endpoint)), stop.clone()));
        tokio::spawn(public.serve(Arc::new(ToDynEndpoint(Public::new(Arc::clone(&app)))), stop));
        Self { url, address, operator_url, operator_token, app, clock, cluster, heads: folder, stopper }
    }

    /// Stops the server as a signal would.
    pub async fn stop(self) {
        self.stopper.stop();
        let app = Arc::clone(&self.app);
        let stopped = cluster::runtime().spawn(async move { app.stop(std::time::Duration::from_secs(5)).await });
        stopped.await.expect("the server stops");
    }
}

/// Stops a server when it is dropped.
struct Ending(&'static Server);

impl Drop for Ending {
    fn drop(&mut self) {
        let Self(server) = self;
        server.stopper.stop();
        // Nobody waits, and what is left of it must not be logged as a failure of the test that runs by then.
        cluster::runtime().spawn(server.app.stop(std::time::Duration::from_secs(5)));
    }
}
