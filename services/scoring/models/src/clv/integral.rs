//! Integrals of positive, smooth functions over logarithmic time, by Gauss and Legendre in panels.
//!
//! The differences of hypergeometric functions in the published formulas lose all digits where customers are ordinary
//! (recency near age, `alpha` near `beta`) and have poles where the integral they stand for has none. Summing the
//! positive integrand itself loses nothing.

/// Nodes and weights of the positive half, eight points.
const EIGHT: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_27),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_2, 0.101_228_536_290_376_26),
];

/// Nodes and weights of the positive half, sixteen points.
const SIXTEEN: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_74),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_79),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];

/// How far a panel may reach: singular points lie at a distance of pi from the real line.
const WIDTH: f64 = 4.0;

/// How many times e a panel may fall with sixteen points.
const FALL: f64 = 16.0;

/// How wide and how steep a single panel may be for eight points to suffice.
const SHORT: f64 = 1.6;
const GENTLE: f64 = 3.0;

/// The integral of `f` from `from` to `to`. The first of the `K` values must be positive; the others are integrated at
/// the same nodes.
///
/// `slope` bounds how fast `ln f` changes anywhere up to a place, and grows with the place. Where `f` has died away the
/// rest is left out.
#[inline]
pub(super) fn integrate<const K: usize>(
    from: f64,
    to: f64,
    slope: impl Fn(f64) -> f64,
    mut f: impl FnMut(f64) -> [f64; K],
) -> [f64; K] {
    let mut sum = [0.0; K];
    if to - from <= SHORT && slope(to) * (to - from) <= GENTLE {
        panel(&EIGHT, from, to, &mut sum, &mut f);
        return sum;
    }
    let mut at = from;
    while at < to {
        let mut width = (to - at).min(WIDTH);
        // Sixty halvings reach any slope there is; then the panel is as good as a point.
        for _ in 0..60 {
            if slope(at + width) * width <= FALL {
                break;
            }
            width /= 2.0;
        }
        let end = if at + width >= to { to } else { at + width };
        let before = sum[0];
        panel(&SIXTEEN, at, end, &mut sum, &mut f);
        // Nothing is left to add, or the panel is too narrow to move on.
        if sum[0] - before <= 1e-18 * sum[0] || end <= at {
            break;
        }
        at = end;
    }
    sum
}

#[inline]
fn panel<const K: usize>(
    rule: &[(f64, f64)],
    from: f64,
    to: f64,
    sum: &mut [f64; K],
    f: &mut impl FnMut(f64) -> [f64; K],
) {
    let (middle, half) = (f64::midpoint(from, to), (to - from) / 2.0);
    for (node, weight) in rule {
        let (low, high) = (f(middle - half * node), f(middle + half * node));
        for (sum, (low, high)) in sum.iter_mut().zip(low.into_iter().zip(high)) {
            *sum += half * weight * (low + high);
        }
    }
}

/// The integral of `f` from `from` to `to`, halving panels until they agree with their halves. For integrands of which
/// little is known but `places` where they turn.
pub(super) fn adaptive<const K: usize>(
    from: f64,
    to: f64,
    places: &[f64],
    mut f: impl FnMut(f64) -> [f64; K],
) -> [f64; K] {
    let mut edges = vec![from, to];
    edges.extend(places.iter().filter(|place| **place > from && **place < to));
    edges.sort_unstable_by(f64::total_cmp);
    let mut whole = |from: f64, to: f64| {
        let mut sum = [0.0; K];
        panel(&SIXTEEN, from, to, &mut sum, &mut f);
        sum
    };
    let mut open: Vec<(f64, f64, [f64; K])> =
        edges.windows(2).map(|edge| (edge[0], edge[1], whole(edge[0], edge[1]))).collect();
    let mut sum = [0.0; K];
    for _ in 0..PANELS {
        let Some((from, to, once)) = open.pop() else { break };
        let middle = f64::midpoint(from, to);
        let (left, right) = (whole(from, middle), whole(middle, to));
        let mut agree = true;
        for k in 0..K {
            let twice = left[k] + right[k];
            agree &= (twice - once[k]).abs() <= 2e-14 * (sum[k] + twice);
        }
        if agree || middle <= from || middle >= to {
            for k in 0..K {
                sum[k] += left[k] + right[k];
            }
        } else {
            open.push((from, middle, left));
            open.push((middle, to, right));
        }
    }
    // Out of patience: what is still open counts as it was last seen.
    for (_, _, once) in open {
        for k in 0..K {
            sum[k] += once[k];
        }
    }
    sum
}

/// Panels to look at before giving up on agreement.
const PANELS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_what_is_narrow() {
        let [got] = adaptive(-40.0, 1e3, &[0.1], |u: f64| [libm::exp(-u * u)]);
        assert!((got - 1.772_453_850_905_516).abs() < 1e-13, "{got}");
    }

    #[test]
    fn powers_and_exponentials_come_out_exact() {
        for (k, to) in [(0.5, 1.0), (1.0, 3.0), (10.0, 5.0), (1e3, 2.0), (1e9, 1.0), (1.0, 40.0)] {
            let [got] = integrate(0.0, to, |_| k, |u: f64| [libm::exp(-k * u)]);
            let want = -libm::expm1(-k * to) / k;
            assert!((got - want).abs() < 1e-14 * want, "{k} {to}: {got} {want}");
        }
        // A double exponential: the tail is left out.
        let [got] = integrate(0.0, 50.0, libm::exp, |u: f64| [libm::exp(u - libm::exp(u))]);
        assert!((got - libm::exp(-1.0)).abs() < 1e-14, "{got}");
    }
}
