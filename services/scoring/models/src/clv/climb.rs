//! A quasi-Newton climb (BFGS) within a box, for a handful of variables and an exact gradient.
//!
//! Small enough to be read: a general optimiser would bring its own linear algebra for matrices of four by four.

use super::matrix::{Matrix, identity, times};

/// Where a climb ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summit<const N: usize> {
    pub(super) at: [f64; N],
    pub(super) value: f64,
    /// Whether what is left to gain is below [`GAIN`]; otherwise patience or digits ran out.
    pub(super) converged: bool,
}

/// What is climbed: a value and its slopes at a place.
pub(super) trait Hill<const N: usize> {
    /// The value and the slopes.
    fn at(&self, place: &[f64; N]) -> (f64, [f64; N]);
}

impl<const N: usize, F: Fn(&[f64; N]) -> (f64, [f64; N])> Hill<N> for F {
    fn at(&self, place: &[f64; N]) -> (f64, [f64; N]) {
        self(place)
    }
}

/// The box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<const N: usize> {
    pub(super) low: [f64; N],
    pub(super) high: [f64; N],
}

/// A climb ends when a Newton step would gain less than this: a thousandth of a standard error from the summit.
const GAIN: f64 = 1e-8;

/// After so many values the gain since is looked at.
const LOOK: usize = 50;

/// What a sum of that size may be off by.
const ROUNDING: f64 = 4e-15;

/// The longest step: beyond a few powers of e a quadratic knows nothing.
const STEP: f64 = 3.0;

/// How many values a climb may ask for. Ordinary ones take thirty.
const PATIENCE: usize = 400;

/// Climbs from `start`. `curve` is the inverse of the curvature where it is known.
pub(super) fn climb<const N: usize>(
    hill: &impl Hill<N>,
    start: [f64; N],
    bounds: &Bounds<N>,
    curve: Option<Matrix<N>>,
) -> Summit<N> {
    let mut place: [f64; N] = std::array::from_fn(|i| start[i].clamp(bounds.low[i], bounds.high[i]));
    let (mut value, mut slopes) = hill.at(&place);
    let mut asked = 1;
    let mut fresh = curve.is_none();
    let mut curve = curve.unwrap_or_else(|| gentle(&slopes));
    let (mut earlier, mut look) = (f64::NEG_INFINITY, LOOK);
    loop {
        let slack = ROUNDING * value.abs();
        let (mut way, mut rise, held) = direction(&curve, &place, &slopes, bounds);
        if rise.is_nan() || rise <= 0.0 || (held && rise / 2.0 <= GAIN + slack) {
            // The curve learnt leads nowhere or into a wall: follow the slopes, which lead along it.
            curve = gentle(&slopes);
            fresh = true;
            (way, rise, _) = direction(&curve, &place, &slopes, bounds);
        }
        if !value.is_finite() || rise.is_nan() {
            return Summit { at: place, value: f64::NEG_INFINITY, converged: false };
        }
        if rise / 2.0 <= GAIN + slack {
            return Summit { at: place, value, converged: true };
        }
        if asked >= look {
            // On a ridge a quadratic promises what the hill does not keep: what counts is what was gained.
            if value - earlier <= 10.0 * (GAIN + slack) {
                return Summit { at: place, value, converged: true };
            }
            (earlier, look) = (value, asked + LOOK);
        }
        if asked >= PATIENCE {
            return Summit { at: place, value, converged: false };
        }
        let longest = way.iter().fold(0.0f64, |most, step| most.max(step.abs()));
        if longest > STEP {
            way = way.map(|step| step * (STEP / longest));
            rise *= STEP / longest;
        }
        match stride(hill, &place, value - slack, rise, &way, bounds, &mut asked) {
            Some((next, above, after)) => {
                let moved: [f64; N] = std::array::from_fn(|i| next[i] - place[i]);
                let bent: [f64; N] = std::array::from_fn(|i| slopes[i] - after[i]);
                if fresh {
                    let (along, square) = (dot(&moved, &bent), dot(&bent, &bent));
                    if along > 0.0 && square > 0.0 {
                        curve = identity(along / square);
                        fresh = false;
                    }
                }
                learn(&mut curve, &moved, &bent);
                (place, value, slopes) = (next, above, after);
            }
            // The digits are used up along this way: try the steepest once, then be content.
            None if !fresh => {
                curve = gentle(&slopes);
                fresh = true;
            }
            None => return Summit { at: place, value, converged: rise / 2.0 <= 1e3 * (GAIN + slack) },
        }
    }
}

/// Where to go, how steeply that rises, and whether a variable was held at a wall though its own slope leads away from it.
fn direction<const N: usize>(
    curve: &Matrix<N>,
    place: &[f64; N],
    slopes: &[f64; N],
    bounds: &Bounds<N>,
) -> ([f64; N], f64, bool) {
    let outward = |i: usize, by: f64| place[i] <= bounds.low[i] && by < 0.0 || place[i] >= bounds.high[i] && by > 0.0;
    let mut free: [bool; N] = std::array::from_fn(|i| !outward(i, slopes[i]));
    let mut held = false;
    loop {
        let open: [f64; N] = std::array::from_fn(|i| if free[i] { slopes[i] } else { 0.0 });
        let mut way = times(curve, &open);
        for i in 0..N {
            if !free[i] {
                way[i] = 0.0;
            }
        }
        // Each turn holds one more, so there are at most N.
        match (0..N).find(|i| free[*i] && outward(*i, way[*i])) {
            Some(i) => {
                free[i] = false;
                held = true;
            }
            None => return (way, dot(&open, &way), held),
        }
    }
}

/// A place, its value and its slopes.
type Place<const N: usize> = ([f64; N], f64, [f64; N]);

/// One step along `way` that rises enough and flattens enough (the weak conditions of Wolfe), or reaches a wall.
fn stride<const N: usize>(
    hill: &impl Hill<N>,
    place: &[f64; N],
    value: f64,
    rise: f64,
    way: &[f64; N],
    bounds: &Bounds<N>,
    asked: &mut usize,
) -> Option<Place<N>> {
    let wall = (0..N).fold(f64::INFINITY, |least, i| {
        let room = if way[i] > 0.0 { bounds.high[i] - place[i] } else { bounds.low[i] - place[i] };
        if way[i] == 0.0 { least } else { least.min(room / way[i]) }
    });
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut best: Option<Place<N>> = None;
    let mut far = wall.min(1.0);
    for _ in 0..40 {
        // Clamped, so that a wall is met exactly.
        let next: [f64; N] = std::array::from_fn(|i| (place[i] + far * way[i]).clamp(bounds.low[i], bounds.high[i]));
        let (above, after) = hill.at(&next);
        *asked += 1;
        if !(above.is_finite() && above >= value + 1e-4 * far * rise) {
            high = far;
        } else if dot(&after, way) > 0.9 * rise && far < wall {
            best = Some((next, above, after));
            low = far;
        } else {
            return Some((next, above, after));
        }
        far = if high.is_finite() { f64::midpoint(low, high) } else { (2.0 * far).min(wall) };
        // Good enough, though a longer step might be better.
        if best.is_some() && (*asked >= PATIENCE || far > 64.0) {
            break;
        }
    }
    best
}

/// A first guess that steps no further than one.
fn gentle<const N: usize>(slopes: &[f64; N]) -> Matrix<N> {
    let steepest = slopes.iter().fold(1.0f64, |most, slope| most.max(slope.abs()));
    identity(1.0 / steepest)
}

/// The update of Broyden, Fletcher, Goldfarb and Shanno; none where the hill does not bend down.
fn learn<const N: usize>(curve: &mut Matrix<N>, moved: &[f64; N], bent: &[f64; N]) {
    let along = dot(moved, bent);
    if along.is_nan() || along <= 1e-12 * (dot(moved, moved) * dot(bent, bent)).sqrt() {
        return;
    }
    let before = times(curve, bent);
    let scale = (1.0 + dot(bent, &before) / along) / along;
    for i in 0..N {
        for j in 0..N {
            curve[i][j] += scale * moved[i] * moved[j] - (before[i] * moved[j] + moved[i] * before[j]) / along;
        }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Bounds<2> = Bounds { low: [-20.0; 2], high: [20.0; 2] };

    #[test]
    fn a_bent_valley_is_climbed() {
        let rosenbrock = |p: &[f64; 2]| {
            let [x, y] = *p;
            let bend = y - x * x;
            (-(1.0 - x).powi(2) - 100.0 * bend * bend, [2.0 * (1.0 - x) + 400.0 * bend * x, -200.0 * bend])
        };
        let summit = climb(&rosenbrock, [-1.2, 1.0], &WIDE, None);
        assert!(summit.converged && (summit.at[0] - 1.0).abs() < 1e-3, "{summit:?}");
    }

    #[test]
    fn a_wall_is_met_and_followed() {
        let slope = |p: &[f64; 2]| (p[0] - (p[1] - 3.0).powi(2), [1.0, -2.0 * (p[1] - 3.0)]);
        let summit = climb(&slope, [0.0, 0.0], &WIDE, None);
        assert!(summit.converged && summit.at[0] == 20.0 && (summit.at[1] - 3.0).abs() < 1e-3, "{summit:?}");
    }

    #[test]
    fn what_is_no_number_ends_the_climb() {
        let summit = climb(&|_: &[f64; 2]| (f64::NAN, [f64::NAN; 2]), [0.0, 0.0], &WIDE, None);
        assert!(!summit.converged);
        let cliff = |p: &[f64; 2]| if p[0] > 1.0 { (f64::NAN, [f64::NAN; 2]) } else { (p[0], [1.0, 0.0]) };
        let summit = climb(&cliff, [0.0, 0.0], &WIDE, None);
        assert!(summit.value <= 1.0 && summit.value > 0.9, "{summit:?}");
    }
}
