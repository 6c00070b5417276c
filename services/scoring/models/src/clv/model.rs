//! A model with its parameters, and what it says of a customer.

use std::fmt;

use libm::{exp, expm1, log1p};

use super::dropout::Staying;
use super::flips::{Flipped, Flips};
use super::gamma::{ln_rising, logistic};
use super::histories::Histories;
use super::history::History;
use super::lapse::Lapse;
use super::nbd::Nbd;
use super::process::{Process, likelihood};

/// The longest time ahead, in weeks, that is told from a longer one.
const AHEAD_MAX: f64 = 1e9;

/// BG/NBD.
type Bg = Flips<0>;
/// MBG/NBD.
type Mbg = Flips<1>;

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Negative binomial: nobody leaves (Ehrenberg 1959).
    Nbd,
    /// Beta-geometric / NBD (Fader, Hardie & Lee 2005).
    BgNbd,
    /// Modified beta-geometric / NBD (Batislam et al. 2007; Hoppe & Wagner 2007).
    MbgNbd,
    /// Pareto / NBD (Schmittlein, Morrison & Colombo 1987).
    ParetoNbd,
}

impl Kind {
    /// All of them, the simplest first.
    pub const ALL: [Self; 4] = [Self::Nbd, Self::BgNbd, Self::MbgNbd, Self::ParetoNbd];

    /// The name by which it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nbd => "nbd",
            Self::BgNbd => "bg-nbd",
            Self::MbgNbd => "mbg-nbd",
            Self::ParetoNbd => "pareto-nbd",
        }
    }

    /// The model of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The parameters' names as the papers have them.
    #[must_use]
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Nbd => &["r", "alpha"],
            Self::BgNbd | Self::MbgNbd => &["r", "alpha", "a", "b"],
            Self::ParetoNbd => &["r", "alpha", "s", "beta"],
        }
    }

    /// Whether customers ever leave. Without, everybody is alive for certain.
    #[must_use]
    pub const fn has_death(self) -> bool {
        !matches!(self, Self::Nbd)
    }

    /// Whether someone who bought once and never again may be taken for gone. BG/NBD cannot say so, so an agent's screen
    /// uses one of these.
    #[must_use]
    pub const fn doubts_single_buyers(self) -> bool {
        matches!(self, Self::MbgNbd | Self::ParetoNbd)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why numbers are no parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum BadParameters {
    /// So many are needed.
    Number {
        /// The names of those needed.
        names: &'static [&'static str],
        /// How many were given.
        given: usize,
    },
    /// One of them is not above zero and finite.
    Value {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: f64,
    },
}

impl fmt::Display for BadParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { names, given } => write!(f, "{given} parameters; valid are {}", names.join(", ")),
            Self::Value { name, value } => {
                write!(f, "{name} is {value}; valid is a finite number from {PARAMETER_MIN:e} to {PARAMETER_MAX:e}")
            }
        }
    }
}

impl std::error::Error for BadParameters {}

/// Beyond these a parameter is zero or infinite for any purpose, and its powers are no numbers.
const PARAMETER_MIN: f64 = 1e-30;
const PARAMETER_MAX: f64 = 1e30;

/// The names and values of parameters, or what is wrong with them.
pub(super) fn checked<const N: usize>(
    names: &'static [&'static str],
    parameters: &[f64],
) -> Result<[f64; N], BadParameters> {
    let all = <[f64; N]>::try_from(parameters).map_err(|_| BadParameters::Number { names, given: parameters.len() })?;
    for (name, value) in names.iter().zip(all) {
        if !(PARAMETER_MIN..=PARAMETER_MAX).contains(&value) {
            return Err(BadParameters::Value { name, value });
        }
    }
    Ok(all)
}

/// A model with its parameters. Time is in weeks if the parameters are of weeks; nothing here depends on the unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    kind: Kind,
    /// Unused places are zero.
    parameters: [f64; 4],
}

impl Model {
    /// The model of that kind, its parameters in the order of [`Kind::parameters`].
    ///
    /// # Errors
    /// Too few, too many, or one that is not above zero and finite.
    pub fn new(kind: Kind, parameters: &[f64]) -> Result<Self, BadParameters> {
        let names = kind.parameters();
        Ok(match kind {
            Kind::Nbd => Self::of_two(checked(names, parameters)?),
            Kind::BgNbd | Kind::MbgNbd | Kind::ParetoNbd => Self::of_four(kind, checked(names, parameters)?),
        })
    }

    pub(super) const fn of_two([r, alpha]: [f64; 2]) -> Self {
        Self { kind: Kind::Nbd, parameters: [r, alpha, 0.0, 0.0] }
    }

    pub(super) const fn of_four(kind: Kind, parameters: [f64; 4]) -> Self {
        Self { kind, parameters }
    }

    /// Which model it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The parameters, in the order of [`Kind::parameters`].
    #[must_use]
    pub fn parameters(&self) -> &[f64] {
        &self.parameters[..self.kind.parameters().len()]
    }

    fn nbd(&self) -> Nbd {
        let [r, alpha, ..] = self.parameters;
        Nbd::of([r, alpha])
    }

    /// The logarithm of the likelihood of all histories: a density of the times of purchases given the first, as in the
    /// papers, so that the models can be compared.
    #[must_use]
    pub fn log_likelihood(&self, histories: &Histories) -> f64 {
        match self.kind {
            Kind::Nbd => likelihood(self.nbd(), histories).0,
            Kind::BgNbd => likelihood(Bg::of(self.parameters), histories).0,
            Kind::MbgNbd => likelihood(Mbg::of(self.parameters), histories).0,
            Kind::ParetoNbd => likelihood(Lapse::of(self.parameters), histories).0,
        }
    }

    /// The logarithm of the likelihood of one history.
    #[must_use]
    pub fn log_likelihood_of(&self, history: &History) -> f64 {
        match self.kind {
            Kind::Nbd => one(self.nbd(), history),
            Kind::BgNbd => one(Bg::of(self.parameters), history),
            Kind::MbgNbd => one(Mbg::of(self.parameters), history),
            Kind::ParetoNbd => one(Lapse::of(self.parameters), history),
        }
    }

    /// The probability that the customer is still one: P(alive), from 0 to 1.
    #[must_use]
    pub fn alive(&self, history: &History) -> f64 {
        match self.kind {
            Kind::Nbd => 1.0,
            Kind::BgNbd => alive(Bg::of(self.parameters), history),
            Kind::MbgNbd => alive(Mbg::of(self.parameters), history),
            Kind::ParetoNbd => alive(Lapse::of(self.parameters), history),
        }
    }

    /// The expected number of purchases in the `weeks` after the end of observation, `E[Y(t) | x, t_x, T]`.
    ///
    /// No weeks, or fewer, are none; more than a thousand million count as so many.
    #[must_use]
    pub fn expected(&self, history: &History, weeks: f64) -> f64 {
        let alive = self.alive(history);
        if alive > 0.0 { alive * self.expected_alive(history, ahead(weeks)) } else { 0.0 }
    }

    /// The expected number of repeat purchases in the first `weeks` of a new customer, `E[X(t)]`.
    #[must_use]
    pub fn expected_of_new(&self, weeks: f64) -> f64 {
        let weeks = ahead(weeks);
        let [r, alpha, third, fourth] = self.parameters;
        match self.kind {
            Kind::Nbd => r / alpha * weeks,
            Kind::BgNbd => Staying::new(r, third, fourth).purchases(weeks / alpha),
            Kind::MbgNbd => fourth / (third + fourth) * Staying::new(r, third, fourth + 1.0).purchases(weeks / alpha),
            Kind::ParetoNbd => r / alpha * lifetime(third, fourth, weeks),
        }
    }

    /// The expected purchases in the time ahead of someone who is alive.
    pub(super) fn expected_alive(&self, history: &History, weeks: f64) -> f64 {
        let [r, alpha, third, fourth] = self.parameters;
        let (shape, rate) = (r + f64::from(history.repeats()), alpha + history.age());
        match self.kind {
            Kind::Nbd => shape / rate * weeks,
            Kind::BgNbd | Kind::MbgNbd => self.staying(history).purchases(weeks / rate),
            Kind::ParetoNbd => shape / rate * lifetime(third, fourth + history.age(), weeks),
        }
    }

    /// How someone alive after this history stays, in the models with flips.
    pub(super) fn staying(&self, history: &History) -> Staying {
        let [r, _, a, _] = self.parameters;
        let b = match self.kind {
            Kind::MbgNbd => Mbg::of(self.parameters).survived(history.repeats()),
            _ => Bg::of(self.parameters).survived(history.repeats()),
        };
        Staying::new(r + f64::from(history.repeats()), a, b)
    }

    /// The probability that a new customer makes just so many repeat purchases in `weeks`, `P(X(t) = x)`. None for models
    /// that offer no closed form here.
    #[must_use]
    pub fn probability(&self, weeks: f64, repeats: u32) -> Option<f64> {
        let weeks = ahead(weeks);
        let counted = exp(self.nbd().ln_probability(weeks, repeats));
        match self.kind {
            Kind::Nbd => Some(counted),
            Kind::BgNbd => {
                // Fader, Hardie & Lee 2005, equation 8: never left, or left right after the last of them.
                let [_, _, a, b] = self.parameters;
                let stayed = exp(ln_rising(b, repeats) - ln_rising(a + b, repeats));
                if repeats == 0 {
                    return Some(counted);
                }
                let left = a / (b + f64::from(repeats - 1)) * stayed;
                Some((stayed * counted + left * self.nbd().tail(weeks, repeats)).clamp(0.0, 1.0))
            }
            Kind::MbgNbd | Kind::ParetoNbd => None,
        }
    }
}

/// The time ahead, whatever was asked for.
pub(super) fn ahead(weeks: f64) -> f64 {
    if weeks > 0.0 { weeks.min(AHEAD_MAX) } else { 0.0 }
}

fn one<const N: usize, P: Process<N>>(process: P, history: &History) -> f64 {
    process.likelihood(&process.of_repeats(history.repeats()), history.last(), history.age()).0
}

fn alive<const N: usize, P: Process<N>>(process: P, history: &History) -> f64 {
    logistic(-process.odds_of_death(&process.of_repeats(history.repeats()), history.last(), history.age()))
}

/// The expected time alive within `weeks` at a rate of leaving that is gamma with `s` and `beta`:
/// `beta/(s-1) [1 - (beta/(beta+t))^(s-1)]`, its pole at `s = 1` divided out.
fn lifetime(s: f64, beta: f64, weeks: f64) -> f64 {
    let grown = log1p(weeks / beta);
    let e = s - 1.0;
    if e == 0.0 { beta * grown } else { beta * (-expm1(-e * grown) / e) }
}

/// The states of a population at once, so that what depends on the repeats alone is computed once for each number.
impl Model {
    /// P(alive) and the purchases expected in `weeks`, of each distinct history in turn with the number of its
    /// customers. The order is that of repeats, recency and age.
    pub fn forecast(&self, histories: &Histories, weeks: f64, mut each: impl FnMut(Forecast)) {
        let weeks = ahead(weeks);
        let [_, _, a, _] = self.parameters;
        match self.kind {
            Kind::BgNbd => forecast_flips(Bg::of(self.parameters), a, histories, weeks, &mut each),
            Kind::MbgNbd => forecast_flips(Mbg::of(self.parameters), a, histories, weeks, &mut each),
            Kind::Nbd | Kind::ParetoNbd => {
                for (repeats, rows) in histories.groups() {
                    for row in rows {
                        let Ok(history) = History::new(repeats, row.last, row.age) else { continue };
                        let alive = self.alive(&history);
                        let expected = alive * self.expected_alive(&history, weeks);
                        each(Forecast { history, customers: row.count, alive, expected });
                    }
                }
            }
        }
    }
}

/// What a model says of one distinct history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// The history.
    pub history: History,
    /// How many customers share it.
    pub customers: f64,
    /// P(alive).
    pub alive: f64,
    /// The purchases expected.
    pub expected: f64,
}

fn forecast_flips<const FIRST: u32>(
    process: Flips<FIRST>,
    a: f64,
    histories: &Histories,
    weeks: f64,
    each: &mut impl FnMut(Forecast),
) {
    for (repeats, rows) in histories.groups() {
        let of: Flipped = process.of_repeats(repeats);
        let mut staying = Staying::new(of.buying.shape(), a, process.survived(repeats));
        for row in rows {
            let Ok(history) = History::new(repeats, row.last, row.age) else { continue };
            let alive = logistic(-process.odds_of_death(&of, row.last, row.age));
            let expected = alive * staying.purchases(weeks / (process.alpha + row.age));
            each(Forecast { history, customers: row.count, alive, expected });
        }
    }
}
