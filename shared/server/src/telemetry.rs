//! Logs to standard error, as text or JSON, and traces over OTLP. Installed by the binary; libraries and tests leave
//! the subscriber alone.

use std::fmt;
use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rapport_types::Clock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as logs};

use crate::exported::{Counted, EXPORTED};
use crate::options::{ClientTlsOptions, LogFormat, TelemetryOptions, is_secured};

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
/// A level that cannot be read, an OTLP endpoint or its authorities that cannot be used, a subscriber that is installed
/// already.
pub fn install(options: &TelemetryOptions, clock: &dyn Clock) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&options.level)
        .map_err(|error| TelemetryError(format!("telemetry.level \"{}\": {error}", options.level)))?;
    let provider = match options.otlp_endpoint.is_empty() {
        true => None,
        false => Some(provider(options, clock)?),
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

fn provider(options: &TelemetryOptions, clock: &dyn Clock) -> Result<SdkTracerProvider, TelemetryError> {
    let endpoint = options.otlp_endpoint.as_str();
    let wrong = |error: &dyn fmt::Display| TelemetryError(format!("telemetry.otlp_endpoint \"{endpoint}\": {error}"));
    let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    if is_secured(endpoint) {
        // TLS as everywhere else here, instead of another library's.
        let trusted = ClientTlsOptions { ca: options.otlp_ca.clone(), ..ClientTlsOptions::default() };
        let tls = trusted.load("telemetry.otlp_", clock).map_err(|error| TelemetryError(error.to_string()))?;
        exporter = exporter.with_channel(tls.channel(endpoint).map_err(|error| wrong(&error))?);
    }
    let exporter = exporter.build().map_err(|error| wrong(&error))?;
    Ok(SdkTracerProvider::builder()
        .with_span_processor(Counted::new(exporter, endpoint, &EXPORTED))
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
