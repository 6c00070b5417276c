//! Fitting a model on what parties did.

use std::fmt;

use rapport_scoring_models::clv::{CannotFit, Fit, Histories, History, Kind, Spend, Spends, fit, fit_spend};
use rapport_types::money::{Currency, Money};

use super::{Family, FitOrder, Fitted, FittedModel, SpendFitted, Spending, Warning};

/// What was observed of all parties.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population {
    histories: Vec<History>,
    spends: Vec<Spend>,
    repeaters: u64,
    /// Purchases and what they came to, in billionths: of repeat purchases, and of all.
    repeated: (u64, i128),
    all: (u64, i128),
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NoModel {
    /// Too little was observed.
    NotEnough(String),
    /// It is not wanted any more.
    Stopped,
}

impl fmt::Display for NoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoModel::NotEnough(why) => f.write_str(why),
            NoModel::Stopped => f.write_str("stopped"),
        }
    }
}

impl From<CannotFit> for NoModel {
    fn from(error: CannotFit) -> NoModel {
        NoModel::NotEnough(error.to_string())
    }
}

/// The history of a party in the terms of the models.
pub(crate) fn history(spending: &Spending) -> Option<History> {
    History::of_days(spending.days().map(|day| day.number().into()), spending.end.number().into())
}

/// The spend of a party in the terms of the models: the mean of its repeat purchases, if they came to something.
pub(crate) fn spend(spending: &Spending) -> Option<Spend> {
    let repeats = spending.repeats();
    let mean = units(spending.repeat_total()) / f64::from(repeats.max(1));
    Spend::new(repeats, mean).ok()
}

/// Billionths as units: models are floating point from here on.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn units(nanos: i128) -> f64 {
    nanos as f64 / 1e9
}

impl Population {
    /// Adds a party.
    pub(crate) fn add(&mut self, spending: &Spending) {
        let Some(history) = history(spending) else {
            return;
        };
        let repeats = u64::from(spending.repeats());
        self.histories.push(history);
        self.repeaters += u64::from(repeats > 0);
        self.repeated = (self.repeated.0 + repeats, self.repeated.1 + spending.repeat_total());
        self.all = (self.all.0 + repeats + 1, self.all.1 + spending.total());
        self.spends.extend(spend(spending));
    }

    /// Fits what was ordered. `go_on` is told before each step (how many are done, of how many, what comes) and says whether to.
    ///
    /// # Errors
    /// Too little was observed; or `go_on` said no.
    pub(crate) fn fit(
        self,
        order: &FitOrder,
        currency: Currency,
        go_on: impl Fn(u64, u64, &str) -> bool,
    ) -> Result<FittedModel, NoModel> {
        let kinds = kinds(order.family);
        let steps = kinds.len() as u64 + 1;
        let (customers, mean) = (self.histories.len() as u64, self.mean(currency));
        let histories: Histories = self.histories.into_iter().collect();
        let mut fits: Vec<Fit> = Vec::with_capacity(kinds.len());
        for (done, kind) in kinds.into_iter().enumerate() {
            if !go_on(done as u64, steps, &format!("fitting {}", kind.name())) {
                return Err(NoModel::Stopped);
            }
            fits.push(fit(kind, &histories)?);
        }
        if !go_on(steps - 1, steps, "fitting spend") {
            return Err(NoModel::Stopped);
        }
        let spend = fit_of_spend(self.spends.into_iter().collect(), mean);
        // The family asked for, else the likeliest that pays for its parameters.
        fits.sort_by(|one, other| other.log_likelihood.total_cmp(&one.log_likelihood));
        let kept = match order.family {
            Some(family) => fits.iter().position(|fit| fit.model.kind() == family.0),
            None => (0..fits.len()).min_by(|one, other| fits[*one].aic().total_cmp(&fits[*other].aic())),
        };
        let best = fits.remove(kept.unwrap_or(0));
        fits.insert(0, best);
        let best = &fits[0];
        let alive = if best.model.kind().doubts_single_buyers() {
            best
        } else {
            fits.iter().find(|fit| fit.model.kind() == Kind::MbgNbd).unwrap_or(best)
        };
        let mut warnings = Vec::new();
        if !best.limits.is_empty() || !alive.limits.is_empty() {
            warnings.push(Warning::Ridge);
        }
        if spend.correlation.abs() > Warning::CORRELATED {
            warnings.push(Warning::SpendCorrelated);
        }
        if spend.parameters.is_none() {
            warnings.push(Warning::NoSpendModel);
        }
        if self.repeaters < Warning::FEW {
            warnings.push(Warning::FewCustomers);
        }
        Ok(FittedModel {
            display_name: order.display_name.clone(),
            purchases: fitted(best),
            alive: fitted(alive),
            spend,
            currency,
            role_type: order.role_type.clone(),
            end: order.end,
            customers,
            repeaters: self.repeaters,
            warnings,
            candidates: fits.iter().map(fitted).collect(),
        })
    }

    /// What a purchase comes to on the mean: a repeat purchase, if there was one that cost something.
    fn mean(&self, currency: Currency) -> Money {
        let (count, nanos) = if self.repeated.1 > 0 { self.repeated } else { self.all };
        Money::from_total(nanos / i128::from(count.max(1)), currency).unwrap_or(Money::zero(currency))
    }
}

/// What has to be fitted: also what P(alive) comes from.
fn kinds(family: Option<Family>) -> Vec<Kind> {
    match family {
        None => Kind::ALL.to_vec(),
        Some(Family(kind)) if kind.doubts_single_buyers() => vec![kind],
        Some(Family(kind)) => vec![kind, Kind::MbgNbd],
    }
}

fn fitted(fit: &Fit) -> Fitted {
    Fitted {
        family: Family(fit.model.kind()),
        parameters: fit.model.parameters().to_vec(),
        log_likelihood: fit.log_likelihood,
        converged: fit.converged,
    }
}

fn fit_of_spend(spends: Spends, mean: Money) -> SpendFitted {
    let correlation = spends.correlation().unwrap_or(0.0);
    // Without a finite mean of the population (q <= 1) the model says nothing about what is spent.
    let fit = fit_spend(&spends).ok().filter(|fit| fit.model.population_mean().is_some());
    SpendFitted {
        parameters: fit.as_ref().map(|fit| fit.model.parameters()),
        log_likelihood: fit.as_ref().map_or(0.0, |fit| fit.log_likelihood),
        customers: spends.customers(),
        correlation,
        mean,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::domain::{Day, DaySum};

    fn order(family: Option<Kind>) -> FitOrder {
        FitOrder {
            family: family.map(Family),
            end: Day::from_number(400),
            currency: None,
            role_type: None,
            display_name: String::new(),
        }
    }

    fn spending(days: &[i32]) -> Spending {
        let days = days
            .iter()
            .map(|day| (Day::from_number(*day), DaySum { orders: 1, ordered: 7_000_000_000, ..DaySum::default() }));
        Spending::of(days, Day::from_number(400)).unwrap()
    }

    fn eur() -> Currency {
        Currency::parse("EUR").unwrap()
    }

    #[test]
    fn nobody_who_came_back_is_not_enough() {
        let fit = |population: Population| population.fit(&order(None), eur(), |_, _, _| true);
        assert!(matches!(fit(Population::default()), Err(NoModel::NotEnough(_))));
        let mut once = Population::default();
        once.add(&spending(&[3]));
        once.add(&spending(&[300]));
        assert!(matches!(fit(once), Err(NoModel::NotEnough(_))));
    }

    #[test]
    fn a_fit_stops_when_told_and_screens_use_a_family_that_doubts() {
        let mut some = Population::default();
        for at in 0..40 {
            some.add(&spending(&[at]));
            some.add(&spending(&[at, at + 20 + at % 7, at + 60 + 3 * at]));
            some.add(&spending(&[2 * at, 2 * at + 100]));
        }
        assert_eq!(some.clone().fit(&order(None), eur(), |done, _, _| done < 2), Err(NoModel::Stopped));
        let model = some.fit(&order(Some(Kind::BgNbd)), eur(), |_, _, _| true).unwrap();
        assert_eq!((model.purchases.family.0, model.alive.family.0), (Kind::BgNbd, Kind::MbgNbd));
        assert_eq!((model.customers, model.repeaters, model.candidates.len()), (120, 80, 2));
        assert!(model.warnings.contains(&Warning::FewCustomers));
        assert_eq!(model.spend.mean.units(), 7);
        let text = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<FittedModel>(&text).unwrap().purchases.family, model.purchases.family);
    }
}
