//! What became of the spans that were to be exported: a collector that is away is told of once, and what is lost counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// Spans of this process, of which there is one exporter, as there is one subscriber.
pub(crate) static EXPORTED: Exported = Exported::new();

/// Spans that wait for the collector at most.
const QUEUE: usize = 2_048;

/// How many spans reached the collector and how many did not.
#[derive(Debug)]
pub(crate) struct Exported {
    waiting: AtomicUsize,
    sent: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
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
        Exported {
            waiting: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// Spans that the collector took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Spans that were given up because an export failed.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Spans that were given up because too many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether the latest export failed.
    pub(crate) fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether there is room for one more span to wait.
    fn admits(&self) -> bool {
        let room = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        let admitted = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if !admitted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// The latest export, of spans that were admitted.
    fn note(&self, spans: usize, done: bool) -> Option<Turn> {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
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

/// Gathers spans and exports them in batches. Counts those there is no room for, which the one inside would drop unsaid:
/// it never has to, as it holds as many as may wait.
#[derive(Debug)]
pub(crate) struct Counted {
    inside: BatchSpanProcessor,
    counts: &'static Exported,
}

impl Counted {
    pub(crate) fn new(exporter: impl SpanExporter + 'static, endpoint: &str, counts: &'static Exported) -> Counted {
        let exporter = Told { exporter, endpoint: endpoint.to_owned(), counts };
        let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        Counted { inside: BatchSpanProcessor::builder(exporter).with_batch_config(config).build(), counts }
    }
}

impl SpanProcessor for Counted {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inside.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.counts.admits() {
            self.inside.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inside.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inside.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inside.set_resource(resource);
    }
}

/// An exporter whose failures are counted, and told when they begin and end.
struct Told<E> {
    exporter: E,
    endpoint: String,
    counts: &'static Exported,
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
        match (self.counts.note(spans, done.is_ok()), &done) {
            (Some(Turn::Fails), Err(error)) => tracing::warn!(
                %error, spans, endpoint = self.endpoint,
                "traces do not reach the collector of telemetry.otlp_endpoint; spans are lost until they do"
            ),
            (Some(Turn::Works), _) => {
                tracing::info!(lost = self.counts.lost(), endpoint = self.endpoint, "traces reach the collector again");
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
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// A collector that takes its time: it says that it was asked, and answers when it is let.
    #[derive(Debug)]
    struct Slow {
        asked: Sender<usize>,
        answers: Mutex<Receiver<()>>,
    }

    impl SpanExporter for Slow {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.asked.send(batch.len()).unwrap();
            self.answers.lock().unwrap().recv().unwrap();
            Ok(())
        }
    }

    #[test]
    fn spans_that_a_slow_collector_leaves_no_room_for_are_counted() {
        static COUNTS: Exported = Exported::new();
        let ((asked, batches), (answer, answers)) = (channel(), channel());
        let slow = Slow { asked, answers: Mutex::new(answers) };
        let provider = SdkTracerProvider::builder().with_span_processor(Counted::new(slow, "slow", &COUNTS)).build();
        let tracer = provider.tracer("test");
        let over = 7;
        for _ in 0..QUEUE + over {
            tracer.start("span").end();
        }
        assert_eq!((COUNTS.sent(), COUNTS.dropped()), (0, over as u64));
        let mut taken = 0;
        while taken < QUEUE {
            taken += batches.recv().unwrap();
            answer.send(()).unwrap();
        }
        provider.shutdown().unwrap();
        assert_eq!((COUNTS.sent(), COUNTS.lost(), COUNTS.dropped()), (QUEUE as u64, 0, over as u64));
        assert_eq!(COUNTS.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_collector_that_is_away_is_told_of_when_that_begins_and_when_it_ends() {
        let exported = Exported::new();
        let turns = [(3, true), (2, false), (5, false), (1, true), (4, true), (1, false)];
        let turns = turns.map(|(spans, done)| {
            assert!((0..spans).all(|_| exported.admits()));
            exported.note(spans, done)
        });
        assert_eq!(turns, [None, Some(Turn::Fails), None, Some(Turn::Works), None, Some(Turn::Fails)]);
        assert_eq!((exported.sent(), exported.lost(), exported.failing()), (8, 8, true));
    }
}
