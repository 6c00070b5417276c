//! What must hold for any observations at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

const DAY: i64 = 86_400_000_000;
/// The year 1 and the end of 9999.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

fn health() -> DecayedMean {
    DecayedMean::new(HalfLife::days(180), Share::from_micros(500_000), Weight::from_micros(4_000_000))
}

fn fold(mean: &DecayedMean, observations: &[Observation]) -> Sums {
    let mut sums = Sums::default();
    for observation in observations {
        sums.add(mean.term(observation), Sign::Plus).unwrap();
    }
    sums
}

fn seen(day: i64, weight: u32, share: u32) -> Observation {
    Observation { at: day * DAY, weight: Weight::from_micros(weight), share: Share::from_micros(share) }
}

fn observation() -> impl Strategy<Value = Observation> {
    let at = prop_oneof![
        3 => 14_000 * DAY..20_000 * DAY,
        1 => FIRST..=LAST,
    ];
    (at, 0..=Weight::MAX.micros(), 0..=MICROS).prop_map(|(at, weight, share)| Observation {
        at,
        weight: Weight::from_micros(weight),
        share: Share::from_micros(share),
    })
}

fn mean() -> impl Strategy<Value = DecayedMean> {
    let half_life = prop_oneof![Just(HalfLife::days(180)), Just(HalfLife::days(1)), Just(HalfLife::days(7_300))];
    (half_life, 0..=MICROS, 0..=Weight::MAX.micros()).prop_map(|(half_life, prior, weight)| {
        DecayedMean::new(half_life, Share::from_micros(prior), Weight::from_micros(weight))
    })
}

fn before(observations: &[Observation], as_of: i64) -> Vec<Observation> {
    observations.iter().filter(|one| one.at <= as_of).copied().collect()
}

/// The formula as the page states it, in floating point.
fn stated(mean: &DecayedMean, observations: &[Observation], as_of: i64) -> f64 {
    let k = f64::from(mean.prior_weight().micros()) / 1e6;
    let (mut above, mut below) = (k * f64::from(mean.prior().micros()) / 1e6, k);
    for one in observations {
        let age = (as_of - one.at) as f64 / mean.half_life().as_micros() as f64;
        let weight = f64::from(one.weight.micros()) / 1e6 * libm::exp2(-age);
        above += weight * f64::from(one.share.micros()) / 1e6;
        below += weight;
    }
    100.0 * above / below
}

#[test]
fn all_24_orders_of_four_interactions_give_the_same_bits() {
    let mean = health();
    let four = [
        seen(19_000, 1_000_000, 700_000),
        seen(19_200, 3_000_000, 100_000),
        seen(13_000, 2_000_000, 950_000),
        seen(19_201, 777_777, 333_333),
    ];
    let mut orders = 0;
    let expected = fold(&mean, &four);
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                let d = 6 - a - b - c;
                let sums = fold(&mean, &[four[a], four[b], four[c], four[d]]);
                assert_eq!(sums, expected);
                assert_eq!(mean.read(&sums, 19_500 * DAY), mean.read(&expected, 19_500 * DAY));
                orders += 1;
            }
        }
    }
    assert_eq!(orders, 24);
}

#[test]
fn a_worked_example() {
    let mean = health();
    // One fresh order: 100 * (4 * .5 + 1 * .7) / (4 + 1) = 54; 180 days later 100 * (2 + .35) / 4.5 = 52.222222.
    let sums = fold(&mean, &[seen(19_000, 1_000_000, 700_000)]);
    let fresh = mean.read(&sums, 19_000 * DAY);
    assert_eq!((fresh.value_micros, fresh.weight_micros, fresh.count), (54_000_000, 1_000_000, 1));
    let later = mean.read(&sums, 19_180 * DAY);
    assert_eq!((later.value_micros, later.weight_micros), (52_222_222, 500_000));
    assert_eq!(mean.read(&sums, LAST).value_micros, 50_000_000);
}

#[test]
fn nothing_observed_is_the_prior() {
    let reading = health().read(&Sums::default(), 0);
    assert_eq!(reading, Reading { value_micros: 50_000_000, weight_micros: 0, count: 0 });
    let explanation = health().explain(&[], 0, 20).unwrap();
    assert_eq!((explanation.prior_effect, explanation.lines.len(), explanation.others), (50_000_000, 0, None));
}

#[test]
fn sums_refuse_what_they_cannot_hold() {
    let mut sum = Sum { pull: 0, weight: (1 << 120) - 1, count: 1 };
    let kept = sum;
    assert_eq!(sum.add(&Sum { pull: 0, weight: 2, count: 1 }), Err(Overflow));
    assert_eq!(sum, kept);
    assert_eq!(sum.add(&Sum { pull: i128::MIN, weight: 0, count: 1 }), Err(Overflow));
}

proptest! {
    #[test]
    fn order_and_grouping_do_not_matter(
        (one, two) in prop::collection::vec(observation(), 0..40).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        cut in 0_usize..40,
        as_of in FIRST..=LAST,
    ) {
        let mean = health();
        let whole = fold(&mean, &one);
        let (left, right) = two.split_at(cut.min(two.len()));
        let mut merged = fold(&mean, right);
        merged.merge(&fold(&mean, left)).unwrap();
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(mean.read(&merged, as_of), mean.read(&whole, as_of));
    }

    #[test]
    fn taking_out_is_the_exact_inverse(kept in prop::collection::vec(observation(), 0..20), gone in prop::collection::vec(observation(), 0..20)) {
        let mean = health();
        let mut sums = fold(&mean, &gone);
        sums.merge(&fold(&mean, &kept)).unwrap();
        for one in &gone {
            sums.add(mean.term(one), Sign::Minus).unwrap();
        }
        prop_assert_eq!(sums, fold(&mean, &kept));
    }

    #[test]
    fn an_explanation_sums_exactly(
        mean in mean(),
        observations in prop::collection::vec(observation(), 0..60),
        as_of in prop_oneof![15_000 * DAY..25_000 * DAY, FIRST..=LAST],
        limit in 0_usize..70,
    ) {
        let explanation = mean.explain(&observations, as_of, limit).unwrap();
        let counted = before(&observations, as_of);
        prop_assert_eq!(explanation.reading, mean.read(&fold(&mean, &counted), as_of));
        let shown: i64 = explanation.lines.iter().map(|line| line.effect).sum();
        let others = explanation.others.map_or(0, |others| others.effect);
        prop_assert_eq!(explanation.prior_effect + shown + others, explanation.reading.value_micros);
        prop_assert_eq!(explanation.lines.len(), limit.min(counted.len()));
        let left = explanation.others.map_or(0, |others| others.count as usize);
        prop_assert_eq!(explanation.lines.len() + left, counted.len());

        // No line makes it true: each is within a millionth of a point of its own exact effect.
        let divisor = f64::from(mean.prior_weight().micros()) / 1e6 + counted.iter().map(|one| decayed(&mean, one, as_of)).sum::<f64>();
        for line in &explanation.lines {
            let one = &observations[line.index];
            let distance = (f64::from(one.share.micros()) - f64::from(mean.prior().micros())) / 1e6;
            let exact = 1e8 * decayed(&mean, one, as_of) * distance / divisor;
            prop_assert!((line.effect as f64 - exact).abs() < 1.01, "{} {exact}", line.effect);
        }
    }

    #[test]
    fn agrees_with_the_stated_formula(mean in mean(), observations in prop::collection::vec(observation(), 0..40), as_of in FIRST..=LAST) {
        let counted = before(&observations, as_of);
        let reading = mean.read(&fold(&mean, &counted), as_of);
        prop_assert!((0..=100_000_000).contains(&reading.value_micros));
        let stated = stated(&mean, &counted, as_of) * 1e6;
        prop_assert!((reading.value_micros as f64 - stated).abs() < 1.5, "{} {stated}", reading.value_micros);
        let weight: f64 = counted.iter().map(|one| decayed(&mean, one, as_of)).sum();
        prop_assert!((reading.weight_micros as f64 / 1e6 - weight).abs() < 2e-6 * (1.0 + weight), "{} {weight}", reading.weight_micros);
    }

    #[test]
    fn bad_news_lowers_and_good_news_raises(
        observations in prop::collection::vec(observation(), 0..30),
        weight in 100_000..=Weight::MAX.micros(),
    ) {
        let mean = health();
        let as_of = 20_000 * DAY;
        let known = before(&observations, as_of);
        let base = mean.read(&fold(&mean, &known), as_of).value_micros;
        let with = |share: u32| {
            let mut more = known.clone();
            more.push(seen(20_000, weight, share));
            mean.read(&fold(&mean, &more), as_of).value_micros
        };
        prop_assert!(with(0) < base || base == 0);
        prop_assert!(with(MICROS) > base || base == 100_000_000);
    }

    #[test]
    fn silence_leads_back_to_the_prior(observations in prop::collection::vec(observation(), 1..30)) {
        let mean = health();
        let start = 20_000 * DAY;
        let known = before(&observations, start);
        let sums = fold(&mean, &known);
        let mut distance = i64::MAX;
        let mut weight = i64::MAX;
        for days in (0..20_000).step_by(90) {
            let reading = mean.read(&sums, start + days * DAY);
            let now = (reading.value_micros - 50_000_000).abs();
            // Rounding down moves a value by at most one.
            prop_assert!(now <= distance.saturating_add(1) && reading.weight_micros <= weight);
            (distance, weight) = (now, reading.weight_micros);
        }
        prop_assert!(distance <= 1 && weight <= 1);
    }
}

fn decayed(mean: &DecayedMean, one: &Observation, as_of: i64) -> f64 {
    f64::from(one.weight.micros()) / 1e6 * libm::exp2(-((as_of - one.at) as f64) / mean.half_life().as_micros() as f64)
}
