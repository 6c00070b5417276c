//! Gamma-Gamma: what a purchase brings (Colombo & Jiang 1999; Fader & Hardie 2013, note 025).
//!
//! A customer's purchases are gamma-distributed with shape `p` and a rate of its own, and rates are gamma with shape `q`
//! and rate `v`, whatever the frequency. The mean over customers is `p v / (q - 1)`: finite for `q > 1` alone.

use libm::{lgamma, log, log1p};

use super::gamma::digamma;
use super::model::{BadParameters, checked};
use super::spend::{Spend, Spends};

/// The spend model with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaGamma {
    pub(super) p: f64,
    pub(super) q: f64,
    pub(super) v: f64,
}

impl GammaGamma {
    /// The parameters' names as the note has them (`v` is its gamma).
    pub const PARAMETERS: [&'static str; 3] = ["p", "q", "v"];

    /// The model with these parameters.
    ///
    /// # Errors
    /// One that is not above zero and finite.
    pub fn new(p: f64, q: f64, v: f64) -> Result<Self, BadParameters> {
        checked::<3>(&Self::PARAMETERS, &[p, q, v])?;
        Ok(Self { p, q, v })
    }

    /// The parameters, in the order of [`GammaGamma::PARAMETERS`].
    #[must_use]
    pub const fn parameters(&self) -> [f64; 3] {
        [self.p, self.q, self.v]
    }

    /// The logarithm of the likelihood of all spends.
    #[must_use]
    pub fn log_likelihood(&self, spends: &Spends) -> f64 {
        self.likelihood(spends).0
    }

    /// The logarithm of the likelihood and its derivatives by `p`, `q` and `v`.
    pub(super) fn likelihood(&self, spends: &Spends) -> (f64, [f64; 3]) {
        let Self { p, q, v } = *self;
        let (ln_q, di_q) = (lgamma(q), digamma(q));
        let mut of = (0, [0.0; 3]);
        let mut sum = 0.0;
        let mut slopes = [0.0; 3];
        for row in &spends.rows {
            let x = f64::from(row.repeats);
            let px = p * x;
            if of.0 != row.repeats {
                of = (row.repeats, [lgamma(px + q) - lgamma(px) - ln_q, digamma(px + q), digamma(px)]);
            }
            let [ln, di_both, di_px] = of.1;
            let y = x * row.mean;
            // The shares of v and of the customer's own spend in what is known.
            let (own, prior) = (log1p(v / y), log1p(y / v));
            sum += row.count * (ln - px * own - q * prior - log(row.mean));
            slopes[0] += row.count * x * (di_both - di_px - own);
            slopes[1] += row.count * (di_both - di_q - prior);
            slopes[2] += row.count * (q * y / v - px) / (v + y);
        }
        (sum, slopes)
    }

    /// What a purchase of anybody is expected to bring, `p v / (q - 1)`. None when `q <= 1`: there is no finite mean.
    #[must_use]
    pub fn population_mean(&self) -> Option<f64> {
        (self.q > 1.0).then(|| self.p * self.v / (self.q - 1.0)).filter(|mean| mean.is_finite())
    }

    /// What the next purchase of this customer is expected to bring, `E[M | x, m]`: between the customer's own mean and the
    /// population's. Without repeats it is the population's. None where that is not finite.
    #[must_use]
    pub fn expected(&self, seen: Option<&Spend>) -> Option<f64> {
        let population = self.population_mean()?;
        let Some(spend) = seen else { return Some(population) };
        let x = f64::from(spend.repeats());
        Some(self.p * (self.v + x * spend.mean()) / (self.p * x + self.q - 1.0))
    }
}
