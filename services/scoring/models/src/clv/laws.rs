//! What must hold for any history, any parameters and any population.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::flips::Flips;
use super::lapse::Lapse;
use super::nbd::Nbd;
use super::process::{Process, likelihood};
use super::*;

fn power(least: f64, most: f64) -> impl Strategy<Value = f64> {
    (least.ln()..most.ln()).prop_map(f64::exp)
}

fn history() -> impl Strategy<Value = History> {
    let repeats = prop_oneof![3 => Just(0u32), 6 => 1..12u32, 2 => 12..200u32, 1 => 200..1_000_000u32];
    (repeats, 1e-6..=1.0f64, power(1e-3, 1e4)).prop_map(|(repeats, share, age)| {
        History::new(repeats, if repeats == 0 { 0.0 } else { share * age }, age).unwrap()
    })
}

/// Histories of days, as shops have them.
fn ordinary() -> impl Strategy<Value = History> {
    (proptest::collection::vec(0..300i64, 1..12), 300..400i64)
        .prop_map(|(days, end)| History::of_days(days, end).unwrap())
}

fn model() -> impl Strategy<Value = Model> {
    let kind = proptest::sample::select(Kind::ALL.to_vec());
    (kind, power(1e-3, 1e3), power(1e-3, 1e4), power(1e-3, 1e3), power(1e-3, 1e3))
        .prop_map(|(kind, r, alpha, a, b)| Model::new(kind, &[r, alpha, a, b][..kind.parameters().len()]).unwrap())
}

fn gradient<const N: usize, P: Process<N>>(parameters: [f64; N], history: History) -> Result<(), TestCaseError> {
    let all: Histories = [history].into_iter().collect();
    let (value, slopes) = likelihood(P::of(parameters), &all);
    prop_assert!(value.is_finite());
    for i in 0..N {
        let step = 1e-5;
        let at = |by: f64| {
            let mut moved = parameters;
            moved[i] *= 1.0 + by;
            likelihood(P::of(moved), &all).0
        };
        // By the logarithm of the parameter, from four points.
        let want = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
        let got = slopes[i] * parameters[i];
        let scale = value.abs() + got.abs() + 1.0;
        prop_assert!((got - want).abs() <= 1e-7 * scale, "{i}: {got} {want} ({value})");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_a_number_in_its_bounds(model in model(), history in history(), weeks in power(1e-3, 1e5)) {
        prop_assert!(model.log_likelihood_of(&history).is_finite());
        let alive = model.alive(&history);
        prop_assert!((0.0..=1.0).contains(&alive), "{alive}");
        let expected = model.expected(&history, weeks);
        let most = (model.parameters()[0] + f64::from(history.repeats())) * weeks
            / (model.parameters()[1] + history.age());
        prop_assert!(expected >= 0.0 && expected <= most * (1.0 + 1e-12), "{expected} {most}");
        let new = model.expected_of_new(weeks);
        prop_assert!(new >= 0.0 && new.is_finite(), "{new}");
        if let Some(probability) = model.probability(weeks, history.repeats().min(300)) {
            prop_assert!((0.0..=1.0).contains(&probability), "{probability}");
        }
    }

    #[test]
    fn discounting_takes_away_and_little_when_the_rate_is_low(model in model(), history in ordinary(), weeks in 1.0..500.0f64) {
        let whole = model.expected(&history, weeks);
        let little = model.discounted(&history, weeks, 1e-9);
        let much = model.discounted(&history, weeks, 0.01);
        prop_assert!(much >= 0.0 && much <= whole * (1.0 + 1e-9), "{much} {whole}");
        prop_assert!((little - whole).abs() <= 1e-6 * whole + 1e-300, "{little} {whole}");
        // Period by period, ever shorter periods come near to it.
        let steps = 400u32;
        let by_period = model.discounted_by_period(&history, weeks / f64::from(steps), steps, (0.01 * weeks / f64::from(steps)).exp_m1());
        prop_assert!((by_period - much).abs() <= 0.02 * weeks / 4.0 * whole, "{by_period} {much}");
    }

    #[test]
    fn the_later_the_last_purchase_the_likelier_alive(model in model(), repeats in 1..50u32, age in power(0.1, 1e3), a in 0.01..1.0f64, b in 0.01..1.0f64) {
        let at = |share: f64| model.alive(&History::new(repeats, share * age, age).unwrap());
        let (early, late) = (a.min(b), a.max(b));
        prop_assert!(at(early) <= at(late) + 1e-12, "{} {}", at(early), at(late));
    }

    #[test]
    fn longer_is_more(model in model(), history in history(), a in power(1e-3, 1e4), b in power(1e-3, 1e4)) {
        let (short, long) = (model.expected(&history, a.min(b)), model.expected(&history, a.max(b)));
        prop_assert!(short <= long * (1.0 + 1e-9), "{short} {long}");
    }

    #[test]
    fn probabilities_sum_to_one(r in power(0.05, 5.0), alpha in power(1.0, 50.0), a in power(0.1, 5.0), b in power(0.1, 5.0)) {
        for model in [Model::new(Kind::Nbd, &[r, alpha]).unwrap(), Model::new(Kind::BgNbd, &[r, alpha, a, b]).unwrap()] {
            let (mut sum, mut mean) = (0.0, 0.0);
            for x in 0..400 {
                let p = model.probability(20.0, x).unwrap();
                sum += p;
                mean += f64::from(x) * p;
            }
            let tail = 1e-3 * f64::from(u8::from(20.0 * r / alpha > 20.0)) + 1e-6;
            if 20.0 / (20.0 + alpha) < 0.93 {
                prop_assert!((sum - 1.0).abs() <= tail, "{sum}");
                prop_assert!((mean - model.expected_of_new(20.0)).abs() <= 1e-3 * mean, "{mean}");
            }
        }
    }

    #[test]
    fn slopes_are_those_of_the_likelihood(
        history in history(), r in power(1e-2, 1e2), alpha in power(1e-1, 1e3), a in power(1e-2, 1e2), b in power(1e-2, 1e3),
    ) {
        gradient::<2, Nbd>([r, alpha], history)?;
        gradient::<4, Flips<0>>([r, alpha, a, b], history)?;
        gradient::<4, Flips<1>>([r, alpha, a, b], history)?;
        gradient::<4, Lapse>([r, alpha, a, b], history)?;
    }

    #[test]
    fn without_a_last_purchase_to_know_of_both_ways_of_counting_weeks_agree(model in model(), history in ordinary(), unit in power(0.1, 10.0)) {
        // Days instead of weeks: time parameters and times scale together.
        let mut parameters = model.parameters().to_vec();
        parameters[1] *= unit;
        if model.kind() == Kind::ParetoNbd {
            parameters[3] *= unit;
        }
        let other = Model::new(model.kind(), &parameters).unwrap();
        let moved = History::new(history.repeats(), history.last() * unit, history.age() * unit).unwrap();
        prop_assert!((model.alive(&history) - other.alive(&moved)).abs() < 1e-9);
        let (a, b) = (model.expected(&history, 9.0), other.expected(&moved, 9.0 * unit));
        prop_assert!((a - b).abs() <= 1e-8 * a + 1e-300, "{a} {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_splitting_of_counts_moves_a_bit(mut all in proptest::collection::vec((ordinary(), 1..5u64), 3..60)) {
        let fitted = |histories: Histories| Kind::ALL.map(|kind| fit(kind, &histories));
        let bits = |fits: [Result<Fit, CannotFit>; 4]| {
            fits.map(|fit| fit.map(|fit| {
                let parameters: Vec<u64> = fit.model.parameters().iter().map(|p| p.to_bits()).collect();
                (parameters, fit.log_likelihood.to_bits())
            }))
        };
        let whole = bits(fitted(all.iter().copied().collect()));
        all.reverse();
        let split: Vec<History> = all.iter().flat_map(|(history, n)| std::iter::repeat_n(*history, usize::try_from(*n).unwrap())).collect();
        prop_assert_eq!(whole, bits(fitted(split.into_iter().collect())));
    }

    #[test]
    fn any_population_is_fitted_or_refused(all in proptest::collection::vec(history(), 1..40)) {
        let histories: Histories = all.into_iter().collect();
        for kind in Kind::ALL {
            match fit(kind, &histories) {
                Ok(fit) => {
                    prop_assert!(fit.log_likelihood.is_finite());
                    prop_assert!(fit.model.parameters().iter().all(|p| p.is_finite() && *p > 0.0));
                }
                Err(error) => prop_assert_eq!(error, CannotFit::NoRepeats { customers: histories.customers() }),
            }
        }
    }

    #[test]
    fn models_with_leaving_fit_at_least_as_well_as_the_one_without(all in proptest::collection::vec(ordinary(), 5..80)) {
        let histories: Histories = all.into_iter().collect();
        if let Ok(choice) = fit_all(&histories) {
            let without = choice.fits[0].log_likelihood;
            for fit in &choice.fits {
                prop_assert!(fit.log_likelihood >= without - 1e-3, "{fit:?} {without}");
            }
        }
    }

    #[test]
    fn any_spends_are_fitted(all in proptest::collection::vec((1..50u32, power(1e-6, 1e9)), 1..60)) {
        let spends: Spends = all.into_iter().map(|(x, m)| Spend::new(x, m).unwrap()).collect();
        let fit = fit_spend(&spends).unwrap();
        prop_assert!(fit.log_likelihood.is_finite());
        prop_assert!(fit.model.parameters().iter().all(|p| p.is_finite() && *p > 0.0));
    }
}

/// Populations with no inner maximum: each ends at a cap or on a flat, and says so.
#[test]
fn what_the_data_do_not_determine_is_said() {
    let new = |x, last, age| History::new(x, last, age).unwrap();
    let alike: Histories = [(new(4, 40.0, 50.0), 100)].into_iter().collect();
    let one: Histories = [new(3, 10.0, 20.0)].into_iter().collect();
    let huge: Histories = [new(u32::MAX, 1e9, 1e9), new(1, 1e-6, 1e-6)].into_iter().collect();
    let up_to_the_end: Histories = (1..50).map(|n| new(n, 50.0, 50.0)).collect();
    for (name, histories) in [("alike", &alike), ("one", &one), ("huge", &huge), ("to the end", &up_to_the_end)] {
        for kind in Kind::ALL {
            let fit = fit(kind, histories).unwrap();
            assert!(fit.log_likelihood.is_finite(), "{name} {kind}: {fit:?}");
            assert!(kind == Kind::Nbd || !fit.limits.is_empty(), "{name} {kind}: {fit:?}");
            assert_eq!(fit.standard_errors(histories).is_some(), fit.limits.is_empty(), "{name} {kind}: {fit:?}");
        }
    }
    let equal: Spends = [Spend::new(2, 5.0).unwrap(); 9].into_iter().collect();
    let fit = fit_spend(&equal).unwrap();
    assert!(!fit.limits.is_empty() && fit.correlation.is_none(), "{fit:?}");
}

#[test]
fn nobody_and_no_repeats_are_refused() {
    let nobody: Histories = std::iter::empty::<History>().collect();
    let once: Histories = [(History::new(0, 0.0, 0.0).unwrap(), 7)].into_iter().collect();
    for kind in Kind::ALL {
        assert_eq!(fit(kind, &nobody).unwrap_err(), CannotFit::NoCustomers);
        assert_eq!(fit(kind, &once).unwrap_err(), CannotFit::NoRepeats { customers: 7 });
    }
    assert_eq!(fit_spend(&std::iter::empty::<Spend>().collect()).unwrap_err(), CannotFit::NoSpend);
}

#[test]
fn a_mean_that_is_infinite_is_none() {
    assert_eq!(GammaGamma::new(2.0, 1.0, 3.0).unwrap().population_mean(), None);
    assert_eq!(GammaGamma::new(2.0, 0.9, 3.0).unwrap().expected(None), None);
    assert_eq!(GammaGamma::new(2.0, 3.0, 3.0).unwrap().expected(None), Some(3.0));
    assert!(GammaGamma::new(2.0, f64::NAN, 3.0).is_err());
    assert!(Model::new(Kind::Nbd, &[1.0]).unwrap_err().to_string().contains("r, alpha"));
    assert!(Model::new(Kind::BgNbd, &[1.0, 1.0, -1.0, 1.0]).unwrap_err().to_string().starts_with("a is -1"));
}
