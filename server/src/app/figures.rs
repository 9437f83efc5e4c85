//! What the metrics page shows of the parts of a server. The page holds no part alive: a server that is gone has no
//! figures.

use std::sync::{Arc, Weak, atomic::Ordering::Relaxed};

use vitals_store::migrate::SchemaVersions;

use crate::{
    listen::Ended,
    state::App,
    telemetry::metrics::{AuditFigures, CacheFigures, ConnectionFigures, LimitFigures, MigrationFigures, PoolFigures},
};

/// Puts the figures of a server on its metrics page.
pub(super) fn observe(app: &Arc<App>) {
    app.metrics.observe_pool(read(app, |app| Some(pool(app))));
    app.metrics.observe_keys(read(app, |app| Some(app.keeper.figures())));
    app.metrics.observe_token_cache(read(app, |app| Some(tokens(app))));
    app.metrics.observe_migrations(read(app, migrations));
    app.metrics.observe_audit(read(app, |app| Some(audit(app))));
    app.metrics.observe_limits(read(app, |app| Some(limits(app))));
}

/// Puts the connections of the listeners on it.
pub(super) fn observe_listeners(app: &App, listeners: Vec<Arc<Ended>>) {
    app.metrics.observe_connections(move || {
        let mut sum = ConnectionFigures::default();
        for one in listeners.iter().map(|ended| ended.figures()) {
            sum.malformed += one.malformed;
            sum.head_too_large += one.head_too_large;
            sum.head_too_slow += one.head_too_slow;
            sum.stalled += one.stalled;
            sum.broken += one.broken;
            sum.handshake_failed += one.handshake_failed;
            sum.handshake_too_slow += one.handshake_too_slow;
        }
        Some(sum)
    });
}

fn read<F>(app: &Arc<App>, figures: fn(&App) -> Option<F>) -> impl Fn() -> Option<F> + Send + Sync + 'static
where
    F: 'static,
{
    let app: Weak<App> = Arc::downgrade(app);
    move || app.upgrade().and_then(|app| figures(&app))
}

fn tokens(app: &App) -> CacheFigures {
    let figures = app.verifier.figures();
    CacheFigures {
        entries: app.verifier.remembered(),
        hits: figures.remembered.load(Relaxed),
        misses: figures.judged.load(Relaxed),
    }
}

fn pool(app: &App) -> PoolFigures {
    let figures = app.pool.figures();
    let (open, used) = app.pool.load();
    let (max, waiting) = app.pool.demand();
    PoolFigures {
        used: count(used),
        idle: count(open.saturating_sub(used)),
        max: count(max),
        waiting: count(waiting),
        hits: figures.affine.load(Relaxed),
        rebinds: figures.rebound.load(Relaxed),
        opened: figures.opened.load(Relaxed),
        timeouts: figures.timed_out.load(Relaxed),
        shed: figures.shed.load(Relaxed),
        discarded: figures.discarded.load(Relaxed),
        foreign_rows: figures.foreign_rows.load(Relaxed),
    }
}

/// Nothing while the directory is too old to be relied on.
fn migrations(app: &App) -> Option<MigrationFigures> {
    let directory = app.directory().ok()?;
    let (oldest, newest) = (SchemaVersions::oldest(), SchemaVersions::newest());
    let mut figures = MigrationFigures::default();
    for tenant in directory.tenants() {
        match tenant.version {
            version if version == newest => figures.current += 1,
            version if (oldest..newest).contains(&version) => figures.previous += 1,
            _ => figures.unserved += 1,
        }
    }
    Some(figures)
}

fn audit(app: &App) -> AuditFigures {
    let figures = app.audit.figures();
    AuditFigures {
        queued: figures.queued(),
        written: figures.appended(),
        batches: figures.batches(),
        failed: figures.failures(),
        refused: figures.refused(),
        settled: figures.settled(),
        recovered: figures.recovered(),
        heads: figures.heads(),
        heads_missed: figures.heads_missed(),
    }
}

fn limits(app: &App) -> LimitFigures {
    let figures = app.limiter.figures();
    let shared = app.limiter.shared_figures();
    LimitFigures {
        admitted: figures.admitted.load(Relaxed),
        limited: figures.limited.load(Relaxed),
        address_limited: figures.address_limited.load(Relaxed),
        alone: figures.alone.load(Relaxed),
        shared: shared.map(|(decided, failed, _)| (decided, failed)),
        away: shared.is_some_and(|(.., away)| away),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
