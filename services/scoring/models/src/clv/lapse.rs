//! Pareto/NBD (Schmittlein, Morrison & Colombo 1987): customers leave at any time, at rates that differ by a gamma
//! distribution of shape `s` and rate `beta`.
//!
//! The published likelihood (Fader & Hardie 2005) is a difference of two hypergeometric functions, one way for
//! `alpha >= beta` and another below. Both are the same integral over the time of death:
//!
//! ```text
//! L    = buying * (beta/(beta+T))^s * (1 + odds)
//! odds = integral from t_x to T of s/(beta+y) ((alpha+T)/(alpha+y))^(r+x) ((beta+T)/(beta+y))^s dy
//! ```
//!
//! Here the integral itself is summed: no branch, no cancellation, and its derivatives come from the same nodes.

use libm::{exp, expm1, log, log1p};

use super::buying::Buying;
use super::gamma::{logistic, softplus};
use super::integral::integrate;
use super::process::Process;

/// The parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lapse {
    pub(super) r: f64,
    pub(super) alpha: f64,
    pub(super) s: f64,
    pub(super) beta: f64,
}

impl Process<4> for Lapse {
    type OfRepeats = Buying;

    fn of([r, alpha, s, beta]: [f64; 4]) -> Self {
        Self { r, alpha, s, beta }
    }

    fn of_repeats(&self, repeats: u32) -> Buying {
        Buying::new(self.r, self.alpha, repeats)
    }

    fn likelihood(&self, of: &Buying, last: f64, age: f64) -> (f64, [f64; 4]) {
        let (ln, [by_r, by_alpha]) = of.alive_throughout(age);
        let aged = log1p(age / self.beta);
        let ln = ln - self.s * aged;
        let by_beta = self.s * age / (self.beta * (self.beta + age));
        if age <= last {
            return (ln, [by_r, by_alpha, -aged, by_beta]);
        }
        let (shape, silence) = (of.shape(), of.silence(last, age));
        let faded = log1p((age - last) / (self.beta + last));
        let [all, by_buying, by_lapse, per_alpha, per_beta] = self
            .deaths(shape, last, age, |ways| [ways.density, ways.buying, ways.lapse, ways.per_alpha, ways.per_beta]);
        let odds = shape * silence + self.s * faded + log(all);
        let dead = logistic(odds);
        // A density so steep that it is zero at every node is of someone who cannot be dead yet.
        let mean = |sum: f64| if all > 0.0 { sum / all } else { 0.0 };
        (
            ln + softplus(odds),
            [
                by_r + dead * (silence - mean(by_buying)),
                by_alpha + dead * shape * (1.0 / (self.alpha + age) - mean(per_alpha)),
                dead * (1.0 / self.s + faded - mean(by_lapse)) - aged,
                by_beta + dead * (self.s / (self.beta + age) - (self.s + 1.0) * mean(per_beta)),
            ],
        )
    }

    fn odds_of_death(&self, of: &Buying, last: f64, age: f64) -> f64 {
        if age <= last {
            return f64::NEG_INFINITY;
        }
        let faded = log1p((age - last) / (self.beta + last));
        let [all] = self.deaths(of.shape(), last, age, |ways| [ways.density]);
        of.shape() * of.silence(last, age) + self.s * faded + log(all)
    }
}

/// What the integrand is at one time of death, relative to the last purchase.
struct Ways {
    density: f64,
    /// The density times `ln (alpha+y)/(alpha+t_x)`.
    buying: f64,
    /// The density times `ln (beta+y)/(beta+t_x)`.
    lapse: f64,
    per_alpha: f64,
    per_beta: f64,
}

impl Lapse {
    /// Integrals over the time of death `y` of `s/(beta+y) ((alpha+t_x)/(alpha+y))^(r+x) ((beta+t_x)/(beta+y))^s`, in
    /// the variable `u = ln (m+y)/(m+t_x)` with `m` the smaller of `alpha` and `beta`: there the nearest singular points
    /// are as far away as they can be.
    #[inline]
    fn deaths<const K: usize>(&self, shape: f64, last: f64, age: f64, take: impl Fn(Ways) -> [f64; K]) -> [f64; K] {
        let Self { alpha, s, beta, .. } = *self;
        let nearer = alpha.min(beta);
        let (near, of_alpha, of_beta) = (nearer + last, alpha + last, beta + last);
        // The time itself grows like e^u while the chances fall: the steeper of the two bounds the difference.
        let slope = |u: f64| {
            let later = near * exp(u);
            let y = later - near;
            (later * (shape / (of_alpha + y) + s / (of_beta + y))).max(1.0)
        };
        integrate(0.0, log1p((age - last) / near), slope, |u| {
            let y = near * expm1(u);
            let (buying, lapse) = if alpha <= beta { (u, log1p(y / of_beta)) } else { (log1p(y / of_alpha), u) };
            let density = s * (near + y) / (of_beta + y) * exp(-shape * buying - s * lapse);
            take(Ways {
                density,
                buying: density * buying,
                lapse: density * lapse,
                per_alpha: density / (of_alpha + y),
                per_beta: density / (of_beta + y),
            })
        })
    }
}
