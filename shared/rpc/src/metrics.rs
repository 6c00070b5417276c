use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

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
}

#[derive(Debug)]
struct Counters {
    path: &'static str,
    codes: [AtomicU64; CODES],
    buckets: [AtomicU64; BUCKETS_MICROS.len()],
    micros: AtomicU64,
    in_flight: AtomicI64,
}

/// One method's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCounts {
    /// The method's path.
    pub path: &'static str,
    /// Calls that ended, by status code.
    pub codes: Vec<(Code, u64)>,
    /// Calls that ended within each bound of [`BUCKETS_MICROS`], not cumulative; slower ones are in none.
    pub buckets: [u64; BUCKETS_MICROS.len()],
    /// Time spent in all calls that ended, in microseconds.
    pub micros: u64,
    /// Calls and streams open now.
    pub in_flight: i64,
}

impl Metrics {
    pub(crate) fn new(methods: &Methods) -> Metrics {
        let counters = |path| Counters {
            path,
            codes: [const { AtomicU64::new(0) }; CODES],
            buckets: [const { AtomicU64::new(0) }; BUCKETS_MICROS.len()],
            micros: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
        };
        Metrics {
            methods: methods.all().iter().map(|method| counters(method.path)).collect(),
            unknown: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            stale: AtomicU64::new(0),
        }
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
        if let Some(count) = counters.codes.get(code as i32 as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        counters.micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = counters.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counters {
    fn read(&self) -> MethodCounts {
        let codes = (0i32..)
            .zip(&self.codes)
            .map(|(code, count)| (Code::from_i32(code), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        MethodCounts {
            path: self.path,
            codes,
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            micros: self.micros.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
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
        assert_eq!((counts.in_flight, counts.codes.as_slice()), (0, [(Code::NotFound, 1)].as_slice()));
        assert_eq!(counts.buckets[2], 1);
        metrics.open(None);
        assert_eq!(metrics.unknown(), 1);
    }
}
