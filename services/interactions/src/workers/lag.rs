use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked.
const TICK: Duration = Duration::from_millis(20);
/// Of what was seen this part is forgotten with each look: half of it within a tenth of a second.
const FORGET: u64 = 8;

/// How late this process comes to what is to be done, as it was seen lately: where others use the processors, or there is
/// more to do than they can, timers fire late, and so much later is an answer read and sent. Clones tell the same.
#[derive(Clone, Default)]
pub(crate) struct Lag(Arc<AtomicU64>);

impl Lag {
    /// Looks, as long as it is polled.
    pub(crate) async fn watch(&self) {
        loop {
            let due = Instant::now() + TICK;
            tokio::time::sleep_until(due.into()).await;
            self.note(due.elapsed());
        }
    }

    /// It rises at once and falls slowly.
    pub(crate) fn note(&self, late: Duration) {
        let before = self.0.load(Ordering::Relaxed);
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.0.store(late.max(before - before / FORGET), Ordering::Relaxed);
    }

    /// How late it is.
    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let lag = Lag::default();
        assert_eq!(lag.get(), Duration::ZERO);
        lag.note(Duration::from_millis(80));
        lag.note(Duration::from_millis(1));
        assert_eq!(lag.clone().get(), Duration::from_millis(70));
        for _ in 0..50 {
            lag.note(Duration::from_millis(1));
        }
        assert_eq!(lag.get(), Duration::from_millis(1));
    }
}
