//! Fitting: the parameters of greatest likelihood.
//!
//! Logarithms of the parameters are climbed with exact gradients, from several starts. A great population is first fitted
//! by a sample that stands for it, then the summit and the curvature found there make the climb on all of it short.
//!
//! Some populations have no inner maximum: where all buy alike the likelihood rises forever with `r` and `alpha`, where
//! nobody leaves it rises as the rate of leaving falls. Parameters end at caps far beyond any use then, and the fit says
//! which ([`Limit`]).

use std::fmt;

use libm::{exp, log};

use super::climb::{Bounds, Hill, Summit, climb};
use super::flips::Flips;
use super::histories::Histories;
use super::lapse::Lapse;
use super::matrix::{Axes, Matrix};
use super::model::{Kind, Model};
use super::nbd::Nbd;
use super::process::{Process, likelihood};

/// How far a parameter may go from its natural unit, as a power of e: a hundred million times either way.
const REACH: f64 = 18.420_680_743_952_367;

/// Distinct histories in the sample on which all starts are tried.
const COARSE: usize = 1_024;

/// Distinct histories in the sample from which the curvature is taken.
const FINE: usize = 32_768;

/// Along a direction in which the likelihood falls by less than a half within three powers of e, the data say nothing.
const FLAT: f64 = 1.0 / 9.0;

/// How much of a flat direction a parameter must make up to be named.
const SHARE: f64 = 0.3;

/// Why nothing was fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotFit {
    /// There is nobody.
    NoCustomers,
    /// Nobody bought again: any model with a low enough rate fits.
    NoRepeats {
        /// How many bought once.
        customers: u64,
    },
    /// Nobody spent anything on a repeat purchase.
    NoSpend,
    /// The likelihood is no number anywhere near.
    NotFinite,
}

impl fmt::Display for CannotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCustomers => {
                write!(f, "there are no customers to fit a model to; valid is at least one who bought again")
            }
            Self::NoRepeats { customers } => write!(
                f,
                "none of the {customers} customers bought again by the end of observation; valid is at least one who did"
            ),
            Self::NoSpend => {
                write!(f, "nobody spent anything on a repeat purchase; valid is at least one customer who did")
            }
            Self::NotFinite => write!(f, "the likelihood of these histories is no finite number for any parameters"),
        }
    }
}

impl std::error::Error for CannotFit {}

/// In which way a parameter is not at an inner maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It was capped above: the likelihood rises with it without end, if ever so little.
    Upper,
    /// It was capped below.
    Lower,
    /// The likelihood hardly changes with it: the value is one of many.
    Flat,
}

/// A parameter that the data do not determine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Its name.
    pub parameter: &'static str,
    /// Its value in the fit.
    pub value: f64,
    /// In which way.
    pub reach: Reach,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameter, value, reach } = self;
        match reach {
            Reach::Upper => {
                write!(f, "{parameter} was capped at {value:.3e}: the likelihood rises with it without end")
            }
            Reach::Lower => write!(f, "{parameter} was capped at {value:.3e}: the likelihood rises as it falls"),
            Reach::Flat => write!(f, "{parameter} = {value:.3e} is not determined by the data: the likelihood is flat"),
        }
    }
}

/// A fitted model.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The model at its greatest likelihood.
    pub model: Model,
    /// The logarithm of that likelihood.
    pub log_likelihood: f64,
    /// How many customers it was fitted to.
    pub customers: u64,
    /// How many different histories they have.
    pub distinct: usize,
    /// What the data do not determine; empty at an inner maximum.
    pub limits: Vec<Limit>,
    /// Whether the climb ended because nothing was left to gain.
    pub converged: bool,
}

impl Fit {
    /// Akaike's information criterion: `2 k - 2 ln L`.
    #[must_use]
    pub fn aic(&self) -> f64 {
        2.0 * self.number() - 2.0 * self.log_likelihood
    }

    /// The Bayesian information criterion: `k ln n - 2 ln L`.
    #[must_use]
    pub fn bic(&self) -> f64 {
        self.number() * log(self.customers as f64) - 2.0 * self.log_likelihood
    }

    /// The number of parameters.
    fn number(&self) -> f64 {
        self.model.parameters().len() as f64
    }

    /// The parameters' standard errors from the curvature of the likelihood of the histories it was fitted to. None where
    /// the maximum is not an inner one.
    #[must_use]
    pub fn standard_errors(&self, histories: &Histories) -> Option<Vec<f64>> {
        if !self.limits.is_empty() {
            return None;
        }
        let parameters = self.model.parameters();
        match self.model.kind() {
            Kind::Nbd => errors::<2>(&hill::<2, Nbd>(histories), parameters),
            Kind::BgNbd => errors::<4>(&hill::<4, Flips<0>>(histories), parameters),
            Kind::MbgNbd => errors::<4>(&hill::<4, Flips<1>>(histories), parameters),
            Kind::ParetoNbd => errors::<4>(&hill::<4, Lapse>(histories), parameters),
        }
    }
}

/// All models, fitted to one population.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The fits, in the order of [`Kind::ALL`].
    pub fits: Vec<Fit>,
    best: usize,
}

impl Choice {
    /// The fit of least AIC: among models with as many parameters that is the one of greatest likelihood, and the NBD,
    /// with two fewer, is chosen when the others gain less than two in log-likelihood. Equals go to the simpler model.
    #[must_use]
    pub fn best(&self) -> &Fit {
        &self.fits[self.best]
    }

    /// The best of the models wanted, as `best_of(Kind::doubts_single_buyers)` for an agent's screen.
    #[must_use]
    pub fn best_of(&self, wanted: impl Fn(Kind) -> bool) -> Option<&Fit> {
        self.fits.iter().filter(|fit| wanted(fit.model.kind())).min_by(|a, b| a.aic().total_cmp(&b.aic()))
    }
}

/// Fits one model.
///
/// # Errors
/// Nobody, or nobody who bought again.
pub fn fit(kind: Kind, histories: &Histories) -> Result<Fit, CannotFit> {
    if histories.customers() == 0 {
        return Err(CannotFit::NoCustomers);
    }
    if histories.repeats() == 0 {
        return Err(CannotFit::NoRepeats { customers: histories.customers() });
    }
    let starts = Starts::of(histories);
    Ok(match kind {
        Kind::Nbd => {
            let (summit, limits) = summit::<2, Nbd>(kind, histories, &starts.of_nbd(), &starts.bounds([false, true]))?;
            of(Model::of_two(summit.at.map(exp)), &summit, limits, histories)
        }
        Kind::BgNbd => four::<Flips<0>>(kind, histories, &starts.of_flips(histories), &starts)?,
        Kind::MbgNbd => four::<Flips<1>>(kind, histories, &starts.of_flips(histories), &starts)?,
        Kind::ParetoNbd => four::<Lapse>(kind, histories, &starts.of_lapse(histories), &starts)?,
    })
}

/// Fits every model, for the best of them to be chosen.
///
/// # Errors
/// Nobody, or nobody who bought again.
pub fn fit_all(histories: &Histories) -> Result<Choice, CannotFit> {
    let fits = Kind::ALL.into_iter().map(|kind| fit(kind, histories)).collect::<Result<Vec<_>, _>>()?;
    let best = (0..fits.len()).min_by(|a, b| fits[*a].aic().total_cmp(&fits[*b].aic())).unwrap_or_default();
    Ok(Choice { fits, best })
}

fn four<P: Process<4>>(
    kind: Kind,
    histories: &Histories,
    begin: &[[f64; 4]],
    starts: &Starts,
) -> Result<Fit, CannotFit> {
    let timed = [false, true, false, kind == Kind::ParetoNbd];
    let (summit, limits) = summit::<4, P>(kind, histories, begin, &starts.bounds(timed))?;
    Ok(of(Model::of_four(kind, summit.at.map(exp)), &summit, limits, histories))
}

fn of<const N: usize>(model: Model, summit: &Summit<N>, limits: Vec<Limit>, histories: &Histories) -> Fit {
    Fit {
        model,
        log_likelihood: summit.value,
        customers: histories.customers(),
        distinct: histories.distinct(),
        limits,
        converged: summit.converged,
    }
}

/// The log-likelihood over the logarithms of the parameters.
fn hill<const N: usize, P: Process<N>>(histories: &Histories) -> impl Hill<N> {
    |place: &[f64; N]| {
        let parameters = place.map(exp);
        let (value, by) = likelihood(P::of(parameters), histories);
        (value, std::array::from_fn(|i| by[i] * parameters[i]))
    }
}

fn summit<const N: usize, P: Process<N>>(
    kind: Kind,
    histories: &Histories,
    starts: &[[f64; N]],
    bounds: &Bounds<N>,
) -> Result<(Summit<N>, Vec<Limit>), CannotFit> {
    let (coarse, fine) = (histories.sampled(COARSE), histories.sampled(FINE));
    let mut of = coarse.as_ref().unwrap_or(histories);
    let mut summit = best_of_starts(&hill::<N, P>(of), starts, bounds)?;
    let mut curved = Axes::of(curvature(&hill::<N, P>(of), &summit.at));
    // Each climb begins where the one on a smaller sample ended, with the curvature found there.
    let larger = [coarse.is_some().then(|| fine.as_ref().unwrap_or(histories)), fine.is_some().then_some(histories)];
    for next in larger.into_iter().flatten() {
        let near = hill::<N, P>(next);
        curved = scaled(&curved, of, next);
        // What is curved the wrong way or not at all is stepped along gently.
        summit = climb(&near, summit.at, bounds, Some(curved.with(|value| 1.0 / value.max(1.0))));
        if next.distinct() <= FINE {
            curved = Axes::of(curvature(&near, &summit.at));
        }
        of = next;
    }
    if !summit.value.is_finite() {
        return Err(CannotFit::NotFinite);
    }
    Ok((summit, limits(kind.parameters(), &summit, bounds, &curved)))
}

/// The curvature of a sample as that of a larger one.
fn scaled<const N: usize>(curved: &Axes<N>, of: &Histories, next: &Histories) -> Axes<N> {
    let times = next.customers() as f64 / of.customers() as f64;
    Axes { values: curved.values.map(|value| value * times), vectors: curved.vectors }
}

/// Climbs from every start and keeps the highest summit.
pub(super) fn best_of_starts<const N: usize>(
    hill: &impl Hill<N>,
    starts: &[[f64; N]],
    bounds: &Bounds<N>,
) -> Result<Summit<N>, CannotFit> {
    starts
        .iter()
        .map(|start| climb(hill, *start, bounds, None))
        .filter(|summit| summit.value.is_finite())
        .reduce(|best, next| if next.value > best.value { next } else { best })
        .ok_or(CannotFit::NotFinite)
}

/// How the slopes fall around a place: minus the matrix of second derivatives, from central differences of the exact
/// gradient.
pub(super) fn curvature<const N: usize>(hill: &impl Hill<N>, at: &[f64; N]) -> Matrix<N> {
    const STEP: f64 = 1e-4;
    let mut matrix = [[0.0; N]; N];
    for i in 0..N {
        let (mut low, mut high) = (*at, *at);
        low[i] -= STEP;
        high[i] += STEP;
        let (below, above) = (hill.at(&low).1, hill.at(&high).1);
        for j in 0..N {
            // Halves to either side of the diagonal: the matrix comes out symmetric.
            let falls = (below[j] - above[j]) / (4.0 * STEP);
            matrix[i][j] += falls;
            matrix[j][i] += falls;
        }
    }
    matrix
}

/// Which parameters were capped or are not determined.
pub(super) fn limits<const N: usize>(
    names: &[&'static str],
    summit: &Summit<N>,
    bounds: &Bounds<N>,
    curved: &Axes<N>,
) -> Vec<Limit> {
    let flat = |i: usize| {
        curved
            .values
            .iter()
            .enumerate()
            .any(|(k, value)| (value.is_nan() || *value < FLAT) && curved.vectors[i][k].abs() > SHARE)
    };
    let mut limits = Vec::new();
    for (i, parameter) in names.iter().enumerate().take(N) {
        let reach = if summit.at[i] >= bounds.high[i] - 1e-9 {
            Reach::Upper
        } else if summit.at[i] <= bounds.low[i] + 1e-9 {
            Reach::Lower
        } else if flat(i) {
            Reach::Flat
        } else {
            continue;
        };
        limits.push(Limit { parameter, value: exp(summit.at[i]), reach });
    }
    limits
}

/// The standard errors at a summit, from the errors of the logarithms.
pub(super) fn errors<const N: usize>(hill: &impl Hill<N>, parameters: &[f64]) -> Option<Vec<f64>> {
    let parameters = <[f64; N]>::try_from(parameters).ok()?;
    let axes = Axes::of(curvature(hill, &parameters.map(log)));
    if !axes.values.iter().all(|value| *value > 0.0) {
        return None;
    }
    let spread = axes.with(|value| 1.0 / value);
    Some((0..N).map(|i| parameters[i] * spread[i][i].sqrt()).collect())
}

/// Where to begin, from a few sums over the population.
struct Starts {
    /// Purchases a week.
    rate: f64,
    /// Weeks of an ordinary observation.
    scale: f64,
}

impl Starts {
    fn of(histories: &Histories) -> Self {
        let scale = histories.scale();
        Self { rate: histories.repeats() as f64 / (histories.customers() as f64 * scale), scale }
    }

    /// The box: parameters of time are measured by the ordinary observation.
    fn bounds<const N: usize>(&self, timed: [bool; N]) -> Bounds<N> {
        let unit: [f64; N] = timed.map(|timed| if timed { log(self.scale) } else { 0.0 });
        Bounds { low: unit.map(|unit| unit - REACH), high: unit.map(|unit| unit + REACH) }
    }

    fn of_nbd(&self) -> Vec<[f64; 2]> {
        [0.3, 1.0, 10.0].map(|r| [log(r), log(r / self.rate)]).to_vec()
    }

    /// The buying that fits without any leaving, kept to where other parameters still matter.
    fn buying(&self, histories: &Histories) -> (f64, f64) {
        let coarse = histories.sampled(COARSE);
        let hill = hill::<2, Nbd>(coarse.as_ref().unwrap_or(histories));
        match best_of_starts(&hill, &self.of_nbd(), &self.bounds([false, true])) {
            Ok(summit) => (exp(summit.at[0]).clamp(0.05, 50.0), self.rate),
            Err(_) => (1.0, self.rate),
        }
    }

    fn of_flips(&self, histories: &Histories) -> Vec<[f64; 4]> {
        let (r, rate) = self.buying(histories);
        // Leavers make the rate of those who stay look lower than it is.
        [
            (1.0, 1.0, 0.05, 1.0),
            (1.0, 1.5, 0.5, 2.0),
            (1.0, 3.0, 1.0, 1.0),
            (2.0, 2.0, 1.0, 10.0),
            (0.5, 1.5, 20.0, 60.0),
        ]
        .map(|(shape, faster, a, b)| [log(r * shape), log(r * shape / (rate * faster)), log(a), log(b)])
        .to_vec()
    }

    fn of_lapse(&self, histories: &Histories) -> Vec<[f64; 4]> {
        let (r, rate) = self.buying(histories);
        [(1.0, 1.0, 0.05, 1.0), (1.0, 1.5, 0.6, 0.3), (1.0, 2.0, 1.5, 1.0), (2.0, 3.0, 5.0, 5.0), (0.5, 1.5, 0.5, 10.0)]
            .map(|(shape, faster, s, beta)| {
                [log(r * shape), log(r * shape / (rate * faster)), log(s), log(beta * self.scale)]
            })
            .to_vec()
    }
}
