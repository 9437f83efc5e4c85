//! The metrics page (`/metrics` on the operator listener), in Prometheus' text form with OpenTelemetry's names
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>).
//!
//! Labels are words of this program alone (routes, interactions, methods, states): never a tenant's name, an id, a
//! value, or anything else a caller chose. So the page says nothing about who is served, and its size is bounded.

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider},
};
use opentelemetry_sdk::{error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{Encoder, Registry, TextEncoder};

mod figures;
#[cfg(test)]
mod tests;

pub use figures::{
    AuditFigures, CacheFigures, ConnectionFigures, KeyFigures, LimitFigures, MigrationFigures, PoolFigures,
};

/// Buckets of request durations in seconds, as the semantic conventions advise.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Why there is no metrics page.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The registry and the exporter do not fit.
    #[error("cannot prepare the metrics page: {0}")]
    Exporter(#[from] OTelSdkError),
    /// A figure could not be rendered.
    #[error("cannot render the metrics page: {0}")]
    Rendering(#[from] prometheus::Error),
}

/// A request that was answered, in the words its metric is labelled with.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method, if it is one HTTP defines; `_OTHER` otherwise. See [`method_label`].
    pub method: &'static str,
    /// The status code.
    pub status: u16,
    /// The template of the route that answered (`/t/{tenant}/fhir/Patient/{id}`); none if there was none.
    pub route: Option<&'static str>,
    /// The FHIR interaction (`read`, `search-type`), where it was one.
    pub interaction: Option<&'static str>,
    /// How long it took.
    pub seconds: f64,
}

/// The instruments, and the registry they are read from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    // Dropping the provider would silence every instrument.
    provider: SdkMeterProvider,
    requests: Histogram<f64>,
}

impl Metrics {
    /// Makes the registry with the request histogram; the figures of other parts are added by the `observe_*` methods.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let requests = provider
            .meter("vitals")
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Duration of HTTP server requests.")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Ok(Self { registry, provider, requests })
    }

    /// Counts an answered request.
    pub fn answered(&self, answered: &Answered) {
        let mut attributes = Vec::with_capacity(4);
        attributes.push(KeyValue::new("http.request.method", answered.method));
        attributes.push(KeyValue::new("http.response.status_code", i64::from(answered.status)));
        if let Some(route) = answered.route {
            attributes.push(KeyValue::new("http.route", route));
        }
        if let Some(interaction) = answered.interaction {
            attributes.push(KeyValue::new("fhir.interaction", interaction));
        }
        self.requests.record(answered.seconds, &attributes);
    }

    /// The page. Reads every observed figure at this moment.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut page = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        String::from_utf8(page).map_err(|error| prometheus::Error::Msg(error.to_string()).into())
    }

    fn meter(&self) -> Meter {
        self.provider.meter("vitals")
    }
}

/// The label of a method: its name if HTTP defines it, else `_OTHER`, so that a caller cannot make labels.
pub fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
