//! Fitting the spend model.

use libm::{exp, log};

use super::climb::{Bounds, Hill, climb};
use super::fit::{CannotFit, Limit, best_of_starts, curvature, errors, limits};
use super::gamma_gamma::GammaGamma;
use super::matrix::Axes;
use super::spend::Spends;

/// How far a parameter may go from its natural unit, as a power of e: a million times either way.
const REACH: f64 = 13.815_510_557_964_274;

/// Distinct spends in the sample on which all starts are tried.
const COARSE: usize = 2_048;

/// A fitted spend model.
#[derive(Debug, Clone)]
pub struct SpendFit {
    /// The model at its greatest likelihood.
    pub model: GammaGamma,
    /// The logarithm of that likelihood.
    pub log_likelihood: f64,
    /// How many customers it was fitted to.
    pub customers: u64,
    /// The correlation of frequency and mean spend, which the model takes for none.
    pub correlation: Option<f64>,
    /// What the data do not determine; empty at an inner maximum.
    pub limits: Vec<Limit>,
    /// Whether the climb ended because nothing was left to gain.
    pub converged: bool,
}

impl SpendFit {
    /// The parameters' standard errors from the curvature of the likelihood of the spends it was fitted to. None where
    /// the maximum is not an inner one.
    #[must_use]
    pub fn standard_errors(&self, spends: &Spends) -> Option<[f64; 3]> {
        if !self.limits.is_empty() {
            return None;
        }
        errors::<3>(&hill(spends), &self.model.parameters())?.try_into().ok()
    }
}

/// Fits the spend model.
///
/// # Errors
/// Nobody spent anything on a repeat purchase.
pub fn fit_spend(spends: &Spends) -> Result<SpendFit, CannotFit> {
    if spends.customers() == 0 {
        return Err(CannotFit::NoSpend);
    }
    let unit = log(spends.scale());
    let bounds = Bounds { low: [-REACH, -REACH, unit - REACH], high: [REACH, REACH, unit + REACH] };
    // Each start has the mean of the population.
    let starts = [(1.0, 3.0), (6.0, 4.0), (0.5, 2.0), (20.0, 20.0), (2.0, 1.5f64)]
        .map(|(p, q): (f64, f64)| [log(p), log(q), unit + log((q - 1.0) / p)]);
    let sample = spends.sampled(COARSE);
    let few = sample.as_ref().unwrap_or(spends);
    let mut summit = best_of_starts(&hill(few), &starts, &bounds)?;
    let mut curved = Axes::of(curvature(&hill(few), &summit.at));
    if sample.is_some() {
        let times = spends.customers() as f64 / few.customers() as f64;
        summit = climb(&hill(spends), summit.at, &bounds, Some(curved.with(|value| 1.0 / (value * times).max(1.0))));
        curved = Axes::of(curvature(&hill(spends), &summit.at));
    }
    let [p, q, v] = summit.at.map(exp);
    Ok(SpendFit {
        model: GammaGamma { p, q, v },
        log_likelihood: summit.value,
        customers: spends.customers(),
        correlation: spends.correlation(),
        limits: limits(&GammaGamma::PARAMETERS, &summit, &bounds, &curved),
        converged: summit.converged,
    })
}

/// The log-likelihood over the logarithms of the parameters.
fn hill(spends: &Spends) -> impl Hill<3> {
    |place: &[f64; 3]| {
        let [p, q, v] = place.map(exp);
        let (value, by) = GammaGamma { p, q, v }.likelihood(spends);
        (value, [by[0] * p, by[1] * q, by[2] * v])
    }
}
