//! NBD (Ehrenberg 1959): nobody ever leaves. The baseline that the others must beat.

use libm::{exp, lgamma, log, log1p};

use super::buying::Buying;
use super::gamma::ln_rising;
use super::process::Process;

/// Buying at a gamma-distributed rate, without end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nbd {
    pub(super) r: f64,
    pub(super) alpha: f64,
}

impl Process<2> for Nbd {
    type OfRepeats = Buying;

    fn of([r, alpha]: [f64; 2]) -> Self {
        Self { r, alpha }
    }

    fn of_repeats(&self, repeats: u32) -> Buying {
        Buying::new(self.r, self.alpha, repeats)
    }

    fn likelihood(&self, of: &Buying, _last: f64, age: f64) -> (f64, [f64; 2]) {
        of.alive_throughout(age)
    }

    fn odds_of_death(&self, _of: &Buying, _last: f64, _age: f64) -> f64 {
        f64::NEG_INFINITY
    }
}

impl Nbd {
    /// `ln P(X(t) = x)`.
    pub(super) fn ln_probability(&self, weeks: f64, purchases: u32) -> f64 {
        if weeks <= 0.0 {
            return if purchases == 0 { 0.0 } else { f64::NEG_INFINITY };
        }
        let x = f64::from(purchases);
        let grown = log1p(weeks / self.alpha);
        ln_rising(self.r, purchases) - lgamma(x + 1.0) - self.r * grown + x * (log(weeks / self.alpha) - grown)
    }

    /// `P(X(t) >= x)`: summed from the side where terms fall, so that a small tail keeps its digits.
    pub(super) fn tail(&self, weeks: f64, purchases: u32) -> f64 {
        if purchases == 0 {
            return 1.0;
        }
        if weeks <= 0.0 {
            return 0.0;
        }
        let share = weeks / (self.alpha + weeks);
        let mean = self.r * weeks / self.alpha;
        if f64::from(purchases) > mean {
            let mut term = exp(self.ln_probability(weeks, purchases));
            let (mut sum, mut n) = (term, f64::from(purchases));
            // The terms fall ever closer to a geometric series of ratio `share`; what is left is below the last digit
            // when the bound of that series is.
            for _ in 0..TERMS {
                let ratio = (self.r + n) / (n + 1.0) * share;
                n += 1.0;
                term *= ratio;
                sum += term;
                if term <= 1e-17 * sum * (1.0 - ratio).max(1e-9) {
                    break;
                }
            }
            return sum.min(1.0);
        }
        let mut below = 0.0;
        for n in 0..purchases.min(TERMS) {
            below += exp(self.ln_probability(weeks, n));
        }
        (1.0 - below).clamp(0.0, 1.0)
    }
}

/// More terms than any tail needs that is not flat to the last digit.
const TERMS: u32 = 1_000_000;
