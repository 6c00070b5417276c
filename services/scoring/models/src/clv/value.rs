//! What a customer is worth: purchases to come, discounted, times what they are expected to bring (Fader, Hardie & Lee
//! 2005, "RFM and CLV", Journal of Marketing Research 42(4)).

use libm::{exp, expm1, log, log1p};

use super::gamma_gamma::GammaGamma;
use super::history::History;
use super::integral::integrate;
use super::model::{Kind, Model, ahead};
use super::spend::Spend;

/// How many times e the discount may shrink money before the rest is nothing.
const NOTHING: f64 = 45.0;

impl Model {
    /// The purchases expected within `horizon` weeks after the end of observation, each discounted continuously at
    /// `weekly_rate` to that end. Fifteen percent a year is a rate of `ln(1.15)/52 = 0.0027` a week.
    ///
    /// With an unlimited horizon these are the discounted expected transactions (DET) of the paper. A negative rate
    /// counts as none; the horizon as in [`Model::expected`].
    #[must_use]
    pub fn discounted(&self, history: &History, horizon: f64, weekly_rate: f64) -> f64 {
        let horizon = ahead(horizon);
        if !(weekly_rate > 0.0 && weekly_rate * horizon > 1e-12) {
            return self.expected(history, horizon);
        }
        let horizon = horizon.min(NOTHING / weekly_rate);
        let alive = self.alive(history);
        if alive <= 0.0 {
            return 0.0;
        }
        let parameters = self.parameters();
        let (shape, rate) = (parameters[0] + f64::from(history.repeats()), parameters[1] + history.age());
        let spent = -expm1(-weekly_rate * horizon);
        alive
            * match self.kind() {
                Kind::Nbd => shape / rate * (spent / weekly_rate),
                Kind::ParetoNbd => {
                    shape / rate
                        * discounted_lifetime(parameters[2], parameters[3] + history.age(), horizon, weekly_rate)
                }
                Kind::BgNbd | Kind::MbgNbd => {
                    // By parts: the money of what is bought by a time, weighed with how the discount falls then.
                    let mut staying = self.staying(history);
                    let last = (1.0 - spent) * staying.purchases(horizon / rate);
                    let slope = |u: f64| 2.0 + weekly_rate * rate * exp(u);
                    let [before] = integrate(0.0, log1p(horizon / rate), slope, |u| {
                        let t = rate * expm1(u);
                        [exp(-weekly_rate * t) * (rate + t) * staying.purchases(t / rate)]
                    });
                    last + weekly_rate * before
                }
            }
    }

    /// The purchases expected in each of `steps` periods of `weeks`, discounted period by period at `rate` to the end of
    /// observation: money counts as received at the end of its period.
    #[must_use]
    pub fn discounted_by_period(&self, history: &History, weeks: f64, steps: u32, rate: f64) -> f64 {
        let mut before = 0.0;
        let mut sum = 0.0;
        for step in 1..=steps {
            let until = self.expected(history, weeks * f64::from(step));
            sum += (until - before) * exp(-f64::from(step) * log(1.0 + rate.max(0.0)));
            before = until;
        }
        sum
    }
}

/// The discounted time alive: `integral of ((beta)/(beta+t))^s e^(-rate t) dt`, which is Tricomi's function without its
/// trouble at whole `s`.
fn discounted_lifetime(s: f64, beta: f64, horizon: f64, rate: f64) -> f64 {
    let slope = |u: f64| (s - 1.0).abs() + rate * beta * exp(u);
    let [sum] = integrate(0.0, log1p(horizon / beta), slope, |u| [exp((1.0 - s) * u - rate * beta * expm1(u))]);
    beta * sum
}

/// The discounted value of a customer's purchases within `horizon` weeks: [`Model::discounted`] times the expected spend
/// of one. Margin is the caller's to apply. None when the spend model has no finite mean.
#[must_use]
pub fn lifetime_value(
    model: &Model,
    spend: &GammaGamma,
    history: &History,
    seen: Option<&Spend>,
    horizon: f64,
    weekly_rate: f64,
) -> Option<f64> {
    Some(model.discounted(history, horizon, weekly_rate) * spend.expected(seen)?)
}
