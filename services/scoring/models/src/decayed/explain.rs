//! Why a value is what it is, in lines that add up to it.

use super::division;
use super::fold::{DecayedMean, FULL, Observation, Overflow, Reading, Sign, Sums, shift};

/// A value taken apart: `prior_effect`, the lines' effects and the others' effect sum to `reading.value_micros`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The value explained: what [`DecayedMean::read`] gives for the sums of the same observations.
    pub reading: Reading,
    /// What the prior alone is worth, in millionths of a point.
    pub prior_effect: i64,
    /// The observations with the greatest effects, greatest first, equal ones newest first.
    pub lines: Vec<Line>,
    /// All other observations together; absent where each has its line.
    pub others: Option<Others>,
}

/// What one observation does to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which: its place in the slice given.
    pub index: usize,
    /// In millionths of a point, within one of the exact effect.
    pub effect: i64,
    /// Its decayed weight, in millionths.
    pub weight_micros: i64,
}

/// What the observations without a line do to the value together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// How many.
    pub count: i64,
    /// In millionths of a point, within one of the exact effect.
    pub effect: i64,
    /// Their decayed weight, in millionths.
    pub weight_micros: i64,
}

/// A part of the value as its exact fraction: `pull / divisor`, both decayed to the moment of reading.
#[derive(Clone, Copy)]
struct Part {
    pull: i128,
    weight: i128,
}

impl DecayedMean {
    /// Explains the value at `as_of` of these observations; those later than `as_of` do not count. At most `limit` get a
    /// line. Equal observations are told apart by their place, so give them in an order of their own for an
    /// explanation that is the same each time.
    ///
    /// # Errors
    /// [`Overflow`] when there are more observations than sums can hold.
    pub fn explain(&self, observations: &[Observation], as_of: i64, limit: usize) -> Result<Explanation, Overflow> {
        let mut sums = Sums::default();
        let mut counted: Vec<usize> =
            (0..observations.len()).filter(|index| observations[*index].at <= as_of).collect();
        for index in &counted {
            sums.add(self.term(&observations[*index]), Sign::Plus)?;
        }
        let reading = self.read(&sums, as_of);

        // Oldest first: the running sums below go era by era.
        counted.sort_by_key(|index| (observations[*index].at, *index));
        let parts = self.parts(observations, &counted, as_of);
        let divisor = self.divisor(parts.iter().map(|part| part.weight).sum(), as_of);

        let mut ranked: Vec<usize> = (0..parts.len()).collect();
        ranked.sort_by_key(|place| {
            let newest_first = std::cmp::Reverse(observations[counted[*place]].at);
            (std::cmp::Reverse(parts[*place].pull.abs()), newest_first, counted[*place])
        });
        let (shown, rest) = ranked.split_at(limit.min(ranked.len()));
        let mut lines: Vec<Part> = shown.iter().map(|place| parts[*place]).collect();
        if !rest.is_empty() {
            lines.push(Part {
                pull: rest.iter().map(|place| parts[*place].pull).sum(),
                weight: rest.iter().map(|place| parts[*place].weight).sum(),
            });
        }
        let prior_effect = self.prior_effect();
        let effects = apportion(&lines, divisor, reading.value_micros - prior_effect);
        let others = (!rest.is_empty()).then(|| Others {
            count: i64::try_from(rest.len()).unwrap_or(i64::MAX),
            effect: effects[shown.len()],
            weight_micros: self.weight_micros(lines[shown.len()].weight, as_of),
        });
        let lines = shown
            .iter()
            .enumerate()
            .map(|(rank, place)| Line {
                index: counted[*place],
                effect: effects[rank],
                weight_micros: self.weight_micros(parts[*place].weight, as_of),
            })
            .collect();
        Ok(Explanation { reading, prior_effect, lines, others })
    }

    /// Each counted observation's part of the sums as a read sees them. Reading rounds each era's *sum* when it shifts
    /// it; so a part is the step of the shifted running sum, and the parts of an era add up to the era's shifted sum
    /// bit by bit. A step is within one unit (2^-36 of a millionth of weight) of the exact part.
    fn parts(&self, observations: &[Observation], counted: &[usize], as_of: i64) -> Vec<Part> {
        let now = self.half_life().era(as_of);
        let (mut era, mut running) = (i64::MIN, Part { pull: 0, weight: 0 });
        counted
            .iter()
            .map(|index| {
                let term = self.term(&observations[*index]);
                if term.era != era {
                    (era, running) = (term.era, Part { pull: 0, weight: 0 });
                }
                let before = running;
                running = Part { pull: before.pull + term.pull, weight: before.weight + term.weight };
                Part {
                    pull: shift(running.pull, now - era) - shift(before.pull, now - era),
                    weight: shift(running.weight, now - era) - shift(before.weight, now - era),
                }
            })
            .collect()
    }
}

/// Rounds the exact fractions `100 points * pull / divisor` to integers that sum to `total`, their rounded-down sum:
/// all are rounded down, and what is missing (fewer than there are parts) goes, one each, to the largest remainders, the
/// earlier first.
fn apportion(parts: &[Part], divisor: i128, total: i64) -> Vec<i64> {
    let rounded: Vec<(i64, i128)> = parts.iter().map(|part| division::scale(part.pull, FULL, divisor)).collect();
    let mut effects: Vec<i64> = rounded.iter().map(|(effect, _)| *effect).collect();
    let missing = total - effects.iter().sum::<i64>();
    debug_assert!(missing >= 0 && (missing == 0 || missing < parts.len() as i64));
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|place| std::cmp::Reverse(rounded[*place].1));
    for place in by_remainder.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        effects[place] += 1;
    }
    effects
}
