//! The models against published figures and fifty-digit values (`fixtures/clv`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_scoring_models::clv::{
    Customer, Fit, GammaGamma, Histories, History, Kind, Model, Spend, Spends, fit, fit_all, fit_spend, lifetime_value,
};
use serde_json::Value;

const POINTWISE: &str = include_str!("../fixtures/clv/pointwise.json");
const UNCONDITIONAL: &str = include_str!("../fixtures/clv/unconditional.json");
const EXPECTED: &str = include_str!("../fixtures/clv/cdnow_sample_expected.json");
const SAMPLE: &str = include_str!("../fixtures/clv/cdnow_sample_cbs.csv");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// A list, or an object's fields by name.
fn named(value: &Value, names: &[&str]) -> Vec<f64> {
    match value {
        Value::Object(_) => names.iter().map(|name| number(&value[name])).collect(),
        _ => numbers(value),
    }
}

fn count(value: f64) -> u32 {
    format!("{value}").parse().unwrap()
}

#[track_caller]
fn near(got: f64, want: f64, relative: f64, of: &str) {
    assert!((got - want).abs() <= relative * want.abs() + 1e-12, "{of}: {got} is not {want}");
}

fn kind(name: &str) -> Kind {
    match name {
        "nbd" => Kind::Nbd,
        "bgnbd" => Kind::BgNbd,
        "mbgnbd" => Kind::MbgNbd,
        "pnbd" => Kind::ParetoNbd,
        _ => panic!("{name}"),
    }
}

#[test]
fn values_at_given_parameters() {
    let rows = json(POINTWISE);
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 72);
    for row in rows {
        let model = Model::new(kind(row["model"].as_str().unwrap()), &numbers(&row["params"])).unwrap();
        let history = History::new(count(number(&row["x"])), number(&row["tx"]), number(&row["T"])).unwrap();
        let of = row.to_string();
        near(model.log_likelihood_of(&history), number(&row["loglik"]), 1e-8, &of);
        near(model.alive(&history), number(&row["palive"]), 1e-8, &of);
        near(model.expected(&history, number(&row["t"])), number(&row["cond_expected"]), 1e-8, &of);
        if let Some(det) = row.get("det_delta_0_0027") {
            near(model.discounted(&history, f64::INFINITY, 0.0027), number(det), 1e-8, &of);
        }
        let all: Histories = [(history, 3)].into_iter().collect();
        near(model.log_likelihood(&all), 3.0 * number(&row["loglik"]), 1e-8, &of);
        model.forecast(&all, number(&row["t"]), |forecast| {
            assert_eq!(forecast.alive.to_bits(), model.alive(&history).to_bits());
            assert_eq!(forecast.expected.to_bits(), model.expected(&history, number(&row["t"])).to_bits());
        });
    }
}

#[test]
fn new_customers() {
    let all = json(UNCONDITIONAL);
    for name in ["bgnbd", "pnbd"] {
        let of = &all[name];
        let model = Model::new(kind(name), &numbers(&of["params"])).unwrap();
        for (t, want) in numbers(&of["t"]).into_iter().zip(numbers(&of["expected"])) {
            near(model.expected_of_new(t), want, 1e-8, &format!("{name} {t}"));
        }
    }
    let published = &all["bgnbd"]["published"];
    let model = Model::new(Kind::BgNbd, &numbers(&all["bgnbd"]["params"])).unwrap();
    for (t, want) in numbers(&published["t"]).into_iter().zip(numbers(&published["expected"])) {
        // Printed with parameters of more digits than printed.
        assert!((model.expected_of_new(t) - want).abs() < 5e-3, "{t}: {} {want}", model.expected_of_new(t));
    }
    for row in all["bgnbd_pmf"].as_array().unwrap() {
        let (t, n) = (number(&row["t"]), count(number(&row["n"])));
        near(model.probability(t, n).unwrap(), number(&row["p"]), 1e-8, &row.to_string());
    }
    let btyd = &all["btyd_published"];
    let pareto = Model::new(Kind::ParetoNbd, &numbers(&all["pnbd"]["params"])).unwrap();
    near(pareto.expected_of_new(52.0), number(&btyd["E_1yr_52wk"]), 5e-4, "a year");
    let customer = History::new(26, 30.857_14, 31.0).unwrap();
    near(pareto.expected(&customer, 52.0), number(&btyd["cust_x26_tx30_85714_T31"]["cet_52"]), 5e-4, "52 weeks");
    near(pareto.alive(&customer), number(&btyd["cust_x26_tx30_85714_T31"]["palive"]), 1e-5, "alive");
    for (x, want) in btyd["by_x_at_T39_recency20_t52"].as_object().unwrap() {
        let history = History::new(x.parse().unwrap(), 20.0, 39.0).unwrap();
        near(pareto.expected(&history, 52.0), number(want), 2e-3, x);
    }
}

/// A customer of the sample: its key, what is known at the end of September 1997, and what came after.
struct Known {
    key: String,
    history: History,
    spend: Option<Spend>,
    later: f64,
}

fn sample() -> Vec<Known> {
    let known: Vec<Known> = SAMPLE
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let at = |n: usize| cells[n].parse::<f64>().unwrap();
            let repeats = count(at(2));
            Known {
                key: cells[0].to_owned(),
                history: History::new(repeats, at(3) / 7.0, at(4) / 7.0).unwrap(),
                spend: (at(6) > 0.0).then(|| Spend::new(repeats, at(6)).unwrap()),
                later: at(5),
            }
        })
        .collect();
    assert_eq!(known.len(), 2_357);
    known
}

fn histories(known: &[Known]) -> Histories {
    known.iter().map(|known| known.history).collect()
}

fn assert_fit(fit: &Fit, want: &Value, of: &str) {
    assert!(fit.log_likelihood >= number(&want["loglik"]) - 1e-3, "{of}: {fit:?}");
    assert!(fit.converged && fit.limits.is_empty(), "{of}: {fit:?}");
    for ((got, name), want) in fit
        .model
        .parameters()
        .iter()
        .zip(fit.model.kind().parameters())
        .zip(named(&want["params"], fit.model.kind().parameters()))
    {
        near(*got, want, 2e-3, &format!("{of} {name}"));
    }
}

#[test]
fn the_sample_is_fitted_as_published() {
    let (known, expected) = (sample(), json(EXPECTED));
    let all = histories(&known);
    assert_eq!(all.repeats(), 2_457);
    for name in ["nbd", "bgnbd", "mbgnbd", "pnbd"] {
        let want = &expected["fits"][name];
        let fit = fit(kind(name), &all).unwrap();
        assert_fit(&fit, want, name);
        let errors = fit.standard_errors(&all).unwrap();
        for (got, want) in errors.into_iter().zip(named(&want["se"], kind(name).parameters())) {
            near(got, want, 2e-2, &format!("standard error of {name}"));
        }
        if want.get("aic").is_some() {
            near(fit.aic(), number(&want["aic"]), 1e-6, name);
            near(fit.bic(), number(&want["bic"]), 1e-6, name);
        }
        near(fit.model.log_likelihood(&all), fit.log_likelihood, 1e-12, name);
    }
}

/// 39 weeks that the fit has not seen: 1,882 purchases.
#[test]
fn the_hold_out_is_predicted_as_published() {
    let (known, expected) = (sample(), json(EXPECTED));
    let all = histories(&known);
    let actual: f64 = known.iter().map(|known| known.later).sum();
    near(actual, 1_882.0, 0.0, "hold-out");
    for name in ["nbd", "bgnbd", "mbgnbd", "pnbd"] {
        let want = &expected["fits"][name]["holdout"];
        let model = fit(kind(name), &all).unwrap().model;
        let predicted: Vec<f64> = known.iter().map(|known| model.expected(&known.history, 39.0)).collect();
        near(predicted.iter().sum(), number(&want["sum_pred"]), 1e-3, name);
        let mae = known.iter().zip(&predicted).map(|(known, p)| (known.later - p).abs()).sum::<f64>() / 2_357.0;
        near(mae, number(&want["mae"]), 1e-3, name);
        near(pearson(known.iter().map(|known| known.later).zip(predicted)), number(&want["pearson"]), 1e-3, name);
        let fits = &expected["fits"][name];
        if let Some(mean) = fits.get("mean_palive") {
            let alive: f64 = known.iter().map(|known| model.alive(&known.history)).sum();
            near(alive / 2_357.0, number(mean), 1e-3, name);
        }
        for customer in fits.get("customers").and_then(Value::as_array).into_iter().flatten() {
            let known = known.iter().find(|known| known.key == customer["cust"].as_str().unwrap()).unwrap();
            near(model.alive(&known.history), number(&customer["palive"]), 2e-3, name);
            near(model.expected(&known.history, 39.0), number(&customer["cet"]), 2e-3, name);
        }
    }
}

fn pearson(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let pairs: Vec<_> = pairs.collect();
    let n = f64::from(u32::try_from(pairs.len()).unwrap());
    let (a, b) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let of = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    of(&|p| (p.0 - a) * (p.1 - b)) / (of(&|p| (p.0 - a).powi(2)) * of(&|p| (p.1 - b).powi(2))).sqrt()
}

/// Week by week, cohort by cohort: cumulative repeats of the whole sample.
#[test]
fn cumulative_purchases_track_as_published() {
    let (known, expected) = (sample(), json(EXPECTED));
    let tracking = &expected["tracking"];
    let all = histories(&known);
    for (name, field) in [("bgnbd", "expected_bgnbd"), ("mbgnbd", "expected_mbgnbd"), ("pnbd", "expected_pnbd")] {
        let model = fit(kind(name), &all).unwrap().model;
        // The first purchases lie in the first twelve weeks of 1997; age at the end of September says when.
        for (week, want) in numbers(&tracking["weeks"]).into_iter().zip(numbers(&tracking[field])) {
            if week % 13.0 != 0.0 {
                continue;
            }
            let got: f64 = known
                .iter()
                .map(|known| {
                    let since = week - (272.0 / 7.0 - known.history.age());
                    if since > 0.0 { model.expected_of_new(since) } else { 0.0 }
                })
                .sum();
            near(got, want, 1e-3, &format!("{name} week {week}"));
        }
    }
}

#[test]
fn spend_is_fitted_as_published() {
    let (known, expected) = (sample(), json(EXPECTED));
    let want = &expected["fits"]["gammagamma"];
    let spends: Spends = known.iter().filter_map(|known| known.spend).collect();
    assert_eq!(spends.customers(), 946);
    let fit = fit_spend(&spends).unwrap();
    assert!(fit.log_likelihood >= number(&want["loglik"]) - 1e-3, "{fit:?}");
    assert!(fit.converged && fit.limits.is_empty(), "{fit:?}");
    for (got, want) in fit.model.parameters().into_iter().zip(named(&want["params"], &GammaGamma::PARAMETERS)) {
        near(got, want, 2e-3, "spend");
    }
    for (got, want) in
        fit.standard_errors(&spends).unwrap().into_iter().zip(named(&want["se"], &GammaGamma::PARAMETERS))
    {
        near(got, want, 2e-2, "standard error of spend");
    }
    near(fit.correlation.unwrap(), number(&want["corr_x_m"]), 1e-8, "correlation");
    near(fit.model.population_mean().unwrap(), number(&want["population_mean"]), 1e-3, "mean");
    for customer in want["customers"].as_array().unwrap() {
        let known = known.iter().find(|known| known.key == customer["cust"].as_str().unwrap()).unwrap();
        let got = fit.model.expected(known.spend.as_ref()).unwrap();
        near(got, number(&customer["expected_mean_spend"]), 1e-3, &known.key);
    }
}

#[test]
fn lifetime_value_as_published() {
    let (known, expected) = (sample(), json(EXPECTED));
    let of = |name: &str| {
        let names = kind(name).parameters();
        Model::new(kind(name), &named(&expected["fits"][name]["params"], names)).unwrap()
    };
    let (bg, pareto) = (of("bgnbd"), of("pnbd"));
    let [p, q, v] = named(&expected["fits"]["gammagamma"]["params"], &GammaGamma::PARAMETERS).try_into().unwrap();
    let spend = GammaGamma::new(p, q, v).unwrap();
    for customer in expected["clv"]["customers"].as_array().unwrap() {
        let known = known.iter().find(|known| known.key == customer["cust"].as_str().unwrap()).unwrap();
        let seen = known.spend.as_ref();
        let periods = bg.discounted_by_period(&known.history, 4.0, 13, 0.01);
        near(periods, number(&customer["bgnbd_discounted_tx_13x4wk_d1pct"]), 1e-6, &known.key);
        let money = spend.expected(seen).unwrap();
        near(periods * money, number(&customer["bgnbd_clv"]), 1e-6, &known.key);
        let det = pareto.discounted(&known.history, f64::INFINITY, 0.0027);
        near(det, number(&customer["pnbd_det_delta_0_0027"]), 1e-6, &known.key);
        let value = lifetime_value(&pareto, &spend, &known.history, seen, f64::INFINITY, 0.0027).unwrap();
        near(value, number(&customer["pnbd_dert_clv"]), 1e-6, &known.key);
    }
}

#[test]
fn the_best_model_is_chosen_by_likelihood() {
    let all = histories(&sample());
    let choice = fit_all(&all).unwrap();
    assert_eq!(choice.fits.len(), 4);
    assert_eq!(choice.best().model.kind(), Kind::MbgNbd);
    assert_eq!(choice.best_of(Kind::doubts_single_buyers).unwrap().model.kind(), Kind::MbgNbd);
    assert_eq!(choice.best_of(|kind| kind == Kind::ParetoNbd).unwrap().model.kind(), Kind::ParetoNbd);
    assert!(choice.best_of(|_| false).is_none());
}

/// A population drawn from the NBD itself is told to be one.
#[test]
fn who_never_leaves_is_modelled_without_leaving() {
    let all: Histories = (0..4_000u32)
        .map(|n| {
            // Rates by the quantiles of an exponential distribution, purchases spread evenly over 52 weeks.
            let quantile = (f64::from(n) + 0.5) / 4_000.0;
            let expected = -(1.0 - quantile).ln() * 5.0;
            let repeats = count(expected.floor());
            let last = if repeats == 0 { 0.0 } else { 52.0 * f64::from(repeats) / (f64::from(repeats) + 0.3) };
            History::new(repeats, last, 52.0).unwrap()
        })
        .collect();
    let choice = fit_all(&all).unwrap();
    assert_eq!(choice.best().model.kind(), Kind::Nbd, "{choice:?}");
}

/// The purchases themselves give the same histories as the table made of them.
#[test]
fn purchases_become_the_published_table() {
    const DAYS_TO_END: i64 = 272;
    let rows = [(0, 29.33), (16, 29.73), (213, 14.96), (330, 26.48)];
    let customer = Customer::of_purchases(rows, DAYS_TO_END).unwrap().unwrap();
    let first = &sample()[0];
    assert_eq!(customer.history, first.history);
    near(customer.spend.unwrap().mean(), first.spend.unwrap().mean(), 1e-12, "mean spend");
}
