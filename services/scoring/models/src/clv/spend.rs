//! What the spend model knows of one customer: how many repeat purchases, and what they brought on average.

use std::fmt;

/// The least and the greatest mean spend, in whatever currency.
const MEAN_MIN: f64 = 1e-9;
const MEAN_MAX: f64 = 1e15;

/// One customer's spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spend {
    repeats: u32,
    mean: f64,
}

/// Why numbers are no spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotASpend {
    /// There is no repeat purchase whose spend could be meant.
    NoRepeats,
    /// The mean is not above zero and finite.
    Mean(f64),
    /// An amount is negative, not a number or beyond measure.
    Amount(f64),
}

impl fmt::Display for NotASpend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRepeats => write!(f, "a spend of no repeat purchases; valid is 1 or more of them"),
            Self::Mean(mean) => write!(f, "a mean spend of {mean}; valid is {MEAN_MIN:e} to {MEAN_MAX:e}"),
            Self::Amount(amount) => write!(f, "an amount of {amount}; valid is 0 to {MEAN_MAX:e}"),
        }
    }
}

impl std::error::Error for NotASpend {}

impl Spend {
    /// A mean spend of `mean` over `repeats` repeat purchases.
    ///
    /// # Errors
    /// No repeats, or a mean that is not above zero and finite.
    pub fn new(repeats: u32, mean: f64) -> Result<Self, NotASpend> {
        if repeats == 0 {
            return Err(NotASpend::NoRepeats);
        }
        if !(MEAN_MIN..=MEAN_MAX).contains(&mean) {
            return Err(NotASpend::Mean(mean));
        }
        Ok(Self { repeats, mean })
    }

    /// Whether a purchase can have brought that much.
    pub(super) fn check_amount(amount: f64) -> Result<(), NotASpend> {
        if (0.0..=MEAN_MAX).contains(&amount) { Ok(()) } else { Err(NotASpend::Amount(amount)) }
    }

    /// Over how many repeat purchases.
    #[must_use]
    pub const fn repeats(&self) -> u32 {
        self.repeats
    }

    /// What one brought on average.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }
}

/// The spends of a population, equal ones collapsed.
#[derive(Debug, Clone, Default)]
pub struct Spends {
    pub(super) rows: Vec<SpendRow>,
    customers: u64,
    /// The mean of the means, by which money is scaled.
    scale: f64,
}

/// A distinct spend.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpendRow {
    pub(super) repeats: u32,
    pub(super) mean: f64,
    pub(super) count: f64,
}

impl FromIterator<Spend> for Spends {
    fn from_iter<I: IntoIterator<Item = Spend>>(spends: I) -> Self {
        let mut keys: Vec<(u32, u64)> = spends.into_iter().map(|spend| (spend.repeats, spend.mean.to_bits())).collect();
        keys.sort_unstable();
        let customers = keys.len() as u64;
        let mut rows: Vec<SpendRow> = Vec::new();
        for (repeats, mean) in keys {
            let mean = f64::from_bits(mean);
            match rows.last_mut() {
                Some(row) if row.repeats == repeats && row.mean.to_bits() == mean.to_bits() => row.count += 1.0,
                _ => rows.push(SpendRow { repeats, mean, count: 1.0 }),
            }
        }
        let sum: f64 = rows.iter().map(|row| row.mean * row.count).sum();
        let scale = if customers > 0 { sum / customers as f64 } else { 1.0 };
        Self { rows, customers, scale }
    }
}

impl Spends {
    /// How many customers there are.
    #[must_use]
    pub const fn customers(&self) -> u64 {
        self.customers
    }

    /// Every so-manieth of the distinct spends in sorted order, that stand for all. None when there are few enough.
    pub(super) fn sampled(&self, most: usize) -> Option<Self> {
        if self.rows.len() <= most {
            return None;
        }
        let step = self.rows.len().div_ceil(most);
        let rows: Vec<SpendRow> = self.rows.iter().skip(step / 2).step_by(step).copied().collect();
        let customers = rows.iter().map(|row| row.count).sum::<f64>() as u64;
        Some(Self { rows, customers, scale: self.scale })
    }

    /// The mean of the customers' means.
    pub(super) const fn scale(&self) -> f64 {
        self.scale
    }

    /// The correlation of frequency and mean spend. The model takes them for independent, so it should be low. None when
    /// one of them is the same for everybody.
    #[must_use]
    pub fn correlation(&self) -> Option<f64> {
        let n = self.customers as f64;
        let mean_x = self.rows.iter().map(|row| row.count * f64::from(row.repeats)).sum::<f64>() / n;
        let mean_m = self.scale;
        let [mut xx, mut mm, mut xm] = [0.0; 3];
        for row in &self.rows {
            let (x, m) = (f64::from(row.repeats) - mean_x, row.mean / mean_m - 1.0);
            xx += row.count * x * x;
            mm += row.count * m * m;
            xm += row.count * x * m;
        }
        let scale = (xx * mm).sqrt();
        (xx > 1e-12 * n && mm > 1e-24 * n && scale > 0.0).then(|| (xm / scale).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_no_spend_is_refused() {
        for (repeats, mean, want) in [
            (0, 3.0, "a spend of no repeat purchases; valid is 1 or more of them"),
            (1, 0.0, "a mean spend of 0; valid is 1e-9 to 1e15"),
            (1, -1.0, "a mean spend of -1; valid is 1e-9 to 1e15"),
            (1, f64::NAN, "a mean spend of NaN; valid is 1e-9 to 1e15"),
        ] {
            assert_eq!(Spend::new(repeats, mean).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn correlation_is_pearson_and_needs_a_difference() {
        let of = |rows: &[(u32, f64)]| -> Option<f64> {
            rows.iter().map(|(x, m)| Spend::new(*x, *m).unwrap()).collect::<Spends>().correlation()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(1, 3.0), (1, 4.0)]), None);
        assert_eq!(of(&[(1, 3.0), (2, 3.0)]), None);
        assert!((of(&[(1, 3.0), (2, 4.0), (3, 5.0)]).unwrap() - 1.0).abs() < 1e-12);
        assert!((of(&[(1, 5.0), (2, 4.0), (2, 4.0), (3, 3.0)]).unwrap() + 1.0).abs() < 1e-12);
    }
}
