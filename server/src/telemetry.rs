//! What the process says about itself: log lines on standard error, spans to a collector, and the metrics page.
//!
//! No line, span or metric holds health data, a token, a key or the value of a search; what they may hold is named in
//! [`metrics`] and at each span.

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt};

use crate::config::{LogFormat, Tracing};

mod export;
mod lines;
pub mod metrics;
mod trace_context;

pub use metrics::Metrics;
pub use trace_context::TraceContext;

/// Libraries that log while they carry our own spans to the collector: listening to them would feed each export with
/// the next one. Some of them would also print addresses and headers.
const SILENT: [&str; 12] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_prometheus",
    "opentelemetry_sdk",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
];

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter to the collector could not be made.
    #[error("cannot prepare the export of traces (OTEL_EXPORTER_OTLP_ENDPOINT): {0}")]
    Collector(opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is already there.
    #[error("the log is already set up")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// The running telemetry; ended with [`Telemetry::stop`].
#[derive(Debug)]
pub struct Telemetry {
    collector: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts the log, and the export of spans where a collector is configured. Once a process.
    pub fn start(format: LogFormat, tracing: Tracing) -> Result<Self, TelemetryError> {
        let collector = match tracing {
            Tracing::Local => None,
            Tracing::Collector => Some(export::provider()?),
        };
        let spans = collector.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("vitals"))
                .with_location(false)
                .with_threads(false)
                .with_filter(spans_filter())
        });
        tracing_subscriber::registry().with(log(format)).with(spans).try_init()?;
        std::panic::set_hook(Box::new(panicked));
        Ok(Self { collector })
    }

    /// Sends what is left, waiting no longer than `limit`.
    pub async fn stop(self, limit: Duration) {
        let Some(collector) = self.collector else { return };
        // The provider blocks its thread until the batch is sent, and the batch is sent by this runtime.
        let flushed = tokio::task::spawn_blocking(move || collector.shutdown_with_timeout(limit));
        match tokio::time::timeout(limit, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces did not reach the collector"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces did not reach the collector in time"),
        }
    }
}

/// Says where a panic was, and not what it said: that may hold what a request brought.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(|location| format!("{}:{}", location.file(), location.line()));
    tracing::error!(code.location = place.as_deref(), "a panic");
}

/// The layer that writes log lines to standard error.
fn log<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .event_format(lines::Line)
            .fmt_fields(lines::Members)
            .with_writer(std::io::stderr)
            .with_filter(log_filter())
            .boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .compact()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter(log_filter())
            .boxed(),
    }
}

/// Our own lines from `info`; of libraries only warnings, and nothing of sqlx below an error, because its warnings
/// carry statements.
fn log_filter() -> Targets {
    silenced(
        Targets::new().with_default(Level::WARN).with_target("vitals", Level::INFO).with_target("sqlx", Level::ERROR),
    )
}

/// Only our own spans and events go to the collector.
fn spans_filter() -> Targets {
    silenced(Targets::new().with_default(LevelFilter::OFF).with_target("vitals", Level::INFO))
}

fn silenced(targets: Targets) -> Targets {
    SILENT.into_iter().fold(targets, |targets, silent| targets.with_target(silent, LevelFilter::OFF))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::{log_filter, spans_filter};

    #[test]
    fn libraries_below_the_export_are_off_in_both_layers() {
        let cases = [
            ("vitals_server::rest", Level::INFO, true, true),
            ("vitals_store::pool", Level::INFO, true, true),
            ("vitals_server::rest", Level::DEBUG, false, false),
            ("hyper::proto::h1", Level::ERROR, false, false),
            ("hyper_util::client", Level::ERROR, false, false),
            ("h2::codec", Level::ERROR, false, false),
            ("reqwest::connect", Level::ERROR, false, false),
            ("tonic::transport", Level::ERROR, false, false),
            ("opentelemetry_sdk", Level::ERROR, false, false),
            ("opentelemetry-otlp", Level::ERROR, false, false),
            ("sqlx::query", Level::WARN, false, false),
            ("sqlx::query", Level::ERROR, true, false),
            ("poem::server", Level::INFO, false, false),
            ("poem::server", Level::WARN, true, false),
        ];
        for (target, level, logged, exported) in cases {
            assert_eq!(log_filter().would_enable(target, &level), logged, "log of {target} {level}");
            assert_eq!(spans_filter().would_enable(target, &level), exported, "span of {target} {level}");
        }
    }
}
