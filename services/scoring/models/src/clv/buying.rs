//! What all the models share: while alive, a customer buys at a constant rate, and rates differ by a gamma
//! distribution of shape `r` and rate `alpha`.

use libm::{log, log1p};

use super::gamma::{harmonic, ln_rising};

/// The buying of customers with one number of repeats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buying {
    pub(super) r: f64,
    pub(super) alpha: f64,
    pub(super) repeats: f64,
    ln_alpha: f64,
    ln_rising: f64,
    harmonic: f64,
}

impl Buying {
    pub(super) fn new(r: f64, alpha: f64, repeats: u32) -> Self {
        Self {
            r,
            alpha,
            repeats: f64::from(repeats),
            ln_alpha: log(alpha),
            ln_rising: ln_rising(r, repeats),
            harmonic: harmonic(r, repeats),
        }
    }

    /// `r + x`: the shape of what is then known of the customer's rate.
    pub(super) fn shape(&self) -> f64 {
        self.r + self.repeats
    }

    /// `ln [ Gamma(r+x)/Gamma(r) alpha^r / (alpha+T)^(r+x) ]` and its derivatives by `r` and `alpha`.
    ///
    /// Written so that nothing cancels when `r` and `alpha` are both great, which is where a population of equals is.
    #[inline]
    pub(super) fn alive_throughout(&self, age: f64) -> (f64, [f64; 2]) {
        let grown = log1p(age / self.alpha);
        let ln = self.ln_rising - self.repeats * (self.ln_alpha + grown) - self.r * grown;
        let by_r = self.harmonic - grown;
        let by_alpha = (self.r * age / self.alpha - self.repeats) / (self.alpha + age);
        (ln, [by_r, by_alpha])
    }

    /// `ln [(alpha+T)/(alpha+t_x)]`: how much likelier each purchase makes it that the customer left after the last.
    #[inline]
    pub(super) fn silence(&self, last: f64, age: f64) -> f64 {
        log1p((age - last) / (self.alpha + last))
    }
}
