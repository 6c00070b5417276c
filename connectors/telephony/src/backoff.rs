//! How long to wait before something is tried again.

use std::time::Duration;

/// The pause after so many failures: doubled each time up to `most`, and somewhere in the upper half of that, so that
/// connectors do not retry in step.
pub(crate) fn pause(failures: u32, first: Duration, most: Duration) -> Duration {
    let whole = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_most() {
        let [first, most] = [10, 80].map(Duration::from_millis);
        for (failures, top) in [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (5, 80), (u32::MAX, 80)] {
            let pause = pause(failures, first, most);
            assert!(pause >= Duration::from_millis(top) / 2 && pause <= Duration::from_millis(top), "{pause:?}");
        }
    }
}
