//! What a model says of one party.

use rapport_types::money::{Currency, Money};

use super::population::{history, spend, units};
use super::{FittedModel, Spending};

/// Days of a year, for a rate by the year.
const YEAR: f64 = 365.25;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outlook {
    /// How far to look ahead, in weeks.
    pub(crate) weeks: f64,
    /// The yearly discount rate.
    pub(crate) rate: f64,
}

impl Outlook {
    /// The rate by the week, compounding at every moment.
    fn weekly(self) -> f64 {
        (1.0 + self.rate).ln() * 7.0 / YEAR
    }
}

/// What is to be expected of a party.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    /// The probability that it still orders.
    pub(crate) alive: f64,
    /// Purchases until the end of the outlook.
    pub(crate) purchases: f64,
    /// What each comes to.
    pub(crate) spend: Money,
    /// What they are worth now.
    pub(crate) value: Money,
    /// Whether the spend model said what each comes to.
    pub(crate) modelled: bool,
}

/// What a model says of a party. `None` if what is stored is no model.
pub(crate) fn worth(model: &FittedModel, spending: &Spending, outlook: Outlook) -> Option<Worth> {
    let history = history(spending)?;
    let (purchases, alive) = (model.purchases.model()?, model.alive.model()?);
    let modelled = model.spend.model().and_then(|fitted| fitted.expected(spend(spending).as_ref()));
    let each = modelled.unwrap_or_else(|| units(model.spend.mean.total()));
    Some(Worth {
        alive: alive.alive(&history).clamp(0.0, 1.0),
        purchases: purchases.expected(&history, outlook.weeks).max(0.0),
        spend: money(each, model.currency),
        value: money(purchases.discounted(&history, outlook.weeks, outlook.weekly()) * each, model.currency),
        modelled: modelled.is_some(),
    })
}

/// An estimate as money, in the currency's minor unit.
fn money(amount: f64, currency: Currency) -> Money {
    let minor = amount.max(0.0) * f64::from(10_u32.pow(currency.digits()));
    // Saturates; what is not a number is nothing.
    #[allow(clippy::cast_possible_truncation)]
    Money::from_minor(minor.round() as i64, currency)
}
