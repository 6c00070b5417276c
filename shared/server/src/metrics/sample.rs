use std::path::Path;
use std::time::{Duration, Instant};

use rapport_events::Progress;
use rapport_rpc::{BUCKETS_MICROS, MethodCounts, Metrics};
use rapport_store::{Backlog, Pool, Stats, Store};
use rapport_types::time::Timestamp;
use tonic::Code;

use super::table::*;
use super::text::Text;
use crate::exported::EXPORTED;
use crate::guard::Guard;
use crate::system;

/// A database that does not answer a scrape within this time is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a scrape shows.
pub(crate) struct Sample<'a> {
    pub(crate) calls: &'a Metrics,
    pub(crate) stores: Vec<StoreSample>,
    pub(crate) consumers: Vec<(&'static str, Progress)>,
    /// The folder whose file system is told of.
    pub(crate) data: &'a Path,
    pub(crate) started: Instant,
    pub(crate) guard: &'a Guard,
}

/// One hosted service's database.
pub(crate) struct StoreSample {
    service: &'static str,
    stats: Stats,
    pools: [Pool; 2],
    queue_limit: usize,
    /// `None` while the database does not answer.
    backlog: Option<Backlog>,
    now: Timestamp,
}

impl StoreSample {
    pub(crate) async fn of(store: &Store) -> StoreSample {
        let backlog = tokio::time::timeout(PATIENCE, store.backlog()).await;
        StoreSample {
            service: store.service(),
            stats: store.stats(),
            pools: store.pools(),
            queue_limit: store.options().queue_limit,
            backlog: backlog.ok().and_then(Result::ok),
            now: store.world().now(),
        }
    }

    fn outbox_age(&self) -> Option<Duration> {
        let backlog = self.backlog.as_ref()?;
        Some(backlog.unnumbered_since.map_or(Duration::ZERO, |since| self.now.since(since)))
    }
}

type OfStore = fn(&StoreSample) -> Option<f64>;
type OfConsumer<'a> = &'a dyn Fn(&'static str, &Progress) -> f64;

impl Sample<'_> {
    /// Everything as Prometheus text.
    pub(crate) fn text(&self) -> String {
        let mut text = Text::new();
        self.calls(&mut text);
        self.stores(&mut text);
        self.consumers(&mut text);
        traces(&mut text);
        self.guard(&mut text);
        self.process(&mut text);
        text.finish()
    }

    fn calls(&self, text: &mut Text) {
        let methods = self.calls.methods();
        durations(text, &methods);
        text.head(&OPEN);
        for counts in &methods {
            text.line(&OPEN, &[short(counts.path)], counts.in_flight);
        }
        for (used, limit, saturation) in
            [(ACTIVE, ACTIVE_LIMIT, self.calls.calls()), (STREAMS, STREAMS_LIMIT, self.calls.streams())]
        {
            text.one(&used, saturation.used);
            text.one(&limit, saturation.limit);
        }
        for (metric, value) in [
            (SHED, self.calls.shed()),
            (UNKNOWN, self.calls.unknown()),
            (REFUSED, self.calls.refused()),
            (PANICS, self.calls.panics()),
            (STALE, self.calls.stale()),
        ] {
            text.one(&metric, value);
        }
    }

    fn stores(&self, text: &mut Text) {
        self.each_store(text, &UP, |store| Some(f64::from(u8::from(store.backlog.is_some()))));
        let pools = || {
            self.stores
                .iter()
                .flat_map(|store| store.pools.map(|pool| (format!("{}.{}", store.service, pool.name), pool)))
        };
        text.head(&CONNECTIONS);
        for (name, pool) in pools() {
            text.line(&CONNECTIONS, &[&name, "idle"], pool.idle);
            text.line(&CONNECTIONS, &[&name, "used"], pool.used);
        }
        text.head(&CONNECTIONS_MAX);
        for (name, pool) in pools() {
            text.line(&CONNECTIONS_MAX, &[&name], pool.max);
        }
        let values: [(Metric, OfStore); 7] = [
            (WAITING, |store| Some(store.stats.waiting as f64)),
            (OPEN_WRITES, |store| Some(store.stats.open as f64)),
            (WRITE_LIMIT, |store| Some(store.queue_limit as f64)),
            (BATCHES, |store| Some(store.stats.batches as f64)),
            (WRITES, |store| Some(store.stats.items as f64)),
            (REDONE, |store| Some(store.stats.retries as f64)),
            (KEYS, |store| Some(store.stats.keys as f64)),
        ];
        for (metric, value) in values {
            self.each_store(text, &metric, value);
        }
        text.head(&KEYS_ASKED);
        for store in &self.stores {
            text.line(&KEYS_ASKED, &[store.service, "hit"], store.stats.key_hits);
            text.line(&KEYS_ASKED, &[store.service, "miss"], store.stats.key_misses);
        }
        let values: [(Metric, OfStore); 4] = [
            (FEED, |store| Some(store.stats.position as f64)),
            (FEED_OLDEST, |store| store.backlog.as_ref().map(|backlog| backlog.oldest as f64)),
            (OUTBOX, |store| store.backlog.as_ref().map(|backlog| backlog.unnumbered as f64)),
            (OUTBOX_AGE, |store| store.outbox_age().map(|age| age.as_secs_f64())),
        ];
        for (metric, value) in values {
            self.each_store(text, &metric, value);
        }
    }

    fn each_store(&self, text: &mut Text, metric: &Metric, value: OfStore) {
        text.head(metric);
        for store in &self.stores {
            if let Some(value) = value(store) {
                text.line(metric, &[store.service], value);
            }
        }
    }

    fn consumers(&self, text: &mut Text) {
        let now = |service: &str| self.stores.iter().find(|store| store.service == service).map(|store| store.now);
        // What the database says holds for all replicas; what this process last knew stands in while it is away.
        let parked = |service: &str, progress: &Progress| {
            let store = self.stores.iter().find(|store| store.service == service);
            match store.and_then(|store| store.backlog.as_ref()) {
                Some(backlog) => backlog
                    .parked
                    .iter()
                    .find(|(consumer, source, _)| (consumer, source) == (&progress.consumer, &progress.source))
                    .map_or(0.0, |(_, _, count)| *count as f64),
                None => progress.parked as f64,
            }
        };
        let values: [(Metric, OfConsumer<'_>); 7] = [
            (APPLIED, &|_, progress| progress.position as f64),
            (BEHIND, &|_, progress| progress.behind() as f64),
            (LAG, &|service, progress| now(service).map_or(0.0, |now| progress.lag(now).as_secs_f64())),
            (PARKED, &parked),
            (RETRIES, &|_, progress| progress.retries as f64),
            (FENCED, &|_, progress| progress.fenced as f64),
            (CONNECTED, &|_, progress| f64::from(u8::from(progress.connected))),
        ];
        for (metric, value) in values {
            text.head(&metric);
            for (service, progress) in &self.consumers {
                text.line(&metric, &[service, &progress.consumer, &progress.source], value(service, progress));
            }
        }
    }

    fn guard(&self, text: &mut Text) {
        let own = self.guard.tls.as_ref().map(|tls| ("server", tls.validity()));
        let shown = self.guard.peer_tls.as_ref().and_then(|tls| Some(("peers", tls.validity()?)));
        let certificates: Vec<_> = own.into_iter().chain(shown).collect();
        if !certificates.is_empty() {
            text.head(&NOT_AFTER);
            for (name, validity) in certificates {
                text.line(&NOT_AFTER, &[name], validity.not_after.as_micros() / 1_000_000);
            }
        }
        if let Some(tls) = &self.guard.tls {
            let ended = tls.handshakes();
            text.head(&HANDSHAKES);
            for (result, count) in
                [("done", ended.done), ("failed", ended.failed), ("late", ended.late), ("plain", ended.plain)]
            {
                text.line(&HANDSHAKES, &[result], count);
            }
        }
        let reloaded = self.guard.reload.reloaded();
        if !reloaded.is_empty() {
            text.head(&RELOADS);
            for one in &reloaded {
                text.line(&RELOADS, &[one.name, "done"], one.applied);
                text.line(&RELOADS, &[one.name, "failed"], one.failed);
            }
            text.head(&RELOAD_FAILING);
            for one in &reloaded {
                text.line(&RELOAD_FAILING, &[one.name], u8::from(one.failing));
            }
        }
    }

    fn process(&self, text: &mut Text) {
        if let Some(disk) = system::disk(self.data) {
            text.head(&DISK_USAGE);
            for (state, bytes) in [("free", disk.free), ("reserved", disk.reserved), ("used", disk.used())] {
                text.line(&DISK_USAGE, &[state], bytes);
            }
            text.one(&DISK_LIMIT, disk.size);
        }
        if let Some(process) = system::process() {
            text.one(&CPU, process.cpu.as_secs_f64());
            text.one(&MEMORY, process.memory);
            text.one(&THREADS, process.threads);
            text.one(&FILES, process.files);
        }
        if let Some(limit) = system::file_limit() {
            text.one(&FILES_LIMIT, limit);
        }
        text.one(&UPTIME, self.started.elapsed().as_secs_f64());
    }
}

fn traces(text: &mut Text) {
    text.head(&SPANS);
    text.line(&SPANS, &["done"], EXPORTED.sent());
    text.line(&SPANS, &["failed"], EXPORTED.lost());
    text.line(&SPANS, &["dropped"], EXPORTED.dropped());
    text.one(&SPANS_FAILING, u8::from(EXPORTED.failing()));
}

fn durations(text: &mut Text, methods: &[MethodCounts]) {
    text.head(&CALLS);
    for counts in methods {
        for (code, durations) in &counts.codes {
            let code = code_name(*code);
            let labels = ["grpc", short(counts.path), code.as_str()];
            let mut below = 0;
            for (bound, count) in BUCKETS_MICROS.iter().zip(&durations.buckets) {
                below += count;
                let bound = (*bound as f64 / 1e6).to_string();
                text.part(&CALLS, "_bucket", &labels, Some(&bound), below);
            }
            // Counted after its bucket, so a scrape between the two would else show more below a bound than there are.
            let all = durations.count.max(below);
            text.part(&CALLS, "_bucket", &labels, Some("+Inf"), all);
            text.part(&CALLS, "_sum", &labels, None, durations.micros as f64 / 1e6);
            text.part(&CALLS, "_count", &labels, None, all);
        }
    }
}

/// `package.Service/Method`, as the conventions have it.
fn short(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn code_name(code: Code) -> String {
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
            (Code::Ok, "OK"),
            (Code::NotFound, "NOT_FOUND"),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (Code::Internal, "INTERNAL"),
        ] {
            assert_eq!(code_name(code), name);
        }
    }
}
