//! Logs to standard error, as text or JSON, and traces over OTLP. Installed by the binary; libraries and tests leave
//! the subscriber alone.

use std::fmt;
use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as logs};

use crate::options::{LogFormat, TelemetryOptions};

/// Why telemetry could not be installed.
#[derive(Debug)]
pub struct TelemetryError(String);

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TelemetryError {}

/// Keeps telemetry going; flush it before the process ends.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Installs the subscriber of the process, once. Needs a tokio runtime if traces are on.
///
/// # Errors
/// A level that cannot be read, an OTLP endpoint that cannot be used, a subscriber that is installed already.
pub fn install(options: &TelemetryOptions) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&options.level)
        .map_err(|error| TelemetryError(format!("telemetry.level \"{}\": {error}", options.level)))?;
    let provider = match options.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(provider(endpoint)?),
    };
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("rapport")).with_filter(
            // What the exporter itself does must not be exported.
            EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off"),
        )
    });
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = match options.format {
        LogFormat::Text => logs::layer().with_ansi(color).with_writer(std::io::stderr).with_filter(filter).boxed(),
        LogFormat::Json => {
            logs::layer().json().flatten_event(true).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(traces)
        .try_init()
        .map_err(|error| TelemetryError(format!("cannot install the log: {error}")))?;
    Ok(Telemetry { provider })
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError(format!("telemetry.otlp_endpoint \"{endpoint}\": {error}")))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("rapport").build())
        .build())
}

impl Telemetry {
    /// Sends what is left. Blocks for a few seconds at most.
    pub fn flush(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown()
        {
            tracing::debug!(%error, "traces could not be flushed");
        }
    }
}
