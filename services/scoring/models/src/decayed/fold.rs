//! The exact sums and the transform that reads a value off them.

use std::collections::BTreeMap;
use std::fmt;

use super::decay::{ERA_BITS, GROWN_BITS, HalfLife};
use super::division;
use super::quantity::{MICROS, Share, Weight};

/// Points of a full score, in millionths.
pub(super) const FULL: u32 = 100 * MICROS;

/// No sum of an era may pass this: 2^32 contributions of weight 1 at the end of an era. It keeps every divisor of a
/// read below 2^121.
const SUM_BOUND: i128 = 1 << 120;

/// The least prior weight. A prior of nothing would make the value of nothing 0/0.
const LEAST_PRIOR: u32 = MICROS / 100;

/// Something that was observed once and counts less and less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// How much it counts when fresh.
    pub weight: Weight,
    /// What it shows, from nothing (0) to all one could wish (1).
    pub share: Share,
}

/// What one observation adds to the sums of its era. Exact from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The era it belongs to.
    pub era: i64,
    /// Grown weight times the distance of its share from the prior.
    pub pull: i128,
    /// Grown weight.
    pub weight: i128,
}

/// Whether a term is put in or taken out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Put in.
    Plus,
    /// Taken out: the exact inverse.
    Minus,
}

impl Sign {
    /// 1 or -1.
    #[must_use]
    pub const fn factor(self) -> i64 {
        match self {
            Sign::Plus => 1,
            Sign::Minus => -1,
        }
    }
}

/// The sums of one era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sum of pulls.
    pub pull: i128,
    /// Sum of grown weights.
    pub weight: i128,
    /// How many observations.
    pub count: i64,
}

impl Sum {
    /// Nothing observed (any more).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Sum::default()
    }

    /// # Errors
    /// [`Overflow`] when a sum would pass its bound; the sum is then unchanged.
    pub fn add(&mut self, other: &Sum) -> Result<(), Overflow> {
        let bounded = |one: i128, two: i128| {
            one.checked_add(two).filter(|sum| (-SUM_BOUND..=SUM_BOUND).contains(sum)).ok_or(Overflow)
        };
        let sum = Sum {
            pull: bounded(self.pull, other.pull)?,
            weight: bounded(self.weight, other.weight)?,
            count: self.count.checked_add(other.count).ok_or(Overflow)?,
        };
        *self = sum;
        Ok(())
    }
}

/// More observations than the sums can hold: 2^32 of weight 1 within one era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("more observations in one era than its sums can hold")
    }
}

impl std::error::Error for Overflow {}

/// Sums per era. Equal sets of observations give equal sums, in whatever order and grouping they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    eras: BTreeMap<i64, Sum>,
}

impl Sums {
    /// Puts a term in, or takes it out.
    ///
    /// # Errors
    /// [`Overflow`]; the sums are then unchanged.
    pub fn add(&mut self, term: Term, sign: Sign) -> Result<(), Overflow> {
        let factor = sign.factor();
        self.add_era(
            term.era,
            &Sum { pull: term.pull * i128::from(factor), weight: term.weight * i128::from(factor), count: factor },
        )
    }

    /// Adds what was summed elsewhere for one era.
    ///
    /// # Errors
    /// [`Overflow`]; the sums are then unchanged.
    pub fn add_era(&mut self, era: i64, sum: &Sum) -> Result<(), Overflow> {
        let mut changed = self.eras.get(&era).copied().unwrap_or_default();
        changed.add(sum)?;
        // An era without anything is no era, so that taking out restores equality.
        if changed.is_empty() {
            self.eras.remove(&era);
        } else {
            self.eras.insert(era, changed);
        }
        Ok(())
    }

    /// Adds what was summed elsewhere.
    ///
    /// # Errors
    /// [`Overflow`]; eras before the one that overflows are then added already.
    pub fn merge(&mut self, other: &Sums) -> Result<(), Overflow> {
        other.eras.iter().try_for_each(|(era, sum)| self.add_era(*era, sum))
    }

    /// The sums of each era, oldest first.
    pub fn eras(&self) -> impl Iterator<Item = (i64, &Sum)> {
        self.eras.iter().map(|(era, sum)| (*era, sum))
    }
}

/// The value of sums at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// From 0 to 100 points, in millionths, rounded down.
    pub value_micros: i64,
    /// The decayed weight of all observations, in millionths, rounded to the nearest.
    pub weight_micros: i64,
    /// How many observations, whatever their age.
    pub count: i64,
}

/// The rule of a decayed mean: how fast observations fade, and what is assumed without any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecayedMean {
    half_life: HalfLife,
    prior: Share,
    prior_weight: Weight,
}

impl DecayedMean {
    /// A mean with `half_life` that assumes `prior` with the weight `prior_weight` (at least 0.01, so that some value
    /// exists without observations and rounding cannot carry it out of its bounds).
    #[must_use]
    pub const fn new(half_life: HalfLife, prior: Share, prior_weight: Weight) -> DecayedMean {
        let least = Weight::from_micros(LEAST_PRIOR);
        let prior_weight = if prior_weight.micros() < least.micros() { least } else { prior_weight };
        DecayedMean { half_life, prior, prior_weight }
    }

    /// The age at which an observation counts half.
    #[must_use]
    pub const fn half_life(&self) -> HalfLife {
        self.half_life
    }

    /// The share assumed without observations.
    #[must_use]
    pub const fn prior(&self) -> Share {
        self.prior
    }

    /// How much the prior counts.
    #[must_use]
    pub const fn prior_weight(&self) -> Weight {
        self.prior_weight
    }

    /// What an observation adds to the sums.
    #[must_use]
    pub fn term(&self, observation: &Observation) -> Term {
        let weight = self.half_life.grow_weight(observation.weight, observation.at);
        let distance = i128::from(observation.share.micros()) - i128::from(self.prior.micros());
        Term {
            era: self.half_life.era(observation.at),
            pull: divide_to_nearest(weight * distance, i128::from(MICROS)),
            weight,
        }
    }

    /// What the prior alone is worth, in millionths of a point.
    #[must_use]
    pub fn prior_effect(&self) -> i64 {
        i64::from(self.prior.micros()) * i64::from(FULL / MICROS)
    }

    /// The value at `as_of` (microseconds since 1970) of sums that hold nothing later than it. Whole eras after
    /// `as_of` do not count.
    #[must_use]
    pub fn read(&self, sums: &Sums, as_of: i64) -> Reading {
        let now = self.half_life.era(as_of);
        let (mut pull, mut weight, mut count) = (0_i128, 0_i128, 0_i64);
        for (era, sum) in sums.eras().filter(|(era, _)| *era <= now) {
            pull += shift(sum.pull, now - era);
            weight += shift(sum.weight, now - era);
            count += sum.count;
        }
        // No set of observations has a negative weight or a pull beyond it; sums from elsewhere might.
        let divisor = self.divisor(weight.max(0), as_of);
        let (moved, _) = division::scale(pull.clamp(-divisor, divisor), FULL, divisor);
        Reading { value_micros: self.prior_effect() + moved, weight_micros: self.weight_micros(weight, as_of), count }
    }

    /// What every pull is divided by: the grown weight of prior and observations together.
    pub(super) fn divisor(&self, weight: i128, as_of: i64) -> i128 {
        self.half_life.grow_weight(self.prior_weight, as_of) + weight
    }

    /// A grown weight, decayed to `as_of`.
    pub(super) fn weight_micros(&self, weight: i128, as_of: i64) -> i64 {
        // Grown from one millionth: what a millionth at `as_of` is worth.
        let unit = self.half_life.grow(1, as_of);
        i64::try_from(divide_to_nearest(weight, unit)).unwrap_or(i64::MAX)
    }
}

/// A sum that lies `eras` before the moment of reading, decayed to the start of that moment's era. Rounds down.
pub(super) fn shift(sum: i128, eras: i64) -> i128 {
    match u32::try_from(eras).ok().and_then(|eras| eras.checked_mul(ERA_BITS)) {
        Some(bits) if bits < i128::BITS => sum >> bits,
        // Four eras on, not a bit is left.
        _ => sum >> (i128::BITS - 1),
    }
}

/// Rounds to the nearest, halves away from zero, so that the opposite of a numerator gives the opposite quotient.
fn divide_to_nearest(numerator: i128, denominator: i128) -> i128 {
    let half = denominator / 2;
    if numerator < 0 { (numerator - half) / denominator } else { (numerator + half) / denominator }
}

const _: () = assert!(GROWN_BITS + ERA_BITS + 24 == 92, "a grown weight of at most 16 has 92 bits");
