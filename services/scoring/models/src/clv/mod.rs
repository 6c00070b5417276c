//! Customer lifetime value: who is still a customer, how much they will buy, and what it is worth.
//!
//! A customer who leaves does not say so. The models tell leaving from mere silence by how often and how lately each
//! customer bought: `x` repeat purchases, the last `t_x` after the first, observed for `T` ([`History`]).
//!
//! | model | leaving | source |
//! |---|---|---|
//! | NBD | never | Ehrenberg 1959 |
//! | BG/NBD | a coin after each repeat purchase | Fader, Hardie & Lee 2005, Mkt Sci 24(2) |
//! | MBG/NBD | a coin after each purchase, the first too | Batislam et al. 2007; Hoppe & Wagner 2007 |
//! | Pareto/NBD | at any time | Schmittlein, Morrison & Colombo 1987; Fader & Hardie 2005 |
//! | Gamma-Gamma | (what a purchase brings) | Colombo & Jiang 1999; Fader & Hardie 2013 |
//!
//! **Conventions**, those of the papers: weeks are days / 7 exactly, purchases of one day are one, `x` counts repeats,
//! `t_x = 0` when `x = 0`, `T` runs from the first purchase, mean spend leaves the first purchase out, and whoever spent
//! nothing leaves the spend model out.
//!
//! **Numbers.** Everything stays in logarithms, so a thousand purchases underflow nothing. The published forms lose their
//! digits where customers are ordinary and have poles where the models have none (`a = 1`, `s = 1`, `a + b = 1`); each is
//! replaced by the positive sum or integral that it abbreviates (`dropout`, `lapse`), with the poles divided out. Logarithms
//! and exponentials come from `libm`, so the bits are the same on every machine.
//!
//! **Speed.** Equal histories are collapsed ([`Histories`]), gamma functions are computed once for each number of
//! repeats, gradients are exact, and a great population is climbed from the summit of its sample.
//!
//! Nothing here answers with what is no number: input that no customer can have is refused when a [`History`] or a
//! [`Spend`] is made, and a population without an inner maximum is fitted up to caps and says so ([`Limit`]).

mod buying;
mod climb;
mod dropout;
mod fit;
mod fit_spend;
mod flips;
mod gamma;
mod gamma_gamma;
mod histories;
mod history;
mod integral;
mod lapse;
mod matrix;
mod model;
mod nbd;
mod process;
mod spend;
mod value;

pub use fit::{CannotFit, Choice, Fit, Limit, Reach, fit, fit_all};
pub use fit_spend::{SpendFit, fit_spend};
pub use gamma_gamma::GammaGamma;
pub use histories::Histories;
pub use history::{Customer, History, NotAHistory};
pub use model::{BadParameters, Forecast, Kind, Model};
pub use spend::{NotASpend, Spend, Spends};
pub use value::lifetime_value;

#[cfg(test)]
mod laws;
