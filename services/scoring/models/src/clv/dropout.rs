//! How much is bought in a time to come by someone whose coin is flipped after each purchase.
//!
//! Given rate and probability it is `(1 - e^(-rate p t)) / p`. Over a gamma and a beta distribution this is the published
//! (Fader, Hardie & Lee 2005, equations 9 and 10)
//!
//! ```text
//! c/(a-1) [1 - (1-z)^R F(R, b; c; z)],   c = a+b-1,  z = t/(alpha+t)
//! ```
//!
//! which has removable poles at `a = 1` and `c = 0`, and needs ten thousand terms for `z` near 1. Euler's transformation
//! makes the bracket `1 - (1-z)^(a-1) F(c-R, a-1; c; z)`, where the poles can be divided out term by term and the
//! terms fall by a power more. Where that cancels (shapes far above `a+b`), the plain series is regrouped into sums of
//! positive terms, purchase by purchase; where both take too long, the expectation over the beta distribution is
//! integrated.

use libm::{exp, expm1, log, log1p};

use super::gamma::softplus;
use super::integral::adaptive;

/// More terms than this, and summing the expectation is quicker.
const TERMS: f64 = 2_000.0;
const LENGTH: usize = 2_000;

/// How many digits the series may lose of its sixteen: what is left is beyond the tolerance of any use.
const LOSS: f64 = 1e4;

/// Someone alive now: the rate is gamma of shape `shape` and rate 1, the probability of leaving after a purchase beta of
/// `a` and `b`.
#[derive(Debug, Clone)]
pub(super) struct Staying {
    shape: f64,
    a: f64,
    b: f64,
    /// The coefficients of the transformed series, as far as they were needed: many times ahead share them.
    series: Vec<f64>,
}

impl Staying {
    pub(super) const fn new(shape: f64, a: f64, b: f64) -> Self {
        Self { shape, a, b, series: Vec::new() }
    }

    /// The expected number of purchases in `w` units of time.
    pub(super) fn purchases(&mut self, w: f64) -> f64 {
        if w <= 0.0 {
            return 0.0;
        }
        let most = self.shape * w;
        let got = self
            .transformed(w)
            .or_else(|| counted(self.shape, w, self.a, self.b))
            .unwrap_or_else(|| most * mean_share(self.shape, w, self.a, self.b));
        got.clamp(0.0, most)
    }

    /// The transformed series; None when it would take too long or lose too many digits.
    fn transformed(&mut self, w: f64) -> Option<f64> {
        let grown = log1p(w);
        let z = w / (1.0 + w);
        if 40.0 > TERMS * -log(z) {
            return None;
        }
        let e = self.a - 1.0;
        let c = e + self.b;
        // (1 - (1-z)^e) / e
        let first = if e == 0.0 { grown } else { -expm1(-e * grown) / e };
        let (mut sum, mut size) = (0.0, 0.0);
        let (mut power, mut before) = (1.0, f64::INFINITY);
        for k in 0..LENGTH {
            if k == self.series.len() {
                self.extend();
            }
            power *= z;
            let term = self.series[k] * power;
            let long = term.abs();
            sum += term;
            size += long;
            // Past their turn, terms fall at least like a geometric series of ratio z.
            if long <= 1e-17 * size * (1.0 - z) && long <= before {
                let factor = exp(-e * grown);
                let got = c * first - factor * sum;
                let lost = (c * first).abs() + factor * size;
                return (got > 0.0 && lost.is_finite() && lost <= LOSS * got).then_some(got);
            }
            before = long;
        }
        None
    }

    /// One coefficient more: of `F(c-R, a-1; c; z)`, with `a-1` divided out and `c` multiplied in.
    fn extend(&mut self) {
        let e = self.a - 1.0;
        let c = e + self.b;
        let next = match self.series.last() {
            None => c - self.shape,
            Some(last) => {
                let k = self.series.len() as f64;
                last * ((c - self.shape + k) * (e + k) / ((c + k) * (k + 1.0)))
            }
        };
        self.series.push(next);
    }
}

/// The sum over the number `k` of purchases that somebody who never left would make, each with its negative binomial
/// probability, of how many of them come before leaving. None when there are too many.
fn counted(shape: f64, w: f64, a: f64, b: f64) -> Option<f64> {
    let grown = log1p(w);
    let z = w / (1.0 + w);
    if shape * grown > 600.0 || 40.0 > TERMS * -log(z) || 2.0 * shape * w > TERMS {
        return None;
    }
    let c = a + b - 1.0;
    let mut weight = exp(-shape * grown) * shape * z;
    // Of k purchases so many are made, and the chance to make the next one, times c: no pole is left.
    let (mut made, mut staying) = (1.0, b);
    let mut sum = 0.0;
    let mut k = 1.0;
    loop {
        let term = weight * made;
        sum += term;
        let ratio = (shape + k) / (k + 1.0) * z;
        if ratio < 1.0 && term <= 1e-17 * sum * (1.0 - z) {
            return Some(sum);
        }
        if k > 2.0 * TERMS {
            return None;
        }
        weight *= ratio;
        made += staying / (c + k);
        staying *= (b + k) / (c + k);
        k += 1.0;
    }
}

/// `E[(1 - (1 + p w)^-R) / (p R w)]` for a beta-distributed `p`: the share of purchases that leaving leaves.
///
/// In `v = ln p/(1-p)` the density has one peak and exponential tails.
fn mean_share(shape: f64, w: f64, a: f64, b: f64) -> f64 {
    let share = |v: f64| {
        let x = exp(-softplus(-v)) * w;
        let y = shape * log1p(x);
        if y < 1e-280 { 1.0 } else { -expm1(-y) / (shape * x) }
    };
    let peak = log(a / b);
    let top = a * softplus(-peak) + b * softplus(peak);
    let (p, q) = (a / (a + b), b / (a + b));
    // Relative to the peak. Where the density is narrow its logarithm is a small difference of great numbers, so it is
    // taken from the distance to the peak.
    let ln_density = |v: f64| {
        if top < 1e3 {
            top - a * softplus(-v) - b * softplus(v)
        } else {
            -a * log1p(q * expm1(peak - v)) - b * log1p(p * expm1(v - peak))
        }
    };
    // Left of the peak the share may be greater by as much as it is less than one at the peak.
    let nothing = -45.0 + log(share(peak));
    let edge = |sign: f64| {
        let mut away = 1e-6;
        while ln_density(peak + sign * away) > nothing && away < 1e12 {
            away *= 2.0;
        }
        peak + sign * away
    };
    // Where share and density turn, and so far beyond that nothing is left of the turn: long tails begin there.
    let turn = -log(w) - log(shape.max(1.0));
    let [density, shared] = adaptive(edge(-1.0), edge(1.0), &[peak, turn, turn - 36.0, 0.0, -36.0, 36.0], |v| {
        let density = exp(ln_density(v));
        [density, density * share(v)]
    });
    shared / density
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fifty digits, by the published closed form and by integration where that has a pole.
    const REFERENCE: [(f64, f64, f64, f64, f64); 11] = [
        (0.242_6, 8.8, 0.793, 2.426, 1.191_688_644_552_613_6),
        (0.242_6, 8.8, 1.0, 2.0, 1.016_437_431_051_068_7),
        (0.242_6, 8.8, 0.3, 0.7, 1.272_359_756_025_234_7),
        (60.2, 0.9, 0.8, 62.4, 41.512_068_489_481_84),
        (1_000.5, 2.5, 0.8, 1_002.0, 1_425.044_650_805_605_2),
        (1_000_000.0, 1e-05, 0.8, 2.4, 4.889_549_994_791_646),
        (0.242_6, 999.0, 0.793, 2.426, 11.467_618_869_291_215),
        (0.5, 10_000_000.0, 1.3, 0.2, 1.653_427_863_151_759_4),
        (1e-06, 0.5, 0.2, 0.3, 0.000_000_460_095_934_345_457_96),
        (50.0, 0.3, 10_000.0, 30_000.0, 3.892_657_202_969_256),
        (3_000.0, 5.0, 40.0, 0.3, 1.007_692_307_692_307_7),
    ];

    #[test]
    fn three_ways_meet() {
        let shapes = [1e-6, 0.2426, 1.0, 7.3, 61.0, 1e3, 1e6];
        let ws = [1e-9, 0.01, 0.9, 12.0, 999.0, 1e9];
        let chances =
            [(0.793, 2.426), (1.0, 2.0), (0.3, 0.7), (0.2, 0.2), (1e-6, 0.5), (5.0, 1e4), (1e6, 1e6), (40.0, 0.3)];
        for shape in shapes {
            for w in ws {
                for (a, b) in chances {
                    let want = shape * w * mean_share(shape, w, a, b);
                    assert!(want > 0.0 && want <= shape * w * (1.0 + 1e-12), "{shape} {w} {a} {b}: {want}");
                    for got in [Staying::new(shape, a, b).transformed(w), counted(shape, w, a, b)].into_iter().flatten()
                    {
                        assert!((got - want).abs() <= 5e-11 * want, "{shape} {w} {a} {b}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn published_digits() {
        for (shape, w, a, b, want) in REFERENCE {
            let got = Staying::new(shape, a, b).purchases(w);
            assert!((got - want).abs() <= 1e-11 * want, "{shape} {w} {a} {b}: {got} {want}");
        }
    }

    #[test]
    fn the_poles_are_gone() {
        for (a, b) in [(1.0, 2.0), (0.3, 0.7), (0.5, 0.5)] {
            let at = Staying::new(0.25, a, b).purchases(8.8);
            for shift in [1e-15, 1e-12, 1e-9] {
                let near = Staying::new(0.25, a + shift, b).purchases(8.8);
                assert!((near - at).abs() <= 2.0 * shift * at + 1e-14, "{a} {b} {shift}: {near} {at}");
            }
        }
    }
}
