//! BG/NBD and MBG/NBD: after a purchase the customer leaves with a probability of its own, one coin flip each time, and
//! probabilities differ by a beta distribution.
//!
//! - BG/NBD: Fader, Hardie & Lee 2005, Marketing Science 24(2). The coin is flipped after *repeat* purchases, so whoever
//!   never bought again is alive for certain.
//! - MBG/NBD: Batislam, Denizel & Filiztekin 2007; Hoppe & Wagner 2007. It is flipped after the first purchase too.
//!
//! With `k` the number of flips survived at the last purchase plus the open one (`x` or `x + 1`), both are
//!
//! ```text
//! L     = buying * B(a, b+k)/B(a, b) * (1 + odds)
//! odds  = a/(b+k-1) * ((alpha+T)/(alpha+t_x))^(r+x)      (none for k = 0)
//! ```

use libm::log;

use super::buying::Buying;
use super::gamma::{harmonic, ln_rising, logistic, softplus};
use super::process::Process;

/// The parameters, and whether the first purchase is followed by a flip (`FIRST`: 0 BG/NBD, 1 MBG/NBD).
#[derive(Debug, Clone, Copy)]
pub(super) struct Flips<const FIRST: u32> {
    pub(super) r: f64,
    pub(super) alpha: f64,
    pub(super) a: f64,
    pub(super) b: f64,
}

/// What customers with one number of repeats share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flipped {
    pub(super) buying: Buying,
    flips: u32,
    ln_survived: f64,
    by_a: f64,
    by_b: f64,
    ln_odds: f64,
    /// `1 / (b + k - 1)`, by which the odds change with `b`.
    before: f64,
}

impl<const FIRST: u32> Process<4> for Flips<FIRST> {
    type OfRepeats = Flipped;

    fn of([r, alpha, a, b]: [f64; 4]) -> Self {
        Self { r, alpha, a, b }
    }

    fn of_repeats(&self, repeats: u32) -> Flipped {
        let flips = repeats.saturating_add(FIRST);
        let before = if flips == 0 { f64::INFINITY } else { self.b + f64::from(flips - 1) };
        let of_both = harmonic(self.a + self.b, flips);
        Flipped {
            buying: Buying::new(self.r, self.alpha, repeats),
            flips,
            ln_survived: ln_rising(self.b, flips) - ln_rising(self.a + self.b, flips),
            by_a: -of_both,
            by_b: harmonic(self.b, flips) - of_both,
            ln_odds: log(self.a) - log(before),
            before: 1.0 / before,
        }
    }

    fn likelihood(&self, of: &Flipped, last: f64, age: f64) -> (f64, [f64; 4]) {
        let (ln, [by_r, by_alpha]) = of.buying.alive_throughout(age);
        let ln = ln + of.ln_survived;
        if of.flips == 0 {
            return (ln, [by_r, by_alpha, of.by_a, of.by_b]);
        }
        let silence = of.buying.silence(last, age);
        let shape = of.buying.shape();
        let odds = of.ln_odds + shape * silence;
        let dead = logistic(odds);
        let alpha = self.alpha;
        // 1/(alpha+T) - 1/(alpha+t_x), without the difference of near-equal terms.
        let shift = -(age - last) / ((alpha + age) * (alpha + last));
        (
            ln + softplus(odds),
            [
                by_r + dead * silence,
                by_alpha + dead * shape * shift,
                of.by_a + dead / self.a,
                of.by_b - dead * of.before,
            ],
        )
    }

    fn odds_of_death(&self, of: &Flipped, last: f64, age: f64) -> f64 {
        if of.flips == 0 {
            return f64::NEG_INFINITY;
        }
        of.ln_odds + of.buying.shape() * of.buying.silence(last, age)
    }
}

impl<const FIRST: u32> Flips<FIRST> {
    /// The `b` of the beta distribution of someone alive after so many repeats.
    pub(super) fn survived(&self, repeats: u32) -> f64 {
        self.b + f64::from(repeats) + f64::from(FIRST)
    }
}
