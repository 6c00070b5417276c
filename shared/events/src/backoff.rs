use std::time::Duration;

/// A capped exponential pause with full jitter over its upper half, so that replicas do not retry in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, cap: Duration) -> Backoff {
        Backoff { first, cap, next: first }
    }

    /// After something succeeded the next failure starts at the shortest pause again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = jitter(self.next);
        self.next = (self.next * 2).min(self.cap);
        pause
    }
}

/// Somewhere between half of `pause` and `pause`.
pub(crate) fn jitter(pause: Duration) -> Duration {
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_start_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(80));
        for top in [10, 20, 40, 80, 80] {
            let pause = backoff.pause();
            assert!(pause >= Duration::from_millis(top) / 2 && pause <= Duration::from_millis(top), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(10));
    }
}
