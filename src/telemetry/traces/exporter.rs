//! The way of spans to a collector, beside the calls.
//!
//! This is the one connection that is not opened by `adapter`: it goes where the operator's own variables say, never
//! where a resource does, and carries no stored secret.
//!
//! One loop: it takes what waits, [`TracesConfig::batch`] spans or those of [`TracesConfig::delay`], and tells it. A
//! collector that is gone or hangs costs spans, which are counted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig};

use super::{Sampling, Tracer, TracesConfig};
use crate::telemetry::Metrics;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be told: {0}; correct the variables OTEL_EXPORTER_OTLP_…, or set OTEL_SDK_DISABLED=true")]
pub struct TracesError(String);

/// The loop; it ends when all tracers are gone, or soon after it is told to.
pub struct Exporter {
    spans: mpsc::Receiver<SpanData>,
    collector: SpanExporter,
    metrics: Metrics,
    batch: usize,
    delay: Duration,
    limit: Duration,
    failing: bool,
}

impl Exporter {
    /// What begins spans, and the loop that tells them. To be called within a runtime.
    ///
    /// # Errors
    /// When the collector's URL is none.
    pub fn build(config: &TracesConfig, metrics: &Metrics) -> Result<(Tracer, Self), TracesError> {
        let mut builder =
            SpanExporter::builder().with_tonic().with_endpoint(&config.endpoint).with_timeout(config.timeout);
        if config.endpoint.starts_with("https:") {
            builder = builder.with_tls_config(trusted(config.ca_file.as_deref())?);
        }
        let mut collector = builder.build().map_err(|error| TracesError(error.to_string()))?;
        let resource = resource(config);
        collector.set_resource(&resource);
        let (sender, spans) = mpsc::channel(config.queue.max(1));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler(config))
            .with_resource(resource)
            .with_span_processor(Queue { sender, metrics: metrics.clone() })
            .build();
        let tracer = Tracer::new(provider, config.propagate);
        let (metrics, batch, delay) = (metrics.clone(), config.batch.max(1), config.delay);
        Ok((tracer, Self { spans, collector, metrics, batch, delay, limit: config.timeout, failing: false }))
    }

    /// Tells spans until `stop`, then what still waits.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut gathered = Vec::with_capacity(self.batch);
        loop {
            tokio::select! {
                () = &mut stop => break,
                first = self.spans.recv() => match first {
                    Some(first) => gathered.push(first),
                    None => return,
                },
            }
            let stopped = tokio::select! {
                () = &mut stop => true,
                _ = timeout(self.delay, self.fill(&mut gathered)) => false,
            };
            self.tell(std::mem::take(&mut gathered)).await;
            if stopped {
                break;
            }
        }
        self.spans.close();
        while let Some(first) = self.spans.recv().await {
            gathered.push(first);
            while gathered.len() < self.batch
                && let Ok(next) = self.spans.try_recv()
            {
                gathered.push(next);
            }
            self.tell(std::mem::take(&mut gathered)).await;
        }
    }

    /// Takes spans until the batch is full.
    async fn fill(&mut self, gathered: &mut Vec<SpanData>) {
        while gathered.len() < self.batch
            && let Some(next) = self.spans.recv().await
        {
            gathered.push(next);
        }
    }

    async fn tell(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        // The exporter repeats what can be repeated, within its own limit; this one is for an exporter that hangs.
        let told = timeout(self.limit.saturating_mul(2), self.collector.export(batch)).await;
        let failed = !matches!(told, Ok(Ok(())));
        if failed {
            self.metrics.spans_dropped("not_taken", count);
        } else {
            self.metrics.spans_exported.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
        if failed != self.failing {
            self.failing = failed;
            if failed {
                tracing::warn!("the collector does not take traces; they are dropped until it does");
            } else {
                tracing::info!("the collector takes traces again");
            }
        }
    }
}

/// Where spans go when they end.
struct Queue {
    sender: mpsc::Sender<SpanData>,
    metrics: Metrics,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.metrics.spans_dropped("queue_full", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Without being told of any certificate, the exporter would trust none.
fn trusted(ca_file: Option<&Path>) -> Result<ClientTlsConfig, TracesError> {
    let Some(path) = ca_file else { return Ok(ClientTlsConfig::new().with_enabled_roots()) };
    let pem = fs::read(path).map_err(|error| TracesError(format!("{} cannot be read ({error})", path.display())))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn sampler(config: &TracesConfig) -> Sampler {
    let root = match config.sampling {
        Sampling::Always => Sampler::AlwaysOn,
        Sampling::Never => Sampler::AlwaysOff,
        Sampling::Share(share) => Sampler::TraceIdRatioBased(share),
    };
    if config.follow_caller { Sampler::ParentBased(Box::new(root)) } else { root }
}

fn resource(config: &TracesConfig) -> Resource {
    let own = [
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "rust"),
    ];
    let given = config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes(own.map(|(name, value)| KeyValue::new(name, value)))
        .with_attributes(given)
        .with_service_name(config.service_name.clone())
        .build()
}
