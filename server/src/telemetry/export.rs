//! Spans to a collector over OTLP, when the standard `OTEL_*` variables name one.
//!
//! The SDK's batch thread drives an exporter outside of tokio, where reqwest's client cannot run (it panics for want
//! of a reactor). [`OnRuntime`] moves each export onto the runtime; the batch thread only waits for the answer.

use std::{sync::Arc, time::Duration};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracerProvider, SpanData},
};
use tokio::runtime::Handle;

use super::TelemetryError;

/// Makes the provider that batches spans and sends them. Called within the runtime, after the TLS provider was
/// installed.
pub(super) fn provider() -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder().with_http().build().map_err(TelemetryError::Collector)?;
    let exporter = OnRuntime { exporter: Arc::new(exporter), runtime: Handle::current() };
    Ok(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build())
}

/// Who we are to the collector: `vitals`, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` says otherwise.
fn resource() -> Resource {
    let named = Resource::builder().build();
    let unnamed = named.get(&"service.name".into()).is_none_or(|name| name.as_str().starts_with("unknown_service"));
    if unnamed { Resource::builder().with_service_name("vitals").build() } else { named }
}

#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
}

impl opentelemetry_sdk::trace::SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self
            .runtime
            .spawn(async move { opentelemetry_sdk::trace::SpanExporter::export(exporter.as_ref(), batch).await });
        sent.await.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
