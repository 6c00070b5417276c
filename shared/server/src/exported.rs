//! What became of the spans that were to be exported: a collector that is away is told of once, and counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Spans of this process, of which there is one exporter, as there is one subscriber.
pub(crate) static EXPORTED: Exported = Exported::new();

/// How many spans reached the collector and how many did not.
#[derive(Debug)]
pub(crate) struct Exported {
    sent: AtomicU64,
    lost: AtomicU64,
    failing: AtomicBool,
}

/// What the latest export changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It failed, and the one before did not.
    Fails,
    /// It went through, and the one before did not.
    Works,
}

impl Exported {
    const fn new() -> Exported {
        Exported { sent: AtomicU64::new(0), lost: AtomicU64::new(0), failing: AtomicBool::new(false) }
    }

    /// Spans that the collector took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Spans that were given up.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the latest export failed.
    pub(crate) fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn note(&self, spans: usize, done: bool) -> Option<Turn> {
        let count = if done { &self.sent } else { &self.lost };
        count.fetch_add(spans as u64, Ordering::Relaxed);
        let failed = self.failing.swap(!done, Ordering::Relaxed);
        match (failed, done) {
            (false, false) => Some(Turn::Fails),
            (true, true) => Some(Turn::Works),
            _ => None,
        }
    }
}

/// An exporter whose failures are counted, and told when they begin and end.
pub(crate) struct Told<E> {
    exporter: E,
    endpoint: String,
}

impl<E> Told<E> {
    pub(crate) fn new(exporter: E, endpoint: &str) -> Told<E> {
        Told { exporter, endpoint: endpoint.to_owned() }
    }
}

impl<E> fmt::Debug for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let done = self.exporter.export(batch).await;
        match (EXPORTED.note(spans, done.is_ok()), &done) {
            (Some(Turn::Fails), Err(error)) => tracing::warn!(
                %error, spans, endpoint = self.endpoint,
                "traces do not reach the collector of telemetry.otlp_endpoint; spans are lost until they do"
            ),
            (Some(Turn::Works), _) => {
                tracing::info!(lost = EXPORTED.lost(), endpoint = self.endpoint, "traces reach the collector again");
            }
            _ => {}
        }
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_told_of_when_that_begins_and_when_it_ends() {
        let exported = Exported::new();
        let turns = [(3, true), (2, false), (5, false), (1, true), (4, true), (1, false)];
        let turns = turns.map(|(spans, done)| exported.note(spans, done));
        assert_eq!(turns, [None, Some(Turn::Fails), None, Some(Turn::Works), None, Some(Turn::Fails)]);
        assert_eq!((exported.sent(), exported.lost(), exported.failing()), (8, 8, true));
    }
}
