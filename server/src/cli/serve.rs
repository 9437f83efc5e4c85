//! `vitals serve`: both listeners, until a signal.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use poem::endpoint::ToDynEndpoint;
use tokio::signal::unix::{SignalKind, signal};
use vitals_store::{audit::Durability, control, embedded::ServeLock, migrate, pool::PoolLimits, posture};

use super::{CommandError, Exit, Needs, Opened, print};
use crate::{
    admin::{self, Operator},
    app::{self, Parts},
    config::{AuditDurability, Database, Settings},
    egress::Egress,
    listen::{Listener, Stopper, stop_signal},
    public::Public,
    state::App,
    telemetry::Telemetry,
    tls::{Loaded, Tls},
};

/// How long a stopping server takes at most, without the embedded database, which comes last and needs a second or
/// two. Docker and systemd wait for ten seconds and more.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// How long the last traces may take.
const TRACES_WITHIN: Duration = Duration::from_secs(1);

/// Serves until a signal.
pub async fn run(settings: &Settings) -> Result<Exit, CommandError> {
    Box::pin(serve(settings, async |_, _| Ok(()))).await
}

/// Serves until a signal; `ready` runs when the listeners are open and before the ready line is printed.
pub async fn serve(
    settings: &Settings,
    ready: impl AsyncFnOnce(&Arc<App>, &Opened<'_>) -> Result<(), CommandError>,
) -> Result<Exit, CommandError> {
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    if cfg!(feature = "bench-without-audit") {
        let own = settings.database == Database::Embedded && settings.listen.ip().is_loopback();
        if !own {
            return Err(CommandError::new(
                "this build leaves no audit records: it serves an embedded database on loopback",
            ));
        }
        print::note("this build leaves no audit records: it is for measurements alone");
    }
    // Ports first: the commonest mistake is told before anything is started.
    let public = Listener::bind(settings.listen, "--listen").await?;
    let operator = Listener::bind(settings.operator_listen, "--operator-listen").await?;
    let tls = settings.tls.as_ref().map(Loaded::read).transpose()?.map(Arc::new);
    let telemetry = Telemetry::start(settings.log, settings.tracing)?;
    let folder = settings.data_dir.display();
    std::fs::create_dir_all(&settings.data_dir)
        .map_err(|error| CommandError::new(format!("cannot make the data directory {folder}: {error}")))?;
    let mut lock = ServeLock::acquire(&settings.data_dir)?;
    let opened = Opened::of(settings, Needs::Serving).await?;
    let served = serve_on(settings, &opened, &mut lock, Doors { public, operator, tls }, ready).await;
    let closed = opened.close().await;
    telemetry.stop(TRACES_WITHIN).await;
    served.and_then(|exit| closed.map(|()| exit))
}

/// Where requests come in.
struct Doors {
    public: Listener,
    operator: Listener,
    tls: Option<Arc<Loaded>>,
}

async fn serve_on(
    settings: &Settings,
    opened: &Opened<'_>,
    lock: &mut ServeLock,
    doors: Doors,
    ready: impl AsyncFnOnce(&Arc<App>, &Opened<'_>) -> Result<(), CommandError>,
) -> Result<Exit, CommandError> {
    refuse_bad_posture(opened).await?;
    let master_key = opened.master_key()?;
    let mut connection = opened.serving().await?;
    if !migrate::control_is_current(&mut connection).await? {
        return Err(CommandError::new("the control schema is not at this program's version: run `vitals migrate up`"));
    }
    control::keys::check_all(&mut connection, &master_key).await?;
    drop(connection);

    let Doors { mut public, mut operator, tls } = doors;
    let public_url = settings.public_url(public.local())?.as_str().trim_end_matches('/').to_owned();
    let app = app::start(Parts {
        urls: opened.urls.clone(),
        master_key: master_key.clone(),
        public_url: public_url.clone(),
        clock: Arc::clone(&opened.clock),
        durability: match settings.audit_durability {
            AuditDurability::Prompt => Durability::Prompt,
            AuditDurability::Strict => Durability::Strict,
        },
        heads: Some(opened.heads(&master_key)),
        queries: settings.audit_queries,
        pool: settings.limits.concurrency.of_pool(PoolLimits::default()),
        egress: Egress::new(settings.egress_allow.clone(), vec![public.local(), operator.local()]),
        tls: tls.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        limits: settings.limits.clone(),
        redis_url: settings.redis_url.clone(),
    })
    .await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(loaded) = tls {
        if let Some(warning) = loaded.warning(app.clock.now()) {
            tracing::warn!("{warning}");
        }
        let trust = Some(Arc::clone(&app.trust));
        public = public.over(Tls::start(Arc::clone(&loaded), trust, Arc::clone(&app.clock)));
        // On loopback it has always been plain, and nobody listens there.
        if !operator.local().ip().is_loopback() {
            operator = operator.over(Tls::start(loaded, None, Arc::clone(&app.clock)));
        }
    }
    app::observe_listeners(&app, &[&public, &operator]);

    let (stopper, stop) = stop_signal();
    let token = admin::operator_token(&settings.data_dir, settings.operator_token_file.as_deref())?;
    let (local, operators) = (public.local(), operator.local());
    let admin_url = opened.urls.app_admin().ok().filter(|_| opened.urls.admin.is_some());
    let endpoint = Operator::new(Arc::clone(&app), token, admin_url, vec![operators.to_string()]);
    let operator = tokio::spawn(operator.serve(Arc::new(ToDynEndpoint(endpoint)), stop.clone()));
    let serving = tokio::spawn(public.serve(Arc::new(ToDynEndpoint(Public::new(Arc::clone(&app)))), stop));

    let outcome = match ready(&app, opened).await {
        Ok(()) => {
            lock.listening(&public_url)?;
            tracing::info!(public = %local, operator = %operators, "serving");
            announce(scheme, local);
            wait_for_signal(&stopper).await
        }
        Err(error) => Err(error),
    };
    stopper.stop();
    let ending = async {
        for task in [serving, operator] {
            if task.await.is_err() {
                tracing::error!("a listener ended in a panic");
            }
        }
        app.stop(STOP_WITHIN).await;
    };
    if tokio::time::timeout(STOP_WITHIN, ending).await.is_err() {
        tracing::warn!("stopped before every request had ended");
    }
    outcome.map(|()| Exit::Success)
}

/// The ready line: the only thing `serve` writes to standard output.
fn announce(scheme: &str, local: SocketAddr) {
    println!("listening on {scheme}://{local}");
    if std::io::stdout().flush().is_err() {
        tracing::debug!("nobody reads the ready line");
    }
}

/// Refuses to serve with roles that could reach more than they should.
async fn refuse_bad_posture(opened: &Opened<'_>) -> Result<(), CommandError> {
    let problems = posture::check(&opened.urls).await?;
    if problems.is_empty() {
        return Ok(());
    }
    let mut text = "will not serve with this database:".to_owned();
    for problem in problems {
        text += "\n  ";
        text += &problem.what;
        text += ": ";
        text += &problem.advice;
    }
    Err(CommandError::new(text))
}

async fn wait_for_signal(stopper: &Stopper) -> Result<(), CommandError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stopper.stop();
    Ok(())
}
