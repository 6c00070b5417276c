use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::Code;

use crate::method::Methods;

const CODES: usize = 17;

/// Upper bounds of the latency buckets, in microseconds.
pub const BUCKETS_MICROS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000,
    30_000_000,
];

/// What the stack counts. Plain counters: whoever exports them reads them here.
#[derive(Debug)]
pub struct Metrics {
    methods: Vec<Counters>,
    unknown: AtomicU64,
    refused: AtomicU64,
    panics: AtomicU64,
    shed: AtomicU64,
    stale: AtomicU64,
    calls: OnceLock<Limit>,
    streams: OnceLock<Limit>,
}

#[derive(Debug)]
struct Counters {
    path: &'static str,
    codes: [Durations; CODES],
    in_flight: AtomicI64,
}

/// The calls of one method that ended with one code.
#[derive(Debug)]
struct Durations {
    count: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MICROS.len()],
}

/// The free places, and how many places there are.
type Limit = (Arc<Semaphore>, usize);

/// How much of a limit is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saturation {
    /// What is at work now.
    pub used: usize,
    /// What may be at most.
    pub limit: usize,
}

/// One method's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCounts {
    /// The method's path.
    pub path: &'static str,
    /// Calls that ended, by status code; codes that none ended with are left out.
    pub codes: Vec<(Code, CodeCounts)>,
    /// Calls and streams open now.
    pub in_flight: i64,
}

/// The numbers of one method's calls that ended with one code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeCounts {
    /// Calls that ended.
    pub count: u64,
    /// Time spent in them, in microseconds.
    pub micros: u64,
    /// Calls within each bound of [`BUCKETS_MICROS`], not cumulative; slower ones are in none.
    pub buckets: [u64; BUCKETS_MICROS.len()],
}

impl Metrics {
    pub(crate) fn new(methods: &Methods) -> Metrics {
        let counters = |path| Counters {
            path,
            codes: std::array::from_fn(|_| Durations {
                count: AtomicU64::new(0),
                micros: AtomicU64::new(0),
                buckets: [const { AtomicU64::new(0) }; BUCKETS_MICROS.len()],
            }),
            in_flight: AtomicI64::new(0),
        };
        Metrics {
            methods: methods.all().iter().map(|method| counters(method.path)).collect(),
            unknown: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            calls: OnceLock::new(),
            streams: OnceLock::new(),
        }
    }

    /// The places for unary calls, and how many there are.
    pub(crate) fn watch_calls(&self, places: Arc<Semaphore>, limit: usize) {
        // A stack sets this once.
        let _first = self.calls.set((places, limit));
    }

    /// The places for streams, and how many there are.
    pub(crate) fn watch_streams(&self, places: Arc<Semaphore>, limit: usize) {
        let _first = self.streams.set((places, limit));
    }

    /// How many unary calls are at work, of how many may be.
    pub fn calls(&self) -> Saturation {
        self.calls.get().map(saturation).unwrap_or_default()
    }

    /// How many streams are open, of how many may be.
    pub fn streams(&self) -> Saturation {
        self.streams.get().map(saturation).unwrap_or_default()
    }

    /// The methods that were called since the start.
    pub fn methods(&self) -> Vec<MethodCounts> {
        self.methods
            .iter()
            .map(Counters::read)
            .filter(|counts| !counts.codes.is_empty() || counts.in_flight != 0)
            .collect()
    }

    /// Calls of methods that no service has.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Requests that were not gRPC.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Panics in handlers.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Calls refused because the process had enough to do.
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Replies that were behind the position asked for.
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    /// A call begins.
    pub(crate) fn open(&self, method: Option<usize>) {
        match method.and_then(|index| self.methods.get(index)) {
            Some(counters) => {
                counters.in_flight.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A call that began is over.
    pub(crate) fn close(&self, method: Option<usize>, code: Code, took: Duration) {
        let Some(counters) = method.and_then(|index| self.methods.get(index)) else {
            return;
        };
        counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        let Some(durations) = counters.codes.get(code as i32 as usize) else {
            return;
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = durations.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        durations.micros.fetch_add(micros, Ordering::Relaxed);
        durations.count.fetch_add(1, Ordering::Relaxed);
    }
}

fn saturation((places, limit): &Limit) -> Saturation {
    Saturation { used: limit.saturating_sub(places.available_permits()), limit: *limit }
}

impl Counters {
    fn read(&self) -> MethodCounts {
        let codes = (0i32..)
            .zip(&self.codes)
            .map(|(code, durations)| (Code::from_i32(code), durations.read()))
            .filter(|(_, counts)| counts.count > 0)
            .collect();
        MethodCounts { path: self.path, codes, in_flight: self.in_flight.load(Ordering::Relaxed) }
    }
}

impl Durations {
    fn read(&self) -> CodeCounts {
        CodeCounts {
            count: self.count.load(Ordering::Relaxed),
            micros: self.micros.load(Ordering::Relaxed),
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn calls_are_counted_by_code_and_time() {
        let methods = Methods::of_contract().unwrap();
        let metrics = Metrics::new(&methods);
        metrics.open(Some(0));
        assert_eq!(metrics.methods()[0].in_flight, 1);
        metrics.close(Some(0), Code::NotFound, Duration::from_micros(700));
        let counts = &metrics.methods()[0];
        let [(Code::NotFound, of_code)] = counts.codes.as_slice() else { panic!("{counts:?}") };
        assert_eq!((counts.in_flight, of_code.count, of_code.micros, of_code.buckets[2]), (0, 1, 700, 1));
        metrics.open(None);
        assert_eq!(metrics.unknown(), 1);
    }
}
