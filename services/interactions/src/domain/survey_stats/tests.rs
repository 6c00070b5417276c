#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

//! The published and computed references of `fixtures/`, and the laws of the figures.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn reference(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn loyalty() -> Value {
    reference(include_str!("../../../fixtures/nps_expected.json"))
}

fn shares() -> Value {
    reference(include_str!("../../../fixtures/csat_ces.json"))
}

fn usual() -> Confidence {
    Confidence::parse(None).unwrap()
}

fn nps(groups: Groups) -> Nps {
    // Any answers of the groups will do.
    let counts = [(10, groups.promoters), (7, groups.passives), (3, groups.detractors)];
    match Tally::new(Measure::Nps, counts).figures(usual()).unwrap() {
        Figures::Nps(figures) => figures,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn close(found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[track_caller]
fn lies(interval: Interval, method: IntervalMethod, expected: &Value) {
    assert_eq!(interval.method, method);
    close(interval.lower, &expected[0]);
    close(interval.upper, &expected[1]);
}

fn answers(case: &Value) -> Vec<(i16, u64)> {
    case["responses"].as_array().unwrap().iter().map(|one| (i16::try_from(one.as_i64().unwrap()).unwrap(), 1)).collect()
}

#[test]
fn net_promoter_scores_are_the_references() {
    let all = loyalty();
    let by_unit = all["by_BU"].as_object().unwrap().values();
    let edge = all["edge"].as_array().unwrap();
    let two = [&all["two_sample"]["nam"], &all["two_sample"]["emea"]];
    let mut seen = 0;
    for case in std::iter::once(&all["overall"]).chain(by_unit).chain(edge).chain(two) {
        let count = |name: &str| case[name].as_u64().unwrap();
        let groups =
            Groups { promoters: count("promoters"), passives: count("passives"), detractors: count("detractors") };
        let found = nps(groups);
        assert_eq!(found.groups, groups);
        close(found.score, &case["nps"]);
        close(found.standard_error, &case["se"]);
        lies(found.intervals[0], IntervalMethod::AdjustedWald, &case["adjusted_wald"]);
        match found.intervals.get(1) {
            Some(wald) => lies(*wald, IntervalMethod::Wald, &case["wald"]),
            None => assert!(count("n") < ENOUGH),
        }
        // With few answers it is not told, and is right all the same.
        let (p, m, d) = (groups.promoters as f64, groups.passives as f64, groups.detractors as f64);
        lies(Moments::of(p, m, d).interval(IntervalMethod::Wald, usual().z()), IntervalMethod::Wald, &case["wald"]);
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn shares_are_the_references() {
    let all = shares();
    for case in all["wilson"].as_array().unwrap() {
        let (lower, upper) = wilson(case["k"].as_f64().unwrap(), case["n"].as_f64().unwrap(), usual().z());
        close(lower, &case["got"][0]);
        close(upper, &case["got"][1]);
        for (found, published) in [(lower, &case["published"][0]), (upper, &case["published"][1])] {
            assert!((found - published.as_f64().unwrap()).abs() <= 0.000_05, "{found} is not {published}");
        }
    }
    for case in all["csat"].as_array().unwrap() {
        let Some(Figures::Csat(share)) = Tally::new(Measure::Csat, answers(case)).figures(usual()) else { panic!() };
        close(share.percent, &case["csat"]);
        lies(share.interval, IntervalMethod::Wilson, &case["ci"]);
    }
    for case in all["ces"].as_array().unwrap() {
        let Some(Figures::Ces(share, mean)) = Tally::new(Measure::Ces, answers(case)).figures(usual()) else {
            panic!()
        };
        close(share.percent, &case["top3"]);
        close(mean, &case["mean"]);
    }
}

#[test]
fn nobody_answered_is_no_figure() {
    for (measure, _, _) in Measure::ALL {
        assert_eq!(Tally::new(*measure, []).figures(usual()), None);
        // What is on no scale is no answer.
        let tally = Tally::new(*measure, [(-1, 5), (11, 5), (3, 0)]);
        assert_eq!((tally.n(), tally.figures(usual())), (0, None));
    }
}

proptest! {
    #[test]
    fn a_score_lies_within_its_scale_and_its_quoted_interval(
        promoters in 0u64..5_000, passives in 0u64..5_000, detractors in 0u64..5_000,
    ) {
        prop_assume!(promoters + passives + detractors > 0);
        let n = promoters + passives + detractors;
        let found = nps(Groups { promoters, passives, detractors });
        prop_assert!((-100.0..=100.0).contains(&found.score));
        prop_assert!((0.0..=1.0).contains(&found.variance));
        prop_assert!(found.standard_error >= 0.0 && found.standard_error <= 100.0 / (n as f64).sqrt() + 1e-9);
        let quoted = found.intervals[0];
        prop_assert_eq!(quoted.method, IntervalMethod::AdjustedWald);
        prop_assert!(quoted.lower < quoted.upper, "an interval that says nothing");
        prop_assert!(quoted.lower <= found.score && found.score <= quoted.upper, "{:?}", found);
        prop_assert_eq!(found.intervals.len(), if n < ENOUGH { 1 } else { 2 });
        // Turned around, everything is turned around.
        let turned = nps(Groups { promoters: detractors, passives, detractors: promoters });
        prop_assert!((turned.score + found.score).abs() < 1e-9);
        prop_assert!((turned.intervals[0].lower + quoted.upper).abs() < 1e-9);
    }

    #[test]
    fn more_answers_of_the_same_kind_make_it_surer(
        promoters in 0u64..500, passives in 0u64..500, detractors in 0u64..500, times in 2u64..50,
    ) {
        prop_assume!(promoters + passives + detractors > 0);
        let width = |times: u64| {
            let groups = Groups {
                promoters: promoters * times, passives: passives * times, detractors: detractors * times,
            };
            let quoted = nps(groups).intervals[0];
            quoted.upper - quoted.lower
        };
        prop_assert!(width(times) < width(1));
    }

    #[test]
    fn a_share_lies_within_its_interval_and_that_within_the_whole(
        k in 0u64..10_000, rest in 0u64..10_000, level in 0.5f64..=0.999,
    ) {
        prop_assume!(k + rest > 0);
        let share = Share::of(k, k + rest, Confidence::parse(Some(level)).unwrap().z());
        let Interval { lower, upper, .. } = share.interval;
        prop_assert!(0.0 <= lower && upper <= 100.0 && lower < upper);
        prop_assert!(lower <= share.percent + 1e-9 && share.percent <= upper + 1e-9);
    }

    #[test]
    fn the_counts_are_all_that_matters(mut scores in proptest::collection::vec(0i16..=10, 1..200)) {
        let one_by_one = Tally::new(Measure::Nps, scores.iter().map(|score| (*score, 1)));
        scores.reverse();
        let turned = Tally::new(Measure::Nps, scores.iter().map(|score| (*score, 1)));
        prop_assert_eq!(&one_by_one, &turned);
        prop_assert_eq!(one_by_one.n(), scores.len() as u64);
        prop_assert_eq!(one_by_one.counts().map(|(_, count)| count).sum::<u64>(), scores.len() as u64);
        prop_assert_eq!(one_by_one.figures(usual()), turned.figures(usual()));
    }
}
