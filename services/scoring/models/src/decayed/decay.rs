//! Where a moment lies in its era, and how much a weight has grown there.

use super::exp2;
use super::quantity::Weight;

/// Half-lives in an era.
pub(super) const ERA_BITS: u32 = 32;

/// Fraction bits of a grown weight, below its millionth.
pub(super) const GROWN_BITS: u32 = 36;

/// The age at which an observation counts half, in microseconds. Positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfLife(i64);

impl HalfLife {
    /// A half-life of `days` days of 24 hours, at least one.
    #[must_use]
    pub const fn days(days: u32) -> HalfLife {
        let days = if days == 0 { 1 } else { days };
        HalfLife(days as i64 * 86_400_000_000)
    }

    /// A half-life in microseconds, at least one.
    #[must_use]
    pub const fn micros(micros: i64) -> HalfLife {
        HalfLife(if micros < 1 { 1 } else { micros })
    }

    /// In microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The era that `at` (microseconds since 1970) lies in: negative before 1970.
    #[must_use]
    pub const fn era(self, at: i64) -> i64 {
        at.div_euclid(self.0).div_euclid(ERA_BITS as i64)
    }

    /// `micros * 2^((at - start of its era) / half-life)` in units of 2^-36, rounded to the nearest: below 2^92 for any
    /// weight, and never less than `micros * 2^36`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn grow(self, micros: u32, at: i64) -> i128 {
        let whole = at.div_euclid(self.0).rem_euclid(i64::from(ERA_BITS)) as u32;
        let fraction = (((at.rem_euclid(self.0) as u128) << 64) / self.0 as u128) as u64;
        // 25 bits times 63 bits, shifted by up to 31: 119 bits.
        let grown = (u128::from(micros) * u128::from(exp2::exp2(fraction))) << whole;
        let excess = exp2::FRACTION_BITS - GROWN_BITS;
        ((grown + (1 << (excess - 1))) >> excess) as i128
    }

    /// A weight grown to `at` within its era.
    pub(super) fn grow_weight(self, weight: Weight, at: i64) -> i128 {
        self.grow(weight.micros(), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn a_weight_doubles_with_every_half_life_and_starts_anew_with_every_era() {
        let half_life = HalfLife::days(180);
        for age in 0..32 {
            assert_eq!(half_life.grow(1_000_000, age * 180 * DAY), 1_000_000_i128 << (GROWN_BITS + age as u32));
            assert_eq!(half_life.era(age * 180 * DAY), 0);
        }
        assert_eq!(half_life.era(32 * 180 * DAY), 1);
        assert_eq!(half_life.grow(1_000_000, 32 * 180 * DAY), 1_000_000_i128 << GROWN_BITS);
        assert_eq!(half_life.era(-1), -1);
    }

    #[test]
    fn no_moment_and_no_weight_overflows() {
        for half_life in [HalfLife::micros(1), HalfLife::days(180), HalfLife::micros(i64::MAX)] {
            for at in [i64::MIN, -1, 0, 1, i64::MAX] {
                let grown = half_life.grow_weight(Weight::MAX, at);
                assert!((16_000_000 << GROWN_BITS..1 << 92).contains(&grown), "{grown}");
            }
        }
    }
}
