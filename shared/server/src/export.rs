use std::fmt::Write;

use rapport_events::Cursors;
use rapport_rpc::{BUCKETS_MICROS, Metrics};
use rapport_store::Stats;

/// A metric's name, type and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricText {
    /// The name as Prometheus sees it.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it counts.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: &'static str, help: &'static str) -> MetricText {
    MetricText { name, kind, help }
}

const CALLS: MetricText = metric("rapport_calls_total", "counter", "Calls that ended, by method and gRPC code.");
const SECONDS: MetricText = metric("rapport_call_seconds", "histogram", "How long calls took, by method.");
const OPEN: MetricText = metric("rapport_calls_open", "gauge", "Calls and streams open now, by method.");
const UNKNOWN: MetricText = metric("rapport_unknown_calls_total", "counter", "Calls of methods that do not exist.");
const REFUSED: MetricText = metric("rapport_refused_requests_total", "counter", "Requests that were not gRPC.");
const SHED: MetricText = metric("rapport_shed_calls_total", "counter", "Calls refused because of overload.");
const PANICS: MetricText = metric("rapport_panics_total", "counter", "Panics in handlers: each is a bug.");
const STALE: MetricText =
    metric("rapport_stale_replies_total", "counter", "Replies that were behind the position asked for.");
const WAITING: MetricText = metric("rapport_writes_waiting", "gauge", "Writes that wait for a batch.");
const OPEN_WRITES: MetricText = metric("rapport_writes_open", "gauge", "Writes that are not answered yet.");
const BATCHES: MetricText = metric("rapport_write_batches_total", "counter", "Batches that were committed or tried.");
const WRITES: MetricText = metric("rapport_batched_writes_total", "counter", "Writes in those batches.");
const REDONE: MetricText =
    metric("rapport_write_retries_total", "counter", "Batches that failed and were made again, whole or in parts.");
const FEED: MetricText = metric("rapport_feed_position", "gauge", "The newest event of a hosted service.");
const APPLIED: MetricText = metric("rapport_consumer_position", "gauge", "The newest event a consumer has applied.");
const BACKLOG: MetricText =
    metric("rapport_consumer_backlog", "gauge", "Events a consumer was given and has not applied yet.");
const PARKED: MetricText =
    metric("rapport_consumer_parked", "gauge", "Events put aside because they cannot be applied: look at them.");
const RETRIES: MetricText = metric("rapport_consumer_retries_total", "counter", "Batches of events tried again.");
const CONNECTED: MetricText =
    metric("rapport_consumer_connected", "gauge", "1 while the stream from the source is open.");

/// Every metric of /metrics, in the order they are written.
pub const METRICS: &[MetricText] = &[
    CALLS,
    SECONDS,
    OPEN,
    UNKNOWN,
    REFUSED,
    SHED,
    PANICS,
    STALE,
    WAITING,
    OPEN_WRITES,
    BATCHES,
    WRITES,
    REDONE,
    FEED,
    APPLIED,
    BACKLOG,
    PARKED,
    RETRIES,
    CONNECTED,
];

type StoreValue = fn(&Stats) -> i64;

/// Everything as Prometheus text.
pub(crate) fn prometheus(metrics: &Metrics, services: &[(&'static str, Stats, Cursors)]) -> String {
    let mut text = Text { out: String::with_capacity(8 << 10) };
    let methods = metrics.methods();
    text.head(CALLS);
    for counts in &methods {
        for (code, count) in &counts.codes {
            let labels = format!("method=\"{}\",code=\"{}\"", short(counts.path), code_name(*code));
            text.line(CALLS.name, &labels, count);
        }
    }
    text.head(SECONDS);
    for counts in &methods {
        let method = short(counts.path);
        let mut below = 0;
        for (bound, count) in BUCKETS_MICROS.iter().zip(&counts.buckets) {
            below += count;
            let bound = *bound as f64 / 1e6;
            text.line("rapport_call_seconds_bucket", &format!("method=\"{method}\",le=\"{bound}\""), below);
        }
        let all: u64 = counts.codes.iter().map(|(_, count)| count).sum();
        text.line("rapport_call_seconds_bucket", &format!("method=\"{method}\",le=\"+Inf\""), all);
        text.line("rapport_call_seconds_sum", &format!("method=\"{method}\""), counts.micros as f64 / 1e6);
        text.line("rapport_call_seconds_count", &format!("method=\"{method}\""), all);
    }
    text.head(OPEN);
    for counts in &methods {
        text.line(OPEN.name, &format!("method=\"{}\"", short(counts.path)), counts.in_flight);
    }
    for (metric, value) in [
        (UNKNOWN, metrics.unknown()),
        (REFUSED, metrics.refused()),
        (SHED, metrics.shed()),
        (PANICS, metrics.panics()),
        (STALE, metrics.stale()),
    ] {
        text.head(metric);
        text.line(metric.name, "", value);
    }
    let stores: [(MetricText, StoreValue); 6] = [
        (WAITING, |stats| stats.waiting as i64),
        (OPEN_WRITES, |stats| stats.open as i64),
        (BATCHES, |stats| stats.batches as i64),
        (WRITES, |stats| stats.items as i64),
        (REDONE, |stats| stats.retries as i64),
        (FEED, |stats| stats.position),
    ];
    for (metric, value) in stores {
        text.head(metric);
        for (service, stats, _) in services {
            text.line(metric.name, &format!("service=\"{service}\""), value(stats));
        }
    }
    let consumers: Vec<_> = services
        .iter()
        .flat_map(|(service, _, cursors)| cursors.progress().into_iter().map(move |progress| (*service, progress)))
        .collect();
    let mut each = |metric: MetricText, value: &dyn Fn(&rapport_events::Progress) -> i64| {
        text.head(metric);
        for (service, progress) in &consumers {
            let labels =
                format!("service=\"{service}\",consumer=\"{}\",source=\"{}\"", progress.consumer, progress.source);
            text.line(metric.name, &labels, value(progress));
        }
    };
    each(APPLIED, &|progress| progress.position);
    each(BACKLOG, &|progress| (progress.delivered - progress.position).max(0));
    each(PARKED, &|progress| progress.parked as i64);
    each(RETRIES, &|progress| progress.retries as i64);
    each(CONNECTED, &|progress| i64::from(progress.connected));
    text.out
}

struct Text {
    out: String,
}

impl Text {
    // Writing to a String does not fail.
    fn head(&mut self, metric: MetricText) {
        let _ok = writeln!(self.out, "# HELP {} {}\n# TYPE {} {}", metric.name, metric.help, metric.name, metric.kind);
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ok = if labels.is_empty() {
            writeln!(self.out, "{name} {value}")
        } else {
            writeln!(self.out, "{name}{{{labels}}} {value}")
        };
    }
}

fn short(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn code_name(code: tonic::Code) -> String {
    // OK, NOT_FOUND: the names of the standard, from the variants' own.
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() && name != "O" {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_standard_names() {
        for (code, name) in [
            (tonic::Code::Ok, "OK"),
            (tonic::Code::NotFound, "NOT_FOUND"),
            (tonic::Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (tonic::Code::Internal, "INTERNAL"),
        ] {
            assert_eq!(code_name(code), name);
        }
    }
}
